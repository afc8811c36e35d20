"""A worker: what it says to its master, and what it does when it is told."""

import contextlib
import os
import socket

import pytest

from tests.support.scripts import lines_of
from waitressd.config.adjustments import Adjustments
from waitressd.fleet.link import Message
from waitressd.fleet.worker import sockets_from
from waitressd.listeners import adopt_listeners

START = """
import contextlib, http.client, json, os, signal, socket, time
from waitressd import worker_number
from waitressd.config.adjustments import Adjustments
from waitressd.fleet import processes
from waitressd.fleet.link import Link, Message
from waitressd.fleet.worker import WorkerProcess
from waitressd.server import Server

go, come = os.pipe()
begun, beginning = os.pipe()

def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        os.write(beginning, b".")
        os.read(go, 1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    text = f"{worker_number()} {os.getpid()} {open('/proc/self/comm').read().strip()}"
    return [text.encode()]

listener = socket.create_server(("127.0.0.1", 0))
address = listener.getsockname()
asked = f"{address[0]}:{address[1]}"
settings = {"listen": asked, "threads": 2, "shutdown_timeout": 20}
ours, theirs = Link.pair()
fields = {"place": 2, "workers": 3, "listeners": [asked], "watchdog_seconds": 0.0}

def worker():
    ours.close()
    os.close(come)
    order = Message("fork", fields, (theirs.fileno(), os.dup(listener.fileno())))
    listener.close()
    processes.hear_signals()
    WorkerProcess(Server(Adjustments.from_keywords(**settings), app), theirs, order).run()

def end_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
def next_name():
    while not heard and not ours.is_over:
        heard.extend(ours.receive())
    return heard.pop(0).name if heard else "the end"
heard = []
def get(path="/"):
    connection = http.client.HTTPConnection(*address)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().read().decode()
def begin():
    client = socket.create_connection(address)
    client.sendall(b"GET /slow HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    os.read(begun, 1)
    return client
"""
BORN = """
pid = processes.fork(worker)
theirs.close()
"""
READY = BORN + "assert [next_name(), next_name()] == ['born', 'ready']\n"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


def test_it_says_that_it_is_born_and_ready_and_knows_its_place() -> None:
    lines = lines_of(
        START
        + BORN
        + """
message = ours.receive()[0]
print(message.name, message.fields["pid"] == pid)
print(next_name())
place, number, name = get().split()
print(place, int(number) == pid, name)
ours.send("drain", seconds=20.0, is_last=True)
print(next_name(), next_name(), end_of(pid))
"""
    )
    assert lines == ["born True", "ready", "2 True waitressd-w2", "leaving the end 0"]


def test_it_finishes_what_has_begun() -> None:
    lines = lines_of(
        START
        + READY
        + """
client = begin()
ours.send("drain", seconds=20.0, is_last=False)
print(next_name())
os.close(come)
print(client.makefile("rb").readline())
print(end_of(pid))
"""
    )
    assert lines == ["leaving", "b'HTTP/1.1 200 OK\\r\\n'", "0"]


def test_one_that_is_set_aside_accepts_nothing_and_finishes_what_it_has() -> None:
    lines = lines_of(
        START
        + READY
        + """
client = begin()
ours.send("set_aside", seconds=20.0)
print(next_name())
late = socket.create_connection(address)
late.sendall(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
os.close(come)
print(client.makefile("rb").readline())
print(end_of(pid))
listener.accept()  # it is there for another
print("waits")
"""
    )
    assert lines == ["leaving", "b'HTTP/1.1 200 OK\\r\\n'", "0", "waits"]


def test_the_last_one_serves_the_backlog() -> None:
    lines = lines_of(
        START
        + READY
        + """
os.kill(pid, signal.SIGSTOP)
late = socket.create_connection(address)
late.sendall(b"GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n")
ours.send("drain", seconds=20.0, is_last=True)
os.kill(pid, signal.SIGCONT)
end_of(pid)
print(late.makefile("rb").readline())
"""
    )
    assert lines == ["b'HTTP/1.1 200 OK\\r\\n'"]


def test_what_is_left_is_cut_off_when_it_is_told() -> None:
    lines = lines_of(
        START
        + READY
        + """
client = begin()
ours.send("drain", seconds=600.0, is_last=True)
print(next_name())
ours.send("abort")
print(client.recv(100))
os.close(come)
print(end_of(pid))
"""
    )
    assert lines == ["leaving", "b''", "0"]


def test_a_signal_of_its_own_makes_it_leave_and_the_masters_signals_do_nothing() -> None:
    lines = lines_of(
        START
        + READY
        + """
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
    os.kill(pid, number)
print(get().split()[0])
print(next_name())  # SIGUSR1: log files are open again
os.kill(pid, signal.SIGTERM)
print(next_name(), next_name(), end_of(pid))
"""
    )
    assert lines == ["2", "ready", "leaving the end 0"]


@pytest.mark.parametrize("how", ["ours.close()", "ours.socket.sendall(b'nonsense\\n')"])
def test_without_its_master_it_gives_the_address_free_and_ends(how: str) -> None:
    lines = lines_of(
        START
        + READY
        + f"""
listener.close()
{how}
print(end_of(pid))
with socket.create_server(address):
    print("free")
"""
    )
    assert lines == ["3", "free"]


def test_without_its_master_it_waits_a_second_for_what_has_begun() -> None:
    lines = lines_of(
        START
        + READY
        + """
client = begin()
ours.close()
print(client.recv(100) == b"")
print(end_of(pid))
"""
    )
    assert lines == ["True", "3"]


def test_it_finds_its_row_of_the_board_and_does_without_where_there_is_none() -> None:
    lines = lines_of(
        START
        + """
from waitressd.fleet.board import Board, Field
board = Board.create(2)
row = board.row(board.claim(1))
def born(order):
    worker = WorkerProcess(Server(Adjustments.from_keywords(**settings), app), theirs, order)
    if worker.row is not None:
        worker.row[Field.BUSY] = 1
    print(worker.row is None, row[Field.BUSY], len(worker.board or ()), len(worker._listeners))
fields["board_row"] = 0
born(Message("fork", fields, (theirs.fileno(), os.dup(board.fd), os.dup(listener.fileno()))))
other = os.memfd_create("other")
os.ftruncate(other, 10000)
born(Message("fork", fields, (theirs.fileno(), other, os.dup(listener.fileno()))))
fields["board_row"] = None
born(Message("fork", fields, (theirs.fileno(), os.dup(listener.fileno()))))
"""
    )
    assert lines == ["False 1 2 1", "True 1 0 1", "True 1 0 1"]


def test_a_server_that_cannot_begin_is_an_end_with_its_traceback() -> None:
    lines = lines_of(
        START
        + """
import io
class Broken(Server):
    def open(self, listeners=None):
        raise OSError(5, "the disk is gone")
Server = Broken
sys.stderr = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), write_through=True)
"""
        + BORN
        + "print(next_name(), next_name(), end_of(pid))"
    )
    assert "OSError: [Errno 5] the disk is gone" in lines
    assert lines[-1] == "born the end 1"


def test_the_event_loop_is_told_to_turn_where_there_is_a_watchdog() -> None:
    lines = lines_of(
        START
        + "fields['watchdog_seconds'] = 0.2\n"
        + READY
        + """
print(next_name())
ours.send("drain", seconds=1.0, is_last=True)
end_of(pid)
"""
    )
    assert lines == ["alive"]


def test_what_it_does_not_understand_it_closes_and_goes_on() -> None:
    lines = lines_of(
        START
        + READY
        + """
reading, writing = os.pipe()
ours.send("of a newer master", [writing])
os.close(writing)
print(os.read(reading, 1))
print(get().split()[0])
ours.send("drain", seconds=1.0, is_last=True)
end_of(pid)
"""
    )
    assert lines == ["b''", "2"]


def test_sockets_are_given_with_the_addresses_that_they_were_opened_for() -> None:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        asked = ["127.0.0.1:0", "10.0.0.1:1"]
        descriptors = (99, *(os.dup(sock.fileno()) for sock in found))  # the first one is the link's
        order = Message("fork", {"listeners": asked}, descriptors)
        settings = Adjustments.from_keywords(listen="127.0.0.1:0 127.0.0.1:1")
        listeners = adopt_listeners(settings, sockets_from(order))
        for listener in listeners:
            stack.callback(listener.close)
        assert [listener.asked for listener in listeners] == ["127.0.0.1:0", ""]
        assert all(listener.is_shared for listener in listeners)
        assert [listener.address for listener in listeners] == [sock.getsockname() for sock in found]
        assert not any(os.get_inheritable(listener.fd) for listener in listeners)
