"""Renders docs/settings.rst, docs/coming-from-waitress.rst and docs/advice.inc from the table of settings.

python docs/render_settings.py            writes them
python docs/render_settings.py --check    says whether they are what the table gives, and exits with 1 if not
"""

import sys
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

from waitressd.config.reference import render_pages  # noqa: E402 - the tree that these pages belong to comes first


def main() -> int:
    """Write or check the pages."""
    pages = render_pages()
    stale = []
    for name, text in pages.items():
        path = DOCS / name
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
    for name in stale:
        sys.stderr.write(f"docs/{name} is not what the table gives; run python docs/render_settings.py\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
