"""The spools of workers that are dead go to their files; whatever is wrong with one harms no other."""

import os
from pathlib import Path

import pytest

from waitressd.fleet.link import Message
from waitressd.fleet.spools import Spools
from waitressd.requestlog.spool import Spool

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="no memory files here")


def told(fd: int, path: Path) -> Message:
    return Message("spool", {"path": str(path), "mode": 0o600}, (fd,))


def test_each_file_gets_what_the_worker_has_left_for_it(tmp_path: Path) -> None:
    spools = Spools()
    for worker, name in ((1, "a"), (1, "b"), (2, "a")):
        spool = Spool()
        spool.add(b"%d %s\n" % (worker, name.encode()))
        spools.hold(worker, told(spool.fd, tmp_path / name))
        spool.close()  # the master has a descriptor of its own
    spools.bury(1)
    spools.join()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "1 a\n", "b": "1 b\n"}
    spools.bury(1)
    spools.bury(2)
    spools.bury(3)
    spools.join()
    assert (tmp_path / "a").read_text() == "1 a\n2 a\n"


def test_a_worker_that_has_written_all_leaves_nothing_to_do(tmp_path: Path) -> None:
    spools, spool = Spools(), Spool()
    spools.hold(1, told(spool.fd, tmp_path / "a"))
    spool.add(b"one\n")
    spool.wrote(4)
    spool.close()
    spools.bury(1)
    assert not list(tmp_path.iterdir())


def test_a_spool_that_cannot_be_read_is_told_and_harms_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spools, spool, broken = Spools(), Spool(), Spool()
    os.ftruncate(broken.fd, 10)
    spools.hold(1, told(broken.fd, tmp_path / "a"))
    spool.add(b"one\n")
    spools.hold(1, told(spool.fd, tmp_path / "b"))
    os.ftruncate(broken.fd, 8192)
    broken.close()
    spool.close()
    spools.bury(1)
    spools.join()
    assert f"lines of worker 1 for {tmp_path / 'a'} are lost: the lines that wait have another layout" in caplog.text
    assert (tmp_path / "b").read_text() == "one\n"
