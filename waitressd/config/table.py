"""The table of settings: what the operator can decide, with its default, its bounds and its sentence in the manual."""

from dataclasses import dataclass
from socket import SOCK_STREAM, socket
from typing import Final

from waitressd.config import kinds
from waitressd.config.addresses import DEFAULT_PORT, ListenAddress, host_name, listen_addresses, server_host, unix_path
from waitressd.config.networks import hop_count, peers
from waitressd.config.requestlogs import RequestLog, request_logs
from waitressd.config.settings import NEW, BadValueError, Group, Kind, changed, inert, retired, same, setting

_KIB: Final = 1 << 10
_MIB: Final = 1 << 20
_GIB: Final = 1 << 30
_DAY: Final = 86400.0
_TYPO: Final = "A word that is no boolean is an error; in waitress it is false."
_INCLUSIVE: Final = "The limit is inclusive: exactly this many bytes are accepted."
_PROXY_HEADERS: Final = (
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-by",
    "x-forwarded-prefix",
)


def _open_sockets() -> Kind[tuple[socket, ...]]:
    def parse(value: object) -> tuple[socket, ...]:
        found = tuple(value) if isinstance(value, list | tuple) else ()
        if not found or not all(isinstance(item, socket) for item in found):
            raise BadValueError
        if any(item.type != SOCK_STREAM for item in found):
            raise BadValueError("every socket must be a stream socket")
        return found

    return Kind("a list of bound stream sockets, from Python only", parse, lambda _: "", "SOCKETS", python_only=True)


@dataclass(frozen=True, kw_only=True)
class SettingsTable:
    """Every setting: its default, its kind, its group, its sentence, and how it stands beside waitress."""

    # ---- addresses -------------------------------------------------------------------------------------------------
    host: str = setting(
        "0.0.0.0",  # what waitress binds, and what a container needs
        host_name(),
        Group.ADDRESSES,
        "Host name or IP address to listen on; * is every interface.\n"
        "Together with port it names the single listener of a server that has no listen. A name that stands for "
        "several addresses, such as localhost, gives a listener for each that this machine has.",
        same("A name that cannot be resolved is an error before the application is loaded."),
    )
    port: int = setting(
        DEFAULT_PORT,
        kinds.integer(0, 65535),
        Group.ADDRESSES,
        "Port to listen on; 0 lets the system choose one.",
        same("A port above 65535 is an error; waitress listens on the remainder of the division by 65536."),
    )
    listen: tuple[ListenAddress, ...] = setting(
        (),
        listen_addresses(),
        Group.ADDRESSES,
        "Addresses to listen on: host:port, *:port, [::1]:port, unix:/path, fd:N.\n"
        "Any number and any mixture, separated by white space, newlines or commas; takes the place of host, port and "
        "unix_socket. fd:3 is an inherited socket by number, fd:web by the name that systemd gave it.",
        same("Unix and inherited sockets are new here. A port is a number; service names are not looked up."),
    )
    ipv4: bool = setting(
        True, kinds.boolean(), Group.ADDRESSES, "Listen on the IPv4 addresses that host names resolve to.", same(_TYPO)
    )
    ipv6: bool = setting(
        True,
        kinds.boolean(),
        Group.ADDRESSES,
        "Listen on the IPv6 addresses that host names resolve to.",
        same("Both off is an error; in waitress both then stay on."),
    )
    unix_socket: str = setting(
        "",
        unix_path(),
        Group.ADDRESSES,
        "Path of a Unix socket to listen on instead of a port.\n"
        "The same as listen = unix:/path. A socket file that nobody listens on any more is replaced, a live one never; "
        "the file is removed when the server stops.",
        same("The file is removed at exit, and a socket that is in use is never stolen."),
    )
    unix_socket_perms: int = setting(
        0o600,
        kinds.octal_mode(),
        Group.ADDRESSES,
        "Mode of the Unix socket files, in octal: who may connect.",
        same("Python callers may also pass an integer such as 0o660."),
    )
    unix_socket_owner: str = setting(
        "", kinds.account(), Group.ADDRESSES, "Owner of the Unix socket files: user or user:group.", NEW
    )
    sockets: tuple[socket, ...] = setting(
        (),
        _open_sockets(),
        Group.ADDRESSES,
        "Bound stream sockets to accept from, given by a Python caller.",
        same("Anything in the list that is no stream socket is an error; waitress drops it."),
    )
    backlog: int = setting(
        1024,
        kinds.integer(1, 65535),
        Group.ADDRESSES,
        "Connections that the system holds until they are accepted.",
        same(""),
    )
    fast_listen: bool = setting(
        False,
        kinds.boolean(),
        Group.ADDRESSES,
        "Bind before the application is loaded, so that early clients wait instead of failing.\n"
        "The listeners are opened while the ini file is read (by pserve, loadserver and waitressd alike); this is the "
        "one setting that makes loading a server more than reading a file.",
        NEW,
    )

    # ---- task pool -------------------------------------------------------------------------------------------------
    threads: int = setting(
        4,
        kinds.integer(1, 1024),
        Group.TASKS,
        "Requests that the application handles at the same time: so many threads ever call it.\n"
        "With 1, everything of the application happens in one thread. One more thread serves and never calls it.",
        same("0 is an error; waitress accepts it and never answers."),
    )
    queue_limit: int = setting(
        1000,
        kinds.integer(0, 1_000_000),
        Group.TASKS,
        "Requests that may wait for a thread; one more is answered 503 with Retry-After.\n"
        "0 lets none wait: a request that finds every thread busy is refused at once.",
        NEW,
    )

    # ---- deadlines and rates ---------------------------------------------------------------------------------------
    channel_timeout: float = setting(
        120.0,
        kinds.duration(0.1, 30 * _DAY),
        Group.TIMES,
        "Seconds that a connection may rest between requests, or without a byte of a body.\n"
        "Keep it longer than the same time of a balancer in front, or a request may meet a closing connection.",
        same("A client that does not read its answer falls under send_timeout."),
    )
    request_header_timeout: float = setting(
        20.0,
        kinds.duration(0.1, _DAY),
        Group.TIMES,
        "Seconds for a whole request head, from its first byte; later is answered 408.",
        NEW,
    )
    request_body_min_rate: int = setting(
        240,
        kinds.integer(0, _GIB),
        Group.TIMES,
        "Bytes a second that a request body must come in at; slower is answered 408.\n"
        "Measured after min_rate_grace; 0 turns the check off.",
        NEW,
    )
    response_min_rate: int = setting(
        240,
        kinds.integer(0, _GIB),
        Group.TIMES,
        "Bytes a second that a client must take its answer at; a slower one is disconnected.\n"
        "Measured after min_rate_grace; 0 turns the check off.",
        NEW,
    )
    min_rate_grace: float = setting(
        10.0,
        kinds.duration(0, _DAY),
        Group.TIMES,
        "Seconds that a transfer may take before its rate is looked at.",
        NEW,
    )
    send_timeout: float = setting(
        30.0,
        kinds.duration(0.1, _DAY),
        Group.TIMES,
        "Seconds without progress after which a client that does not read is disconnected.",
        NEW,
    )
    queue_timeout: float = setting(
        30.0,
        kinds.duration(0.01, _DAY),
        Group.TIMES,
        "Seconds that a request may wait for a thread before it is answered 503.",
        NEW,
    )
    linger_timeout: float = setting(
        2.0,
        kinds.duration(0, 300),
        Group.TIMES,
        "Seconds to go on reading after a final answer, so that the answer is not lost to a reset.",
        NEW,
    )
    shutdown_timeout: float = setting(
        25.0,
        kinds.duration(0, _DAY),
        Group.TIMES,
        "Seconds that running requests may take to end once the server was told to stop.\n"
        "Keep it below the time after which the supervisor kills (Kubernetes 30, systemd 90, Docker 10 seconds). "
        "waitress cuts requests off after 5 seconds on SIGINT, and at once on SIGTERM.",
        NEW,
    )
    task_log_timeout: float = setting(
        10.0,
        kinds.duration(0, _DAY),
        Group.TIMES,
        "Seconds after which the stack of a request that still runs is logged; 0 turns it off.",
        NEW,
    )

    # ---- limits ----------------------------------------------------------------------------------------------------
    max_request_header_size: int = setting(
        64 * _KIB,
        kinds.size(256, 16 * _MIB),
        Group.LIMITS,
        f"Largest request head, request line included; larger is answered 431.\n{_INCLUSIVE}",
        changed("The default was 256K; the limit itself was refused."),
    )
    max_request_line_size: int = setting(
        8190,
        kinds.size(64, 16 * _MIB),
        Group.LIMITS,
        f"Longest request line; longer is answered 414.\n{_INCLUSIVE}",
        NEW,
    )
    max_request_fields: int = setting(
        128, kinds.integer(1, 65536), Group.LIMITS, "Most header fields in a request; more is answered 431.", NEW
    )
    max_request_body_size: int = setting(
        _GIB,
        kinds.size(0),
        Group.LIMITS,
        f"Largest request body; larger is answered 413.\n{_INCLUSIVE} A chunked body counts what it decodes to.",
        same("Inclusive, and the framing of chunks does not count; both are otherwise in waitress."),
    )
    connection_limit: int = setting(
        0,
        kinds.integer(0, 10_000_000),
        Group.LIMITS,
        "Connections held at the same time; 0 derives the number from the limit on descriptors.\n"
        "Beyond it the server stops accepting until one closes; the system's backlog holds the others.",
        changed("The default was 100, with which 100 idle clients shut everybody else out."),
    )
    per_client_connection_limit: int = setting(
        0,
        kinds.integer(0, 1_000_000),
        Group.LIMITS,
        "Connections held for one IP address at the same time; 0 is no limit.\n"
        "Leave it off behind a proxy: there, every connection comes from the same address.",
        NEW,
    )

    # ---- buffers ---------------------------------------------------------------------------------------------------
    recv_bytes: int = setting(
        # Measured with bodies of 1 MiB: 1.9 times as many as with 64K, and more than with 128K. From 128K on, the C
        # library asks the system for the memory of each read and gives it back.
        96 * _KIB,
        kinds.size(512, 16 * _MIB),
        Group.BUFFERS,
        "Bytes that one read from a socket asks for.",
        changed("The default was 8192; large bodies need fewer system calls now."),
    )
    inbuf_overflow: int = setting(
        _MIB,
        kinds.size(0),
        Group.BUFFERS,
        "Bytes of a request body kept in memory; the rest goes to a temporary file.",
        changed("The default was 512K; a file costs more than the memory it spares."),
    )
    outbuf_overflow: int = setting(
        _MIB,
        kinds.size(0),
        Group.BUFFERS,
        "Bytes of an unsent answer kept in memory for each connection; the rest goes to a temporary file.",
        same(""),
    )
    outbuf_high_watermark: int = setting(
        64 * _MIB,
        kinds.size(1),
        Group.BUFFERS,
        "Bytes of an unsent answer beyond which the application waits for the client.",
        changed(
            "The default was 16M. Disk is cheaper than a thread that waits for a slow client. The wait ends with "
            "send_timeout; in waitress it holds the thread until the client hangs up."
        ),
    )
    spool_directory: str = setting(
        "",
        kinds.path("the path of a folder"),
        Group.BUFFERS,
        "Folder for the temporary files of large bodies and answers; empty is the system's.",
        NEW,
    )

    # ---- behind a proxy --------------------------------------------------------------------------------------------
    trusted_proxy: tuple[str, ...] = setting(
        (),
        peers(),
        Group.PROXIES,
        "Peers whose proxy headers are believed: addresses, networks, localhost, unix:, or * for all.",
        same("A list and networks; a text that can never match is an error."),
    )
    trusted_proxy_count: int | None = setting(
        1,
        hop_count(100),
        Group.PROXIES,
        "Proxies in a row in front of the server, counted from the right of the header.\n"
        "auto follows the header from the right as long as each address in it is one of trusted_proxy, however many "
        "those are; whoever has such an address without being a proxy can then pose as anybody.",
        same("0 is an error; in waitress it believes whatever the client wrote first. auto is new."),
    )
    trusted_proxy_headers: frozenset[str] = setting(
        frozenset(),
        kinds.some_of(*_PROXY_HEADERS),
        Group.PROXIES,
        "Headers believed from a trusted proxy; the others are removed.\n"
        "Name those that your proxy sets on every request, and no others. forwarded excludes the x-forwarded ones.",
        same("Unset with a trusted_proxy means x-forwarded-proto, with a warning. x-forwarded-prefix is new."),
    )
    clear_untrusted_proxy_headers: bool = setting(
        True,
        kinds.boolean(),
        Group.PROXIES,
        "Remove proxy headers that nobody trusted has set, so that the application cannot believe them.\n"
        "They are Forwarded, X-Real-IP and every header that begins with X-Forwarded-.",
        same(f"{_TYPO} waitress removes six names, and keeps X-Forwarded-User and others."),
    )
    log_untrusted_proxy_headers: bool = setting(
        False, kinds.boolean(), Group.PROXIES, "Log which proxy headers were removed.", same("Rate-limited.")
    )
    proxy_protocol: str = setting(
        "off",
        kinds.one_of("off", "v1", "v2", "any"),
        Group.PROXIES,
        "Expect the PROXY protocol at the start of every connection from a trusted proxy.\n"
        "A connection that begins otherwise, or whose header is not complete within request_header_timeout, is closed, "
        "and so is every connection of anybody else. REMOTE_ADDR and REMOTE_PORT are those of the client. Fields like "
        "X-Forwarded-For are believed of a client only where trusted_proxy names its address (* is not enough), and "
        "only those that trusted_proxy_headers names. A CRC32c in a header is not looked at.",
        NEW,
    )
    proxy_protocol_listen: tuple[ListenAddress, ...] = setting(
        (),
        listen_addresses(),
        Group.PROXIES,
        "The addresses of listen that expect the PROXY protocol; empty means all of them.\n"
        "Leave out an address that others ask directly, such as the health check of an orchestrator.",
        NEW,
    )

    # ---- what the application sees ---------------------------------------------------------------------------------
    url_scheme: str = setting(
        "http",
        kinds.one_of("http", "https"),
        Group.APPLICATION,
        "Scheme of the URLs that the application builds: https behind a proxy that does TLS.",
        same("Any other text is an error."),
    )
    url_prefix: str = setting(
        "",
        kinds.url_path(),
        Group.APPLICATION,
        "Path that the application is mounted at (SCRIPT_NAME).\nThe prefix is taken off the path of each request.",
        same("/ means no prefix.", "script_name"),
    )
    server_name: str = setting(
        "waitress.invalid",
        server_host(),
        Group.APPLICATION,
        "Name of the server (SERVER_NAME) where no trusted proxy gives one.",
        same("Checked to be a host name."),
    )
    ident: str = setting(
        "waitressd",
        kinds.header_text(),
        Group.APPLICATION,
        "Value of the Server header; empty leaves the header out.",
        changed("The default was waitress. Line breaks and control characters are errors."),
    )
    expose_tracebacks: bool = setting(
        False,
        kinds.boolean(),
        Group.APPLICATION,
        "Show the traceback of a failed application in the 500 answer; for development alone.",
        same(_TYPO, "expose_traceback"),
    )

    # ---- operation and logging -------------------------------------------------------------------------------------
    request_log: tuple[RequestLog, ...] = setting(
        (),
        request_logs(),
        Group.OPERATION,
        "Request logs: common, combined, json, dev, or names of [request_log:NAME] sections.\n"
        "Each gets one record for every request. A name may also be egg:distribution#name or module:attribute.",
        NEW,
    )
    log_socket_errors: bool = setting(
        True,
        kinds.boolean(),
        Group.OPERATION,
        "Log connections that end with a socket error.",
        same("Off hides errors of client sockets only; in waitress it also hides OSErrors of the application."),
    )

    # ---- accepted without effect -----------------------------------------------------------------------------------
    channel_request_lookahead: int = setting(
        0,
        kinds.integer(0, 1000),
        Group.ACCEPTED,
        "How many requests waitress reads ahead while one is being answered.",
        inert("A client that leaves is noticed without it, and pipelined requests wait in one bounded buffer."),
    )
    asyncore_loop_timeout: float = setting(
        1.0,
        kinds.duration(0, _DAY),
        Group.ACCEPTED,
        "How long waitress's loop waits at most.",
        inert("The dispatcher sleeps until there is work."),
    )
    asyncore_use_poll: bool = setting(
        False,
        kinds.boolean(),
        Group.ACCEPTED,
        "Whether waitress's loop uses poll() instead of select().",
        inert("epoll or kqueue is used where there is one; 1,024 descriptors are no limit."),
    )
    send_bytes: int = setting(
        1,
        kinds.size(0),
        Group.ACCEPTED,
        "How many bytes waitress gathers before it sends.",
        inert("An answer is sent as soon as there is one; waitress deprecated the option itself."),
    )
    cleanup_interval: float = setting(
        30.0,
        kinds.duration(0, _DAY),
        Group.ACCEPTED,
        "How often waitress looks for idle connections.",
        inert("Every connection has a deadline of its own."),
    )
    early_refusals: bool = setting(
        True,
        kinds.boolean(),
        Group.ACCEPTED,
        "Without effect; it had the application called before the body of a request with Expect: 100-continue.",
        retired("The application is called when the body is complete, as for every other request."),
    )
