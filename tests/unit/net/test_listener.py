"""How listening sockets are opened, what they accept, and what they leave behind."""

import errno
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.connecting import begin_connection
from waitressd.net.listener import HTTP, HTTPS, REDIRECT, Listener, adopt, format_address, open_tcp, open_unix


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


def open_here(path: Path, mode: int = 0o600, owner: tuple[int, int] | None = None) -> Listener:
    return open_unix(str(path), 16, mode=mode, owner=owner)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# -- TCP


def test_port_0_is_chosen_and_named() -> None:
    (listener,) = open_tcp("127.0.0.1", 0, 16)
    assert listener.name == f"127.0.0.1:{listener.socket.getsockname()[1]}"
    assert listener.unix_path is None
    listener.close()
    listener.close()


def test_an_accepted_socket_neither_blocks_nor_is_inherited() -> None:
    (listener,) = open_tcp("127.0.0.1", 0, 16)
    assert listener.accept() is None
    with socket.create_connection(listener.socket.getsockname()) as client:
        found = listener.accept()
        assert found is not None
        sock, address = found
        assert address == client.getsockname()
        assert sock.gettimeout() == 0
        assert not sock.get_inheritable()
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        sock.close()
    listener.close()


def test_a_port_in_use_is_named_in_one_line() -> None:
    (first,) = open_tcp("127.0.0.1", 0, 16)
    port = first.socket.getsockname()[1]
    with pytest.raises(OSError, match=f"^\\[Errno {errno.EADDRINUSE}\\] cannot listen on 127.0.0.1:{port}: ") as caught:
        open_tcp("127.0.0.1", port, 16)
    assert "\n" not in str(caught.value)
    first.close()


def test_an_address_that_is_known_gets_no_second_listener() -> None:
    (first,) = open_tcp("127.0.0.1", 0, 16)
    known = {(first.family, first.address)}
    assert open_tcp("127.0.0.1", first.address[1], 16, known=known) == []
    others = open_tcp("localhost", first.address[1], 16, known=known)
    assert first.family not in [listener.family for listener in others]
    for listener in (first, *others):
        listener.close()


def test_a_port_is_free_again_at_once() -> None:
    (first,) = open_tcp("127.0.0.1", 0, 16)
    address = first.socket.getsockname()
    with socket.create_connection(address):
        found = first.accept()
        assert found is not None
        found[0].close()  # the server's side ends first: TIME_WAIT
    first.close()
    (second,) = open_tcp(address[0], address[1], 16)
    second.close()


def test_a_name_that_does_not_exist_is_named() -> None:
    with pytest.raises(OSError, match=r"cannot listen on no-such-host\.invalid:1"):
        open_tcp("no-such-host.invalid", 1, 16)


ABSENT = "192.0.2.1"  # for documentation (RFC 5737): no machine has it


@pytest.mark.parametrize("order", [(ABSENT, "127.0.0.1"), ("127.0.0.1", ABSENT), (ABSENT, "127.0.0.1", "203.0.113.7")])
def test_a_name_starts_with_those_of_its_addresses_that_are_here(
    order: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolver may give them in any order, and give some that this machine does not have, as ::1 without IPv6."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (ip, 0)) for ip in order]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args: found)  # what the system says
    (listener,) = open_tcp("shop.test", 0, 16)
    assert listener.address[0] == "127.0.0.1"
    listener.close()


def test_a_name_none_of_whose_addresses_is_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (ip, 80)) for ip in (ABSENT, "203.0.113.7")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args: found)  # what the system says
    with pytest.raises(OSError, match=r"cannot listen on shop\.test:80: Cannot assign"):
        open_tcp("shop.test", 80, 16)


def test_an_address_of_somebody_else_is_refused_and_nothing_stays_open() -> None:
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1:80"):
        open_tcp("192.0.2.1", 80, 16)


def test_all_interfaces_share_one_port() -> None:
    listeners = open_tcp(None, 0, 16)
    assert listeners
    assert len({listener.address[1] for listener in listeners}) == 1
    for listener in listeners:
        assert listener.family in (socket.AF_INET, socket.AF_INET6)
    for listener in listeners:
        listener.close()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6_is_ipv6_only() -> None:
    try:
        (listener,) = open_tcp("::1", 0, 16)
    except OSError:
        pytest.skip("no ::1 here")
    assert listener.name.startswith("[::1]:")
    assert listener.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    listener.close()


# -- accepting


class Weather:
    """A kernel whose accept fails now and then."""

    family = socket.AF_INET

    def __init__(self, *numbers: int) -> None:
        self.numbers = list(numbers)

    def fileno(self) -> int:
        return -1

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - the socket's own name
        """It does not."""

    def accept(self) -> tuple[socket.socket, object]:
        raise OSError(self.numbers.pop(0), "weather")


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.ECONNRESET])
def test_a_connection_that_is_gone_already_is_passed_over(number: int) -> None:
    listener = Listener(Weather(number, number, errno.EAGAIN))  # type: ignore[arg-type]  # a model of the kernel
    assert listener.accept() is None


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS])
def test_exhaustion_is_for_the_acceptor(number: int) -> None:
    listener = Listener(Weather(number))  # type: ignore[arg-type]  # a model of the kernel
    with pytest.raises(OSError, match="weather"):
        listener.accept()


# -- Unix sockets


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666, 0o777])
def test_the_mode_is_what_was_asked_for_whatever_the_umask(path: Path, mode: int) -> None:
    before = os.umask(0o077)
    try:
        listener = open_here(path, mode)
        assert mode_of(path) == mode
        assert os.umask(0o077) == 0o077  # it was put back
    finally:
        os.umask(before)
    assert listener.name == f"unix:{path}"
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    listener.close()
    assert not path.exists()


def test_the_owner_can_be_set(path: Path) -> None:
    listener = open_here(path, owner=(os.getuid(), -1))
    assert path.stat().st_uid == os.getuid()
    listener.close()


@pytest.mark.skipif(os.getuid() == 0, reason="root may give files away")
def test_an_owner_that_may_not_be_set_is_an_error(path: Path) -> None:
    with pytest.raises(OSError, match="cannot listen on unix:"):
        open_here(path, owner=(0, 0))


def test_a_stale_socket_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    listener = open_here(path)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    listener.close()


def test_a_live_socket_is_left_alone(path: Path) -> None:
    first = open_here(path)
    with pytest.raises(OSError, match=f"cannot listen on unix:{path}: the socket is in use"):
        open_here(path)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        found = first.accept()  # the probe
        assert found is not None
        found[0].close()
    first.close()


def test_a_plain_file_is_left_alone(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(OSError, match="the path exists and is not a socket; it is left alone"):
        open_here(path)
    assert path.read_text() == "precious"


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=f"cannot listen on unix:{tmp_path}/no/s: No such file or directory"):
        open_here(tmp_path / "no" / "s")


def test_a_path_that_is_too_long_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot listen on unix:"):
        open_here(tmp_path / ("x" * 200))


def test_only_our_own_socket_is_removed(path: Path) -> None:
    first = open_here(path)
    path.unlink()
    second = open_here(path)  # the successor, after a restart that overlaps
    first.close()
    assert path.exists()
    second.close()
    assert not path.exists()


def test_a_socket_that_somebody_removed_is_no_trouble(path: Path) -> None:
    listener = open_here(path)
    path.unlink()
    listener.close()


# -- inherited sockets


def test_an_inherited_socket_is_used_and_its_file_is_left(path: Path) -> None:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.set_inheritable(True)
    listener = adopt(sock, 16)
    assert not sock.get_inheritable()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    listener.close()
    assert path.exists()


def test_an_inherited_tcp_socket_that_listens_already() -> None:
    listener = adopt(socket.create_server(("127.0.0.1", 0)), None)
    assert listener.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert listener.accept() is None
    listener.close()


@pytest.mark.skipif(sys.platform != "linux", reason="a filter of Linux")
def test_a_sealed_backlog_is_served_to_its_end_and_nobody_new_gets_in() -> None:
    (listener,) = open_tcp("127.0.0.1", 0, 16)
    with begin_connection(listener.address, listener.family) as early:
        listener.seal()
        with begin_connection(listener.address, listener.family) as late:
            found = listener.accept()
            assert found is not None
            assert found[1] == early.getsockname()
            assert listener.accept() is None
            assert late.connect_ex(listener.address) == errno.EALREADY  # not answered, which TCP asks again
            address = listener.address
            listener.close()
            found[0].sendall(b"hello")
            early.setblocking(True)
            assert early.recv(5) == b"hello"
            found[0].close()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address, 5)


def test_a_sealed_unix_socket_has_no_file_any_more(path: Path) -> None:
    listener = open_here(path)
    with begin_connection(listener.address, listener.family):
        listener.seal()
        assert not path.exists()
        found = listener.accept()
        assert found is not None
        found[0].close()
        with open_here(path).socket:  # of the next server
            listener.close()
            assert path.exists()


def test_a_socket_that_goes_on_elsewhere_is_not_sealed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as owner:
        listener = adopt(owner.dup(), None)
        listener.seal()
        listener.close()
        with socket.create_connection(owner.getsockname(), 5):
            owner.accept()[0].close()


def test_a_datagram_socket_is_refused() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        pytest.raises(OSError, match=r"inherited socket \d+ is not a stream socket"),
    ):
        adopt(sock, None)


def test_a_child_process_inherits_no_server_socket() -> None:
    (listener,) = open_tcp("127.0.0.1", 0, 16)
    with socket.create_connection(listener.socket.getsockname()):
        found = listener.accept()
        assert found is not None
        code = "import glob, os; print([os.readlink(n) for n in glob.glob('/proc/self/fd/*') if os.path.islink(n)])"
        child = subprocess.run(
            [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, close_fds=False, check=True
        )
        assert b"socket" not in child.stdout
        found[0].close()
    listener.close()


@pytest.mark.parametrize(
    ("family", "address", "text"),
    [
        (socket.AF_INET, ("10.0.0.1", 80), "10.0.0.1:80"),
        (socket.AF_INET6, ("fe80::1", 80, 0, 2), "[fe80::1]:80"),
        (socket.AF_UNIX, "/run/s", "unix:/run/s"),
        (socket.AF_UNIX, b"\x00abstract\xff", "unix:\x00abstract\\xff"),
        (socket.AF_UNIX, "", "unix:"),
    ],
)
def test_addresses_as_people_write_them(family: int, address: object, text: str) -> None:
    assert format_address(family, address) == text


@pytest.mark.parametrize(
    ("service", "said"),
    [
        (HTTP, "Serving on http://a:1"),
        (HTTPS, "Serving on https://a:1"),
        (REDIRECT, "Serving on http://a:1 (leads to https)"),
    ],
)
def test_what_is_said_of_it(service: str, said: str) -> None:
    with socket.socket() as sock:
        listener = Listener(sock)
        listener.service = service
        assert listener.announce("Serving on http://a:1") == said
