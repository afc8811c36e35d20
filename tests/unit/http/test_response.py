"""An application's status and fields: what goes out, what is kept back, and what is refused before anything leaves."""

from collections import deque
from collections.abc import Callable, Iterator
from email.message import Message
from typing import Any, Final

import pytest

from waitressd.http import response as response_module
from waitressd.http.errors import ResponseError
from waitressd.http.limits import MEMO_ENTRIES, MEMO_TEXT_LENGTH
from waitressd.http.response import build_head, build_lines


class Shouting(str):
    """A text that shows itself in another way, as some template engines' texts do."""

    __slots__ = ()

    def __str__(self) -> str:
        return "loud\r\nX-Injected: 1"

    def __format__(self, _: str) -> str:
        return str(self)

    def __add__(self, other: str) -> str:
        return str(self)


@pytest.mark.parametrize(
    "status",
    ["200 OK", "200 ", "404 Not Found", "599 X", "299 caf\xe9", "200 a\tb", "200  two", "305 x", "418 I'm a teapot"],
)
def test_a_status(status: str) -> None:
    for _ in range(2):  # learned, and remembered
        head = build_head(status, [])
        assert (head.code, head.start, head.lines) == (int(status[:3]), f"HTTP/1.1 {status}\r\n", "")
        assert (head.content_length, head.has_date, head.has_server, head.asks_close) == (None, False, False, False)


@pytest.mark.parametrize(
    "status",
    [
        "200", "", " ", "abc def", "20 OK", "2000 OK", " 200 OK", "-20 OK", "+200 OK", "200\tOK", "200OK",
        "200 OK\r\nX: y",
        "200 OK\n", "200 O\x00K", "200 \u0142", "200 \x7f", "100 Continue", "101 Switching Protocols",
        "103 Early Hints",
        "199 X", "600 X", "999 X", "000 X", "\u0662\u0660\u0660 OK", "\xb200 OK", b"200 OK", 200, None, ["200 OK"],
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_status(status: str) -> None:
    for _ in range(2):
        with pytest.raises(ResponseError, match="status"):
            build_head(status, [])


def test_fields_go_out_as_they_are_spelled_and_in_order() -> None:
    fields = [
        ("ETag", '"a"'), ("x-lower", "b"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Expires=Wed, 09 Jun 2021"),
        ("WWW-Authenticate", 'Basic realm="a, b"'), ("X-Empty", ""), ("X-Obs", "caf\xe9"), ("X-Tab", "a\tb"),
        ("ETag", "c"),
    ]  # fmt: skip
    for _ in range(2):
        head = build_head("200 OK", fields)
        assert head.lines == "".join(f"{name}: {value}\r\n" for name, value in fields)


@pytest.mark.parametrize("field", ["Date", "date", "Server", "SERVER"])
def test_the_applications_date_and_server_stand_alone(field: str) -> None:
    head = build_head("200 OK", [(field, "a"), (field, "b")])
    assert head.lines == f"{field}: a\r\n"
    assert head.has_date is (field.lower() == "date")
    assert head.has_server is (field.lower() == "server")


@pytest.mark.parametrize(
    ("value", "asks_close"),
    [("close", True), ("Close", True), ("foo, close", True), ("keep-alive", False), ("Upgrade", False), ("", False)],
)
def test_connection_is_heard_and_not_sent(value: str, asks_close: bool) -> None:  # noqa: FBT001  # a column of the table
    head = build_head(
        "200 OK", [("Connection", value), ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "keep-alive")]
    )
    assert head.lines == ""
    assert head.asks_close is asks_close


@pytest.mark.parametrize(
    "name",
    ["Transfer-Encoding", "transfer-encoding", "TE", "Trailers", "Upgrade", "Proxy-Authenticate",
    "Proxy-Authorization"],
)  # fmt: skip
def test_hop_by_hop_fields_are_the_servers(name: str) -> None:
    for _ in range(2):
        with pytest.raises(ResponseError, match="belongs to the connection"):
            build_head("200 OK", [(name, "chunked")])


def test_an_upgrade_that_is_required_is_named() -> None:
    """426 without Upgrade would be wrong, and so would be Upgrade without its option (RFC 9110, 15.5.22 and 7.8)."""
    for _ in range(2):
        head = build_head("426 Upgrade Required", [("Upgrade", "TLS/1.2"), ("Connection", "Upgrade")])
        assert head.lines == "Upgrade: TLS/1.2\r\nConnection: upgrade\r\n"
        assert not head.asks_close


def test_trailers_are_not_announced_as_none_can_follow() -> None:
    assert build_head("200 OK", [("Trailer", "X-Checksum"), ("X-A", "b")]).lines == "X-A: b\r\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Bad", "v\r\nX-Injected: 1"), ("X-Bad", "v\r\n\r\nHTTP/1.1 200 OK"), ("X-Bad", "v\n"), ("X-Bad", "v\r"),
        ("X-Bad", "v\nw"), ("X-Bad", "v\rw"), ("X-Bad", "v\x00w"), ("X-Bad", "v\x01w"), ("X-Bad", "v\x7fw"),
        ("X-Bad", "v\r\n folded"), ("X-Bad", "caf\u0142"), ("X-Bad", "\U0001f600"), ("X-Bad", b"bytes"), ("X-Bad", 42),
        ("X-Bad", None), ("X-Bad", ["v"]), ("X-Injected: 1\r\nX-Bad", "v"), ("X Bad", "v"), ("X-Bad:", "v"),
        ("X-Bad: x", "v"), ("", "v"), ("X-B\xe4d", "v"), ("X-Bad\n", "v"), (" X-Bad", "v"), (b"X-Bad", "v"),
        (None, "v"),
        (1, "v"), ("X-Bad\x00", "v"), ("(X)", "v"), ("Set-Cookie", "a\r\nb"), ("Date", "a\nb"), ("Server", "a\rb"),
        ("Connection", "close\r\n"),
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_field(name: str, value: str) -> None:
    for _ in range(2):
        with pytest.raises(ResponseError):
            build_head("200 OK", [("Content-Type", "text/plain"), (name, value)])
        with pytest.raises(ResponseError):
            build_lines([(name, value)])


@pytest.mark.parametrize(
    "fields",
    [
        None, 7, "ab", b"xy", {"Content-Type": "text/plain"}, ["ab"], [("A",)], [["A"]], [("A", "b", "c")], [None],
        [{"A": "b"}], [("A", "b"), 7], [{"A", "b"}], [["A", 1]], [["A", "b\n"]], ("ab",),
    ],
)  # fmt: skip
def test_what_is_no_list_of_fields(fields: list[tuple[str, str]]) -> None:
    for build in (lambda: build_head("200 OK", fields), lambda: build_lines(fields)):
        with pytest.raises(ResponseError):
            build()


PAIRS: Final = {"Content-Type": "text/plain", "X-A": "b", "Content-Length": "5"}
COLLECTIONS: Final[dict[str, Callable[[], Any]]] = {
    "items": PAIRS.items,
    "tuple": lambda: tuple(PAIRS.items()),
    "generator": lambda: ((name, value) for name, value in PAIRS.items()),
    "lists": lambda: [[name, value] for name, value in PAIRS.items()],
    "mixed": lambda: [["Content-Type", "text/plain"], ("X-A", "b"), ["Content-Length", "5"]],
    "zip": lambda: zip(PAIRS, PAIRS.values(), strict=True),
    "deque": lambda: deque(PAIRS.items()),
    "message": lambda: message_of(PAIRS).items(),
}


def message_of(pairs: dict[str, str]) -> Message:
    message = Message()
    for name, value in pairs.items():
        message[name] = value
    return message


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_any_iterable_of_pairs_means_what_a_list_of_tuples_means(collection: str) -> None:
    expected = build_head("200 OK", list(PAIRS.items()))
    for _ in range(2):
        head = build_head("200 OK", COLLECTIONS[collection]())
        assert (head.lines, head.content_length) == (expected.lines, 5)
    assert build_lines([[name, PAIRS[name]] for name in ("X-A",)]) == "X-A: b\r\n"  # type: ignore[misc]  # that is the point


def test_what_an_iterator_of_fields_raises_is_the_applications_own() -> None:
    def fields() -> Iterator[tuple[str, str]]:
        yield "X-A", "b"
        raise LookupError("no such header")

    with pytest.raises(LookupError, match="no such header"):
        build_head("200 OK", fields())


def test_the_culprit_is_named() -> None:
    with pytest.raises(ResponseError, match="'X-Bad'"):
        build_head("200 OK", [("X-Bad", "v\n")])
    with pytest.raises(ResponseError, match=r"'X-Bad'.*not b'v'"):
        build_head("200 OK", [("X-Bad", b"v")])  # type: ignore[list-item]  # that is the point
    with pytest.raises(ResponseError, match="'200'"):
        build_head("200", [])


def test_texts_that_show_themselves_in_another_way() -> None:
    for _ in range(2):
        head = build_head(Shouting("200 OK"), [(Shouting("X-A"), Shouting("b")), (Shouting("Content-Length"), "5")])
        assert (head.start, head.lines) == ("HTTP/1.1 200 OK\r\n", "X-A: b\r\nContent-Length: 5\r\n")
    assert build_lines([(Shouting("Link"), Shouting("b"))]) == "Link: b\r\n"
    assert all(type(text) is str for memo in (response_module._STATUSES, response_module._NAMES) for text in memo)


@pytest.mark.parametrize(("value", "length"), [("0", 0), ("5", 5), ("0005", 5), ("9" * 18, 10**18 - 1)])
def test_a_declared_length(value: str, length: int) -> None:
    head = build_head("200 OK", [("content-length", value), ("X-A", "b")])
    assert (head.content_length, head.lines) == (length, f"content-length: {value}\r\nX-A: b\r\n")


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "abc",
        "+5",
        "-1",
        "5 5",
        "\xa05",
        "5\x0b",
        "5,5",
        "0x5",
        "1_0",
        "\xb2",
        "\u0665",
        "5.0",
        "9" * 19,
        "5\r\n",
        5,
        b"5",
        None,
    ],
    ids=repr,
)
def test_what_is_no_declared_length(value: str) -> None:
    with pytest.raises(ResponseError, match="Content-Length"):
        build_head("200 OK", [("Content-Length", value)])


@pytest.mark.parametrize("value", [" 5", "5 ", "\t5 \t"])
def test_blanks_around_a_length_are_cut(value: str) -> None:
    for _ in range(2):
        head = build_head("200 OK", [("Content-Length", value)])
        assert (head.content_length, head.lines) == (5, "Content-Length: 5\r\n")


def test_two_equal_lengths_become_one() -> None:
    for second in ("5", "05", " 5"):
        for _ in range(2):
            head = build_head("200 OK", [("Content-Length", "5"), ("X-A", "b"), ("content-length", second)])
            assert (head.content_length, head.lines) == (5, "Content-Length: 5\r\nX-A: b\r\n")


def test_two_different_lengths_are_refused() -> None:
    with pytest.raises(ResponseError, match="two different Content-Length"):
        build_head("200 OK", [("Content-Length", "5"), ("content-length", "6")])


@pytest.mark.parametrize(
    ("status", "value", "line"),
    [
        ("204 No Content", "5", ""), ("204 No Content", "0", ""), ("205 Reset", "5", ""),
        ("304 Not Modified", "5", "Content-Length: 5\r\n"), ("304 Not Modified", "0", ""),
        ("304 Not Modified", "00", ""), ("200 OK", "0", "Content-Length: 0\r\n"),
    ],
)  # fmt: skip
def test_the_length_where_there_is_no_content(status: str, value: str, line: str) -> None:
    """None with 204; with 304 that of the 200 if the application knows it, and 0 is not that (RFC 9110, 8.6)."""
    for _ in range(2):
        head = build_head(status, [("Content-Length", value)])
        assert (head.lines, head.content_length) == (line, int(value))


@pytest.mark.parametrize("name", ["X-B", "Content-Length", "Date", "Connection", "Keep-Alive", "Trailer", "Server"])
@pytest.mark.parametrize("value", ["a\n", "\x00", "\x7f", "\u20ac", "1\u20ac", "\u0665", "close, \u0142"])
def test_a_value_that_cannot_be_sent_is_refused_whatever_its_name_means(name: str, value: str) -> None:
    """What is left out, too; and its name is told, among others with all that a value may have."""
    good = [("X-A", "a: b\t\xe4\xa0"), ("Set-Cookie", "c=\xff")]
    for fields in ([*good, (name, value)], [(name, value), *good], [*good, (name, value), *good]):
        with pytest.raises(ResponseError, match=name):
            build_head("200 \xfc", fields)
        with pytest.raises(ResponseError, match=name):
            build_head("200 \xfc", iter(fields))
    assert build_head("200 \xfc", good).lines == "X-A: a: b\t\xe4\xa0\r\nSet-Cookie: c=\xff\r\n"


@pytest.mark.parametrize("name", ["Content-Length", "Date", "Connection", "Transfer-Encoding", "Keep-Alive", "Server"])
def test_an_interim_response_has_plain_fields_only(name: str) -> None:
    with pytest.raises(ResponseError, match="interim"):
        build_lines([("Link", "</a>; rel=preload"), (name, "5")])
    assert build_lines([("Link", "a"), ("Link", "b")]) == "Link: a\r\nLink: b\r\n"
    assert build_lines([]) == ""


def test_the_memos_stay_bounded() -> None:
    for number in range(3 * MEMO_ENTRIES):
        build_head(f"200 OK {number}", [(f"X-{number}", f"{number}")])
        for memo in (response_module._STATUSES, response_module._NAMES):
            assert len(memo) <= MEMO_ENTRIES
    long = "x" * (MEMO_TEXT_LENGTH + 1)
    build_head(f"200 {long}", [(long, "y")])
    assert f"200 {long}" not in response_module._STATUSES
    assert long not in response_module._NAMES
