"""The bytes of a response as applications give them: what counts as bytes, and how pieces are joined to blocks.

Knows no request and no connection.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from waitressd.wsgi.filewrapper import FileWrapper

# A response that is known as a whole is joined into one write up to here; above, its pieces go out as they are.
JOIN_BYTES: Final = 65536


def checked_bytes(item: object, where: str) -> bytes:
    """Return `item` as bytes; bytearray and memoryview are copied, as their owner may change them before they leave.

    Raises TypeError: it is text, a number or anything else that is not bytes; `where` begins the sentence.
    """
    if isinstance(item, bytes):
        return item
    if isinstance(item, (bytearray, memoryview)):
        return bytes(item)
    raise TypeError(f"{where} {type(item).__name__}; a WSGI response consists of bytes (PEP 3333)")


def blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Join small chunks to blocks of about JOIN_BYTES and pass large ones through; empty ones vanish."""
    run: list[bytes] = []
    run_bytes = 0
    for chunk in chunks:
        if run and run_bytes + len(chunk) > JOIN_BYTES:
            yield b"".join(run)
            run, run_bytes = [], 0
        if len(chunk) >= JOIN_BYTES:
            yield chunk
        elif chunk:
            run.append(chunk)
            run_bytes += len(chunk)
    if run:
        yield b"".join(run)


def count_of(result: Any) -> int:  # noqa: ANN401  # whatever the application returned
    """Return how many pieces an iterable says that it has, -1 if it cannot say."""
    if not hasattr(type(result), "__len__"):
        return -1
    try:
        return len(result)
    except Exception:  # border: a wrapper may promise what the iterable that it wraps cannot keep
        return -1


def first_bytes(wrapper: FileWrapper, length: int | None) -> Iterator[bytes]:
    """Yield the blocks of a file, up to `length` bytes."""
    for block in wrapper:
        data = checked_bytes(block, "the file of wsgi.file_wrapper gave")
        if length is not None:
            data = data[:length]
            length -= len(data)
        yield data
        if length == 0:
            return
