"""Lines in a queue are in the spool as well, for as long as they wait."""

import os
from functools import partial

import pytest

from tests.support.waiting import wait_until
from waitressd.requestlog.linequeue import LineQueue, encode_lines
from waitressd.requestlog.spool import Spool, read_left

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="no memory files here")


def test_lines_are_kept_until_they_are_written() -> None:
    written: list[str] = []

    def write(lines: list[str]) -> None:
        written.extend(lines)
        queue.wrote(len(encode_lines(lines)))

    queue = LineQueue("test", write, 100, len, 0.001)
    spool = Spool()
    queue.spool = spool
    queue.put_kept("one")
    queue.put_kept("tw\xf6")
    assert read_left(spool.fd).lines == b"one\ntw\\xf6\n"
    queue.start()
    assert wait_until(lambda: not read_left(spool.fd).lines)
    queue.put_kept("three")
    assert queue.close()
    assert written == ["one", "tw\xf6", "three"]
    queue.put_kept("late")  # nobody asks for it any more
    queue.wrote(5)


def test_what_is_dropped_is_not_kept(caplog: pytest.LogCaptureFixture) -> None:
    queue = LineQueue("test", lambda _: None, 5, len, 0.001)
    queue.spool = Spool()
    for line in ("12345", "67890"):
        queue.put_kept(line)
    assert read_left(queue.spool.fd).lines == b"12345\n"
    assert "it is too slow, so that they were dropped" in caplog.text
    queue.close()


def test_a_child_that_was_forked_leaves_the_spool_to_its_parent() -> None:
    queue = LineQueue("test", lambda _: None, 100, len, 60)
    queue.spool = Spool()
    queue.start()
    pid = os.fork()
    if not pid:
        queue.put_kept("the child's")
        os._exit(queue.spool is not None)
    status = os.waitpid(pid, 0)[1]
    queue.put_kept("the parent's")
    left = read_left(queue.spool.fd).lines
    assert wait_until(partial(queue.close))
    assert status == 0
    assert left == b"the parent's\n"


@pytest.mark.parametrize("lines", [["a"], ["a", "b\n"], ["\xe4", ""]])
def test_lines_take_in_the_file_what_each_takes_in_the_spool(lines: list[str]) -> None:
    assert encode_lines(lines) == b"".join(encode_lines([line]) for line in lines)
