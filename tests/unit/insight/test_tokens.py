"""The file of tokens: what it may be, and that no part of it is ever said."""

import logging
import os
from pathlib import Path

import pytest

from tests.support.admin import CONTROL_TOKEN, READ_TOKEN
from waitressd.insight.guard import Tokens
from waitressd.insight.tokens import MOST_BYTES, TokenFile, TokenFileError, read_tokens

BOTH = f"# of the shop\n\nread {READ_TOKEN}\n  control   {CONTROL_TOKEN}\n"


def written(folder: Path, text: str, mode: int = 0o600) -> str:
    path = folder / "tokens"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return str(path)


def test_lines(tmp_path: Path) -> None:
    assert read_tokens(written(tmp_path, BOTH)) == Tokens((READ_TOKEN,), (CONTROL_TOKEN,))
    assert read_tokens(written(tmp_path, f"read {READ_TOKEN}", 0o640)).control == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no token"),
        ("# none\n", "no token"),
        ("read short\n", "line 1: a token has 20 characters"),
        (f"\nwrite {READ_TOKEN}\n", "line 2: expected read TOKEN or control TOKEN"),
        (f"read {READ_TOKEN} {READ_TOKEN}\n", "line 1: expected"),
        (READ_TOKEN, "line 1: expected"),
        (f"read {READ_TOKEN}!\n", "line 1: a token consists of"),
        (f"read {READ_TOKEN}\xe9\n", "ASCII"),
        ("#" * (MOST_BYTES + 1), "longer than"),
    ],
)
def test_what_is_wrong_is_said_without_a_token(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(TokenFileError, match=complaint) as caught:
        read_tokens(written(tmp_path, text))
    assert READ_TOKEN not in str(caught.value)
    assert "short" not in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="there are no such modes")
@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644, 0o666])
def test_others_may_not_use_it(tmp_path: Path, mode: int) -> None:
    with pytest.raises(TokenFileError, match="other accounts may use it; chmod o-rwx tokens"):
        read_tokens(written(tmp_path, BOTH, mode))


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(TokenFileError, match="no such file"):
        read_tokens(str(tmp_path / "none"))
    with pytest.raises(TokenFileError):
        read_tokens(str(tmp_path))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(TokenFileError, match="this is not a file"):
            read_tokens(str(tmp_path / "pipe"))


def test_reading_again_takes_what_is_new_and_keeps_the_old_where_it_is_broken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path, BOTH)
    file = TokenFile(path)
    written(tmp_path, f"read {'n' * 30}\n")
    file.reload()
    assert file.tokens == Tokens(("n" * 30,))
    written(tmp_path, f"read {'s' * 19}\n")
    with caplog.at_level(logging.ERROR):
        file.reload()
    assert file.tokens == Tokens(("n" * 30,))
    (line,) = caplog.messages
    assert line.endswith("line 1: a token has 20 characters or more; the former tokens stay in use")
    assert "sss" not in line


def test_without_a_file_there_are_none(caplog: pytest.LogCaptureFixture) -> None:
    file = TokenFile()
    file.reload()
    assert (file.tokens.are_given, caplog.messages) == (False, [])
