"""All threads of the process."""

import contextlib
import threading
import time
from collections.abc import Iterator

from tests.support.loop import GET
from tests.support.service import Service
from tests.support.waiting import wait_until
from waitressd.insight.cpushares import CpuShares
from waitressd.insight.slices import finish
from waitressd.insight.threads import ROLES, Threads, ThreadView


def views(service: Service, watcher_id: int = 0) -> dict[str, ThreadView]:
    now = time.monotonic()
    return {view.name: view for view in finish(Threads([service.lane], watcher_id, 1, CpuShares()).views(now))}


@contextlib.contextmanager
def sleeping_thread(name: str) -> Iterator[threading.Thread]:
    """A thread of the application's."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name=name)
    thread.start()
    try:
        yield thread
    finally:
        end.set()
        thread.join(20)


def test_each_thread_has_its_role() -> None:
    with Service(3).run() as service, service.all_hung(2), contextlib.ExitStack() as stack:
        for name in ("waitressd-insight", "waitressd-log", "request-log-x", "the app's \udc80"):
            stack.enter_context(sleeping_thread(name))
        watcher = next(thread for thread in threading.enumerate() if thread.name == "watcher")
        assert watcher.ident is not None
        ident = watcher.ident
        assert wait_until(lambda: sum(view.role == "dispatcher" for view in views(service).values()) == 1)
        found = views(service, ident)
        workers = sorted(view.role for name, view in found.items() if name.startswith("test-"))
        assert workers == ["dispatcher", "task", "task", "waiting"]
        expected = {
            threading.current_thread().name: "other",
            "watcher": "watcher",
            "waitressd-insight": "insight",
            "waitressd-log": "log",
            "request-log-x": "log",
            "the app's \\udc80": "other",
        }
        assert {name: found[name].role for name in expected} == expected
        assert all(view.role in ROLES for view in found.values())


def test_a_task_says_what_it_runs_and_where() -> None:
    with Service(1).run() as service, service.all_hung(1):
        (view,) = [view for view in views(service).values() if view.role == "task"]
        assert view.request is not None
        assert view.request.startswith("1-")
        assert view.request.endswith("-1")
        assert view.busy_seconds is not None
        assert 0 <= view.busy_seconds < 30
        assert view.place is not None
        assert view.place.endswith("Service._handle")
        assert view.native_id in {thread.native_id for thread in threading.enumerate()}
        assert [
            (view.request, view.busy_seconds) for view in views(service).values() if view.role != "task"
        ] == [(None, None)] * (len(views(service)) - 1)  # fmt: skip


def test_a_worker_that_has_answered_is_busy_no_more() -> None:
    with Service(1).run() as service, service.connect() as client:
        assert client.request(GET).status == 200
        assert wait_until(lambda: all(view.busy_seconds is None for view in views(service).values()))


def test_those_of_the_server_come_first() -> None:
    with Service(2).run() as service, service.all_hung(1):
        threads = Threads([service.lane], 0, 1, CpuShares())
        roles = [view.role for view in finish(threads.views(time.monotonic()))]
        assert roles == sorted(roles, key=ROLES.index)
