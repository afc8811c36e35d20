"""The life of a server, and what it says of itself."""

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apps.plain import hello
from tests.support.client import Client
from tests.support.servers import RunningServer, running_server
from tests.support.waiting import wait_until
from waitressd import create_server, serve
from waitressd import server as module
from waitressd.config.adjustments import Adjustments
from waitressd.config.errors import ConfigError
from waitressd.dispatch.dispatcher import Dispatcher
from waitressd.dispatch.snapshot import EMPTY
from waitressd.dispatch.watcher import Watcher
from waitressd.http.errors import ProtocolMisuse
from waitressd.life import TRANSITIONS, Life
from waitressd.listeners import open_listeners
from waitressd.server import Server
from waitressd.systemd import Notifier

LOOPBACK = "127.0.0.1:0"


@pytest.mark.parametrize("following", Life)
@pytest.mark.parametrize("life", Life)
def test_a_move_that_is_not_in_the_table_is_refused(life: Life, following: Life) -> None:
    server = Server(Adjustments(), hello)
    server._life = life
    if following in TRANSITIONS[life]:
        server._become(following)
        assert server._life is following
    else:
        with pytest.raises(ProtocolMisuse, match=f"a server that is {life.name} cannot become {following.name}"):
            server._become(following)
        assert server._life is life


def test_the_way_of_a_life() -> None:
    server = create_server(hello, listen=LOOPBACK)
    lives = [server._life]
    thread = threading.Thread(target=server.run)
    thread.start()
    assert wait_until(lambda: server._life is Life.SERVING)
    server.close()
    thread.join(10)
    lives.append(server._life)
    server.close()  # twice is harmless
    assert [*lives, server._life] == [Life.LISTENING, Life.STOPPED, Life.STOPPED]


def test_what_was_closed_does_not_run() -> None:
    server = create_server(hello, listen=LOOPBACK)
    server.close()
    server.run()
    assert server._life is Life.STOPPED


def test_what_never_opened_can_be_closed() -> None:
    server = Server(Adjustments.from_keywords(listen=LOOPBACK), hello)
    server.close()
    with pytest.raises(ProtocolMisuse):
        server.open()


def test_run_binds_what_is_not_bound_yet() -> None:
    server = Server(Adjustments.from_keywords(listen=LOOPBACK), hello)
    thread = threading.Thread(target=server.run)
    thread.start()
    assert wait_until(lambda: server._life is Life.SERVING)
    assert server.effective_port != 0
    server.close()
    thread.join(10)


def test_a_server_that_runs_is_not_harmed_by_a_second_run() -> None:
    with running_server(hello) as server, server.connect() as client:
        assert client.get().status == 200
        with pytest.raises(ProtocolMisuse, match="a server that is SERVING cannot become SERVING"):
            server.server.run()
        assert client.get().status == 200


@pytest.mark.parametrize("started", [0, 1, 3])
def test_threads_that_cannot_be_started_end_the_start_and_leave_nothing(
    started: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start
    left = started

    def refuse(thread: threading.Thread) -> None:
        nonlocal left
        if thread.name == "waitressd-log":  # the server does without it
            raise RuntimeError("can't start new thread")
        if not left:
            raise RuntimeError("can't start new thread")
        left -= 1
        start(thread)

    server = create_server(hello, listen=LOOPBACK)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(OSError, match=f"cannot start thread {started + 1} of 5: can't start new thread"):
        server.run()
    assert server._life is Life.STOPPED


def test_who_wants_to_is_called_from_time_to_time_in_the_thread_that_runs() -> None:
    calls: list[tuple[float, str]] = []
    called = threading.Event()

    def on_tick(now: float) -> None:
        calls.append((now, threading.current_thread().name))
        if len(calls) == 2:
            called.set()

    with running_server(hello) as server:
        server.server.on_tick.append(on_tick)
        assert called.wait(10)
        assert {name for _, name in calls} == {server.thread.name}
    assert calls == sorted(calls)


def test_a_defect_of_the_watcher_ends_the_threads_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_watcher: Watcher, _on_tick: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Watcher, "watch", fail)
    server = create_server(hello, listen=LOOPBACK)
    with pytest.raises(ZeroDivisionError):
        server.run()
    assert server._life is Life.STOPPED
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("waitressd-")]


def test_the_application_may_be_given_by_its_name() -> None:
    create_server(app=hello, listen=LOOPBACK).close()


def test_what_stopped_the_server_is_said_also_where_the_stop_is_over_at_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "waitressd")
    server = create_server(hello, listen=LOOPBACK)
    server.on_signal(signal.SIGTERM, None)  # before it runs
    server.run()
    assert "SIGTERM: stopping; a second signal ends at once" in caplog.messages


def test_what_cannot_be_called_is_refused_before_anything_is_opened() -> None:
    with pytest.raises(TypeError, match="the application must be callable, and 'hello' is not"):
        create_server("hello", listen=LOOPBACK)  # type: ignore[arg-type]  # that is the mistake


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"workers": 4}, "workers = 4"),
        ({"workers": "auto"}, "workers = auto"),
        ({"supervise": True}, "supervise = true"),
    ],
)
def test_a_server_in_this_process_has_no_workers(settings: dict[str, Any], named: str) -> None:
    text = "create_server builds one server in this process; for workers use serve, pserve or the command waitressd"
    with pytest.raises(ConfigError, match=f"^{named}: {text}$"):
        create_server(hello, listen=LOOPBACK, **settings)


def test_addresses_of_every_kind(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "web.sock"
    caplog.set_level(logging.INFO, "waitressd")
    server = create_server(hello, listen=f"{LOOPBACK} [::1]:0 unix:{path}")
    try:
        (v4, v4_port), (v6, v6_port), unix = server.effective_listen
        assert (v4, v6, unix) == ("127.0.0.1", "::1", ("unix", str(path)))
        assert (server.effective_host, server.effective_port) == (v4, v4_port)
        assert server.getsockname() == server.addresses[0] == (v4, v4_port)
        assert server.addresses[1:] == [("::1", v6_port, 0, 0), str(path)]
        server.print_listen("at {} {}")
        assert caplog.messages == [f"at 127.0.0.1 {v4_port}", f"at [::1] {v6_port}", f"at unix {path}"]
    finally:
        server.close()


def test_a_snapshot_before_the_start_is_empty() -> None:
    server = create_server(hello, listen=LOOPBACK)
    try:
        assert server.snapshot() == EMPTY
    finally:
        server.close()


def test_a_first_signal_drains_and_a_second_ends(caplog: pytest.LogCaptureFixture) -> None:
    entered, leave = threading.Event(), threading.Event()

    def holding(environ: dict[str, Any], start_response: Any) -> Any:
        entered.set()
        leave.wait(10)
        return hello(environ, start_response)

    caplog.set_level(logging.INFO, "waitressd")
    with running_server(holding) as running, running.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert entered.wait(10)
        server = running.server
        server.on_signal(signal.SIGTERM, None)
        assert wait_until(lambda: "SIGTERM: stopping; a second signal ends at once" in caplog.messages)
        assert server._life is Life.DRAINING
        server.on_signal(signal.SIGINT, None)
        client.expect_closed()
        leave.set()
        running.thread.join(10)
    assert server.snapshot().busy_threads == 0
    assert any("cut off by the stop: GET / of 127.0.0.1" in message for message in caplog.messages)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_other_signals_reopen_log_files(number: signal.Signals, log_file: Path) -> None:
    with running_server(hello) as running:
        log_file.rename(log_file.with_suffix(".1"))
        running.server.on_signal(number, None)
        assert wait_until(log_file.exists)
        with running.connect() as client:
            assert client.get("/").status == 200


def test_the_main_thread_gets_its_signal_handlers_back_and_what_is_ignored_stays_so() -> None:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
    former = {number: signal.getsignal(number) for number in numbers}
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    server = create_server(hello, listen=LOOPBACK)
    during: list[Any] = []

    def look_and_stop() -> None:
        wait_until(lambda: signal.getsignal(signal.SIGTERM) != former[signal.SIGTERM])
        during.extend(signal.getsignal(number) for number in numbers)
        server.close()

    stopper = threading.Thread(target=look_and_stop)
    stopper.start()
    try:
        server.run()
        stopper.join(20)
        assert during == [during[0], during[0], signal.SIG_IGN, during[0]]
        after = {number: signal.getsignal(number) for number in numbers}
        assert after == {**former, signal.SIGHUP: signal.SIG_IGN}
    finally:
        signal.signal(signal.SIGHUP, former[signal.SIGHUP])


def test_serve_says_where(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level(logging.INFO, "waitressd")
    path = tmp_path / "web.sock"

    def stopped(environ: dict[str, Any], start_response: Any) -> Any:
        raise AssertionError

    def interrupt() -> None:
        wait_until(lambda: any("Serving on" in message for message in caplog.messages))
        wait_until(lambda: callable(signal.getsignal(signal.SIGUSR1)))
        signal.raise_signal(signal.SIGTERM)

    stopper = threading.Thread(target=interrupt)
    stopper.start()
    serve(stopped, unix_socket=str(path))
    stopper.join(10)
    assert f"Serving on http://unix:{path}" in caplog.messages
    assert not path.exists()


def test_serve_may_be_quiet_as_in_waitress(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level(logging.INFO, "waitressd")

    def stopped(environ: dict[str, Any], start_response: Any) -> Any:
        raise AssertionError

    def interrupt() -> None:
        wait_until(lambda: callable(signal.getsignal(signal.SIGTERM)))
        signal.raise_signal(signal.SIGTERM)

    stopper = threading.Thread(target=interrupt)
    stopper.start()
    serve(stopped, unix_socket=str(tmp_path / "web.sock"), _quiet=True)
    stopper.join(10)
    assert not any("http://" in message for message in caplog.messages)


def test_a_plugin_is_closed_without_a_lock_of_the_server() -> None:
    """A hook may take its time, and another thread may look at the server meanwhile."""
    free: list[bool] = []

    class Hook:
        def __call__(self, _record: Any) -> None:
            """Take a record."""

        def close(self) -> None:
            """Look from another thread whether the lock can be taken."""

            def look() -> None:
                free.append(server._life_lock.acquire(timeout=5))
                server._life_lock.release()

            thread = threading.Thread(target=look)
            thread.start()
            thread.join()

    server = create_server(hello, listen=LOOPBACK, request_log=Hook())
    server.close()
    assert free == [True]


def test_a_stop_leaves_nothing_behind_when_close_returns() -> None:
    with running_server(hello) as running, running.connect() as client:
        assert client.get("/").status == 200
        running.server.close()
        names = {thread.name for thread in threading.enumerate()}
        assert not {name for name in names if name.startswith("waitressd")}


@contextlib.contextmanager
def held_request(**settings: Any) -> Iterator[tuple[RunningServer, Client, threading.Event]]:
    """Have a request in the application until the event is set."""
    entered, leave = threading.Event(), threading.Event()

    def holding(environ: dict[str, Any], start_response: Any) -> Any:
        entered.set()
        leave.wait(10)
        return hello(environ, start_response)

    with running_server(holding, **settings) as running, running.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert entered.wait(10)
        try:
            yield running, client, leave
        finally:
            leave.set()


def test_a_stop_may_be_begun_without_waiting_for_it() -> None:
    with held_request() as (running, client, leave):
        running.server.stop(30.0)
        assert wait_until(lambda: running.server._life is Life.DRAINING)
        leave.set()
        assert client.receive().status == 200
        running.thread.join(10)
        assert not running.thread.is_alive()


def test_a_stop_has_the_seconds_that_it_is_given_and_a_later_one_gives_no_more() -> None:
    with held_request(shutdown_timeout=600) as (running, client, _):
        before = time.monotonic()
        running.server.stop(0.1)
        running.server.stop(600.0)
        assert running.server.drain_end < before + 10
        client.expect_closed()


def test_a_stop_may_be_cut_short_by_any_thread() -> None:
    with held_request(shutdown_timeout=600) as (running, client, _):
        running.server.stop(600.0)
        running.server.abort()
        client.expect_closed()


def test_a_server_that_does_not_serve_has_nothing_to_stop() -> None:
    server = create_server(hello, listen=LOOPBACK)
    server.stop(1.0)
    assert server.drain_end == float("inf")
    server.close()


def test_a_stop_may_leave_the_backlog_to_other_processes() -> None:
    with running_server(hello) as running, running.server._listeners[0].socket.dup() as other:
        with running.connect() as client:
            assert client.get("/").status == 200
        running.server.stop(10.0, takes_backlog=False)
        running.thread.join(10)
        assert not running.thread.is_alive()
        with Client(other.getsockname(), timeout=10) as client:  # the address is still the other's
            client.send(b"x")
            taken, _ = other.accept()
            taken.close()


class ToldNotifier(Notifier):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__({})
        self.told: list[str] = []

    def ready(self, status: str) -> None:
        """It serves."""
        self.told.append(f"ready: {status.partition(' on ')[0]}")

    def stopping(self, status: str) -> None:
        """It stops."""
        self.told.append(f"stopping: {status}")


def test_another_than_the_service_manager_may_be_told_of_its_life() -> None:
    server = create_server(hello, listen=LOOPBACK, threads=1)
    server.notifier = notifier = ToldNotifier()
    server.on_ready.append(lambda _text: server.stop(5.0))
    server.run()
    assert [text.partition(":")[0] for text in notifier.told] == ["ready", "stopping"]


def test_log_files_are_opened_anew_by_a_thread_of_their_own(log_file: Path) -> None:
    with running_server(hello) as running:
        log_file.rename(log_file.with_suffix(".1"))
        running.server.reopen_soon()
        assert wait_until(log_file.exists)


def test_listeners_can_be_handed_in_and_belong_to_the_server_then() -> None:
    listeners = open_listeners(Adjustments.from_keywords(listen=LOOPBACK))
    server = Server(Adjustments.from_keywords(listen="127.0.0.1:1"), hello)
    server.open(listeners)
    assert server.addresses == [listeners[0].socket.getsockname()]
    thread = threading.Thread(target=server.run)
    thread.start()
    with Client(listeners[0].socket.getsockname(), timeout=10) as client:
        assert client.get("/").status == 200
    server.close()
    thread.join(10)
    assert listeners[0].socket.fileno() == -1


def test_whoever_wants_to_know_is_told_when_requests_are_served() -> None:
    server = create_server(hello, listen=LOOPBACK, threads=2)
    ready = threading.Event()
    said: list[str] = []
    server.on_ready += [said.append, lambda _text: ready.set()]
    thread = threading.Thread(target=server.run)
    thread.start()
    assert ready.wait(10)
    server.close()
    thread.join(10)
    assert said == [f"Serving on 127.0.0.1:{server_port(said[0])} with 2 threads"]


def server_port(sentence: str) -> int:
    """Find the port in what a server says of itself."""
    return int(sentence.split(":")[1].split(maxsplit=1)[0])


def test_a_stop_that_the_event_loop_does_not_follow_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_ABORT_SECONDS", 0.0)
    server = create_server(hello, listen=LOOPBACK, shutdown_timeout=0)
    server.on_ready.append(lambda _text: server.close())
    well = threading.Event()
    monkeypatch.setattr(Dispatcher, "_continue_drain", lambda _dispatcher: not well.wait(30))
    server.run()
    well.set()
    assert server._life is Life.STOPPED
    assert "the event loop does not end; the process ends without it" in caplog.messages
