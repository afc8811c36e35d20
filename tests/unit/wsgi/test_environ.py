"""waitressd.wsgi.environ: what the application is told (PEP 3333, RFC 3875)."""

import io
import sys
from ipaddress import ip_network
from typing import Any
from wsgiref.util import request_uri

import pytest

from tests.support.origins import origin_of
from tests.support.recording import RecordingTransport
from waitressd.http.events import Request
from waitressd.http.response import build_head
from waitressd.wsgi.environ import EnvironBuilder, EnvironSettings
from waitressd.wsgi.proxies import TrustedProxies

Environ = dict[str, Any]


def build(
    data: bytes = b"GET /a%20b/c?q=%20 HTTP/1.1\r\nHost: example.com:8080\r\n\r\n",
    settings: EnvironSettings | None = None,
    peer: str = "127.0.0.1:5555",
) -> Environ:
    transport = RecordingTransport(peer)
    request, body = transport.receive(data)
    settings = settings or EnvironSettings(server_port=8080)
    return EnvironBuilder(settings).build(request, body, transport.origin, transport)


def get(target: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: example.com", *fields, "", ""]).encode("latin-1")


def test_every_key_of_a_plain_request() -> None:
    environ = build(settings=EnvironSettings(server_name="here", server_port=8080, software="waitressd"))
    gone = environ.pop("waitressd.client_disconnected")
    assert environ.pop("waitress.client_disconnected") is gone
    assert environ.pop("waitressd.set_request_timeout").__name__ == "set_request_timeout"
    assert gone() is False
    assert environ.pop("wsgi.input").read() == b""
    assert callable(environ.pop("wsgi.file_wrapper"))
    environ.pop("wsgi.early_hints")  # filled in by the task
    assert environ == {
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_HOST": "127.0.0.1",
        "REMOTE_PORT": "5555",
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": "/a%20b/c?q=%20",
        "SERVER_NAME": "here",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "waitressd",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b/c",
        "QUERY_STRING": "q=%20",
        "HTTP_HOST": "example.com:8080",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }


def test_it_is_a_plain_dictionary_with_texts_in_latin_1() -> None:
    environ = build(get("/%C3%A9?%C3", "X-Name: caf\xe9"))
    assert type(environ) is dict
    assert environ["PATH_INFO"] == "/\xc3\xa9"
    assert environ["HTTP_X_NAME"] == "caf\xe9"


def test_an_application_may_do_what_it_likes_with_it() -> None:
    """The next request of the same listener sees nothing of it."""
    transport = RecordingTransport()
    builder = EnvironBuilder(EnvironSettings(server_port=80))
    for _ in range(2):
        request, body = transport.receive(get("/"))
        environ = builder.build(request, body, transport.origin, transport)
        assert environ["SERVER_NAME"] == "waitressd.invalid"
        assert environ["SCRIPT_NAME"] == ""
        assert "mine" not in environ
        environ["mine"] = 1
        environ["SCRIPT_NAME"] = "/changed"
        environ.pop("SERVER_NAME")
        request.fields.clear()
        transport.connection.encoder.encode_response(build_head("200 OK", []), b"", "now")


@pytest.mark.parametrize("peer", ["10.1.2.3:1", "[::1]:80", "unix:"])
@pytest.mark.parametrize("prefix", ["", "/shop"])
@pytest.mark.parametrize(
    "fields",
    ["A: b", "Cookie: a=b\r\nAccept: */*", "X-Forwarded-For: 1.2.3.4", "Content-Length: 2", "X-Forwarded-Proto: https"],
)
def test_requests_whose_fields_come_again_get_what_they_would_get_alone(fields: str, prefix: str, peer: str) -> None:
    """What an environ begins with is kept for the connection's next request with the same field lines."""
    trusted = TrustedProxies(networks=(ip_network("10.0.0.0/8"),), headers=frozenset({"x-forwarded-for"}))
    builder = EnvironBuilder(EnvironSettings(server_port=80, url_prefix=prefix, proxies=trusted))
    kept = RecordingTransport(peer)
    for number in range(4):
        data = get(f"/shop/{number}?n={number}", fields) + (b"ab" if "Length" in fields else b"")
        alone = RecordingTransport(peer)
        environs = []
        for transport in (kept, alone):
            request, body = transport.receive(data)
            environ = builder.build(request, body, transport.origin, transport)
            with environ.pop("wsgi.input") as stream:
                environ["body"] = stream.read()
            environs.append(dict(environ))
            environ["mine"] = 1
            environ["REMOTE_ADDR"] = "changed"
            transport.connection.encoder.encode_response(build_head("200 OK", []), b"", "now")
        for transport, environ in zip((kept, alone), environs, strict=True):
            for key in ("client_disconnected", "set_request_timeout"):
                assert environ.pop(f"waitressd.{key}").__self__ is transport
            assert environ.pop("waitress.client_disconnected").__self__ is transport
        assert environs[0] == environs[1]


@pytest.mark.parametrize("software", ["", "mine/1.0"])
def test_the_software_is_always_text(software: str) -> None:
    """waitress says None when `ident` is empty."""
    environ = build(settings=EnvironSettings(software=software))
    assert environ["SERVER_SOFTWARE"] == (software or "waitressd")


@pytest.mark.parametrize(("scheme", "port"), [("http", "80"), ("https", "443")])
@pytest.mark.parametrize("peer", ["unix:", "unix:/run/client.sock", "unix:[x]", "unix:/run/1:80", "unix:10.0.0.1:5555"])
def test_a_unix_socket(scheme: str, port: str, peer: str) -> None:
    """waitress says that the port of the server is the socket's path, and that of the client `None`."""
    environ = build(settings=EnvironSettings(url_scheme=scheme), peer=peer)
    assert environ["SERVER_PORT"] == port
    assert environ["REMOTE_ADDR"] == environ["REMOTE_HOST"] == "localhost"
    assert "REMOTE_PORT" not in environ


@pytest.mark.parametrize(
    ("peer", "address", "port"),
    [
        ("10.1.2.3:1", "10.1.2.3", "1"),
        ("[::1]:80", "::1", "80"),
        ("[fe80::1%eth0]:80", "fe80::1%eth0", "80"),
        ("[2001:db8::1:2]:65535", "2001:db8::1:2", "65535"),
        ("[::ffff:10.1.2.3]:80", "10.1.2.3", "80"),
    ],
)
def test_the_peer(peer: str, address: str, port: str) -> None:
    environ = build(peer=peer)
    assert (environ["REMOTE_ADDR"], environ["REMOTE_HOST"], environ["REMOTE_PORT"]) == (address, address, port)


@pytest.mark.parametrize(
    ("target", "script_name", "path_info"),
    [
        ("/app", "/app", ""),
        ("/app/", "/app", "/"),
        ("/app/x/y", "/app", "/x/y"),
        ("/app//x", "/app", "//x"),
        # The proxy has cut the prefix off: links must lead through it all the same.
        ("/", "/app", "/"),
        ("/x", "/app", "/x"),
        ("/apple", "/app", "/apple"),
    ],
)
def test_a_prefix(target: str, script_name: str, path_info: str) -> None:
    environ = build(get(target), EnvironSettings(url_prefix="/app"))
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path_info)
    assert environ["REQUEST_URI"] == target


@pytest.mark.parametrize(
    ("target", "path_info"),
    [
        ("/", "/"),
        ("//p//q", "//p//q"),  # waitress makes /p//q of it
        ("/a%2Fb", "/a/b"),
        ("/a%00b", "/a\0b"),
        ("/./../x", "/./../x"),
        ("http://other.example/x?y", "/x"),
    ],
)
def test_the_path(target: str, path_info: str) -> None:
    environ = build(get(target))
    assert environ["PATH_INFO"] == path_info
    assert environ["REQUEST_URI"] == target


def test_the_server_as_a_whole() -> None:
    environ = build(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
    assert environ["PATH_INFO"] == environ["REQUEST_URI"] == "*"


@pytest.mark.parametrize(
    ("settings", "data", "uri"),
    [
        (EnvironSettings(server_port=8080), get("/a%20b?c=d"), "http://example.com/a%20b?c=d"),
        (EnvironSettings(url_scheme="https"), get("/"), "https://example.com/"),
        (EnvironSettings(url_prefix="/app"), get("/app/x"), "http://example.com/app/x"),
        (EnvironSettings(url_prefix="/app"), get("/x"), "http://example.com/app/x"),
        (EnvironSettings(server_name="name", server_port=81), b"GET /x HTTP/1.0\r\n\r\n", "http://name:81/x"),
        (EnvironSettings(server_name="name", server_port=80), b"GET /x HTTP/1.0\r\n\r\n", "http://name/x"),
        (EnvironSettings(server_name="name", url_scheme="https"), b"GET /x HTTP/1.0\r\n\r\n", "https://name/x"),
        (EnvironSettings(), get("http://other.example:81/x?y"), "http://other.example:81/x?y"),
    ],
)
def test_the_url_can_be_reconstructed(settings: EnvironSettings, data: bytes, uri: str) -> None:
    assert request_uri(build(data, settings)) == uri


def test_the_body_is_the_input() -> None:
    environ = build(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\nContent-Length: 05\r\n\r\nhello")
    assert environ["CONTENT_TYPE"] == "a/b"
    assert environ["CONTENT_LENGTH"] == "5"
    assert environ["wsgi.input"].read() == b"hello"


def test_a_chunked_body_has_a_length() -> None:
    environ = build(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    assert environ["CONTENT_LENGTH"] == "3"
    assert "HTTP_TRANSFER_ENCODING" not in environ
    assert environ["wsgi.input"].read() == b"abc"


def test_without_a_body_there_is_no_length() -> None:
    environ = build()
    assert "CONTENT_LENGTH" not in environ
    assert "CONTENT_TYPE" not in environ


def test_each_request_has_an_input_of_its_own() -> None:
    builder = EnvironBuilder(EnvironSettings())
    request = Request("GET", "/", "/", "", "HTTP/1.1", {})
    inputs = [
        builder.build(request, None, origin_of("1.2.3.4:5"), RecordingTransport())["wsgi.input"] for _ in range(2)
    ]
    assert inputs[0] is not inputs[1]
    inputs[0].close()
    assert inputs[1].read() == b""


@pytest.mark.parametrize("content", [b"", b"one", b"one\ntwo\r\nthree", b"\n\n"])
def test_the_input_behaves_like_a_file(content: bytes) -> None:
    data = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content)

    def fresh() -> Any:
        return build(data)["wsgi.input"]

    lines = content.splitlines(keepends=True)
    assert fresh().read() == fresh().read(-1) == fresh().read(10**6) == content
    assert [fresh().read(0), fresh().readline(0)] == [b"", b""]
    assert list(fresh()) == fresh().readlines() == lines
    assert fresh().readline() == (lines[0] if lines else b"")
    source = fresh()
    source.read()
    assert [source.read(1), source.read(), source.readline(), source.readlines(), list(source)] == [
        b"",
        b"",
        b"",
        [],
        [],
    ]


def test_errors_go_where_standard_error_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    builder = EnvironBuilder(EnvironSettings())
    monkeypatch.setattr(sys, "stderr", stream)
    request = Request("GET", "/", "/", "", "HTTP/1.1", {})
    assert builder.build(request, None, origin_of("1.2.3.4:5"), RecordingTransport())["wsgi.errors"] is stream


def test_a_field_cannot_reach_another_key() -> None:
    environ = build(
        get("/", "Remote-Addr: 6.6.6.6", "Wsgi.url-scheme: https", "Proxy: evil", "X_Forwarded_For: 6.6.6.6")
    )
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["HTTP_REMOTE_ADDR"] == "6.6.6.6"
    assert not {"HTTP_PROXY", "HTTP_X_FORWARDED_FOR"} & environ.keys()


def test_errors_is_a_stream_where_the_process_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    errors = build(get("/"))["wsgi.errors"]
    assert errors.write("text") == 4
    errors.writelines(["more\n", "text\n"])
    print("printed", file=errors, flush=True)
    assert (errors.writable(), errors.isatty(), errors.closed) == (True, False, False)
    errors.flush()


@pytest.mark.parametrize("peer", ["10.0.0.1:5555", "127.0.0.1:5555"])
def test_what_a_client_says_again_means_the_same_environ(peer: str) -> None:
    trusted = TrustedProxies(networks=(ip_network("10.0.0.0/8"),), headers=frozenset({"x-forwarded-for"}))
    settings = EnvironSettings(server_port=8080, proxies=trusted, url_prefix="/p")
    builder = EnvironBuilder(settings)
    told = ["X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: 203.0.113.8", "Cookie: a", "Cookie: b", "Cookie: b"]
    told += ["Content-Length: 00", "Connection: keep-alive", "Content-Type: text/plain\r\nContent-Length: 0"]
    for first in (["X-A: 1"], ["X-A: 1", "X-Forwarded-For: 203.0.113.9"], ["X-A: 1", "X-Forwarded-Host: a.test"]):
        transport = RecordingTransport(peer)
        for number, last in enumerate(told * 2):
            data = get(f"/p/{number}?{number}", *first, last if last not in first else "Cookie: c")
            request, body = transport.receive(data)
            again = builder.build(request, body, transport.origin, transport)
            alone = build(data, settings, peer)
            for environ in (again, alone):
                for key in ("wsgi.input", "waitressd.client_disconnected", "waitress.client_disconnected"):
                    del environ[key]
                del environ["waitressd.set_request_timeout"]
            assert again == alone
            transport.encoder.encode_response(build_head("204 No Content", []), b"", "")
