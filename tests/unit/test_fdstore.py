"""Which listeners the service manager is asked to keep; the functional tests show how they come back."""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.manager import Manager
from waitressd.config.adjustments import Adjustments
from waitressd.fdstore import FdStore, keep_while_serving, take_kept
from waitressd.listeners import open_listeners
from waitressd.net.listener import Listener
from waitressd.systemd import Notifier

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="systemd is of Linux")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path)
    yield made
    made.close()


@pytest.fixture
def opened() -> Iterator[list[Listener]]:
    """Listeners that are closed at the end."""
    listeners: list[Listener] = []
    yield listeners
    for listener in listeners:
        listener.is_kept = False
        listener.close()


def notifier(manager: Manager, size: int = 16) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": manager.path, "FDSTORE": str(size)})


def bound() -> Listener:
    """Return a listener of an address that says its port."""
    (listener,) = open_listeners(Adjustments.from_keywords(listen="127.0.0.1:0"))
    listener.asked = listener.name
    return listener


def test_what_is_kept_follows_what_is_listened_to(manager: Manager, opened: list[Listener], tmp_path: Path) -> None:
    one, two = bound(), bound()
    (unix,) = open_listeners(Adjustments.from_keywords(listen=f"unix:{tmp_path}/a@b+c"))
    opened += [one, two, unix]
    store = FdStore(notifier(manager))
    store.keep([one, unix])
    manager.wait_for_kept(2)
    store.keep([one, unix])
    assert manager.counts()["FDSTORE"] == 2
    file = (tmp_path / "a@b+c").stat()
    assert set(manager.kept) == {
        f"waitressd-{one.name.replace(':', '%3A')}",
        f"waitressd-unix%3A{tmp_path}/a@b%2Bc@{file.st_dev}.{file.st_ino}",
    }
    store.keep([two, unix])
    manager.wait_for(f"FDNAME=waitressd-{two.name.replace(':', '%3A')}")
    manager.wait_for_kept(2)
    assert f"waitressd-{one.name.replace(':', '%3A')}" not in manager.kept
    assert (two.is_kept, unix.is_kept) == (True, True)


def test_what_nobody_could_find_again_is_not_kept(manager: Manager, opened: list[Listener], tmp_path: Path) -> None:
    one, inherited, file = bound(), bound(), bound()
    (unix,) = open_listeners(Adjustments.from_keywords(listen=f"unix:{tmp_path}/gone"))
    opened += [one, inherited, file, unix]
    one.asked = "127.0.0.1:0"
    inherited.bound_by = 0
    (tmp_path / "gone").unlink()
    FdStore(notifier(manager)).keep([one, inherited, unix])
    FdStore(notifier(manager, 0)).keep([file])
    FdStore(Notifier({})).keep([file])
    assert not any(listener.is_kept for listener in opened)
    notifier(manager).unstore([])
    assert manager.counts()["FDSTORE"] == 0


def test_only_as_many_are_kept_as_there_is_room_for(manager: Manager, opened: list[Listener]) -> None:
    opened += [bound(), bound()]
    FdStore(notifier(manager, 1)).keep(opened)
    manager.wait_for_kept(1)
    assert sorted(listener.is_kept for listener in opened) == [False, True]


def test_a_listener_that_is_kept_is_neither_sealed_nor_its_file_removed(opened: list[Listener], tmp_path: Path) -> None:
    (unix,) = open_listeners(Adjustments.from_keywords(listen=f"unix:{tmp_path}/a"))
    opened.append(unix)
    unix.is_kept = True
    unix.seal()
    unix.close()
    assert (tmp_path / "a").exists()


def test_a_server_has_its_listeners_kept_once_it_serves(
    manager: Manager, opened: list[Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    monkeypatch.setenv("FDSTORE", "3")
    opened.append(bound())
    on_ready: list[Callable[[str], object]] = []
    keep_while_serving(on_ready, opened)
    assert not opened[0].is_kept
    on_ready[0]("Serving")
    assert opened[0].is_kept


def test_what_a_stop_has_closed_meanwhile_is_not_kept(manager: Manager) -> None:
    closed = bound()
    closed.close()
    FdStore(notifier(manager)).keep([closed])
    FdStore(notifier(manager, 0)).keep([closed])
    assert not closed.is_kept


def test_without_a_manager_nothing_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_FDNAMES", "waitressd-a")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + 1))
    assert take_kept([(socket.AF_INET, ("127.0.0.1", 1))]) == {}
