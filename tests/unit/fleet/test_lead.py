"""How a process that has loaded the application becomes a fleet."""

import os
import sys
from pathlib import Path

import pytest

from tests.support.scripts import ROOT, run_script
from tests.support.servers import server_process
from tests.support.waiting import wait_until
from waitressd import processend  # noqa: F401 - what a server needs is imported before descriptors are counted
from waitressd.config.adjustments import Adjustments
from waitressd.fleet.lead import is_master_needed
from waitressd.fleet.processes import can_adopt
from waitressd.server import Server

linux = pytest.mark.skipif(not can_adopt(), reason="needs a parent of orphans")

APPLICATION = """
import os, signal, sys
from pathlib import Path
from waitressd import worker_number
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.environ["MARK"] = "of the application"
os.chdir("/")
sys.path.append(Path("/no/text"))
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {os.getppid()}".encode()]
"""


@pytest.mark.parametrize(
    ("settings", "is_needed"),
    [({}, False), ({"workers": 1}, False), ({"workers": 2}, True), ({"supervise": True}, True)],
)
def test_a_master_is_needed_for_several_workers_or_to_look_after_one(
    settings: dict[str, int], *, is_needed: bool
) -> None:
    server = Server(Adjustments.from_keywords(**settings), lambda _environ, _start: [])
    assert is_master_needed(server) == (is_needed and hasattr(os, "fork"))


@linux
@pytest.mark.parametrize("preload", ["on", "off"])
def test_nothing_of_the_application_is_in_the_master(preload: str, tmp_path: Path) -> None:
    """Neither its signals, nor its folder, nor its modules; the process is the one that was started."""
    (tmp_path / "foreign.py").write_text(APPLICATION)
    words = ["--listen", "127.0.0.1:0", "--threads", "1", "--workers", "2", "foreign:app"]
    words[-1:-1] = ["--preload"] if preload == "on" else ["--no-preload"]
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    with server_process(words, cwd=tmp_path, environment={"PYTHONPATH": path, "MARK": "first"}) as server:
        with server.connect() as client:

            def ask() -> list[int]:
                return [int(word) for word in client.get("/").body.split()]

            worker = ask()[0]
            assert worker != server.pid
            assert wait_until(lambda: ask()[1] == server.pid)  # at first it is that of a process in between
        proc = Path(f"/proc/{server.pid}")
        assert (proc / "cwd").resolve() == tmp_path.resolve()
        assert b"MARK=first" in (proc / "environ").read_bytes()
        assert "foreign" not in (proc / "maps").read_text()
        status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line)
        assert int(status["SigIgn"], 16) & 0b100_0000_0000_0001 == 0  # SIGTERM and SIGHUP
        assert status["Name"] == "waitressd-main"
        assert server.terminate() == 0
        assert not Path(f"/proc/{worker}").exists()


@linux
def test_a_signal_in_the_gap_of_the_exec_is_heard_by_the_master() -> None:
    """From the fork of the template on, signals wait for the master."""
    program = """
import os, signal
sys.argv[1:] = ["--listen", "127.0.0.1:0", "--threads", "1", "--workers", "2", "tests.apps.plain:hello"]
from waitressd.fleet import processes
real = processes.execute
def execute(*values):
    os.kill(os.getpid(), signal.SIGTERM)
    real(*values)
processes.execute = execute
from waitressd.cli import main
sys.exit(main())
"""
    ended = run_script(program, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert ended.returncode == 0, ended.stderr


@linux
@pytest.mark.parametrize("call", ["processes.execute", "os.fork"])
def test_a_process_that_cannot_be_started_is_an_error_in_one_line(call: str) -> None:
    program = f"""
import os
sys.argv[1:] = ["--listen", "127.0.0.1:0", "--threads", "1", "--workers", "2", "tests.apps.plain:hello"]
from waitressd.fleet import processes
def fail(*values):
    raise BlockingIOError(11, "no more processes")
{call} = fail
from waitressd.cli import main
sys.exit(main())
"""
    ended = run_script(program, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "waitressd: no more processes"
    assert "Traceback" not in ended.stderr


def test_the_interpreter_of_the_master_has_the_flags_of_the_command(tmp_path: Path) -> None:
    with server_process(
        ["--listen", "127.0.0.1:0", "--threads", "1", "--workers", "2", "tests.apps.plain:hello"],
        command=[sys.executable, "-X", "dev", "-W", "ignore", "-m", "waitressd"],
    ) as server:
        words = Path(f"/proc/{server.pid}/cmdline").read_bytes().split(b"\0")
        assert b"dev" in b" ".join(words[: words.index(b"--")])
        assert words[words.index(b"--") :][-2] == b"tests.apps.plain:hello"
        assert server.terminate() == 0
