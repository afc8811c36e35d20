"""A socket that holds what it is told to hold, with no kernel that would push it by itself."""


class HeldWire:
    """Counts the blocks that are held. One thread sends, another one pushes."""

    def __init__(self) -> None:
        self.held = 0
        self.held_ever = 0

    def send(self, data: bytes, flags: int = 0) -> int:
        """Take all of it; hold it where more will come."""
        self.held_ever += bool(flags)
        self.held = self.held + 1 if flags else 0
        return len(data)

    def setsockopt(self, *_option: int) -> None:
        """Be pushed."""
        self.held = 0

    def is_pushed(self) -> bool:
        """Say whether nothing is held."""
        return not self.held
