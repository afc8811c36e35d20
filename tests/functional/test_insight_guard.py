"""Hostile requests to an admin address, over the wire: each gets its status, and none of them changes anything."""

import base64
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.admin import CONTROL_TOKEN, READ_TOKEN, ask, head
from tests.support.client import Client
from tests.support.servers import RunningServer, running_server
from tests.support.waiting import wait_until
from waitressd.life import Life

READ: Final = f"Authorization: Bearer {READ_TOKEN}"
CONTROL: Final = f"Authorization: Bearer {CONTROL_TOKEN}"
SAYS_SO: Final = "X-Waitressd-Control: 1"
FORM: Final = "Content-Type: application/x-www-form-urlencoded"
BASIC: Final = "Authorization: Basic " + base64.b64encode(f"me:{READ_TOKEN}".encode()).decode()
SECRETS: Final = ("s3cret-of-the-query", "s3cret-cookie", "s3cret-environment", "s3cret-password", READ_TOKEN)


def rebinding(name: str) -> bytes:
    return head("GET", "/live", READ, host=name)


def smuggled(*fields: str, body: bytes) -> bytes:
    return head("POST", "/control/drain", CONTROL, SAYS_SO, *fields) + body


HOSTILE: Final[list[tuple[bytes, int]]] = [
    # names that lead here and are not the server's
    (rebinding("127.0.0.1.evil.example"), 403),
    (rebinding("localhost.evil"), 403),
    (rebinding("127.evil.example"), 403),
    (rebinding("evil.example"), 403),
    (rebinding("shop.example.evil.example"), 403),
    (rebinding("xshop.example"), 403),
    (rebinding("localhost.:9100"), 403),
    (rebinding("0x7f000001"), 403),
    (rebinding("[::1].evil.example"), 400),
    (rebinding("127.0.0.1@evil.example"), 400),
    (rebinding(""), 400),
    (b"GET /live HTTP/1.0\r\n" + READ.encode() + b"\r\n\r\n", 403),
    (head("GET", "/live", READ, "Host: evil.example"), 400),
    (head("GET", "http://evil.example/live", READ), 403),
    # pages of others
    (head("GET", "/requests", READ, "Sec-Fetch-Site: cross-site"), 403),
    (head("GET", "/requests", READ, "Sec-Fetch-Site: same-site"), 403),
    (head("GET", "/requests", READ, "Sec-Fetch-Site: none, cross-site"), 403),
    (head("GET", "/requests", READ, "Origin: http://evil.example"), 403),
    (head("GET", "/requests", READ, "Origin: null"), 403),
    (head("OPTIONS", "/control/drain", "Origin: http://evil.example", "Access-Control-Request-Method: POST"), 405),
    (head("POST", "/control/drain", CONTROL, SAYS_SO, "Origin: http://evil.example"), 403),
    (head("POST", "/control/drain", CONTROL, FORM, "Content-Length: 3") + b"a=b", 403),
    # methods
    (head("GET", "/control/drain", CONTROL, SAYS_SO), 405),
    (head("HEAD", "/control/drain", CONTROL, SAYS_SO), 405),
    (head("TRACE", "/live", READ), 405),
    (head("CONNECT", "127.0.0.1:22", READ), 405),
    (head("PUT", "/live", CONTROL, SAYS_SO), 405),
    (head("DELETE", "/requests/1-2-3", CONTROL, SAYS_SO), 405),
    (head("POST", "/live", CONTROL, SAYS_SO), 405),
    (head("GET", "/live", "X-HTTP-Method-Override: POST"), 401),
    # tokens
    (head("GET", "/live"), 401),
    (head("GET", "/nothing"), 401),
    (head("GET", "/live", f"Authorization: Bearer {'x' * len(READ_TOKEN)}"), 401),
    (head("GET", "/live", f"Authorization: Bearer {READ_TOKEN[:-1]}y"), 401),
    (head("GET", "/live", READ, READ), 401),
    (head("GET", "/live", f"Cookie: token={READ_TOKEN}"), 401),
    (head("GET", f"/live?token={READ_TOKEN}"), 400),
    (head("GET", f"/live?a=1&TOKEN={READ_TOKEN}", READ), 400),
    # rights
    (head("POST", "/control/drain", READ, SAYS_SO), 403),
    (head("POST", "/control/drain", CONTROL), 403),
    (head("POST", "/control/drain", BASIC, SAYS_SO), 403),
    (head("POST", "/control/log?logger=root&level=DEBUG", CONTROL, SAYS_SO), 403),
    (head("POST", "/control/kill", CONTROL, SAYS_SO), 404),
    (head("POST", "/control/../control/drain", CONTROL, SAYS_SO), 404),
    (head("POST", "/control//drain", CONTROL, SAYS_SO), 404),
    # paths
    (head("GET", "/../../etc/passwd", READ), 404),
    (head("GET", "/%2e%2e/%2e%2e/etc/passwd", READ), 404),
    (head("GET", "/live%2f", READ), 404),
    (head("GET", "/live%00", READ), 404),
    (head("GET", "/LIVE", READ), 404),
    # messages that could be read in two ways
    (smuggled("Content-Length: 4", "Content-Length: 5", body=b"abcd"), 400),
    (smuggled("Content-Length: 4", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    (smuggled("Transfer-Encoding : chunked", body=b"0\r\n\r\n"), 400),
    (smuggled("Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), 400),
    (smuggled("Content-Length: 4097", body=b""), 413),
    (smuggled("Content-Length: -1", body=b""), 400),
    (b"GET /live\r\nHost: localhost\r\n\r\n", 400),
    (b"GET /live HTTP/1.1\nHost: localhost\n\n\r\n\r\n", 400),
    (b"GET /live HTTP/1.1\r\nHost: localhost\r\n " + READ.encode() + b"\r\n\r\n", 400),
    (head("GET", "/live", READ, "A: " + "a" * 9000), 431),
    (head("GET", "/" + "a" * 5000, READ), 414),
]


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"here"]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    monkeypatch.setenv("SHOP_PASSWORD", SECRETS[2])
    path = tmp_path / "tokens"
    path.write_text(f"read {READ_TOKEN}\ncontrol {CONTROL_TOKEN}\n", encoding="ascii")
    path.chmod(0o600)
    settings = {
        "admin_listen": "127.0.0.1:0",
        "admin_token_file": str(path),
        "admin_hosts": "shop.example",
        "admin_control": "drain",
    }
    with running_server(application, **settings) as running:
        assert wait_until(lambda: running.server.pulse is not None)
        yield running


def admin_address(server: RunningServer) -> tuple[str, int]:
    host, port = server.server.admin_addresses[0]
    return host, port


def test_hostile_requests_get_their_status_and_change_nothing(server: RunningServer) -> None:
    level = logging.getLogger().level
    statuses = []
    for data, _ in HOSTILE:
        with Client(admin_address(server)) as client:
            answer = client.request(data, method=data.split(b" ", 1)[0].decode())
            statuses.append(answer.status)
            assert answer.get("Access-Control-Allow-Origin") is None
            assert answer.get("Cache-Control") == "no-store"
            assert answer.get("X-Content-Type-Options") == "nosniff"
            assert answer.get("Content-Type") == "application/json"
            if not data.startswith(b"HEAD "):
                assert set(json.loads(answer.body)) >= {"error", "setting"}
                assert not any(secret.encode() in answer.body for secret in SECRETS)
    assert statuses == [status for _, status in HOSTILE]
    assert len(HOSTILE) >= 40
    assert server.server.life is Life.SERVING
    assert logging.getLogger().level == level
    with Client(admin_address(server)) as client:
        assert ask(client, "/live", READ).status == 200
        assert ask(client, "/live", READ, host="shop.example").status == 200
    with server.connect() as client:
        assert client.get("/").status == 200


def test_who_has_the_right_changes_something(server: RunningServer) -> None:
    with Client(admin_address(server)) as client:
        answer = ask(client, "/control/drain", CONTROL, SAYS_SO, method="POST")
        assert (answer.status, set(json.loads(answer.body))) == (202, {"effect", "life"})
    server.thread.join(20)
    assert server.server.life is Life.STOPPED


def test_no_secret_is_in_any_answer(server: RunningServer) -> None:
    """Whatever endpoints there are: those of the index, their children, and what is wrong with a question."""
    with server.connect() as client, Client(admin_address(server)) as admin:
        client.get(f"/a?q={SECRETS[0]}", f"Cookie: c={SECRETS[1]}", f"Authorization: Basic {SECRETS[3]}")
        client.send(f"GET /b?q={SECRETS[0]} HTTP/1.1\r\nCookie: c={SECRETS[1]}\r\n".encode())  # without its end
        index = json.loads(ask(admin, "/index", READ).body)
        paths = ["/index", "/nothing", *(row["path"] for row in index["endpoints"] if row["method"] == "GET")]
        paths = [path for path in paths if path != "/profile"]  # it takes seconds, and shows functions
        for path in [*paths, *(f"{path}?a={SECRETS[0]}" for path in paths)]:
            with Client(admin_address(server)) as each:
                answer = ask(each, path, READ)
            assert answer.status in {200, 400, 404, 503}, path
            text = answer.body.decode()
            assert [secret for secret in SECRETS if secret in text] == [], path
            assert not re.search(r"x{24}|SHOP_PASSWORD", text), path
