"""Three readers of the same octets: ours, a naive one, and h11.

Whatever we take for a request, the others take for the same request. A message that two servers in a row read in two
ways is the whole of request smuggling.
"""

import re
from typing import Final

import h11
import pytest
from hypothesis import assume, given
from hypothesis.strategies import SearchStrategy

from tests.property.http_strategies import anything, damaged, fragments, pipelines
from tests.support import naive
from tests.support.exchange import LIMITS, Exchange, exchange
from waitressd.http.events import Request
from waitressd.http.grammar import is_chunk_extension, is_host, is_ipv6


def cgi_name(name: bytes) -> str:
    key = name.decode("ascii").upper().replace("-", "_")
    return key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"


def naive_facts(message: naive.Message) -> tuple[object, ...]:
    return (
        message.method.decode("ascii"),
        message.target.decode("ascii"),
        message.path.decode("latin-1"),
        message.query.decode("ascii"),
        "HTTP/1.0" if message.old else "HTTP/1.1",
        {cgi_name(name): value.decode("latin-1") for name, value in message.fields.items()},
        message.keep_alive,
        message.body,
    )


def our_facts(request: Request, body: bytes) -> tuple[object, ...]:
    return (
        request.method, request.target, request.path, request.query, request.version, request.fields,
        request.keep_alive, body,
    )  # fmt: skip


def finished(seen: Exchange) -> list[tuple[object, ...]]:
    return [
        our_facts(request, body)
        for request, body, complete in zip(seen.requests, seen.bodies, seen.complete, strict=True)
        if complete
    ]


def compare_with_naive(sent: bytes) -> None:
    seen = exchange([sent])
    messages, refused = naive.read_messages(sent)
    assert finished(seen) == [naive_facts(message) for message in messages]
    if refused:
        assert seen.refusal is not None
    # An unfinished message may be refused by us already, never the other way round: the naive reader needs it whole.


@given(anything())
def test_we_read_what_a_naive_reader_reads(sent: bytes) -> None:
    compare_with_naive(sent)


@given(damaged())
def test_we_read_damaged_requests_as_a_naive_reader_does(sent: bytes) -> None:
    compare_with_naive(sent)


@given(fragments().map(lambda text: text.replace(b"\n", b"")[:60]))
def test_the_terminals_are_those_of_the_naive_reader(text: bytes) -> None:
    line = text.replace(b"\r", b"")
    try:
        naive.check_extensions(line)
        extension = not line.translate(None, bytes(naive.TCHARS) + b' \t;="\\' + bytes(range(0x21, 0x7F)))
    except naive.Refused:
        extension = False
    if not any(octet < 0x20 or octet >= 0x7F for octet in line):
        assert bool(is_chunk_extension(line)) is extension
    assert is_host(line.decode("latin-1")) is naive.is_host(line)


@pytest.mark.parametrize("length", range(1, 5))
def test_every_short_address(length: int) -> None:
    """All texts over a small alphabet: what no example would think of."""
    letters = ["1", "g", ":", ".", "::", "12345", "1.2.3.4"]
    texts = [""]
    for _ in range(length):
        texts = [text + letter for text in texts for letter in letters]
    for text in texts:
        assert is_ipv6(text) is naive.is_ipv6(text.encode()), text
        assert is_host(f"[{text}]") is naive.is_host(f"[{text}]".encode()), text


# -- h11 --

FRAMING_IN_TRAILER: Final = re.compile(
    rb"\n0[^\n]*\n(?:[^\n]+\n)*(?:content-length|transfer-encoding|host)", re.IGNORECASE
)

H11Request = tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes]


def read_with_h11(sent: bytes) -> list[H11Request]:
    """Return the requests that h11 reads, up to the first that it refuses or closes after."""
    requests: list[H11Request] = []
    while sent:
        # h11 refuses the empty lines that RFC 9112, 2.2 asks to read over.
        if sent.startswith(b"\r\n"):
            sent = sent[2:]
            continue
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        connection.receive_data(sent)
        try:
            read = read_one_with_h11(connection)
        except h11.RemoteProtocolError:
            break
        if read is None:
            break
        requests.append(read)
        sent = connection.trailing_data[0]
        if connection.their_state is not h11.DONE:
            break
    return requests


def read_one_with_h11(connection: h11.Connection) -> H11Request | None:
    """Return one request with its body, None if it is not here in whole."""
    event = connection.next_event()
    if not isinstance(event, h11.Request):
        return None
    body = b""
    while isinstance(part := connection.next_event(), h11.Data):
        body += bytes(part.data)
    if not isinstance(part, h11.EndOfMessage):
        return None
    return event.method, event.target, list(event.headers), body


def as_h11_would_say(request: Request, body: bytes) -> tuple[bytes, bytes, dict[str, str], bytes]:
    fields = {key: value for key, value in request.fields.items() if key not in {"CONTENT_LENGTH"}}
    return request.method.encode(), request.target.encode(), fields, body


def as_we_would_say(
    method: bytes, target: bytes, fields: list[tuple[bytes, bytes]], body: bytes
) -> tuple[bytes, bytes, dict[str, str], bytes]:
    joined: dict[str, str] = {}
    for name, value in fields:
        if b"_" in name or name in {b"proxy", b"transfer-encoding", b"content-length"}:
            continue
        key, text = cgi_name(name), value.decode("latin-1")
        separator = "; " if name == b"cookie" else ", "
        joined[key] = joined[key] + separator + text if key in joined else text
    if target[:1] != b"/" and b"://" in target:
        joined["HTTP_HOST"] = target.decode().partition("://")[2].partition("/")[0].partition("?")[0]
    return method, target, joined, body


def compare_with_h11(sent: bytes) -> None:
    """Whatever we accept, h11 reads in the same way; h11 accepts more (bare LF, folded lines, any target)."""
    assume(not re.search(rb"[ \t];", sent))  # white space before a chunk extension, which h11 does not know
    assume(not FRAMING_IN_TRAILER.search(sent))  # h11 checks what it will not use
    seen = exchange([sent], LIMITS)
    ours = [
        as_h11_would_say(request, body)
        for request, body, complete in zip(seen.requests, seen.bodies, seen.complete, strict=True)
        if complete
    ]
    theirs = [as_we_would_say(*message) for message in read_with_h11(sent)]
    assert theirs[: len(ours)] == ours


@pytest.mark.parametrize("strategy", [anything(), damaged(), pipelines()], ids=["anything", "damaged", "pipelines"])
def test_h11_reads_what_we_read(strategy: SearchStrategy[bytes]) -> None:
    given(strategy)(compare_with_h11)()
