"""Completion scripts: every shell that is installed takes its script, and bash is asked for completions."""

import shutil
import subprocess
from pathlib import Path

import pytest

from waitressd.config.commandline import OPTIONS, SHELLS, settable
from waitressd.config.completion import offered, script
from waitressd.config.subcommands import SUBCOMMANDS

ROOT = Path(__file__).parent.parent.parent.parent


def test_every_option_is_offered() -> None:
    names = {flag for option in offered() for flag in option.flags}
    assert {f"--{row.option}" for row in settable() if not row.is_inert} <= names
    assert {flag for option in OPTIONS for flag in option.flags} <= names
    assert "--no-expose-tracebacks" in names


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_names_every_option(shell: str) -> None:
    text = script(shell)
    for option in offered():
        assert option.name in text
    for command in SUBCOMMANDS.values():
        assert command.name in text
        assert all(option.name in text for option in command.options)


@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shutil.which(shell)])
def test_the_shell_takes_its_script(shell: str) -> None:
    done = subprocess.run([shell, "-n"], input=script(shell), capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["--thr"], ["--threads="]),
        (["--url-scheme", "=", ""], ["http", "https"]),
        (["--url-scheme", "=", "https"], ["https"]),
        (["--completion", "z"], ["zsh"]),
        (["--no-expose"], ["--no-expose-tracebacks"]),
        (["conn"], ["connections"]),
        (["requests", "--ph"], ["--phase="]),
        (["requests", "--phase", "=", "q"], ["queued"]),
        (["profile", "--threads", "=", ""], ["busy", "all"]),
        (["convert", "--fr"], ["--from="]),
        (["convert", "--from", "=", "u"], ["uwsgi"]),
        (["convert", "pyproject.tom"], ["pyproject.toml"]),
        (["requests", "pyproject.tom"], []),
        (["profile", "--url"], []),
        (["--threads", "=", "bus"], []),
    ],
)
def test_bash_completes(words: list[str], offered: list[str]) -> None:
    bash = shutil.which("bash")
    assert bash, "the machine has no bash"
    line = " ".join(f"'{word}'" for word in ("waitressd", *words))
    text = (
        "compopt() { :; }\n" + script("bash") + f"COMP_WORDS=({line}); COMP_CWORD={len(words)}\n"
        '_waitressd; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run([bash], input=text, capture_output=True, text=True, check=True, timeout=20, cwd=ROOT)
    assert done.stdout.split() == offered
    assert done.stderr == ""
