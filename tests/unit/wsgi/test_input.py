"""waitressd.wsgi.input: where a request body waits until it is complete."""

import io
import tempfile
from pathlib import Path
from typing import Any

import pytest

from waitressd.wsgi.input import FREE_BYTES, BodySpool, MemoryBudget


def test_many_small_pieces_take_little_more_than_their_bytes() -> None:
    tracemalloc = pytest.importorskip("tracemalloc")  # PyPy has none
    spool = BodySpool(1 << 20)
    pieces = [b"%03d" % (number % 1000) for number in range(50_000)]
    tracemalloc.start()
    try:
        for piece in pieces:
            spool.append(piece)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 2 * 3 * len(pieces)
    spool.append(b"large" * 2000)
    spool.append(b"end")
    assert spool.finish().read() == b"".join(pieces) + b"large" * 2000 + b"end"


@pytest.mark.parametrize("pieces", [[], [b""], [b"abc"], [b"a", b"bc"], [b"a"] * 10], ids=repr)
def test_a_small_body_stays_in_memory(pieces: list[bytes]) -> None:
    spool = BodySpool(10)
    for piece in pieces:
        spool.append(piece)
    file = spool.finish()
    assert isinstance(file, io.BytesIO)
    assert file.read() == b"".join(pieces)
    spool.close()


@pytest.mark.parametrize("pieces", [[b"x" * 11], [b"a"] * 11, [b"abc"] * 1000], ids=lambda pieces: str(len(pieces)))
def test_a_large_body_goes_to_a_file(pieces: list[bytes], tmp_path: Path) -> None:
    spool = BodySpool(10, str(tmp_path))
    for piece in pieces:
        spool.append(piece)
    with spool.finish() as file:
        assert not isinstance(file, io.BytesIO)
        assert file.tell() == 0
        assert file.read() == b"".join(pieces)


def test_the_file_is_in_the_folder_given(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    spool = BodySpool(0, str(missing))
    with pytest.raises(FileNotFoundError):
        spool.append(b"x")
    spool.close()


def test_the_limit_is_inclusive() -> None:
    spool = BodySpool(3)
    spool.append(b"abc")
    assert isinstance(spool.finish(), io.BytesIO)


def test_the_body_belongs_to_whom_it_was_handed() -> None:
    spool = BodySpool(0)
    spool.append(b"x")
    file = spool.finish()
    spool.close()
    spool.close()
    assert file.read() == b"x"
    file.close()


@pytest.mark.parametrize("overflow_bytes", [0, 10])
def test_closing_gives_the_body_up(overflow_bytes: int) -> None:
    spool = BodySpool(overflow_bytes)
    spool.append(b"x")
    spool.close()
    spool.close()
    with pytest.raises(ValueError, match="handed on or given up"):
        spool.append(b"y")
    with pytest.raises(ValueError, match="handed on or given up"):
        spool.finish()


def test_a_body_is_handed_on_once() -> None:
    spool = BodySpool(10)
    spool.append(b"x")
    spool.finish().close()
    with pytest.raises(ValueError, match="handed on or given up"):
        spool.finish()


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let temporary files end up on a device that is always full."""
    if not Path("/dev/full").exists():
        pytest.skip("needs a device that is always full")

    def temporary_file(**_options: Any) -> Any:
        return Path("/dev/full").open("w+b", buffering=0)

    monkeypatch.setattr(tempfile, "TemporaryFile", temporary_file)


def test_a_full_disk_is_an_error_while_the_body_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    full_disk(monkeypatch)
    spool = BodySpool(0)
    with pytest.raises(OSError, match="No space left"):
        spool.append(b"x" * (2 * io.DEFAULT_BUFFER_SIZE))
    spool.close()


def test_a_full_disk_is_an_error_at_the_end_of_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    full_disk(monkeypatch)
    spool = BodySpool(0)
    spool.append(b"x")  # stays in the write buffer of the file
    with pytest.raises(OSError, match="No space left"):
        spool.finish()
    spool.close()


def test_a_full_disk_does_not_keep_a_body_from_being_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    full_disk(monkeypatch)
    spool = BodySpool(0)
    spool.append(b"x")
    spool.close()
    spool.close()


def test_many_uploads_at_once_take_no_more_than_the_budget_and_a_little_for_each(tmp_path: Path) -> None:
    tracemalloc = pytest.importorskip("tracemalloc")  # PyPy has none
    budget = MemoryBudget(1 << 20)
    spools = [BodySpool(1 << 20, str(tmp_path), budget, 300_000) for _ in range(60)]
    tracemalloc.start()
    try:
        for number in range(10):
            for spool in spools:
                spool.append(bytes([number]) * 20_000)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < (1 << 20) + len(spools) * 2 * io.DEFAULT_BUFFER_SIZE
    files = [spool.finish() for spool in spools]
    in_memory = sum(isinstance(file, io.BytesIO) for file in files)
    assert in_memory == (1 << 20) // 300_000
    for file, spool in zip(files, spools, strict=True):
        assert file.read() == b"".join(bytes([number]) * 20_000 for number in range(10))
        file.close()
        spool.close()
    assert budget.take(1 << 20)


@pytest.mark.parametrize("declared_bytes", [None, 1 << 40])
def test_what_is_only_announced_takes_nothing(declared_bytes: int | None, tmp_path: Path) -> None:
    budget = MemoryBudget(1 << 20)
    spool = BodySpool(1 << 50, str(tmp_path / "missing"), budget, declared_bytes)
    spool.append(b"x" * FREE_BYTES)
    assert budget.take(1 << 20)
    spool.close()


@pytest.mark.parametrize("declared_bytes", [None, FREE_BYTES + 1])
def test_a_small_part_of_each_body_is_in_memory_whatever_others_have(
    declared_bytes: int | None, tmp_path: Path
) -> None:
    budget = MemoryBudget(0)
    small, larger = (BodySpool(1 << 20, str(tmp_path), budget, declared_bytes) for _ in range(2))
    small.append(b"x" * FREE_BYTES)
    assert isinstance(small.finish(), io.BytesIO)
    larger.append(b"x" * (FREE_BYTES + 1))
    with larger.finish() as file:
        assert not isinstance(file, io.BytesIO)


def test_a_body_whose_length_says_that_it_will_not_fit_is_written_from_the_beginning(tmp_path: Path) -> None:
    budget = MemoryBudget(1 << 30)
    spool = BodySpool(1 << 20, str(tmp_path), budget, (1 << 20) + 1)
    spool.append(b"x" * (FREE_BYTES + 1))
    with spool.finish() as file:
        assert not isinstance(file, io.BytesIO)
    assert budget.take(1 << 30)


def test_a_body_of_unknown_length_takes_memory_as_it_grows() -> None:
    budget = MemoryBudget(300_000)
    spool = BodySpool(200_000, None, budget)
    for _ in range(200):
        spool.append(b"x" * 1000)
    assert not budget.take(150_000)
    assert len(spool.finish().read()) == 200_000
    spool.close()
    assert budget.take(300_000)


def test_a_body_that_outgrows_the_memory_gives_it_to_others(tmp_path: Path) -> None:
    budget = MemoryBudget(200_000)
    spool = BodySpool(1 << 20, str(tmp_path), budget)
    for _ in range(4):
        spool.append(b"x" * 70_000)
    assert budget.take(200_000)
    budget.give_back(200_000)
    spool.close()
    assert budget.take(200_000)
    assert not budget.take(1)
