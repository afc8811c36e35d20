"""Renders docs/coming-from-gunicorn.rst and docs/coming-from-uwsgi.rst from the tables of `waitressd convert`.

python docs/render_moving.py            writes them
python docs/render_moving.py --check    says whether they are what the tables give, and exits with 1 if not
"""

import re
import sys
from collections.abc import Iterable
from typing import Final

from rendering import table, write_or_check

from waitressd.config.adjustments import SETTINGS
from waitressd.convert import gunicorntable, uwsgitable
from waitressd.convert.model import Row, Verdict

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
        parts.extend(table(heads, [_cells(row, with_here=len(heads) == 3) for row in chosen]))
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


def render_pages() -> dict[str, str]:
    """Render every page, by the name of its file below ``docs/``."""
    return {
        "coming-from-gunicorn.rst": _page(_GUNICORN_HEAD, gunicorntable.ROWS, "gunicorn-behaviour.inc"),
        "coming-from-uwsgi.rst": _page(_UWSGI_HEAD, uwsgitable.ROWS, "uwsgi-behaviour.inc"),
    }


if __name__ == "__main__":
    sys.exit(write_or_check(render_pages(), "render_moving.py"))
