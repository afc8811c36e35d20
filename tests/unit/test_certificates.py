"""Certificates: the right one for each name, clients with theirs, and a sentence for each mistake."""

import gc
import socket
import ssl
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import PrivateFormat

from tests.support.handshakes import client_context, shaken_hands
from tests.support.pki import Files, Pki, encrypt, openssl
from waitressd.certificates import Certificates, CertificatesError, Names, files_of, load
from waitressd.config.adjustments import Adjustments


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


def several(*files: Files) -> dict[str, Any]:
    return {"tls_certificate": [file.certificate for file in files], "tls_key": [file.key for file in files]}


def loaded(**settings: Any) -> Certificates:
    return Certificates(load(Adjustments.from_keywords(**settings)))


def names_shown(server: ssl.SSLContext, name: str | None) -> list[str]:
    """Return the names in the certificate that a client gets."""
    with shaken_hands(server, client_context(None), name) as (_, theirs):
        der = theirs.getpeercert(binary_form=True)
    assert der is not None
    text = openssl("x509", "-inform", "der", "-noout", "-ext", "subjectAltName", data=der)
    return [word.removeprefix("DNS:").strip(",") for word in text.split() if word.startswith("DNS:")]


# -- names


def test_the_name_that_a_client_asks_for_chooses(pki: Pki) -> None:
    files = [pki.issue(*names) for names in (("a.example",), ("*.b.example",), ("one.b.example", "c.example"))]
    certificates = loaded(**several(*files))
    for name, expected in (
        ("a.example", "a.example"),
        ("A.Example", "a.example"),
        ("two.b.example", "*.b.example"),
        ("one.b.example", "one.b.example"),
        ("c.example", "one.b.example"),
        ("b.example", "a.example"),
        ("x.two.b.example", "a.example"),
        ("unknown.example", "a.example"),
        (None, "a.example"),
    ):
        assert names_shown(certificates.context, name)[0] == expected
    assert certificates.host == "a.example"
    assert [certificates.covers(host) for host in ("C.example", "x.b.example.", "b.example", "")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_the_name_is_kept_with_the_connection_if_it_is_one(pki: Pki) -> None:
    certificates = loaded(**pki.issue("a.example").settings)
    for name, expected in (("Shop.Example", "shop.example"), (None, None), ("a_b.example", "a_b.example")):
        with shaken_hands(certificates.context, client_context(None), name) as (ours, _):
            assert ours.server_hostname == expected


@pytest.mark.parametrize("octet", [b"\n", b"\x1b", b"\xff", b'"', b" "])
def test_a_name_that_is_none_is_not_kept_and_says_nothing(
    pki: Pki, octet: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    certificates = loaded(**pki.issue("a.example").settings)
    hello = hello_for("abcdefg.example").replace(b"abcdefg", b"abc" + octet + b"efg")
    ends = socket.socketpair()
    with ends[0], ends[1], certificates.context.wrap_socket(
        ends[0], server_side=True, do_handshake_on_connect=False
    ) as ours:  # fmt: skip
        ours.setblocking(False)
        ends[1].sendall(hello)
        with pytest.raises(ssl.SSLError):
            ours.do_handshake()
        assert ours.server_hostname is None
    assert capsys.readouterr().err == ""


def hello_for(name: str) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context(None).wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


# -- what a handshake may be


def test_old_versions_and_weak_suites_are_refused(pki: Pki) -> None:
    certificates = loaded(**pki.issue("a.example", key_type=trustme.KeyType.RSA).settings)
    assert certificates.context.minimum_version is ssl.TLSVersion.TLSv1_2
    suites = [suite["name"] for suite in certificates.context.get_ciphers() if suite["protocol"] != "TLSv1.3"]
    assert suites
    assert all(name.startswith("ECDHE-") and ("GCM" in name or "CHACHA20" in name) for name in suites)
    for suite in ("AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA"):
        client = client_context(None, maximum_version=ssl.TLSVersion.TLSv1_2)
        client.set_ciphers(suite)
        with pytest.raises(ssl.SSLError), shaken_hands(certificates.context, client, "a.example"):
            pass


def test_the_oldest_version_and_the_suites_are_settings(pki: Pki) -> None:
    settings = pki.issue("a.example").settings
    newest = loaded(**settings, tls_min_version="1.3")
    client = client_context(None, maximum_version=ssl.TLSVersion.TLSv1_2)
    with pytest.raises(ssl.SSLError), shaken_hands(newest.context, client, "a.example"):
        pass
    chosen = loaded(**settings, tls_ciphers="ECDHE-ECDSA-CHACHA20-POLY1305")
    with shaken_hands(chosen.context, client, "a.example") as (ours, _):
        assert ours.cipher() == ("ECDHE-ECDSA-CHACHA20-POLY1305", "TLSv1.2", 256)
    with shaken_hands(chosen.context, client_context(None), "a.example") as (ours, _):
        assert ours.version() == "TLSv1.3"


def test_http_1_1_is_what_is_spoken(pki: Pki) -> None:
    certificates = loaded(**pki.issue("a.example").settings)
    client = client_context(None)
    client.set_alpn_protocols(["h2", "http/1.1"])
    with shaken_hands(certificates.context, client, "a.example") as (_, theirs):
        assert theirs.selected_alpn_protocol() == "http/1.1"


# -- keys


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("kind", list(trustme.KeyType))
def test_an_encrypted_key_is_opened_by_the_passphrase(pki: Pki, kind: trustme.KeyType, form: PrivateFormat) -> None:
    files = pki.issue("a.example", key_type=kind)
    encrypt(files, b"a secret", form)
    passphrase = pki.path("passphrase", "a secret\n")
    certificates = loaded(**files.settings, tls_key_passphrase_file=passphrase)
    assert names_shown(certificates.context, "a.example") == ["a.example"]


def test_one_file_may_have_both(pki: Pki) -> None:
    files = pki.issue("a.example")
    both = pki.path("both.pem", files.certificate.read_bytes() + files.key.read_bytes())
    assert names_shown(loaded(tls_certificate=both).context, None) == ["a.example"]


def test_the_chain_is_sent(pki: Pki) -> None:
    deep = pki.ca.create_child_ca().create_child_ca().issue_cert("deep.example")
    certificates = loaded(**pki.write(deep, "deep").settings)
    with shaken_hands(certificates.context, client_context(pki.authority()), "deep.example") as (_, theirs):
        assert theirs.version() == "TLSv1.3"


# -- clients with certificates


@pytest.fixture
def clients(pki: Pki) -> Pki:
    folder = pki.folder / "clients"
    folder.mkdir()
    return Pki(folder)


def with_certificate(client: ssl.SSLContext, files: Files) -> ssl.SSLContext:
    client.load_cert_chain(files.certificate, files.key)
    return client


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("verify", ["required", "optional"])
@pytest.mark.parametrize("name", ["a.example", "b.example", "unknown.example", None])
def test_whose_certificates_are_accepted(
    pki: Pki, clients: Pki, version: ssl.TLSVersion, verify: str, name: str | None
) -> None:
    """The name that a client asks for changes nothing of what is asked of it."""
    server = loaded(
        **several(pki.issue("a.example"), pki.issue("b.example")),
        tls_client_ca=clients.authority(), tls_client_verify=verify,
    ).context  # fmt: skip
    stranger = Pki(pki.folder).issue("stranger@example.org")
    expired = clients.issue("late@example.org", days=-1, age_days=9)
    good = clients.issue("ann@example.org")

    def shake(files: Files | None) -> bool:
        """Whether the server got a certificate, having accepted the connection."""
        client = client_context(None, minimum_version=version, maximum_version=version)
        with shaken_hands(server, client if files is None else with_certificate(client, files), name) as (ours, _):
            return bool(ours.getpeercert())

    assert shake(good)
    for files in (stranger, expired):
        with pytest.raises(ssl.SSLError):
            shake(files)
    if verify == "optional":
        assert not shake(None)
    else:
        with pytest.raises(ssl.SSLError):
            shake(None)


def test_a_ca_that_another_has_signed_is_accepted_alone(pki: Pki, clients: Pki) -> None:
    middle = clients.ca.create_child_ca()
    ca = clients.path("middle.pem", middle.cert_pem.bytes())
    server = loaded(**pki.issue("a.example").settings, tls_client_ca=ca).context
    good = clients.write(middle.issue_cert("ann@example.org"), "ann")
    with shaken_hands(server, with_certificate(client_context(None), good), "a.example") as (ours, _):
        assert ours.getpeercert()
    above = clients.issue("bob@example.org")
    client = with_certificate(client_context(None), above)
    with pytest.raises(ssl.SSLError), shaken_hands(server, client, "a.example"):
        pass


def test_a_certificate_of_no_ca_in_the_file_is_no_authority(pki: Pki, clients: Pki) -> None:
    leaf = clients.issue("ann@example.org")
    mixed = clients.path("mixed.pem", leaf.certificate.read_bytes() + Pki(clients.folder).authority().read_bytes())
    server = loaded(**pki.issue("a.example").settings, tls_client_ca=mixed).context
    client = with_certificate(client_context(None), leaf)
    with pytest.raises(ssl.SSLError), shaken_hands(server, client, "a.example"):
        pass


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_brings_its_certificate_along_and_is_of_no_use_elsewhere(
    pki: Pki, clients: Pki, version: ssl.TLSVersion
) -> None:
    settings = several(pki.issue("a.example"), pki.issue("b.example"))
    asking = loaded(**settings, tls_client_ca=clients.authority()).context
    open_to_all = loaded(**settings).context
    versions = {"minimum_version": version, "maximum_version": version}
    ann = with_certificate(client_context(None, **versions), clients.issue("ann@example.org"))
    nobody = client_context(None, **versions)
    with shaken_hands(asking, ann, "a.example") as (ours, theirs):
        known = theirs.session
    for name in ("a.example", "b.example"):
        with shaken_hands(asking, ann, name, known) as (ours, theirs):
            assert ours.getpeercert()
    with shaken_hands(open_to_all, nobody, "a.example") as (_, theirs):
        foreign = theirs.session
    with pytest.raises(ssl.SSLError), shaken_hands(asking, nobody, "a.example", foreign):
        pass


# -- mistakes


def complaint(**settings: Any) -> str:
    with pytest.raises(CertificatesError) as caught:
        loaded(**settings)
    return "\n".join(f"{error.setting} = {error.path}: {error.text}" for error in caught.value.errors)


def test_a_key_of_another_certificate(pki: Pki) -> None:
    for kind in trustme.KeyType:
        one, two = pki.issue("one.example"), pki.issue("two.example", key_type=kind)
        assert complaint(tls_certificate=one.certificate, tls_key=two.key) == (
            f"tls_key = {two.key}: the key does not belong to the certificate {one.certificate}; "
            "name the key that the certificate was made for"
        )
    one, two = pki.issue("one.example"), pki.issue("two.example")
    crossed = complaint(tls_certificate=[one.certificate, two.certificate], tls_key=[two.key, one.key])
    assert crossed.splitlines()[0].endswith(f", but to {two.certificate}; name both in one order")


def test_a_file_that_begins_with_the_ca(pki: Pki) -> None:
    leaf = pki.ca.create_child_ca().issue_cert("a.example")
    files = pki.write(leaf, "a")
    own, middle = leaf.cert_chain_pems
    files.certificate.write_bytes(middle.bytes() + own.bytes())
    assert "the file begins with the CA's; put the server's own certificate first" in complaint(**files.settings)


def test_two_files_in_each_others_place_are_one_mistake(pki: Pki) -> None:
    files = pki.issue("a.example")
    assert complaint(tls_certificate=files.key, tls_key=files.certificate) == (
        f"tls_certificate = {files.key}: this is the private key, and tls_key = {files.certificate} is the "
        "certificate; swap the two"
    )


def test_passphrases_that_do_not_open_and_that_are_missing(pki: Pki) -> None:
    files = pki.issue("a.example")
    encrypt(files, b"right")
    wrong = pki.path("passphrase", "wrong\n")
    assert complaint(**files.settings, tls_key_passphrase_file=wrong) == (
        f"tls_key_passphrase_file = {wrong}: the passphrase in it does not open the key {files.key}; "
        "write the right one there"
    )
    assert "the key is encrypted; name a file with its passphrase in tls_key_passphrase_file" in complaint(
        **files.settings
    )
    assert "its first line is empty" in complaint(**files.settings, tls_key_passphrase_file=pki.path("empty", "\nx"))


def test_a_key_that_this_system_finds_too_weak(pki: Pki) -> None:
    openssl("req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", f"{pki.folder}/weak.key",
            "-out", f"{pki.folder}/weak.pem", "-subj", "/CN=weak")  # fmt: skip
    text = complaint(tls_certificate=pki.folder / "weak.pem", tls_key=pki.folder / "weak.key")
    assert "is too weak for this system (its key too small); get one for P-256" in text


def test_keys_that_are_whole_and_make_no_sense(pki: Pki) -> None:
    files = pki.issue("a.example")
    files.key.write_text("-----BEGIN PRIVATE KEY-----\nMAMCAQA=\n-----END PRIVATE KEY-----\n")
    assert "OpenSSL does not take the key or the certificate" in complaint(**files.settings)


@pytest.mark.parametrize(
    ("ciphers", "expected"),
    [
        ("NONSENSE", "OpenSSL has no suite of TLS 1.2 for NONSENSE; "),
        ("ECDHE+AESGCM:ECHDE+CHACHA20", "OpenSSL has no suite of TLS 1.2 for ECHDE+CHACHA20; "),
        ("TLS_AES_128_GCM_SHA256", "OpenSSL has no suite of TLS 1.2 for TLS_AES_128_GCM_SHA256; "),
        ("!aNULL", "no suite is left; "),
        ("ECDHE+AESGCM:eNULL", " protects nothing; "),
    ],
)
def test_lists_of_suites(pki: Pki, ciphers: str, expected: str) -> None:
    assert expected in complaint(**pki.issue("a.example").settings, tls_ciphers=ciphers)


def test_a_file_of_cas_without_a_ca(pki: Pki) -> None:
    files = pki.issue("a.example")
    assert "none of its certificates is a CA" in complaint(**files.settings, tls_client_ca=files.certificate)


def test_everything_that_is_wrong_is_said_together(pki: Pki) -> None:
    files = pki.issue("a.example")
    lines = complaint(
        tls_certificate=[pki.folder / "gone.pem", files.certificate], tls_key=[files.key, pki.folder / "gone.key"],
        tls_client_ca=files.key, tls_ciphers="NONSENSE", tls_key_passphrase_file=pki.folder / "gone",
    ).splitlines()  # fmt: skip
    assert [line.partition(" =")[0] for line in lines] == [
        "tls_key_passphrase_file", "tls_certificate", "tls_key", "tls_client_ca", "tls_ciphers",
    ]  # fmt: skip


def test_nobody_is_asked_for_a_passphrase(pki: Pki) -> None:
    """Even where a key is encrypted in a way that its file does not say, the start ends with a sentence."""
    files = pki.issue("a.example")
    encrypt(files, b"right")
    text = files.key.read_text().replace("ENCRYPTED PRIVATE KEY", "PRIVATE KEY")
    files.key.write_text(text)
    assert "OpenSSL does not take the key or the certificate" in complaint(**files.settings)


# -- what stays behind


def open_descriptors() -> int:
    """Count them, where the system tells."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def count_contexts() -> int:
    """Count them by their types: what other tests have left may not like to be asked for its class."""
    gc.collect()
    return sum(issubclass(type(each), ssl.SSLContext) for each in gc.get_objects())


def test_loading_again_and_again_leaves_nothing(pki: Pki) -> None:
    settings = Adjustments.from_keywords(**several(pki.issue("a.example"), pki.issue("b.example")))
    assert files_of(settings) == [*settings.tls_certificate, *settings.tls_key]
    before, contexts = open_descriptors(), count_contexts()
    first = load(settings)
    for _ in range(20):
        assert load(settings).digests == first.digests
    del first
    gc.collect()
    assert count_contexts() <= contexts
    assert open_descriptors() == before


def test_other_exceptions_that_nobody_catches_are_still_told(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_value))

    class Fails:
        def __del__(self) -> None:
            raise LookupError

    for _ in range(2):
        load(Adjustments.from_keywords(**pki.issue("a.example").settings))
    Fails()
    gc.collect()
    assert [type(error) for error in told] == [LookupError]


NAME = b"abc\xffdef"
WRONG = UnicodeDecodeError("ascii", NAME, 3, 4, "ordinal not in range(128)")


@pytest.mark.parametrize(
    ("error", "text", "what", "count"),
    [
        (WRONG, None, NAME, 0),  # CPython up to 3.13
        (WRONG, f"Exception ignored in ssl servername callback while decoding name {NAME!r}", None, 0),  # from 3.14
        (WRONG, None, b"another", 1),
        (UnboundLocalError("name"), None, Names(()).choose, 0),  # PyPy, after the first
        (UnboundLocalError("name"), None, print, 1),
        (LookupError(), None, Names(()).choose, 1),
    ],
)
def test_what_each_interpreter_says_of_a_wrong_name_is_kept_quiet(
    pki: Pki, monkeypatch: pytest.MonkeyPatch, error: Exception, text: str | None, what: object, count: int
) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_value))
    load(Adjustments.from_keywords(**pki.issue("a.example").settings))
    sys.unraisablehook(cast("Any", SimpleNamespace(exc_value=error, err_msg=text, object=what)))
    assert told == [error] * count
