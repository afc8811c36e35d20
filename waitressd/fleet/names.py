"""Names that `ps` and `top` show."""


def name_process(name: str) -> None:
    pass
