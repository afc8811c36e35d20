"""Mistakes with certificates: each is one line with the file and what to do, through every way in; nothing is asked."""

import contextlib
import logging
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from tests.functional.test_config_mistakes import PSERVE, nothing_happened
from tests.support import configapp
from tests.support.pki import Files, Pki, encrypt, key_der, key_of, openssl
from waitressd.cli import main

HEAD: Final = """\
[app:main]
use = call:tests.support.configapp:factory
[server:main]
use = egg:waitressd#main
listen = 127.0.0.1:0
"""

Settings = dict[str, Any]
Make = Callable[[Pki], Settings]


def of(files: Files, **others: Any) -> Settings:
    return {**files.settings, **others}


def changed(content: Callable[[Files], bytes], name: str = "certificate", **others: Any) -> Make:
    """Make a good pair and write other content into one of its files."""

    def make(pki: Pki) -> Settings:
        files = pki.issue("a.example", stem="a")
        getattr(files, name).write_bytes(content(files))
        return of(files, **others)

    return make


def der_of(files: Files) -> bytes:
    return x509.load_pem_x509_certificate(files.certificate.read_bytes()).public_bytes(Encoding.DER)


def request_for(files: Files) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key_of(files), hashes.SHA256()).public_bytes(Encoding.PEM)  # type: ignore[arg-type]  # any key


def swapped(pki: Pki) -> Settings:
    files = pki.issue("a.example", stem="a")
    return of(Files(files.key, files.certificate))


def other_key(pki: Pki) -> Settings:
    files = pki.issue("a.example", stem="a")
    return {**files.settings, "tls_key": pki.issue("b.example", stem="b").key}


def ca_first(pki: Pki) -> Settings:
    leaf = pki.ca.create_child_ca().issue_cert("a.example")
    files = pki.write(leaf, "a")
    files.certificate.write_bytes(b"".join(pem.bytes() for pem in reversed(leaf.cert_chain_pems)))
    return of(files)


def weak(pki: Pki) -> Settings:
    files = Files(pki.folder / "a.pem", pki.folder / "a.key")
    openssl("req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", str(files.key), "-out", str(files.certificate),
            "-subj", "/CN=weak")  # fmt: skip
    return of(files)


def encrypted(passphrase: str | None) -> Make:
    def make(pki: Pki) -> Settings:
        files = pki.issue("a.example", stem="a")
        encrypt(files, b"right")
        others = {} if passphrase is None else {"tls_key_passphrase_file": pki.path("passphrase", passphrase)}
        return of(files, **others)

    return make


def hidden(pki: Pki) -> Settings:
    files = pki.issue("a.example", stem="a")
    encrypt(files, b"right")
    files.key.write_bytes(files.key.read_bytes().replace(b"ENCRYPTED PRIVATE", b"PRIVATE"))
    return of(files)


def removed(name: str) -> Make:
    def make(pki: Pki) -> Settings:
        files = pki.issue("a.example", stem="a")
        getattr(files, name).unlink()
        return of(files)

    return make


def with_setting(name: str, value: Callable[[Pki], object]) -> Make:
    def make(pki: Pki) -> Settings:
        return of(pki.issue("a.example", stem="a"), **{name: value(pki)})

    return make


def two_keys(pki: Pki) -> Settings:
    files = pki.issue("a.example", stem="a")
    return {"tls_certificate": files.certificate, "tls_key": f"{files.key} {files.key}"}


def folder(pki: Pki) -> Settings:
    return {**pki.issue("a.example", stem="a").settings, "tls_certificate": pki.folder}


def alone(pki: Pki) -> Settings:
    return {"tls_certificate": pki.issue("a.example", stem="a").certificate}


def dangling(pki: Pki) -> Settings:
    files = pki.issue("a.example", stem="a")
    files.certificate.unlink()
    files.certificate.symlink_to("archive/a1.pem")
    return of(files)


def ca(content: Callable[[Pki], bytes]) -> Make:
    return with_setting("tls_client_ca", lambda pki: pki.path("ca.pem", content(pki)))


C, K = r"tls_certificate = \S+a\.pem: ", r"tls_key = \S+\.key: "
MISTAKES: Final[dict[str, tuple[Make, str]]] = {
    "certificate missing": (removed("certificate"), C + r"there is no such file; correct the path"),
    "key missing": (removed("key"), K + r"there is no such file; correct the path"),
    "dangling link": (dangling, C + r"the link leads to a file that is not there; write that file"),
    "folder": (folder, r"tls_certificate = \S+: this is a folder; name a file in it"),
    "certificate empty": (changed(lambda _: b""), C + r"the file is empty; write it again"),
    "key empty": (changed(lambda _: b"\n", "key"), K + r"the file is empty; write it again"),
    "certificate in DER": (changed(der_of), C + r"the file is binary \(DER\), not PEM; convert it: openssl x509 "),
    "key in DER": (changed(key_der, "key"), K + r"the file is binary \(DER\), not PEM; convert it: openssl pkey "),
    "certificate of text": (changed(lambda _: b"hello"), C + r"the file is not PEM: .*; name the file that the CA"),
    "half a certificate": (
        changed(lambda files: files.certificate.read_bytes()[:300]), C + r"the CERTIFICATE in line 1 has no end; copy",
    ),
    "damaged certificate": (
        changed(lambda files: files.certificate.read_bytes().replace(b"\nMII", b"\nQII", 1)),
        C + r"the certificate in line 1 cannot be read: this is no certificate.*; copy the file anew",
    ),
    "byte order mark": (
        changed(lambda files: b"\xef\xbb\xbf" + files.certificate.read_bytes()),
        C + r"the file begins with a byte order mark; save it as plain ASCII",
    ),
    "swapped": (swapped, r"tls_certificate = \S+a\.key: this is the private key, and .* is the certificate; swap the"),
    "a key for a certificate": (
        changed(lambda files: files.key.read_bytes()), C + r"the file has a private key and no certificate; name the",
    ),
    "a certificate for a key": (
        changed(lambda files: files.certificate.read_bytes(), "key"),
        K + r"the file has a certificate and no private key; name the key",
    ),
    "request": (changed(request_for), C + r"the file has a certificate request \(CSR\); name the certificate that"),
    "no key at all": (alone, C + r"the file has no private key; name the file of the key in tls_key"),
    "other key": (other_key, K + r"the key does not belong to the certificate \S+a\.pem; name the key that"),
    "CA first": (ca_first, K + r".* the file begins with the CA's; put the server's own certificate first"),
    "encrypted, no passphrase": (
        encrypted(None), K + r"the key is encrypted; name a file with its passphrase in tls_key_passphrase_file",
    ),
    "wrong passphrase": (
        encrypted("wrong"), r"tls_key_passphrase_file = \S+: the passphrase .* does not open the key \S+a\.key; write",
    ),
    "empty passphrase": (encrypted("\nx"), r"tls_key_passphrase_file = \S+: its first line is empty; write"),
    "encrypted and not called so": (hidden, K + r"OpenSSL does not take the key or the certificate"),
    "weak key": (weak, C + r"the key of a certificate is too weak for this system .*; get one for P-256"),
    "cipher list": (
        with_setting("tls_ciphers", lambda _: "HIGHER"), r"tls_ciphers = HIGHER: OpenSSL has no suite .* for HIGHER; ",
    ),
    "CA file missing": (
        with_setting("tls_client_ca", lambda pki: pki.folder / "ca.pem"),
        r"tls_client_ca = \S+ca\.pem: there is no such file; correct the path",
    ),
    "CA file without a CA": (
        ca(lambda pki: pki.issue("c.example").certificate.read_bytes()),
        r"tls_client_ca = \S+: none of its certificates is a CA \(c\.example .*; name the file of the CA",
    ),
    "CA file with a key": (
        ca(lambda pki: pki.issue("c.example").key.read_bytes()),
        r"tls_client_ca = \S+: the file has a private key and no certificate; ",
    ),
    "more keys than certificates": (two_keys, r"tls_key = \S.*: names 2 files, and tls_certificate 1 file: give"),
    "no folder for challenges": (
        lambda pki: of(
            pki.issue("a.example", stem="a"), redirect_listen="127.0.0.1:0", acme_challenge_folder=pki.folder / "no",
        ),
        r"acme_challenge_folder = \S+no: there is no such folder; make it",
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start in a folder of its own; leave logging as it was."""
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.getLogger("waitressd").level
    configapp.loaded.clear()
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    logging.getLogger("waitressd").setLevel(before[2])


def write(make: Make) -> str:
    settings = make(Pki(Path.cwd()))
    lines = [f"{name} = {value}" for name, value in settings.items()]
    Path("wrong.ini").write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    return "wrong.ini"


def check_message(text: str, expected: str) -> None:
    (line,) = text.strip().splitlines()
    place = re.match(r"wrong\.ini:[6-9] \[server:main\]: ", line)
    assert place, line
    assert re.match(expected, line[place.end() :]), line


@pytest.mark.parametrize(("make", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_pserve_ends_with_the_message_alone(make: Make, expected: str) -> None:
    from pyramid.scripts import pserve

    threads = threading.active_count()
    with pytest.raises(SystemExit) as caught:
        pserve.main(["pserve", write(make)], quiet=True)
    check_message(str(caught.value.code), expected)
    assert nothing_happened(threads)


@pytest.mark.parametrize(("make", "expected"), MISTAKES.values(), ids=MISTAKES)
@pytest.mark.parametrize("flags", [[], ["--check-config"]], ids=["serve", "check"])
def test_our_command_ends_with_status_2(
    make: Make, expected: str, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    threads = threading.active_count()
    assert main([*flags, write(make)]) == 2
    captured = capsys.readouterr()
    check_message(captured.err, expected)
    assert captured.out == ""
    assert nothing_happened(threads)


@pytest.mark.parametrize("command", [PSERVE, ("-m", "waitressd")], ids=["pserve", "waitressd"])
@pytest.mark.parametrize("name", ["encrypted, no passphrase", "wrong passphrase", "encrypted and not called so"])
def test_nobody_is_asked_at_the_terminal(command: tuple[str, ...], name: str) -> None:
    """Where standard input is a terminal, OpenSSL would ask there, and the start would wait for ever."""
    make, expected = MISTAKES[name]
    path = write(make)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent), "PYTHONWARNINGS": "ignore"}
    try:
        done = subprocess.run(
            [sys.executable, *command, path], stdin=theirs, capture_output=True, text=True, timeout=30, check=False,
            env=environment, start_new_session=True,
        )  # fmt: skip
    finally:
        os.close(theirs)
        with contextlib.suppress(OSError):
            os.set_blocking(ours, False)
            assert os.read(ours, 1000) == b""
        os.close(ours)
    assert done.returncode == (1 if command is PSERVE else 2)
    assert done.stdout == ""
    check_message(done.stderr, expected)


def test_they_are_told_together_with_other_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def make(pki: Pki) -> Settings:
        return removed("key")(pki) | {"spool_directory": pki.folder / "gone", "request_log": "nobody:nothing"}

    path = write(make)
    assert main(["--check-config", path]) == 2
    names = [line.split(": ")[1].partition(" =")[0] for line in capsys.readouterr().err.splitlines()]
    assert names == ["spool_directory", "tls_key", "request_log"]


def test_advice_is_given_at_start_and_by_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def make(pki: Pki) -> Settings:
        files = pki.issue("a.example", stem="a", days=3)
        files.key.chmod(0o644)
        return of(files, server_name="b.example")

    assert main(["--check-config", write(make)]) == 0
    codes = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("W")]
    assert codes == ["W121", "W123", "W126", "W128"]
