"""What a server has of TLS, or has not.

Everything else about it is imported where it is configured alone: OpenSSL, certificates, and what looks after them cost
a plain server neither time nor memory.
"""

from typing import TYPE_CHECKING, Any, Protocol

from waitressd.config.adjustments import Adjustments
from waitressd.config.errors import ConfigError, Problem
from waitressd.config.tlsadvice import ServedCertificate

if TYPE_CHECKING:
    from waitressd.certificates import Certificates


class Renews(Protocol):
    """What looks after the certificates of one server; see `renewal.Renewal`."""

    def ask(self) -> None:
        """Have the files looked at by `look_if_asked`. Safe in a signal handler."""

    def look_if_asked(self) -> None:
        """Look at the files if that was asked for. Any thread."""

    def on_tick(self, now: float) -> None:
        """Look at the files when it is time to. The thread inside `run`."""

    def join(self) -> None:
        """Wait a moment for a look that goes on."""

    def figures(self) -> dict[str, Any]:
        """Return what metrics show of the certificates. Any thread."""


class NothingToRenew:
    """What a server without TLS has in the place of a `Renewal`."""

    def ask(self) -> None:
        """See Renews."""

    def look_if_asked(self) -> None:
        """See Renews."""

    def on_tick(self, now: float) -> None:
        """See Renews."""

    def join(self) -> None:
        """See Renews."""

    def figures(self) -> dict[str, Any]:
        """See Renews."""
        return {}


def open_certificates(adjustments: Adjustments) -> "Certificates | None":
    """Read the certificates of a configuration; None without TLS. Raises ConfigError with all that is wrong."""
    if not adjustments.tls_certificate:
        return None
    from waitressd.certificates import Certificates, CertificatesError, load  # noqa: PLC0415 - see the module

    try:
        return Certificates(load(adjustments))
    except CertificatesError as error:
        raise ConfigError(
            Problem(adjustments.origin_of(each.setting).place, f"{each.setting} = {each.path}", each.text)
            for each in error.errors
        ) from None


def renewal_of(adjustments: Adjustments, certificates: "Certificates | None") -> Renews:
    """Return what looks after certificates."""
    if certificates is None:
        return NothingToRenew()
    from waitressd.renewal import Renewal  # noqa: PLC0415 - see the module

    return Renewal(adjustments, certificates)


def served_certificates(certificates: "Certificates | None") -> tuple[ServedCertificate, ...]:
    """Return what advice looks at. Any thread."""
    return () if certificates is None else certificates.loaded.served
