"""Draws two of the three pictures of the manual's first page: a comparison, and a message about a wrong file.

    python docs/render_first.py             writes them
    python docs/render_first.py --check     says whether they are what the figures give, and exits with 1 if not

The figures are those of `docs/benchmarks-results.rst`, which `python -m benchmarks --docs` writes. The message is what
the command prints about `docs/examples/mistakes/production.ini`.
"""

import contextlib
import re
import sys
import textwrap
from collections.abc import Iterator
from typing import Final
from xml.sax.saxutils import escape

from rendering import DOCS, write_or_check  # which finds the tree that the pictures belong to

from waitressd.config.errors import ConfigError
from waitressd.config.inisource import IniSource

SCENARIO: Final = "Pyramid hello"
NATIVE: Final = frozenset({"bjoern", "granian", "uwsgi", "nginx"})
"""Servers whose HTTP is in C or Rust."""
WIDTH: Final = 340
_ROW: Final = re.compile(r"^   \* - (\w+)\n     - ([\d,]+)$", re.MULTILINE)


def figures() -> dict[str, int]:
    """Return the requests per second of each server in SCENARIO, the fastest first."""
    page = (DOCS / "benchmarks-results.rst").read_text(encoding="utf-8")
    section = page.partition(f"\n{SCENARIO}\n{'-' * len(SCENARIO)}\n")[2]
    table = re.split(r"\n-{3,}\n", section)[0]
    found = {name: int(rate.replace(",", "")) for name, rate in _ROW.findall(table)}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def draw_comparison() -> str:
    """Draw a bar for each server: ours, others in pure Python, and those in C or Rust."""
    rates = figures()
    height = 30 + 24 * len(rates) + 18
    best = max(rates.values())
    parts = [_head(WIDTH, height, "Requests a second of WSGI servers with a Pyramid application"), _COMPARISON_STYLE]
    parts.append('<text class="t" x="0" y="14">A Pyramid application, requests a second</text>')
    for index, (name, rate) in enumerate(rates.items()):
        y = 28 + 24 * index
        length = max(2.0, (WIDTH - 76 - 52) * rate / best)
        kind = "o" if name == "waitressd" else "c" if name in NATIVE else "p"
        parts += [
            f'<text class="{"t" if kind == "o" else ""}" x="68" y="{y + 13}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="76" y="{y}" width="{length:.1f}" height="17" rx="2"/>',
            f'<text class="n" x="{76 + length + 6:.1f}" y="{y + 13}">{rate:,}</text>',
        ]
    y = height - 14
    for x, kind, words in ((0, "o", "waitressd"), (92, "p", "in Python"), (182, "c", "with C or Rust")):
        parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="11" height="11" rx="2"/>')
        parts.append(f'<text class="n" x="{x + 16}" y="{y + 10}">{words}</text>')
    return "\n".join([*parts, "</svg>", ""])


_COMPARISON_STYLE: Final = (
    "<style>text{font:12.5px system-ui,sans-serif;fill:#333}.t{font-weight:600}.n{fill:#555}"
    ".o{fill:#0b7285}.p{fill:#9aa8b2}.c{fill:#d8dee3}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.n{fill:#aaa}.o{fill:#22b8cf}.p{fill:#7b8a94}.c{fill:#454f57}}</style>"
)


def message() -> str:
    """Return what the command says about the file with mistakes, beside which it was called."""
    with contextlib.chdir(DOCS / "examples" / "mistakes"):
        try:
            IniSource("production.ini", {}).server_section("").check({})
        except ConfigError as error:
            return str(error)
    raise ValueError("the file with mistakes has none")


_TERMINAL_STYLE: Final = (
    "<style>text{font:12px ui-monospace,'DejaVu Sans Mono',monospace;fill:#d7dde3;white-space:pre}"
    ".w{fill:#7fd3e3}.d{fill:#8b98a3}.b{fill:#12181d}.h{fill:#ffc56b}</style>"
)
COLUMNS: Final = 45


def draw_message() -> str:
    """Draw the message as a terminal shows it."""
    lines = [("d", "$ waitressd --config production.ini")]
    for line in message().splitlines():
        place, _, text = line.partition("]: ")
        lines.append(("w", f"{place}]:"))
        lines += [("h" if number == 0 else "", part) for number, part in enumerate(_broken(text))]
    height = 20 + 17 * len(lines)
    parts = [_head(WIDTH, height, "A message that names every mistake in an ini file"), _TERMINAL_STYLE]
    parts.append(f'<rect class="b" width="{WIDTH}" height="{height}" rx="6"/>')
    for index, (kind, text) in enumerate(lines):
        attribute = f' class="{kind}"' if kind else ""
        parts.append(f'<text{attribute} x="10" y="{22 + 17 * index}">{escape(text)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _broken(text: str) -> Iterator[str]:
    """Break the text about a setting after what is wrong, so that what is right has a line of its own."""
    wrong, mark, right = re.split(r"(: expected|; )", text, maxsplit=1)
    yield f"  {wrong}"
    yield from textwrap.wrap(
        (mark.lstrip(":; ") + right).strip(),
        COLUMNS,
        initial_indent="  ",
        subsequent_indent="  ",
        break_on_hyphens=False,
    )


def _head(width: int, height: int, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img"><title>{escape(title)}</title>'
    )


def main() -> int:
    """Write or check the pictures."""
    pictures = {"_static/first-comparison.svg": draw_comparison(), "_static/first-message.svg": draw_message()}
    return write_or_check(pictures, "render_first.py")


if __name__ == "__main__":
    sys.exit(main())
