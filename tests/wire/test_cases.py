"""The case files themselves: every law has its cases, and the notation means what it says."""

import pytest

from tests.wire.casefiles import FOLDER, octets, read_cases, read_laws

FOLDERS = ("accepted", "rejected", "unfinished", "answers")


def test_every_law_has_a_case_and_every_case_a_law() -> None:
    laws = read_laws()
    named = {law for folder in FOLDERS for case in read_cases(folder) for law in case.laws}
    assert named == set(laws)
    assert list(laws) == list(range(1, len(laws) + 1))


def test_every_file_in_the_folders_is_a_case() -> None:
    files = {path for folder in FOLDERS for path in (FOLDER / folder).iterdir()}
    assert {path.suffix for path in files} == {".http"}
    assert sum(len(read_cases(folder)) for folder in FOLDERS) == len(files)


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("a\n", b"a\r\n"),
        ("a\n\n", b"a\r\n\r\n"),
        ("a\\\n", b"a"),
        ("a\\\nb\n", b"ab\r\n"),
        ("a\\\\\n", b"a\\\r\n"),
        ("\\r\\n\\t\\0\\x7f\\\n", b"\r\n\t\0\x7f"),
        ("\\{3*ab\\n}\\\n", b"ab\nab\nab\n"),
        ("caf\\xe9\\x20\n", b"caf\xe9 \r\n"),
    ],
)
def test_the_notation_of_octets(text: str, wire: bytes) -> None:
    assert octets(text) == wire
