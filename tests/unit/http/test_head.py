"""Request lines and field lines: what is served, as what, and what is refused with which status."""

import pytest

from tests.support.exchange import LIMITS, accepted, cut, exchange, head, refused
from waitressd.http import head as head_module
from waitressd.http.errors import HttpError
from waitressd.http.head import parse_fields, parse_head, parse_start_line
from waitressd.http.limits import MEMO_ENTRIES, MEMO_TEXT_LENGTH

# -- the request line --


@pytest.mark.parametrize(
    ("method", "target", "path", "query"),
    [
        ("GET", "/", "/", ""),
        ("GET", "/a/b?c=d", "/a/b", "c=d"),
        ("POST", "/a?b?c", "/a", "b?c"),
        ("PUT", "/a?", "/a", ""),
        ("DELETE", "/?", "/", ""),
        ("PATCH", "/a?u=http://x:9/y", "/a", "u=http://x:9/y"),
        ("HEAD", "//a//b", "//a//b", ""),
        ("GET", "/a/../b/./c", "/a/../b/./c", ""),
        ("GET", "/a+b;c=d,e", "/a+b;c=d,e", ""),
        ("GET", '/"<>\\^`{|}', '/"<>\\^`{|}', ""),
        ("GET", "/caf%C3%A9%20x?a=%41+&b", "/caf\xc3\xa9 x", "a=%41+&b"),
        ("GET", "/a%2Fb%2fc", "/a/b/c", ""),
        ("GET", "/%00%0d%0a%3F", "/\x00\r\n?", ""),
        ("GET", "/a?%C3", "/a", "%C3"),
        ("GET", "/a%20b?q=100%", "/a b", "q=100%"),
        ("GET", "/?%&b=%u0041%zz%4", "/", "%&b=%u0041%zz%4"),
        ("PROPFIND", "/?50%off", "/", "50%off"),
        ("OPTIONS", "/", "/", ""),
        ("OPTIONS", "*", "*", ""),
        ("TRACE", "/", "/", ""),
        ("get", "/", "/", ""),
        ("M-S.1_!", "/", "/", ""),
        ("PROPFIND", "/a?b", "/a", "b"),
    ],
)
def test_a_request_line(method: str, target: str, path: str, query: str) -> None:
    request, _ = accepted(head(start=f"{method} {target} HTTP/1.1"))
    assert (request.method, request.target, request.path, request.query) == (method, target, path, query)
    assert request.fields == {"HTTP_HOST": "a.test"}


@pytest.mark.parametrize(
    ("target", "authority", "path", "query"),
    [
        ("http://b.test/c?d", "b.test", "/c", "d"),
        ("http://b.test", "b.test", "/", ""),
        ("http://b.test?", "b.test", "/", ""),
        ("http://b.test?c/d", "b.test", "/", "c/d"),
        ("HTTP://B.test:8080/c", "B.test:8080", "/c", ""),
        ("https://b.test/", "b.test", "/", ""),
        ("http://[::1]:81/c%20d", "[::1]:81", "/c d", ""),
        ("http://b.test:/c", "b.test:", "/c", ""),
        ("http://b.test//c", "b.test", "//c", ""),
        ("http://b.test/c%20d?100%", "b.test", "/c d", "100%"),
    ],
)
def test_the_authority_of_an_absolute_target_replaces_host(target: str, authority: str, path: str, query: str) -> None:
    request, _ = accepted(head(start=f"GET {target} HTTP/1.1"))
    assert (request.target, request.path, request.query) == (target, path, query)
    assert request.fields == {"HTTP_HOST": authority}


def test_options_for_the_whole_server_in_absolute_form() -> None:
    assert accepted(head(start="OPTIONS http://b.test HTTP/1.1"))[0].path == "*"
    assert accepted(head(start="OPTIONS http://b.test/ HTTP/1.1"))[0].path == "/"
    assert accepted(head(start="OPTIONS http://b.test? HTTP/1.1"))[0].path == "/"


def test_a_host_is_needed_beside_an_absolute_target() -> None:
    assert refused(head(start="GET http://b.test/ HTTP/1.1", host="")) == 400
    assert refused(head(start="GET http://b.test/ HTTP/1.1", host="Host: a/b")) == 400
    request, _ = accepted(head(start="GET http://b.test/ HTTP/1.0", host=""))
    assert request.fields == {"HTTP_HOST": "b.test"}


@pytest.mark.parametrize(
    "line",
    [
        "GET", "GET ", "GET /", "GET / ", "GET / HTTP/1.1 ", " GET / HTTP/1.1", "GET  / HTTP/1.1", "GET /  HTTP/1.1",
        "GET / x HTTP/1.1", "GET\t/ HTTP/1.1", "GET /\tHTTP/1.1", "GET /\x0bHTTP/1.1", "GET / HTTP/1.1\t", "/ HTTP/1.1",
        "   ", " ", "HTTP/1.1 200 OK", "hello", "\u00c9 / HTTP/1.1",
        # methods
        "G@T / HTTP/1.1", "G\xc9T / HTTP/1.1", "G(T) / HTTP/1.1", "GET: / HTTP/1.1", '"GET" / HTTP/1.1', "{ / HTTP/1.1",
        # targets
        "GET a HTTP/1.1", "GET ?a HTTP/1.1", "GET * HTTP/1.1", "OPTIONS ** HTTP/1.1", "OPTIONS *?a HTTP/1.1",
        "GET a.test:80 HTTP/1.1", "GET /a#b HTTP/1.1", "GET /a?b#c HTTP/1.1", "GET /\xe9 HTTP/1.1",
        "GET /?\xe9 HTTP/1.1",
        "GET /a\tb HTTP/1.1", "GET /a%zz HTTP/1.1", "GET /a%4 HTTP/1.1", "GET /a% HTTP/1.1", "GET /a%?b HTTP/1.1",
        "GET /a%4?1 HTTP/1.1", "GET http://b.test/a%?b HTTP/1.1",
        "GET http:///a HTTP/1.1", "GET http:/a HTTP/1.1", "GET http://:80/a HTTP/1.1",
        "GET http://b.test:x/ HTTP/1.1", "GET http://[::1/ HTTP/1.1", "GET http://u@b.test/ HTTP/1.1",
        "GET http://u:p@b.test/ HTTP/1.1", "GET ftp://b.test/ HTTP/1.1", "GET http://b%zz.test/ HTTP/1.1",
        "GET javascript:alert(1) HTTP/1.1", "GET http://b\\test/ HTTP/1.1", "GET http:// HTTP/1.1",
        # versions
        "GET / http/1.1", "GET / HTTP/1", "GET / HTTP/1.", "GET / HTTP/.1", "GET / HTTP/11.1", "GET / HTTP/1.10",
        "GET / FTP/1.1", "GET / HTTP/1.\xb9", "GET / HTTP/1,1", "GET / HTTP /1.1", "GET / HTTP/x.1", "GET / HTTP/-1.1",
    ],
)  # fmt: skip
def test_what_is_no_request_line(line: str) -> None:
    assert refused(head(start=line)) == 400


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/0.9", "HTTP/3.1", "HTTP/9.9"])
def test_another_major_version(version: str) -> None:
    assert refused(head(start=f"GET / {version}")) == 505


@pytest.mark.parametrize(
    ("sent", "version", "keep_alive"),
    [("HTTP/1.1", "HTTP/1.1", True), ("HTTP/1.2", "HTTP/1.1", True), ("HTTP/1.9", "HTTP/1.1", True), ("HTTP/1.0",
    "HTTP/1.0", False)],
)  # fmt: skip
def test_a_version(sent: str, version: str, keep_alive: bool) -> None:  # noqa: FBT001  # a column of the table
    request, _ = accepted(head(start=f"GET / {sent}"))
    assert (request.version, request.keep_alive) == (version, keep_alive)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("a.test:443", 501), ("[::1]:443", 501), ("a.test:1", 501), ("a.test:65535", 501), ("a.test:", 400),
        ("a.test", 400),
        (":443", 400), ("a.test:abc", 400), ("a.test:99999", 400), ("a.test:0", 400), ("a.test:999999", 400),
        ("/a", 400),
        ("http://a.test/", 400), ("*", 400), ("u@a.test:443", 400), ("a.test:443/", 400),
    ],
)  # fmt: skip
def test_connect_is_never_served(target: str, status: int) -> None:
    assert refused(head(start=f"CONNECT {target} HTTP/1.1")) == status


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n",
        b"PROXY UNKNOWN\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\1\x7f\0\0\1\xdd\xdd\0\x50",
    ],
)
def test_a_proxy_header_that_nobody_expects_is_called_by_its_name(header: bytes) -> None:
    assert refused(header + head()) == 400
    for pieces in ([header], cut(header, 1)):
        refusal = exchange(pieces).refusal
        assert refusal is not None
        assert "proxy_protocol" in refusal.detail


def test_a_long_request_line() -> None:
    assert refused(head(start=f"GET /{'a' * 8200} HTTP/1.1")) == 414
    accepted(head(start=f"GET /{'a' * 8100} HTTP/1.1"))


def test_a_request_line_that_never_ends() -> None:
    assert refused(b"GET /" + b"a" * 8200) == 414
    assert refused(b"G" * 65) == 501
    assert refused(b"G" * 2_000) == 501


def test_the_parts_of_a_request_line() -> None:
    line = parse_start_line("GET http://b.test/c%20d?e HTTP/1.0", LIMITS)
    assert line._asdict() == {
        "method": "GET",
        "target": "http://b.test/c%20d?e",
        "path": "/c d",
        "query": "e",
        "version": "HTTP/1.0",
        "authority": "b.test",
    }


# -- field lines --


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("X-A: b", "HTTP_X_A", "b"),
        ("X-A:b", "HTTP_X_A", "b"),
        ("x-a: b", "HTTP_X_A", "b"),
        ("X-A:", "HTTP_X_A", ""),
        ("X-A: \t ", "HTTP_X_A", ""),
        ("X-A:\t b \t", "HTTP_X_A", "b"),
        ("X-A: a  b\tc", "HTTP_X_A", "a  b\tc"),
        ("X-A: b:c", "HTTP_X_A", "b:c"),
        ("X-A: :", "HTTP_X_A", ":"),
        ('X-A: "a, b"', "HTTP_X_A", '"a, b"'),
        ("X-A: caf\xe9 \xa0", "HTTP_X_A", "caf\xe9 \xa0"),
        ("X-A: \x85", "HTTP_X_A", "\x85"),
        ("Content-Type: a/b", "CONTENT_TYPE", "a/b"),
        ("content-type: a/b", "CONTENT_TYPE", "a/b"),
        ("X!#$%&'*+.^`|~9: b", "HTTP_X!#$%&'*+.^`|~9", "b"),
        ("HTTP-Host: b", "HTTP_HTTP_HOST", "b"),
        ("Content: b", "HTTP_CONTENT", "b"),
        ("Upgrade: h2c", "HTTP_UPGRADE", "h2c"),
        ("Keep-Alive: 5", "HTTP_KEEP_ALIVE", "5"),
    ],
)
def test_a_field(line: str, key: str, value: str) -> None:
    request, _ = accepted(head(line))
    assert request.fields == {"HTTP_HOST": "a.test", key: value}


@pytest.mark.parametrize(
    "line",
    [
        "X-A : b", "X-A\t: b", "X-Alone", "X A: b", ": b", ":", "X\x00A: b", "X\x01A: b", "X\x7fA: b", "X\xe9: b",
        '"X": b',
        " X-A: b", "\tX-A: b", " ", "X-A: a\rb", "X-A: b\r", "X-A: a\nb", "X-A: a\x00b", "X-A: a\x08b", "X-A: a\x1fb",
        "X-A: a\x7fb", "X-A: b\n", "X(A): b", "X,A: b", "X/A: b", "Transfer-Encoding : chunked", "Host : a",
    ],
)  # fmt: skip
def test_what_is_no_field(line: str) -> None:
    assert refused(head(line)) == 400
    assert refused(head("X-B: c", line, "X-D: e")) == 400


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["X-A: a", " b"], "folded"),
        (["X-A: a", "\tb"], "folded"),
        (["X-A: a", " b: c"], "folded"),
        (["X-A: a", " ", " b"], "folded"),
        (["X-A : b"], "white space"),
        (["X-A"], "no colon"),
        (["(: b"], "not a token"),
        (["("], "not a token"),
    ],
)
def test_the_refusal_of_a_field_says_why_and_repeats_nothing(lines: list[str], said: str) -> None:
    with pytest.raises(HttpError) as caught:
        parse_fields(lines)
    assert said in caught.value.detail
    assert "X-A" not in caught.value.detail


@pytest.mark.parametrize(
    ("lines", "fields"),
    [
        (["X-A: b", "X-A: c"], {"HTTP_X_A": "b, c"}),
        (["X-A: b", "x-a: c", "X-B: d", "X-A: e"], {"HTTP_X_A": "b, c, e", "HTTP_X_B": "d"}),
        (["X-A:", "X-A:"], {"HTTP_X_A": ", "}),
        (["Cookie: a=1", "Cookie: b=2"], {"HTTP_COOKIE": "a=1; b=2"}),
        (["Accept: a", "Cookie: b", "Accept: c"], {"HTTP_ACCEPT": "a, c", "HTTP_COOKIE": "b"}),
        (["X_A: b"], {}),
        (["X_A: b", "X-A: c", "X_A: d"], {"HTTP_X_A": "c"}),
        (["Content_Length: 5"], {}),
        (["Transfer_Encoding: chunked"], {}),
        (["Proxy: evil"], {}),
        (["proxy: evil", "PROXY: evil"], {}),
        (["Proxy-Connection: keep-alive"], {"HTTP_PROXY_CONNECTION": "keep-alive"}),
    ],
)
def test_repeated_and_left_out_fields(lines: list[str], fields: dict[str, str]) -> None:
    request, _ = accepted(head(*lines))
    assert request.fields == {"HTTP_HOST": "a.test", **fields}
    assert request.complete


@pytest.mark.parametrize("line", ["Host: a.test", "host: b", "Content-Length: 0", "Content-Type: a/b"])
def test_a_field_that_may_stand_there_once(line: str) -> None:
    assert refused(head(line, line)) == 400
    if "ost" in line:
        assert refused(head(line)) == 400
        assert refused(head(line, start="GET / HTTP/1.0")) == 400


@pytest.mark.parametrize("value", ["", "a.test", "a.test:80", "[::1]:80", "\t a.test \t"])
def test_a_host_field(value: str) -> None:
    request, _ = accepted(head(host=f"Host:{value}"))
    assert request.fields == {"HTTP_HOST": value.strip()}


@pytest.mark.parametrize("value", ["a/b", "a b", "a.test:80:80", "a?b", "a#b", "[zz]", '"a"', "u@a", "a,b:c"])
def test_a_bad_host_field(value: str) -> None:
    assert refused(head(host=f"Host: {value}")) == 400
    assert refused(head(host=f"Host: {value}", start="GET / HTTP/1.0")) == 400


def test_a_missing_host_field() -> None:
    assert refused(head(host="")) == 400
    assert refused(head("Host_: a", "X-Host: a", host="")) == 400
    assert accepted(head(host="", start="GET / HTTP/1.0"))[0].fields == {}


# -- fields with a meaning for the connection --


@pytest.mark.parametrize(
    ("version", "lines", "keep_alive"),
    [
        ("1.1", [], True),
        ("1.1", ["Connection: close"], False),
        ("1.1", ["connection: CLOSE"], False),
        ("1.1", ["Connection: foo, close"], False),
        ("1.1", ["Connection: keep-alive, close"], False),
        ("1.1", ["Connection: foo", "Connection: close"], False),
        ("1.1", ["Connection:foo ,\tclose ,"], False),
        ("1.1", ["Connection: closed"], True),
        ("1.1", ["Connection: keep-alive"], True),
        ("1.1", ["Connection: close-not, x"], True),
        ("1.1", ["Connection:"], True),
        ("1.1", ["Connection: Upgrade"], True),
        ("1.0", [], False),
        ("1.0", ["Connection: keep-alive"], True),
        ("1.0", ["Connection: Keep-Alive, foo"], True),
        ("1.0", ["Connection: keep-alive, close"], False),
        ("1.0", ["Connection: close"], False),
        ("1.0", ["Keep-Alive: 300"], False),
    ],
)
def test_keep_alive(version: str, lines: list[str], keep_alive: bool) -> None:  # noqa: FBT001  # a column of the table
    request, _ = accepted(head(*lines, start=f"GET / HTTP/{version}"))
    assert request.keep_alive is keep_alive


@pytest.mark.parametrize("word", ["100-continue", "100-Continue", " 100-continue ,"])
def test_the_one_expectation(word: str) -> None:
    for body, expects in (("Content-Length: 5", True), ("Content-Length: 0", False), ("X: y", False)):
        request = parse_head(head(f"Expect: {word}", body)[:-4], LIMITS)
        assert request.expects_continue is expects
    request = parse_head(head("Expect: 100-continue", "Content-Length: 5", start="GET / HTTP/1.0")[:-4], LIMITS)
    assert not request.expects_continue


@pytest.mark.parametrize("lines", [("Expect: 100-continue, 100-Continue",), ("Expect: 100-continue",) * 2])
def test_an_expectation_may_be_said_twice(lines: tuple[str, ...]) -> None:
    assert accepted(head(*lines, "Content-Length: 5") + b"hello")[0].expects_continue


@pytest.mark.parametrize("word", ["something-else", "100-continue, x", "100", "100-continue=1", '"100-continue"'])
def test_another_expectation(word: str) -> None:
    assert refused(head(f"Expect: {word}")) == 417
    assert refused(head(f"Expect: {word}", "Content-Length: 5")) == 417
    assert accepted(head(f"Expect: {word}", start="GET / HTTP/1.0"))[0].fields["HTTP_EXPECT"] == word


def test_an_empty_expectation_is_none() -> None:
    assert not accepted(head("Expect:"))[0].expects_continue


def test_the_framing_is_taken_out_of_the_fields() -> None:
    request, body = accepted(head("Transfer-Encoding: chunked", "X-A: b") + b"0\r\n\r\n")
    assert (request.fields, body) == ({"HTTP_HOST": "a.test", "HTTP_X_A": "b"}, b"")
    request, body = accepted(head("Content-Length: 005") + b"hello")
    assert (request.fields["CONTENT_LENGTH"], body) == ("5", b"hello")


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Content-Length: 5", "Transfer-Encoding: chunked"], 400),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], 400),
        (["Transfer-Encoding: gzip", "Transfer-Encoding: chunked"], 501),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: gzip"], 400),
        (["Content-Length: 5", "Content-Length: 5"], 400),
        (["Content-Length: 99999999999999999999"], 413),
        (["Content-Length: x", "Expect: 100-continue"], 400),
        (["Content-Length: 9999999999", "Expect: 100-continue"], 413),
        (["Transfer-Encoding: gzip, chunked", "Expect: 100-continue"], 501),
    ],
)
def test_a_framing_that_cannot_be_trusted(lines: list[str], status: int) -> None:
    assert refused(head(*lines, start="POST / HTTP/1.1")) == status


# -- memos --


def test_a_memo_stays_bounded_and_keeps_nothing_long() -> None:
    for number in range(3 * MEMO_ENTRIES):
        parse_head(head(f"X-{number}: y", host=f"Host: h{number}.test")[:-4], LIMITS)
        assert len(head_module.KEYS) <= MEMO_ENTRIES
        assert len(head_module._HOSTS) <= MEMO_ENTRIES
    long = "x" * (MEMO_TEXT_LENGTH + 1)
    request = parse_head(head(f"{long}: y", host=f"Host: {long}")[:-4], LIMITS)
    assert request.fields == {"HTTP_HOST": long, f"HTTP_{long.upper()}": "y"}
    assert long not in head_module.KEYS
    assert long not in head_module._HOSTS


def test_a_refused_name_or_host_is_not_remembered() -> None:
    for _ in range(2):
        assert refused(head("X A: b")) == 400
        assert refused(head(host="Host: a/b")) == 400
    assert "X A" not in head_module.KEYS
    assert "a/b" not in head_module._HOSTS
