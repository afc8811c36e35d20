"""waitressd.wsgi.proxies: who the client is, as far as trusted proxies know."""

import logging
from dataclasses import replace
from ipaddress import ip_network
from typing import Any
from wsgiref.util import request_uri

import pytest

from tests.support.origins import read_peer
from tests.support.recording import RecordingTransport
from waitressd.http.errors import HttpError
from waitressd.http.limits import MEMO_ENTRIES
from waitressd.wsgi import proxies as proxies_module
from waitressd.wsgi.environ import EnvironBuilder, EnvironSettings
from waitressd.wsgi.proxies import FIELD_KEYS, TrustedProxies, has_proxy_keys, is_proxy_key, split_host

X_HEADERS = frozenset(FIELD_KEYS) - {"forwarded"}
FORWARDED = frozenset({"forwarded"})


def trust(*networks: str, headers: frozenset[str] = X_HEADERS, **options: Any) -> TrustedProxies:
    return TrustedProxies(networks=tuple(map(ip_network, networks)), headers=headers, **options)


# Both follow the chain as far as it is trusted.
PROXY = trust("10.0.0.0/8", hop_count=None)
NEW_PROXY = trust("10.0.0.0/8", headers=FORWARDED, hop_count=None)


def environ_of(
    proxies: TrustedProxies,
    *fields: str,
    peer: str = "10.0.0.1:5555",
    settings: dict[str, Any] | None = None,
    target: str = "/path?query",
) -> dict[str, Any]:
    """Return the environ of a request with these fields; a Host is among them unless given."""
    lines = list(fields)
    if not any(line.lower().startswith("host:") for line in lines):
        lines.insert(0, "Host: example.com")
    data = "\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""]).encode("latin-1")
    transport = RecordingTransport(peer)
    request, body = transport.receive(data)
    values: dict[str, Any] = {"server_name": "server", "server_port": 8080, "proxies": proxies, **(settings or {})}
    return EnvironBuilder(EnvironSettings(**values)).build(request, body, transport.origin, transport)


def client(environ: dict[str, Any]) -> tuple[str, str | None]:
    assert environ["REMOTE_HOST"] == environ["REMOTE_ADDR"]
    return environ["REMOTE_ADDR"], environ.get("REMOTE_PORT")


def proxy_keys(environ: dict[str, Any]) -> dict[str, str]:
    return {key: value for key, value in environ.items() if is_proxy_key(key)}


ALL_FIELDS = [
    "Forwarded: for=6.6.6.6;proto=https;host=evil.example",
    "X-Forwarded-For: 6.6.6.6",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Port: 666",
    "X-Forwarded-By: 6.6.6.6",
    "X-Forwarded-Prefix: /evil",
    "X-Forwarded-Server: evil.example",
    "X-Forwarded-Ssl: on",
    "X-Forwarded-Protocol: ssl",
    "X-Forwarded-Scheme: https",
    "X-Real-IP: 6.6.6.6",
    "X-Forwarded-User: admin",
    "X-Forwarded-Email: admin@example.com",
    "X-Forwarded-Client-Cert: Subject=admin",
    "x-forwarded-: admin",
    "X-Forwarded-What-Comes-Next-Year: admin",
]


# Trust


@pytest.mark.parametrize(
    ("proxies", "trusted", "untrusted"),
    [
        (TrustedProxies(), [], ["127.0.0.1", "::1", "localhost", "10.0.0.1"]),
        (trust("10.0.0.1"), ["10.0.0.1"], ["10.0.0.2", "::ffff:10.0.0.2", "localhost"]),
        (trust("10.0.0.0/8"), ["10.0.0.1", "10.255.255.255"], ["11.0.0.1", "::1"]),
        (trust("fd00::/8", "::1"), ["fd12::1", "::1"], ["fe80::1", "10.0.0.1"]),
        (trust("fe80::/10"), ["fe80::1%eth0"], ["::1%eth0"]),
        (trust("::ffff:10.0.0.0/104"), ["10.1.2.3"], ["11.0.0.1", "::1"]),
        (TrustedProxies(unix=True), ["localhost"], ["127.0.0.1", "::1", "unix", "", "<script>"]),
        (TrustedProxies(everyone=True), ["localhost", "6.6.6.6", "2001:db8::1"], []),
    ],
)
def test_who_is_trusted(proxies: TrustedProxies, trusted: list[str], untrusted: list[str]) -> None:
    for _ in range(2):  # the second time from memory
        assert [address for address in trusted + untrusted if proxies.trusts(address)] == trusted


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("10.0.0.1:5555", "10.0.0.1"),
        ("[::1]:5555", "::1"),
        ("[::ffff:10.0.0.1]:5555", "10.0.0.1"),
        ("[fe80::1%eth0]:5555", "fe80::1%eth0"),
        ("unix:", "localhost"),
        ("unix:/run/nginx.sock", "localhost"),
        ("unix:/tmp/10.0.0.1:5555", "localhost"),
        ("unix:10.0.0.1:5555", "localhost"),
    ],
)
def test_the_other_end_of_a_socket(peer: str, address: str) -> None:
    found = read_peer(peer).address
    assert found == address
    assert trust("10.0.0.0/8").trusts(found) == (address == "10.0.0.1")
    assert TrustedProxies(unix=True).trusts(found) == (address == "localhost")


def test_memory_of_peers_is_bounded() -> None:
    proxies = trust("10.0.0.0/8")
    for number in range(3000):
        assert proxies.trusts(f"10.0.{number // 256}.{number % 256}")
        assert not proxies.trusts(f"11.0.{number // 256}.{number % 256}")
    assert len(proxies._judged) <= 1024


# Peers that are not trusted


@pytest.mark.parametrize("proxies", [TrustedProxies(), trust("10.0.0.0/8"), TrustedProxies(unix=True)])
@pytest.mark.parametrize("peer", ["192.0.2.1:5555", "[::1]:5555"])
def test_what_a_stranger_says_is_removed(proxies: TrustedProxies, peer: str) -> None:
    assert environ_of(proxies, *ALL_FIELDS, peer=peer).keys() == environ_of(proxies, peer=peer).keys()
    assert proxy_keys(environ_of(proxies, *ALL_FIELDS, peer=peer)) == {}


@pytest.mark.parametrize("field", ALL_FIELDS)
def test_each_alone_is_removed(field: str) -> None:
    """Also after requests that have taught us which names are ordinary."""
    for _ in range(2):
        assert environ_of(TrustedProxies(), field).keys() == environ_of(TrustedProxies()).keys()


def test_fields_that_only_look_alike_are_kept() -> None:
    likes = "X-Forwarded: a", "X-Forwardedness: a", "Forwarded-For: a", "X-X-Forwarded-For: a", "X-Real-IP-Too: a"
    environ = environ_of(TrustedProxies(), *likes, *ALL_FIELDS)
    assert len(environ) == len(environ_of(TrustedProxies())) + len(likes)
    assert proxy_keys(environ) == {}


def test_the_memory_of_ordinary_names_is_bounded() -> None:
    for number in range(3000):
        assert not has_proxy_keys({f"HTTP_X_{number}": "", "HTTP_HOST": ""})
        assert not has_proxy_keys({"HTTP_X_" + "A" * 200: ""})
        assert has_proxy_keys({f"HTTP_X_{number}": "", "HTTP_X_FORWARDED_FOR": ""})
    assert len(proxies_module._ORDINARY) <= MEMO_ENTRIES
    assert not any(map(is_proxy_key, proxies_module._ORDINARY))


def test_what_a_stranger_says_may_be_kept_without_effect() -> None:
    proxies = trust("10.0.0.0/8", clear_untrusted=False)
    environ = environ_of(proxies, *ALL_FIELDS, peer="192.0.2.1:5555")
    assert len(proxy_keys(environ)) == len(ALL_FIELDS)
    assert request_uri(environ) == "http://example.com/path?query"
    assert client(environ) == ("192.0.2.1", "5555")
    assert (environ["SCRIPT_NAME"], environ["SERVER_PORT"], environ["SERVER_NAME"]) == ("", "8080", "server")


def test_loopback_is_a_stranger_unless_named() -> None:
    environ = environ_of(TrustedProxies(), "X-Forwarded-For: 6.6.6.6", peer="127.0.0.1:1")
    assert client(environ) == ("127.0.0.1", "1")


def test_removals_are_logged_where_that_is_wanted(caplog: pytest.LogCaptureFixture) -> None:
    environ_of(TrustedProxies(), "X-Real-IP: 6.6.6.6")
    assert caplog.records == []
    proxies = TrustedProxies(log_untrusted=True)
    for _ in range(100):
        environ_of(proxies, "X-Real-IP: 6.6.6.6", "X-Forwarded-For: 6.6.6.6")
    assert [record.getMessage() for record in caplog.records] == [
        "10.0.0.1 is not trusted to send X-Forwarded-For, X-Real-Ip: removed"
    ]
    environ_of(TrustedProxies(clear_untrusted=False, log_untrusted=True), "X-Forwarded-For: 6.6.6.6")
    assert "X-Forwarded-For: ignored" in caplog.text


# What trusted proxies say: the client


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("203.0.113.7", ("203.0.113.7", None)),
        ("203.0.113.7:4711", ("203.0.113.7", "4711")),
        ("  203.0.113.7  ", ("203.0.113.7", None)),
        ('"203.0.113.7"', ("203.0.113.7", None)),
        ("2001:DB8::7", ("2001:db8::7", None)),
        ("[2001:db8::7]", ("2001:db8::7", None)),
        ("[::1]:99", ("::1", "99")),  # waitress: REMOTE_ADDR is [::1]:99
        ("::ffff:1.2.3.4", ("1.2.3.4", None)),  # waitress: REMOTE_ADDR is ::ffff, REMOTE_PORT 1.2.3.4
        ("[::ffff:1.2.3.4]:80", ("1.2.3.4", "80")),
        ("", ("10.0.0.1", "5555")),
        (",", ("10.0.0.1", "5555")),
        # Nobody is called `unknown` or `_hid`; waitress makes them REMOTE_ADDR.
        ("unknown", ("10.0.0.1", "5555")),
        ("_hid", ("10.0.0.1", "5555")),
        # Only what stands to the right was written by somebody we trust.
        ("6.6.6.6, 203.0.113.7", ("203.0.113.7", None)),
        ("<script>, 203.0.113.7", ("203.0.113.7", None)),
        # Addresses of our own networks are hops, whose word is believed in turn.
        ("6.6.6.6, 203.0.113.7, 10.0.0.2", ("203.0.113.7", None)),
        ("6.6.6.6, 203.0.113.7:1, 10.0.0.3:2, [::ffff:10.0.0.2]:3", ("203.0.113.7", "1")),
        ("10.0.0.3, 10.0.0.2", ("10.0.0.3", None)),
        ("203.0.113.7, unknown, 10.0.0.2", ("10.0.0.2", None)),
    ],
)
def test_x_forwarded_for(value: str, expected: tuple[str, str | None]) -> None:
    environ = environ_of(PROXY, f"X-Forwarded-For: {value}")
    assert client(environ) == expected


@pytest.mark.parametrize(
    ("count", "expected", "rewritten"),
    [
        (1, "10.0.0.2", "10.0.0.2"),
        (2, "203.0.113.7", "203.0.113.7, 10.0.0.2"),
        (3, "6.6.6.6", "6.6.6.6, 203.0.113.7, 10.0.0.2"),
        (9, "6.6.6.6", "6.6.6.6, 203.0.113.7, 10.0.0.2"),
    ],
)
def test_hops_may_be_counted(count: int, expected: str, rewritten: str) -> None:
    fields = ["X-Forwarded-For: 6.6.6.6, 203.0.113.7,10.0.0.2", "X-Forwarded-Host: a, b, c", "X-Forwarded-By: x,y,z"]
    environ = environ_of(trust("10.0.0.0/8", hop_count=count), *fields)
    assert environ["REMOTE_ADDR"] == expected
    assert environ["HTTP_X_FORWARDED_FOR"] == rewritten
    assert environ["HTTP_HOST"] == {1: "c", 2: "b"}.get(count, "a")
    assert environ["HTTP_X_FORWARDED_HOST"] == ", ".join(["a", "b", "c"][-count:])
    assert environ["HTTP_X_FORWARDED_BY"] == ", ".join(["x", "y", "z"][-count:])


@pytest.mark.parametrize("peer", ["10.0.0.1:5555", "10.0.0.2:5555"])
def test_one_hop_is_believed_unless_the_operator_says_otherwise(peer: str) -> None:
    """As in waitress: a client in the network of the proxies cannot pose as another one."""
    environ = environ_of(trust("10.0.0.0/8"), "X-Forwarded-For: 6.6.6.6, 10.0.0.2", peer=peer)
    assert client(environ) == ("10.0.0.2", None)
    forwarded = environ_of(trust("10.0.0.0/8", headers=FORWARDED), "Forwarded: for=6.6.6.6, for=10.0.0.2", peer=peer)
    assert client(forwarded) == ("10.0.0.2", None)


def test_where_everyone_is_trusted_one_hop_is_believed() -> None:
    """Walking on would end at what the client wrote first."""
    proxies = TrustedProxies(everyone=True, headers=X_HEADERS, hop_count=None)
    environ = environ_of(proxies, "X-Forwarded-For: 6.6.6.6, 203.0.113.7")
    assert environ["REMOTE_ADDR"] == "203.0.113.7"


@pytest.mark.parametrize("peer", ["unix:", "unix:/run/nginx.sock"])
def test_a_proxy_behind_a_unix_socket(peer: str) -> None:
    environ = environ_of(
        TrustedProxies(unix=True, headers=X_HEADERS), "X-Forwarded-For: 6.6.6.6, 203.0.113.7", peer=peer
    )
    assert client(environ) == ("203.0.113.7", None)


def test_walked_hops_hold_for_the_host_too() -> None:
    fields = ["X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.0.0.2", "X-Forwarded-Host: evil, outer.example, inner.example"]
    environ = environ_of(PROXY, *fields)
    assert environ["HTTP_HOST"] == "outer.example"
    assert environ["HTTP_X_FORWARDED_HOST"] == "outer.example, inner.example"
    assert environ["HTTP_X_FORWARDED_FOR"] == "203.0.113.7, 10.0.0.2"


# What trusted proxies say: how the client came

REACHED = ("wsgi.url_scheme", "SERVER_NAME", "SERVER_PORT", "HTTP_HOST")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], ("http", "server", "8080", "example.com")),
        (["X-Forwarded-For: 203.0.113.7"], ("http", "server", "8080", "example.com")),
        (["X-Forwarded-Proto: https"], ("https", "server", "443", "example.com")),
        (["X-Forwarded-Proto: HTTPS"], ("https", "server", "443", "example.com")),
        (["X-Forwarded-Proto: wss"], ("https", "server", "443", "example.com")),
        (["X-Forwarded-Proto: ws"], ("http", "server", "80", "example.com")),
        (["X-Forwarded-Proto: http"], ("http", "server", "80", "example.com")),
        (["X-Forwarded-Proto: "], ("http", "server", "8080", "example.com")),
        # waitress refuses both; a CDN in front of a balancer sends the second.
        (["X-Forwarded-Proto:  https "], ("https", "server", "443", "example.com")),
        (["X-Forwarded-Proto: https, https"], ("https", "server", "443", "example.com")),
        (["X-Forwarded-Proto: https", "X-Forwarded-Proto: https"], ("https", "server", "443", "example.com")),
        (["X-Forwarded-Proto: https", "Host: example.com:8443"], ("https", "server", "8443", "example.com:8443")),
        (["X-Forwarded-Proto: https", "Host: [::1]:8443"], ("https", "server", "8443", "[::1]:8443")),
        (["X-Forwarded-Proto: https", "Host: [::1]"], ("https", "server", "443", "[::1]")),
        (["X-Forwarded-Proto: https", "Host: example.com:"], ("https", "server", "443", "example.com:")),
        (["X-Forwarded-Port: 8443"], ("http", "server", "8443", "example.com:8443")),
        (["X-Forwarded-Port: 80"], ("http", "server", "80", "example.com")),
        (["X-Forwarded-Port: 0443, 443", "X-Forwarded-Proto: https"], ("https", "server", "443", "example.com")),
        (["X-Forwarded-Port: 9", "Host: example.com:8443"], ("http", "server", "8443", "example.com:8443")),
        (["X-Forwarded-Host: public.example"], ("http", "public.example", "80", "public.example")),
        (["X-Forwarded-Host: public.example:81"], ("http", "public.example", "81", "public.example:81")),
        (["X-Forwarded-Host: public.example:80"], ("http", "public.example", "80", "public.example")),
        (["X-Forwarded-Host: [2001:db8::1]:81"], ("http", "[2001:db8::1]", "81", "[2001:db8::1]:81")),
        (["X-Forwarded-Host: [2001:db8::1]"], ("http", "[2001:db8::1]", "80", "[2001:db8::1]")),
        (["X-Forwarded-Host: Public.EXAMPLE"], ("http", "Public.EXAMPLE", "80", "Public.EXAMPLE")),
        (
            ["X-Forwarded-Host: public.example", "X-Forwarded-Port: 8443", "X-Forwarded-Proto: https"],
            ("https", "public.example", "8443", "public.example:8443"),
        ),
        (
            ["X-Forwarded-Host: public.example:81", "X-Forwarded-Port: 8443"],
            ("http", "public.example", "81", "public.example:81"),
        ),
    ],
)
def test_scheme_host_and_port_agree(fields: list[str], expected: tuple[str, ...]) -> None:
    environ = environ_of(PROXY, *fields)
    assert tuple(environ[key] for key in REACHED) == expected
    assert request_uri(environ) == f"{expected[0]}://{expected[3]}/path?query"


def test_without_a_host_the_servers_name_is_used() -> None:
    transport = RecordingTransport("10.0.0.1:1")
    request, _ = transport.receive(b"GET / HTTP/1.0\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 8443\r\n\r\n")
    settings = EnvironSettings(server_name="server", server_port=8080, proxies=PROXY)
    environ = EnvironBuilder(settings).build(request, None, transport.origin, transport)
    assert request_uri(environ) == "https://server:8443/"
    assert "HTTP_HOST" not in environ


@pytest.mark.parametrize(
    ("prefix", "url_prefix", "target", "script_name", "path_info"),
    [
        ("/app", "", "/x", "/app", "/x"),
        ("/app/", "", "/x", "/app", "/x"),
        ("/", "", "/x", "", "/x"),
        ("/a/b", "", "/", "/a/b", "/"),
        ("/caf%C3%A9", "", "/", "/caf\xc3\xa9", "/"),
        ("/app, /app", "", "/x", "/app", "/x"),
        ("", "", "/x", "", "/x"),
        # The proxy has cut its prefix off already: what looks like it is the application's.
        ("/app", "", "/app/x", "/app", "/app/x"),
        ("/app", "/base", "/base/x", "/app/base", "/x"),
    ],
)
def test_a_prefix(prefix: str, url_prefix: str, target: str, script_name: str, path_info: str) -> None:
    environ = environ_of(PROXY, f"X-Forwarded-Prefix: {prefix}", settings={"url_prefix": url_prefix}, target=target)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path_info)


def test_a_prefix_is_believed_only_where_that_is_wanted() -> None:
    proxies = trust("10.0.0.0/8", headers=frozenset({"x-forwarded-for"}))
    environ = environ_of(proxies, "X-Forwarded-Prefix: /app", "X-Forwarded-For: 203.0.113.7")
    assert environ["SCRIPT_NAME"] == ""
    assert proxy_keys(environ) == {"HTTP_X_FORWARDED_FOR": "203.0.113.7"}


@pytest.mark.parametrize("name", sorted(FIELD_KEYS))
def test_only_the_fields_named_are_believed(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """What a trusted proxy passes on without having been told to set it was written by the client."""
    caplog.set_level(logging.DEBUG)
    environ = environ_of(trust("10.0.0.0/8", headers=frozenset({name})), *ALL_FIELDS[:7])
    assert proxy_keys(environ).keys() == {FIELD_KEYS[name]}
    assert (environ["REMOTE_ADDR"] == "6.6.6.6") == (name in ("forwarded", "x-forwarded-for"))
    assert (environ["wsgi.url_scheme"] == "https") == (name in ("forwarded", "x-forwarded-proto"))
    assert ("evil" in environ["HTTP_HOST"]) == (name in ("forwarded", "x-forwarded-host"))
    assert (environ["SCRIPT_NAME"] == "/evil") == (name == "x-forwarded-prefix")
    assert caplog.records == []


def test_fields_that_we_do_not_understand_pass_from_a_trusted_proxy() -> None:
    environ = environ_of(PROXY, "X-Real-IP: 203.0.113.7", "X-Forwarded-User: ann")
    assert environ["HTTP_X_REAL_IP"] == "203.0.113.7"
    assert environ["HTTP_X_FORWARDED_USER"] == "ann"
    assert environ["REMOTE_ADDR"] == "10.0.0.1"


# Forwarded


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("for=203.0.113.7", ("203.0.113.7", None, "http", "example.com")),
        ('For="[2001:DB8::7]:4711"', ("2001:db8::7", "4711", "http", "example.com")),
        ('for="203.0.113.7:4711"; proto=https', ("203.0.113.7", "4711", "https", "example.com")),
        ("for=203.0.113.7;PROTO=HTTPS;host=Public.example", ("203.0.113.7", None, "https", "Public.example")),
        ('host="public.example:8443";proto=https', ("10.0.0.1", "5555", "https", "public.example:8443")),
        ("for=unknown;proto=https", ("10.0.0.1", "5555", "https", "example.com")),
        ('for="_hid:_port"', ("10.0.0.1", "5555", "http", "example.com")),
        ('for=203.0.113.7;ext="a,b;c"', ("203.0.113.7", None, "http", "example.com")),
        ("", ("10.0.0.1", "5555", "http", "example.com")),
        # From the right as long as each hop is one of ours.
        (
            "for=6.6.6.6, for=203.0.113.7;proto=https, for=10.0.0.2;proto=http",
            ("203.0.113.7", None, "https", "example.com"),
        ),
        ("for=6.6.6.6;proto=https, for=203.0.113.7", ("203.0.113.7", None, "http", "example.com")),
        ("for=6.6.6.6, proto=https", ("10.0.0.1", "5555", "https", "example.com")),
        ("for=203.0.113.7;host=a.example, for=10.0.0.2;host=b.example", ("203.0.113.7", None, "http", "a.example")),
        # What a client wrote may be nonsense, if only it can be told apart.
        ("for=<;x=y, for=203.0.113.7", None),
        ('for="<script>", for=203.0.113.7', ("203.0.113.7", None, "http", "example.com")),
    ],
)
def test_forwarded(value: str, expected: tuple[str, str | None, str, str] | None) -> None:
    if expected is None:
        with pytest.raises(HttpError):
            environ_of(NEW_PROXY, f"Forwarded: {value}")
        return
    environ = environ_of(NEW_PROXY, f"Forwarded: {value}")
    assert (*client(environ), environ["wsgi.url_scheme"], environ["HTTP_HOST"]) == expected


@pytest.mark.parametrize(
    ("count", "address", "rewritten"),
    [(1, "10.0.0.1", "proto=https"), (2, "203.0.113.7", 'for="203.0.113.7:1", proto=https')],
)
def test_forwarded_hops_may_be_counted(count: int, address: str, rewritten: str) -> None:
    proxies = trust("10.0.0.0/8", headers=FORWARDED, hop_count=count)
    environ = environ_of(proxies, 'Forwarded: for=6.6.6.6, for="203.0.113.7:1" , Proto=https')
    assert environ["REMOTE_ADDR"] == address
    # The application sees only what was believed, in one spelling.
    assert environ["HTTP_FORWARDED"] == rewritten
    assert environ["wsgi.url_scheme"] == "https"


# What cannot be understood


@pytest.mark.parametrize(
    ("proxies", "field"),
    [
        (PROXY, "X-Forwarded-For: <script>"),
        (PROXY, "X-Forwarded-For: 203.0.113.7, <script>"),
        (PROXY, "X-Forwarded-For: :80"),
        (PROXY, "X-Forwarded-For: 203.0.113.7:port"),
        (PROXY, "X-Forwarded-For: [203.0.113.7]"),
        (PROXY, "X-Forwarded-For: example.com"),
        (PROXY, "X-Forwarded-Host: a b"),
        (PROXY, "X-Forwarded-Host: a/b"),
        (PROXY, "X-Forwarded-Host: user@host"),
        (PROXY, "X-Forwarded-Host: host:port"),
        (PROXY, "X-Forwarded-Host: host:65536"),
        (PROXY, "X-Forwarded-Host: :80"),
        (PROXY, "X-Forwarded-Host: [::1"),
        (PROXY, "X-Forwarded-Proto: gopher"),
        (PROXY, "X-Forwarded-Proto: https, http"),
        (PROXY, "X-Forwarded-Port: abc"),
        (PROXY, "X-Forwarded-Port: 99999"),
        (PROXY, "X-Forwarded-Port: 0"),
        (PROXY, "X-Forwarded-Port: -1"),
        (PROXY, "X-Forwarded-Port: \xb2"),
        (PROXY, "X-Forwarded-Port: 80, 81"),
        (PROXY, "X-Forwarded-Prefix: app"),
        (PROXY, "X-Forwarded-Prefix: //evil.example"),
        (PROXY, "X-Forwarded-Prefix: /%2fevil.example"),
        (PROXY, "X-Forwarded-Prefix: /\\evil.example"),
        (PROXY, "X-Forwarded-Prefix: /%5Cevil.example"),
        (PROXY, "X-Forwarded-Prefix: /a/../b"),
        (PROXY, "X-Forwarded-Prefix: /a/%2e%2e"),
        (PROXY, "X-Forwarded-Prefix: /a?b"),
        (PROXY, "X-Forwarded-Prefix: /a#b"),
        (PROXY, "X-Forwarded-Prefix: /a%0Db"),
        (PROXY, "X-Forwarded-Prefix: /a%zz"),
        (PROXY, "X-Forwarded-Prefix: /a, /b"),
        (NEW_PROXY, 'Forwarded: for=":80"'),  # waitress: IndexError, 500
        (NEW_PROXY, "Forwarded: for=203.0.113.7:80"),
        (NEW_PROXY, 'Forwarded: for="2001:db8::1"'),
        (NEW_PROXY, 'Forwarded: for="<script>"'),
        (NEW_PROXY, "Forwarded: for=203.0.113.7;proto=gopher"),
        (NEW_PROXY, "Forwarded: for=203.0.113.7;host=user@host"),
        (NEW_PROXY, 'Forwarded: for=203.0.113.7;host="a b"'),
        (NEW_PROXY, "Forwarded: for=203.0.113.7;by=nobody"),
        (NEW_PROXY, "Forwarded: for=203.0.113.7;for=203.0.113.8"),
        (NEW_PROXY, 'Forwarded: for="203.0.113.7'),
        (NEW_PROXY, "Forwarded: nonsense"),
    ],
)
def test_nonsense_of_a_trusted_proxy_is_a_400(
    proxies: TrustedProxies, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    proxies = TrustedProxies(networks=proxies.networks, headers=proxies.headers)  # nothing was logged with it yet
    with pytest.raises(HttpError) as caught:
        environ_of(proxies, field)
    name, value = field.split(": ", 1)
    assert caught.value.status == 400
    assert value not in caught.value.detail
    [record] = caplog.records
    assert record.levelname == "WARNING"
    sentence, _, why = record.getMessage().partition(f" 10.0.0.1 sent {name} that cannot be understood: ")
    assert sentence == "Refused a request: the trusted proxy"
    assert why
    assert value not in why


def test_nonsense_cannot_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    proxies = trust("10.0.0.0/8")
    for _ in range(50):
        with pytest.raises(HttpError):
            environ_of(proxies, "X-Forwarded-For: <script>")
    assert len(caplog.records) == 1


def test_a_port_of_host_that_is_none_is_a_400() -> None:
    with pytest.raises(HttpError):
        environ_of(PROXY, "Host: example.com:99999", "X-Forwarded-Proto: https")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("", ("", "")),
        ("a", ("a", "")),
        ("a:", ("a", "")),
        ("a:080", ("a", "80")),
        ("[::1]", ("[::1]", "")),
        ("[::1]:", ("[::1]", "")),
        ("[::1]:1", ("[::1]", "1")),
    ],
)
def test_split_host(host: str, expected: tuple[str, str]) -> None:
    assert split_host(host) == expected


@pytest.mark.parametrize(
    "field",
    ["X-Forwarded-Prefix: /a%2F", "X-Forwarded-Prefix: /a%2f/", 'X-Forwarded-By: <script>"', "X-Forwarded-By: a b"],
)
def test_what_leads_astray_is_refused_even_from_a_proxy(field: str) -> None:
    with pytest.raises(HttpError, match="400"):
        environ_of(trust("10.0.0.0/8", headers=frozenset(FIELD_KEYS) - {"forwarded"}), field)


def test_what_a_proxy_passes_on_unasked_does_not_reach_the_application() -> None:
    """Except for X-Real-IP, which nginx sets and applications read."""
    environ = environ_of(PROXY, "X-Forwarded-Ssl: on", "X-Forwarded-Scheme: https", "X-Real-IP: 203.0.113.9")
    assert proxy_keys(environ) == {"HTTP_X_REAL_IP": "203.0.113.9"}


def test_a_silent_one_judges_alike_and_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    silent = replace(PROXY, is_silent=True, log_untrusted=True)
    with pytest.raises(HttpError):
        environ_of(silent, "X-Forwarded-For: what is this")
    assert proxy_keys(environ_of(silent, "X-Forwarded-For: 1.2.3.4", peer="9.9.9.9:1")) == {}
    assert caplog.records == []
