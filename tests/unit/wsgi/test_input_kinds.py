"""Every kind of request body is the same to an application: each operation gives what a body in memory gives."""

import copy
import csv
import gc
import io
import pickle
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import pytest

from waitressd.wsgi.input import FREE_BYTES, LARGE_READ_BYTES, NEEDS_ALL, BodyFile, BodySpool, JoinedBody, PiecedBody

SMALL: Final = b"one\ntwo\n\nthree,\xc3\xa9\r\nfour"
LARGE: Final = b"".join(b"%06d,text\n" % number for number in range(12_000))  # several buffers of a file
BODIES: Final = {"empty": b"", "small": SMALL, "no line end": b"x" * 20_000, "large": LARGE}


def in_memory(content: bytes) -> BinaryIO:
    spool = BodySpool(len(content))
    spool.append(content)
    return spool.finish()


def on_disk(content: bytes) -> BinaryIO:
    spool = BodySpool(-1)
    for start in range(0, len(content), 7_000):
        spool.append(content[start : start + 7_000])
    spool.append(b"")
    return spool.finish()


def in_pieces(content: bytes) -> BinaryIO:
    return PiecedBody([content[start : start + 7_000] for start in range(0, len(content), 7_000)])


def in_a_named_file(content: bytes) -> BinaryIO:
    """What a temporary file is on Windows: an object around the file, not a file itself."""
    raw = tempfile.NamedTemporaryFile(buffering=0)  # noqa: SIM115 - the body closes it
    body = BodyFile(cast("io.RawIOBase", raw))
    body.write(content)
    body.seek(0)
    return cast("BinaryIO", body)


KINDS: Final[dict[str, Callable[[bytes], BinaryIO]]] = {
    "memory": in_memory, "pieces": in_pieces, "disk": on_disk, "named file": in_a_named_file,
}  # fmt: skip


def reopened(body: Any) -> Any:
    with body:
        body.read(1)
    return body.closed, body.read()


def text_of(body: BinaryIO) -> Any:
    text = io.TextIOWrapper(body, "utf-8", newline="")
    return text.readline(), text.tell() >= 0, text.read()


def wrapped_and_collected(body: BinaryIO) -> Any:
    text = io.TextIOWrapper(body, "utf-8")
    line = text.readline()
    del text
    gc.collect()
    return line, body.closed


def detached(body: BinaryIO) -> Any:
    text = io.TextIOWrapper(body, "utf-8")
    text.detach()
    return body.read()


def filled(body: Any, size: int) -> Any:
    buffer = bytearray(size)
    return body.readinto(buffer), bytes(buffer), body.readinto1(buffer), bytes(buffer)


def walked(body: BinaryIO, *moves: tuple[int, int]) -> Any:
    seen: list[Any] = []
    for move in moves:
        try:
            seen.append(body.seek(*move))
        except (ValueError, OSError) as error:
            seen.append((type(error), isinstance(error, OSError)))
        seen += [body.tell(), body.read(2)]
    return seen


def told(body: BinaryIO) -> Any:
    seen = []
    for line in body:
        seen += [line, body.tell()]
    return seen


def copied(body: BinaryIO) -> Any:
    target = io.BytesIO()
    shutil.copyfileobj(body, target)
    return target.getvalue()


OPERATIONS: Final[dict[str, Callable[[Any], Any]]] = {
    "read": lambda body: [body.read(), body.read(), body.read(5)],
    "read None": lambda body: [body.read(None), body.read(None)],
    "read n": lambda body: [body.read(3), body.read(0), body.read(9_000), body.read(1), body.read(-1)],
    "read below -1": lambda body: [body.read(2), body.read(-5)],
    "read large": lambda body: [body.read(3), body.read(LARGE_READ_BYTES + 1), body.read(LARGE_READ_BYTES + 1)],
    "read on": lambda body: [body.read(n) for n in (1, 6_998, 1, 7_000, 0, 20_000, 3, -1)],
    "read by a number of another class": lambda body: [body.read(True), body.read(2), body.read(False)],
    "read and go back": lambda body: [body.read(8_000), body.tell(), body.seek(6_999), body.read(3), body.read(10)],
    "read and read a line": lambda body: [body.read(6_995), body.readline(), body.read(4), next(body, None)],
    "read, close and read": lambda body: [body.read(6_995), body.close(), body.read(5)],
    "read without end": lambda body: [body.read(2), body.read(sys.maxsize), body.read(sys.maxsize)],
    "read1": lambda body: [body.read1(), body.read1()],
    "read1 n": lambda body: [body.read1(4), body.read1(0), body.read1(50_000), body.read1(-1)],
    "readline": lambda body: [body.readline() for _ in range(8)],
    "readline n": lambda body: [body.readline(n) for n in (2, 0, 9, -1, 100_000, None, 1)],
    "readlines": lambda body: [body.readlines(), body.readlines()],
    "readlines hint": lambda body: [body.readlines(2), body.readlines(0), body.readlines(-1)],
    "readlines large hint": lambda body: [body.readlines(9_000), body.readlines(None)],
    "iteration": list,
    "next": lambda body: [next(body, None) for _ in range(4)],
    "next and read": lambda body: [next(body, None), body.read(3), next(body, None), body.read()],
    "tell while iterating": told,
    "read with text": lambda body: body.read("all"),
    "readinto": lambda body: filled(body, 5),
    "readinto large": lambda body: filled(body, 30_000),
    "seek": lambda body: walked(body, (3, 0), (0, 1), (2, 1), (0, 2), (0, 0), (100, 0), (1, 2)),
    "seek back": lambda body: walked(body, (5, 0), (-1, 1), (-2, 2), (-1, 0), (-100, 1), (-1_000_000, 2)),
    "seek from nowhere": lambda body: walked(body, (0, 9), (-1, 9)),
    "seek unbuffered": lambda body: walked(body, (19_000, 0), (-18_000, 1), (-5, 2)),
    "with": reopened,
    "close": lambda body: [body.close(), body.closed, body.close(), body.closed],
    "read after close": lambda body: [body.close(), body.read()],
    "seek after close": lambda body: [body.close(), body.seek(0)],
    "iterate after close": lambda body: [body.close(), next(body)],
    "TextIOWrapper": text_of,
    "TextIOWrapper that is collected": wrapped_and_collected,
    "TextIOWrapper that is detached": detached,
    "csv": lambda body: list(csv.reader(io.TextIOWrapper(body, "utf-8"))),
    "BufferedReader": lambda body: [io.BufferedReader(body).readline(), body.closed],
    "BufferedReader, all": lambda body: io.BufferedReader(body, 100).read(),
    "copyfileobj": copied,
    "detach": lambda body: body.detach(),
    "fileno": lambda body: body.fileno(),
    "isatty": lambda body: body.isatty(),
    "name": lambda body: body.name,
    "mode": lambda body: body.mode,
    "flush": lambda body: body.flush(),
    "questions": lambda body: [body.readable(), body.seekable(), body.writable(), body.closed],
    "classes": lambda body: [isinstance(body, kind) for kind in (io.IOBase, io.BufferedIOBase, io.RawIOBase)],
}  # fmt: skip
"""What applications, frameworks and the standard library do with `wsgi.input`."""


def outcome(operation: Callable[[Any], Any], body: BinaryIO) -> Any:
    """Return what an operation gives, or the kind of error that it raises; the server closes the body after it."""
    try:
        return operation(body)
    except Exception as error:  # border: what is raised is the outcome
        return type(error)
    finally:
        body.close()
        assert body.closed


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "memory"])
@pytest.mark.parametrize("content", BODIES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_kind_of_body_does_the_same(operation: str, content: str, kind: str) -> None:
    operate, data = OPERATIONS[operation], BODIES[content]
    assert outcome(operate, KINDS[kind](data)) == outcome(operate, in_memory(data))


def test_the_body_of_a_request_without_one_is_of_the_kind_in_memory() -> None:
    with in_memory(b"") as small, on_disk(b"") as large:
        assert (type(small), type(large)) == (io.BytesIO, BodyFile)


# What `BytesIO` does without a look at what it holds.
_NEEDS_NOTHING: Final = {"close", "closed", "detach", "fileno", "flush", "isatty", "read", "readable", "seekable"} | {
    "writable", "__iter__", "__enter__", "__exit__", "__del__", "__init__", "__dict__", "__sizeof__", "__module__",
    "_checkClosed", "_checkReadable", "_checkSeekable", "_checkWritable", "_dealloc_warn",
}  # fmt: skip


def test_whatever_else_a_body_in_memory_can_do_joins_its_pieces() -> None:
    named = {name for name in dir(io.BytesIO) if name not in dir(object)}
    assert named - _NEEDS_NOTHING <= set(NEEDS_ALL)
    assert all(hasattr(io.BytesIO, name) for name in NEEDS_ALL)


MEMORY_OPERATIONS: Final[dict[str, Callable[[Any], Any]]] = {
    "getvalue": lambda body: [body.read(8), body.getvalue(), body.read(3)],
    "getbuffer": lambda body: [body.read(8), bytes(body.getbuffer()), body.read(3)],
    "write": lambda body: [body.read(8), body.write(b"new"), body.read(3), body.getvalue()],
    "writelines": lambda body: [body.read(8), body.writelines([b"new"]), body.read(3), body.getvalue()],
    "truncate": lambda body: [body.read(8), body.truncate(), body.read(3), body.getvalue()],
    "copy": lambda body: [body.read(8), copy.copy(body).getvalue(), body.read()],
    "pickle": lambda body: [body.read(8), pickle.loads(pickle.dumps(body)).read(), body.read()],
}


@pytest.mark.parametrize("content", BODIES)
@pytest.mark.parametrize("operation", MEMORY_OPERATIONS)
def test_a_body_in_pieces_is_a_body_in_memory(operation: str, content: str) -> None:
    operate, data = MEMORY_OPERATIONS[operation], BODIES[content]
    assert outcome(operate, in_pieces(data)) == outcome(operate, in_memory(data))


def test_a_large_body_is_joined_only_for_more_than_reading() -> None:
    spool = BodySpool(1 << 20)
    for number in range(5):
        spool.append(bytes([number]) * (FREE_BYTES // 4))
    body = spool.finish()
    assert body.read(3) == bytes(3)
    assert type(body) is PiecedBody
    assert body.tell() == 3
    assert type(body) is JoinedBody
    assert isinstance(body, io.BytesIO)
    body.close()


def test_a_body_on_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    spool = BodySpool(0, str(tmp_path))
    spool.append(SMALL)
    body = spool.finish()
    assert body.read() == SMALL
    body.close()
    assert list(tmp_path.iterdir()) == []
