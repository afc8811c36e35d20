"""Port 80 beside TLS: led to https by the loop itself, whatever the application does."""

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import Address, Client, Response
from tests.support.pki import Pki
from tests.support.servers import RunningServer, running_server

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr_oA"


def never(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    raise AssertionError("the application was asked")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "acme"
    folder.mkdir()
    (folder / TOKEN).write_text(f"{TOKEN}.thumbprint")
    return folder


@pytest.fixture
def server(tmp_path: Path, folder: Path) -> Iterator[RunningServer]:
    settings = Pki(tmp_path).issue("localhost", "127.0.0.1").settings
    with running_server(
        never, **settings, redirect_listen="127.0.0.1:0", acme_challenge_folder=str(folder), linger_timeout=0.2
    ) as server:
        yield server


def ask(client: Client, target: str, host: str = "localhost") -> Response:
    return client.request(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())


def plain(server: RunningServer) -> Address:
    host, port = server.server.effective_listen[1]
    return host, int(port)


def test_where_requests_are_led(server: RunningServer) -> None:
    with Client(plain(server)) as client:
        answer = ask(client, "/a?b=c")
        assert (answer.status, answer.get("Location")) == (308, f"https://localhost:{server.port}/a?b=c")
        assert answer.closes
    with Client(plain(server)) as client:
        client.send(b"HEAD / HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n")
        answer = client.receive("HEAD")
        assert (answer.status, answer.get("Location")) == (308, f"https://127.0.0.1:{server.port}/")
    with Client(plain(server)) as client:
        assert ask(client, "/", "other.example").status == 421


def test_a_body_in_clear_is_not_read_on(server: RunningServer) -> None:
    with Client(plain(server)) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
        answer = client.receive()
        assert (answer.status, answer.interim) == (403, ())
        client.send(b"x" * 1_000_000)
        client.expect_closed()


def test_what_is_malformed_is_refused_as_everywhere(server: RunningServer) -> None:
    with Client(plain(server)) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert client.receive().status == 400


def test_hostile_ways_to_a_challenge(server: RunningServer, folder: Path) -> None:
    (folder.parent / "secret").write_text("secret")
    (folder / "link").symlink_to(folder.parent / "secret")
    base = "/.well-known/acme-challenge/"
    for target, status in (
        (base + TOKEN, 200),
        (base + "link", 404),
        (base + "../secret", 404),
        (base + "%2e%2e%2fsecret", 404),
        (base + "..%2fsecret", 404),
        (base + ".", 404),
        (base, 404),
        ("/.well-known/x/../acme-challenge/" + TOKEN, 308),
        ("/.well-known//acme-challenge/" + TOKEN, 308),
    ):
        with Client(plain(server)) as client:
            answer = ask(client, target)
            assert answer.status == status, target
            assert b"secret" not in answer.body


def test_it_answers_while_every_thread_hangs(tmp_path: Path, folder: Path) -> None:
    leave, entered = threading.Event(), threading.Semaphore(0)

    def hanging(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        entered.release()
        assert leave.wait(30)
        start_response("200 OK", [])
        return [b""]

    settings = Pki(tmp_path).issue("localhost").settings
    with running_server(
        hanging, **settings, listen="127.0.0.1:0 127.0.0.2:0", tls_listen="127.0.0.1:0", threads=2,
        redirect_listen="127.0.0.1:0", acme_challenge_folder=str(folder),
    ) as server:  # fmt: skip
        (_, _), (host, port), redirect = server.server.effective_listen
        clients = [Client((host, int(port))) for _ in range(3)]
        try:
            for client in clients:
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert entered.acquire(timeout=30)
            assert entered.acquire(timeout=30)
            with Client((redirect[0], int(redirect[1]))) as client:
                assert ask(client, "/").status == 308
            with Client((redirect[0], int(redirect[1]))) as client:
                answer = ask(client, f"/.well-known/acme-challenge/{TOKEN}")
                assert answer.body == f"{TOKEN}.thumbprint".encode()
        finally:
            leave.set()
            for client in clients:
                client.close()


def test_the_request_log_has_them(tmp_path: Path) -> None:
    records: list[Any] = []
    done = threading.Event()

    def note(record: Any) -> None:
        records.append(record)
        done.set()

    settings = Pki(tmp_path).issue("localhost").settings
    with running_server(never, **settings, redirect_listen="127.0.0.1:0", request_log=note) as server:
        with Client(plain(server)) as client:
            ask(client, "/a")
        assert done.wait(30)
    (record,) = records
    assert (record.status, record.method, record.target, record.ended_by) == (308, "GET", "/a", "")
