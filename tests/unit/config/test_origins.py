"""Where values come from, in words."""

from pathlib import Path

import pytest

from waitressd.config.origins import COMMAND_LINE, DEFAULT, PYTHON, Origin, Source, display_path


@pytest.mark.parametrize(
    ("origin", "place", "text"),
    [
        (DEFAULT, "", "default"),
        (PYTHON, "", "Python argument"),
        (COMMAND_LINE, "command line", "command line"),
        (Origin(Source.FILE, "/x/a.ini", 3, "server:main"), "/x/a.ini:3 [server:main]", "/x/a.ini:3 [server:main]"),
        (Origin(Source.FILE, "/x/a.ini"), "/x/a.ini", "/x/a.ini"),
        (Origin(Source.FILE, "/x/a.ini", 3, "", ("PORT",)), "/x/a.ini:3", "/x/a.ini:3, ${PORT}"),
    ],
)
def test_an_origin_says_where_to_look(origin: Origin, place: str, text: str) -> None:
    assert origin.place == place
    assert str(origin) == text


def test_a_path_below_the_current_folder_is_shown_as_one_would_type_it() -> None:
    assert display_path(str(Path.cwd() / "sub" / "a.ini")) == str(Path("sub/a.ini"))
    assert display_path("/elsewhere/a.ini") == "/elsewhere/a.ini"
    assert display_path("a.ini") == "a.ini"
