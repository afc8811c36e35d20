"""What each setting of gunicorn 27 is here. The manual's page on gunicorn is rendered from the same rows."""

from dataclasses import replace
from typing import Final

from waitressd.config.settings import Group
from waitressd.convert.model import (
    Converter,
    Item,
    Row,
    Sketch,
    Text,
    Verdict,
    becomes,
    elsewhere,
    missing,
    needless,
    row_for,
)
from waitressd.convert.steps import (
    SERVICE_MANAGER,
    cipher_suites,
    flag,
    idle_seconds,
    listen_text,
    module_folders,
    name_application,
    request_log,
    trust,
    variables,
    working_folder,
)

DEFAULT_PORT: Final = "8000"
_LOGGING: Final = "logging is set up in the [loggers] sections of the ini file"
_LOGGING_OPTION: Final = f"{_LOGGING}; --quiet and --verbose of the command set a level"
_FOLDED_LIMIT: Final = 65536
_HTTP2: Final = "HTTP/1.1 and 1.0 are spoken; HTTP/2 ends at a proxy in front"
_ASGI: Final = "WSGI alone is served; an ASGI application needs an ASGI server"
_DIRTY: Final = "there are no processes beside the workers; a task queue does long work"
_STRICT: Final = "such requests are refused always: two servers could read them differently"
_IN_MASTER: Final = "no code of yours runs in the master process"
_PER_REQUEST: Final = "write it as a WSGI middleware around the application"
_PROTO: Final = "x-forwarded-proto"
_SYNC: Final = ("sync", "gunicorn.workers.sync.SyncWorker")
_THREADED: Final = (*_SYNC, "gthread", "gunicorn.workers.gthread.ThreadWorker")
_CERT_REQS: Final = {"0": "", "1": "optional", "2": "required", "CERT_NONE": "", "CERT_OPTIONAL": "optional"} | {
    "CERT_REQUIRED": "required"
}


def _bind(sketch: Sketch, item: Item) -> None:
    texts = [text for value in item.values for text in Text.of(value).split(",")]
    sketch.add("listen", [listen_text(text, DEFAULT_PORT) for text in texts if text.example.strip()], item)


def _worker_class(sketch: Sketch, item: Item) -> None:
    name = item.text.example
    if name in _THREADED:
        sketch.leave(item, "there is one kind of worker: a pool of threads", Verdict.NEEDLESS)
    elif "uvicorn" in name.lower() or "asgi" in name.lower():
        sketch.leave(item, _ASGI)
    else:
        why = "a request keeps a thread here while the application works on it: set threads to how many that may be"
        sketch.leave(item, f"{why}, and take monkey patching out")


def _limit_of_a_field(sketch: Sketch, item: Item) -> None:
    text = item.text.example
    if text.isdigit() and int(text) > _FOLDED_LIMIT:
        sketch.put("max_request_header_size", [item.text], item, "The limit is that of the whole head.")
    elif text.strip() == "0":
        sketch.leave(item, "0 is no limit there; here the head always has one, max_request_header_size (64K)")
    else:
        why = "max_request_header_size, 64K for the whole head, takes a field of this size"
        sketch.leave(item, why, Verdict.NEEDLESS)


def _forwarded(sketch: Sketch, item: Item) -> None:
    peers = [text for value in item.values for text in Text.of(value).split(",")]
    remark = "gunicorn takes the scheme alone. Add x-forwarded-for and x-forwarded-host if your proxy sets them."
    trust(sketch, item, peers, _PROTO, remark)


def _proxy_protocol(sketch: Sketch, item: Item) -> None:
    word = item.text.example.lower()
    word = {"true": "any", "auto": "any", "false": "off"}.get(word, word)
    sketch.put("proxy_protocol", [word], item)


def _proxy_peers(sketch: Sketch, item: Item) -> None:
    trust(sketch, item, [text for value in item.values for text in Text.of(value).split(",")], "")


def _cert_reqs(sketch: Sketch, item: Item) -> None:
    word = _CERT_REQS.get(item.text.example.rpartition(".")[2])
    if word:
        sketch.put("tls_client_verify", [word], item)
    elif word is None:
        sketch.leave(item, "expected CERT_NONE, CERT_OPTIONAL or CERT_REQUIRED")


def _application(sketch: Sketch, item: Item) -> None:
    name_application(sketch, item, item.text)


def _row(names: str, here: str, note: str, convert: Converter, flags: str = "") -> Row:
    return Row(tuple(names.split()), tuple(here.split()), note, convert, flags=tuple(flags.split()))


def _with_flags(row: Row, flags: str) -> Row:
    return replace(row, flags=tuple(flags.split()))


ROWS: Final[tuple[Row, ...]] = (
    _row("bind", "listen", "Addresses are written the same way; fd://3 is fd:3", _bind, "-b --bind"),
    _row("backlog", "backlog", "", becomes("backlog")),
    missing("reuse_port", "the workers share one listening socket", is_flag=True),
    _row(
        "workers", "workers", "cpu_count() * 2 + 1 and its like become auto: one for each processor, each with threads",
        becomes("workers"), "-w --workers",
    ),
    _row("threads", "threads", "", becomes("threads")),
    _row(
        "worker_class", "threads", "There is one kind of worker, a pool of threads; slow clients keep none of them",
        _worker_class, "-k --worker-class",
    ),
    missing("worker_connections", "a worker takes as many connections as it has descriptors for", "connection_limit"),
    _row(
        "max_requests", "worker_max_requests", "The new worker serves before the old one ends",
        becomes("worker_max_requests"),
    ),
    needless("max_requests_jitter", "the limit differs from worker to worker by itself", "worker_max_requests"),
    _row(
        "timeout", "request_timeout", "Of sync workers: the client is answered 504, and the "
                                      "worker goes on; gunicorn kills it",
        becomes("request_timeout"), "-t --timeout",
    ),
    _row("graceful_timeout", "shutdown_timeout", "", becomes("shutdown_timeout")),
    _row(
        "keepalive", "channel_timeout", "A connection at rest keeps no thread, so the default is 120 seconds",
        idle_seconds, "--keep-alive",
    ),
    _row("limit_request_line", "max_request_line_size", "", becomes("max_request_line_size")),
    _row("limit_request_fields", "max_request_fields", "", becomes("max_request_fields")),
    _row(
        "limit_request_field_size", "max_request_header_size", "The limit is that of the whole head",
        _limit_of_a_field, "--limit-request-field_size --limit-request-field-size",
    ),
    replace(
        _row("preload_app", "preload", "auto finds out whether it is safe", flag("preload"), "--preload"), is_flag=True
    ),
    _row("wsgi_app", "[app:main]", "application; call = true for a factory", _application),
    _row("chdir", "[app:main]", "Put into pythonpath; the folder itself is for the service manager", working_folder),
    _row("pythonpath", "[app:main]", "Put into pythonpath", module_folders(",")),
    _row("raw_env", "[app:main]", "Put into environment; SCRIPT_NAME becomes url_prefix", variables, "-e --env"),
    _with_flags(
        elsewhere("paste", "the application is in this file: put the [server:main] section there"), "--paste --paster"
    ),
    _with_flags(
        elsewhere("raw_paste_global_conf", "give variables to the command: waitressd FILE.ini NAME=VALUE"),
        "--paste-global",
    ),
    _row(
        "forwarded_allow_ips", "trusted_proxy trusted_proxy_headers",
        "gunicorn takes the scheme alone from a proxy; here also the client, the host and more, where they are named",
        _forwarded,
    ),
    missing(
        "secure_scheme_headers", "X-Forwarded-Proto or Forwarded say the scheme: have the proxy set one of them",
        "trusted_proxy_headers", "url_scheme",
    ),
    missing("forwarder_headers", "url_prefix, or X-Forwarded-Prefix of a trusted proxy, is SCRIPT_NAME", "url_prefix"),
    needless("header_map", "a field whose name has an underscore never reaches the application"),
    _row(
        "proxy_protocol", "proxy_protocol", "v1 and v2; auto is any", _proxy_protocol,
    ),
    _row("proxy_allow_ips", "trusted_proxy", "One list for both", _proxy_peers, "--proxy-allow-from"),
    missing("protocol", "HTTP alone is spoken; in nginx, proxy_pass takes the place of uwsgi_pass"),
    _with_flags(missing("uwsgi_allow_ips", "HTTP alone is spoken"), "--uwsgi-allow-from"),
    missing("root_path", "url_prefix takes the prefix off the path of each request", "url_prefix"),
    _row("certfile", "tls_certificate", "The chain behind the certificate in one file", becomes("tls_certificate")),
    _row("keyfile", "tls_key", "", becomes("tls_key")),
    _row("ca_certs", "tls_client_ca", "", becomes("tls_client_ca")),
    _row("cert_reqs", "tls_client_verify", "CERT_NONE is a tls_client_ca left out", _cert_reqs),
    _row("ciphers", "tls_ciphers", "Those of TLS 1.3 are always on", cipher_suites),
    missing("ssl_version", "TLS 1.2 and 1.3 are spoken", "tls_min_version"),
    needless("do_handshake_on_connect", "a handshake holds no thread", is_flag=True),
    needless("suppress_ragged_eofs", "a client that hangs up without a farewell is no error", is_flag=True),
    _row(
        "accesslog", "request_log", "A section [request_log:access]", request_log("combined"), "--access-logfile",
    ),
    _with_flags(
        missing(
            "access_log_format", "the format is combined, which is gunicorn's default; use = "
                                 "template takes another one",
            "request_log",
        ),
        "--access-logformat",
    ),
    _with_flags(elsewhere("errorlog", _LOGGING), "--error-logfile --log-file"),
    _with_flags(elsewhere("loglevel", _LOGGING_OPTION), "--log-level"),
    _with_flags(elsewhere("logconfig", _LOGGING), "--log-config"),
    _with_flags(elsewhere("logconfig_json", _LOGGING), "--log-config-json"),
    elsewhere("logconfig_dict logger_class", _LOGGING),
    elsewhere("capture_output", "the standard error of the process is left as it is", is_flag=True),
    _with_flags(elsewhere("syslog", "a handler in the [loggers] sections, or journald", is_flag=True), "--log-syslog"),
    _with_flags(elsewhere("syslog_addr", "a handler in the [loggers] sections"), "--log-syslog-to"),
    _with_flags(elsewhere("syslog_prefix", "a handler in the [loggers] sections"), "--log-syslog-prefix"),
    _with_flags(elsewhere("syslog_facility", "a handler in the [loggers] sections"), "--log-syslog-facility"),
    elsewhere("disable_redirect_access_to_syslog", "a handler in the [loggers] sections", is_flag=True),
    _with_flags(
        needless("enable_stdio_inheritance", "nothing takes standard output and error away", is_flag=True),
        "-R --enable-stdio-inheritance",
    ),
    missing("statsd_host statsd_prefix dogstatsd_tags", "admin_listen has metrics for Prometheus", "admin_listen"),
    needless("enable_backlog_metric", "the metrics at admin_listen have the queue", "admin_listen", is_flag=True),
    _with_flags(elsewhere("proc_name default_proc_name", SERVICE_MANAGER), "-n --name"),
    _with_flags(elsewhere("daemon", SERVICE_MANAGER, is_flag=True), "-D --daemon"),
    _with_flags(elsewhere("pidfile", SERVICE_MANAGER), "-p --pid"),
    _with_flags(elsewhere("user", SERVICE_MANAGER), "-u --user"),
    _with_flags(elsewhere("group", SERVICE_MANAGER), "-g --group"),
    _with_flags(elsewhere("umask", f"{SERVICE_MANAGER}; unix_socket_perms for the socket", "unix_socket_perms"),
                "-m --umask"),
    elsewhere("initgroups", SERVICE_MANAGER, is_flag=True),
    needless("worker_tmp_dir", "the master needs no files to see that a worker lives"),
    _row("tmp_upload_dir", "spool_directory", "", becomes("spool_directory")),
    _with_flags(needless("sendfile", "files go out by sendfile wherever that works", is_flag=True), "--no-sendfile"),
    _with_flags(elsewhere("config", "convert that file too: waitressd convert FILE"), "-c --config"),
    elsewhere("reload", "the option --reload of the command", is_flag=True),
    elsewhere("reload_engine", "the option --reload of the command"),
    _with_flags(elsewhere("reload_extra_files", "the option --reload of the command"), "--reload-extra-file"),
    missing("spew", "the command waitressd profile shows what the threads do", is_flag=True),
    elsewhere("check_config print_config", "options of the command, of the same names", is_flag=True),
    missing("control_socket control_socket_mode", "admin_listen answers and takes orders", "admin_listen"),
    _with_flags(
        needless("control_socket_disable", "nothing is opened unless admin_listen names it", is_flag=True),
        "--no-control-socket",
    ),
    missing("permit_obsolete_folding strip_header_spaces", _STRICT, is_flag=True),
    missing("permit_unconventional_http_method", "a method of any letters is served, in the "
                                                 "case it came", is_flag=True),
    missing("permit_unconventional_http_version", _STRICT, is_flag=True),
    missing("casefold_http_method", "a method is served in the case it came", is_flag=True),
    missing("http_parser", "there is one parser"),
    missing("http_protocols http2_*", _HTTP2),
    missing("asgi_* websocket_max_message_size", _ASGI),
    missing("dirty_* on_dirty_starting", _DIRTY),
    _with_flags(missing("dirty_apps", _DIRTY), "--dirty-app"),
    missing("on_starting on_reload when_ready pre_fork pre_exec on_exit nworkers_changed child_exit", _IN_MASTER),
    missing(
        "post_fork post_worker_init",
        "with preload = off each worker runs the code of the module; waitressd.worker_number() tells them apart",
        "preload",
    ),
    missing(
        "worker_int worker_abort worker_exit",
        "functions of atexit, and signal handlers of the application, are called at the end",
    ),
    missing("pre_request post_request", _PER_REQUEST),
    missing("ssl_context", "the context is made of the settings for TLS", Group.TLS.value),
)  # fmt: skip


def finish(sketch: Sketch, items: list[Item]) -> None:
    """Write out gunicorn's defaults where ours differ and it matters."""
    given = {item.name: item for item in items}
    if "config" in given:
        sketch.remarks.append("Defaults of gunicorn are not written out: the file that it reads may say otherwise.")
    else:
        _write_defaults(sketch, given)
    _finish_timeout(sketch, given)
    _finish_tls(sketch, given)


def _write_defaults(sketch: Sketch, given: dict[str, Item]) -> None:
    nothing = Item("", "", "")
    if "listen" not in sketch.lines and "bind" not in given:
        sketch.put("listen", [f"127.0.0.1:{DEFAULT_PORT}"], nothing, "gunicorn's default.")
    worker_class = given.get("worker_class")
    if "threads" not in given and (worker_class is None or str(worker_class.text.example) in _THREADED):
        remark = (
            "gunicorn's default: one request at a time in each worker. More is faster, if "
            "the application is thread-safe."
        )
        sketch.put("threads", [1], nothing, remark)
    workers = sketch.lines.get("workers")
    if workers is None or workers.example == "1" or not workers.values[0].is_plain:
        remark = "gunicorn always has a master, which replaces a worker that crashes and reloads at SIGHUP."
        sketch.put("supervise", [True], nothing, remark)
    if "forwarded_allow_ips" not in given:
        remark = "gunicorn's default: a proxy on this machine may say that a request came by https."
        trust(sketch, nothing, [Text.of("localhost")], _PROTO, remark)


def _finish_timeout(sketch: Sketch, given: dict[str, Item]) -> None:
    """Keep the timeout only where it is one of requests: in a worker that does one at a time."""
    threads, worker_class = given.get("threads"), given.get("worker_class")
    is_one = threads is None or (threads.text.is_plain and threads.text.example == "1")
    is_sync = worker_class is None or worker_class.text.example in _SYNC
    if not (is_one and is_sync) and sketch.lines.pop("request_timeout", None) is not None:
        why = (
            "with threads, gunicorn's timeout is for a worker that hangs, not for a request; "
            "request_timeout is for those"
        )
        sketch.leave(given["timeout"], why, Verdict.NEEDLESS)


def _finish_tls(sketch: Sketch, given: dict[str, Item]) -> None:
    verify = given.get("cert_reqs")
    line = sketch.lines.get("tls_client_ca")
    if line is not None and "tls_client_verify" not in sketch.lines and (verify is None or not verify.is_on):
        del sketch.lines["tls_client_ca"]
        sketch.leave(given["ca_certs"], "with CERT_NONE, gunicorn's default, no client is asked for a certificate")
    if "tls_certificate" in sketch.lines and "tls_key" not in sketch.lines and "keyfile" not in given:
        sketch.remarks.append("The key is in the file of the certificate.")


def row_of(name: str) -> Row | None:
    """Find the row of a setting."""
    return row_for(ROWS, name)
