"""Renders docs/states.rst and its pictures from the transition tables of the package.

    python docs/render_states.py            writes them
    python docs/render_states.py --check    says whether they are what the tables give, and exits with 1 if not

Every module of the package is searched for tables (names that end in TRANSITIONS), so that a new machine cannot be
forgotten. A table maps (state, event) to the next state, or a state to the set of states that may follow.
"""

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from xml.sax.saxutils import escape

DOCS: Final = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

import waitressd  # noqa: E402 - the tree that these pages belong to comes first on the path

HEAD: Final = """States
======

.. This page is rendered from the tables in the code by docs/render_states.py; a test compares the two.

Whatever has states says so in an ``IntEnum`` and a table of the moves between them. A move that is not in its
table is an error, in the server as in its tests. The pictures and lists below are drawn from those tables.
"""
MEMBER: Final = re.compile(r"^ {4}([A-Z_]+) = \d+(?: *# (.*))?$", re.MULTILINE)
CROWD: Final = 5  # moves from so many states or more to the same one are written below the picture, not drawn

NODE_WIDTH: Final = 118
NODE_HEIGHT: Final = 26
PITCH: Final = 54
CENTER: Final = 330
WIDTH: Final = 660
STYLE: Final = (
    "rect.b{fill:#fff}rect.n{fill:#e7f5f8;stroke:#0b7285}text{font:11px system-ui,sans-serif;fill:#333;"
    "paint-order:stroke;stroke:#fff;stroke-width:3px}text.n{font-weight:600;text-anchor:middle;stroke:none}path{fill:none;stroke:#868e96}"
)

Edges = dict[tuple[IntEnum, IntEnum], list[str]]


@dataclass(frozen=True)
class Machine:
    """One table: whose states, which moves. `edges` maps (from, to) to the names of the moves."""

    module: str
    states: type[IntEnum]
    edges: Edges

    @property
    def anchor(self) -> str:
        """A name for files and links."""
        return f"{self.module.removeprefix('waitressd.')}.{self.states.__name__}".replace(".", "-").lower()

    def arrows(self) -> Iterator[tuple[list[IntEnum], str, IntEnum]]:
        """Yield (states from which, moves, state to which), moves of the same kind to the same state together."""
        sources: dict[tuple[str, IntEnum], list[IntEnum]] = {}
        for (before, after), moves in self.edges.items():
            for move in moves:
                sources.setdefault((move, after), []).append(before)
        for (move, after), before_all in sources.items():
            yield before_all, move, after


def find_machines() -> Iterator[Machine]:
    """Yield the machines of the package, innermost layer first."""
    names = [info.name for info in pkgutil.walk_packages(waitressd.__path__, "waitressd.")]
    order = ["http", "net", "wsgi"]
    names.sort(key=lambda name: (order.index(layer) if (layer := name.split(".")[1]) in order else len(order), name))
    for name in names:
        if not name.endswith("__main__"):
            module = importlib.import_module(name)
            for attribute, table in vars(module).items():
                if attribute.endswith("TRANSITIONS") and isinstance(table, dict):
                    machine = build_machine(name, table)
                    if machine.states.__module__ == name:  # else it is imported there
                        yield machine


def build_machine(module: str, table: Mapping[Any, Any]) -> Machine:
    """Turn a table of either form into a machine."""
    edges: Edges = {}
    for key, value in table.items():
        if isinstance(key, tuple):
            before, event = key
            edges.setdefault((before, value), []).append(event.name)
        else:
            before = key
            for after in sorted(value):
                edges.setdefault((before, after), []).append("")
    return Machine(module, type(next(before for before, _ in edges)), edges)


def comments(states: type[IntEnum], module: ModuleType) -> dict[str, str]:
    """Return the comment beside each member, as the source has it."""
    source = inspect.getsource(states) if states.__module__ == module.__name__ else ""
    return {name: comment or "" for name, comment in MEMBER.findall(source)}


def page(machines: list[Machine]) -> str:
    """Render the whole page."""
    return "\n".join([HEAD, *(section(machine) for machine in machines)])


def section(machine: Machine) -> str:
    """Render one machine: what it is, its picture, its states, its moves."""
    module = importlib.import_module(machine.module)
    title = f"{machine.states.__name__} (``{machine.module}``)"
    lines = [title, "-" * len(title), "", (inspect.getdoc(machine.states) or "").strip(), ""]
    lines += [f".. image:: states/{machine.anchor}.svg", f"   :alt: the states of {machine.states.__name__}", ""]
    said = comments(machine.states, module)
    for state in machine.states:
        lines += [f"``{state.name}``", f"    {sentence(said.get(state.name, ''))}", ""]
    lines += [".. code-block:: text", ""]
    lines += [f"    {line}" for line in arrow_lines(machine)]
    return "\n".join([*lines, ""])


def sentence(comment: str) -> str:
    """Turn a comment into a sentence of the manual."""
    return comment[0].upper() + comment[1:].rstrip(".") + "." if comment else "As the name says."


def arrow_lines(machine: Machine) -> list[str]:
    """Render the moves: 'IDLE, HEAD --BODY--> BODY'."""
    rows = []
    everything = len(machine.states)
    for sources, move, after in machine.arrows():
        left = "any" if len(sources) == everything else ", ".join(state.name for state in sources)
        if len(sources) == everything - 1 and everything > 2:
            missing = next(state for state in machine.states if state not in sources)
            left = f"any but {missing.name}"
        rows.append((left, f"--{move}-->" if move else "-->", after.name))
    width = max(len(left) for left, _, _ in rows)
    return [f"{left:<{width}}  {arrow} {after}" for left, arrow, after in rows]


def picture(machine: Machine) -> str:
    """Draw the machine: states in their order downwards, moves forward at the right, moves back at the left."""
    crowds = {(move, after) for sources, move, after in machine.arrows() if move and len(sources) >= CROWD}
    parts: list[str] = []
    notes: list[str] = []
    for (before, after), moves in machine.edges.items():
        drawn = [move for move in moves if (move, after) not in crowds]
        if drawn and before is not after:
            parts += arc(list(machine.states).index(before), list(machine.states).index(after), ", ".join(drawn))
    for index, state in enumerate(machine.states):
        top = 16 + index * PITCH
        left = CENTER - NODE_WIDTH // 2
        parts.append(f'<rect class="n" x="{left}" y="{top}" width="{NODE_WIDTH}" height="{NODE_HEIGHT}" rx="5"/>')
        parts.append(f'<text class="n" x="{CENTER}" y="{top + 17}">{state.name}</text>')
        loops = [move for move in machine.edges.get((state, state), []) if move]
        if loops:
            parts.append(
                text(CENTER, top + NODE_HEIGHT + 12, "\N{CLOCKWISE OPEN CIRCLE ARROW} " + ", ".join(loops), "middle")
            )
    bottom = 16 + len(machine.states) * PITCH
    for sources, move, after in machine.arrows():
        if (move, after) in crowds:
            count = "any state" if len(sources) >= len(machine.states) - 1 else ", ".join(each.name for each in sources)
            note = f"{count} \N{RIGHTWARDS ARROW} {after.name} ({move})"
            notes.append(text(12, bottom + 16 * len(notes), note, "start"))
    height = bottom + 16 * len(notes)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img"><title>The states of {escape(machine.states.__name__)}</title><style>{STYLE}</style>'
        '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" style="fill:#868e96;stroke:none"/></marker></defs>'
        f'<rect class="b" width="{WIDTH}" height="{height}"/>'
    )
    return "\n".join([head, *parts, *notes, "</svg>", ""])


def arc(start: int, end: int, label: str) -> list[str]:
    """Draw one move between two states, given by their places."""
    side = 1 if end > start else -1
    x = CENTER + side * NODE_WIDTH // 2
    distance = abs(end - start)
    reach = side * (18 + 40 * distance)
    # Leaving a little below the middle and arriving a little above it keeps two opposite moves apart.
    top, bottom = (16 + place * PITCH + NODE_HEIGHT // 2 for place in (start, end))
    top, bottom = top + 6 * side, bottom - 6 * side
    curve = f"M{x} {top}C{x + reach} {top} {x + reach} {bottom} {x} {bottom}"
    anchor = "start" if side > 0 else "end"
    text_x = x + round(reach * 0.75) + 4 * side
    return [
        f'<path d="{curve}" marker-end="url(#a)"/>',
        text(text_x, (top + bottom) // 2 + 4 - 9 * (distance - 1), label, anchor),
    ]


def text(x: int, y: int, words: str, anchor: str) -> str:
    """Write a few words into the picture."""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'


def render() -> dict[Path, str]:
    """Return every file with what it should contain."""
    machines = list(find_machines())
    files = {DOCS / "states" / f"{machine.anchor}.svg": picture(machine) for machine in machines}
    return {DOCS / "states.rst": page(machines), **files}


def main() -> int:
    """Write the files, or compare them; return the exit status."""
    files = render()
    if "--check" not in sys.argv[1:]:
        (DOCS / "states").mkdir(exist_ok=True)
        for path in set((DOCS / "states").glob("*.svg")) - files.keys():
            path.unlink()
        for path, text in files.items():
            path.write_text(text, encoding="utf-8")
        return 0
    present = set((DOCS / "states").glob("*.svg")) | {DOCS / "states.rst"}
    stale = [path for path, text in files.items() if path not in present or path.read_text(encoding="utf-8") != text]
    stale += sorted(present - files.keys())
    for path in stale:
        sys.stdout.write(f"{path.relative_to(DOCS.parent)} is not what the tables give: python docs/render_states.py\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
