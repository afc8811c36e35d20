"""Records as requests leave them, made without a server."""

from typing import Any

from tests.support.origins import origin_of
from waitressd.http.connection import Connection
from waitressd.http.errors import HttpError
from waitressd.http.events import Request
from waitressd.http.limits import Limits
from waitressd.http.response import build_head
from waitressd.peer import ClientCertificate, Tls
from waitressd.requestlog.record import RequestRecord

HEAD = b"GET /a?b=c HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: test/1.0\r\nReferer: http://r.example/\r\n\r\n"


def request_of(data: bytes) -> Request:
    """Parse one request head."""
    connection = Connection(Limits(), "")
    connection.reader.feed(data)
    event = connection.next_event()
    assert isinstance(event, Request)
    return event


def answered(
    data: bytes = HEAD, status: str = "200 OK", *, environ: dict[str, Any] | None = None, ended_by: str = ""
) -> RequestRecord:
    """Make the record of an answered request: 0.5 s in the queue, 1 s in the application, 0.25 s to be sent."""
    record = RequestRecord(origin_of(), 7, 2, request_of(data))
    record.client = "127.0.0.1"
    record.environ = {"REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http"} if environ is None else environ
    record.head = build_head(status, [("Content-Type", "text/plain"), ("X-A", "1"), ("X-A", "2")])
    record.body_bytes_sent = 13
    record.request_id = "0af7651916cd43dd8448eb211c80319c"
    record.traceparent = f"00-{record.request_id}-b7ad6b7169203331-00"
    record.ended_by = ended_by
    record.time = 1_700_000_000.25
    record.began_at = 100.0
    record.complete_at, record.started_at, record.answered_at = 100.125, 100.625, 101.0
    record.returned_at, record.ended_at = 101.625, 101.875
    return record


TLS = Tls(
    version="TLSv1.3",
    cipher="TLS_AES_128_GCM_SHA256",
    key_bits=128,
    sni="shop.example",
    is_resumed=True,
    asks_certificate=True,
    client=ClientCertificate(
        subject="CN=Alice",
        issuer="CN=A CA",
        common_name="Alice",
        serial="0A1B",
        not_before="Nov  6 08:49:37 2026 GMT",
        not_after="Nov  6 08:49:37 2027 GMT",
        dns_names=(),
        email_addresses=("alice@example.org",),
        pem="",
    ),
)
"""A connection with everything that can be known of it."""


def encrypted(tls: Tls = TLS) -> RequestRecord:
    """Make the record of an answered request that came by TLS."""
    record = answered()
    record.origin = record.origin.encrypted(tls)
    return record


def refused(line: bytes, status: int = 400, detail: str = "The request is wrong.") -> RequestRecord:
    """Make the record of a request whose head was refused."""
    record = RequestRecord(origin_of("[::1]:5555"), 8, 1, None)
    record.client = "::1"
    record.refused_line = line
    record.refusal = HttpError(status, detail)
    record.ended_by = "refused"
    record.head = build_head(f"{status} {record.refusal.reason}", [])
    record.body_bytes_sent = 40
    record.request_id = "r"
    record.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    record.time, record.began_at, record.answered_at, record.ended_at = 1_700_000_000.0, 1.0, 1.25, 1.5
    return record


def unanswered(ended_by: str) -> RequestRecord:
    """Make the record of a request that got no answer."""
    record = answered(ended_by=ended_by)
    record.head = None
    record.body_bytes_sent = 0
    return record
