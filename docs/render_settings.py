"""Renders docs/settings.rst, docs/coming-from-waitress.rst and docs/advice.inc from the table of settings.

python docs/render_settings.py            writes them
python docs/render_settings.py --check    says whether they are what the table gives, and exits with 1 if not
"""

import re
import sys
import textwrap
from collections.abc import Iterator
from typing import Final

from rendering import WIDTH, table, write_or_check

from waitressd.config.adjustments import SETTINGS
from waitressd.config.advice import all_rules
from waitressd.config.settings import Group, Setting, Standing

_RENDERED: Final = ".. Rendered from the table of settings by docs/render_settings.py; change it there.\n"

_SETTINGS_HEAD: Final = """\
Settings
========

Every setting can stand in a ``[server:main]`` section (``threads = 8``), on the command line (``--threads=8``), and in
a call from Python (``waitressd.serve(application, threads=8)``). ``waitressd --print-config FILE`` prints the value of
each and where it comes from; ``waitressd --check-config FILE`` says what is wrong or unwise.

Ways to write a value:

- a boolean is ``true`` or ``false``, also ``yes``, ``no``, ``on``, ``off``, ``t``, ``f``, ``y``, ``n``, ``1``, ``0``;
  any other word is an error. On the command line it is ``--name`` or ``--no-name``;
- a size is a number of bytes, also with ``K``, ``M``, ``G`` or ``T`` (binary: ``64K`` is 65,536);
- a duration is a number of seconds, also with ``ms``, ``s``, ``m`` or ``h``;
- a list is separated by white space, newlines or commas. On the command line the option may be repeated;
- ``${NAME}`` and ``${NAME:-default}`` in an ini file are replaced from the environment; ``$$`` is a dollar sign.
"""

_WAITRESS_HEAD: Final = """\
Coming from waitress
====================

Change ``use = egg:waitress#main`` to ``use = egg:waitressd#main``, or leave the file as it is and start it with
``waitressd --config production.ini``: a section that names waitress is run as it is. Every option of waitress 3 is
accepted under its name, in ini files, on the command line and from Python. This table says what
differs; what differs for requests, answers and loggers is below it.

What differs for all of them: a value that cannot work stops the start, with one message that lists every problem by
file and line. Limits are inclusive. A misspelt boolean is an error instead of false.
"""

_NAMES: Final = re.compile(rf"\b({'|'.join(name for name in SETTINGS if '_' in name)})\b")
_STANDINGS: Final = {
    Standing.SAME: "same",
    Standing.CHANGED: "**changed**",
    Standing.INERT: "accepted, no effect",
}


def settings_page() -> str:
    """Render ``docs/settings.rst``."""
    parts = [_RENDERED, _SETTINGS_HEAD, *_index()]
    for group in Group:
        parts.append(_heading(group.value, "-"))
        parts.extend("\n".join(_setting(row)) for row in SETTINGS.values() if row.group is group)
    return "\n".join(parts)


def _index() -> Iterator[str]:
    """Lead to each setting; `_static/settings.js` puts a box above it that finds them by name."""
    yield ".. rst-class:: settings-index\n"
    for group in Group:
        links = " · ".join(f"`{row.name}`_" for row in SETTINGS.values() if row.group is group)
        yield f"`{group.value}`_\n" + textwrap.fill(
            links,
            WIDTH,
            initial_indent="    ",
            subsequent_indent="    ",
            break_on_hyphens=False,
            break_long_words=False,
        )
    yield ""


def _heading(text: str, mark: str) -> str:
    return f"{text}\n{mark * len(text)}\n"


def _setting(row: Setting) -> Iterator[str]:
    yield f".. index:: {row.name} (setting)"
    yield f".. _setting-{row.name}:\n"
    yield _heading(f"``{row.name}``", "~")
    yield from _wrapped(_markup(" ".join(row.prose.split())))
    allowed = f"{row.kind.words}."
    yield from _wrapped(f"*Allowed:* {_markup(allowed)} *Default:* {_default(row)}")
    if row.heritage.aliases:
        yield from _wrapped(f"*Also accepted as:* ``{'``, ``'.join(row.heritage.aliases)}``.")
    if row.heritage.standing is Standing.NEW:
        yield from _wrapped("*Not in waitress.*")
    elif row.heritage.standing is Standing.RETIRED:
        yield from _wrapped(f"*Not in waitress, and without effect:* {_markup(row.heritage.note)}")
    elif row.heritage.note:
        yield from _wrapped(f"*Beside waitress:* {_markup(row.heritage.note)}")


def _default(row: Setting) -> str:
    if row.shown_default:
        return f"``{row.shown_default}``."
    return "none."


def _markup(text: str) -> str:
    """Write a sentence of the table as reStructuredText: names of settings as literals, all else as it is."""
    return _NAMES.sub(r"``\1``", re.sub(r"\*|(?<=\w)_\b(?!\w)", r"\\\g<0>", text))


def _wrapped(text: str) -> Iterator[str]:
    yield textwrap.fill(text, WIDTH, break_on_hyphens=False, break_long_words=False)
    yield ""


def waitress_page() -> str:
    """Render ``docs/coming-from-waitress.rst``."""
    rows = [row for row in SETTINGS.values() if row.heritage.standing in _STANDINGS]
    new = [row for row in SETTINGS.values() if row.heritage.standing not in _STANDINGS]
    return "\n".join(
        [
            _RENDERED,
            _WAITRESS_HEAD,
            _heading("Options of waitress", "-"),
            *table(("Option", "Here", "Default", "What to know"), map(_waitress_row, rows)),
            _heading("Settings that waitress does not have", "-"),
            *table(("Setting", "Default", "What it does"), map(_new_row, new)),
            ".. include:: waitress-behaviour.inc",
        ]
    )


def _waitress_row(row: Setting) -> tuple[str, ...]:
    names = ", ".join(f"``{name}``" for name in (row.name, *row.heritage.aliases))
    return names, _STANDINGS[row.heritage.standing], _default(row).rstrip("."), _markup(row.heritage.note)


def _new_row(row: Setting) -> tuple[str, ...]:
    return f"``{row.name}``", _default(row).rstrip("."), _markup(row.summary)


def advice_page() -> str:
    """Render ``docs/advice.inc``, which the page on configuration includes."""
    parts = [_RENDERED]
    for rule in all_rules():
        parts.append(_heading(f"{rule.code}: {rule.title}", "~"))
        parts.extend(_wrapped(f"*Cause:* {_markup(rule.cause)}."))
        parts.extend(_wrapped(f"*Consequence:* {_markup(rule.consequence)}."))
        parts.extend(_wrapped(f"*Remedy:* {_markup(rule.remedy)}."))
        if rule.at_start:
            parts.extend(_wrapped("Also logged when the server starts."))
    return "\n".join(parts)


PAGES: Final = {"settings.rst": settings_page, "coming-from-waitress.rst": waitress_page, "advice.inc": advice_page}


def render_pages() -> dict[str, str]:
    """Render every page, by the name of its file below ``docs/``."""
    return {name: re.sub(r"\n{3,}", "\n\n", render()).rstrip("\n") + "\n" for name, render in PAGES.items()}


if __name__ == "__main__":
    sys.exit(write_or_check(render_pages(), "render_settings.py"))
