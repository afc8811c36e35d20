"""How Sphinx builds the manual: no network, and a warning is an error (`sphinx-build -W docs docs/_build`)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from waitressd import __version__

project = "waitressd"
author = "The waitressd maintainers"
copyright = "2026, The waitressd maintainers"
version = release = __version__

extensions = ["sphinx.ext.autodoc", "sphinx_copybutton", "sphinx_design"]
exclude_patterns = ["_build"]
nitpicky = False
autodoc_typehints = "description"
autodoc_member_order = "bysource"
default_role = "literal"

html_theme = "furo"
html_title = f"waitressd {version}"
html_static_path = ["_static"]
html_css_files = ["manual.css"]
html_js_files = [("settings.js", {"defer": "defer"})]
html_copy_source = html_show_sourcelink = False
# One palette for code in both schemes would be unreadable in one of them.
pygments_style = "tango"
pygments_dark_style = "github-dark"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5e70", "color-brand-content": "#0b5e70"},
    "dark_css_variables": {"color-brand-primary": "#4fc3d9", "color-brand-content": "#4fc3d9"},
}

# A button that copies a session copies what was typed, without prompts and answers.
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True

linkcheck_timeout = 5
