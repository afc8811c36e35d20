def set_place(number: int) -> None:
    pass
