"""Whatever an untrusted peer sends, it is nobody but itself; whatever a trusted one sends, the answer is no 500."""

from ipaddress import ip_address, ip_network
from typing import Any
from wsgiref.util import request_uri

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.origins import origin_of
from tests.support.recording import RecordingTransport
from waitressd.http.errors import HttpError
from waitressd.http.events import Request
from waitressd.http.grammar import is_host
from waitressd.wsgi.environ import EnvironBuilder, EnvironSettings
from waitressd.wsgi.proxies import FIELD_KEYS, TrustedProxies, is_proxy_key

TRANSPORT = RecordingTransport()  # one for all, so that environs can be compared

X_HEADERS = frozenset(FIELD_KEYS) - {"forwarded"}
FORWARDED = frozenset({"forwarded"})

# What passes the HTTP layer as a field value, and pieces from which proxies make theirs.
any_value = st.text(alphabet=st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=40).map(str.strip)
pieces = st.sampled_from([
    "for=", "proto=", "host=", "by=", '"', ";", ",", " ", "=", "\\", "/", "%2f", "%", ":", "[::1]", "80", "99999", "x",
    "203.0.113.7", "10.0.0.2", "::ffff:10.0.0.3", "https", "http", "unknown", "_hid", "a.example", "\xe9",
])  # fmt: skip
likely_value = st.lists(pieces, max_size=12).map("".join).map(str.strip)
proxy_keys = st.sampled_from([*sorted(FIELD_KEYS.values()), "HTTP_X_REAL_IP", "HTTP_X_FORWARDED_SSL"]) | st.text(
    "ABC_", max_size=9
).map("HTTP_X_FORWARDED_{}".format)
proxy_fields = st.dictionaries(proxy_keys, st.one_of(any_value, likely_value), max_size=5)
hosts = st.sampled_from([None, "", "example.com", "example.com:8443", "[::1]:81", "example.com:99999"])

trusts = st.builds(
    TrustedProxies,
    networks=st.lists(st.sampled_from([ip_network("10.0.0.0/8"), ip_network("fd00::/8")]), unique=True).map(tuple),
    hop_count=st.sampled_from([None, 1, 2, 5]),
    headers=st.one_of(st.just(FORWARDED), st.frozensets(st.sampled_from(sorted(X_HEADERS)))),
    clear_untrusted=st.booleans(),
    log_untrusted=st.booleans(),
)


def environ_of(
    proxies: TrustedProxies, peer: str, host: str | None, fields: dict[str, str], url_prefix: str = ""
) -> dict[str, Any]:
    all_fields = dict(fields) if host is None else {"HTTP_HOST": host, **fields}
    request = Request("GET", "/path?query", "/path", "query", "HTTP/1.1", all_fields)
    settings = EnvironSettings(server_port=8080, url_prefix=url_prefix, proxies=proxies)
    return EnvironBuilder(settings).build(request, None, origin_of(peer), TRANSPORT)


def identity(environ: dict[str, Any]) -> dict[str, Any]:
    """Return everything but the fields themselves and what is made anew for each request."""
    return {key: value for key, value in environ.items() if not is_proxy_key(key) and key != "wsgi.input"}


@pytest.mark.parametrize("peer", ["192.0.2.1:5555", "[2001:db8::1]:5555", "unix:", "[::ffff:192.0.2.1]:5555"])
@given(proxies=trusts, host=hosts, fields=proxy_fields, url_prefix=st.sampled_from(["", "/app", "/path"]))
def test_a_stranger_is_nobody_but_itself(
    peer: str, proxies: TrustedProxies, host: str | None, fields: dict[str, str], url_prefix: str
) -> None:
    with_fields = environ_of(proxies, peer, host, fields, url_prefix)
    without = environ_of(proxies, peer, host, {}, url_prefix)
    assert identity(with_fields) == identity(without)
    if proxies.clear_untrusted:
        assert not any(map(is_proxy_key, with_fields))


@given(proxies=trusts, host=hosts, fields=proxy_fields)
@example(TrustedProxies(everyone=True, headers=FORWARDED), None, {"HTTP_FORWARDED": 'for=":80"'})
def test_what_a_proxy_says_makes_an_environ_that_agrees_with_itself(
    proxies: TrustedProxies, host: str | None, fields: dict[str, str]
) -> None:
    try:
        environ = environ_of(proxies, "10.0.0.1:5555", host, fields)
    except HttpError:
        return
    assert str(ip_address(environ["REMOTE_ADDR"])) == environ["REMOTE_ADDR"] == environ["REMOTE_HOST"]
    assert environ.get("REMOTE_PORT", "1").isdigit()
    assert environ["wsgi.url_scheme"] in ("http", "https")
    assert 0 < int(environ["SERVER_PORT"]) <= 65535
    assert is_host(environ["SERVER_NAME"])
    assert is_host(environ.get("HTTP_HOST", ""))
    assert environ["SCRIPT_NAME"] == "" or (environ["SCRIPT_NAME"][0] == "/" and environ["SCRIPT_NAME"][1:2] != "/")
    assert environ["PATH_INFO"] == "/path"
    assert request_uri(environ).startswith(f"{environ['wsgi.url_scheme']}://")
    # Nothing of a field that was not asked for is left, where it is to be removed.
    if proxies.clear_untrusted and proxies.trusts("10.0.0.1"):
        known = set(FIELD_KEYS.values()) & environ.keys()
        assert known <= {FIELD_KEYS[name] for name in proxies.headers}


@given(appended=st.lists(likely_value, max_size=4), count=st.integers(1, 3))
def test_a_client_cannot_reach_past_the_hops_that_are_believed(appended: list[str], count: int) -> None:
    """What stands left of the entries that our proxies wrote changes nothing."""
    ours = ["203.0.113.7", "10.0.0.3", "10.0.0.2"][-count:]
    proxies = TrustedProxies(networks=(ip_network("10.0.0.0/8"),), headers=X_HEADERS, hop_count=count)
    plain = environ_of(proxies, "10.0.0.1:5555", "h", {"HTTP_X_FORWARDED_FOR": ", ".join(ours)})
    forged = environ_of(proxies, "10.0.0.1:5555", "h", {"HTTP_X_FORWARDED_FOR": ", ".join([*appended, *ours])})
    plain.pop("wsgi.input")
    forged.pop("wsgi.input")
    assert forged == plain
