"""Files without a name."""

import os

import pytest

from waitressd.memoryfile import new_file


def works(fd: int) -> bool:
    try:
        os.write(fd, b"text")
        return os.pread(fd, 10, 0) == b"text" and os.fstat(fd).st_nlink == 0 and not os.get_inheritable(fd)
    finally:
        os.close(fd)


def test_a_file_without_a_name() -> None:
    assert works(new_file("test"))


def test_where_memory_is_not_to_be_had_a_disk_does(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_name: str) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "memfd_create", refuse, raising=False)
    assert works(new_file("test"))
    monkeypatch.delattr(os, "memfd_create")
    assert works(new_file("test"))
