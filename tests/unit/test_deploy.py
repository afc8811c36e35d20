"""The factory and the runner as PasteDeploy calls them, and the demonstration application."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from waitressd.config.adjustments import Adjustments
from waitressd.config.errors import ConfigError
from waitressd.deploy import Runner, adjusted_for_reloader, demo, hurry_reloader, server_factory, server_runner


def test_the_factory_checks_at_once_and_opens_nothing() -> None:
    assert isinstance(server_factory({}, listen="127.0.0.1:0"), Runner)
    with pytest.raises(ConfigError, match="threads = x"):
        server_factory({}, threads="x")


def test_the_runner_checks_too() -> None:
    with pytest.raises(ConfigError, match="threads = x"):
        server_runner(demo({}), {}, threads="x")


def test_what_cannot_be_called_is_no_application() -> None:
    with pytest.raises(TypeError, match="the application must be callable, and 5 is not"):
        server_factory({}, listen="127.0.0.1:0")(5)
    with pytest.raises(TypeError, match="must be callable"):
        server_factory({}, listen="127.0.0.1:0", fast_listen="true")(5)


def test_an_unwise_setting_is_a_warning(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    path = tmp_path / "a.ini"
    path.write_text("[DEFAULT]\nport=1\n[server:main]\nuse=egg:waitressd\nport=2\nsend_bytes=1\n", encoding="utf-8")
    from paste.deploy import loadserver

    with caplog.at_level(logging.WARNING, "waitressd.config"):
        loadserver(f"config:{path}")
    codes = [record.getMessage().partition(" ")[0] for record in caplog.records]
    assert codes == ["W113", "W116"]


def test_a_log_file_that_workers_would_share_is_a_warning(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    handler = logging.FileHandler(tmp_path / "a.log", "w")
    logging.getLogger("tests.deploy").addHandler(handler)
    try:
        with caplog.at_level(logging.WARNING, "waitressd.config"):
            server_factory({}, listen="127.0.0.1:0", workers="1")
            server_factory({}, listen="127.0.0.1:0", workers="2")
    finally:
        logging.getLogger("tests.deploy").removeHandler(handler)
        handler.close()
    assert [record.getMessage().partition(" empties ")[0] for record in caplog.records] == ["W118 FileHandler"]


watched: list[str] = []


@pytest.fixture
def hupper_says() -> Iterator[Any]:
    """Put a module in place of hupper that says whether this process is its worker."""
    former = sys.modules.get("hupper")
    watched.clear()

    def say(*, active: bool) -> None:
        module = sys.modules["hupper"] = ModuleType("hupper")
        module.is_active = lambda: active  # type: ignore[attr-defined]  # a module made for this test
        module.get_reloader = lambda: module  # type: ignore[attr-defined]  # the same
        module.watch_files = watched.extend  # type: ignore[attr-defined]  # the same

    yield say
    sys.modules.pop("hupper", None)
    if former is not None:
        sys.modules["hupper"] = former


def test_inside_hupper_there_is_no_drain(hupper_says: Any) -> None:
    adjustments = Adjustments(shutdown_timeout=25.0)
    hupper_says(active=False)
    assert adjusted_for_reloader(adjustments) is adjustments
    hupper_says(active=True)
    assert adjusted_for_reloader(adjustments).shutdown_timeout == 0


def test_inside_hupper_there_is_one_process(hupper_says: Any, caplog: pytest.LogCaptureFixture) -> None:
    adjustments = Adjustments(workers=4, supervise=True)
    hupper_says(active=False)
    assert adjusted_for_reloader(adjustments) is adjustments
    hupper_says(active=True)
    with caplog.at_level(logging.INFO, "waitressd"):
        assert not adjusted_for_reloader(adjustments).may_be_fleet
        assert not adjusted_for_reloader(Adjustments()).may_be_fleet  # which takes no line
    (record,) = caplog.records
    assert record.getMessage() == "under a reloader there is one process: workers counts as 1"


def test_the_worker_of_hupper_does_not_wait_for_a_look_at_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker joins that thread, which sleeps between two looks, and hupper kills a worker after a second."""
    hupper = pytest.importorskip("hupper")
    looker = hupper.worker.WatchSysModules(lambda _paths: None)
    looker.start()
    try:
        hurry_reloader()
        assert looker.poll_interval == 1  # this process is no worker
        monkeypatch.setattr(hupper.worker, "_reloader_proxy", object())
        hurry_reloader()
        assert looker.poll_interval < 0.5
    finally:
        looker.stop()
        looker.join()


def test_inside_hupper_every_file_is_watched(hupper_says: Any, tmp_path: Path) -> None:
    (tmp_path / "a.ini").write_text("[server:main]\nuse = config:b.ini\nthreads = 3\n", encoding="utf-8")
    (tmp_path / "b.ini").write_text("[server:main]\nuse = egg:waitressd\n", encoding="utf-8")
    from paste.deploy import loadserver

    hupper_says(active=False)
    loadserver(f"config:{tmp_path}/a.ini")
    assert watched == []
    hupper_says(active=True)
    loadserver(f"config:{tmp_path}/a.ini")
    assert [Path(name).name for name in watched] == ["a.ini", "b.ini"]


def answer(method: str, path: str, **environ: Any) -> tuple[str, bytes]:
    """Ask the demonstration application."""
    started: list[str] = []
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, **environ}
    setup_testing_defaults(environ)
    body = b"".join(demo({}, greeting="Good day.")(environ, lambda status, headers: started.append(status)))
    return started[0], body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", "200 OK"),
        ("HEAD", "/", "200 OK"),
        ("POST", "/", "405 Method Not Allowed"),
        ("GET", "/echo", "405 Method Not Allowed"),
        ("GET", "/count", "200 OK"),
        ("GET", "/nothing", "404 Not Found"),
    ],
)
def test_the_demonstration(method: str, path: str, status: str) -> None:
    assert answer(method, path)[0] == status


def test_what_the_demonstration_says() -> None:
    assert answer("GET", "/")[1].startswith(b"Good day.\n")
    assert answer("GET", "/count")[1].splitlines()[-1] == b"1000"
    with pytest.raises(RuntimeError, match="this page fails"):
        answer("GET", "/error")
    with open(__file__, "rb") as body:  # noqa: PTH123 - a file as wsgi.input has it
        whole = Path(__file__).read_bytes()
        assert answer("POST", "/echo", **{"wsgi.input": body}) == ("200 OK", whole)
