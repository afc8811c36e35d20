"""The pages of the manual are what the table gives."""

from pathlib import Path

import pytest

from waitressd.config.adjustments import ALIASES, SETTINGS
from waitressd.config.reference import PAGES, render_pages

DOCS = Path(__file__).parent.parent.parent.parent / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_the_rendered_one(name: str) -> None:
    committed = (DOCS / name).read_text(encoding="utf-8")
    assert committed == render_pages()[name], f"run python docs/render_settings.py: docs/{name} is old"


def test_every_setting_has_a_heading_and_every_option_of_waitress_a_line() -> None:
    pages = render_pages()
    for name in SETTINGS:
        assert f"``{name}``\n{'~' * (len(name) + 4)}" in pages["settings.rst"]
        assert f"``{name}``" in pages["coming-from-waitress.rst"]
    for alias in ALIASES:
        assert f"``{alias}``" in pages["coming-from-waitress.rst"]
