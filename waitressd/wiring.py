"""The composition root: from Adjustments and an application to the parts of a server.

Turns settings into the small records that the inner layers take, and introduces sockets, WSGI and request logs to each
other; none of them knows another, or has ever seen a setting. Opens and starts nothing.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from waitressd.config.adjustments import Adjustments
from waitressd.config.errors import ConfigError, Problem, shorten
from waitressd.config.origins import PYTHON
from waitressd.config.requestlogs import RequestLog
from waitressd.config.timelimitadvice import limits
from waitressd.dispatch.bounds import Bounds
from waitressd.dispatch.lane import Lane
from waitressd.http.errors import HttpError
from waitressd.http.events import Request
from waitressd.http.limits import Limits
from waitressd.inhand import noting
from waitressd.metrics import request_log
from waitressd.net.channelsettings import ChannelSettings, RequestHandler
from waitressd.net.ledger import Ledger
from waitressd.net.listener import HTTPS, REDIRECT, Listener
from waitressd.net.outbuf import OutputLimits
from waitressd.net.poller import build_poller
from waitressd.net.preface import ProxyProtocol, SecureProtocol
from waitressd.net.progress import Deadlines
from waitressd.net.timelimit import RouteLimit, TimeLimits, interruptible, timed
from waitressd.peer import Origin
from waitressd.place import here
from waitressd.requestlog.dev import dev
from waitressd.requestlog.formats import combined, common, template
from waitressd.requestlog.jsonlines import json_lines
from waitressd.requestlog.loading import Factory, Trouble, load
from waitressd.requestlog.options import DEFAULT_LOGGER
from waitressd.requestlog.requestlogger import Identify, RequestLogger, RequestLogs
from waitressd.rlimits import connection_bound
from waitressd.wording import assignment_hint
from waitressd.wsgi.clock import http_date
from waitressd.wsgi.environ import EnvironBuilder, EnvironSettings
from waitressd.wsgi.input import BodySpool, MemoryBudget
from waitressd.wsgi.proxies import TrustedProxies
from waitressd.wsgi.task import Application, TaskSettings, WsgiHandler

if TYPE_CHECKING:
    from waitressd.certificates import Certificates
    from waitressd.redirect import Redirect

BUILT_IN: Final[Mapping[str, Factory]] = {
    "common": common,
    "combined": combined,
    "template": template,
    "json": json_lines,
    "dev": dev,
    "metrics": request_log,
}
"""The factories of the request logs that come with the server, by the names that an operator gives them."""

_LINE_FORMATS: Final = ("common", "combined", "json", "template")
_SETTINGS: Final = frozenset(setting.name for setting in fields(Adjustments))

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Shared:
    """What all listeners of an event loop have in common besides the settings."""

    application: Application
    logs: RequestLogs | None
    new_body: Callable[[int | None], BodySpool]  # of one budget of memory


def build_lane(
    adjustments: Adjustments,
    application: Application,
    listeners: Sequence[Listener],
    logs: RequestLogs | None,
    credentials: "Certificates | None" = None,
) -> Lane:
    """Build an event loop and its threads for these listeners; it starts nothing.

    With `credentials`, which a listener that speaks TLS needs.
    """
    lane = Lane(build_poller(), bounds(adjustments), task_log_timeout=adjustments.task_log_timeout)
    lane.timekeeper.limits = time_limits(adjustments)
    lane.dispatcher.logs.worker_number = here.number or 1
    if adjustments.counts_requests:
        lane.dispatcher.ledger = Ledger(adjustments.metrics_series, adjustments.slow_threshold)
    secure = _secure_protocols(adjustments, listeners, credentials)
    shared = Shared(application, logs, body_spools(adjustments))
    shared = Shared(application, logs, body_spools(adjustments))
    for listener in listeners:
        settings = channel_settings(adjustments, shared, listener, secure.get(listener))
        if listener.service == REDIRECT:
            settings = replace(settings, answer=_redirect(adjustments, secure, credentials))
        lane.dispatcher.add_listener(listener, settings)
    return lane


def _secure_protocols(
    adjustments: Adjustments, listeners: Sequence[Listener], credentials: "Certificates | None"
) -> "dict[Listener, SecureProtocol]":
    """Say how connections are encrypted, for each listener that speaks TLS; all of a lane share one limit."""
    speakers = [listener for listener in listeners if listener.service == HTTPS]
    if not speakers:
        return {}
    from waitressd.net.handshake import Handshakes, TlsProtocol  # noqa: PLC0415 - a plain server does not pay for ssl

    assert credentials is not None
    # No more than half of all connections, so that those which never end their handshake do not keep the others out.
    limit = min(adjustments.tls_handshake_limit, max(1, connection_bound(adjustments.connection_limit) // 2))
    handshakes = Handshakes(limit)
    timeout = adjustments.tls_handshake_timeout
    return {each: TlsProtocol(credentials, handshakes, timeout, each.name, _port(each)) for each in speakers}


def _redirect(
    adjustments: Adjustments, secure: "Mapping[Listener, SecureProtocol]", credentials: "Certificates | None"
) -> "Redirect":
    """Say what is answered where nothing but the way to https is served."""
    from waitressd.redirect import HTTPS_PORT, Challenges, Redirect  # noqa: PLC0415 - a plain server has none

    assert credentials is not None
    port = next((port for port in map(_port, secure) if port is not None), HTTPS_PORT)
    folder = adjustments.acme_challenge_folder
    return Redirect(credentials.covers, port, Challenges(folder) if folder else None)


def _port(listener: Listener) -> int | None:
    address = listener.address
    return address[1] if isinstance(address, tuple) else None


def bounds(adjustments: Adjustments) -> Bounds:
    """Say how much the dispatcher takes on."""
    finest = min(
        adjustments.request_header_timeout,
        adjustments.channel_timeout,
        adjustments.queue_timeout,
        adjustments.send_timeout,
        adjustments.tls_handshake_timeout,
        max(0.04, adjustments.linger_timeout),
    )
    limit = connection_bound(adjustments.connection_limit)
    return _fill(Bounds, adjustments, connection_limit=limit, finest_deadline_seconds=finest)


def time_limits(adjustments: Adjustments) -> TimeLimits:
    """Say how long requests may keep a thread."""
    routes = tuple(
        RouteLimit(route.method, re.compile(route.expression).fullmatch, route.seconds)
        for route in adjustments.request_timeout_routes
    )
    return _fill(TimeLimits, adjustments, request_timeout_routes=routes)


def _limited(handler: RequestHandler, adjustments: Adjustments) -> RequestHandler:
    """Let a handler's requests be ended, as far as they may have to be; others pay nothing for it."""
    if limits(adjustments) or adjustments.request_timeout_interrupt or "cancel" in adjustments.admin_control:
        handler = timed(handler, time.monotonic)
    return interruptible(handler) if adjustments.request_timeout_interrupt else handler


def deadlines(adjustments: Adjustments) -> Deadlines:
    """Say how long each state of a channel may last."""
    return _fill(Deadlines, adjustments)


def _fill(record: Callable[..., Record], adjustments: Adjustments, **others: object) -> Record:
    """Fill a record whose fields have the names of settings; `others` are those that need a word more."""
    names = ({each.name for each in fields(cast("Any", record))} & _SETTINGS) - others.keys()
    return record(**{name: getattr(adjustments, name) for name in names}, **others)


def body_spools(adjustments: Adjustments) -> Callable[[int | None], BodySpool]:
    """Make what keeps request bodies, by their length if that is known; all of them share one budget of memory."""
    overflow, directory = adjustments.inbuf_overflow, adjustments.spool_directory or None
    budget = MemoryBudget(adjustments.inbuf_memory)
    return lambda length: BodySpool(overflow, directory, budget, length)


def channel_settings(
    adjustments: Adjustments, shared: Shared, listener: Listener, tls: SecureProtocol | None = None
) -> ChannelSettings:
    """Make what every channel of one listener gets."""
    directory = adjustments.spool_directory or None
    proxies = _proxies(adjustments)
    is_proxied = listener.proxy_protocol != "off"
    environ = EnvironSettings(
        server_name=adjustments.server_name,
        server_port=_port(listener),
        url_scheme=adjustments.url_scheme,
        is_secure=tls is not None,
        url_prefix=adjustments.url_prefix,
        software=adjustments.ident,
        is_multiprocess=here.number > 0,
        proxies=_proxies_of_clients(adjustments, proxies) if is_proxied else proxies,
    )
    tasks = TaskSettings(
        expose_tracebacks=adjustments.expose_tracebacks,
        log_disconnects=adjustments.log_socket_errors,
        signature=adjustments.ident or "waitressd",
    )
    observer = build_logger(shared.logs, environ)
    # The method rather than the object: called through a context it takes half the time (35 ns of each request).
    handler = WsgiHandler(shared.application, EnvironBuilder(environ), tasks, observer).__call__
    return ChannelSettings(
        handler=noting(_limited(handler, adjustments)),
        new_body=shared.new_body,
        http_date=http_date,
        listener=listener.name,
        scheme="https" if tls is not None else adjustments.url_scheme,
        ident=adjustments.ident,
        recv_bytes=adjustments.recv_bytes,
        limits=_fill(Limits, adjustments),
        deadlines=deadlines(adjustments),
        output=_fill(OutputLimits, adjustments, spool_directory=directory),
        observer=observer,
        proxy_protocol=ProxyProtocol(listener.proxy_protocol, proxies.trusts) if is_proxied else None,
        tls=tls,
    )


def _proxies(adjustments: Adjustments) -> TrustedProxies:
    peers = adjustments.trusted_peers
    return TrustedProxies(
        networks=peers.networks,
        unix=peers.unix,
        everyone=peers.everyone,
        hop_count=adjustments.trusted_proxy_count,
        headers=adjustments.believed_proxy_headers,
        clear_untrusted=adjustments.clear_untrusted_proxy_headers,
        log_untrusted=adjustments.log_untrusted_proxy_headers,
    )


def _proxies_of_clients(adjustments: Adjustments, balancers: TrustedProxies) -> TrustedProxies:
    """Say whom to believe once a PROXY header has told who connects: proxies by their addresses, in named fields.

    That everybody may be the balancer does not make everybody's clients trustworthy.
    """
    return replace(balancers, everyone=False, headers=adjustments.trusted_proxy_headers)


def build_logger(logs: RequestLogs | None, environ: EnvironSettings) -> RequestLogger | None:
    """Make the request logger of one listener; None without request logs."""
    if logs is None or not logs.takers:
        return None
    return RequestLogger(logs, environ.proxies.trusts, _identifier(environ))


class _Nobody:
    """Who asks for an environ that no application will ever see."""

    def is_gone(self) -> bool:
        """Be there."""
        return False

    def set_request_timeout(self, _seconds: float, /) -> None:
        """Need no time."""


def _identifier(settings: EnvironSettings) -> Identify:
    """Return what finds the client of a refused request, as the application's environ would have named it."""
    builder = EnvironBuilder(replace(settings, proxies=replace(settings.proxies, is_silent=True)))

    def identify(request: Request, origin: Origin) -> dict[str, Any] | None:
        try:
            # Without `known`: what is built here is of no use to later requests.
            return builder.build(replace(request, known=None), None, origin, _Nobody())
        except HttpError:
            return None

    return identify


def build_request_logs(adjustments: Adjustments, global_conf: Mapping[str, str]) -> RequestLogs | None:
    """Build the hooks that `request_log` names; they open nothing yet. Return None without any.

    Raises ConfigError with everything that is wrong with them, each with its line.
    """
    if not adjustments.request_log:
        return None
    hooks, troubles = load(adjustments.request_log, global_conf, BUILT_IN)
    if troubles:
        raise ConfigError(_problem(adjustments, trouble) for trouble in troubles)
    return RequestLogs(hooks)


def silent_loggers(adjustments: Adjustments) -> tuple[str, ...]:
    """Return the loggers that built-in request logs write to and that drop the lines. Logging must be set up."""
    names = dict.fromkeys(
        log.options.get("logger", DEFAULT_LOGGER)
        for log in adjustments.request_log
        if str(log.use).removeprefix("egg:waitressd#") in _LINE_FORMATS and "path" not in log.options
    )
    loggers = map(logging.getLogger, names)
    return tuple(each.name for each in loggers if not (each.isEnabledFor(logging.INFO) and each.hasHandlers()))


def _problem(adjustments: Adjustments, trouble: Trouble) -> Problem:
    log = trouble.choice
    assert isinstance(log, RequestLog)
    setting = adjustments.origin_of("request_log")
    origin = log.origins.get(trouble.option, log.origin)
    if origin == PYTHON:
        # The log has no section of its own, so the setting that names it is shown.
        subject = f"request_log = {shorten(log.name)}" + (f" ({trouble.option})" if trouble.option != "use" else "")
        return Problem(setting.place, subject, trouble.text)
    value = str(log.use) if trouble.option == "use" else log.options.get(trouble.option, "")
    text = trouble.text + assignment_hint(value)
    return Problem(origin.place, f"{trouble.option} = {shorten(value)}".strip(" ="), text)
