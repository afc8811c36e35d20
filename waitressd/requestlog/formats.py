"""Lines of text for requests: the common and the combined log format, and templates with {name}.

Every line is ASCII without control characters, whatever the client sent.
"""

import string
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final

from waitressd.kinds import text
from waitressd.peer import Tls
from waitressd.requestlog.escaping import escape, escape_word, known_text, known_word
from waitressd.requestlog.options import Options, suggest
from waitressd.requestlog.record import RequestRecord
from waitressd.requestlog.sinks import Sink, build_sink
from waitressd.requestlog.times import clf_time, iso_time

Formatter = Callable[[RequestRecord], str]
Value = str | int | float | None

NOTHING: Final = "-"


# What is shown if no status was sent, by `ended_by`: programs that read these formats need a number.
_UNSENT_STATUS: Final = {"client": 499, "deadline": 408, "stop": 503, "timeout": 504}


class LineLog:
    """A request log that writes a line of text for each record."""

    __slots__ = ("_format", "_sink", "_write", "close", "reopen")

    def __init__(self, formatter: Formatter, sink: Sink) -> None:
        self._format = formatter
        self._sink = sink
        self._write = sink.write
        self.reopen = sink.reopen
        self.close = sink.close

    @property
    def lost_count(self) -> int:
        """How many lines the sink has lost. Any thread."""
        return self._sink.lost_count

    def start(self, server: object) -> None:
        """Open the sink. Raises OSError naming the file."""
        self._sink.start(server)
        self._write = self._sink.write

    def __call__(self, record: RequestRecord) -> None:
        """Write the line. Any thread."""
        if self._sink.is_on:
            self._write(self._format(record))


def shown_status(record: RequestRecord) -> int:
    """Return the status, or if none was sent the one that nginx would log (499: the client left)."""
    return record.status or _UNSENT_STATUS.get(record.ended_by, 500)


def format_common(record: RequestRecord) -> str:
    """The Common Log Format: client, -, user, time, request line, status, bytes of the body."""
    request, head, environ = record.request, record.head, record.environ
    client = known_word(record.client) or escape_word(record.client) or NOTHING
    user = escape_word(record.user) or NOTHING if environ is not None and "REMOTE_USER" in environ else NOTHING
    status = head.code if head is not None else shown_status(record)
    if request is None:
        line = escape(record.request_line) or NOTHING
        return f'{client} - {user} [{clf_time(record.time)}] "{line}" {status} {record.body_bytes_sent}'
    target = known_text(request.target) or escape(request.target)
    return (
        f"{client} - {user} [{clf_time(record.time)}] "
        f'"{request.method} {target} {request.version}" {status} {record.body_bytes_sent}'
    )


def format_combined(record: RequestRecord) -> str:
    """The Combined Log Format: the common one, with Referer and User-Agent."""
    request = record.request
    if request is None:
        return f'{format_common(record)} "-" "-"'
    fields = request.fields
    referer = agent = NOTHING
    if "HTTP_REFERER" in fields:
        referer = escape(fields["HTTP_REFERER"]) or NOTHING
    if "HTTP_USER_AGENT" in fields:
        agent = known_text(fields["HTTP_USER_AGENT"]) or escape(fields["HTTP_USER_AGENT"]) or NOTHING
    return f'{format_common(record)} "{referer}" "{agent}"'


def _of_tls(value_of: Callable[[Tls], Any]) -> Callable[[RequestRecord], Value]:
    """Return what reads a value of an encrypted connection, and gives nothing for plain HTTP."""

    def getter(record: RequestRecord) -> Value:
        found: Value = None if record.tls is None else value_of(record.tls)
        return found

    return getter


_ATTRIBUTES: Final = (
    "client", "user", "peer", "listener", "connection", "number", "request_line", "method", "target", "version",
    "body_bytes_received", "body_bytes_sent", "receive_time", "queue_time", "application_time", "first_byte_time",
    "flush_time", "duration", "ended_by", "detail", "request_id", "traceparent", "trace_id", "worker", "pid",
)  # fmt: skip
FIELDS: Final[Mapping[str, Callable[[RequestRecord], Value]]] = {
    **{name: attrgetter(name) for name in _ATTRIBUTES},
    "time": lambda record: clf_time(record.time),
    "time_iso": lambda record: iso_time(record.time),
    "timestamp": lambda record: record.time,
    "path": lambda record: record.target.partition("?")[0],
    "query": lambda record: record.target.partition("?")[2],
    "host": lambda record: record.request_field("Host"),
    "referer": lambda record: record.request_field("Referer"),
    "user_agent": lambda record: record.request_field("User-Agent"),
    "status": shown_status,
    "tls.version": _of_tls(lambda tls: tls.version),
    "tls.cipher": _of_tls(lambda tls: tls.cipher),
    "tls.sni": _of_tls(lambda tls: tls.sni),
    "tls.resumed": _of_tls(lambda tls: "resumed" if tls.is_resumed else "full"),
    "tls.client_subject": _of_tls(lambda tls: tls.client and tls.client.subject),
    "tls.client_serial": _of_tls(lambda tls: tls.client and tls.client.serial),
}
"""What a template may name, besides request.NAME, response.NAME and environ.KEY."""

_SECONDS: Final = frozenset(name for name in FIELDS if name.endswith("_time") or name in {"duration", "timestamp"})
_NUMBERS: Final = _SECONDS | {
    "connection",
    "number",
    "status",
    "body_bytes_received",
    "body_bytes_sent",
    "worker",
    "pid",
}


def compile_template(template: str) -> Formatter:
    """Turn a template into a formatter. Raises ValueError, a sentence about what is wrong with it."""
    parts: list[str | Formatter] = []
    # A value that an ini file continues on the next line is one line all the same.
    for literal, name, spec, conversion in string.Formatter().parse(" ".join(template.split("\n")).strip()):
        if literal:
            # Quotes and backslashes of the operator are meant, controls are not.
            parts.append("".join(char if char.isprintable() else " " for char in literal))
        if name is not None:
            if conversion:
                raise ValueError(f"{{{name}!{conversion}}}: conversions are not known here")
            parts.append(_compile_field(name, spec or ""))

    def formatter(record: RequestRecord) -> str:
        return "".join([part if isinstance(part, str) else part(record) for part in parts])

    return formatter


def field_getter(name: str) -> Callable[[RequestRecord], Value]:
    """Return what reads a named value from a record. Raises ValueError for an unknown name."""
    kind, dot, rest = name.partition(".")
    if dot and rest and kind in {"request", "response", "environ"}:
        if kind == "request":
            return lambda record: record.request_field(rest)
        if kind == "response":
            return lambda record: record.response_field(rest)
        return lambda record: _environ_value(record, rest)
    getter = FIELDS.get(name)
    if getter is None:
        raise ValueError(
            f"unknown field {{{name}}}{suggest(name, [*FIELDS, 'request.NAME', 'response.NAME', 'environ.KEY'])}"
        )
    return getter


def _environ_value(record: RequestRecord, key: str) -> str | None:
    value = record.environ.get(key) if record.environ is not None else None
    return None if value is None else str(value)


def _compile_field(name: str, spec: str) -> Formatter:
    getter = field_getter(name)
    if name not in _NUMBERS:
        if spec:
            raise ValueError(f"{{{name}:{spec}}}: only numbers take a format")
        return lambda record: escape(str(getter(record) or NOTHING))
    wanted = spec or (".6f" if name in _SECONDS else "")
    try:
        format(0.5 if name in _SECONDS else 1, wanted)
    except ValueError:
        raise ValueError(f"{{{name}:{spec}}}: not a format of a number, such as .3f") from None

    def formatter(record: RequestRecord) -> str:
        value = getter(record)
        return NOTHING if value is None else format(value, wanted)

    return formatter


def common(_global_conf: Mapping[str, str], **options: str) -> LineLog:
    """Make a request log in the Common Log Format (``egg:waitressd#common``)."""
    return _finish(format_common, Options(options))


def combined(_global_conf: Mapping[str, str], **options: str) -> LineLog:
    """Make a request log in the Combined Log Format (``egg:waitressd#combined``)."""
    return _finish(format_combined, Options(options))


def template(_global_conf: Mapping[str, str], **options: str) -> LineLog:
    """Make a request log whose lines follow the option `format` (``egg:waitressd#template``)."""
    read = Options(options)
    line = read.take("format", text(), "")
    formatter: Formatter = format_common
    if not line:
        read.complain("format", "expected a template, such as {client} {method} {target} {status} {duration:.3f}")
    else:
        try:
            formatter = compile_template(line)
        except ValueError as error:
            read.complain("format", str(error))
    return _finish(formatter, read)


def _finish(formatter: Formatter, read: Options) -> LineLog:
    sink = build_sink(read)
    read.finish()
    return LineLog(formatter, sink)
