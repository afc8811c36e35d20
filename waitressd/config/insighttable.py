"""The part of the table of settings about insight: who may ask the server how it is, and what it may be told."""

from dataclasses import dataclass
from typing import Final

from waitressd import kinds
from waitressd.config.addresses import ListenAddress, host_names, listen_addresses
from waitressd.config.settings import Group

ALL: Final = "all"
EXPOSABLE: Final = (
    *("probes", "metrics", "requests", "connections", "threads"),
    *("slow", "stats", "config", "profile", "page"),
)
"""The groups of endpoints."""
CONTROLS: Final = ("drain", "cancel", "log")
PUBLIC: Final = frozenset({"probes", "metrics"})
"""What a network address answers without being told to: it names no client and no request."""

_DAY: Final = 86400.0


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)  # see EffectiveSettings
class InsightTable:
    """Every setting of insight, as in `SettingsTable`."""

    admin_listen: tuple[ListenAddress, ...] = Group.INSIGHT.setting(
        (),
        listen_addresses(),
        "Addresses that say how the server is: unix:/path, 127.0.0.1:9100, [::1]:9100, fd:NAME; empty is none.\n"
        "A thread of its own answers there, so it does while every thread of the application hangs. A Unix socket is "
        "the safest: nobody but the account of the server and root can open it.",
    )
    admin_socket_mode: int = Group.INSIGHT.setting(
        0o600,
        kinds.octal_mode(),
        "Mode of the Unix socket files of admin_listen, in octal: who may ask.\n"
        "Whatever it is, only the account of the server and root may change anything there.",
    )
    admin_token_file: str = Group.INSIGHT.setting(
        "",
        kinds.path("the path of a file"),
        "File with the lines read TOKEN and control TOKEN, for those who ask admin_listen.\n"
        "With it, every request needs one of the tokens, except on a Unix socket by the account of the server or root. "
        "Tokens have 20 characters or more. Other accounts must not be able to read the file. SIGHUP reads it again.",
    )
    admin_hosts: tuple[str, ...] = Group.INSIGHT.setting(
        (),
        host_names(),
        "Names under which admin_listen is asked, besides IP addresses and localhost.\n"
        "A request with another name in its Host field is refused: a page of the web can have its own name lead to "
        "this machine, and would read what a browser sees here. On a Unix socket, where no name leads, any will do.",
    )
    admin_expose: frozenset[str] = Group.INSIGHT.setting(
        frozenset(),
        kinds.some_of(ALL, *EXPOSABLE),
        "What admin_listen answers; empty is all on Unix sockets and loopback, probes and metrics elsewhere.\n"
        "More than probes and metrics on an address that other machines reach needs admin_token_file.",
    )
    admin_control: frozenset[str] = Group.INSIGHT.setting(
        frozenset(),
        kinds.some_of(*CONTROLS),
        "What may be changed by POST at admin_listen: drain, cancel, log; empty is nothing.\n"
        "drain stops the server as SIGTERM does, cancel ends one request for its client, log changes the level of a "
        "logger for some minutes. On a port that needs a control token in admin_token_file.",
    )
    admin_show_query: bool = Group.INSIGHT.setting(
        False,
        kinds.boolean(),
        "Show the targets of requests with what follows the question mark, which may be secret.",
    )
    metrics: str = Group.INSIGHT.setting(
        "auto",
        kinds.one_of("auto", "on", "off"),
        "Whether requests are counted: auto does where admin_listen, or the request log metrics, can show it.\n"
        "It does so, too, where worker_max_requests is set. It costs about half a microsecond of a request.",
    )
    metrics_series: int = Group.INSIGHT.setting(
        300,
        kinds.integer(10, 10_000),
        "How many combinations of route, method and status are counted apart; beyond, the route is other.\n"
        "A route is what the application says in waitressd.route of its environ; paths are never counted.",
    )
    live_timeout: float = Group.INSIGHT.setting(
        10.0,
        kinds.duration(0.1, _DAY),
        "Seconds in which the event loop must turn; after that /live is answered 503.\n"
        "That the application hangs is no reason: a restart would only begin the same again.",
    )
    ready_queue_wait: float = Group.INSIGHT.setting(
        0.0,
        kinds.duration(0, _DAY),
        "Seconds that the first request in the queue may have waited before /ready is answered 503; 0 turns it off.",
    )
    drain_delay: float = Group.INSIGHT.setting(
        0.0,
        kinds.duration(0, 3600),
        "Seconds between the order to stop and the end of accepting; /ready is answered 503 meanwhile.\n"
        "In that time balancers learn that this server leaves, and lose no request. 5 is a good value for Kubernetes. "
        "shutdown_timeout begins after it; a second signal ends it at once.",
    )
    slow_threshold: float = Group.INSIGHT.setting(
        1.0,
        kinds.duration(0.01, _DAY),
        "Seconds from which on a request is slow, in all: from its first byte until its answer is with the kernel.\n"
        "/slow has it when it has ended, with the phases in which the time went by and with the stack of its thread "
        "as it was soon after the request became slow.",
    )
    slow_requests: int = Group.INSIGHT.setting(
        50,
        kinds.integer(0, 1000),
        "Requests that /slow keeps of each kind, slow ones and failed ones: the last.",
    )
