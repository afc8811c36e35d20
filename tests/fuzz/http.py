"""Fuzz the HTTP core: `python -m tests.fuzz.http --seconds 60`.

Starts from the seeds in `tests/fuzz/corpus`, changes them at random, and keeps what reaches lines in an order not seen
before. Every input must give the same events however it is cut, nothing but events and HttpError, no more buffered than
the limits allow, and the requests that the naive reader finds in it. The same seed and number of runs give the same
inputs. An input that breaks a law is written beside the seeds, which makes it a regression test from then on.
"""

import argparse
import hashlib
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

from tests.support import naive
from tests.support.exchange import Exchange, cut, exchange
from waitressd.http import encoder, head, response
from waitressd.http.limits import Limits

CORPUS: Final = Path(__file__).parent / "corpus"
WATCHED: Final = str(Path(head.__file__).parent)
LONGEST: Final = 4096
SMALL: Final = Limits(
    max_request_header_size=300,
    max_request_line_size=60,
    max_request_fields=5,
    max_request_body_size=60,
    chunk_extension_bytes=20,
)

WORDS: Final = (
    b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\t", b":", b";", b"=", b'"', b"\\", b",", b"%", b"%41", b"#", b"?",
    b"/", b"*",
    b"_", b"0", b"1", b"5", b"f", b"0\r\n\r\n", b"\x00", b"\x0b", b"\x7f", b"\x80", b"\xff", b"GET ", b"HEAD ",
    b"CONNECT ",
    b"OPTIONS * ", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"http://b.test", b"[::1]:80", b"Host: a\r\n", b"Host: ",
    b"Content-Length: 5\r\n", b"Content-Length: ", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: ",
    b"chunked",
    b"gzip, ", b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Expect: 100-continue\r\n", b"Cookie: a\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"5\r\nhello\r\n", b"9999999999999999999",
)  # fmt: skip

Edge = tuple[CodeType, int, int]


class BrokenLawError(AssertionError):
    """An input for which the HTTP core does not keep its promises."""


def check(data: bytes, cuts: Iterable[int] = ()) -> Exchange:
    """Hold one input against every law; `cuts` are sizes of pieces to feed it in."""
    whole = exchange([data], eof=True)
    for size in (1, *cuts):
        seen = exchange(cut(data, size), eof=True)
        if seen.facts() != whole.facts():
            raise BrokenLawError(f"pieces of {size} octets give other events")
        small = exchange(cut(data, size), SMALL, eof=True)
        if small.most_buffered > SMALL.max_request_header_size + size:
            raise BrokenLawError(f"{small.most_buffered} octets are buffered")
    messages, refused = naive.read_messages(data)
    ours = [
        (request.method, request.target, request.path, request.query, body)
        for request, body, complete in zip(whole.requests, whole.bodies, whole.complete, strict=True)
        if complete
    ]
    theirs = [
        (*(part.decode("latin-1") for part in (found.method, found.target, found.path, found.query)), found.body)
        for found in messages
    ]
    if ours != theirs:
        raise BrokenLawError(f"a naive reader finds {len(theirs)} requests, or others, where we find {len(ours)}")
    if refused and whole.refusal is None:
        raise BrokenLawError("a naive reader refuses what we do not")
    return whole


def trace(run: Callable[[], object]) -> set[Edge]:
    """Run something and return which lines of the HTTP core followed which."""
    edges: set[Edge] = set()

    def enter(frame: FrameType, event: str, arg: object) -> Callable[[FrameType, str, Any], Any] | None:
        if not frame.f_code.co_filename.startswith(WATCHED):
            return None
        last = 0

        def step(frame: FrameType, event: str, arg: object) -> Callable[[FrameType, str, Any], Any]:
            nonlocal last
            if event == "line":
                edges.add((frame.f_code, last, frame.f_lineno))
                last = frame.f_lineno
            return step

        return step

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        run()
    finally:
        sys.settrace(before)
    return edges


def mutate(data: bytes, corpus: list[bytes], chance: random.Random) -> bytes:
    """Change an input in one to four places."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(changed))
        until = min(len(changed), at + chance.choice((0, 1, 1, 2, 8, 40)))
        match chance.randrange(7):
            case 0:
                changed[at:until] = b""
            case 1:
                changed[at:until] = changed[at:until] * chance.choice((2, 3, 20))
            case 2 if at < len(changed):
                changed[at] ^= 1 << chance.randrange(8)
            case 3:
                other = chance.choice(corpus)
                start = chance.randint(0, len(other))
                changed[at:] = other[start:]
            case 4:
                changed[at:at] = bytes([chance.randrange(256)])
            case _:
                changed[at:until] = chance.choice(WORDS)
    return bytes(changed[:LONGEST])


def read_corpus() -> dict[str, bytes]:
    """Return the committed seeds by name."""
    return {path.name: path.read_bytes() for path in sorted(CORPUS.glob("*.http"))}


def fuzz(seed: int, stop: Callable[[int], bool]) -> Iterator[tuple[int, int, int]]:
    """Try inputs until `stop`, which is told how many were tried; give tried, kept and edges whenever one is kept.

    Raises BrokenLawError, or whatever else the core raises, with the input in a note and in a file.
    """
    chance = random.Random(seed)
    # What the core remembers of earlier inputs would change which lines it takes for these.
    for memo in (head.KEYS, head._HOSTS, response._STATUSES, response._NAMES):
        memo.clear()
    encoder._server_line.cache_clear()
    corpus = list(read_corpus().values())
    edges: set[Edge] = set()
    for data in corpus:
        edges |= trace(partial(exchange, [data], eof=True))
    tried = 0
    while not stop(tried):
        data = mutate(chance.choice(corpus), corpus, chance)
        tried += 1
        try:
            found = trace(partial(exchange, [data], eof=True))
            check(data, [chance.randint(2, 40)])
        except Exception as error:  # border: whatever an input brings about is a finding
            error.add_note(f"input {data!r} written to {keep(data)}")
            raise
        if not found <= edges:
            edges |= found
            corpus.append(data)
            yield tried, len(corpus), len(edges)
    yield tried, len(corpus), len(edges)


def keep(data: bytes) -> Path:
    """Write an input that breaks a law to the corpus."""
    path = CORPUS / f"found-{hashlib.sha256(data).hexdigest()[:12]}.http"
    path.write_bytes(data)
    return path


def main(arguments: list[str]) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.http", description="Fuzz the HTTP core.")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to try (default: 60)")
    parser.add_argument("--runs", type=int, default=0, help="how many inputs to try instead; the same ones for a seed")
    parser.add_argument("--seed", type=int, default=1, help="where chance begins (default: 1)")
    options = parser.parse_args(arguments)
    deadline = time.monotonic() + options.seconds
    stop = (lambda tried: tried >= options.runs) if options.runs else (lambda tried: time.monotonic() > deadline)
    for name, data in read_corpus().items():
        try:
            check(data, [2, 7])
        except BrokenLawError as error:
            error.add_note(f"seed {name}")
            raise
    tried = kept = edges = 0
    for tried, kept, edges in fuzz(options.seed, stop):
        print(f"\rtried {tried}, kept {kept}, edges {edges}", end="", flush=True)
    print(f"\rtried {tried}, kept {kept}, edges {edges}; every law held")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
