"""Renders docs/coming-from-gunicorn.rst and docs/coming-from-uwsgi.rst from the tables of `waitressd convert`.

python docs/render_moving.py            writes them
python docs/render_moving.py --check    says whether they are what the tables give, and exits with 1 if not
"""

import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

# The tree that these pages belong to comes first on the path.
from waitressd.config.adjustments import SETTINGS  # noqa: E402 - see above
from waitressd.convert import gunicorntable, uwsgitable  # noqa: E402 - see above
from waitressd.convert.model import Row, Verdict  # noqa: E402 - see above

_WIDTH: Final = 118
_RENDERED: Final = ".. Rendered from the tables of waitressd/convert by docs/render_moving.py; change it there.\n"
_NAMES: Final = re.compile(rf"(?<![\w`])({'|'.join(name for name in SETTINGS if '_' in name)})(?![\w`])")
_HEADINGS: Final = {
    None: "What becomes a setting",
    Verdict.MISSING: "What is not there",
    Verdict.ELSEWHERE: "What is said in another place",
    Verdict.NEEDLESS: "What is needed no more",
}

_GUNICORN_HEAD: Final = """\
Coming from gunicorn
====================

.. code-block:: sh

    waitressd convert gunicorn.conf.py > production.ini      # or: waitressd convert -- gunicorn -w 4 shop.wsgi
    waitressd --check-config production.ini
    waitressd production.ini

:doc:`convert` says how that works. The tables below are those that it works with: every setting of gunicorn 27.
"""
_UWSGI_HEAD: Final = """\
Coming from uWSGI
=================

.. code-block:: sh

    waitressd convert shop.ini > production.ini
    waitressd --check-config production.ini
    waitressd production.ini

:doc:`convert` says how that works. The tables below are those that it works with: every option of uWSGI 2.0. A ``*``
is any run of characters.
"""


def _page(head: str, rows: Iterable[Row], include: str) -> str:
    rows = list(rows)
    parts = [_RENDERED, head, f".. include:: {include}\n"]
    for verdict, heading in _HEADINGS.items():
        chosen = [row for row in rows if (row.verdict if row.convert is None else None) is verdict]
        parts.append(f"{heading}\n{'-' * len(heading)}\n")
        heads = ("There", "Here", "What to know") if verdict in (None, Verdict.MISSING) else ("There", "What to know")
        parts.extend(_table(heads, [_cells(row, with_here=len(heads) == 3) for row in chosen]))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip("\n") + "\n"


def _cells(row: Row, *, with_here: bool) -> tuple[str, ...]:
    names = ", ".join(f"``{name}``" for name in row.names)
    here = ", ".join(name if name == "TLS" else f"``{name}``" for name in row.here)
    note = _markup(row.note)
    if row.convert is None and not note.startswith("``"):
        note = f"{note[:1].upper()}{note[1:]}"
    return (names, here, note) if with_here else (names, note)


def _markup(text: str) -> str:
    return _NAMES.sub(r"``\1``", text.replace("*", "\\*"))


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield ".. list-table::\n   :header-rows: 1\n"
    for cells in (heads, *rows):
        for index, cell in enumerate(cells):
            start = "   * - " if index == 0 else "     - "
            lines = textwrap.fill(
                cell, _WIDTH, initial_indent=start, subsequent_indent=" " * 7, break_on_hyphens=False
            ).rstrip()
            yield lines or start.rstrip()
    yield ""


def render_pages() -> dict[str, str]:
    """Render every page, by the name of its file below ``docs/``."""
    return {
        "coming-from-gunicorn.rst": _page(_GUNICORN_HEAD, gunicorntable.ROWS, "gunicorn-behaviour.inc"),
        "coming-from-uwsgi.rst": _page(_UWSGI_HEAD, uwsgitable.ROWS, "uwsgi-behaviour.inc"),
    }


def main() -> int:
    """Write or check the pages."""
    stale = []
    for name, text in render_pages().items():
        path = DOCS / name
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
    for name in stale:
        sys.stderr.write(f"docs/{name} is not what the tables give; run python docs/render_moving.py\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
