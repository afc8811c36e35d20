"""Certificates as values: the blocks of a PEM file (RFC 7468), and what an X.509 certificate says (RFC 5280).

Reads what an operator may have to be told and what a name is looked up by; verifies nothing, which is the business of
OpenSSL. Knows no files and no clock. What is no PEM or no certificate raises ValueError and nothing else.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from ipaddress import ip_address
from typing import Final

CERTIFICATE_LABELS: Final = frozenset({"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"})
KEY_LABELS: Final = frozenset(
    {"PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY"}
)

_NO_CERTIFICATE: Final = "this is no certificate"
_BEGIN: Final = re.compile(r"-----BEGIN ([^\r\n-]{1,64})-----")
_TIME: Final = re.compile(rb"([0-9]{2}|[0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})Z")

_BOOLEAN: Final = 0x01
_INTEGER: Final = 0x02
_OCTET_STRING: Final = 0x04
_OID: Final = 0x06
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0  # [0] of TBSCertificate
_EXTENSIONS: Final = 0xA3  # [3] of TBSCertificate
_DNS_NAME: Final = 0x82  # [2] of GeneralName
_IP_ADDRESS: Final = 0x87  # [7] of GeneralName

_COMMON_NAME: Final = bytes.fromhex("550403")
_SUBJECT_ALT_NAME: Final = bytes.fromhex("551d11")
_BASIC_CONSTRAINTS: Final = bytes.fromhex("551d13")
_RSA: Final = bytes.fromhex("2a864886f70d010101")
_PKCS7_DATA: Final = bytes.fromhex("2a864886f70d0107")  # the beginning of several

# How a directory string is written: UTF8String, PrintableString, TeletexString, IA5String, BMPString.
_ENCODINGS: Final = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}


@dataclass(frozen=True, slots=True)
class PemBlock:
    """One block of a PEM file: what it says it is, the line that it begins in, and its content."""

    label: str
    line: int
    data: bytes
    is_encrypted: bool

    @property
    def is_certificate(self) -> bool:
        """Whether it holds a certificate."""
        return self.label in CERTIFICATE_LABELS

    @property
    def is_key(self) -> bool:
        """Whether it holds a private key that OpenSSL reads."""
        return self.label in KEY_LABELS


def pem_blocks(content: bytes) -> list[PemBlock]:
    """Find every block; text between them is a comment. Raises ValueError that names the line of a broken one."""
    blocks = []
    lines = enumerate(content.decode("latin-1").split("\n"), 1)
    for number, line in lines:
        if match := _BEGIN.fullmatch(line.rstrip()):
            blocks.append(_block(match[1], number, lines))
    return blocks


def _block(label: str, number: int, lines: "enumerate[str]") -> PemBlock:
    """Read to the end of a block. Its head (RFC 1421) has a colon in every line, and says whether it is encrypted."""
    end = f"-----END {label}-----"
    body = []
    is_encrypted = label == "ENCRYPTED PRIVATE KEY"
    for _, raw in lines:
        line = raw.strip()
        if line == end:
            break
        if line.startswith("-----"):
            raise ValueError(f"the {label} in line {number} has no end")
        if ":" in line:
            is_encrypted = is_encrypted or ("Proc-Type" in line and "ENCRYPTED" in line)
        else:
            body.append(line)
    else:
        raise ValueError(f"the {label} in line {number} has no end")
    try:
        data = binascii.a2b_base64("".join(body), strict_mode=True)
    except binascii.Error:
        raise ValueError(f"the {label} in line {number} is damaged (it is not base64)") from None
    return PemBlock(label, number, data, is_encrypted)


@dataclass(frozen=True)
class Certificate:
    """What a certificate says. Names are as clients look them up: lower case, without a final dot."""

    der: bytes
    serial: int
    issuer: bytes
    """The name in DER; that of the issuer's certificate is the same octets in practice."""
    subject: bytes
    not_before: datetime
    not_after: datetime
    public_key: bytes
    """SubjectPublicKeyInfo in DER."""
    extensions: dict[bytes, bytes]
    """The value of each extension in DER, by the octets of its OID."""

    @cached_property
    def dns_names(self) -> tuple[str, ...]:
        """The host names it is for, wildcards with their asterisk."""
        return tuple(
            text.decode("ascii", "replace").lower().removesuffix(".")
            for tag, text in self._alternative_names
            if tag == _DNS_NAME
        )

    @cached_property
    def addresses(self) -> tuple[str, ...]:
        """The IP addresses it is for."""
        return tuple(
            str(ip_address(data))
            for tag, data in self._alternative_names
            if tag == _IP_ADDRESS and len(data) in (4, 16)  # those of 8 and 32 are networks, of CAs alone
        )

    @property
    def name(self) -> str:
        """What to call it in a sentence: its first name, or else its subject's common name."""
        return next(iter((*self.dns_names, *self.addresses)), "") or self.common_name or "without a name"

    @cached_property
    def common_name(self) -> str:
        """The last common name of its subject, or nothing."""
        return _common_name(self.subject)

    @property
    def is_self_signed(self) -> bool:
        """Whether it names itself as its issuer."""
        return self.issuer == self.subject

    @cached_property
    def is_ca(self) -> bool:
        """Whether it may sign others: basicConstraints says so, or it is a root from before there were extensions."""
        value = self.extensions.get(_BASIC_CONSTRAINTS)
        if value is None:
            return self.is_self_signed and not self.extensions
        (_, content), *_ = _elements(value)
        first = next(iter(_elements(content)), None)
        return first is not None and first[0] == _BOOLEAN and first[1] != b"\0"

    @cached_property
    def rsa_bits(self) -> int:
        """The length of an RSA key; 0 for another kind of key."""
        (_, content), *_ = _elements(self.public_key)
        algorithm, key = _sequence(content, 2)
        if _sequence(algorithm, 1)[0] != _RSA:
            return 0
        (_, numbers), *_ = _elements(key[1:])  # behind the count of unused bits
        return int.from_bytes(_sequence(numbers, 1)[0]).bit_length()

    def covers(self, host: str) -> bool:
        """Whether it is for this host: a name in lower case without a final dot, or an IP address."""
        _, dot, parent = host.partition(".")
        return host in self.dns_names or host in self.addresses or bool(dot and f"*.{parent}" in self.dns_names)

    @cached_property
    def _alternative_names(self) -> list[tuple[int, bytes]]:
        value = self.extensions.get(_SUBJECT_ALT_NAME)
        if value is None:
            return []
        (_, content), *_ = _elements(value)
        return list(_elements(content))


def parse_certificate(der: bytes) -> Certificate:
    """Read a certificate in DER (RFC 5280, section 4.1); what comes behind it is not looked at. Raises ValueError."""
    try:
        return _parse(der)
    except ValueError as error:
        what = str(error)
        raise ValueError(what if what.startswith(_NO_CERTIFICATE) else _NO_CERTIFICATE) from None


def _parse(der: bytes) -> Certificate:
    tag, body, end = _element(der, 0)
    _expect(tag, _SEQUENCE)
    tag, tbs, _ = _element(body, 0)
    _expect(tag, _SEQUENCE)
    fields = list(_whole_elements(tbs))
    if fields and fields[0][0] == _VERSION:
        del fields[0]
    if len(fields) < 6:
        raise ValueError(_NO_CERTIFICATE + " (something is missing)")
    (serial_tag, serial, _), _, issuer, validity, subject, key, *others = fields
    _expect(serial_tag, _INTEGER)
    for each in (issuer, validity, subject, key):
        _expect(each[0], _SEQUENCE)
    not_before, not_after = map(_time, _elements(validity[1]))
    extensions = next((content for tag, content, _ in others if tag == _EXTENSIONS), b"")
    certificate = Certificate(
        der=der[:end],
        serial=int.from_bytes(serial, signed=True),
        issuer=issuer[2],
        subject=subject[2],
        not_before=not_before,
        not_after=not_after,
        public_key=key[2],
        extensions=dict(_extensions(extensions)),
    )
    # What is worked out on demand is worked out once here, so that a broken one is refused as a whole.
    _ = certificate.common_name, certificate.dns_names, certificate.addresses, certificate.is_ca, certificate.rsa_bits
    return certificate


def _extensions(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    for _, all_of_them in _elements(content):
        for tag, extension in _elements(all_of_them):
            _expect(tag, _SEQUENCE)
            (name_tag, name), *_, (value_tag, value) = _elements(extension)
            _expect(name_tag, _OID)
            _expect(value_tag, _OCTET_STRING)
            yield name, value


def _common_name(name: bytes) -> str:
    """Return the last common name of a distinguished name in DER, or nothing."""
    found = ""
    (_, relative_names), *_ = _elements(name)
    for _, attributes in _elements(relative_names):
        for _, attribute in _elements(attributes):
            (_, kind), (tag, value), *_ = _elements(attribute)
            if kind == _COMMON_NAME:
                found = value.decode(_ENCODINGS.get(tag, "latin-1"), "replace")
    return found


def what_der_is(content: bytes) -> str:
    """Say what a file in DER holds: ``certificate``, ``PKCS#12``, ``PKCS#7``, ``key``, or nothing if it is no DER."""
    try:
        tag, body, _ = _element(content, 0)
        _expect(tag, _SEQUENCE)
        tag, first, _ = _element(body, 0)
    except ValueError:
        return ""
    if tag == _OID:
        return "PKCS#7" if first.startswith(_PKCS7_DATA) else ""
    if tag != _INTEGER:
        return "certificate" if tag == _SEQUENCE else ""
    return "PKCS#12" if first == b"\x03" else "key"


def is_whole(der: bytes) -> bool:
    """Whether the octets are one DER element and nothing else, as a private key that is not encrypted must be."""
    try:
        return _element(der, 0)[2] == len(der)
    except ValueError:
        return False


def _element(data: bytes, offset: int) -> tuple[int, bytes, int]:
    """Return the tag and the content of the element at `offset`, and where it ends (X.690, section 8.1)."""
    if offset + 2 > len(data):
        raise ValueError(_NO_CERTIFICATE + " (it ends too early)")
    tag, length = data[offset], data[offset + 1]
    offset += 2
    if length & 0x80:
        count = length & 0x7F
        if not 0 < count <= 4:
            raise ValueError(_NO_CERTIFICATE + " (a length that DER does not have)")
        length = int.from_bytes(data[offset : offset + count])
        offset += count
    if offset + length > len(data):
        raise ValueError(_NO_CERTIFICATE + " (it ends too early)")
    return tag, data[offset : offset + length], offset + length


def _elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the tag and the content of each element in a row."""
    return ((tag, content) for tag, content, _ in _whole_elements(content))


def _whole_elements(content: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield the tag, the content and the whole of each element in a row."""
    offset = 0
    while offset < len(content):
        tag, inner, end = _element(content, offset)
        yield tag, inner, content[offset:end]
        offset = end


def _sequence(content: bytes, count: int) -> list[bytes]:
    """Return the contents of the first elements."""
    found = [inner for _, inner in _elements(content)]
    if len(found) < count:
        raise ValueError(_NO_CERTIFICATE + " (something is missing)")
    return found[:count]


def _expect(tag: int, wanted: int) -> None:
    if tag != wanted:
        raise ValueError(f"{_NO_CERTIFICATE} (an element {tag:#x} in the place of {wanted:#x})")


def _time(element: tuple[int, bytes]) -> datetime:
    """Read a time (RFC 5280, section 4.1.2.5): two digits of a year are those of 1950 to 2049."""
    tag, text = element
    match = _TIME.fullmatch(text)
    if match is None or len(match[1]) != {_UTC_TIME: 2, _GENERALIZED_TIME: 4}.get(tag):
        raise ValueError(_NO_CERTIFICATE + " (a time that cannot be read)")
    year, month, day, hour, minute, second = map(int, match.groups())
    if tag == _UTC_TIME:
        year += 1900 if year >= 50 else 2000
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
