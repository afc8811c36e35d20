"""nginx and HAProxy in front of a server, with the configuration files of the manual.

What stands in `docs/proxies` is what runs: places on the machine (ports, paths, accounts) are replaced by the test's
own, and nothing else is changed.
"""

import configparser
import csv
import os
import pwd
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.client import Client
from tests.support.servers import ROOT, free_port, wait_until_accepting

DOCUMENTS: Final = ROOT / "docs" / "proxies"
HOST: Final = "shop.example"
CLIENT: Final = "127.0.0.9"
"""The address of the clients: not the one from which the frontend connects."""
STOP_SECONDS: Final = 20.0
SCHEMES: Final = {"80": "http", "443": "https"}
ATTEMPTS: Final = 5  # a free port may be taken by somebody else before the frontend has it

# Where Debian has what is not on the path of every user.
_FOLDERS: Final = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
STREAM_MODULE: Final = Path("/usr/lib/nginx/modules/ngx_stream_module.so")

_NGINX: Final = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 256; }}
"""
_NGINX_HTTP: Final = """\
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/shop.conf;
}}
"""


def program(name: str) -> str:
    """Return the path of a program; without it the test is skipped, which `.ci/run` prevents where it can."""
    path = shutil.which(name, path=_FOLDERS)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def need_stream_module() -> None:
    """Skip a test that nginx can only pass with its stream module."""
    if not STREAM_MODULE.exists():
        pytest.skip("nginx has no stream module (Debian: libnginx-mod-stream)")


def make_certificate(folder: Path) -> Path:
    """Make a certificate for HOST that nobody but the test trusts, with its key in the same file."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = [program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "2", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    both = folder / f"{HOST}.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return both


def replace_places(text: str, places: Mapping[str, str]) -> str:
    """Put the test's places where the manual has its own; each of those must be there."""
    for old, new in places.items():
        assert old in text, f"{old!r} is not in the file"
        text = text.replace(old, new)
    return text


def server_settings(name: str, **own: str) -> dict[str, Any]:
    """Return the settings of a file of the manual, with places of the test's own."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string((DOCUMENTS / f"{name}.ini").read_text(encoding="utf-8"))
    settings: dict[str, Any] = dict(parser["server:main"])
    assert settings.pop("use") == "egg:waitressd"
    settings.pop("unix_socket_owner", None)  # the accounts are those of a real machine
    return {**settings, **own}


class FrontClient(Client):
    """A connection from CLIENT (or another address) to a frontend, with TLS or without."""

    def __init__(
        self, port: int, *, certificate: Path | None = None, host: str = "127.0.0.1", receive_buffer_bytes: int = 0
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(30)
        self.buffer = b""
        if receive_buffer_bytes:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        try:
            if family == socket.AF_INET:
                self.sock.bind((CLIENT, 0))
            self.sock.connect((host, port))
            self.port = int(self.sock.getsockname()[1])
            if certificate is not None:
                context = ssl.create_default_context(cafile=str(certificate))
                self.sock = context.wrap_socket(self.sock, server_hostname=HOST)
        except OSError:
            self.sock.close()
            raise

    def cipher(self) -> tuple[str, str]:
        """Return the cipher and the version of TLS."""
        assert isinstance(self.sock, ssl.SSLSocket)
        name, version, _ = self.sock.cipher() or ("", "", 0)
        return name, version


@dataclass
class Frontend:
    """A frontend that runs: the port of each scheme, and the certificate."""

    ports: dict[str, int]
    certificate: Path

    def connect(self, scheme: str = "http", **options: Any) -> FrontClient:
        """Connect as a browser would for a URL with that scheme."""
        certificate = self.certificate if scheme == "https" else None
        return FrontClient(self.ports[scheme], certificate=certificate, **options)


@contextmanager
def nginx(name: str, folder: Path, certificate: Path, places: Mapping[str, str]) -> Iterator[Frontend]:
    """Run nginx with `docs/proxies/NAME.conf`; `places` are those that the test chooses."""
    path = program("nginx")
    text = (DOCUMENTS / f"{name}.conf").read_text(encoding="utf-8")
    main = _NGINX + _NGINX_HTTP
    if "stream {" in text:
        main = f"load_module {STREAM_MODULE};" + _NGINX + "include {folder}/shop.conf;\n"
    user = f"user {pwd.getpwuid(0).pw_name};" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(main.format(user=user, folder=folder), encoding="utf-8")
    command = [path, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    text = replace_places(text, {**places, f"/etc/ssl/{HOST}.pem": str(certificate)})
    with _running(command, folder / "shop.conf", text, r"listen (\[::\]:)?(80|443)\b") as ports:
        yield Frontend(ports, certificate)


@contextmanager
def haproxy(name: str, folder: Path, certificate: Path, places: Mapping[str, str]) -> Iterator[Frontend]:
    """Run HAProxy with `docs/proxies/NAME.cfg`; `places` are those that the test chooses."""
    command = [program("haproxy"), "-db", "-q", "-f", str(folder / "shop.cfg")]
    text = (DOCUMENTS / f"{name}.cfg").read_text(encoding="utf-8")
    text = replace_places(text, {**places, f"/etc/ssl/{HOST}.pem": str(certificate)})
    with _running(command, folder / "shop.cfg", text, r"bind (\[::\])?:(80|443)\b") as ports:
        yield Frontend(ports, certificate)


@contextmanager
def health_haproxy(
    folder: Path, places: Mapping[str, str], document: str = "health/haproxy.cfg"
) -> Iterator[tuple[int, Path]]:
    """Run HAProxy with a file of `docs`; yields its port, and the socket that tells how its servers are."""
    command = [program("haproxy"), "-db", "-q", "-f", str(folder / "shop.cfg")]
    stats = folder / "stats"
    text = (DOCUMENTS.parent / document).read_text(encoding="utf-8")
    text = f"global\n    stats socket {stats}\n" + replace_places(text, places)
    with _running(command, folder / "shop.cfg", text, r"bind (\[::\])?:(80)\b") as ports:
        yield ports["http"], stats


def haproxy_status(stats: Path, server: str) -> str:
    """Ask HAProxy how a server is: "UP", "DOWN", "UP 1/2" on its way down, "DOWN 1/2" on its way up.

    "" while it cannot be asked yet.
    """
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        try:
            sock.connect(str(stats))
        except (FileNotFoundError, ConnectionRefusedError):
            return ""
        sock.sendall(b"show stat\n")
        text = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
    rows = csv.DictReader(text.removeprefix("# ").splitlines())
    return next(row["status"] for row in rows if row["svname"] == server)


@contextmanager
def _running(command: list[str], file: Path, text: str, listens: str) -> Iterator[dict[str, int]]:
    """Run a frontend; `listens` finds the places where the file names its ports. Yields the ports in their place."""
    output = file.parent / "output.txt"
    for _ in range(ATTEMPTS):
        ports = {SCHEMES[match[2]]: free_port() for match in re.finditer(listens, text)}

        def listen(match: "re.Match[str]", ports: dict[str, int] = ports) -> str:
            word = match[0].partition(" ")[0]
            return f"{word} {'[::1]' if match[1] else '127.0.0.1'}:{ports[SCHEMES[match[2]]]}"

        file.write_text(re.sub(listens, listen, text), encoding="utf-8")
        with output.open("wb") as stream:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
        try:
            if _is_accepting(process, list(ports.values())):
                yield ports
                return
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            finally:
                process.kill()
                process.wait()
    raise AssertionError(f"{command[0]} does not start:\n{output.read_text(errors='replace')}")


def _is_accepting(process: "subprocess.Popen[bytes]", ports: Sequence[int]) -> bool:
    """Wait until every port is served; False when the process ends instead."""
    deadline = time.monotonic() + STOP_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            for port in ports:
                wait_until_accepting(("127.0.0.1", port), 0)
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return process.poll() is None  # else the port is somebody else's
    return False
