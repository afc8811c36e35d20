"""What will work and is still unwise: advice with stable codes, each with cause, consequence and remedy."""

import logging
from collections.abc import Iterable, Iterator
from typing import Final

from waitressd.config import fleetadvice, insightadvice, timelimitadvice, tlsadvice
from waitressd.config.addresses import TcpAddress, UnixAddress
from waitressd.config.adjustments import SETTINGS, Adjustments
from waitressd.config.advicerules import RULES, Advice, Facts, Finding, Rule
from waitressd.config.inidocument import GLOBAL_SECTION
from waitressd.kinds import show_seconds, show_size

logger = logging.getLogger("waitressd.config")

BALANCER_KEEP_ALIVE_SECONDS: Final = 60.0
SHORTEST_KILL_SECONDS: Final = 30.0
MANY_THREADS: Final = 100
# Beside this, a held connection needs a kilobyte or so; what it may buffer is what counts.
_ASSUMED_DESCRIPTORS: Final = 1024
FREE_BODY_BYTES: Final = 64 * 1024  # of each request body, which does not count for inbuf_memory


def _public(adjustments: Adjustments) -> list[str]:
    """List the listeners that other machines may reach."""
    return [str(item) for item in adjustments.listeners if isinstance(item, TcpAddress) and not item.is_loopback]


def _rough(size_bytes: int) -> str:
    unit = next(unit for unit in (1 << 30, 1 << 20, 1 << 10, 1) if size_bytes >= 10 * unit or unit == 1)
    return show_size(size_bytes // unit * unit)


@Rule(
    "W101",
    "Everybody is a trusted proxy",
    "trusted_proxy is *, and a listener can be reached from other machines",
    "anyone who connects can claim any address, host and scheme",
    "name the addresses or networks of the proxies, or listen where only they reach it",
    at_start=True,
)
def _trusts_everyone(facts: Facts) -> Iterator[Finding]:
    public = _public(facts.adjustments)
    if "*" in facts.adjustments.trusted_proxy and public:
        yield "trusted_proxy", f"trusted_proxy is * and {public[0]} can be reached from other machines"


@Rule(
    "W102",
    "Tracebacks are shown to strangers",
    "expose_tracebacks is on, and a listener can be reached from other machines",
    "code, paths and values of a failed request are shown to anyone who causes the failure",
    "set expose_tracebacks = false; tracebacks are in the log",
    at_start=True,
)
def _exposes_tracebacks(facts: Facts) -> Iterator[Finding]:
    public = _public(facts.adjustments)
    if facts.adjustments.expose_tracebacks and public:
        yield "expose_tracebacks", f"expose_tracebacks is on and {public[0]} can be reached from other machines"


@Rule(
    "W103",
    "Which proxy headers to believe is left open",
    "trusted_proxy is set and trusted_proxy_headers is not",
    "only x-forwarded-proto is believed, as in waitress; the client's address is still the proxy's",
    "write trusted_proxy_headers = x-forwarded-for x-forwarded-proto x-forwarded-host, as your proxy sets them",
    at_start=True,
)
def _implicit_headers(facts: Facts) -> Iterator[Finding]:
    adjustments = facts.adjustments
    # If every connection begins with a PROXY header, that header is what the proxy is trusted for.
    always_told = adjustments.proxy_protocol != "off" and not adjustments.proxy_protocol_listen
    if adjustments.trusted_proxy and not adjustments.trusted_proxy_headers and not always_told:
        yield "trusted_proxy", "trusted_proxy is set and trusted_proxy_headers is not"


@Rule(
    "W104",
    "Idle connections close before the balancer's do",
    "channel_timeout is 60 seconds or less, which is what nginx and most balancers keep connections for",
    "a request sent at that moment meets a closed connection, and the client sees a 502 now and then",
    "make channel_timeout longer than the keep-alive time of what is in front (75 or more)",
)
def _short_keep_alive(facts: Facts) -> Iterator[Finding]:
    seconds = facts.adjustments.channel_timeout
    if seconds <= BALANCER_KEEP_ALIVE_SECONDS:
        yield (
            "channel_timeout",
            f"channel_timeout is {show_seconds(seconds)} s, and many balancers keep connections 60 s",
        )


@Rule(
    "W105",
    "Buffers may need more memory than there is",
    "the connections that may be held, times what each may buffer in memory, is more than the machine has",
    "slow clients in large numbers can take all memory, and the system kills the process",
    "set connection_limit, or lower outbuf_overflow and inbuf_memory (the rest goes to disk)",
)
def _promised_memory(facts: Facts) -> Iterator[Finding]:
    adjustments, machine = facts.adjustments, facts.machine
    if not machine.memory_bytes:
        return
    connections = adjustments.connection_limit or min(machine.descriptors or _ASSUMED_DESCRIPTORS, _ASSUMED_DESCRIPTORS)
    each = adjustments.outbuf_overflow + adjustments.max_request_header_size
    free = min(adjustments.inbuf_overflow, FREE_BODY_BYTES)
    bodies = min(connections * adjustments.inbuf_overflow, connections * free + adjustments.inbuf_memory)
    together = connections * each + bodies
    if together > machine.memory_bytes:
        yield (
            "inbuf_memory" if bodies - connections * free > connections * each else "outbuf_overflow",
            f"{connections} connections may buffer {_rough(each)} each and {_rough(bodies)} of request bodies, "
            f"{_rough(together)} together, and there are {_rough(machine.memory_bytes)}",
        )


@Rule(
    "W106",
    "The supervisor may kill before the drain ends",
    "drain_delay and shutdown_timeout are 30 seconds or more together; Kubernetes kills 30 seconds after SIGTERM",
    "requests that still run are cut when the supervisor loses patience (Docker after 10, systemd after 90 s)",
    "keep both together some seconds below the kill time, or raise that",
)
def _killed_while_draining(facts: Facts) -> Iterator[Finding]:
    delay, timeout = facts.adjustments.drain_delay, facts.adjustments.shutdown_timeout
    if delay + timeout >= SHORTEST_KILL_SECONDS:
        what = f"drain_delay and shutdown_timeout are {show_seconds(delay + timeout)} s together"
        what = what if delay else f"shutdown_timeout is {show_seconds(timeout)} s"
        yield "shutdown_timeout", f"{what}, and Kubernetes kills after 30 s"


@Rule(
    "W107",
    "No address is configured",
    "neither listen nor host nor unix_socket is set",
    "the server is reachable on every interface, as with waitress",
    "write listen = 127.0.0.1:8080 behind a proxy on this machine, or listen = *:8080 to say that you mean it",
)
def _default_address(facts: Facts) -> Iterator[Finding]:
    adjustments = facts.adjustments
    if not adjustments.origins.keys() & {"host", "listen", "unix_socket", "sockets"}:
        yield "host", f"no address is configured, so the server listens on {adjustments.listeners[0]}"


@Rule(
    "W108",
    "Every local account may connect to the Unix socket",
    "unix_socket_perms lets everybody write",
    "each of them can send requests around the proxy, and with trusted_proxy = unix: pose as any client",
    "set unix_socket_perms = 660 and unix_socket_owner = USER:GROUP of the proxy",
)
def _open_unix_socket(facts: Facts) -> Iterator[Finding]:
    has_unix = any(isinstance(item, UnixAddress) for item in facts.adjustments.listeners)
    if has_unix and facts.adjustments.unix_socket_perms & 0o002:
        yield "unix_socket_perms", f"unix_socket_perms is {facts.adjustments.unix_socket_perms:03o}"


@Rule(
    "W110",
    "Forged proxy headers reach the application",
    "clear_untrusted_proxy_headers is off",
    "an application that believes X-Forwarded-For believes what any client writes there",
    "leave it on, and set trusted_proxy for the proxies that are real",
)
def _keeps_forged_headers(facts: Facts) -> Iterator[Finding]:
    if not facts.adjustments.clear_untrusted_proxy_headers:
        yield "clear_untrusted_proxy_headers", "clear_untrusted_proxy_headers is off"


@Rule(
    "W112",
    "More threads than one interpreter can use",
    "threads is more than 100",
    "they wait for the interpreter lock and for memory, and every answer takes longer",
    "measure with fewer threads; set workers for more processors",
)
def _many_threads(facts: Facts) -> Iterator[Finding]:
    if facts.adjustments.threads > MANY_THREADS:
        yield "threads", f"threads is {facts.adjustments.threads}"


@Rule(
    "W113",
    "A setting that has no effect",
    "asyncore_loop_timeout, asyncore_use_poll, channel_request_lookahead, cleanup_interval, early_refusals or "
    "send_bytes is set",
    "nothing changes",
    "remove it",
    at_start=True,
)
def _without_effect(facts: Facts) -> Iterator[Finding]:
    for name in facts.adjustments.origins:
        if SETTINGS[name].is_inert:
            yield name, f"{name} has no effect. {SETTINGS[name].heritage.note}"


@Rule(
    "W114",
    "A limit per client counts the proxy",
    "per_client_connection_limit and trusted_proxy are set, without proxy_protocol",
    "all connections of the proxy count as one client, and beyond the limit everybody is refused",
    "turn it off, or let the proxy say who connects with proxy_protocol",
    at_start=True,
)
def _limit_behind_proxy(facts: Facts) -> Iterator[Finding]:
    adjustments = facts.adjustments
    if adjustments.per_client_connection_limit and adjustments.trusted_proxy and adjustments.proxy_protocol == "off":
        yield "per_client_connection_limit", "per_client_connection_limit is set behind a trusted_proxy"


@Rule(
    "W116",
    f"A setting is hidden by [{GLOBAL_SECTION}] or by a variable",
    "a key of the section is also a key of [DEFAULT] or the name of a variable on the command line",
    "the section's value is dropped without a word, and the default is used",
    "give the global value another name, or write get NAME = NAME in the section to use it",
    at_start=True,
)
def _hidden(facts: Facts) -> Iterator[Finding]:
    for hidden in facts.hidden:
        yield (
            hidden.name,
            f"{hidden.name} = {hidden.value} has no effect: PasteDeploy drops it because {hidden.hidden_by} "
            "has the same name",
        )


@Rule(
    "W117",
    "The lines of a request log go nowhere",
    "a request log writes to a logger that has no handler, or whose level is above INFO",
    "no line is ever seen",
    "give the logger level = INFO and a handler in the [loggers] sections, or the request log a path = FILE",
)
def _silent_logs(facts: Facts) -> Iterator[Finding]:
    for name in facts.silent_loggers:
        yield "request_log", f"a request log writes to the logger {name}, which shows no INFO"


Rule(
    "W118",
    "Every worker rotates the log file",
    "there are worker processes, and a handler of logging rotates its file by itself, or opens it with mode w",
    "each process moves or empties the file for itself, and lines of the others are lost",
    "use logging.handlers.WatchedFileHandler and logrotate, or the path of a request log",
    at_start=True,
)(lambda facts: fleetadvice.unshared_log_files(facts.adjustments, facts.machine.cores, facts.unshared_handlers))

Rule(
    "W119",
    "A limit counts for each worker",
    "connection_limit or per_client_connection_limit is set, and there are several workers",
    "the workers together hold a multiple of it",
    "set the number that a single worker may hold",
)(lambda facts: fleetadvice.limits_per_worker(facts.adjustments, facts.machine.cores))

Rule(
    "W120",
    "A certificate has expired",
    "the last day of a certificate in tls_certificate is over",
    "every client refuses it",
    "renew it: the server takes the new file by itself",
    at_start=True,
    level=logging.ERROR,
    of_files=True,
)(lambda facts: tlsadvice.expired(facts.certificates, facts.now))

Rule(
    "W121",
    "A certificate expires soon",
    f"a certificate in tls_certificate expires within {tlsadvice.EXPIRES_SOON_DAYS} days",
    "from that day on every client refuses it",
    "look why it was not renewed (certbot renews 30 days before)",
    at_start=True,
    of_files=True,
)(lambda facts: tlsadvice.expiring(facts.certificates, facts.now))

Rule(
    "W122",
    "A certificate is not valid yet",
    "the first day of a certificate in tls_certificate has not come",
    "every client refuses it until then",
    "look whether the clock of this machine is right",
    at_start=True,
    of_files=True,
)(lambda facts: tlsadvice.too_early(facts.certificates, facts.now))

Rule(
    "W123",
    "The issuer of a certificate is missing",
    "a file of tls_certificate has a certificate without that of its issuer, and this system does not know the issuer",
    "many clients do not find the issuer, and refuse it",
    "use the file that has the chain, too (fullchain.pem)",
    at_start=True,
    of_files=True,
)(lambda facts: tlsadvice.without_issuer(facts.certificates))

Rule(
    "W124",
    "A chain is not in order",
    "in a file of tls_certificate, a certificate is not followed by that of its issuer",
    "some clients refuse such a chain",
    "put the server's own certificate first, behind each the one that has signed it, and leave out all others",
    at_start=True,
    of_files=True,
)(lambda facts: tlsadvice.out_of_order(facts.certificates))

Rule(
    "W125",
    "The root is in the chain",
    "a file of tls_certificate has a certificate that has signed itself behind the server's own",
    "it is sent to every client and is of use to none: a client believes the roots that it has",
    "leave it out",
    at_start=True,
    of_files=True,
)(lambda facts: tlsadvice.needless_root(facts.certificates))

Rule(
    "W126",
    "Every account can read a private key",
    "the mode of a file with a key lets others read it",
    "who has the key can pose as this server",
    "chmod 640, with the group of the server's account",
    at_start=True,
    of_files=True,
)(lambda facts: tlsadvice.readable_key(facts.certificates))

Rule(
    "W127",
    "Strangers get a certificate that is self-signed",
    "a certificate in tls_certificate has signed itself, and a listener with TLS can be reached from other machines",
    "clients refuse it unless somebody has told them to believe it",
    "get one from a CA, as by certbot or lego",
    at_start=True,
    of_files=True,
)(lambda facts: tlsadvice.self_signed(facts.certificates, facts.adjustments))

Rule(
    "W128",
    "No certificate is for the server's name",
    "server_name is set, and no certificate in tls_certificate covers it",
    "clients that follow a URL with that name refuse the certificate",
    "get a certificate for it, or correct server_name",
    at_start=True,
    of_files=True,
)(lambda facts: tlsadvice.uncovered_name(facts.certificates, facts.adjustments))

Rule(
    "W129",
    "A certificate is for no name",
    "a certificate in tls_certificate has no subjectAltName",
    "clients do not look at the common name any more, and refuse it",
    "get one that has its names there",
    at_start=True,
    of_files=True,
)(lambda facts: tlsadvice.nameless(facts.certificates))

Rule(
    "W130",
    "More threads than the machine can use",
    f"threads times workers is more than {fleetadvice.MANY_THREADS}",
    "they compete for processors, for memory, and for the connections of the database",
    "measure with fewer threads in each worker",
)(lambda facts: fleetadvice.many_threads(facts.adjustments, facts.machine.cores))

Rule(
    "W131",
    "Two certificates are for one name",
    "two files of tls_certificate have a name in common",
    "for that name the first of them is always used",
    "leave one of them out",
    of_files=True,
)(lambda facts: tlsadvice.doubled_names(facts.certificates))

Rule(
    "W132",
    "A key makes handshakes slow",
    f"a certificate has an RSA key of {tlsadvice.SLOW_RSA_BITS} bits or more",
    "each handshake takes many times the time of one with P-256, and strangers can start as many as they like",
    "get a certificate for a key of P-256 (certbot --key-type ecdsa), or for RSA with 2048 bits",
    of_files=True,
)(lambda facts: tlsadvice.slow_key(facts.certificates))

Rule(
    "W133",
    "url_scheme does not hold for TLS",
    "url_scheme = http is set beside tls_certificate",
    "only requests to listeners without TLS have that scheme",
    "leave it out",
)(lambda facts: tlsadvice.plain_scheme(facts.adjustments))

Rule(
    "W134",
    "Every local account may ask how the server is",
    "admin_socket_mode lets everybody write, or admin_listen is a loopback port and there is no admin_token_file",
    "each of them sees the addresses of clients and what they ask for",
    "use a Unix socket with admin_socket_mode = 600 or 660, or set admin_token_file",
)(lambda facts: insightadvice.open_to_accounts(facts.adjustments))

Rule(
    "W135",
    "A stop does not wait as long as a request may take",
    "request_timeout, or a limit of request_timeout_routes, is longer than shutdown_timeout",
    "a stop cuts such a request off before its time is over",
    "raise shutdown_timeout, and the time after which the supervisor kills, or shorten the limit",
)(lambda facts: timelimitadvice.beyond_the_drain(facts.adjustments))

Rule(
    "W136",
    "A setting of worker processes has no effect",
    "a setting that begins with worker_ is set, with workers = 1 and without supervise",
    "nobody follows it",
    "set workers, or supervise = true for a single worker, or remove it",
    at_start=True,
)(lambda facts: fleetadvice.without_workers(facts.adjustments, facts.machine.cores))

Rule(
    "W137",
    "A worker is set aside while its requests are in time",
    "worker_stuck_timeout is less than request_timeout, or than a limit of request_timeout_routes",
    "a worker whose threads all have such requests is replaced while requests wait for them",
    "raise worker_stuck_timeout above the longest limit, or shorten that",
)(lambda facts: fleetadvice.stuck_in_time(facts.adjustments, facts.machine.cores))

Rule(
    "W138",
    "The workers may have more memory than there is",
    "workers times worker_max_memory is more than the memory of the machine or of the control group",
    "the kernel may end a process before any worker is replaced",
    "lower worker_max_memory, or run fewer workers",
)(lambda facts: fleetadvice.too_much_memory(facts.adjustments, facts.machine.cores, facts.machine.memory_bytes))

Rule(
    "W139",
    "The request log metrics is a setting now",
    "request_log names metrics",
    "it goes on working: the server counts requests, and shows them at its listen; but there is more to be seen",
    "name that address in admin_listen and leave the request log out",
)(lambda facts: insightadvice.former_metrics(facts.adjustments))


@Rule(
    "W140",
    "Large bodies go to a file all the same",
    "inbuf_overflow is set, and is more than inbuf_memory",
    "a body that is larger than all the memory for bodies goes to a temporary file",
    "raise inbuf_memory, which is for all bodies of a process together, or lower inbuf_overflow",
)
def _larger_than_memory(facts: Facts) -> Iterator[Finding]:
    overflow, memory = facts.adjustments.inbuf_overflow, facts.adjustments.inbuf_memory
    if "inbuf_overflow" in facts.adjustments.origins and overflow > memory:
        yield "inbuf_overflow", f"inbuf_overflow is {show_size(overflow)}, and inbuf_memory is {show_size(memory)}"


def all_rules() -> tuple[Rule, ...]:
    """Return every rule, in the order of the manual."""
    return tuple(RULES)


def advise(facts: Facts, *, only_at_start: bool = False, only_of_files: bool = False) -> Iterator[Advice]:
    """Find everything that is worth saying about a configuration that works."""
    places = {hidden.name: hidden.place for hidden in facts.hidden}
    for rule, find in RULES.items():
        if (only_at_start and not rule.at_start) or (only_of_files and not rule.of_files):
            continue
        for name, found in find(facts):
            place = facts.adjustments.origin_of(name).place or places.get(name, "")
            text = f"{found.removesuffix('.')}; {rule.consequence}; {rule.remedy}"
            yield Advice(rule.code, place, text, rule.level)


def log_advice(advices: Iterable[Advice]) -> None:
    """Log each advice once, by ``waitressd.config``: as a warning, or as the error that it is."""
    for advice in dict.fromkeys(advices):
        logger.log(advice.level, "%s", advice)
