"""One JSON object a line, with OpenTelemetry's names for the attributes of HTTP requests.

Pure ASCII: whatever a client sends is escaped, so a line can neither be broken nor forged. The schema of a line is
`docs/request-log.schema.json`.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from waitressd.kinds import list_of
from waitressd.peer import Tls
from waitressd.place import here
from waitressd.requestlog.formats import LineLog, Value, field_getter
from waitressd.requestlog.options import Options
from waitressd.requestlog.record import RequestRecord
from waitressd.requestlog.sinks import build_sink
from waitressd.requestlog.times import iso_time

encode: Final = json.JSONEncoder(ensure_ascii=True, check_circular=False, separators=(",", ":")).encode
"""Encode an object as one line of ASCII."""

# A client may write anything in their places, and the text of a number may be too long to be read as one.
_VERSION: Final = re.compile(r"HTTP/([0-9](?:\.[0-9])?)").fullmatch
_PORT: Final = re.compile(r"[0-9]{1,5}").fullmatch

Extra = tuple[str, Callable[[RequestRecord], Value]]

_DURATIONS: Final = ("receive_time", "queue_time", "application_time", "first_byte_time", "flush_time")
# What each line says of its own accord, where it is known.
_SAID_ANYWAY: Final = frozenset(
    {"listener", "connection", "request_id", "duration", "ended_by", "detail", "worker", "pid", *_DURATIONS}
)


def describe(record: RequestRecord) -> dict[str, Any]:
    """Return what a record says, by OpenTelemetry's names; what is not known is left out."""
    path, question_mark, query = _origin_form(record.target).partition("?")
    values: dict[str, Any] = {
        "timestamp": iso_time(record.time),
        "client.address": record.client,
        "network.peer.address": record.origin.peer.address,
        "network.protocol.name": "http",
        "process.pid": here.pid,
        "waitressd.listener": record.listener,
        "waitressd.connection": record.connection,
        "waitressd.request_number": record.number,
        "waitressd.request_id": record.request_id,
        "trace_id": record.trace_id,
        "http.request.body.size": record.body_bytes_received,
        "http.response.body.size": record.body_bytes_sent,
        "waitressd.duration": round(record.duration, 6),
    }
    if here.number:
        values["waitressd.worker"] = here.number
    _describe_request(record, values)
    if path:
        values["url.path"] = path
    if question_mark:
        values["url.query"] = query
    for name in _DURATIONS:
        seconds = getattr(record, name)
        if seconds is not None:
            values[f"waitressd.{name}"] = round(seconds, 6)
    _describe_end(record, values)
    return values


def _origin_form(target: str) -> str:
    """Leave out what an absolute target says before its path."""
    scheme, colon, rest = target.partition("://")
    if not colon or "/" in scheme:
        return target
    slash = rest.find("/")
    return rest[slash:] if slash >= 0 else "/"


def _describe_first_line(record: RequestRecord, values: dict[str, Any]) -> None:
    version = _VERSION(record.version)
    if record.method:
        values["http.request.method"] = record.method
        if version is not None:
            values["network.protocol.version"] = version[1]
    if record.refused_line and not (record.method and version):
        values["waitressd.refused_line"] = record.request_line


def _describe_request(record: RequestRecord, values: dict[str, Any]) -> None:
    port = record.origin.peer.port
    if port is not None:
        values["network.peer.port"] = port
    if record.tls is not None:
        _describe_tls(record.tls, values)
    _describe_first_line(record, values)
    for key, name in (("server.address", "Host"), ("user_agent.original", "User-Agent")):
        value = record.request_field(name)
        if value is not None:
            values[key] = value
    host, colon, port_text = values.get("server.address", "").rpartition(":")
    if colon and _PORT(port_text):
        values["server.address"], values["server.port"] = host, int(port_text)
    referer = record.request_field("Referer")
    if referer is not None:
        values["http.request.header.referer"] = [referer]
    environ = record.environ
    if environ is not None:
        values["url.scheme"] = str(environ.get("wsgi.url_scheme", "http"))
    if record.user:
        values["user.name"] = record.user


def _describe_tls(tls: Tls, values: dict[str, Any]) -> None:
    values["tls.protocol.name"] = "tls"
    values["tls.protocol.version"] = tls.version.removeprefix("TLSv")
    values["tls.cipher"] = tls.cipher
    values["tls.resumed"] = tls.is_resumed
    if tls.sni:
        values["tls.client.server_name"] = tls.sni
    if tls.client is not None:
        values["tls.client.subject"] = tls.client.subject
        values["tls.client.issuer"] = tls.client.issuer
        values["waitressd.tls.client.serial"] = tls.client.serial


def _describe_end(record: RequestRecord, values: dict[str, Any]) -> None:
    if record.status:
        values["http.response.status_code"] = record.status
    if record.ended_by:
        values["waitressd.ended_by"] = record.ended_by
        values["error.type"] = _error_type(record)
    if record.refusal is not None:
        values["waitressd.detail"] = record.detail
    if record.exception is not None:
        # Some readers refuse what a lone surrogate is escaped to.
        values["exception.message"] = str(record.exception).encode("utf-8", "backslashreplace").decode()


def _error_type(record: RequestRecord) -> str:
    if record.exception is not None:
        return type(record.exception).__qualname__
    return str(record.status) if record.refusal is not None and record.status else record.ended_by


def _compile_extras(options: Options) -> list[Extra]:
    extras: list[Extra] = []
    for name in options.take("fields", list_of("names of fields", str, "NAME"), ()):
        try:
            extra = _extra_key(name), field_getter(name)
        except ValueError as error:
            options.complain("fields", str(error))
            continue
        if name not in _SAID_ANYWAY:
            extras.append(extra)
    return extras


def _extra_key(name: str) -> str:
    """Name an additional field as OpenTelemetry does: http.request.header.NAME, http.response.header.NAME."""
    kind, _, rest = name.partition(".")
    if kind in {"request", "response"}:
        return f"http.{kind}.header.{rest.lower()}"
    return f"waitressd.{name}"


def json_lines(_global_conf: Mapping[str, str], **options: str) -> LineLog:
    """Make a request log of JSON lines (``egg:waitressd#json``)."""
    read = Options(options)
    extras = _compile_extras(read)
    sink = build_sink(read)
    read.finish()

    def formatter(record: RequestRecord) -> str:
        values = describe(record)
        for key, getter in extras:
            value = getter(record)
            if value is not None:
                values[key] = [value] if ".header." in key else value
        return encode(values)

    return LineLog(formatter, sink)
