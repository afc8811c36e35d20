"""What a file is, is seen by what is in it."""

from pathlib import Path

import pytest

from waitressd.config.errors import ConfigError
from waitressd.convert.recognise import convert_file, convert_words


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("bind = 'a'\n", "gunicorn's "),
        ("[uwsgi]\nhttp = :80\n", "uWSGI's "),
        ("[server:main]\nuse = egg:waitress\n[uwsgi]\n", "waitress's section"),
        ("[server:main]\nuse = egg:gunicorn\n", "gunicorn's section"),
        ("web: gunicorn a:b\n", "a command line of gunicorn"),
        ("#!/bin/sh\nexec uwsgi --http :80\n", "a command line of uWSGI"),
        ("waitress-serve a:b\n", "a command line of waitress-serve"),
    ],
)
def test_files(tmp_path: Path, text: str, title: str) -> None:
    path = tmp_path / "anything"
    path.write_text(text, encoding="utf-8")
    assert convert_file(str(path)).title.startswith(title)


def test_a_name_counts_for_nothing_and_a_word_for_all(tmp_path: Path) -> None:
    path = tmp_path / "x.ini"
    path.write_text("# nothing that tells\n", encoding="utf-8")
    assert convert_file(str(path), "gunicorn").title.startswith("gunicorn's")
    path.write_text("[server:main]\nuse = egg:waitress\n[uwsgi]\nhttp = :80\n", encoding="utf-8")
    assert convert_file(str(path), "uwsgi").lines["listen"].example == "*:80"


def test_what_is_refused_together_is_left() -> None:
    sketch = convert_words("command line", ["waitress-serve", "--host=a", "--listen=*:80", "a:b"])
    assert len(sketch.lines) == 1
    assert len(sketch.left) == 1


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text("\ufeffworkers = 3\r\n", encoding="utf-8", newline="")
    assert convert_file(str(path)).lines["workers"].example == "3"


def test_a_file_of_python_that_is_none_is_told_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.conf.py"
    path.write_text("bind = 'a'\nworkers = \n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"x.conf.py:2: this is no Python file: invalid syntax"):
        convert_file(str(path))
    path.write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="this is not recognised"):
        convert_file(str(path))
