"""Whatever is sent to an admin address: a verdict, and nothing is changed by what has not the right."""

from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.admin import CONTROL_TOKEN, READ_TOKEN, echo, head
from waitressd.http.connection import Connection
from waitressd.http.errors import HttpError
from waitressd.http.events import Request
from waitressd.insight.answers import BadQuestion, Endpoint
from waitressd.insight.client import LIMITS
from waitressd.insight.endpoints import EndpointTable
from waitressd.insight.guard import Asked, Door, Refused, Tokens, judge

ENDPOINTS = EndpointTable(
    [
        Endpoint("/live", "probes", echo),
        Endpoint("/control/drain", "control", echo),
        Endpoint("/config", "config", echo),
    ]
)
DOOR = Door("127.0.0.1:9100", frozenset({"probes"}), frozenset({"drain"}), frozenset({"shop.example"}))
TOKENS = Tokens((READ_TOKEN,), (CONTROL_TOKEN,))
STATUSES = {0, 400, 401, 403, 404, 405, 413, 414, 431, 501, 505}

NAMES = st.sampled_from(
    ["Authorization", "Sec-Fetch-Site", "Origin", "X-Waitressd-Control", "Cookie", "X-Forwarded-For", "Accept"]
)
VALUES = st.one_of(
    st.sampled_from(
        ["1", "none", "cross-site", f"Bearer {READ_TOKEN}", f"Bearer {CONTROL_TOKEN}", "Basic ZQ==", "null"]
    ),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=["Cc"]), max_size=30),
)
FIELDS = st.lists(st.tuples(NAMES, VALUES).map(": ".join), max_size=5)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "get"])
TARGETS = st.one_of(
    st.sampled_from(
        ["/live", "/control/drain", "/config", "/index", "/live?token=x", "/control/../live", "http://a/live"]
    ),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30).map(lambda text: f"/{text}"),
)
HOSTS = st.sampled_from(
    ["127.0.0.1", "localhost", "shop.example:1", "127.0.0.1.evil.example", "[::1]", "[::1", "::", "a b"]
)


def verdict(data: bytes) -> Request | int:
    """Return the status of a refusal, 0 for what is no request yet, or the request that gets through."""
    connection = Connection(LIMITS, "")
    connection.reader.feed(data)
    connection.reader.feed_eof()
    try:
        request = connection.next_event()
        if not isinstance(request, Request):
            return 0
        judge(Asked(request, DOOR, TOKENS, is_owner=False), ENDPOINTS)
    except (HttpError, Refused) as refused:
        return refused.status
    except BadQuestion:
        return 400
    return request


@given(st.binary(max_size=300))
@example(b"GET /live HTTP/1.1\r\nHost: \xff\r\n\r\n")
@example(b"GET http://[/live HTTP/1.1\r\nHost: a\r\n\r\n")
def test_any_bytes_get_a_verdict(data: bytes) -> None:
    assert verdict(data) in STATUSES


@given(METHODS, TARGETS, HOSTS, FIELDS)
def test_nothing_gets_through_without_its_token(method: str, target: str, host: str, fields: list[str]) -> None:
    request = verdict(head(method, target, *fields, host=host))
    if not isinstance(request, Request):
        assert request in STATUSES
        return
    assert request.method in {"GET", "HEAD", "POST"}
    token = request.fields["HTTP_AUTHORIZATION"].partition(" ")[2].strip()
    if request.method == "POST":
        assert (token, request.path) == (CONTROL_TOKEN, "/control/drain")
        assert request.fields["HTTP_X_WAITRESSD_CONTROL"] == "1"
    else:
        assert token in {READ_TOKEN, CONTROL_TOKEN}
        assert request.path in {"/live", "/index"}
    assert request.fields.get("HTTP_SEC_FETCH_SITE", "none") in {"none", "same-origin"}
    assert "evil" not in request.fields["HTTP_HOST"]
