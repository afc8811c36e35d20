"""Lines on their way to a file: whole, in order, none lost; what happens when the disk does not take them."""

import errno
import os
import stat
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from waitressd.requestlog import background, filesink
from waitressd.requestlog.filesink import FileSink
from waitressd.requestlog.spool import read_left, share_spools, unshare_spools


def has_bytes(path: Path, count: int) -> bool:
    return path.stat().st_size >= count


def test_lines_arrive_in_order_and_are_complete_after_close(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    sink = FileSink(str(path))
    sink.start(None)
    for number in range(1000):
        sink.write(f"line {number}")
    sink.close()
    sink.close()
    assert path.read_text("ascii").splitlines() == [f"line {number}" for number in range(1000)]
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0


def test_a_line_is_there_soon_without_a_close(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    sink = FileSink(str(path))
    sink.start(None)
    for number in range(3):
        sink.write(f"line {number}")
        assert wait_until(partial(has_bytes, path, 7 * (number + 1)))
    sink.close()


def test_lines_of_many_threads_and_two_sinks_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    sinks = [FileSink(str(path)), FileSink(str(path))]
    for sink in sinks:
        sink.start(None)

    def work(sink: FileSink, name: int) -> None:
        for number in range(300):
            sink.write(f"{name}:{number}:" + str(name) * 200)

    threads = [threading.Thread(target=work, args=(sinks[name % 2], name)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for sink in sinks:
        sink.close()
    lines = path.read_text("ascii").splitlines()
    assert sorted(lines) == sorted(f"{name}:{number}:" + str(name) * 200 for name in range(8) for number in range(300))


def test_reopen_lets_go_of_a_renamed_file(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    sink = FileSink(str(path))
    sink.reopen()  # before the start: nothing to reopen
    sink.start(None)
    sink.write("first")
    assert wait_until(partial(has_bytes, path, 6))
    path.rename(tmp_path / "a.log.1")
    sink.reopen()
    sink.write("second")
    sink.close()
    assert (tmp_path / "a.log.1").read_text("ascii") == "first\n"
    assert path.read_text("ascii") == "second\n"


def test_a_reopen_that_fails_goes_on_with_the_former_file(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    sink = FileSink(str(folder / "a.log"))
    sink.start(None)
    moved = tmp_path / "moved"
    folder.rename(moved)
    with pytest.raises(OSError, match="cannot open the request log"):
        sink.reopen()
    sink.write("still")
    sink.close()
    assert (moved / "a.log").read_text("ascii") == "still\n"


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing/a\.log: No such file"):
        FileSink(str(tmp_path / "missing" / "a.log")).start(None)


def test_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    sink = FileSink("-")
    sink.start(None)
    sink.write("to the terminal")
    sink.reopen()
    sink.close()
    assert capfd.readouterr().out == "to the terminal\n"


def test_a_pipe_gets_pieces_that_it_keeps_whole(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    got: list[bytes] = []
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reading, True)

    def read() -> None:
        with open(reading, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor, which has no path
            while data := file.read(1 << 20):
                got.append(data)

    reader = threading.Thread(target=read)
    sink = FileSink(str(path))
    sink.start(None)
    reader.start()
    lines = [f"{number}:" + "x" * 1000 for number in range(50)] + ["y" * 10_000]
    for line in lines:
        sink.write(line)
    sink.close()
    reader.join()
    assert b"".join(got).decode() == "".join(line + "\n" for line in lines)


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_full_disk_is_told_once_and_lines_go_on(caplog: pytest.LogCaptureFixture) -> None:
    sink = FileSink("/dev/full")
    sink.start(None)
    for number in range(5):
        sink.write(f"line {number}")
    sink.close()
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info is not None
    assert isinstance(caplog.records[0].exc_info[1], OSError)
    assert caplog.records[0].exc_info[1].errno == errno.ENOSPC


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits of a process are POSIX's")
def test_a_line_after_a_torn_one_begins_on_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    sink = FileSink(str(path))
    sink._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    sink._append(b"whole\n")
    sink._is_torn = True
    os.write(sink._fd, b"to")
    sink._append(b"next\n")
    sink._append(b"last\n")
    os.close(sink._fd)
    assert path.read_bytes() == b"whole\nto\nnext\nlast\n"


def test_lines_are_dropped_and_counted_when_the_disk_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(filesink, "PENDING_BYTES", 10 * (6 + filesink.LINE_BYTES))
    sink = FileSink(str(tmp_path / "a.log"))
    for number in range(15):
        sink.write(f"line {number}")
    assert "it is too slow, so that they were dropped" in caplog.text
    assert sink.lost_count == 5
    sink.start(None)
    sink.close()
    assert len((tmp_path / "a.log").read_text("ascii").splitlines()) == 10


def test_a_stop_does_not_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "CLOSE_SECONDS", 0.1)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink = FileSink(str(path))
    sink.start(None)
    writer = sink._queue._thread
    for _ in range(100):
        sink.write("x" * 4000)
    sink.close()
    assert "it did not take them before the end" in caplog.text
    os.close(reader)  # the writer gets EPIPE and ends
    assert writer is not None
    writer.join(10)
    os.close(sink._fd)


def test_long_lines_are_dropped_before_they_take_all_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(filesink, "PENDING_BYTES", 10 * (100 + filesink.LINE_BYTES))
    sink = FileSink(str(tmp_path / "a.log"))
    for _ in range(30):
        sink.write("x" * 100)
    assert "it is too slow, so that they were dropped" in caplog.text
    sink.start(None)
    assert wait_until(lambda: sink._queue._room == filesink.PENDING_BYTES)
    sink.write("and on")
    sink.close()
    assert len((tmp_path / "a.log").read_text("ascii").splitlines()) == 11


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_that_nobody_reads_is_an_error_and_nothing_to_wait_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(OSError, match="nobody reads this named pipe"):
        FileSink(str(path)).start(None)


# -- where there is another process to leave lines to

needs_memory_files = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="no memory files here")


@pytest.fixture
def shared() -> Iterator[list[int]]:
    """The spools that the other process has got."""
    spools: list[int] = []

    def share(fd: int, _path: str, _mode: int) -> bool:
        spools.append(os.dup(fd))
        return True

    share_spools(share)
    yield spools
    unshare_spools()
    for fd in spools:
        os.close(fd)


@needs_memory_files
def test_lines_that_wait_are_left_to_the_other_process(
    shared: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesink, "FLUSH_SECONDS", 60.0)
    path = tmp_path / "a.log"
    sink = FileSink(str(path))
    sink.start(None)
    sink.write("one")
    sink.write("tw\xf6")
    assert read_left(shared[0]).lines == b"one\ntw\\xf6\n"
    sink.reopen()
    sink.close()
    assert read_left(shared[0]).lines == b""
    assert path.read_bytes() == b"one\ntw\\xf6\n"


@needs_memory_files
def test_lines_that_cannot_be_written_are_not_left(shared: list[int], caplog: pytest.LogCaptureFixture) -> None:
    sink = FileSink("/dev/full")
    sink.start(None)
    sink.write("one")
    sink.close()
    assert read_left(shared[0]).lines == b""
    assert len(caplog.records) == 1


@needs_memory_files
def test_a_line_that_a_kill_has_cut_is_waited_for(
    shared: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesink, "MEND_LOOKS", 100_000)
    path = tmp_path / "a.log"
    path.write_bytes(b"a line that was c")
    sink = FileSink(str(path))
    sink.start(None)
    sink.write("next")
    assert wait_until(lambda: read_left(shared[0]).begun == 0 and not sink._queue._items)
    with path.open("ab") as file:
        file.write(b"ut\n")
    sink.close()
    assert path.read_bytes() == b"a line that was cut\nnext\n"


@needs_memory_files
def test_a_line_that_nobody_completes_is_left_as_it_is(
    shared: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesink, "MEND_LOOKS", 2)
    path = tmp_path / "a.log"
    path.write_bytes(b"a line that was c")
    sink = FileSink(str(path))
    sink.start(None)
    sink.write("next")
    sink.close()
    assert len(shared) == 1
    assert path.read_bytes() == b"a line that was c\nnext\n"
