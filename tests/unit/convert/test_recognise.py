"""What a file is, is seen by what is in it."""

from pathlib import Path

import pytest

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
