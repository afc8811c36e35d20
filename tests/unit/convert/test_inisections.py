"""Sections of ini files that name waitress or gunicorn."""

from pathlib import Path

import pytest

from waitressd.config.errors import ConfigError
from waitressd.convert import inisections
from waitressd.convert.model import Sketch
from waitressd.convert.printing import ini_text


def sketch(folder: Path, text: str, server: str = "") -> Sketch:
    path = folder / "a.ini"
    path.write_text(text, encoding="utf-8")
    return inisections.convert(str(path), server)


def test_an_interpolation_stays(tmp_path: Path) -> None:
    found = sketch(tmp_path, "[DEFAULT]\nname = a$b\n[server:main]\nuse = egg:waitress\nunix_socket = %(here)s/$x\n")
    assert found.lines["unix_socket"].values[0].written == "%(here)s/$$x"
    assert found.lines["unix_socket"].example == f"{tmp_path}/$x"


def test_which_section(tmp_path: Path) -> None:
    both = "[server:b]\nuse=egg:waitress\nthreads=2\n[server:main]\nuse=egg:waitress\nthreads=3\n"
    assert sketch(tmp_path, both).lines["threads"].example == "3"
    assert sketch(tmp_path, "[server:b]\nuse=egg:waitress\nthreads=2\n").lines["threads"].example == "2"
    assert sketch(tmp_path, "[server:main]\nuse=call:waitress:serve_paste\nthreads=2\n").lines["threads"].example == "2"
    with pytest.raises(ConfigError, match="and of others there are: none"):
        sketch(tmp_path, "[app:main]\n")


def test_it_can_be_said_whose_it_is(tmp_path: Path) -> None:
    assert sketch(tmp_path, "[server:main]\nthreads = 2\n", "waitress").lines["threads"].example == "2"
    with pytest.raises(ConfigError, match="expected use = egg:waitress"):
        sketch(tmp_path, "[server:main]\nthreads = 2\n")


def test_gunicorn_s_section(tmp_path: Path) -> None:
    found = sketch(tmp_path, "[server:main]\nuse = egg:gunicorn#main\nport = 81\nworkers = 2\nx = 1\n")
    assert found.lines["listen"].example == "127.0.0.1:81"
    assert found.lines["workers"].example == "2"
    assert found.left[0][2] == "gunicorn has no such setting"
    assert sketch(tmp_path, "[server:main]\nuse = egg:gunicorn\nhost=a\n").lines["listen"].example == "a:8000"


def test_what_a_value_takes_from_the_defaults_goes_with_it(tmp_path: Path) -> None:
    text = (
        "[DEFAULT]\nbase = 80\nport = %(base)s80\nother = 1\n[server:main]\nuse = egg:waitress\nlisten = *:%(port)s\n"
    )
    found = sketch(tmp_path, text)
    assert found.lines["listen"].values[0].written == "*:%(port)s"
    assert found.defaults == {"base": "80", "port": "%(base)s80"}
    assert "\n[DEFAULT]\nbase = 80\nport = %(base)s80\n\n[server:main]\n" in ini_text(found)


@pytest.mark.parametrize("server", ["gunicorn", "waitress"])
def test_a_variable_that_only_a_command_line_has_is_left(tmp_path: Path, server: str) -> None:
    found = sketch(tmp_path, f"[server:main]\nuse = egg:{server}\nport = %(http_port)s\nthreads = 3\n")
    assert found.lines["threads"].example == "3"
    assert "listen" not in found.lines
    assert "port" not in found.lines
    assert "add http_port=VALUE to the command line" in found.left[0][2]
