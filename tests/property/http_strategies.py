"""Requests for hypothesis: right ones, nearly right ones, and octets that never meant to be one."""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.support.naive import TCHARS

ENDS = (b"\r\n", b"\n", b"\r", b"\r\r\n", b"\r\n\r\n", b"")

FRAGMENTS = (
    b"GET", b"POST", b"HEAD", b"OPTIONS", b"CONNECT", b"M!", b" ", b"  ", b"\t", b"/", b"/a?b=c", b"*",
    b"http://b.test/c",
    b"/%41%", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.2", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"Host: a",
    b"Host:",
    b"Host : a", b"host: [::1]:80", b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: +5",
    b"Content-Length: 9",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer_Encoding: chunked",
    b"Connection: close",
    b"Connection: keep-alive", b"Expect: 100-continue", b"Expect: x", b"Cookie: a", b"X: y", b"X:", b":", b" fold",
    b"\x00",
    b"\x7f", b"\xff", b"5\r\nhello\r\n", b"5;a=b\r\nhello\r\n", b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"1\r\nx\r\n",
    b"hello",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
)  # fmt: skip


def fragments() -> SearchStrategy[bytes]:
    """Words of the protocol in any order, some octets between them."""
    return st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=3), max_size=30).map(b"".join)


def tokens() -> SearchStrategy[bytes]:
    """Any token."""
    return st.lists(st.sampled_from(list(TCHARS)), min_size=1, max_size=10).map(bytes)


def values() -> SearchStrategy[bytes]:
    """Any field value, without white space around it."""
    octets = [0x09, *range(0x20, 0x7F), *range(0x80, 0x100)]
    return st.lists(st.sampled_from(octets), max_size=20).map(bytes).map(lambda value: value.strip(b" \t"))


def targets() -> SearchStrategy[bytes]:
    """Any target in origin-form."""
    octets = [bytes([octet]) for octet in range(0x21, 0x7F) if octet not in b"#%"] + [b"%00", b"%2f", b"%C3"]
    return st.lists(st.sampled_from(octets), max_size=15).map(lambda parts: b"/" + b"".join(parts))


RESERVED = (b"host", b"content-length", b"content-type", b"transfer-encoding", b"expect", b"connection", b"proxy")


@st.composite
def chunked_bodies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Draw a chunked body: as it is sent, and what it means."""
    chunks = draw(st.lists(st.binary(min_size=1, max_size=20), max_size=6))
    extension = st.sampled_from([b"", b"", b";a", b";a=b", b' ; a = "b;\\" c"'])
    coded = b"".join(
        b"%b%x%b\r\n%b\r\n" % (b"0" * draw(st.integers(0, 3)), len(chunk), draw(extension), chunk) for chunk in chunks
    )
    trailer = b"".join(draw(st.lists(st.sampled_from([b"X: y\r\n", b"Age: 9\r\n", b"A:\r\n"]), max_size=2)))
    return coded + b"0%b\r\n%b\r\n" % (draw(extension), trailer), b"".join(chunks)


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Draw a request that keeps every rule and the connection, and the body in it."""
    method = draw(st.sampled_from([b"GET", b"POST", b"HEAD"]) | tokens().filter(lambda token: token != b"CONNECT"))
    lines = [
        b"%b:%b%b%b" % (name, draw(st.sampled_from([b"", b" ", b"\t "])), value, draw(st.sampled_from([b"", b" \t"])))
        for name, value in draw(st.lists(st.tuples(tokens(), values()), max_size=5))
        if name.lower() not in RESERVED
    ]
    framing, coded, body = draw(st.sampled_from(["none", "length", "chunked"])), b"", b""
    if framing == "length":
        coded = body = draw(st.binary(max_size=40))
        lines.append(b"Content-Length: %d" % len(body))
    elif framing == "chunked":
        coded, body = draw(chunked_bodies())
        lines.append(b"Transfer-Encoding: chunked")
    lines.insert(draw(st.integers(0, len(lines))), b"Host: a.test")
    blank = b"\r\n" * draw(st.integers(0, 2))
    start = b"%b %b HTTP/1.1\r\n" % (method, draw(targets()))
    return blank + start + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + coded, body


def pipelines() -> SearchStrategy[bytes]:
    """Requests one behind the other."""
    return st.lists(requests(), min_size=1, max_size=4).map(lambda drawn: b"".join(data for data, _ in drawn))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw a pipeline with some octets replaced, left out, repeated or put in."""
    data = bytearray(draw(pipelines()))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        until = min(len(data), at + draw(st.integers(0, 3)))
        data[at:until] = draw(
            st.sampled_from([b"", b"\r", b"\n", b" ", b"\x00", b":", b";", b"0", b"\t", b"_", b"\xff"])
        )
    return bytes(data)


def anything() -> SearchStrategy[bytes]:
    """Anything a client may send."""
    return st.binary(max_size=200) | fragments() | damaged() | pipelines()


@st.composite
def pieces(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Cut octets anywhere."""
    cuts = sorted(draw(st.sets(st.integers(0, len(data)), max_size=12)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
