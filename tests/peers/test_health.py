"""The files of the manual for health: each is shown on its page, and does what the page says."""

import configparser
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.client import Client
from tests.support.frontends import haproxy_status, health_haproxy
from tests.support.load import Load
from tests.support.servers import ROOT, ServerProcess, free_port, server_process
from tests.support.site import Site
from tests.support.waiting import wait_until
from waitressd.config.adjustments import Adjustments
from waitressd.config.commandline import parse_command

FILES: Final = ROOT / "docs" / "health"
ADMIN: Final = r"Admin address on 127\.0\.0\.1:(\d+)"
APP: Final = "tests.apps.plain:hello"


def text_of(name: str) -> str:
    return (FILES / name).read_text(encoding="utf-8")


def manifest() -> str:
    return (FILES.parent / "kubernetes" / "deployment.yaml").read_text(encoding="utf-8")


def haproxy_settings() -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text_of("haproxy.ini"))
    settings = dict(parser["server:main"])
    assert settings.pop("use") == "egg:waitressd"
    return settings


def admin_port(server: ServerProcess) -> int:
    return int(server.wait_for_output(ADMIN)[1])


def status_of(port: int, path: str, host: str) -> int:
    """Ask an admin address as a balancer or a node does, on a connection for each question."""
    with Client(("127.0.0.1", port)) as client:
        return client.request(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()).status


def test_each_file_is_shown() -> None:
    page = (FILES.parent / "health.rst").read_text(encoding="utf-8")
    shown = re.findall(r"^\.\. literalinclude:: health/(\S+)$", page, re.MULTILINE)
    assert sorted(shown) == sorted(path.name for path in FILES.iterdir())


def test_the_server_section_is_right() -> None:
    settings = haproxy_settings()
    assert Adjustments.from_strings(settings).origins.keys() == settings.keys()


@contextlib.contextmanager
def behind_haproxy(folder: Path) -> Iterator[tuple[list[ServerProcess], int, Path]]:
    """Run two servers with the settings of the manual, and HAProxy in front of them."""
    settings = haproxy_settings() | {
        "listen": "127.0.0.1:0",
        "admin_listen": "127.0.0.1:0",
        "trusted_proxy": "127.0.0.1",
    }
    options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    site = Site(folder)
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(
                server_process([*options, "shop:application"], cwd=folder, environment=site.environment())
            )
            for _ in range(2)
        ]
        places = {
            f"10.0.0.1{number}:6543 port 9100": f"127.0.0.1:{server.address[1]} port {admin_port(server)}"
            for number, server in enumerate(servers, 1)
        }
        port, stats = stack.enter_context(health_haproxy(folder, places))
        yield servers, port, stats


class Watch:
    """Notes when something became true, in a thread of its own."""

    def __init__(self, condition: Callable[[], bool]) -> None:
        self.moment = float("inf")
        self._condition = condition
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._ends.wait(0.02):
            if self._condition():
                self.moment = time.monotonic()
                return

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ends.set()
        self._thread.join(30)


def refuses(server: ServerProcess) -> bool:
    try:
        server.connect().close()
    except OSError:
        return True
    return False


def test_haproxy_has_left_a_server_before_its_listeners_close(tmp_path: Path) -> None:
    with behind_haproxy(tmp_path) as (servers, port, stats):
        assert wait_until(lambda: [haproxy_status(stats, name) for name in ("web1", "web2")] == ["UP", "UP"])
        load = Load(("127.0.0.1", port), kept=8, single=8)
        load.rest_seconds = 0.01
        leaving = servers[0]
        with (
            load.running(),
            Watch(lambda: haproxy_status(stats, "web1") == "DOWN") as down,
            Watch(lambda: refuses(leaving)) as closed,
        ):
            assert wait_until(lambda: len(load.books.answers) > 100)
            began = time.monotonic()
            leaving.signal(signal.SIGTERM)
            assert leaving.wait() == 0
            ended = time.monotonic()
            assert wait_until(lambda: load.books.pids(ended) != frozenset())
        books = load.stop()
        assert haproxy_status(stats, "web2") == "UP"
    assert books.trouble() == [], books.summary()
    assert books.pids(0) == {server.pid for server in servers}
    assert books.pids(closed.moment) == {servers[1].pid}
    assert began < down.moment < closed.moment < float("inf")


def test_haproxy_leaves_a_server_that_does_not_answer_and_takes_it_back(tmp_path: Path) -> None:
    """One that stands still for a while is as good as gone, and then is there again."""
    with behind_haproxy(tmp_path) as (servers, _, stats):
        assert wait_until(lambda: haproxy_status(stats, "web1") == "UP")
        servers[0].signal(signal.SIGSTOP)
        assert wait_until(lambda: haproxy_status(stats, "web1") == "DOWN", 20)
        servers[0].signal(signal.SIGCONT)
        assert wait_until(lambda: haproxy_status(stats, "web1") == "UP", 20)


# -- Kubernetes


def kubernetes_command() -> list[str]:
    """Return the command of the container."""
    (block,) = re.findall(r"^ +command:\n((?: +(?:- |#).*\n)+)", manifest(), re.MULTILINE)
    return re.findall(r"^ +- (\S+)$", block, re.MULTILINE)


def probe(name: str) -> tuple[str, dict[str, int]]:
    """Return the path that a probe asks, and its numbers."""
    (found,) = re.findall(
        rf"^ +{name}Probe:\n +httpGet: {{path: (\S+), port: admin}}\n((?: +\w+: \d+\n)+)",
        manifest(),
        re.MULTILINE,
    )
    return found[0], {key: int(value) for key, value in re.findall(r"(\w+): (\d+)", found[1])}


def test_the_pod_has_time_for_what_the_command_says() -> None:
    text = manifest()
    command = kubernetes_command()
    assert command[0] == "waitressd"
    given = parse_command(command[1:]).overrides
    settings = Adjustments.from_strings({name: str(each.value) for name, each in given.items()})
    (grace,) = re.findall(r"terminationGracePeriodSeconds: (\d+)", text)
    assert int(grace) >= settings.drain_delay + settings.shutdown_timeout + 2
    path, numbers = probe("readiness")
    assert path == "/ready"
    seconds = numbers["failureThreshold"] * numbers["periodSeconds"] + numbers["timeoutSeconds"]
    assert seconds < settings.drain_delay
    assert (probe("startup")[0], probe("liveness")[0]) == ("/ready", "/live")
    ports = dict(re.findall(r"{name: (\w+), containerPort: (\d+)}", text))
    assert [str(address) for address in settings.listen] == [f"0.0.0.0:{ports['http']}"]
    assert [str(address) for address in settings.admin_listen] == [f"0.0.0.0:{ports['admin']}"]


def test_a_pod_that_is_deleted_takes_requests_until_everybody_knows() -> None:
    """As a node does it: probes by the address of the pod, and SIGTERM."""
    replaced = {"0.0.0.0:8080": "127.0.0.1:0", "0.0.0.0:9100": "127.0.0.1:0", "shop:app": APP, "delay=5": "delay=2"}
    arguments = kubernetes_command()[1:]
    for place, own in replaced.items():
        arguments = [word.replace(place, own) for word in arguments]
    with server_process(arguments) as server:
        port = admin_port(server)
        ready, live = probe("readiness")[0], probe("liveness")[0]
        host = f"10.244.0.17:{port}"
        assert wait_until(lambda: status_of(port, probe("startup")[0], host) == 200)
        assert (status_of(port, ready, host), status_of(port, live, host)) == (200, 200)
        server.signal(signal.SIGTERM)
        assert wait_until(lambda: status_of(port, ready, host) == 503, 1)
        assert status_of(port, live, host) == 200
        with server.connect() as client:  # of somebody who does not know yet
            assert client.get("/").status == 200
        assert server.wait() == 0


# -- commands that supervisors run


def command_of(name: str) -> list[str]:
    """Return what a file runs, without the folder of the command."""
    if name == "Containerfile":
        (found,) = re.findall(r"^    CMD (\[.*\])$", text_of(name), re.MULTILINE)
        words: list[str] = json.loads(found)
    else:
        (found,) = re.findall(r"^ExecStartPost=(.*)$", text_of(name), re.MULTILINE)
        words = found.split()
    assert words[0].rpartition("/")[2] == "waitressd"
    return words[1:]


def run_as(name: str, folder: Path) -> int:
    """Run the command of a file beside the application; return its status."""
    words = [word.replace("/srv/shop/", "").replace("--wait=30", "--wait=1") for word in command_of(name)]
    command = [sys.executable, "-m", "waitressd", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False).returncode


@pytest.mark.parametrize("name", ["Containerfile", "wait-until-ready.conf"])
def test_supervisors_are_told_by_a_status(name: str, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "production.ini").write_text(
        "[app:main]\nuse = call:waitressd.deploy:demo\n"
        f"[server:main]\nuse = egg:waitressd\nlisten = 127.0.0.1:0\nadmin_listen = 127.0.0.1:{port}\ndrain_delay = 3\n",
        encoding="utf-8",
    )
    assert run_as(name, tmp_path) == 3  # nobody answers
    with server_process(["--config", "production.ini"], cwd=tmp_path) as server:
        assert run_as(name, tmp_path) == 0
        server.signal(signal.SIGTERM)
        assert wait_until(lambda: status_of(port, "/ready", "localhost") == 503)
        assert run_as(name, tmp_path) == (0 if "live" in command_of(name) else 1)
        assert server.wait() == 0


def test_systemd_waits_longer_than_the_command() -> None:
    text = text_of("wait-until-ready.conf")
    (seconds,) = re.findall(r"--wait=(\d+)", text)
    (patience,) = re.findall(r"^TimeoutStartSec=(\d+)$", text, re.MULTILINE)
    assert int(patience) > int(seconds)
    (comment,) = re.findall(r"^# /etc/systemd/system/(\S+)\.d/", text)
    assert (FILES.parent / "systemd" / comment).exists()
