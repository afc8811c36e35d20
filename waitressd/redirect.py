"""What is answered in clear where TLS is meant: the way to https, and the files by which a CA sees whose a name is.

Knows requests and a folder. Runs in the holder of the dispatcher role, so nothing here waits but for a local disk.
"""

import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import Final
from urllib.parse import quote

from waitressd.http.errors import Answer, HttpError
from waitressd.http.events import Request

CHALLENGE_BYTES: Final = 4096  # of a file that a CA asks for; it has about a hundred
HTTPS_PORT: Final = 443
_CHALLENGE: Final = "/.well-known/acme-challenge/"
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_WEBROOT: Final = (".well-known", "acme-challenge")
_PORT: Final = re.compile(r":[0-9]*\Z")
# What may stand in a URL as it is (RFC 3986, 2); a target has no white space and no control characters.
_SAFE: Final = "!$%&'()*+,-./:;=?@[]_~#"

# Neither a link that leads out of the folder nor a pipe that nobody writes to is followed.
_FLAGS: Final = sum(getattr(os, name, 0) for name in ("O_RDONLY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC"))
_IS_SAFE: Final = hasattr(os, "O_NOFOLLOW") and os.open in os.supports_dir_fd


class Redirect:
    """Answers every request of the listeners that lead to https. Holder of the role.

    `covers` says whether a certificate is for a host; `port` is where TLS is spoken.
    """

    def __init__(self, covers: Callable[[str], bool], port: int, challenges: "Challenges | None" = None) -> None:
        self._covers = covers
        self._suffix = "" if port == HTTPS_PORT else f":{port}"
        self._challenges = challenges

    def __call__(self, request: Request) -> HttpError:
        """Return the answer."""
        if self._challenges is not None and request.target.startswith(_CHALLENGE):
            return self._challenges.answer(request)
        host = _PORT.sub("", request.fields.get("HTTP_HOST", ""))
        if not self._covers(host.strip("[]")):
            return HttpError(421, "No certificate of this server is for that host.")
        address = f"https://{host}{self._suffix}"
        if request.method not in ("GET", "HEAD"):
            # What it sent was in clear, and would be sent so again and again if it worked.
            return HttpError(403, f"This address only leads to https. Use {address}/")
        target = request.target
        if not target.startswith("/"):  # the absolute form of a proxy
            target = "/" + target.split("/", 3)[3] if target.count("/") > 2 else "/"
        location = address + quote(target, safe=_SAFE, encoding="latin-1")
        return Answer(308, f"Use {address}/\n", (("Location", location),))


class Challenges:
    """The files of an ACME client (RFC 8555, 8.3): in the folder itself, or below it as in the root of a web server."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def answer(self, request: Request) -> HttpError:
        """Return the file that a request for a challenge means."""
        if request.method not in ("GET", "HEAD"):
            return HttpError(405, "A challenge can only be read.", (("Allow", "GET, HEAD"),))
        token = request.target.removeprefix(_CHALLENGE)
        content = self.read(token) if _TOKEN.fullmatch(token) else None
        if content is None:
            return HttpError(404, "There is no such challenge.")
        return Answer(200, content)

    def read(self, token: str) -> str | None:
        """Return what the file of a token has; None if there is none that may be shown."""
        if not _IS_SAFE:  # a system without such links as could lead out of the folder
            with suppress(OSError, UnicodeDecodeError):
                path = os.path.join(self._folder, *_WEBROOT, token)  # noqa: PTH118 - all of them are strings
                return _content(os.open(path, _FLAGS))
            return None
        opened: list[int] = []
        try:
            opened.append(os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            with suppress(FileNotFoundError):
                for name in _WEBROOT:
                    opened.append(os.open(name, _FLAGS | os.O_DIRECTORY, dir_fd=opened[-1]))
            folder = opened[-1] if len(opened) > len(_WEBROOT) else opened[0]
            return _content(os.open(token, _FLAGS, dir_fd=folder))
        except (OSError, UnicodeDecodeError):
            return None
        finally:
            for fd in opened:
                os.close(fd)


def _content(fd: int) -> str | None:
    """Read and close a file; None if it is none, or none of a challenge. Raises OSError and UnicodeDecodeError."""
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        content = os.read(fd, CHALLENGE_BYTES + 1)
    finally:
        os.close(fd)
    return content.decode("ascii") if len(content) <= CHALLENGE_BYTES else None
