"""What systemd is told, over a fake notify socket; which inherited descriptors a name stands for."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from waitressd.net.pulse import Pulse
from waitressd.systemd import Notifier, ServiceManager, inherited_descriptors, passed_descriptors


class Manager:
    """The other end of the notify socket."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(5)

    def receive(self) -> list[str]:
        return self.socket.recv(4096).decode().split("\n")

    def is_silent(self) -> bool:
        self.socket.setblocking(False)
        try:
            self.socket.recv(4096)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(5)
        return False


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.socket.close()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(tmp_path / "notify")}


def test_what_is_said(manager: Manager, environ: dict[str, str]) -> None:
    notifier = Notifier(environ)
    notifier.ready("Serving on\nhttp://127.0.0.1:80")
    assert manager.receive() == ["READY=1", "STATUS=Serving on http://127.0.0.1:80"]
    notifier.reloading()
    first, second = manager.receive()
    assert first == "RELOADING=1"
    assert second.startswith("MONOTONIC_USEC=")
    notifier.extend_stop(2.5)
    assert manager.receive() == ["EXTEND_TIMEOUT_USEC=2500000"]
    notifier.stopping("Finishing 3 requests")
    assert manager.receive() == ["STOPPING=1", "STATUS=Finishing 3 requests"]
    notifier.alive()
    assert manager.receive() == ["WATCHDOG=1"]


def test_an_abstract_address() -> None:
    name = f"waitressd-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    try:
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).alive()
        assert manager.receive() == ["WATCHDOG=1"]
    finally:
        manager.socket.close()


def test_without_a_manager_nothing_happens(tmp_path: Path) -> None:
    Notifier({}).ready("")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready("")


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_the_watchdog_s_interval(environ: dict[str, str], variables: dict[str, str], seconds: float) -> None:
    assert Notifier(environ | variables).watchdog_seconds == seconds


class Loop:
    """An event loop and a pool that live as long as a test says."""

    is_accepting = True
    has_ended = False

    def __init__(self) -> None:
        self.turned_at = 0.0
        self.poked = 0
        self.is_whole = True

    def wake(self) -> None:
        self.poked += 1


@pytest.fixture
def loop() -> Loop:
    return Loop()


def watchdog(loop: Loop, environ: dict[str, str], usec: str = "8000000") -> ServiceManager:
    notifier = Notifier(environ | {"WATCHDOG_USEC": usec})
    return ServiceManager(notifier, Pulse([loop]))


def test_a_loop_that_turns_feeds_the_watchdog(manager: Manager, environ: dict[str, str], loop: Loop) -> None:
    dog = watchdog(loop, environ)
    for now in (100.0, 102.0, 104.0):
        dog.on_tick(now)
        assert manager.receive() == ["WATCHDOG=1"]
        loop.turned_at = now + 0.1  # the poke made it turn
    assert loop.poked == 3
    dog.on_tick(105.0)
    assert manager.is_silent()


def test_a_loop_that_hangs_does_not(manager: Manager, environ: dict[str, str], loop: Loop) -> None:
    dog = watchdog(loop, environ)
    dog.on_tick(100.0)
    manager.receive()
    dog.on_tick(102.0)
    dog.on_tick(104.0)
    assert manager.is_silent()
    loop.turned_at = 105.0
    dog.on_tick(106.0)
    assert manager.receive() == ["WATCHDOG=1"]


def test_a_pool_without_threads_does_not(manager: Manager, environ: dict[str, str], loop: Loop) -> None:
    loop.is_whole = False
    watchdog(loop, environ).on_tick(100.0)
    assert manager.is_silent()


def test_a_watchdog_that_nobody_wants_is_silent(manager: Manager, environ: dict[str, str], loop: Loop) -> None:
    watchdog(loop, environ, "").on_tick(100.0)
    assert manager.is_silent()
    assert loop.poked == 0


def test_the_service_manager_is_told_each_thing_once(manager: Manager, environ: dict[str, str], loop: Loop) -> None:
    told = watchdog(loop, environ)
    told.ready("Serving on a:1")
    assert manager.receive() == ["READY=1", "STATUS=Serving on a:1"]
    reopened: list[bool] = []
    told.reopened(lambda: reopened.append(True))
    assert manager.receive()[0] == "RELOADING=1"
    assert manager.receive() == ["READY=1", "STATUS=Serving on a:1"]
    assert reopened == [True]
    told.on_tick(100.0)
    assert manager.receive() == ["WATCHDOG=1"]
    told.stopping("Finishing", 2)
    told.stopping("Finishing", 2)
    assert manager.receive() == ["STOPPING=1", "STATUS=Finishing"]
    assert manager.receive() == ["EXTEND_TIMEOUT_USEC=2000000"]
    assert manager.is_silent()


PASSED = {"LISTEN_FDS": "3", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "web:admin:web"}


@pytest.mark.parametrize(
    ("fd", "environ", "expected"),
    [
        (7, {}, [7]),
        ("web", PASSED, [3, 5]),
        ("admin", PASSED, [4]),
        ("unknown", {"LISTEN_FDS": "2"}, [3, 4]),
    ],
)
def test_inherited_descriptors(fd: int | str, environ: dict[str, str], expected: list[int]) -> None:
    assert inherited_descriptors(fd, environ) == expected


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "cannot listen on fd:shop: no sockets were passed (LISTEN_FDS is not set)"),
        (PASSED, "cannot listen on fd:shop: systemd passed no socket of this name (it passed web, admin)"),
        (
            PASSED | {"LISTEN_PID": "1"},
            "cannot listen on fd:shop: the sockets were passed to process 1, not to this one",
        ),
        ({"LISTEN_FDS": "0"}, "cannot listen on fd:shop: systemd passed no socket of this name (it passed none)"),
    ],
)
def test_a_name_that_was_not_passed(environ: dict[str, str], message: str) -> None:
    with pytest.raises(OSError, match=r"^") as caught:
        inherited_descriptors("shop", environ)
    assert caught.value.strerror == message


def test_a_store_is_there_if_the_manager_says_so(environ: dict[str, str]) -> None:
    assert Notifier(environ).store_size == 0
    assert Notifier(environ | {"FDSTORE": "8"}).store_size == 8
    assert Notifier(environ | {"FDSTORE": "much"}).store_size == 0
    assert Notifier({"FDSTORE": "8"}).store_size == 0
    assert not Notifier({}).store("name", 0)


def test_what_was_passed_is_found_by_the_beginning_of_its_name() -> None:
    environ = {"LISTEN_FDS": "3", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "a-1:b:a-2"}
    assert passed_descriptors("a-", environ) == [("a-1", 3), ("a-2", 5)]
    assert passed_descriptors("a-", environ | {"LISTEN_PID": "1"}) == []
    assert passed_descriptors("a-", environ | {"LISTEN_FDS": ""}) == []
    assert passed_descriptors("a-", {}) == []
