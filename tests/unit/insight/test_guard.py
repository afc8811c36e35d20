"""Who may ask what: each wrong request is told the first thing that is wrong with it, in the order that is promised."""

import base64

import pytest

from tests.support.admin import CONTROL_TOKEN, READ_TOKEN, echo, request_of
from waitressd.insight.answers import BadQuestion, Endpoint, Query
from waitressd.insight.endpoints import EndpointTable
from waitressd.insight.guard import Asked, Door, Refused, Tokens, judge, read_parameters

ENDPOINTS = EndpointTable(
    [
        Endpoint("/live", "probes", echo),
        Endpoint("/requests", "requests", echo, has_children=True),
        Endpoint("/control/drain", "control", echo),
        Endpoint("/control/log", "control", echo),
    ]
)
PORT = Door("127.0.0.1:9100", frozenset({"probes", "requests"}), frozenset({"drain"}), frozenset({"shop.example"}))
SOCKET = Door("unix:/a", PORT.exposed, PORT.control, is_unix=True)
TOKENS = Tokens((READ_TOKEN,), (CONTROL_TOKEN,))
READ = f"Authorization: Bearer {READ_TOKEN}"
CONTROL = f"Authorization: Bearer {CONTROL_TOKEN}"
SAYS_SO = "X-Waitressd-Control: 1"


def basic(token: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"anybody:{token}".encode()).decode()


def verdict(asked: Asked) -> tuple[int, str]:
    """Return the status of a refusal and its setting; 0 for a question that may be asked."""
    try:
        judge(asked, ENDPOINTS)
    except Refused as refused:
        return refused.status, refused.setting
    except BadQuestion:
        return 400, ""
    return 0, ""


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 0),
        ("127.0.0.1:9100", 0),
        ("10.20.30.40:9100", 0),
        ("[::1]:9100", 0),
        ("[2001:db8::1]", 0),
        ("localhost", 0),
        ("LocalHost:9100", 0),
        ("shop.example:9100", 0),
        ("SHOP.example", 0),
        ("127.0.0.1.evil.example", 403),
        ("127.evil.example", 403),
        ("localhost.evil", 403),
        ("localhost.", 403),
        ("evil.example:9100", 403),
        ("shop.example.evil.example", 403),
        ("a.shop.example", 403),
        ("0x7f.1", 403),
        ("2130706433", 403),
        ("127.1", 403),
    ],
)
def test_hosts(host: str, status: int) -> None:
    found = verdict(Asked(request_of("GET", "/live", host=host), PORT, Tokens(), is_owner=False))
    assert found == (status, "admin_hosts" if status else "")


def test_a_unix_socket_is_asked_by_any_name() -> None:
    """No name leads there. What a browser says about foreign pages counts all the same: a proxy may pass it on."""
    for host in ("anything", "x:1", "evil.example"):
        assert verdict(Asked(request_of("GET", "/live", host=host), SOCKET, Tokens(), is_owner=False)) == (0, "")
    foreign = request_of("GET", "/live", "Sec-Fetch-Site: cross-site", host="anything")
    assert verdict(Asked(foreign, SOCKET, Tokens(), is_owner=False))[0] == 403


def test_a_request_of_http_1_0_without_a_host_is_refused() -> None:
    request = request_of("GET", "/live")
    del request.fields["HTTP_HOST"]
    assert verdict(Asked(request, PORT, Tokens(), is_owner=False)) == (403, "admin_hosts")


def test_the_host_of_an_absolute_target_counts() -> None:
    request = request_of("GET", "http://evil.example/live")
    assert verdict(Asked(request, PORT, Tokens(), is_owner=False)) == (403, "admin_hosts")


@pytest.mark.parametrize(
    ("method", "target", "fields", "status"),
    [
        ("GET", "/live", (), 0),
        ("HEAD", "/live", (), 0),
        ("GET", "/requests/1-2-3", (), 0),
        ("POST", "/live", (), 405),
        ("PUT", "/live", (), 405),
        ("DELETE", "/live", (), 405),
        ("OPTIONS", "/live", (), 405),
        ("OPTIONS", "*", (), 405),
        ("TRACE", "/live", (), 405),
        ("GET", "/control/drain", (), 405),
        ("HEAD", "/control/drain", (), 405),
        ("OPTIONS", "/control/drain", (), 405),
        ("PUT", "/control/drain", (SAYS_SO,), 405),
        ("GET", "/live", ("Sec-Fetch-Site: none",), 0),
        ("GET", "/live", ("Sec-Fetch-Site: same-origin",), 0),
        ("GET", "/live", ("Sec-Fetch-Site: same-site",), 403),
        ("GET", "/live", ("Sec-Fetch-Site: cross-site",), 403),
        ("GET", "/live", ("Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site"), 403),
        ("GET", "/live", ("Sec-Fetch-Site:",), 403),
        ("GET", "/live", ("Origin: http://127.0.0.1:9100",), 0),
        ("GET", "/live", ("Origin: https://127.0.0.1:9100",), 0),
        ("GET", "/live", ("Origin: http://127.0.0.1",), 403),
        ("GET", "/live", ("Origin: http://evil.example",), 403),
        ("GET", "/live", ("Origin: null",), 403),
        ("GET", "/live?token=abc", (), 400),
        ("GET", "/live?Token=abc", (), 400),
        ("GET", "/live?a=1&%74oken=abc", (), 400),
        ("GET", "/live?a=1&a=2", (), 400),
        ("GET", "/live?a", (), 400),
        ("GET", "/live?a=%ff", (), 400),
        ("GET", "/nothing", (), 404),
        ("GET", "/live/", (), 404),
        ("GET", "/live/child", (), 404),
        ("GET", "/../live", (), 404),
        ("GET", "/requests/../live", (), 0),  # an id of no request: paths are texts here, and lead to no file
        ("GET", "//live", (), 404),
        ("GET", "/live%00", (), 404),
        ("GET", "/requestsx", (), 404),
        ("GET", "/config", (), 404),
        ("GET", "/", (), 404),
    ],
)
def test_questions(method: str, target: str, fields: tuple[str, ...], status: int) -> None:
    asked = Asked(request_of(method, target, *fields), PORT, Tokens(), is_owner=False)
    assert verdict(asked)[0] == status


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ((READ,), 0),
        ((CONTROL,), 0),
        ((READ.replace("Bearer", "bearer"),), 0),
        ((basic(READ_TOKEN),), 0),
        ((basic(CONTROL_TOKEN),), 0),
        ((), 401),
        ((f"Authorization: Bearer {'x' * len(READ_TOKEN)}",), 401),
        ((f"Authorization: Bearer {READ_TOKEN[:-1]}",), 401),
        ((f"Authorization: Bearer {READ_TOKEN}x",), 401),
        (("Authorization: Bearer",), 401),
        ((f"Authorization: {READ_TOKEN}",), 401),
        ((f"Authorization: Digest {READ_TOKEN}",), 401),
        ((READ, READ), 401),
        ((basic("x" * 24),), 401),
        (("Authorization: Basic !!!",), 401),
        (("Authorization: Basic \xe9\xe9",), 401),
        ((f"Authorization: Bearer \xe9{READ_TOKEN}",), 401),
        ((f"Cookie: token={READ_TOKEN}",), 401),
    ],
)
def test_tokens(fields: tuple[str, ...], status: int) -> None:
    for target in ("/live", "/nothing"):
        asked = Asked(request_of("GET", target, *fields), PORT, TOKENS, is_owner=False)
        expected = status or (404 if target == "/nothing" else 0)
        assert verdict(asked)[0] == expected, "what there is, nobody learns without a token"


def test_the_account_of_the_server_needs_no_token_at_a_socket() -> None:
    request = request_of("GET", "/live")
    assert verdict(Asked(request, SOCKET, TOKENS, is_owner=True))[0] == 0
    assert verdict(Asked(request, SOCKET, TOKENS, is_owner=False))[0] == 401
    assert verdict(Asked(request, SOCKET, Tokens(), is_owner=False))[0] == 0


@pytest.mark.parametrize(
    ("target", "fields", "expected"),
    [
        ("/control/drain", (CONTROL, SAYS_SO), (0, "")),
        ("/control/drain", (CONTROL, SAYS_SO, "Origin: http://127.0.0.1:9100"), (0, "")),
        ("/control/drain", (basic(CONTROL_TOKEN), SAYS_SO), (0, "")),
        ("/control/drain", (SAYS_SO,), (401, "admin_token_file")),
        ("/control/drain", (CONTROL,), (403, "")),
        ("/control/drain", (CONTROL, "X-Waitressd-Control: yes"), (403, "")),
        ("/control/drain", (READ, SAYS_SO), (403, "admin_token_file")),
        ("/control/drain", (CONTROL, SAYS_SO, "Sec-Fetch-Site: cross-site"), (403, "")),
        ("/control/drain", (CONTROL, SAYS_SO, "Origin: http://evil.example"), (403, "")),
        ("/control/log", (CONTROL, SAYS_SO), (403, "admin_control")),
        ("/control/log", (CONTROL,), (403, "")),
        ("/control/cancel", (CONTROL, SAYS_SO), (404, "admin_expose")),
        ("/control/kill", (CONTROL, SAYS_SO), (404, "admin_expose")),
        ("/control/", (CONTROL, SAYS_SO), (404, "admin_expose")),
        ("/control", (CONTROL, SAYS_SO), (404, "admin_expose")),
        ("/control/drain/", (CONTROL, SAYS_SO), (404, "admin_expose")),
    ],
)
def test_rights(target: str, fields: tuple[str, ...], expected: tuple[int, str]) -> None:
    asked = Asked(request_of("POST", target, *fields), PORT, TOKENS, is_owner=False)
    assert verdict(asked) == expected


def test_at_a_socket_the_system_says_who_may() -> None:
    request = request_of("POST", "/control/drain", SAYS_SO)
    assert verdict(Asked(request, SOCKET, Tokens(), is_owner=True)) == (0, "")
    assert verdict(Asked(request, SOCKET, Tokens(), is_owner=False)) == (403, "")
    with_token = request_of("POST", "/control/drain", SAYS_SO, CONTROL)
    assert verdict(Asked(with_token, SOCKET, TOKENS, is_owner=False)) == (403, "")


def test_without_a_control_token_nothing_is_changed_at_a_port() -> None:
    request = request_of("POST", "/control/drain", SAYS_SO)
    assert verdict(Asked(request, PORT, Tokens(), is_owner=False)) == (403, "admin_token_file")
    with_empty = request_of("POST", "/control/drain", SAYS_SO, "Authorization: Bearer")
    assert verdict(Asked(with_empty, PORT, Tokens(), is_owner=False)) == (403, "admin_token_file")


def test_what_gets_through_is_a_question() -> None:
    request = request_of("HEAD", "/requests/%31?older=5&path=%2Fa%20b", "Accept: text/plain")
    query, endpoint = judge(Asked(request, PORT, Tokens(), is_owner=False), ENDPOINTS)
    assert query == Query("GET", "/requests/1", {"older": "5", "path": "/a b"}, "text/plain")
    assert endpoint.path == "/requests"


def test_refusals_say_what_helps() -> None:
    with pytest.raises(Refused, match="POST") as refused:
        judge(Asked(request_of("GET", "/control/drain"), PORT, Tokens(), is_owner=False), ENDPOINTS)
    assert refused.value.fields == (("Allow", "POST"),)
    with pytest.raises(Refused, match="token") as refused:
        judge(Asked(request_of("GET", "/live"), PORT, TOKENS, is_owner=False), ENDPOINTS)
    assert [name for name, _ in refused.value.fields] == ["WWW-Authenticate", "WWW-Authenticate"]


def test_parameters() -> None:
    assert read_parameters("") == {}
    assert read_parameters("a=1&b=&c=%C3%A9+x") == {"a": "1", "b": "", "c": "\xe9 x"}
    for wrong in ("a", "a=1&", "&", "a=1&a=1", "a=%FF", "&".join(f"a{number}=1" for number in range(33))):
        with pytest.raises(BadQuestion):
            read_parameters(wrong)


def test_tokens_are_not_shown() -> None:
    assert READ_TOKEN not in repr(TOKENS)
    assert CONTROL_TOKEN not in repr(Asked(request_of("GET", "/live"), PORT, TOKENS, is_owner=False))
