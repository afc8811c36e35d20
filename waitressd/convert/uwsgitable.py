"""What each option of uWSGI 2.0 is here. The manual's page on uWSGI is rendered from the same rows."""

from typing import Final

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
    name_file,
    request_log,
    variables,
    working_folder,
)

_PORT: Final = "8080"
_HTTP_NOW: Final = "HTTP is spoken here now: in nginx, proxy_pass http://... takes the place of uwsgi_pass."
_LOGGING: Final = "logging is set up in the [loggers] sections of the ini file"
_ROUTING: Final = "write it as a WSGI middleware, or leave it to the proxy in front"
_STATIC: Final = "files are the business of the application (WhiteNoise) or of the proxy in front"
_ONE: Final = "one file is one application; a service manager runs several"
_SCHEDULE: Final = "a task queue, cron or a timer of systemd does it"
_FAMILIES: Final = "the uwsgi module that an application imports does not exist here"
_ADAPTIVE: Final = "the number of workers is fixed, and their threads take the peaks"
_RELOAD: Final = "SIGHUP reloads without losing a request; have the deployment send it"
_RESOURCES: Final = "the service manager limits memory and replaces what grows"
_HOOKS: Final = "ExecStartPre= and its like of the service manager"


def _http(sketch: Sketch, item: Item) -> None:
    addresses = [_address(value) for value in item.values]
    sketch.add("listen", [address for address in addresses if address.example], item)


def _socket(sketch: Sketch, item: Item) -> None:
    addresses = [_address(value) for value in item.values]
    if any(Text.of(value).example.strip().startswith("=") for value in item.values):
        sketch.leave(item, "a shared socket is fd:N or fd:NAME in listen")
    else:
        sketch.add("listen", [address for address in addresses if address.example], item, _HTTP_NOW)


def _address(value: object) -> Text:
    """Write an address of uWSGI, in which a path is a Unix socket and a bare port is every interface."""
    text = Text.of(value)
    example = text.example.strip()
    if ":" not in example and not example.isdigit() and example:
        return Text.of("unix:") + text
    return listen_text(text, _PORT)


def _https(sketch: Sketch, item: Item) -> None:
    """Convert ``address,certificate,key[,ciphers[,CA]]``."""
    for value in item.values:
        address, *files = Text.of(value).split(",")
        if len(files) < 2:
            sketch.leave(item, "expected ADDRESS,CERTIFICATE,KEY")
            continue
        listen = _address(address)
        if sketch.add("listen", [listen], item):
            sketch.add("tls_listen", [listen], Item("", item.name, ""))
            for name, file in zip(("tls_certificate", "tls_key"), files[:2], strict=True):
                sketch.add(name, [file], Item("", item.name, file))
        if len(files) > 2 and files[2].example:
            cipher_suites(sketch, Item("", item.name, files[2], f"the ciphers of {item}"))
        if len(files) > 3 and files[3].example:
            ca = files[3].removeprefix("!")
            sketch.put("tls_client_ca", [ca], Item("", item.name, ca))
            verify = "required" if files[3].example.startswith("!") else "optional"
            sketch.put("tls_client_verify", [verify], Item("", item.name, verify))


def _redirect(sketch: Sketch, item: Item) -> None:
    sketch.add("redirect_listen", [_address(value) for value in item.values], item)


def _processes(sketch: Sketch, item: Item) -> None:
    is_auto = item.text.example.strip() in ("%k", "auto")
    sketch.put("workers", ["auto" if is_auto else item.text], item)


def _module(sketch: Sketch, item: Item) -> None:
    name_application(sketch, item, item.text)


def _file(sketch: Sketch, item: Item) -> None:
    if item.text.example.endswith(".py") or "/" in item.text.example or item.text.example.endswith(".wsgi"):
        name_file(sketch, item, item.text)
    else:
        name_application(sketch, item, item.text)


def _callable(sketch: Sketch, item: Item) -> None:
    sketch.default_object = item.text.example


def _mount(sketch: Sketch, item: Item) -> None:
    """Convert ``/prefix=module:object`` if it is the only one."""
    if len(item.values) > 1:
        sketch.leave(
            item, f"several mounted applications: {_ROUTING} (werkzeug's DispatcherMiddleware, paste's urlmap)"
        )
        return
    prefix, *rest = item.text.split("=")
    if not rest or not sketch.put("url_prefix", [prefix], item):
        return
    if rest[0].example:
        _file(sketch, Item(item.place, item.name, rest[0], item.source))


def _master(sketch: Sketch, item: Item) -> None:
    sketch.put("supervise", ["true" if item.is_on else "auto"], item)


def _lazy(sketch: Sketch, item: Item) -> None:
    if item.is_on:
        sketch.put("preload", [False], item)


def _proxy_protocol(sketch: Sketch, item: Item) -> None:
    if item.is_on:
        remark = "uWSGI believes every client; name your proxies in trusted_proxy."
        sketch.put("trusted_proxy", ["*"], item, remark)
        sketch.put("proxy_protocol", ["any"], Item("", item.name, "any"))


def _harakiri(sketch: Sketch, item: Item) -> None:
    remark = "uWSGI kills the worker; here the client is answered 504 and the thread goes on."
    sketch.put("request_timeout", [item.text], item, remark)


def _megabytes(sketch: Sketch, item: Item) -> None:
    sketch.put("worker_max_memory", [f"{item.text.example}M"], item)


def _mode(sketch: Sketch, item: Item) -> None:
    sketch.put("unix_socket_perms", ["666" if item.text.example in ("", "1", "true") else item.text], item)


def _post_limit(sketch: Sketch, item: Item) -> None:
    if item.is_on:
        sketch.put("max_request_body_size", [item.text], item)


def _buffer(sketch: Sketch, item: Item) -> None:
    text = item.text.example
    if text.isdigit() and int(text) <= 65536:
        why = "max_request_header_size is 64K; the request line has max_request_line_size"
        sketch.leave(item, why, Verdict.NEEDLESS)
    else:
        sketch.put("max_request_header_size", [item.text], item)


def _buffering(sketch: Sketch, item: Item) -> None:
    text = item.text.example
    if text.isdigit() and int(text) > 1:
        sketch.put("inbuf_overflow", [item.text], item, "A body is always complete before the application is called.")
    else:
        sketch.leave(item, "a body is always complete before the application is called", Verdict.NEEDLESS)


def _stats(sketch: Sketch, item: Item) -> None:
    remark = "It answers waitressd top, Prometheus and probes, not uwsgitop."
    sketch.add("admin_listen", [_address(value) for value in item.values], item, remark)


def _logs_off(sketch: Sketch, item: Item) -> None:
    sketch.leave(item, "there is no request log unless request_log names one", Verdict.NEEDLESS)


def _row(names: str, here: str, note: str, convert: Converter, *, is_flag: bool = False) -> Row:
    return Row(tuple(names.split()), tuple(here.split()), note, convert, is_flag=is_flag)


CONVERTED: Final[tuple[Row, ...]] = (
    _row("http http-socket http11-socket httprouter", "listen", "There is no router process", _http),
    _row("socket s uwsgi-socket", "listen", _HTTP_NOW.rstrip("."), _socket),
    _row(
        "https https-socket", "listen tls_listen tls_certificate tls_key tls_ciphers tls_client_ca", "", _https
    ),
    _row("http-to-https", "redirect_listen", "", _redirect),
    _row("processes p workers", "workers", "%k, the number of processors, becomes auto", _processes),
    _row("threads", "threads", "", becomes("threads")),
    _row("module w wsgi", "[app:main]", "As application = MODULE:OBJECT", _module),
    _row("wsgi-file file", "[app:main]", "As application = MODULE:OBJECT; its folder is in pythonpath", _file),
    _row("callable", "[app:main]", "The OBJECT of MODULE:OBJECT", _callable),
    _row("mount", "url_prefix", "One application; several need a middleware", _mount),
    _row("manage-script-name", "url_prefix", "The prefix is taken off the path",
         lambda sketch, item: sketch.leave(item, "the prefix is always taken off the path", Verdict.NEEDLESS),
         is_flag=True),
    _row("chdir", "[app:main]", "Put into pythonpath; the folder itself is for the service manager", working_folder),
    _row("pythonpath python-path pp", "[app:main]", "Put into pythonpath", module_folders("")),
    _row("env", "[app:main]", "Put into environment", variables),
    _row("master M", "supervise", "A master is there by itself with more than one worker", _master, is_flag=True),
    _row("lazy lazy-apps", "preload", "preload = off", _lazy, is_flag=True),
    _row("harakiri t", "request_timeout", "The client is answered 504; uWSGI kills the worker", _harakiri),
    _row(
        "worker-reload-mercy reload-mercy", "shutdown_timeout", "", becomes("shutdown_timeout")
    ),
    _row(
        "max-requests R", "worker_max_requests", "The new worker serves before the old one ends",
        becomes("worker_max_requests"),
    ),
    _row("max-worker-lifetime", "worker_max_age", "", becomes("worker_max_age")),
    _row(
        "reload-on-rss evil-reload-on-rss", "worker_max_memory", "Memory that is shared with others does not count",
        _megabytes,
    ),
    _row("listen l", "backlog", "", becomes("backlog")),
    _row("buffer-size b", "max_request_header_size", "64K unless you say more", _buffer),
    _row("limit-post", "max_request_body_size", "", _post_limit),
    _row("post-buffering", "inbuf_overflow", "A body is always complete before the application is called", _buffering),
    _row("max-vars v", "max_request_fields", "", becomes("max_request_fields")),
    _row("http-timeout", "channel_timeout", "A connection at rest keeps no thread", idle_seconds),
    _row("http-keepalive", "channel_timeout", "Connections are always kept open", idle_seconds),
    _row("http-headers-timeout", "request_header_timeout", "", becomes("request_header_timeout")),
    _row("socket-send-timeout so-send-timeout socket-write-timeout so-write-timeout", "send_timeout", "",
         becomes("send_timeout")),
    _row("chmod-socket C chmod", "unix_socket_perms", "", _mode),
    _row("chown-socket", "unix_socket_owner", "", becomes("unix_socket_owner")),
    _row("enable-proxy-protocol http-enable-proxy-protocol", "proxy_protocol trusted_proxy",
         "Name the proxies that are believed", _proxy_protocol, is_flag=True),
    _row("stats stats-server", "admin_listen", "For waitressd top, Prometheus and probes", _stats),
    _row("req-logger logger-req", "request_log", "file:PATH becomes a section [request_log:access]",
         lambda sketch, item: _request_logger(sketch, item)),
    _row("disable-logging L", "request_log", "None unless it is named", _logs_off, is_flag=True),
    _row("enable-threads T", "threads", "Threads are always on",
         lambda sketch, item: sketch.leave(item, "the application may always start threads", Verdict.NEEDLESS),
         is_flag=True),
    _row("wsgi-disable-file-wrapper", "", "wsgi.file_wrapper is always offered",
         lambda sketch, item: sketch.leave(item, "wsgi.file_wrapper is always offered"), is_flag=True),
    _row("py-autoreload py-auto-reload python-autoreload python-auto-reload", "", "the option --reload of the command",
         lambda sketch, item: sketch.leave(item, "the option --reload of the command", Verdict.ELSEWHERE)),
    _row("no-ipv6", "ipv6", "", flag("ipv6", inverted=True), is_flag=True),
)  # fmt: skip
CONVERTED_NAMES: Final = frozenset(name for row in CONVERTED for name in row.names)


def _request_logger(sketch: Sketch, item: Item) -> None:
    for value in item.values:
        text = Text.of(value)
        if text.example.startswith("file:"):
            request_log("combined")(sketch, Item(item.place, item.name, text.removeprefix("file:"), item.source))
        elif text.example.startswith("stdio"):
            request_log("combined")(sketch, Item(item.place, item.name, "-", item.source))
        else:
            sketch.leave(item, f"only files and standard output; {_LOGGING}")


OTHERS: Final[tuple[Row, ...]] = (
    needless("single-interpreter i", "there is one interpreter", is_flag=True),
    needless("need-app", "an application that cannot be loaded always stops the start", is_flag=True),
    needless("vacuum", "socket files are removed when the server stops", is_flag=True),
    needless("die-on-term exit-on-reload", "SIGTERM always stops, and SIGHUP reloads", is_flag=True),
    needless("thunder-lock", "a worker takes a connection when it has time for it", is_flag=True),
    needless("no-orphans", "no worker outlives its master", is_flag=True),
    needless("auto-procname", "the names of the processes say what they are", is_flag=True),
    needless("catch-exceptions http-auto-chunked http-chunked-input "
             "http-manage-expect", "it is always so", is_flag=True),
    needless("wsgi-strict wsgi-accept-buffer wsgi-accept-buffers", "PEP 3333 is kept to the letter", is_flag=True),
    needless("http-raw-body honour-stdin no-defer-accept tcp-nodelay close-on-exec* "
             "log-master*", "it is so, or makes no difference",
             is_flag=True),
    needless("ignore-sigpipe ignore-write-errors disable-write-exception write-errors-*",
             "a client that leaves costs one line of the log at most (log_socket_errors)", "log_socket_errors",
             is_flag=True),
    needless("py-call-osafterfork py-call-uwsgi-fork-hooks", "workers are forked by Python itself", is_flag=True),
    needless("plugin plugins need-plugin need-plugins plugin-* plugins-* autoload", "there are no plugins to load"),
    needless("sharedarea lock-engine locks flock* ftok persistent-ipcsem safe-fd fd-safe "
             "map-socket", "there is no such thing"),
    needless("thread-stacksize threads-stacksize thread-stack-size threads-stack-size no-threads-wait",
             "each thread has the stack that Python gives it"),
    needless("offload-threads offload-thread disable-sendfile fileserve-mode file-serve-mode",
             "files go out by sendfile wherever that works"),
    needless("strict", "a name that is not known always stops the start", is_flag=True),
    elsewhere("virtualenv home H venv pyhome", "start the waitressd of that environment: VENV/bin/waitressd"),
    elsewhere("uid gid add-gid immediate-uid immediate-gid no-initgroups umask", SERVICE_MANAGER),
    elsewhere("daemonize d daemonize2 pidfile pidfile2 safe-pidfile safe-pidfile2", SERVICE_MANAGER),
    elsewhere("procname procname-* chroot pivot-root pivot_root unshare unshare2 setns* cgroup* namespace* ns ns-net",
              SERVICE_MANAGER),
    elsewhere("limit-as limit-nproc max-fd prio cpu-affinity never-swap ksm chdir2 force-cwd jailed re-fork* refork*",
              SERVICE_MANAGER),
    elsewhere("logto logto2 logger log-* logdate logfile-* logformat-strftime threaded-logger rsyslog-*", _LOGGING),
    elsewhere("log-format logformat", "use = template in [request_log:access] takes a format", "request_log"),
    elsewhere("paste ini-paste ini-paste-logged paste-logger",
              "the application is in that ini file: put the [server:main] section there"),
    elsewhere("ini xml x xmlconfig yaml yml y json j js config inherit include fallback-config inject-*",
              "convert that file too"),
    elsewhere("master-fifo touch-* fs-* propagate-touch stop reload pause suspend resume", _RELOAD),
    elsewhere("notify-socket", "systemd is told without being asked to (Type=notify)"),
    elsewhere("hook-* exec-* call-* mount-* umount-* after-request-* wait-*", _HOOKS),
    elsewhere("attach-daemon* attach-control-daemon smart-attach-daemon* daemons-honour-stdin worker-exec*",
              "a service of its own for each program"),
    elsewhere("import shared-import pyimport py-import python-import shared-py* shared-python-import",
              "import it where the application does"),
    missing("reload-on-as evil-reload-on-as mem-collector-freq", _RESOURCES, "worker_max_memory"),
    missing("reload-on-* brutal-reload-on-fd exception-handler", "a failed request is answered "
                                                                 "500, and the worker goes on"),
    missing("harakiri-* mule-harakiri backtrace-depth use-abort",
            "task_log_timeout logs the stack of a request that hangs", "task_log_timeout"),
    missing("cheap cheaper cheaper-* idle die-on-idle", _ADAPTIVE, "workers"),
    missing("gevent gevent-* async asyncio ugreen ugreen-* greenlet loop loop-* loops-list coroae tornado",
            "a request keeps a thread here while the application works on it: set threads to how many that may be",
            "threads"),
    missing("static-* check-static* mimefile mime-file honour-range", _STATIC),
    missing("route route-* final-route* error-route* response-route* router-list routers-list error-page-*", _ROUTING),
    missing("add-header rem-header del-header collect-header response-header* pull-header response-headers-limit",
            _ROUTING),
    missing("emperor emperor-* vassal* early-emperor imperial-* heartbeat", _ONE),
    missing("fastrouter* rawrouter* subscri* subscribe* unsubscribe-* start-unsubscribed st "
            "zerg zerg-* zergpool zerg-pool",
            "a proxy in front spreads requests over several servers"),
    missing("cron cron2 unique-cron cron-harakiri legion* timer rbtimer signal-* signal", _SCHEDULE),
    missing("mule mules farm mule-* spooler* queue queue-*", _SCHEDULE),
    missing("cache* cache2 add-cache-item load-file-in-cache* check-cache", _FAMILIES),
    missing("rpc-max signal-bufsize signals-bufsize shared-socket undeferred-shared-socket py-sharedarea symcall*",
            _FAMILIES),
    missing("websockets-* websocket-* http-websockets", "WSGI has no WebSockets"),
    missing("http2* fastcgi-* scgi-* raw-socket raw-modifier* puwsgi-socket socket-protocol "
            "protocol *-modifier1 *-modifier2",
            "HTTP/1.1 and 1.0 alone are spoken"),
    missing("chunked-input-*", "request_body_min_rate and channel_timeout bound a slow body", "request_body_min_rate"),
    missing("metric metric-* metrics-* alarm-metric enable-metrics stats-* carbon* snmp* rrdtool* nagios",
            "admin_listen has metrics for Prometheus", "admin_listen"),
    missing("alarm alarm-* *-alarm not-* lq-alarm segfault-alarm log-alarm", "alerts are made from the metrics",
            "admin_listen"),
    missing("http-*", "there is no router process in front of the workers"),
    missing("so-keepalive socket-sndbuf socket-rcvbuf freebind reuse-port tcp-fast-open* "
            "tcp-fastopen* z socket-timeout",
            "the defaults of the system are used"),
    missing("master-as-root drop-after-init drop-after-apps privileged-binary-patch* unprivileged-binary-patch*",
            SERVICE_MANAGER),
    missing("vhost vhost-host max-apps no-default-app ignore-script-name worker-mount allowed-modifiers remap-modifier",
            _ONE),
    missing(
        "memory-report m profiler",
        "the commands waitressd top and waitressd profile show what it does",
        "admin_listen",
    ),
    elsewhere("if-* ifenv ifexists ifplugin ifdir for for-* end-* endif endfor blacklist whitelist "
              "set set-ph set-placeholder get "
              "resolve declare-option* eval extract",
              "%(name)s, use = config:OTHER.ini and ${NAME} are what an ini file has here"),
    elsewhere("help usage version show-config dump-options print print-sym print-symbol iprint exit "
              "test config-py build-plugin "
              "cflags dot-h binary-append-data clock-list clocks-list logger-list loggers-list "
              "alarms-list ping ping-timeout "
              "connect-and-read command-mode no-server mode python-version",
              "options of the command are listed by waitressd --help"),
    elsewhere("envdir early-envdir unenv reload-os-env binsh binary-path file-write", SERVICE_MANAGER),
    elsewhere("py-auto-reload-ignore check-interval check-mount check-mountpoint mountpoint-check",
              "the option --reload of the command"),
    elsewhere("py-tracebacker pyshell pyshell-oneshot", "waitressd requests --stack, and waitressd "
                                                        "top, show the stacks"),
    needless("max-requests-delta max-worker-lifetime-delta min-worker-lifetime",
             "the limits differ from worker to worker by themselves", "worker_max_requests", "worker_max_age"),
    needless("no-harakiri-* body-read-warning post-buffering-bufsize skip-atexit* shutdown-sockets "
             "reaper no-fd-passing optimize "
             "pcre-jit", "it makes no difference here"),
    missing("abstract-socket udp multicast multicast-* "
            "upload-progress", "TCP and Unix sockets that have a path are listened on"),
    missing("pump web3 wsgi-lite pecan python-raw py python pyrun python-worker-override dlopen "
            "cgi-mode", "WSGI alone is served"),
    missing("wsgi-env-behavior wsgi-env-behaviour start_response-nodelay", "each request has an environ of its own"),
    missing("no-site py-program-name py-programname py-executable py-sys-executable pyargv "
            "pymodule-alias post-pymodule-alias",
            "the interpreter that runs waitressd is left as it is"),
    missing("weight auto-weight clock skip-zero forkbomb-delay force-gateway", "nothing here does that"),
)  # fmt: skip
ROWS: Final = (*CONVERTED, *OTHERS)


def row_of(name: str) -> Row | None:
    """Find the row of an option, or None for a name that uWSGI 2.0 does not know."""
    return row_for(ROWS, name)


_FILES: Final = frozenset(
    ("ini", "xml", "x", "xmlconfig", "yaml", "yml", "y", "json", "j", "js", "config", "inherit", "include")
)
"""Options that name another file of options."""


def finish(sketch: Sketch, items: list[Item]) -> None:
    """Write out uWSGI's defaults where ours differ and it matters."""
    given = {item.name: item for item in items}
    nothing = Item("", "", "")
    if _FILES.intersection(given):
        sketch.remarks.append("Defaults of uWSGI are not written out: the other file may say otherwise.")
    elif "threads" not in given and not any(name.startswith(("gevent", "async")) for name in given):
        remark = (
            "uWSGI's default: one request at a time in each process. More is faster, if the application is thread-safe."
        )
        sketch.put("threads", [1], nothing, remark)
    if "redirect_listen" in sketch.lines and "listen" in sketch.lines:
        redirects = {value.example for value in sketch.lines["redirect_listen"].values}
        line = sketch.lines["listen"]
        values = [value for value in line.values if value.example not in redirects]
        sketch.lines["listen"] = type(line)(line.name, tuple(values), line.comments)
