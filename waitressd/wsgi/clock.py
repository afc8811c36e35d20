"""The Date of a response (RFC 9110, section 6.6.1), made once a second."""

from email.utils import formatdate
from time import time

# Second since the epoch and its text. Threads may race for it: a tuple is replaced whole, so the worst that
# happens is that two of them make the same text.
_latest: tuple[int, str] = (-1, "")


def http_date() -> str:
    """Return the current time as an HTTP date; any thread."""
    global _latest  # noqa: PLW0603  # a cache of one value, see above
    now = time()
    second, text = _latest
    if not second <= now < second + 1:
        second = int(now)
        text = formatdate(second, usegmt=True)
        _latest = (second, text)
    return text
