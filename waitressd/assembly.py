"""From Adjustments to the small records that the inner layers take."""

from dataclasses import replace

from waitressd.config.adjustments import Adjustments
from waitressd.dispatch.dispatcher import Bounds
from waitressd.http.limits import Limits
from waitressd.net.channelsettings import ChannelSettings
from waitressd.net.listener import Listener
from waitressd.net.outbuf import OutputLimits
from waitressd.net.preface import ProxyProtocol
from waitressd.net.progress import Deadlines
from waitressd.observing import build_handler, build_logger
from waitressd.requestlog.requestlogger import RequestLogs
from waitressd.rlimits import connection_bound
from waitressd.wsgi.clock import http_date
from waitressd.wsgi.environ import EnvironSettings
from waitressd.wsgi.input import BodySpool
from waitressd.wsgi.proxies import TrustedProxies
from waitressd.wsgi.task import Application, TaskSettings


def bounds(adjustments: Adjustments) -> Bounds:
    """Say how much the dispatcher takes on."""
    each = deadlines(adjustments)
    finest = min(
        each.idle_seconds,
        each.head_seconds,
        each.body_seconds,
        each.queue_seconds,
        each.stall_seconds,
        max(0.04, each.linger_seconds),
    )
    return Bounds(
        connections=connection_bound(adjustments.connection_limit),
        per_client=adjustments.per_client_connection_limit,
        queue=adjustments.queue_limit,
        queue_seconds=adjustments.queue_timeout,
        idle_seconds=adjustments.channel_timeout,
        finest_deadline_seconds=finest,
    )


def deadlines(adjustments: Adjustments) -> Deadlines:
    """Say how long each state of a channel may last."""
    return Deadlines(
        idle_seconds=adjustments.channel_timeout,
        head_seconds=adjustments.request_header_timeout,
        body_seconds=adjustments.channel_timeout,
        body_min_rate=adjustments.request_body_min_rate,
        queue_seconds=adjustments.queue_timeout,
        stall_seconds=adjustments.send_timeout,
        response_min_rate=adjustments.response_min_rate,
        grace_seconds=adjustments.min_rate_grace,
        linger_seconds=adjustments.linger_timeout,
    )


def channel_settings(
    adjustments: Adjustments, application: Application, listener: Listener, logs: RequestLogs | None
) -> ChannelSettings:
    """Make what every channel of one listener gets."""
    directory = adjustments.spool_directory or None
    address = listener.socket.getsockname()
    proxies = _proxies(adjustments)
    is_proxied = listener.proxy_protocol != "off"
    environ = EnvironSettings(
        server_name=adjustments.server_name,
        server_port=address[1] if isinstance(address, tuple) else None,
        url_scheme=adjustments.url_scheme,
        url_prefix=adjustments.url_prefix,
        software=adjustments.ident,
        proxies=_proxies_of_clients(adjustments, proxies) if is_proxied else proxies,
    )
    tasks = TaskSettings(
        expose_tracebacks=adjustments.expose_tracebacks,
        log_disconnects=adjustments.log_socket_errors,
        signature=adjustments.ident or "waitressd",
    )
    observer = build_logger(logs, environ)
    return ChannelSettings(
        handler=build_handler(application, environ, tasks, observer),
        new_body=lambda: BodySpool(adjustments.inbuf_overflow, directory),
        http_date=http_date,
        listener=listener.name,
        ident=adjustments.ident,
        recv_bytes=adjustments.recv_bytes,
        limits=Limits(
            head_bytes=adjustments.max_request_header_size,
            start_line_bytes=adjustments.max_request_line_size,
            field_count=adjustments.max_request_fields,
            body_bytes=adjustments.max_request_body_size,
        ),
        deadlines=deadlines(adjustments),
        output=OutputLimits(adjustments.outbuf_overflow, adjustments.outbuf_high_watermark, directory),
        observer=observer,
        proxy_protocol=ProxyProtocol(listener.proxy_protocol, proxies.trusts) if is_proxied else None,
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
