"""The certificates of a server: from its files to what a handshake takes.

Nothing is ever changed in a context that has served a connection: a renewal builds new ones and puts them in the place
of the old ones, by one assignment. Imported only where TLS is configured, since `ssl` costs 15 ms and 2 MiB.
"""

import re
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar

from waitressd.certificatefiles import (
    CertificateError,
    Content,
    Mark,
    are_swapped,
    authorities,
    mark_of,
    read,
    read_passphrase,
)
from waitressd.ciphers import GOOD_CIPHERS, why_refused
from waitressd.config.adjustments import Adjustments
from waitressd.config.tlsadvice import ServedCertificate
from waitressd.config.x509 import Certificate, parse_certificate, pem_blocks
from waitressd.net.tls import prepare

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_VERIFY: Final = {"optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}

_MISMATCH: Final = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})
_TOO_WEAK: Final = re.compile(r"(EE|CA)_(KEY_TOO_SMALL|MD_TOO_WEAK)")
_HOST: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")

T = TypeVar("T")


@dataclass(frozen=True)
class Loaded:
    """All files of one configuration as they were at one moment, and the contexts made of them. Immutable."""

    context: ssl.SSLContext
    served: tuple[ServedCertificate, ...]
    marks: Mapping[str, Mark | None] = field(repr=False)
    digests: Mapping[str, bytes] = field(repr=False)
    """Of what each file had: where they are equal, nothing was renewed."""

    def covers(self, host: str) -> bool:
        """Whether one of the certificates is for this host, in any case of letters."""
        name = host.lower().removesuffix(".")
        return any(each.own.covers(name) for each in self.served)


class Certificates:
    """What a server shows to its clients: the `Credentials` of net.tls. Any thread.

    A handshake that has begun ends with what it began with.
    """

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        """Whoever renews puts another one here, by one assignment."""

    @property
    def context(self) -> ssl.SSLContext:
        """See net.tls.Credentials."""
        return self.loaded.context

    @property
    def host(self) -> str:
        """See net.tls.Credentials."""
        return next(iter(self.loaded.served[0].own.dns_names), "")

    def covers(self, host: str) -> bool:
        """See Loaded."""
        return self.loaded.covers(host)


class CertificatesError(ValueError):
    """Files that cannot be used together; `errors` has what is wrong with each."""

    def __init__(self, errors: Sequence[CertificateError]) -> None:
        super().__init__("\n".join(error.text for error in errors))
        self.errors = tuple(errors)


class Names:
    """Which context is whose: by a name as it is, by a wildcard for one label, or the first. Immutable."""

    def __init__(self, pairs: Iterable[tuple[Certificate, ssl.SSLContext]]) -> None:
        self._contexts: dict[str, ssl.SSLContext] = {}
        for certificate, context in pairs:
            for name in certificate.dns_names:
                self._contexts.setdefault(name, context)

    def find(self, name: str) -> ssl.SSLContext | None:
        """Return the context for a name in lower case, or None."""
        return self._contexts.get(name) or self._contexts.get("*." + name.partition(".")[2])

    def choose(self, sock: Any, name: str | None, context: ssl.SSLContext) -> None:  # noqa: ANN401 - see below
        """Take the certificate for the name that a client asks for: the callback of `ssl`, in a handshake.

        It never changes what is asked of the client: OpenSSL takes that from the context that the handshake began
        with, which is why all contexts ask the same. `sock` is an SSLSocket, whatever the type stubs say.
        """
        if name is None:
            return
        name = name.lower().removesuffix(".")
        # The name is kept, and shown in logs: it must be one.
        if _HOST.fullmatch(name):
            sock.server_hostname = name
            found = self.find(name)
            if found is not None and found is not context:
                sock.context = found


class _Quiet:
    """The hook for exceptions that nobody can catch, without those of names that clients ask for.

    Before its callback is called, `ssl` decodes the name as ASCII; where that fails, the handshake does, and Python
    writes a traceback to standard error. Any client could fill a log with that, or hang the thread that serves.
    """

    def __init__(self, former: Callable[[Any], object]) -> None:
        self._former = former

    def __call__(self, unraisable: Any) -> None:  # noqa: ANN401 - sys.UnraisableHookArgs exists for type checkers alone
        if not self._is_about_a_name(unraisable):
            self._former(unraisable)

    @staticmethod
    def _is_about_a_name(unraisable: Any) -> bool:  # noqa: ANN401 - the same
        error, what = unraisable.exc_value, unraisable.object
        if isinstance(error, UnicodeDecodeError):
            # The object is the name; from CPython 3.14 on, the text has it.
            return error.object == what or "servername" in (unraisable.err_msg or "")
        # PyPy goes on without the name, which it misses next.
        return isinstance(error, UnboundLocalError) and getattr(what, "__func__", None) is Names.choose

    @classmethod
    def install(cls) -> None:
        """Put it before the one that is there; a second time changes nothing."""
        if not isinstance(sys.unraisablehook, cls):
            sys.unraisablehook = cls(sys.unraisablehook)


def files_of(adjustments: Adjustments) -> list[str]:
    """List every file that is read, each once."""
    others = (adjustments.tls_key_passphrase_file, adjustments.tls_client_ca)
    return list(dict.fromkeys(filter(None, (*adjustments.tls_certificate, *adjustments.tls_key, *others))))


def load(adjustments: Adjustments) -> Loaded:
    """Read the files and build the contexts. Raises CertificatesError with everything that is wrong."""
    return _Loader(adjustments).load()


@dataclass(frozen=True)
class _Pair:
    """A certificate with its chain and its key, as the files have them."""

    certificate: Content
    key: Content
    chain: tuple[Certificate, ...]


class _Loader:
    """One reading of all files; what is wrong is gathered in `errors`."""

    def __init__(self, adjustments: Adjustments) -> None:
        self._adjustments = adjustments
        self._errors: list[CertificateError] = []
        self._digests: dict[str, bytes] = {}
        self._passphrase: bytes | None = None
        self._client_cas: Sequence[Certificate] = ()

    def load(self) -> Loaded:
        """See `load`."""
        adjustments = self._adjustments
        marks = {path: mark_of(path) for path in files_of(adjustments)}
        if adjustments.tls_key_passphrase_file:
            self._passphrase = self._try(lambda: read_passphrase(adjustments.tls_key_passphrase_file))
        pairs = [pair for pair in map(self._pair, range(len(adjustments.tls_certificate))) if pair is not None]
        if adjustments.tls_client_ca:
            self._client_cas = self._try(self._authorities) or ()
        if (ciphers := adjustments.tls_ciphers) and (trouble := why_refused(ciphers)):
            self._errors.append(CertificateError("tls_ciphers", ciphers, trouble))
        contexts = [] if self._errors else self._contexts(pairs)
        if not self._errors and marks != {path: mark_of(path) for path in marks}:
            text = "a file was changed while it was read; start again"
            self._errors.append(
                CertificateError("tls_certificate", adjustments.tls_certificate[0], text, may_pass=True)
            )
        if self._errors:
            raise CertificatesError(self._errors)
        return Loaded(contexts[0], tuple(map(_served, pairs)), marks, self._digests)

    def _try(self, step: Callable[[], T]) -> T | None:
        try:
            return step()
        except CertificateError as error:
            self._errors.append(error)
            return None

    def _read(self, setting: str, path: str) -> Content | None:
        content = self._try(lambda: read(setting, path))
        if content is not None:
            self._digests[path] = sha256(content.raw).digest()
        return content

    def _pair(self, index: int) -> _Pair | None:
        """Read one certificate and its key; None when something is wrong with them."""
        adjustments = self._adjustments
        certificate = self._read("tls_certificate", adjustments.tls_certificate[index])
        key = self._read("tls_key", adjustments.tls_key[index]) if adjustments.tls_key else certificate
        if certificate is None or key is None:
            return None
        if are_swapped(certificate, key):
            text = f"this is the private key, and tls_key = {key.path} is the certificate; swap the two"
            self._errors.append(certificate.error(text))
            return None
        chain = self._try(certificate.certificates)
        if chain is None and key is certificate:
            return None  # one sentence about a file is enough
        block = self._try(key.private_key)
        if block is not None and block.is_encrypted and not adjustments.tls_key_passphrase_file:
            text = (
                "the key is encrypted; name a file with its passphrase in tls_key_passphrase_file, or decrypt a copy: "
                f"openssl pkey -in {key.path} -out NEW.pem"
            )
            self._errors.append(key.error(text))
        return None if chain is None or block is None else _Pair(certificate, key, chain)

    def _authorities(self) -> Sequence[Certificate]:
        content = read("tls_client_ca", self._adjustments.tls_client_ca)
        self._digests[content.path] = sha256(content.raw).digest()
        return authorities(content)

    def _contexts(self, pairs: Sequence[_Pair]) -> list[ssl.SSLContext]:
        """Build a context for each certificate; each of them can choose another by name."""
        found = [self._try(partial(self._context, pair, pairs)) for pair in pairs]
        contexts = [context for context in found if context is not None]
        if not self._errors:
            names = Names((pair.chain[0], context) for pair, context in zip(pairs, contexts, strict=True))
            _Quiet.install()
            for context in contexts:
                context.sni_callback = names.choose
        return contexts

    def _context(self, pair: _Pair, pairs: Sequence[_Pair]) -> ssl.SSLContext:
        adjustments = self._adjustments
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        prepare(context)
        context.minimum_version = _VERSIONS[adjustments.tls_min_version]
        context.set_ciphers(adjustments.tls_ciphers or GOOD_CIPHERS)
        if self._client_cas:
            self._ask_clients(context)
        try:
            self._load_chain(context, pair.certificate.path, pair.key.path)
        except ssl.SSLError as error:
            raise self._refused(error, pair, pairs) from None
        except OSError as error:  # it was there a moment ago
            raise pair.certificate.error(f"it cannot be read: {error.strerror or error}", may_pass=True) from None
        return context

    def _ask_clients(self, context: ssl.SSLContext) -> None:
        """Have clients show a certificate."""
        try:
            context.load_verify_locations(cadata=b"".join(ca.der for ca in self._client_cas))
        except ssl.SSLError as error:
            text = f"OpenSSL does not take its certificates ({_words(error.reason or '')}); copy the file anew"
            raise CertificateError("tls_client_ca", self._adjustments.tls_client_ca, text, may_pass=True) from None
        context.verify_mode = _VERIFY[self._adjustments.tls_client_verify]
        # A CA that is itself signed by another is accepted as it is; that other one is not.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN

    def _load_chain(self, context: ssl.SSLContext, certificate: str, key: str) -> None:
        # With a passphrase at hand, whatever it is, OpenSSL does not ask for one at the terminal.
        context.load_cert_chain(certificate, key, password=self._passphrase or b"")

    def _refused(self, error: ssl.SSLError, pair: _Pair, pairs: Sequence[_Pair]) -> CertificateError:
        """Say in words what OpenSSL does not like about a certificate and its key."""
        reason = error.reason or ""
        if reason in _MISMATCH:
            return self._mismatch(pair, pairs)
        if _TOO_WEAK.fullmatch(reason):
            what = "signature" if "MD" in reason else "key"
            text = f"the {what} of a certificate is too weak for this system ({_words(reason)}); get one for P-256"
            return pair.certificate.error(text)
        block = pair.key.private_key()
        if block.is_encrypted:
            path = self._adjustments.tls_key_passphrase_file
            text = f"the passphrase in it does not open the key {pair.key.path}; write the right one there"
            return CertificateError("tls_key_passphrase_file", path, text)
        text = (
            f"OpenSSL does not take the key or the certificate ({_words(reason) or 'no reason given'}); make new ones"
        )
        return pair.key.error(text, may_pass=True)

    def _mismatch(self, pair: _Pair, pairs: Sequence[_Pair]) -> CertificateError:
        certificate, key = pair.certificate.path, pair.key.path
        both = f"the key does not belong to the certificate {certificate}"
        for index, each in enumerate(pair.chain):
            if index and self._fits(each, key):
                text = (
                    f"the key belongs to the certificate number {index + 1} in {certificate}, and the file begins with "
                    "the CA's; put the server's own certificate first"
                )
                return pair.key.error(text, may_pass=True)
        other = next((each for each in pairs if each is not pair and self._fits(each.chain[0], key)), None)
        if other is not None:
            return pair.key.error(f"{both}, but to {other.certificate.path}; name both in one order", may_pass=True)
        text = f"{both}; name the key that the certificate was made for"
        return pair.key.error(text, may_pass=True)

    def _fits(self, certificate: Certificate, key: str) -> bool:
        """Whether a key is that of a certificate. OpenSSL takes files alone, so the certificate becomes one."""
        with tempfile.NamedTemporaryFile("w", encoding="ascii", suffix=".pem") as file:
            file.write(ssl.DER_cert_to_PEM_cert(certificate.der))
            file.flush()
            try:
                self._load_chain(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), file.name, key)
            except (ssl.SSLError, OSError):
                return False
        return True


def _words(reason: str) -> str:
    return reason.replace("_", " ").lower().replace("ee key", "its key").replace("ca key", "a CA's key")


def _served(pair: _Pair) -> ServedCertificate:
    own = pair.chain[0]
    known = not own.is_self_signed and all(each.subject != own.issuer for each in pair.chain[1:])
    return ServedCertificate(
        path=pair.certificate.path,
        chain=pair.chain,
        key_path=pair.key.path,
        key_mode=pair.key.mode,
        is_issuer_known=known and own.issuer in _subjects_of_the_system(),
    )


def _subjects_of_the_system() -> set[bytes]:
    """Return the names of the CAs that this system trusts, as far as they can be found."""
    paths = ssl.get_default_verify_paths()
    files = [Path(paths.cafile)] if paths.cafile else []
    if not files and paths.capath:
        files = [path for path in Path(paths.capath).iterdir() if path.suffix.removeprefix(".").isdigit()]
    found = set()
    for file in files:
        with suppress(OSError, ValueError):
            for block in pem_blocks(file.read_bytes()):
                if block.is_certificate:
                    with suppress(ValueError):
                        found.add(parse_certificate(block.data).subject)
    return found
