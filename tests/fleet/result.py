"""What a scenario of the level finds, and the folder that it runs in."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Result:
    """What a scenario has found: figures as text, and what is not as it must be."""

    name: str
    figures: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)

    def expect(self, holds: object, text: str) -> None:
        """Note a trouble unless it holds."""
        if not holds:
            self.trouble.append(text)


@contextlib.contextmanager
def site_folder() -> Iterator[Path]:
    """Make a folder for one scenario."""
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        yield Path(folder)
