"""Wall-clock times as logs write them, made once a second; month names do not depend on the locale."""

import time
from typing import Final

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# Second and its text. A tuple is replaced whole: the worst that racing threads do is to make the same text twice.
_clf: tuple[int, str] = (-1, "")
_iso: tuple[int, str] = (-1, "")


def clf_time(moment: float) -> str:
    """Return a time as the common log format has it: 22/Nov/2026:11:37:41 +0000, in local time."""
    global _clf  # noqa: PLW0603 - a cache of one value, see above
    second = int(moment)
    known, text = _clf
    if known != second:
        when = time.localtime(second)
        zone = when.tm_gmtoff // 60
        hours, minutes = divmod(abs(zone), 60)
        text = (
            f"{when.tm_mday:02d}/{_MONTHS[when.tm_mon - 1]}/{when.tm_year:04d}:"
            f"{when.tm_hour:02d}:{when.tm_min:02d}:{when.tm_sec:02d} {'-' if zone < 0 else '+'}{hours:02d}{minutes:02d}"
        )
        _clf = (second, text)
    return text


def iso_time(moment: float) -> str:
    """Return a time as RFC 3339 has it: 2026-11-22T11:37:41.123456Z."""
    global _iso  # noqa: PLW0603 - a cache of one value, see above
    second = int(moment)
    known, text = _iso
    if known != second:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        _iso = (second, text)
    return f"{text}.{int((moment - second) * 1e6):06d}Z"


def clock_time(moment: float) -> str:
    """Return the local time of day: 11:37:41."""
    when = time.localtime(moment)
    return f"{when.tm_hour:02d}:{when.tm_min:02d}:{when.tm_sec:02d}"
