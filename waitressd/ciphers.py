"""What a list of cipher suites means to OpenSSL here, and whether it protects. Imported where there is such a list."""

import re
import ssl
from typing import Any, Final

GOOD_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
_WORDS: Final = re.compile(r"[:, ]+")


def why_refused(ciphers: str) -> str:
    """Say which words OpenSSL does not know, each by itself, or which suite protects nothing; "" for a good list."""
    words = [word for word in _WORDS.split(ciphers) if word and word[0] not in "!-+@"]
    unknown = [word for word in words if not _suites(word)]
    if unknown:
        return (
            f"OpenSSL has no suite of TLS 1.2 for {' '.join(unknown)}; openssl ciphers -v prints all, "
            "and an empty value is a good choice"
        )
    suites = _suites(ciphers)
    open_ones = [each["name"] for each in suites if not each["strength_bits"] or each.get("auth") == "auth-null"]
    if open_ones or not suites:
        what = f"{open_ones[0]} protects nothing" if open_ones else "no suite is left"
        return f"{what}; write {GOOD_CIPHERS}, or leave the value empty, which is the same"
    return ""


def _suites(ciphers: str) -> list[Any]:
    """Return the suites of TLS 1.2 and before that a text means."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.set_ciphers(ciphers)
    except ssl.SSLError:
        return []
    return [each for each in context.get_ciphers() if each["protocol"] != "TLSv1.3"]
