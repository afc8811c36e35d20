"""A process that a master has started, from its start to the order that says what it becomes."""

import pytest

from tests.support.scripts import lines_of
from waitressd.fleet.processes import can_adopt

pytestmark = pytest.mark.skipif(not can_adopt(), reason="needs what a master needs")

# The test is the master; `program` is what it starts, in place of a command.
START = """
import contextlib, json, os, signal, socket, sys, tempfile
from waitressd.command import StartCommand
from waitressd.fleet import processes
from waitressd.fleet.codes import run_command

PROGRAM = '''
import os, sys
sys.path.insert(0, sys.argv[1])
from waitressd.config.adjustments import Adjustments
from waitressd.fleet.hazards import find_hazards
from waitressd.fleet.recruit import recruited
from waitressd.server import Server
recruit = recruited()
known = find_hazards()
sys.stderr.write("loading\\\\n")
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "1")])
    return [b"x"]
settings = {"listen": sys.argv[2], "threads": 1}
%s
recruit.serve_under_master(Server(Adjustments.from_keywords(**settings), app), known)
'''

listener = socket.create_server(("127.0.0.1", 0))
asked = "%s:%d" % listener.getsockname()

def begin(more=""):
    command = StartCommand((sys.executable, "-c", PROGRAM % more, sys.path[0], asked), dict(os.environ), "/")
    pid, link, loading = run_command(command)
    link.socket.setblocking(True)
    os.set_blocking(loading.pipe, True)
    return pid, link, loading
def end_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
heard = []
def name_of(link):
    while not heard and not link.is_over:
        heard.extend(link.receive())
    return heard.pop(0).name if heard else "the end"
later = tempfile.TemporaryFile()
order = {"place": 1, "workers": 2, "listeners": [asked], "watchdog_seconds": 0.0}
"""


def test_it_says_hello_and_ends_when_it_is_not_wanted() -> None:
    lines = lines_of(
        START
        + """
pid, link, loading = begin("import atexit; atexit.register(os.write, 1, b'hook\\\\n')")
(message,) = link.receive()
print(message.name, message.fields["is_preloaded"], message.fields["workers"])
link.send("of a newer master", [1])
link.send("quit")
print(end_of(pid), loading.read(), bytes(loading.said), loading.read())
"""
    )
    assert lines == ["hello True 1", "hook", "0 True b'loading\\n' False"]


@pytest.mark.parametrize("how", ["link.close()", "link.socket.sendall(b'nonsense\\n')"])
def test_without_an_order_it_ends(how: str) -> None:
    lines = lines_of(
        START
        + f"""
pid, link, loading = begin()
print(name_of(link))
{how}
print(end_of(pid))
"""
    )
    assert lines == ["hello", "0"]


def test_it_becomes_a_worker_with_an_error_output_of_its_own() -> None:
    lines = lines_of(
        START
        + """
pid, link, loading = begin()
print(name_of(link))
link.send("serve", [later.fileno(), listener.fileno()], **order)
print(name_of(link), name_of(link))
while loading.read(): pass  # the end: it speaks for itself
client = socket.create_connection(listener.getsockname())
client.sendall(b"GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n")
print(client.makefile("rb").readline())
os.kill(pid, signal.SIGQUIT)
link.send("drain", seconds=5.0, is_last=True)
print(name_of(link), end_of(pid))
later.seek(0)
print(b"most recent call first" in later.read())
"""
    )
    assert lines == ["hello", "born ready", "b'HTTP/1.1 200 OK\\r\\n'", "leaving 0", "True"]


def test_log_files_that_were_moved_while_it_loaded_are_opened_anew() -> None:
    lines = lines_of(
        START
        + """
folder = tempfile.mkdtemp()
name = os.path.join(folder, "log")
pid, link, loading = begin(f"import logging; logging.basicConfig(filename={name!r}, force=True)")
print(name_of(link))
os.unlink(name)
link.send("reopen")
link.send("quit")
print(end_of(pid), os.path.exists(name))
os.unlink(name)
os.rmdir(folder)
"""
    )
    assert lines == ["hello", "0 True"]


def test_it_becomes_a_template() -> None:
    lines = lines_of(
        START
        + """
from waitressd.fleet.link import Link
processes.adopt_orphans()
pid, link, loading = begin()
print(name_of(link))
mine, other = Link.pair()
link.send("template", [later.fileno()], code=3)
link.send("fork", [other.fileno(), listener.fileno()], worker=5, **order)
other.close()
born = mine.receive()[0]
(forked,) = link.receive()
print(born.fields["pid"] == forked.fields["pid"], forked.fields["worker"])
print(name_of(mine), open(f"/proc/{pid}/comm").read().strip())
mine.send("drain", seconds=5.0, is_last=True)
print(end_of(born.fields["pid"]))
link.send("quit")
print(end_of(pid))
"""
    )
    assert lines == ["hello", "True 5", "ready waitressd-code3", "0", "0"]


def test_while_it_loads_it_ends_with_its_master() -> None:
    """Also where an import never returns."""
    lines = lines_of(
        START
        + """
processes.adopt_orphans()
tell, told = os.pipe()
def master():
    pid, link, loading = begin("import time; time.sleep(600)")
    while b"loading" not in loading.said: loading.read()
    os.write(told, b"%d" % pid)
    os._exit(0)
print(end_of(processes.fork(master)))
print(end_of(int(os.read(tell, 100))))
"""
    )
    assert lines == ["0", "-9"]


def test_a_master_that_is_gone_already_is_noticed() -> None:
    lines = lines_of(
        START
        + """
pid, link, loading = begin("os._exit(9)")
os.kill(pid, signal.SIGSTOP)
link.close()
os.kill(pid, signal.SIGCONT)
print(end_of(pid) in (0, 9))
from waitressd.fleet.link import Link
ours, theirs = Link.pair()
ours.close()
from waitressd.fleet.recruit import Recruit
def child():
    Recruit(theirs)
    os._exit(9)
print(end_of(processes.fork(child)))
"""
    )
    assert lines == ["True", "0"]
