"""How Sphinx builds the manual: no network, and a warning is an error (`sphinx-build -W docs docs/_build`)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from waitressd import __version__

project = "waitressd"
author = "The waitressd maintainers"
copyright = "2026, The waitressd maintainers"
version = release = __version__

extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
nitpicky = False
autodoc_typehints = "description"
autodoc_member_order = "bysource"
default_role = "literal"

html_theme = "alabaster"
html_theme_options = {
    "description": "WSGI in production, in pure Python",
    "fixed_sidebar": True,
    "page_width": "1080px",
}
