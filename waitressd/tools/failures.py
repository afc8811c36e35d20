"""What ends a command: the statuses that scripts look at, and the two ways not to get an answer."""

from typing import Final

YES: Final = 0
NO: Final = 1
USAGE: Final = 2
NO_ANSWER: Final = 3


class UsageError(Exception):
    """The command line, the ini file or the token file is wrong; the text says what to write."""


class NoAnswerError(Exception):
    """There is no answer that can be used; the text says why, and what to do."""

    def __init__(self, text: str, *, may_pass: bool = False) -> None:
        super().__init__(text)
        self.may_pass: bool = may_pass
        """Whether to ask again can help, as while a server starts."""
