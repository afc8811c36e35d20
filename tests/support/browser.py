"""A small browser: cookies, forms, uploads and redirects over one kept connection, with the strict client below."""

import json
import re
from typing import Any, Final

from tests.support.client import Client, Response
from tests.support.servers import RunningServer

BOUNDARY: Final = "----a-boundary-for-tests"
_COOKIE: Final = re.compile(r"([^=;]+)=([^;]*)")


class Browser:
    """Keeps cookies and one connection."""

    def __init__(self, server: RunningServer) -> None:
        self.origin = f"http://127.0.0.1:{server.port}"
        self.client: Client = server.connect()
        self.cookies: dict[str, str] = {}

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.client.close()

    def get(self, target: str, *fields: str) -> Response:
        """Ask for a page, with further field lines."""
        return self.ask("GET", target, b"", *fields)

    def json(self, target: str) -> Any:
        """Ask for a page of JSON and read it."""
        return json.loads(self.get(target).body)

    def post(self, target: str, body: bytes, content_type: str = "application/x-www-form-urlencoded") -> Response:
        """Send a form."""
        return self.ask("POST", target, body, f"Content-Type: {content_type}", f"Content-Length: {len(body)}")

    def upload(self, target: str, name: str, content: bytes, note: str) -> Any:
        """Send a file and a text in a form of several parts; return the JSON of the answer."""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="note"\r\n\r\n{note}\r\n'
        head += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        head += "Content-Type: application/octet-stream\r\n\r\n"
        body = head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
        return json.loads(self.post(target, body, f"multipart/form-data; boundary={BOUNDARY}").body)

    def ask(self, method: str, target: str, body: bytes, *fields: str) -> Response:
        """Send a request with the cookies, keep those of the answer."""
        lines = [f"{method} {target.removeprefix(self.origin)} HTTP/1.1", f"Host: {self.origin[7:]}", *fields]
        if self.cookies:
            lines.append("Cookie: " + "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        answer = self.client.request("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        for line in answer.all("Set-Cookie"):
            match = _COOKIE.match(line)
            assert match
            self.cookies[match[1]] = match[2]
        return answer
