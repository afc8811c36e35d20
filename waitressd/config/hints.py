"""What to say about a name that is no setting: a likely meaning, or what another server's option is called here."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from waitressd.wording import did_you_mean

_LOGGING: Final = "logging is configured in the [loggers] sections"
_SUPERVISOR: Final = "leave this to the supervisor (systemd, a container)"

# Options that people copy from the section of another server: where they came from, and what to do here.
FOREIGN: Final[dict[str, tuple[str, str]]] = {
    # Paste#http
    "use_threadpool": ("Paste#http", "there is always a pool; threads is its size"),
    "threadpool_workers": ("Paste#http", "use threads"),
    "threadpool_max_requests": ("Paste#http", "threads are not replaced; leave it out"),
    "threadpool_options": ("Paste#http", "use threads and queue_limit"),
    "threadpool_hung_thread_limit": ("Paste#http", "use task_log_timeout"),
    "threadpool_kill_thread_limit": (
        "Paste#http",
        "threads are never killed; use task_log_timeout to find hung requests",
    ),
    "threadpool_dying_limit": ("Paste#http", "threads are never killed; leave it out"),
    "threadpool_spawn_if_under": ("Paste#http", "the pool has a fixed size; use threads"),
    "daemon_threads": ("Paste#http", "use shutdown_timeout"),
    "socket_timeout": ("Paste#http", "use channel_timeout"),
    "request_queue_size": ("Paste#http", "use backlog"),
    "protocol_version": ("Paste#http", "HTTP/1.1 and 1.0 are always spoken; leave it out"),
    "ssl_pem": ("Paste#http", "use tls_certificate"),
    "ssl_context": ("Paste#http", "use tls_certificate and tls_key"),
    "start_loop": ("Paste#http", "leave it out"),
    # cheroot, as egg:pyramid#cherrypy
    "numthreads": ("cheroot", "use threads"),
    "max": ("cheroot", "use queue_limit"),
    "timeout": ("gunicorn", "requests are never killed; use task_log_timeout, channel_timeout or send_timeout"),
    # gunicorn
    "bind": ("gunicorn", "use listen"),
    "worker_class": ("gunicorn", "there is one kind of worker, a pool of threads"),
    "worker_connections": ("gunicorn", "use connection_limit"),
    "worker_tmp_dir": ("gunicorn", "use spool_directory"),
    "max_requests": ("gunicorn", "use worker_max_requests"),
    "max_requests_jitter": ("gunicorn", "worker_max_requests differs from worker to worker by itself; leave it out"),
    "graceful_timeout": ("gunicorn", "use shutdown_timeout"),
    "keepalive": ("gunicorn", "use channel_timeout"),
    "limit_request_line": ("gunicorn", "use max_request_line_size"),
    "limit_request_fields": ("gunicorn", "use max_request_fields"),
    "limit_request_field_size": ("gunicorn", "use max_request_header_size"),
    "forwarded_allow_ips": ("gunicorn", "use trusted_proxy"),
    "proxy_allow_ips": ("gunicorn", "use trusted_proxy"),
    "secure_scheme_headers": ("gunicorn", "use trusted_proxy_headers"),
    "accesslog": ("gunicorn", "use request_log"),
    "access_log_format": ("gunicorn", "use request_log and a [request_log:NAME] section"),
    "errorlog": ("gunicorn", _LOGGING),
    "loglevel": ("gunicorn", _LOGGING),
    "logconfig": ("gunicorn", _LOGGING),
    "logger_class": ("gunicorn", "use request_log"),
    "preload_app": ("gunicorn", "use preload"),
    "reload": ("gunicorn", "use the option --reload of pserve or waitressd"),
    "daemon": ("gunicorn", _SUPERVISOR),
    "pidfile": ("gunicorn", _SUPERVISOR),
    "user": ("gunicorn", _SUPERVISOR),
    "group": ("gunicorn", _SUPERVISOR),
    "umask": ("gunicorn", "use unix_socket_perms"),
    "chdir": ("gunicorn", _SUPERVISOR),
    "proc_name": ("gunicorn", _SUPERVISOR),
    "certfile": ("gunicorn", "use tls_certificate"),
    "keyfile": ("gunicorn", "use tls_key"),
    "keyfile_password": ("gunicorn", "use tls_key_passphrase_file"),
    "ca_certs": ("gunicorn", "use tls_client_ca"),
    "cert_reqs": ("gunicorn", "use tls_client_ca and tls_client_verify"),
    "ciphers": ("gunicorn", "use tls_ciphers"),
    "ssl_version": ("gunicorn", "use tls_min_version"),
    "do_handshake_on_connect": ("gunicorn", "handshakes hold no thread; leave it out"),
    "suppress_ragged_eofs": ("gunicorn", "leave it out"),
    # uvicorn
    "ssl_certfile": ("uvicorn", "use tls_certificate"),
    "ssl_keyfile": ("uvicorn", "use tls_key"),
    "ssl_keyfile_password": ("uvicorn", "use tls_key_passphrase_file"),
    "ssl_ca_certs": ("uvicorn", "use tls_client_ca"),
    "ssl_ciphers": ("uvicorn", "use tls_ciphers"),
    "limit_max_requests": ("uvicorn", "use worker_max_requests"),
    # uWSGI
    "https": ("uWSGI", "use listen, tls_certificate and tls_key"),
    "http": ("uWSGI", "use listen"),
    "http_to_https": ("uWSGI", "use redirect_listen"),
    "http_socket": ("uWSGI", "use listen"),
    "socket": ("uWSGI", "use listen, and let the proxy speak HTTP"),
    "processes": ("uWSGI", "use workers"),
    "master": ("uWSGI", "use supervise"),
    "enable_threads": ("uWSGI", "threads are always on; leave it out"),
    "harakiri": ("uWSGI", "requests are never killed; use task_log_timeout"),
    "chmod_socket": ("uWSGI", "use unix_socket_perms"),
    "chown_socket": ("uWSGI", "use unix_socket_owner"),
    "buffer_size": ("uWSGI", "use max_request_header_size"),
    "limit_post": ("uWSGI", "use max_request_body_size"),
    "post_buffering": ("uWSGI", "use inbuf_overflow"),
    "http_timeout": ("uWSGI", "use channel_timeout"),
    "socket_send_timeout": ("uWSGI", "use send_timeout"),
    "vacuum": ("uWSGI", "socket files are always removed; leave it out"),
    "die_on_term": ("uWSGI", "SIGTERM always stops; leave it out"),
    "lazy_apps": ("uWSGI", "use preload = off"),
    "max_worker_lifetime": ("uWSGI", "use worker_max_age"),
    "reload_on_rss": ("uWSGI", "use worker_max_memory"),
    "evil_reload_on_rss": ("uWSGI", "use worker_max_memory"),
    "need_app": ("uWSGI", "an application that cannot be loaded always stops the start; leave it out"),
    "thunder_lock": ("uWSGI", "leave it out"),
    "logto": ("uWSGI", _LOGGING),
    "virtualenv": ("uWSGI", "start the waitressd of that environment"),
    "module": ("uWSGI", "the application is named in [app:main] or on the command line"),
    "wsgi_file": ("uWSGI", "the application is named in [app:main] or on the command line"),
}
_FILES: Final = ("conf", "cfg", "ini", "json", "py", "toml", "txt", "yaml", "yml")  # endings of files, not of modules
_NOT_FOR_SERVERS: Final = {
    "filter_with": "filters belong to an application: put filter-with into [app:main]",
    "pipeline": "a pipeline belongs to applications: write a [pipeline:main] section",
}


def fold(name: str) -> str:
    """Write a name the way settings are named: lower case, underscores."""
    return name.strip().strip("-").replace("-", "_").lower()


def suggest(name: str, known: Iterable[str]) -> str:
    """Say what an unknown name may mean; the sentence starts after ``unknown setting NAME``."""
    folded = fold(name)
    names = list(known)
    if folded in names:
        return f"; did you mean {folded}?"
    if folded in _NOT_FOR_SERVERS:
        return f"; {_NOT_FOR_SERVERS[folded]}"
    if folded in FOREIGN:
        server, advice = FOREIGN[folded]
        return f"; it looks like an option of {server}: {advice}"
    return did_you_mean(folded, names, 0.7) or (f"; did you mean {folded}s?" if f"{folded}s" in names else "")


def reference_hint(word: str) -> str:
    """Say which MODULE:OBJECT a path or a dotted name may mean: "; did you mean mysite.wsgi:application?", or nothing.

    Looks whether there are such files, and imports nothing.
    """
    path, _, name = word.partition(":")
    head, _, last = path.rpartition(".")
    if last == "py" or (name and "/" in path and "//" not in word):
        file = Path(path.removesuffix(".py").replace("\\", "/"))
        if file.is_relative_to(Path.cwd()):
            file = file.relative_to(Path.cwd())
        module = ".".join(part for part in file.parts if part.strip("./"))
        return f"; did you mean {module}:{name or 'application'}?"
    if name or last in _FILES or not path.replace(".", "").isidentifier():
        return ""
    file = Path(path.replace(".", "/"))
    if last == "wsgi" or file.with_suffix(".py").is_file() or (file / "__init__.py").is_file():
        return f"; did you mean {path}:application?"
    return f"; did you mean {head}:{last}?" if head else ""
