"""What the manual draws from the code is what the code says."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import pytest

from tests.support.insightfake import requests_document
from waitressd import __version__
from waitressd.config.adjustments import ALIASES, SETTINGS
from waitressd.config.completion import offered
from waitressd.config.inifile import from_file
from waitressd.config.subcommands import SUBCOMMANDS

ROOT: Final = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "script", ["render_states.py", "render_settings.py", "render_first.py", "render_moving.py", "render_man.py"]
)
def test_the_rendered_pages_are_what_the_tables_give(script: str) -> None:
    run = subprocess.run(
        [sys.executable, f"docs/{script}", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.stdout == ""
    assert run.returncode == 0, run.stderr


def test_every_setting_has_a_heading_and_every_option_of_waitress_a_line() -> None:
    settings, waitress = (
        (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("settings.rst", "coming-from-waitress.rst")
    )
    for name in SETTINGS:
        assert f"``{name}``\n{'~' * (len(name) + 4)}" in settings
        assert f"``{name}``" in waitress
    for alias in ALIASES:
        assert f"``{alias}``" in waitress


def test_every_setting_is_in_the_table_of_contents_and_has_an_anchor() -> None:
    page = (ROOT / "docs" / "settings.rst").read_text(encoding="utf-8")
    contents = page[page.index("settings-index") : page.index(".. index::")]
    for name in SETTINGS:
        assert f"`{name}`_" in contents
        assert f".. _setting-{name}:\n" in page


def test_a_link_to_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text('<a href="gone.html"></a><a href="other.html#here"></a><a href="#top"></a>')
    (tmp_path / "other.html").write_text(
        '<p id="here"><a href="index.html"></a><a href="https://example.org/"></a></p>'
    )
    command = [sys.executable, str(ROOT / "docs" / "check_pages.py"), str(tmp_path)]
    run = subprocess.run(command, env={"PATH": ""}, capture_output=True, text=True, check=False)
    assert run.returncode == 1, run.stderr
    assert [line for line in run.stdout.splitlines() if not line.startswith("not looked at")] == [
        "elsewhere, not asked: https://example.org/",
        "index.html: #top leads to no anchor",
        "index.html: gone.html leads to no file",
        "2 pages, 2 faults",
    ]


def test_the_pictures_are_well_formed_and_name_every_state() -> None:
    page = (ROOT / "docs" / "states.rst").read_text(encoding="utf-8")
    pictures = sorted((ROOT / "docs" / "states").glob("*.svg"))
    assert len(pictures) >= 5
    for picture in pictures:
        assert f"states/{picture.name}" in page
        texts = {node.text for node in ElementTree.parse(picture).iter() if node.get("class") == "n" and node.text}
        assert texts
        for state in texts:
            assert f"``{state}``" in page


def test_the_picture_of_top_shows_the_story_and_loads_nothing() -> None:
    text = (ROOT / "docs" / "_static" / "top.svg").read_text(encoding="utf-8")
    texts = " ".join("".join(node.itertext()) for node in ElementTree.fromstring(text).iter() if node.text)
    for row in requests_document({})["requests"][:8]:
        assert row["id"] in texts
    assert "Where\xa0it\xa0is\xa0now" in texts
    assert "url(" not in text.replace("url(#", "")
    assert "_static/top.svg" in (ROOT / "docs" / "commands.rst").read_text(encoding="utf-8")


def test_the_manual_explains_every_command() -> None:
    page = (ROOT / "docs" / "commands.rst").read_text(encoding="utf-8")
    for name in SUBCOMMANDS:
        assert f"\n``{name}`` " in page


def test_what_happens_when_names_defaults_and_tests_that_there_are() -> None:
    page = (ROOT / "docs" / "what-happens-when.rst").read_text(encoding="utf-8")
    tables = " ".join(page.partition("\nPromises\n")[0].split())
    defaults = re.findall(r"``(\w+)`` \((\w+)\)", tables)
    assert len(defaults) >= 10
    assert [pair for pair in defaults if SETTINGS[pair[0]].shown_default != pair[1]] == []
    sources = [path for folder in ("faults", "fleet") for path in (ROOT / "tests" / folder).glob("*.py")]
    scenarios = re.findall(r'(?:@scenario\(|^    )"([\w-]+)"[,:]', "".join(map(Path.read_text, sources)), re.MULTILINE)
    rows = [
        row.split("\n     - ") for row in re.findall(r"^   \* - (?!When)(.*?)(?=\n   \* - |\n\n)", page, re.M | re.S)
    ]
    names = [name for row in rows for name in row[3].split(", ") if name != "measured"]
    assert len(names) >= len(rows) >= 20
    missing = [name for name in names if name.strip("`") not in scenarios and not (ROOT / name.strip("`")).exists()]
    assert missing == []


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.rst").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    places = re.findall(r"<([^>:]+)>`_|image:: (\S+)", text)
    assert len(places) >= 6
    for place in places:
        assert (ROOT / "".join(place)).is_file(), place


def test_the_readme_has_the_two_commands() -> None:
    """.ci/run takes the second one from here, so it must be a single line that can be found."""
    lines = (ROOT / "README.rst").read_text(encoding="utf-8").splitlines()
    commands = [line.strip() for line in lines if line.startswith("    python3 -m venv ")]
    assert len(commands) == 2
    assert commands[0].endswith("--config configs/development.ini")
    assert commands[1].endswith(".venv/bin/pytest -n 4")


@pytest.mark.parametrize("server", ["granian-2.8", "mod-wsgi-6.1", "cheroot-11.1"])
def test_a_page_for_those_who_come_has_every_option_of_their_server(server: str) -> None:
    """The lists are what those servers say of themselves; `convert` has tests for gunicorn and uWSGI."""
    options = (ROOT / "tests" / "unit" / "convert" / f"{server}.txt").read_text(encoding="utf-8").split()
    page = (ROOT / "docs" / f"coming-from-{server.rpartition('-')[0]}.rst").read_text(encoding="utf-8")
    assert [option for option in options if f"``{option}``" not in page] == []


def test_what_those_pages_name_exists() -> None:
    """Each name with an underscore in the column about us is a setting, or a key of egg:waitressd#wsgi."""
    for page in (ROOT / "docs").glob("coming-from-*.rst"):
        for row in page.read_text(encoding="utf-8").split("\n   * - ")[2:]:
            cells = row.split("\n     - ")
            if len(cells) == 3:
                for name in re.findall(r"``([a-z]+_[a-z_]+)``", cells[1]):
                    assert name in SETTINGS, f"{page.name}: {name}"


@pytest.mark.parametrize("page", ["other-applications", "coming-from-mod-wsgi", "pyramid", "flask", "django"])
def test_every_section_for_a_server_in_these_pages_is_taken(page: str, tmp_path: Path) -> None:
    text = (ROOT / "docs" / f"{page}.rst").read_text(encoding="utf-8")
    blocks = re.findall(r"\.\. code-block:: ini\n\n((?:    .*\n|\n)+)", text)
    blocks += [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in re.findall(r"include:: (.*ini)\n", text)]
    sections = [block for block in blocks if "[server:main]" in block]
    assert sections
    for section in sections:
        (tmp_path / "page.ini").write_text(textwrap.dedent(section), encoding="utf-8")
        from_file(str(tmp_path / "page.ini"), "main", {}, {}).check()


@pytest.mark.skipif(shutil.which("man") is None, reason="the machine has no man")
def test_the_man_page_has_no_warnings_and_every_option() -> None:
    page = ROOT / "docs" / "man" / "waitressd.1"
    done = subprocess.run(
        ["man", "--warnings", "-l", str(page)], capture_output=True, text=True, check=False, timeout=30,
        env={**os.environ, "MANWIDTH": "200", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    for option in offered():
        assert f"--{option.name}" in done.stdout or f"--[no-]{option.name.removeprefix('no-')}" in done.stdout
    for name in SUBCOMMANDS:
        assert f"waitressd {name} [OPTIONS]" in done.stdout


def test_a_fragment_becomes_a_line_of_the_changes(tmp_path: Path) -> None:
    pytest.importorskip("towncrier")
    for name in ("pyproject.toml", "CHANGES.rst"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "changes", tmp_path / "changes")
    (tmp_path / "changes" / "+one.fixed.rst").write_text("A wheel turns.\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "9.9"], cwd=tmp_path, text=True,
        capture_output=True, check=False, timeout=30,
    )  # fmt: skip
    assert "9.9\n---\n" in done.stdout, done.stdout + done.stderr
    assert "Fixed\n~~~~~\n\n- A wheel turns.\n" in done.stdout


def test_the_version_is_the_same_everywhere() -> None:
    changes = (ROOT / "CHANGES.rst").read_text(encoding="utf-8")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {__version__}\n" in citation
    assert f"\n{__version__}\n{'-' * len(__version__)}\n" in changes
