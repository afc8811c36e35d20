"""What a process leaves to the master that takes its place."""

import json
import signal
from pathlib import Path

import pytest

from tests.support.scripts import run_script

# The program that is executed in the place of a master says what it has found.
FOUND = """
import json, os, signal, sys
from pathlib import Path
sys.path[0] = sys.argv[3]
from waitressd.fleet import handover
hand = handover.take_over(int(sys.argv[1]))
def inherits(fd):
    return os.get_inheritable(fd)
def target(fd):
    path = f"/proc/self/fd/{fd}"
    return os.path.exists(path) and os.readlink(path)
print(json.dumps({
    "pid": os.getpid(),
    "words": hand.command.words, "mark": hand.command.environ["MARK"], "folder": hand.command.folder,
    "cwd": os.getcwd(), "environ": os.environ["MARK"],
    "settings": dict(hand.hello.settings), "workers": hand.hello.workers,
    "listeners": [
        [each.asked, each.unix_path, each.name, inherits(each.fd), each.bound_by == os.getpid()]
        for each in hand.listeners
    ],
    "template": hand.template and [hand.template.pid, inherits(hand.template.link.fileno())],
    "said": hand.template and [message.name for message in hand.template.link.receive()],
    "logs": [hand.logs.config, dict(hand.logs.variables), hand.logs.level], "prints": hand.prints,
    "path": sys.path, "arguments": sys.argv[2:],
    "open": [target(fd) for fd in os.listdir("/proc/self/fd") if int(fd) > 2],
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())), "flags": sys.flags.dev_mode,
}))
"""

LEAVES = """
import os, signal, socket, sys
from pathlib import Path
from waitressd.command import StartCommand
from waitressd.fleet import handover
from waitressd.fleet.handover import FirstTemplate, HandOver, execute_master
from waitressd.fleet.hello import Hello
from waitressd.fleet.link import Link
from waitressd.logsetup import LogSetup
from waitressd.net.listener import open_tcp, open_unix

folder, program, solo = sys.argv[1:4]
handover._PROGRAM = Path(program)
(tcp,) = open_tcp("127.0.0.1", 0, 5)
tcp.asked = "127.0.0.1:0"
os.chdir(folder)
unix = open_unix("app.sock", 5, mode=0o600)
unix.asked = "unix:app.sock"
ours, theirs = Link.pair()
theirs.send("hello")
environ = {**os.environ, "MARK": "\\udcff"}
command = StartCommand((sys.executable, sys.argv[4], "a b", "\\udcfe"), environ, "/")
hello = Hello(3, True, "", {"listen": "127.0.0.1:0"})
sys.path += ["/somewhere", Path("/no/text")]
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
unwanted = os.open(os.devnull, os.O_RDONLY)
print(os.getpid(), tcp.name)
tcp.bound_by = 0  # as a socket of systemd
template = None if solo == "solo" else FirstTemplate(4711, ours)
execute_master(HandOver(command, hello, [tcp, unix], template, LogSetup("a.ini", {"b": "c"}, 10), True))
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted in /proc")


@pytest.mark.parametrize("mode", ["preloaded", "solo"])
def test_the_master_begins_with_what_was_left_and_nothing_else(mode: str, tmp_path: Path) -> None:
    program = tmp_path / "master.py"
    program.write_text(FOUND)
    root = str(Path(__file__).parents[3])
    ended = run_script(LEAVES, str(tmp_path), str(program), mode, root)
    assert ended.returncode == 0, ended.stderr
    first, second = ended.stdout.splitlines()
    pid, name = first.split()
    found = json.loads(second)
    assert found["pid"] == int(pid)  # the process stays the one that the supervisor knows
    assert found["words"][2:] == ["a b", "\udcfe"]
    assert found["arguments"] == ["--", *found["words"]]
    assert found["mark"] == found["environ"] == "\udcff"
    assert (found["folder"], found["cwd"]) == ("/", "/")  # not where the application has gone to
    assert found["settings"] == {"listen": "127.0.0.1:0"}
    assert found["workers"] == 3
    assert found["listeners"] == [
        ["127.0.0.1:0", None, name, False, False],
        ["unix:app.sock", str(tmp_path / "app.sock"), "unix:app.sock", False, True],
    ]
    assert found["template"] == (None if mode == "solo" else [4711, False])
    assert found["said"] == (None if mode == "solo" else ["hello"])
    assert found["logs"] == ["a.ini", {"b": "c"}, 10]
    assert found["prints"] is True
    assert "/somewhere" in found["path"]
    assert found["blocked"] == [signal.SIGHUP]
    # Newer versions of libffi keep their own file open; the listing of the folder has ended.
    kept = [target.partition(":")[0] for target in found["open"] if target and "/libffi.so" not in target]
    assert kept == ["socket"] * (2 if mode == "solo" else 3)


def test_without_the_interpreter_the_process_goes_on_as_it_was(tmp_path: Path) -> None:
    program = LEAVES.replace("execute_master(", "sys.executable = '/gone/python'\ntry:\n execute_master(") + (
        "except FileNotFoundError:\n print(os.get_inheritable(tcp.fd), os.get_inheritable(ours.fileno()))"
    )
    ended = run_script(program, str(tmp_path), "unused", "preloaded", "unused")
    assert ended.stdout.splitlines()[1:] == ["False False"], ended.stderr
    (tmp_path / "app.sock").unlink()
