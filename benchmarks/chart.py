"""The picture for the manual: one panel of bars for each scenario, written as SVG by hand."""

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from benchmarks.measure import Result
from benchmarks.report import OURS, TITLES, grouped

WIDTH: Final = 760
COLUMNS: Final = 2
GAP: Final = 24
BAR: Final = 15
PITCH: Final = 20
TITLE: Final = 26
LABEL: Final = 76
NUMBER: Final = 62
STYLE: Final = (
    "text{font:11px system-ui,sans-serif;fill:#333}.t{font-weight:600;font-size:12px}"
    ".o{fill:#0b7285}.p{fill:#b8c4cc}.l{fill:#e3d5b8}.n{fill:#555}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.n{fill:#aaa}.p{fill:#56646e}.l{fill:#6e6247}.o{fill:#22b8cf}}"
)


def draw(results: Sequence[Result]) -> str:
    """Draw requests per second of every server in every scenario; each panel has its own scale, from 0."""
    panels = grouped(results)
    width = (WIDTH - GAP * (COLUMNS - 1)) // COLUMNS
    parts, top = [], 0
    for start in range(0, len(panels), COLUMNS):
        line = panels[start : start + COLUMNS]
        for column, panel in enumerate(line):
            parts += _panel(panel, column * (width + GAP), top, width)
        top += TITLE + PITCH * max(map(len, line)) + GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}" '
        'role="img">'
        f"<title>Requests per second of several WSGI servers</title><style>{STYLE}</style>"
    )
    return "\n".join([head, *parts, "</svg>", ""])


def _panel(results: Sequence[Result], left: int, top: int, width: int) -> list[str]:
    best = max(result.median.rate for result in results) or 1.0
    parts = [f'<text class="t" x="{left}" y="{top + 14}">{escape(TITLES[results[0].scenario])}</text>']
    room = width - LABEL - NUMBER
    for index, result in enumerate(sorted(results, key=lambda each: -each.median.rate)):
        y = top + TITLE + index * PITCH
        length = max(1.0, room * result.median.rate / best)
        kind = "o" if result.server == OURS else "l" if result.server == "nginx" else "p"
        parts += [
            f'<text x="{left + LABEL - 6}" y="{y + 11}" text-anchor="end">{escape(result.label)}</text>',
            f'<rect class="{kind}" x="{left + LABEL}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>',
            f'<text class="n" x="{left + LABEL + length + 5:.1f}" y="{y + 11}">{result.median.rate:,.0f}</text>',
        ]
    return parts
