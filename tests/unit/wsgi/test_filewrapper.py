"""waitressd.wsgi.filewrapper: which files the kernel may send, and how much of them."""

import gzip
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from waitressd.wsgi.filewrapper import FileWrapper

CONTENT = b"0123456789"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


class Counting:
    """A file-like object that has only read and close."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)
        self.closed_count = 0

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def close(self) -> None:
        self.closed_count += 1


def test_it_is_an_iterable_of_blocks() -> None:
    assert list(FileWrapper(Counting(CONTENT), 4)) == [b"0123", b"4567", b"89"]


def test_close_reaches_the_file_once() -> None:
    file = Counting(CONTENT)
    wrapper = FileWrapper(file)
    wrapper.close()
    wrapper.close()
    assert file.closed_count == 1


def test_a_file_without_close_is_fine() -> None:
    class Bare:
        def read(self, size: int) -> bytes:
            return b""

    FileWrapper(Bare()).close()


@pytest.mark.parametrize("buffering", [-1, 0])
@pytest.mark.parametrize("offset", [0, 4, 10, 99])
def test_a_regular_file_is_real_from_its_position_on(path: Path, buffering: int, offset: int) -> None:
    with path.open("rb", buffering=buffering) as file:
        file.seek(offset)
        real = FileWrapper(file).real_file()
        assert real is not None
        assert (real.offset, real.count) == (offset, max(0, 10 - offset))


def test_the_position_is_the_applications_not_the_buffers(path: Path) -> None:
    with path.open("rb") as file:
        file.read(3)
        assert file.raw.tell() == 10
        real = FileWrapper(file).real_file()
        assert real is not None
        assert (real.offset, real.count) == (3, 7)


def test_what_was_written_and_not_flushed_belongs_to_the_file() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(CONTENT)
        real = FileWrapper(file).real_file()
        assert real is not None
        assert (real.offset, real.count) == (10, 0)
        assert os.fstat(file.fileno()).st_size == 10


def test_a_named_temporary_file_is_real() -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(CONTENT)
        file.seek(2)
        real = FileWrapper(file).real_file()
        assert real is not None
        assert (real.offset, real.count) == (2, 8)


def test_bytes_in_memory_are_not_a_real_file() -> None:
    assert FileWrapper(io.BytesIO(CONTENT)).real_file() is None


def test_a_descriptor_alone_proves_nothing(tmp_path: Path) -> None:
    """The descriptor of a GzipFile leads to compressed bytes."""
    path = tmp_path / "file.gz"
    with gzip.open(path, "wb") as packed:
        packed.write(CONTENT)
    with gzip.open(path, "rb") as file:
        assert file.fileno() >= 0
        wrapper = FileWrapper(file)
        assert wrapper.real_file() is None
        assert wrapper.remaining_bytes() == 10
        assert b"".join(wrapper) == CONTENT


def test_an_object_that_only_looks_like_a_file_is_not_real(path: Path) -> None:
    class Wrapped:
        def __init__(self, file: Any) -> None:
            self._file = file

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

    with path.open("rb") as file:
        assert FileWrapper(Wrapped(file)).real_file() is None


def test_a_pipe_is_not_a_real_file() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        assert FileWrapper(file).real_file() is None


def test_a_device_is_not_a_real_file() -> None:
    with Path(os.devnull).open("rb") as file:
        assert FileWrapper(file).real_file() is None


def test_a_buffer_over_something_else_is_not_a_real_file() -> None:
    class Raw(io.RawIOBase):
        def readable(self) -> bool:
            return True

    with io.BufferedReader(Raw()) as file:
        assert FileWrapper(file).real_file() is None


def test_a_closed_file_is_not_a_real_file(path: Path) -> None:
    with path.open("rb") as file:
        wrapper = FileWrapper(file)
    assert wrapper.real_file() is None


def test_the_rest_of_a_seekable_file_is_known() -> None:
    file = io.BytesIO(CONTENT)
    file.seek(3)
    assert FileWrapper(file).remaining_bytes() == 7
    assert file.tell() == 3
    file.seek(30)
    assert FileWrapper(file).remaining_bytes() == 0


def test_the_rest_is_known_when_seek_says_nothing() -> None:
    class Silent(io.BytesIO):
        def seek(self, offset: int, whence: int = 0) -> None:  # type: ignore[override]  # as files did in Python 2
            super().seek(offset, whence)

    file = Silent(CONTENT)
    file.seek(4)
    assert FileWrapper(file).remaining_bytes() == 6
    assert file.tell() == 4


def test_the_rest_of_other_objects_is_not_known() -> None:
    assert FileWrapper(Counting(CONTENT)).remaining_bytes() is None
    closed = io.BytesIO(CONTENT)
    closed.close()
    assert FileWrapper(closed).remaining_bytes() is None
