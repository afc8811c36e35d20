"""The command on files as people have them: each becomes what is beside it, and our own reader takes that."""

import shutil
from pathlib import Path
from typing import Final

import pytest

from waitressd.config.errors import ConfigError
from waitressd.config.inifile import from_file
from waitressd.convert.command import run

CASES: Final = Path(__file__).parent / "cases"
FILES: Final = sorted(CASES.glob("*/*.conf"))
ENVIRON: Final = {"PORT": "8001", "HOME": "/home/shop"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_file_becomes_what_is_beside_it(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run([file.name]) == 0
    out, err = capsys.readouterr()
    assert out == file.with_suffix(".ini").read_text(encoding="utf-8")
    assert err == ""
    (tmp_path / "made.ini").write_text(out, encoding="utf-8")
    from_file("made.ini", "main", {}, ENVIRON).check()


def test_there_are_ten_files_of_each_server() -> None:
    for server in ("gunicorn", "uwsgi", "waitress"):
        assert len([file for file in FILES if file.parent.name == server]) >= 10


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_whose_file_it_is_can_be_said(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([f"--from={file.parent.name}", str(file)]) == 0
    assert "[server:main]" in capsys.readouterr().out


def test_a_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--", "gunicorn", "-w4", "shop:app"]) == 0
    assert "\n# command line: -w4\nworkers = 4\n" in capsys.readouterr().out


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: waitressd convert [OPTIONS] FILE | -- COMMAND...\n")


@pytest.mark.parametrize(
    ("text", "words", "says"),
    [
        ("bind = (\n", ["--from=gunicorn", "a.py"], "a.py:1: this is no Python file: '(' was never closed"),
        ("hello\n", ["a.py"], "a.py:1: this is not recognised; expected gunicorn.conf.py"),
        ("x = 1\n", ["a.py"], "a.py:1: this is not recognised"),
        ("\0", ["a.py"], "a.py:1: this is no Python file: source code string cannot contain null bytes"),
        ("uwsgi:\n  http: :80\n", ["a.py"], "a.py:1: this is YAML; write the options as an ini file"),
        ("<uwsgi><http>:80</http></uwsgi>", ["a.py"], "a.py:1: this is XML"),
        ('{"uwsgi": {}}', ["a.py"], "a.py:1: this is JSON"),
        ("[main]\n", ["--from=uwsgi", "a.py"], "a.py:1: there is no section [uwsgi]"),
        ("[server:main]\nuse = egg:Paste#http\n", ["a.py"], "a.py:2 [server:main]: use = egg:Paste#http: expected"),
        ("[server:main]\nuse = base\n", ["a.py"], "write its lines into this one"),
        ("[server:a]\n[server:b]\n", ["a.py"], "no section [server:main], and of others there are: [server:a]"),
        ("[server:main]\n[server:main]\n", ["a.py"], "a.py"),
        ("\udcff", ["a.py"], "a.py"),
        ("", ["missing.py"], "missing.py"),
        ("", [], "waitressd convert: name one file, or -- and a command line (waitressd convert --help)"),
        ("", ["a.py", "b.py"], "name one file"),
        ("", ["--form=uwsgi", "a.py"], "--form=uwsgi"),
        ("", ["--from=apache", "a.py"], "invalid choice: 'apache'"),
        ("", ["--", "apache2"], "command line: apache2: expected a command line of gunicorn, uwsgi"),
        ("", ["--", "gunicorn", "--workrs=4"], "--workrs: gunicorn has no such option; did you mean --workers?"),
        ("", ["--", "gunicorn", "-w"], "command line: -w: a value must follow"),
    ],
)  # fmt: skip
def test_what_cannot_be_converted_is_one_line_and_status_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    words: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.py").write_text(text, encoding="utf-8", errors="surrogateescape")
    assert run(words) == 2
    out, err = capsys.readouterr()
    assert says in err
    assert (out, err.count("\n")) == ("", 1)


def test_a_file_that_is_too_large_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.py").write_text("#" * (1 << 20) + "\n", encoding="utf-8")
    assert run([str(tmp_path / "a.py")]) == 2
    assert "no more than a megabyte" in capsys.readouterr().err


def test_the_reader_of_results_refuses() -> None:
    """What the tests above rely on."""
    with pytest.raises(ConfigError):
        from_file(str(CASES / "gunicorn" / "container.ini"), "main", {}, {"PORT": "x"}).check()
