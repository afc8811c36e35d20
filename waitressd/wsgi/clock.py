"""The Date of a response (RFC 9110, section 6.6.1), made once a second."""

from time import gmtime, time
from typing import Final

# By themselves: `strftime` writes the names in the language of the machine, and `email` is large.
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# From when until when it is right, seconds since the epoch, and the text. Threads may race for it: a tuple is replaced
# whole, so the worst that happens is that two of them make the same text.
_latest: tuple[float, float, str] = (0.0, 0.0, "")


def http_date() -> str:
    """Return the current time as an HTTP date; any thread."""
    global _latest  # noqa: PLW0603  # a cache of one value, see above
    now = time()
    start, end, text = _latest
    if not start <= now < end:
        second = int(now)
        year, month, day, hours, minutes, seconds, weekday, *_ = gmtime(second)
        text = f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {hours:02}:{minutes:02}:{seconds:02} GMT"
        _latest = (float(second), second + 1.0, text)
    return text
