"""The table of settings: what the operator can decide, with its default, its bounds and its sentence in the manual."""

from dataclasses import dataclass
from socket import SOCK_STREAM, socket
from typing import Final

from waitressd import kinds
from waitressd.config.addresses import DEFAULT_PORT, ListenAddress, host_name, listen_addresses, server_host, unix_path
from waitressd.config.networks import hop_count, peers
from waitressd.config.requestlogs import RequestLog, request_logs
from waitressd.config.settings import Group, changed, inert, retired, same
from waitressd.kinds import BadValueError, Kind

_KIB: Final = 1 << 10
_MIB: Final = 1 << 20
_GIB: Final = 1 << 30
_DAY: Final = 86400.0
_TYPO: Final = "A word that is no boolean is an error; in waitress it is false."
_INCLUSIVE: Final = "The limit is inclusive: exactly this many bytes are accepted."
_PROXY_HEADERS: Final = (
    "forwarded",
    *(f"x-forwarded-{name}" for name in ("for", "host", "proto", "port", "by", "prefix")),
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


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)  # see EffectiveSettings
class SettingsTable:
    """Every setting: its default, its kind, its group, its sentence, and how it compares with waitress."""

    host: str = Group.ADDRESSES.setting(
        "0.0.0.0",  # what waitress binds, and what a container needs
        host_name(),
        "Host name or IP address to listen on; * is every interface.\n"
        "Together with port it names the single listener of a server that has no listen. A name with "
        "several addresses, such as localhost, gives a listener for each that this machine has.",
        same("A name that cannot be resolved is an error before the application is loaded."),
    )
    port: int = Group.ADDRESSES.setting(
        DEFAULT_PORT,
        kinds.integer(0, 65535),
        "Port to listen on; 0 lets the system choose one.",
        same("A port above 65535 is an error; waitress listens on the remainder of the division by 65536."),
    )
    listen: tuple[ListenAddress, ...] = Group.ADDRESSES.setting(
        (),
        listen_addresses(),
        "Addresses to listen on: host:port, *:port, [::1]:port, unix:/path, fd:N.\n"
        "Any number and any mixture, separated by white space, newlines or commas; takes the place of host, port and "
        "unix_socket. fd:3 is an inherited socket by number, fd:web by the name that systemd gave it.",
        same("Unix and inherited sockets are new here. A port is a number; service names are not looked up."),
    )
    ipv4: bool = Group.ADDRESSES.setting(
        True, kinds.boolean(), "Listen on the IPv4 addresses that host names resolve to.", same(_TYPO)
    )
    ipv6: bool = Group.ADDRESSES.setting(
        True,
        kinds.boolean(),
        "Listen on the IPv6 addresses that host names resolve to.",
        same("Both off is an error; in waitress both then stay on."),
    )
    unix_socket: str = Group.ADDRESSES.setting(
        "",
        unix_path(),
        "Path of a Unix socket to listen on instead of a port.\n"
        "The same as listen = unix:/path. A socket file without a listener is replaced, a live one never; "
        "the file is removed when the server stops.",
        same("The file is removed at exit, and a socket that is in use is never stolen."),
    )
    unix_socket_perms: int = Group.ADDRESSES.setting(
        0o600,
        kinds.octal_mode(),
        "Mode of the Unix socket files, in octal: who may connect.\n"
        "Without a Unix socket it has no effect, and neither has unix_socket_owner.",
        same("Python callers may also pass an integer such as 0o660."),
    )
    unix_socket_owner: str = Group.ADDRESSES.setting(
        "", kinds.account(), "Owner of the Unix socket files: user or user:group."
    )
    sockets: tuple[socket, ...] = Group.ADDRESSES.setting(
        (),
        _open_sockets(),
        "Bound stream sockets to accept from, given by a Python caller.",
        same("Anything in the list that is no stream socket is an error; waitress drops it."),
    )
    backlog: int = Group.ADDRESSES.setting(
        1024, kinds.integer(1, 65535), "Connections that the system holds until they are accepted.", same("")
    )
    fast_listen: bool = Group.ADDRESSES.setting(
        False,
        kinds.boolean(),
        "Bind before the application is loaded, so that early clients wait instead of failing.\n"
        "The listeners are opened while the ini file is read (by pserve, loadserver and waitressd alike); this is the "
        "one setting that makes loading a server more than reading a file. In an ini file the fast-listen of "
        "plone.recipe.zope2instance is understood, too: fast-listen = HOST:PORT is listen and fast_listen. "
        "Inherited listeners need none of it.",
    )

    tls_certificate: tuple[str, ...] = Group.TLS.setting(
        (),
        kinds.paths("paths of PEM files"),
        "Files in PEM, each with a certificate and the chain behind it (fullchain.pem); empty is no TLS.\n"
        "With several, the name that a client asks for (SNI) chooses by the names in them; the first is for everybody "
        "else.",
    )
    tls_key: tuple[str, ...] = Group.TLS.setting(
        (),
        kinds.paths("paths of PEM files"),
        "Files with the private keys of tls_certificate, in the same order.\n"
        "Empty: each key is in the file of its certificate.",
    )
    tls_key_passphrase_file: str = Group.TLS.setting(
        "",
        kinds.path("the path of a file"),
        "File whose first line opens encrypted keys.\nNobody is ever asked for it at the terminal.",
    )
    tls_listen: tuple[ListenAddress, ...] = Group.TLS.setting(
        (),
        listen_addresses(),
        "The addresses of listen that speak TLS; empty means all of them but Unix sockets.",
    )
    tls_min_version: str = Group.TLS.setting(
        "1.2", kinds.one_of("1.2", "1.3"), "Oldest version of TLS that is accepted."
    )
    tls_ciphers: str = Group.TLS.setting(
        "",
        kinds.header_text(),
        "Cipher suites of TLS 1.2, as OpenSSL lists them; empty is ECDHE with AES-GCM or ChaCha20.\n"
        "Those of TLS 1.3 are always on.",
    )
    tls_client_ca: str = Group.TLS.setting(
        "",
        kinds.path("the path of a PEM file"),
        "File with the CAs whose client certificates are accepted; empty asks clients for none.\n"
        "It holds for every listener that speaks TLS, whatever name a client asks for.",
    )
    tls_client_verify: str = Group.TLS.setting(
        "required",
        kinds.one_of("optional", "required"),
        "Whether a client without a certificate is refused, or served without one.\n"
        "A certificate that no CA of tls_client_ca has signed is refused in both cases.",
    )
    tls_handshake_timeout: float = Group.TLS.setting(
        10.0,
        kinds.duration(0.1, _DAY),
        "Seconds from the beginning of a connection (behind a PROXY header) to the end of the handshake.",
    )
    tls_handshake_limit: int = Group.TLS.setting(
        1000,
        kinds.integer(1, 1_000_000),
        "Handshakes under way at the same time; one more ends the oldest.\n"
        "An honest client needs milliseconds for one, so it always gets in. They are never more than half of "
        "connection_limit.",
    )
    tls_reload_interval: float = Group.TLS.setting(
        60.0,
        kinds.duration(0, _DAY),
        "Seconds between two looks for renewed certificates; 0 turns the looks off.\n"
        "SIGHUP has the server look at once. A new certificate that cannot work is refused, and the old one stays.",
    )
    redirect_listen: tuple[ListenAddress, ...] = Group.TLS.setting(
        (),
        listen_addresses(),
        "Addresses that answer plain HTTP with a redirect (308) to https, as in *:80.\n"
        "The application is never asked there.",
    )
    acme_challenge_folder: str = Group.TLS.setting(
        "",
        kinds.path("the path of a folder"),
        "Folder of the files that a CA asks for to see whose name it is (ACME, http-01).\n"
        "At redirect_listen they are served below /.well-known/acme-challenge/. It is the folder that the ACME client "
        "is given as its webroot, or the folder that has the files themselves.",
    )

    threads: int = Group.TASKS.setting(
        4,
        kinds.integer(1, 1024),
        "Requests that the application handles at the same time: so many threads ever call it.\n"
        "With 1, everything of the application happens in one thread. One more thread serves and never calls it.",
        same("0 is an error; waitress accepts it and never answers."),
    )
    queue_limit: int = Group.TASKS.setting(
        1000,
        kinds.integer(0, 1_000_000),
        "Requests that may wait for a thread; one more is answered 503 with Retry-After.\n"
        "0 lets none wait: a request that finds every thread busy is refused at once.",
    )

    workers: int | None = Group.WORKERS.setting(
        1,
        kinds.or_auto(kinds.integer(1, 256)),
        "Processes that run the application; auto is one for each processor that this process may use.\n"
        "With 1 everything happens in one process. With more there is a master process, which owns the addresses, "
        "replaces workers that end, and reloads without losing a request; each worker has threads of its own. "
        "auto looks at the processors that this process is bound to and at the CPU quota of its control group, and the "
        "log says what it found. Python callers may say None for auto. More than one worker needs fork, which Windows "
        "does not have, and waitressd.serve instead of create_server. Under a reloader it is 1. "
        "What is different with several workers is on the page on worker processes.",
    )
    supervise: bool | None = Group.WORKERS.setting(
        None,
        kinds.or_auto(kinds.boolean()),
        "Have a master process look after the workers, also after a single one; auto is: after more than one.\n"
        "With workers = 1 it costs one small process more, and gives what a master is for: a worker that crashes is "
        "replaced, and SIGHUP reloads without losing a request.",
    )
    preload: bool | None = Group.WORKERS.setting(
        None,
        kinds.or_auto(kinds.boolean()),
        "Load the application once and fork the workers from there, which saves memory; off has each load it.\n"
        "auto is on, unless the application has left something open when it was loaded that a forked process must not "
        "share: a thread, a connection, a file being written. Then it is off, and a line in the log names what was "
        "found.",
    )
    worker_boot_timeout: float = Group.WORKERS.setting(
        60.0,
        kinds.duration(0.1, _DAY),
        "Seconds in which the application must be loaded, and a worker ready; after that the attempt has failed.\n"
        "A reload that fails so leaves the workers that run as they are.",
    )

    channel_timeout: float = Group.TIMES.setting(
        120.0,
        kinds.duration(0.1, 30 * _DAY),
        "Seconds that a connection may rest between requests, or without a byte of a body.\n"
        "Keep it longer than the same time of a balancer in front, or a request may meet a closing connection.",
        same("A client that does not read its answer falls under send_timeout."),
    )
    request_header_timeout: float = Group.TIMES.setting(
        20.0, kinds.duration(0.1, _DAY), "Seconds for a whole request head, from its first byte; later is answered 408."
    )
    request_body_min_rate: int = Group.TIMES.setting(
        240,
        kinds.integer(0, _GIB),
        "Bytes a second that a request body must come in at; slower is answered 408.\n"
        "Measured after min_rate_grace; 0 turns the check off.",
    )
    response_min_rate: int = Group.TIMES.setting(
        240,
        kinds.integer(0, _GIB),
        "Bytes a second that a client must take its answer at; a slower one is disconnected.\n"
        "Measured after min_rate_grace; 0 turns the check off.",
    )
    min_rate_grace: float = Group.TIMES.setting(
        10.0, kinds.duration(0, _DAY), "Seconds that a transfer may take before its rate is looked at."
    )
    send_timeout: float = Group.TIMES.setting(
        30.0,
        kinds.duration(0.1, _DAY),
        "Seconds without progress after which a client that does not read is disconnected.",
    )
    queue_timeout: float = Group.TIMES.setting(
        30.0, kinds.duration(0.01, _DAY), "Seconds that a request may wait for a thread before it is answered 503."
    )
    linger_timeout: float = Group.TIMES.setting(
        2.0,
        kinds.duration(0, 300),
        "Seconds to go on reading after a final answer, so that the answer is not lost to a reset.",
    )
    shutdown_timeout: float = Group.TIMES.setting(
        25.0,
        kinds.duration(0, _DAY),
        "Seconds that running requests may take to end once the server was told to stop.\n"
        "The command and pserve end the process by then, too (2 seconds after the requests at the earliest): threads, "
        "child processes and exit hooks that the application has left are named in the log, and not waited for any "
        "longer. "
        "Keep it below the time after which the supervisor kills (Kubernetes 30, systemd 90, Docker 10 seconds). "
        "waitress cuts requests off after 5 seconds on SIGINT, and at once on SIGTERM.",
    )
    task_log_timeout: float = Group.TIMES.setting(
        10.0,
        kinds.duration(0, _DAY),
        "Seconds after which the stack of a request that still runs is logged; 0 turns it off.",
    )

    max_request_header_size: int = Group.LIMITS.setting(
        64 * _KIB,
        kinds.size(256, 16 * _MIB),
        f"Largest request head, request line included; larger is answered 431.\n{_INCLUSIVE}",
        changed("The default was 256K; the limit itself was refused."),
    )
    max_request_line_size: int = Group.LIMITS.setting(
        8190, kinds.size(64, 16 * _MIB), f"Longest request line; longer is answered 414.\n{_INCLUSIVE}"
    )
    max_request_fields: int = Group.LIMITS.setting(
        128, kinds.integer(1, 65536), "Most header fields in a request; more is answered 431."
    )
    max_request_body_size: int = Group.LIMITS.setting(
        _GIB,
        kinds.size(0),
        f"Largest request body; larger is answered 413.\n{_INCLUSIVE} A chunked body counts what it decodes to.",
        same("Inclusive, and the framing of chunks does not count; both are otherwise in waitress."),
    )
    connection_limit: int = Group.LIMITS.setting(
        0,
        kinds.integer(0, 10_000_000),
        "Connections held at the same time; 0 derives the number from the limit on descriptors.\n"
        "Beyond it the server stops accepting until one closes; the system's backlog holds the others.",
        changed("The default was 100, with which 100 idle clients shut everybody else out."),
    )
    per_client_connection_limit: int = Group.LIMITS.setting(
        0,
        kinds.integer(0, 1_000_000),
        "Connections held for one IP address at the same time; 0 is no limit.\n"
        "Leave it off behind a proxy: there, every connection comes from the same address.",
    )

    recv_bytes: int = Group.BUFFERS.setting(
        # Where the memory of a read is the C library's as it is by itself: from 128K on it asks the system for it.
        96 * _KIB,
        kinds.size(512, 16 * _MIB),
        "Bytes that one read from a socket asks for; of a body whose length is known, all that is missing, up to 1M.",
        changed("The default was 8192; large bodies need fewer system calls now."),
    )
    inbuf_overflow: int = Group.BUFFERS.setting(
        8 * _MIB,
        kinds.size(0),
        "Largest request body that is kept in memory, if inbuf_memory has room for it; a larger one goes to a file.",
        changed("The default was 512K; a file costs more than memory, and inbuf_memory bounds that of all bodies."),
    )
    outbuf_overflow: int = Group.BUFFERS.setting(
        _MIB,
        kinds.size(0),
        "Bytes of an unsent answer kept in memory for each connection; the rest goes to a temporary file.\n"
        "With more than outbuf_high_watermark nothing ever goes to a file.",
        same(""),
    )
    outbuf_high_watermark: int = Group.BUFFERS.setting(
        64 * _MIB,
        kinds.size(1),
        "Bytes of an unsent answer beyond which the application waits for the client.",
        changed(
            "The default was 16M. Disk is cheaper than a thread that waits for a slow client. The wait ends with "
            "send_timeout; in waitress it holds the thread until the client hangs up."
        ),
    )
    inbuf_memory: int = Group.BUFFERS.setting(
        64 * _MIB,
        kinds.size(0),
        "Memory that the request bodies of a process may take together; beyond it they go to temporary files.\n"
        "64K of each body are in memory in any case, and do not count before the body has more.",
    )
    spool_directory: str = Group.BUFFERS.setting(
        "",
        kinds.path("the path of a folder"),
        "Folder for the temporary files of large bodies and answers; empty is the system's.",
    )

    trusted_proxy: tuple[str, ...] = Group.PROXIES.setting(
        (),
        peers(),
        "Peers whose proxy headers are believed: addresses, networks, localhost, unix:, or * for all.",
        same("A list and networks; a text that can never match is an error."),
    )
    trusted_proxy_count: int | None = Group.PROXIES.setting(
        1,
        hop_count(100),
        "Proxies in a row in front of the server, counted from the right of the header.\n"
        "auto follows the header from the right as long as each address in it is one of trusted_proxy, however many "
        "those are; a client with such an address that is no proxy can then pose as anybody.",
        same("0 is an error; in waitress it believes whatever the client wrote first. auto is new."),
    )
    trusted_proxy_headers: frozenset[str] = Group.PROXIES.setting(
        frozenset(),
        kinds.some_of(*_PROXY_HEADERS),
        "Headers believed from a trusted proxy; the others are removed.\n"
        "Name those that your proxy sets on every request, and no others. forwarded excludes the x-forwarded ones.",
        same("Unset with a trusted_proxy means x-forwarded-proto, with a warning. x-forwarded-prefix is new."),
    )
    clear_untrusted_proxy_headers: bool = Group.PROXIES.setting(
        True,
        kinds.boolean(),
        "Remove proxy headers that no trusted peer has set, so that the application cannot believe them.\n"
        "They are Forwarded, X-Real-IP and every header that begins with X-Forwarded-.",
        same(f"{_TYPO} waitress removes six names, and keeps X-Forwarded-User and others."),
    )
    log_untrusted_proxy_headers: bool = Group.PROXIES.setting(
        False, kinds.boolean(), "Log which proxy headers were removed.", same("Rate-limited.")
    )
    proxy_protocol: str = Group.PROXIES.setting(
        "off",
        kinds.one_of("off", "v1", "v2", "any"),
        "Expect the PROXY protocol at the start of every connection from a trusted proxy.\n"
        "A connection that begins otherwise, or whose header is not complete within request_header_timeout, is closed, "
        "and so is every connection of anybody else. REMOTE_ADDR and REMOTE_PORT are those of the client. Fields like "
        "X-Forwarded-For are believed of a client only if trusted_proxy names its address (* is not enough), and "
        "only those that trusted_proxy_headers names. A CRC32c in a header is not looked at.",
    )
    proxy_protocol_listen: tuple[ListenAddress, ...] = Group.PROXIES.setting(
        (),
        listen_addresses(),
        "The addresses of listen that expect the PROXY protocol; empty means all of them.\n"
        "Leave out an address that others ask directly, such as the health check of an orchestrator.",
    )

    url_scheme: str = Group.APPLICATION.setting(
        "http",
        kinds.one_of("http", "https"),
        "Scheme of the URLs that the application builds: https behind a proxy that does TLS.",
        same("Any other text is an error."),
    )
    url_prefix: str = Group.APPLICATION.setting(
        "",
        kinds.url_path(),
        "Path that the application is mounted at (SCRIPT_NAME).\nThe prefix is taken off the path of each request.",
        same("/ means no prefix.", "script_name"),
    )
    server_name: str = Group.APPLICATION.setting(
        "waitress.invalid",
        server_host(),
        "Name of the server (SERVER_NAME) if no trusted proxy gives one.",
        same("Checked to be a host name."),
    )
    ident: str = Group.APPLICATION.setting(
        "waitressd",
        kinds.header_text(),
        "Value of the Server header; empty leaves the header out.",
        changed("The default was waitress. Line breaks and control characters are errors."),
    )
    expose_tracebacks: bool = Group.APPLICATION.setting(
        False,
        kinds.boolean(),
        "Show the traceback of a failed application in the 500 answer; for development alone.",
        same(_TYPO, "expose_traceback"),
    )

    request_log: tuple[RequestLog, ...] = Group.OPERATION.setting(
        (),
        request_logs(),
        "Request logs: common, combined, json, dev, or names of [request_log:NAME] sections.\n"
        "Each gets one record for every request. A name may also be egg:distribution#name or module:attribute.",
    )
    log_socket_errors: bool = Group.OPERATION.setting(
        True,
        kinds.boolean(),
        "Log connections that end with a socket error.",
        same("Off hides errors of client sockets only; in waitress it also hides OSErrors of the application."),
    )

    channel_request_lookahead: int = Group.ACCEPTED.setting(
        0,
        kinds.integer(0, 1000),
        "How many requests waitress reads ahead while one is being answered.",
        inert("A client that leaves is noticed without it, and pipelined requests wait in one bounded buffer."),
    )
    asyncore_loop_timeout: float = Group.ACCEPTED.setting(
        1.0,
        kinds.duration(0, _DAY),
        "How long waitress's loop waits at most.",
        inert("The dispatcher sleeps until there is work."),
    )
    asyncore_use_poll: bool = Group.ACCEPTED.setting(
        False,
        kinds.boolean(),
        "Whether waitress's loop uses poll() instead of select().",
        inert("epoll or kqueue is used where there is one; 1,024 descriptors are no limit."),
    )
    send_bytes: int = Group.ACCEPTED.setting(
        1,
        kinds.size(0),
        "How many bytes waitress gathers before it sends.",
        inert("An answer is sent as soon as there is one; waitress deprecated the option itself."),
    )
    cleanup_interval: float = Group.ACCEPTED.setting(
        30.0,
        kinds.duration(0, _DAY),
        "How often waitress looks for idle connections.",
        inert("Every connection has a deadline of its own."),
    )
    early_refusals: bool = Group.ACCEPTED.setting(
        True,
        kinds.boolean(),
        "Without effect; it had the application called before the body of a request with Expect: 100-continue.",
        retired("The application is called when the body is complete, as for every other request."),
    )
