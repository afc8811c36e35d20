"""Configurations that serve: every way in, the files that we ship, variables, listeners of every sort, reload, stop."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.client import Client
from tests.support.servers import (
    ROOT,
    ServerProcess,
    free_port,
    server_process,
    start_process,
    wait_until_accepting,
)

PSERVE: Final = (
    sys.executable,
    "-W",
    "ignore",
    "-c",
    "import sys; from pyramid.scripts.pserve import main; sys.exit(main())",
)
WAITRESSD: Final = (sys.executable, "-m", "waitressd")
LOADSERVER: Final = (
    sys.executable,
    "-c",
    "import sys, logging; from paste.deploy import loadapp, loadserver;"
    "logging.basicConfig(level='INFO');"
    "uri = 'config:' + sys.argv[1]; serve = loadserver(uri, relative_to='.');"
    "sys.exit(serve(loadapp(uri, relative_to='.')))",
)
PLASTER: Final = (
    sys.executable,
    "-c",
    "import sys, plaster; loader = plaster.get_loader(sys.argv[1], protocols=['wsgi']);"
    "loader.setup_logging(); serve = loader.get_wsgi_server();"
    "sys.exit(serve(loader.get_wsgi_app()))",
)
WAYS: Final = {"pserve": PSERVE, "waitressd": WAITRESSD, "loadserver": LOADSERVER, "plaster": PLASTER}
LOGGING: Final = (
    "[loggers]\nkeys = root\n[handlers]\nkeys = console\n[formatters]\nkeys = plain\n"
    "[logger_root]\nlevel = INFO\nhandlers = console\n"
    "[handler_console]\nclass = StreamHandler\nargs = (sys.stderr,)\nformatter = plain\n"
    "[formatter_plain]\nformat = %(levelname)s %(message)s\n"
)
APP: Final = "[app:main]\nuse = call:waitressd.deploy:demo\ngreeting = %(here)s\n"


def get(server: ServerProcess, path: str = "/") -> tuple[int, bytes]:
    with server.connect() as client:
        answer = client.get(path)
    return answer.status, answer.body


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    def write_to(text: str, name: str = "a.ini") -> str:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return write_to


@pytest.mark.parametrize("config", ["development.ini", "production.ini"])
@pytest.mark.parametrize("way", WAYS)
def test_the_files_that_we_ship_serve_through_every_way_in(way: str, config: str) -> None:
    port = free_port()
    arguments = [str(ROOT / "configs" / config)]
    with server_process(arguments, command=WAYS[way], environment={"PORT": str(port)}) as server:
        assert server.address[1] == port
        status, body = get(server)
        assert status == 200
        assert body.startswith(b"waitressd works")
        assert (b"Traceback" in get(server, "/error")[1]) is (config == "development.ini")
        assert server.terminate() == 0


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("way", WAYS)
def test_a_signal_ends_with_status_0(way: str, stop: signal.Signals, write: Callable[[str], str]) -> None:
    path = write(f"{APP}[server:main]\nuse = egg:waitressd\nlisten = 127.0.0.1:0\n{LOGGING}")
    with server_process([path], command=WAYS[way]) as server:
        assert get(server)[0] == 200
        server.signal(stop)
        assert server.wait() == 0
        assert "Traceback" not in server.output


def test_variables_of_the_environment_and_of_the_command(write: Callable[[str], str]) -> None:
    text = (
        f"[DEFAULT]\nadmin_port = 1\n{APP}[server:main]\nuse = egg:waitress#main\n"
        f"listen = 127.0.0.1:${{SHOP_PORT}}\n    127.0.0.1:%(admin_port)s\n{LOGGING}"
    )
    ports = free_port(), free_port()
    arguments = [write(text), f"admin_port={ports[1]}"]
    with server_process(arguments, environment={"SHOP_PORT": str(ports[0])}) as server:
        server.wait_for_output(f":{ports[1]}")
        assert {address[1] for address in server.addresses} == set(ports)


def test_beside_an_ini_file_options_win_and_the_application_may_be_another(write: Callable[[str], str]) -> None:
    path = write(f"[server:main]\nuse = egg:waitressd\nlisten = 192.0.2.1:1\nurl_prefix = /base\n{LOGGING}")
    arguments = ["-c", path, "--listen=127.0.0.1:0", "tests.functional.test_config_serving:show_prefix"]
    with server_process(arguments) as server:
        assert get(server, "/base/x") == (200, b"/base")


def show_prefix(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Say where the application is mounted."""
    start_response("200 OK", [])
    return [environ["SCRIPT_NAME"].encode()]


def test_every_sort_of_listener_at_once(write: Callable[[str], str], tmp_path: Path) -> None:
    path = write(
        f"{APP}[server:main]\nuse = egg:waitressd\nlisten = 127.0.0.1:0\n    unix:%(here)s/app.sock\n"
        f"unix_socket_perms = 640\n{LOGGING}"
    )
    with server_process([path]) as server:
        server.wait_for_output(r"unix:/\S+app.sock")
        assert (tmp_path / "app.sock").stat().st_mode & 0o777 == 0o640
        for address in server.addresses:
            with Client(address) as client:
                assert client.get("/").status == 200
        assert server.terminate() == 0
    assert not (tmp_path / "app.sock").exists()


def inheriting(command: Sequence[str], *fds: int) -> ServerProcess:
    """Start a command that gets descriptors from us."""
    process = subprocess.Popen(
        command,
        pass_fds=fds,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return ServerProcess(process)


HERE: Final = "tests.functional.test_config_serving:show_prefix"


def test_a_socket_inherited_by_number() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        server = inheriting([*WAITRESSD, f"--listen=fd:{sock.fileno()}", HERE], sock.fileno())
        try:
            server.wait_for_output("Serving on")
            assert server.address[1] == sock.getsockname()[1]
            assert get(server)[0] == 200
            assert server.terminate() == 0
        finally:
            server.kill()


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="systemd-socket-activate is not installed")
def test_a_socket_passed_by_systemd_under_its_name() -> None:
    port = free_port()
    starter = ["systemd-socket-activate", f"--listen=127.0.0.1:{port}", "--fdname=web", "--setenv=PYTHONPATH"]
    server = inheriting([*starter, *WAITRESSD, "--listen=fd:web", HERE])
    try:
        wait_until_accepting(("127.0.0.1", port))  # the first connection starts the server
        server.wait_for_output("Serving on")
        assert get(server) == (200, b"")
        assert server.terminate() == 0
    finally:
        server.kill()


def test_a_descriptor_that_is_not_there_is_named() -> None:
    for listen, message in (
        ("fd:web", "cannot listen on fd:web: no sockets were passed (LISTEN_FDS is not set)"),
        ("fd:99", "cannot listen on fd:99: descriptor 99 is no open socket"),
    ):
        server = start_process([f"--listen={listen}", HERE])
        assert server.wait() == 1
        server.kill()
        assert server.output == f"waitressd: {message}\n"


SLOW_APP: Final = """\
import time, sys
def factory(global_conf):
    print("loading", flush=True)
    while not __import__("os").path.exists(global_conf["here"] + "/go"):
        time.sleep(0.02)
    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"loaded"]
    return application
"""


@pytest.mark.parametrize("way", ["pserve", "waitressd"])
def test_a_host_that_cannot_be_resolved_is_named_in_one_line(way: str, write: Callable[[str], str]) -> None:
    path = write(
        "[app:main]\nuse = call:waitressd.deploy:demo\n[server:main]\nuse = egg:waitressd\nhost = no.invalid\n"
    )
    server = start_process([path], command=WAYS[way])
    assert server.wait() == {"pserve": 1, "waitressd": 2}[way]
    server.kill()
    (line,) = server.output.splitlines()
    assert line.startswith(f"{path}:5 [server:main]: host = no.invalid:8080: the host cannot be resolved: ")


@pytest.mark.parametrize("way", ["pserve", "waitressd"])
def test_fast_listen_lets_early_clients_wait(way: str, write: Callable[..., str], tmp_path: Path) -> None:
    port = free_port()
    write(SLOW_APP, "slow_app.py")
    path = write(
        "[app:main]\nuse = call:slow_app:factory\n[server:main]\nuse = egg:waitressd\n"
        f"listen = 127.0.0.1:{port}\nfast_listen = true\n{LOGGING}"
    )
    paths = os.pathsep.join([str(ROOT), str(tmp_path)])
    server = start_process([path], command=WAYS[way], environment={"PYTHONPATH": paths})
    try:
        server.wait_for_output("loading")
        with Client(("127.0.0.1", port)) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            (tmp_path / "go").write_text("")
            assert client.receive().body == b"loaded"
        assert server.terminate() == 0
    finally:
        server.kill()


@pytest.mark.parametrize("way", ["pserve", "waitressd"])
def test_a_change_of_the_file_restarts_the_worker(way: str, write: Callable[[str], str]) -> None:
    pytest.importorskip("hupper")
    port = free_port()

    def text(threads: str, greeting: str) -> str:
        return (
            f"[app:main]\nuse = call:waitressd.deploy:demo\ngreeting = {greeting}\n"
            f"[server:main]\nuse = egg:waitressd\nlisten = 127.0.0.1:{port}\nthreads = {threads}\nworkers = 2\n"
            f"{LOGGING}"
        )

    path = write(text("4", "first"))
    server = start_process([path, "--reload"], command=WAYS[way])

    def write_until(content: str, pattern: str) -> None:
        """Write again and again: hupper misses a change that comes before its first look at a file."""
        for seconds in (4, 4, 8, 8, 16, 16):  # longer and longer, for a change restarts a worker that only begins
            write(content)
            try:
                server.wait_for_output(pattern, seconds)
            except AssertionError:
                continue
            return
        raise AssertionError(server.output)

    try:
        server.wait_for_output("Serving on")
        assert get(server)[1].startswith(b"first")
        write_until(text("four", "second"), "threads = four: expected a whole number, 1 to 1024")
        write_until(text("5", "third"), "(?s)threads = four.*Serving on")
        wait_until_accepting(("127.0.0.1", port))
        assert get(server)[1].startswith(b"third")
        assert "forcefully" not in server.output
        assert "under a reloader there is one process" in server.output
        server.terminate()
    finally:
        server.kill()


def test_without_an_ini_file_everything_is_an_option() -> None:
    with server_process(["--listen=127.0.0.1:0", "--url-prefix=/shop", HERE]) as server:
        assert get(server, "/shop/x") == (200, b"/shop")
        assert server.terminate() == 0


def test_quiet_says_nothing() -> None:
    port = free_port()
    server = start_process(["-q", f"--listen=127.0.0.1:{port}", HERE])
    try:
        wait_until_accepting(("127.0.0.1", port))
        with Client(("127.0.0.1", port)) as client:
            assert client.get("/").status == 200
        assert server.terminate() == 0
        assert server.output == ""
    finally:
        server.kill()


def test_the_address_is_said_where_the_log_would_not(write: Callable[[str], str]) -> None:
    path = write(f"{APP}[server:main]\nuse = egg:waitressd\nlisten = 127.0.0.1:0\n{LOGGING.replace('INFO', 'WARN')}")
    with server_process([path]) as server:
        assert server.output.startswith("Serving on http://127.0.0.1:")
        assert server.output.count("Serving on") == 1
