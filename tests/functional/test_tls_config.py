"""The file that the manual shows for a site with TLS works as it is, with files and ports of the test."""

import re
import ssl
from pathlib import Path

from tests.support.handshakes import client_context
from tests.support.pki import Pki
from tests.support.servers import ROOT, free_port, server_process

CONFIG = str(ROOT / "configs" / "tls.ini")


def test_the_site_is_served(tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    files = pki.write(pki.ca.create_child_ca().issue_cert("localhost"), "site")
    files.certificate.rename(tmp_path / "fullchain.pem")
    files.key.rename(tmp_path / "privkey.pem")
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "token").write_text("token.thumbprint")
    ports = {name: str(free_port()) for name in ("HTTPS_PORT", "PLAIN_PORT", "HTTP_PORT")}
    environment = {**ports, "TLS_FOLDER": str(tmp_path), "ACME_FOLDER": str(tmp_path / "acme")}
    with server_process([CONFIG], environment=environment) as server:
        port = ports["HTTPS_PORT"]
        server.wait_for_output(rf"Serving on https://\S*:{port}\n")
        server.wait_for_output(rf"Serving on http://127\.0\.0\.1:{ports['PLAIN_PORT']}\n")
        server.wait_for_output(rf"Serving on http://\S*:{ports['HTTP_PORT']} \(leads to https\)\n")
        with server.connect() as client:
            client.sock = client_context(pki.authority()).wrap_socket(client.sock, server_hostname="localhost")
            assert client.get("/").status == 200
            assert isinstance(client.sock, ssl.SSLSocket)
        plain, redirect = (("127.0.0.1", int(ports[name])) for name in ("PLAIN_PORT", "HTTP_PORT"))
        with type(client)(plain) as other:
            assert other.get("/").status == 200
        with type(client)(redirect) as other:
            answer = other.request(b"GET /count HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (answer.status, answer.get("Location")) == (308, f"https://localhost:{port}/count")
        with type(client)(redirect) as other:
            answer = other.get("/.well-known/acme-challenge/token")
            assert answer.body == b"token.thumbprint"
        assert server.terminate() == 0
    assert not re.search("W1[0-9][0-9] ", server.output)
