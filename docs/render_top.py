"""Draws the pictures of `waitressd top` for the manual, from an admin address that tells a story.

    python docs/render_top.py               writes them (needs textual)

The picture is what textual itself exports, without the fonts that it would load from the network.
"""

import asyncio
import re
import sys
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

from tests.support.insightfake import insight_fake  # noqa: E402 - the tree that the pictures belong to comes first
from waitressd.tools.client import Client  # noqa: E402 - as above, it is of this tree
from waitressd.tools.picture import Picture, look  # noqa: E402 - as above, it is of this tree
from waitressd.tools.screen import TopScreen  # noqa: E402 - as above, it is of this tree
from waitressd.tools.target import Words, find_target  # noqa: E402 - as above, it is of this tree

FOLDER: Final = DOCS / "_static"
_FONTS: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_TERMINAL: Final = re.compile(r"terminal-\d+")
SIZE: Final = (150, 38)


async def draw() -> dict[str, str]:
    """Walk through the screen, and return its pictures by their names."""
    pictures = {}
    with insight_fake() as fake:
        client = Client(find_target(Words(fake.address), {}))
        app = TopScreen(client, look(client, Picture()))
        async with app.run_test(size=SIZE) as pilot:
            await pilot.pause()
            await pilot.press("down", "enter")
            while not app.query_one("#below").has_class("shown"):
                await pilot.pause(0.05)
            await pilot.pause()
            pictures["top.svg"] = app.export_screenshot()
            await pilot.press("q")
    return pictures


def without_network(picture: str) -> str:
    """Leave out what a browser would load from elsewhere, and numbers that differ from run to run."""
    return _TERMINAL.sub("terminal", _FONTS.sub("", picture)).replace("Fira Code", "ui-monospace, monospace")


def main() -> None:
    """Write the pictures."""
    for name, picture in asyncio.run(draw()).items():
        (FOLDER / name).write_text(without_network(picture) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
