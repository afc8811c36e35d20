"""Every command and every file that the manual shows is one: it is parsed by what it is for, or run."""

import ast
import configparser
import json
import logging
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.manual import DOCS, Block, blocks, pages
from tests.support.manualcommands import FOREIGN, Command, commands, shell_text, trouble_with
from tests.support.servers import ROOT
from waitressd.config.inisource import IniSource
from waitressd.wiring import build_request_logs

BLOCKS: Final = [block for page in pages() for block in blocks(page)]
COMMANDS: Final = list(commands())

AROUND: Final[dict[str, str]] = {
    "tls_client_ca": "tls_certificate = /etc/shop/tls/fullchain.pem\ntls_key = /etc/shop/tls/privkey.pem\n",
    "listen": "trusted_proxy = 10.0.0.2\n",
    "admin_control": "admin_listen = unix:/run/shop/admin.sock\n",
}
"""What a part of a section needs beside it, and the page has said before; by the setting with which the part begins."""

RUN_BY: Final[dict[str, str]] = {
    "../configs": "tests/functional/test_config_serving.py",
    "container": "tests/functional/test_container.py",
    "examples/django": "tests/functional/test_examples.py",
    "examples/django/shop": "tests/functional/test_examples.py",
    "examples/flask": "tests/functional/test_examples.py",
    "examples/pyramid": "tests/functional/test_examples.py",
    "examples/pyramid/shop": "tests/functional/test_examples.py",
    "examples/tutorial": "tests/functional/test_tutorial.py",
    "health": "tests/peers/test_health.py",
    "kubernetes": "tests/peers/test_kubernetes.py",
    "monitoring": "tests/monitoring/test_files.py",
    "operation": "tests/peers/test_rolling_deploy.py",
    "proxies": "tests/peers/test_documents.py",
    "systemd": "tests/functional/test_systemd.py",
    "": "tests/functional/test_requestlog_ini.py",
}
"""Folders of files that pages include or offer, each with a test that runs what is in it."""

SYSTEMD_KEYS: Final = frozenset({"LoadCredential", "Environment", "ExecStart", "LimitNOFILE", "TimeoutStopSec"})


def of(*languages: str) -> list[object]:
    return [pytest.param(block, id=block.place) for block in BLOCKS if block.language in languages]


def test_each_command_is_understood() -> None:
    troubles = {f"{command.place}: {command}": trouble_with(command) for command in COMMANDS}
    assert {place: trouble for place, trouble in troubles.items() if trouble} == {}


def test_commands_that_are_not_ours_are_counted() -> None:
    """So that somebody looks when one is added: most can be run."""
    programs = {Path(command.words[0]).name for command in COMMANDS}
    assert set(FOREIGN) - programs == set()
    ours = [each for each in COMMANDS if Path(each.words[0]).name not in FOREIGN]
    assert len(ours) >= 80
    assert len(COMMANDS) - len(ours) <= 60


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("waitressd", "--treads=8", "shop:app"), "unknown option"),
        (("waitressd", "requests", "--oldest"), "--oldest"),
        (("waitressd", "--threads=many", "shop:app"), "expected a whole number"),
        (("python", "-m", "benchmarks", "--fast"), "benchmarks has no --fast"),
        (("python", "-m", "tests.nothing"), "tests.nothing has no"),
        (("gunicorn", "shop:app"), "gunicorn is not one of"),
    ],
)
def test_a_command_that_nobody_understands_is_found(words: tuple[str, ...], complaint: str) -> None:
    assert complaint in trouble_with(Command("here", words))


@pytest.mark.parametrize("block", of("sh", "bash", "console"))
def test_each_shell_block_is_one(block: Block) -> None:
    run = subprocess.run(["sh", "-n"], input=shell_text(block), capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


# -- ini files


def with_sections(text: str) -> str:
    """Make a whole file of a part."""
    if not text.startswith("["):
        text = f"[server:main]\nuse = egg:waitressd\n{AROUND.get(text.partition(' ')[0], '')}{text}"
    if "[server:main]" not in text:
        logs = re.findall(r"^\[request_log:(\w+)\]$", text, re.MULTILINE)
        text += "\n[server:main]\nuse = egg:waitressd\n" + (f"request_log = {' '.join(logs)}\n" if logs else "")
    elif "use = egg:waitressd" not in text.partition("[server:main]")[2].partition("[")[0]:
        text = text.replace("[server:main]\n", "[server:main]\nuse = egg:waitressd\n")
    return text


def check_ini(text: str, folder: Path) -> None:
    """Check what a file says of the server, of its request logs and of formatters."""
    path = folder / "production.ini"
    path.write_text(with_sections(text), encoding="utf-8")
    section = IniSource(str(path), {}).server_section("")
    build_request_logs(section.check(), section.global_conf)
    parser = configparser.RawConfigParser()
    parser.read_string(text if text.startswith("[") else f"[part]\n{text}")
    for name in parser.sections():
        if name.startswith("formatter_"):
            assert parser[name]["class"] == "waitressd.requestlog.RequestFormatter"
            logging.Formatter(parser[name]["format"], validate=True)
        else:
            kind = name.partition(":")[0]
            assert kind in {"part", "server", "app", "composite", "request_log"}, name


@pytest.mark.parametrize("block", of("ini"))
def test_each_ini_block_is_a_configuration_that_works(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/shop")
    text = block.text
    if text.startswith("[Service]"):
        text = re.sub(r"^(\w+)=(\w[\w.-]*):.*$", r"\1=\2", text, flags=re.MULTILINE)
        assert set(re.findall(r"^(\w+)=", text, re.MULTILINE)) <= SYSTEMD_KEYS
    else:
        check_ini(text, tmp_path)


@pytest.mark.parametrize(
    "text", ["threds = 4\n", "[request_log:a]\nuse = jason\n", "[server:main]\nrequest_log = lost\n"]
)
def test_a_configuration_that_does_not_work_is_found(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"threds|jason|lost"):
        check_ini(text, tmp_path)


# -- other languages


@pytest.mark.parametrize("block", of("python"))
def test_each_python_block_can_be_compiled(block: Block) -> None:
    is_part = block.text.rstrip().endswith(",")  # of a dictionary
    ast.parse(f"{{{block.text}}}" if is_part else block.text)


@pytest.mark.parametrize("block", of("toml", "yaml", "dockerfile"))
def test_each_block_of_data_can_be_read(block: Block) -> None:
    if block.language == "toml":
        assert tomllib.loads(block.text)
    elif block.language == "yaml":
        assert pytest.importorskip("yaml").safe_load(block.text)
    else:
        (words,) = re.findall(r"CMD (\[.*\])$", block.text, re.MULTILINE)
        assert trouble_with(Command(block.place, tuple(json.loads(words)))) == ""


def test_each_block_says_its_language() -> None:
    known = {"sh", "bash", "console", "ini", "python", "toml", "yaml", "dockerfile", "text", "none"}
    assert {block.language for block in BLOCKS} <= known
    assert [block.place for block in BLOCKS if not block.text.strip()] == []


# -- files


def shown_files() -> Iterator[tuple[str, str]]:
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for found in re.findall(
            r"^ *\.\. literalinclude:: (\S+)$|:download:`(?:[^`<]*<)?([^`>]+)>?`", text, re.MULTILINE
        ):
            yield page.name, "".join(found)


def test_each_file_that_is_shown_is_there_and_is_run_by_a_test() -> None:
    files = sorted(set(shown_files()))
    assert len(files) >= 30
    for page, name in files:
        assert (DOCS / name).is_file(), f"{page} shows {name}"
        folder = name.rpartition("/")[0]
        test = ROOT / RUN_BY[folder]
        words = [word for word in folder.split("/") if word != ".."] or [name]
        assert words[-1] in test.read_text(encoding="utf-8") or test.name == "test_documents.py", f"{name}: {test}"


def test_each_file_for_operation_is_shown() -> None:
    shown = {name for _, name in shown_files()}
    for folder in ("operation", "container", "kubernetes", "examples/tutorial"):
        files = {path.relative_to(DOCS).as_posix() for path in (DOCS / folder).iterdir() if path.is_file()}
        assert files <= shown


def test_the_certificate_for_a_try_can_be_made(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    (command,) = (each for each in COMMANDS if each.words[0] == "openssl" and "req" in each.words)
    subprocess.run(command.words, cwd=tmp_path, check=True, capture_output=True)
    assert {path.name for path in tmp_path.iterdir()} == {"privkey.pem", "fullchain.pem"}
