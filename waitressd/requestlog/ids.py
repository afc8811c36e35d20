"""Names for requests: X-Request-ID, and the W3C trace context.

They tell requests apart and join log lines; they are no secrets.
"""

import os
import re
from typing import Final

REQUEST_ID_CHARACTERS: Final = 128
# What the usual makers of request ids write; nothing that a log format or a shell gives a meaning to.
_REQUEST_ID: Final = re.compile(rf"[A-Za-z0-9._~+/=:@-]{{1,{REQUEST_ID_CHARACTERS}}}").fullmatch
# version "-" trace-id "-" parent-id "-" trace-flags; later versions may append to it (Trace Context, section 3.2.2)
_TRACEPARENT: Final = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")

STOCK: Final = 256  # ids made at once, by a few calls instead of a few for each request

# Taken with pop, which is atomic; two threads that find it empty make two stocks, which does no harm.
_stock: list[tuple[str, str]] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_stock.clear)  # or parent and child would give out the same ones


def make_ids() -> tuple[str, str]:
    """Make a request id and the traceparent whose trace has the same id; any thread.

    The trace is not sampled: whether it should be is not the server's decision.
    """
    try:
        return _stock.pop()
    except IndexError:
        traces = os.urandom(16 * STOCK).hex("-", 16).split("-")
        # The parent id tells spans of one trace apart, and each of these traces has one span of ours.
        parent = f"-{os.urandom(8).hex()}-00"
        parents = ("00-" + f"{parent} 00-".join(traces) + parent).split(" ")
        made = list(zip(traces, parents, strict=True))
        ids = made.pop()
        _stock.extend(made)
        return ids


def is_request_id(text: str) -> bool:
    """Tell whether a text may be used as a request id in logs and environs."""
    return _REQUEST_ID(text) is not None


def is_traceparent(text: str) -> bool:
    """Tell whether a text is a trace context that may be passed on (Trace Context, section 3.2)."""
    found = _TRACEPARENT.fullmatch(text)
    return found is not None and (found[1] != "00" or found[2] is None)
