"""How each server is started: one row for each. Our defaults are the defaults; peers get what makes them look best."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.scenarios import Scenario


@dataclass(frozen=True)
class Place:
    """Where a server of this run lives: the environment's `bin`, a port, a folder for its files, how many workers."""

    bin: Path
    port: int
    folder: Path
    file: Path  # what the download scenario sends
    workers: int = 1

    @property
    def certificate(self) -> Path:
        """Where the certificate of a server that speaks TLS is."""
        return self.folder / "certificate.pem"

    @property
    def key(self) -> Path:
        """Where its key is."""
        return self.folder / "key.pem"

    @property
    def python(self) -> str:
        """The interpreter of the environment."""
        return str(self.bin / "python")

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self.port}"


Command = Callable[[Place, Scenario], list[str]]


@dataclass(frozen=True)
class Server:
    """One row. `module` is what the environment must be able to import, `package` what is installed for that."""

    name: str
    command: Command
    module: str = ""
    package: str = ""
    program: str = ""  # a program of the system instead of a package
    interpreter: tuple[str, ...] = ()  # the words that start it, where it is not that of the environment
    is_static: bool = False  # takes part where a static answer exists, as the practical limit


def _waitressd(place: Place, scenario: Scenario) -> list[str]:
    options = [f"--listen={place.address}", f"--threads={scenario.threads}"]
    if place.workers > 1:
        options.append(f"--workers={place.workers}")
    if scenario.is_secure:
        options += [f"--tls-certificate={place.certificate}", f"--tls-key={place.key}"]
    return [place.python, "-m", "waitressd", *options, scenario.app]


def _waitress(place: Place, scenario: Scenario) -> list[str]:
    # Its default of 100 connections would keep most of 512 clients waiting outside.
    options = [f"--listen={place.address}", f"--threads={scenario.threads}", "--connection-limit=2000"]
    return [place.python, "-m", "waitress", *options, scenario.app]


def _gunicorn(place: Place, scenario: Scenario) -> list[str]:
    options = [
        "-k",
        "gthread",
        "-w",
        str(place.workers),
        "--threads",
        str(scenario.threads),
        "--keep-alive",
        "60",
        "-b",
        place.address,
    ]
    if scenario.is_secure:
        options += ["--certfile", str(place.certificate), "--keyfile", str(place.key)]
    return [place.python, "-m", "gunicorn", *options, "--log-level", "critical", scenario.app]


def _cheroot(place: Place, scenario: Scenario) -> list[str]:
    count = str(scenario.threads)
    if scenario.is_secure:
        files = [str(place.certificate), str(place.key)]
        return [place.python, "-m", "benchmarks.cheroot_launcher", str(place.port), count, *files, scenario.app]
    options = ["--bind", place.address, "--threads", count, "--max-threads", count, "--request-queue-size", "1024"]
    return [place.python, "-m", "cheroot", *options, scenario.app]


def _granian(place: Place, scenario: Scenario) -> list[str]:
    options = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", str(place.port)]
    more = ["--workers", str(place.workers), "--blocking-threads", str(scenario.threads), "--no-log"]
    if scenario.is_secure:
        more += ["--ssl-certificate", str(place.certificate), "--ssl-keyfile", str(place.key), "--http", "1"]
    return [str(place.bin / "granian"), *options, *more, scenario.app]


def _uwsgi(place: Place, scenario: Scenario) -> list[str]:
    module, _, name = scenario.app.partition(":")
    options = ["--http11-socket", place.address, "--threads", str(scenario.threads), "--enable-threads"]
    more = ["--disable-logging", "--listen", "1024", "--buffer-size", "16384", "--die-on-term", "--need-app"]
    if place.workers > 1:
        more += ["--master", "--processes", str(place.workers)]
    if scenario.app.endswith(":stream"):
        more.append("--route-run=chunked:")  # without it an answer of unknown length never ends on a kept connection
    return [str(place.bin / "uwsgi"), *options, *more, "--module", module, "--callable", name]


def _bjoern(place: Place, scenario: Scenario) -> list[str]:
    return [place.python, "-m", "benchmarks.bjoern_launcher", str(place.port), scenario.app, str(place.workers)]


NGINX_CONFIGURATION: Final = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx-errors.txt crit;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {address} backlog=1024{tls};
        location / {{ {answer} }}
    }}
}}
"""


def _nginx(place: Place, scenario: Scenario) -> list[str]:
    page = place.folder / "page"
    page.write_bytes(b"0123456789abcdef" * 640)
    answer = {
        "greeting": 'default_type text/plain; return 200 "Hello, world!";',
        "page": f"root /; try_files {page} =404;",
        "file": f"root /; try_files {place.file} =404;",
    }[scenario.static]
    configuration = place.folder / "nginx.conf"
    # Started by root, its worker would be nobody and could not read our temporary folder.
    user = "" if os.getuid() else "user root;"
    tls = (
        f" ssl; ssl_certificate {place.certificate}; ssl_certificate_key {place.key}; ssl_protocols TLSv1.2 TLSv1.3"
        if scenario.is_secure
        else ""
    )
    text = NGINX_CONFIGURATION.format(user=user, folder=place.folder, address=place.address, answer=answer, tls=tls)
    configuration.write_text(text)
    return ["nginx", "-p", str(place.folder), "-c", str(configuration)]


SERVERS: Final[tuple[Server, ...]] = (
    Server("waitressd", _waitressd, "waitressd"),
    Server("waitress", _waitress, "waitress", "waitress"),
    Server("gunicorn", _gunicorn, "gunicorn", "gunicorn"),
    Server("cheroot", _cheroot, "cheroot", "cheroot"),
    Server("granian", _granian, "granian", "granian"),
    Server("uwsgi", _uwsgi, "pyuwsgi", "pyuwsgi"),
    Server("bjoern", _bjoern, "bjoern", "bjoern"),
    Server("nginx", _nginx, program="nginx", is_static=True),
)


def make_certificate(place: Place) -> None:
    """Make the certificate and key of a server that speaks TLS, by the program `openssl`."""
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    options = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/"]
    files = ["-keyout", str(place.key), "-out", str(place.certificate)]
    subprocess.run(["openssl", "req", *options, "-addext", names, *files], capture_output=True, check=True)


def takes_part(server: Server, scenario: Scenario) -> bool:
    """Say whether the server is measured in the scenario."""
    if scenario.only and server.name not in scenario.only:
        return False
    return bool(scenario.static) or not server.is_static
