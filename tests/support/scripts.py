"""Programs of a few lines that a test runs as processes of their own, where this process must not fork or end."""

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent.parent
SECONDS: Final = 60.0


def run_script(text: str, *words: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run Python code with the tree under test; return its end, and what it has written to both outputs."""
    program = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{text}"
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        stdin=subprocess.DEVNULL,
        check=False,
        **options,
    )


def lines_of(text: str, *words: str, **options: Any) -> list[str]:
    """Run Python code that must end well; return the lines that it has printed."""
    ended = run_script(text, *words, **options)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()
