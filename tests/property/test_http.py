"""Laws of the HTTP core that hold for whatever a client or an application says."""

from hypothesis import event, given
from hypothesis import strategies as st

from tests.property.http_strategies import (
    anything,
    chunked_bodies,
    fragments,
    pieces,
    pipelines,
    requests,
    tokens,
    values,
)
from tests.support.exchange import DATE, asked, cut, exchange, head
from waitressd.http.body import ChunkedDecoder, Phase
from waitressd.http.errors import HttpError, ResponseError
from waitressd.http.events import NEED_DATA, Body, EndOfBody
from waitressd.http.grammar import is_field_value, is_token
from waitressd.http.limits import Limits
from waitressd.http.reader import RequestReader
from waitressd.http.response import build_head
from waitressd.http.states import Reading, Sending

SMALL = Limits(
    max_request_header_size=300,
    max_request_line_size=60,
    max_request_fields=5,
    max_request_body_size=60,
    chunk_extension_bytes=20,
)


@given(st.data(), anything())
def test_where_the_octets_are_cut_does_not_matter(data: st.DataObject, sent: bytes) -> None:
    whole = exchange([sent])
    event(f"refused: {whole.refusal is not None}, requests: {len(whole.requests)}")
    assert exchange(data.draw(pieces(sent))).facts() == whole.facts()
    assert exchange(cut(sent, 1)).facts() == whole.facts()


@given(st.data(), anything())
def test_octets_give_events_or_a_refusal_and_never_anything_else(data: st.DataObject, sent: bytes) -> None:
    """`exchange` lets any other exception through, and checks that nothing follows a refusal."""
    for limits in (Limits(), SMALL):
        seen = exchange(data.draw(pieces(sent)), limits, eof=True)
        assert seen.refusal is not None or seen.closed
        assert seen.refusal is None or 400 <= seen.refusal.status <= 505


@given(anything(), st.integers(1, 64))
def test_what_is_buffered_stays_under_the_limit(sent: bytes, size: int) -> None:
    longest = max(SMALL.max_request_header_size, SMALL.chunk_extension_bytes + 17)
    assert exchange(cut(sent * 3, size), SMALL).most_buffered <= longest + size


@given(pipelines())
def test_the_beginning_of_a_good_message_is_never_refused(sent: bytes) -> None:
    for end in range(0, len(sent), 1 + len(sent) // 60):
        assert exchange([sent[:end]]).refusal is None


@given(st.lists(requests(), max_size=4), fragments())
def test_what_follows_does_not_change_what_was_there(drawn: list[tuple[bytes, bytes]], behind: bytes) -> None:
    sent = b"".join(data for data, _ in drawn)
    seen, followed = exchange([sent]), exchange([sent + behind])
    assert seen.refusal is None
    assert seen.bodies == [body for _, body in drawn]
    assert followed.facts()[0][: len(drawn)] == seen.facts()[0]  # type: ignore[index]  # the list of requests


@given(st.data(), chunked_bodies())
def test_a_chunked_body_is_what_was_encoded(data: st.DataObject, drawn: tuple[bytes, bytes]) -> None:
    coded, body = drawn
    decoder, decoded, buffer = ChunkedDecoder(Limits(), 0), b"", b""
    for piece in data.draw(pieces(coded)):
        buffer += piece
        part, position = decoder.decode(buffer, 0)
        decoded += part
        buffer = buffer[position:]
    assert (decoder.phase, decoded, buffer) == (Phase.END, body, b"")


@given(st.lists(st.binary(max_size=50), max_size=8), st.booleans())
def test_what_is_encoded_as_chunks_decodes_to_the_same(items: list[bytes], at_once: bool) -> None:  # noqa: FBT001  # drawn by hypothesis like the rest
    connection = asked()
    connection.encoder.encode_head(build_head("200 OK", []), DATE)
    encoded = (
        b"".join(piece for item in items for piece in connection.encoder.encode_data(item))
        + connection.encoder.encode_end()
    )
    reader = RequestReader(Limits())
    reader.feed(head("Transfer-Encoding: chunked"))
    reader.next_event()
    decoded = b""
    for piece in [encoded] if at_once else cut(encoded, 1):
        reader.feed(piece)
        while isinstance(received := reader.next_event(), Body):
            decoded += received.data
        assert (received is NEED_DATA) is not isinstance(received, EndOfBody)
    assert decoded == b"".join(items)
    assert reader.reading is Reading.DONE


@given(
    st.text(max_size=8) | tokens().map(bytes.decode), st.text(max_size=12) | values().map(lambda v: v.decode("latin-1"))
)
def test_a_field_is_sent_as_it_is_or_not_at_all(name: str, value: str) -> None:
    try:
        built = build_head("200 OK", [("X-Before", "1"), (name, value), ("X-After", "2")])
    except ResponseError:
        return
    assert is_token(name)
    assert is_field_value(value)
    between = built.lines.removeprefix("X-Before: 1\r\n").removesuffix("X-After: 2\r\n")
    assert between in ("", f"{name}: {value}\r\n")
    assert built.lines.count("\r\n") == built.lines.count("\n") == built.lines.count("\r")


@given(st.text(max_size=12))
def test_a_status_is_sent_as_it_is_or_not_at_all(status: str) -> None:
    for text in (status, f"200 {status}", f"{status} OK"):
        try:
            built = build_head(text, [])
        except ResponseError:
            continue
        assert built.start == f"HTTP/1.1 {text}\r\n"
        assert built.start.count("\n") == 1
        assert built.start.encode("latin-1")[9:12].isdigit()


@given(st.integers(0, 30), st.lists(st.binary(max_size=10), max_size=6), st.booleans())
def test_a_declared_length_is_kept_whatever_the_body(length: int, items: list[bytes], file: bool) -> None:  # noqa: FBT001  # drawn by hypothesis like the rest
    connection = asked()
    connection.encoder.encode_head(build_head("200 OK", [("Content-Length", str(length))]), DATE)
    sent = 0
    for item in items:
        sent += (
            connection.encoder.account_file(len(item)) if file else len(b"".join(connection.encoder.encode_data(item)))
        )
    total = sum(map(len, items))
    assert sent == min(length, total)
    assert connection.encoder.surplus_bytes == max(0, total - length)
    assert connection.encoder.is_satisfied is (total >= length)
    assert connection.encoder.encode_end() == b""
    assert connection.encoder.surplus_bytes == total - length
    assert connection.encoder.sending is (Sending.BROKEN if total < length else Sending.WAIT)
    assert connection.encoder.response_done is (total >= length)


@given(st.sampled_from([400, 408, 413, 431, 500, 503, 505]), st.text(max_size=50))
def test_an_error_answer_is_framed_whatever_it_says(status: int, said: str) -> None:
    encoded = asked().encode_error(HttpError(status, "x"), DATE, said)
    fields, _, content = encoded.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(content)}\r\n".encode() in fields + b"\r\n"
    assert b"Connection: close" in fields
