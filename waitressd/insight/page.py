"""GET /: the page for people, one file without any foreign resource.

It is read once, when the endpoints are made: an answer touches no disk, and shows the version that runs. The policy
names script and style by their hashes, so the browser runs and applies what is in the file and nothing else, whatever
clients have got into the data.
"""

import base64
import re
from functools import cache
from pathlib import Path
from typing import Final

from waitressd.insight.answers import Answer, Endpoint, Query

_INLINE: Final = re.compile(rb"<(script|style)>(.*?)</\1>", re.DOTALL)


def read_page() -> bytes:
    """Read the page, as it is in the package."""
    return Path(__file__).with_name("page.html").read_bytes()


@cache
def content_security_policy(page: bytes) -> str:
    """Return the policy under which a browser shows the page (CSP Level 3).

    Nothing is loaded from anywhere, the data come from our own address, nobody may put the page in a frame, and it can
    send no form. `data:` is for the icon of the browser's tab, which has the colour of the worst finding.
    """
    # With OpenSSL, for which nobody is to wait who does not look at the page.
    import hashlib  # noqa: PLC0415 - see above

    hashes: dict[bytes, list[str]] = {b"script": [], b"style": []}
    for kind, text in _INLINE.findall(page):
        digest = base64.b64encode(hashlib.sha256(text).digest()).decode("ascii")
        hashes[kind].append(f"'sha256-{digest}'")
    return "; ".join((
        "default-src 'none'",
        f"script-src {' '.join(hashes[b'script'])}",
        f"style-src {' '.join(hashes[b'style'])}",
        "connect-src 'self'",
        "img-src data:",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ))  # fmt: skip


def page_endpoint() -> Endpoint:
    """Read the page and return what answers at '/'. Raises OSError if the installation lacks the file."""
    page = read_page()

    def answer(_query: Query) -> Answer:
        fields = (("Content-Security-Policy", content_security_policy(page)),)
        return Answer(200, "text/html; charset=utf-8", (page,), fields)

    return Endpoint("/", "page", answer)
