"""Words about a wrong value that help to find what was meant."""

import re
from collections.abc import Iterable
from typing import Final

_COMMENT: Final = re.compile(r"\s[#;].*", re.DOTALL)
_ASSIGNMENT: Final = re.compile(r"\n\s*(?P<line>[A-Za-z_][\w.-]*(?:\s*=|:\s).*)")


def did_you_mean(word: str, known: Iterable[str], alike: float = 0.6) -> str:
    """Say what a misspelt word may be: "; did you mean X?", or nothing. `alike` is how near it must come, up to 1."""
    # For those alone who have written something wrong.
    from difflib import get_close_matches  # noqa: PLC0415 - see above

    near = get_close_matches(word, list(known), 1, alike)
    return f"; did you mean {near[0]}?" if near else ""


def trailing_comment(text: str) -> str:
    """Find what looks like a comment at the end of a value; this format knows comments on lines of their own only."""
    match = _COMMENT.search(text)
    return match[0].lstrip() if match else ""


def assignment_hint(value: object) -> str:
    """Say that a further line of a value looks like a key of its own, which was indented by mistake; or nothing."""
    match = _ASSIGNMENT.search(value) if isinstance(value, str) else None
    return (
        f" (the line '{match['line']}' begins with blanks, so it is a part of this value: remove them)" if match else ""
    )
