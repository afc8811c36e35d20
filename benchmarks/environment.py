"""The environment that the servers run in: a virtual environment of its own, and the programs of the system."""

import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.scenarios import Scenario
from benchmarks.servers import Server, takes_part

ROOT: Final = Path(__file__).parent.parent
DEFAULT: Final = Path(__file__).parent / ".env"
DEBIAN: Final = {"wrk": "wrk", "nginx": "nginx"}
LIBEV_HEADER: Final = Path("/usr/include/ev.h")


def prepare(folder: Path | None, servers: Sequence[Server], scenarios: Sequence[Scenario]) -> Path:
    """Return the `bin` of an environment with what these servers and applications import, installing what is missing.

    Without a folder, and with nothing to install, this is the environment that runs the driver.
    """
    parts = [server for server in servers if any(takes_part(server, scenario) for scenario in scenarios)]
    packages = [server.package for server in parts if server.package]
    packages += [package for scenario in scenarios for package in scenario.packages]
    if folder is None and not packages:
        return Path(sys.executable).parent
    folder = folder or DEFAULT
    _system_programs("bjoern" in packages)
    if not (folder / "bin" / "python").exists():
        print(f"making {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True)
        _pip(folder, "-e", str(ROOT))
    for package in dict.fromkeys(packages):
        if not _has(folder, package.partition("<")[0]) and not _pip(folder, package):
            print(f"{package} cannot be installed here: what needs it is left out", file=sys.stderr)
    return folder / "bin"


def can_run(server: Server, scenario: Scenario, bin_folder: Path) -> bool:
    """Whether the server and the application can be imported, or the program be found."""
    if server.program:
        return find_program(server.program) is not None
    python = server.interpreter or (str(bin_folder / "python"),)
    modules = [server.module, scenario.app.partition(":")[0]]
    # bjoern and uWSGI would start something when they are imported, so the server is only looked for.
    code = "import importlib.util, sys; sys.exit(not importlib.util.find_spec(sys.argv[1]))"
    found = _succeeds(*python, "-c", code, modules[0])
    return found and _succeeds(*python, "-W", "ignore", "-c", f"import {modules[1]}")


def find_program(name: str) -> str | None:
    """Find a program of the system; Debian keeps servers where a user's path does not look."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def versions(bin_folder: Path) -> dict[str, str]:
    """Return name and version of each package in the environment, and of Python."""
    listing = subprocess.run(
        [bin_folder / "python", "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = dict(line.split("==", 1) for line in listing.stdout.splitlines() if "==" in line)
    python = subprocess.run([bin_folder / "python", "-V"], capture_output=True, text=True, check=True)
    return {"python": python.stdout.split()[1], **found}


def _system_programs(wants_libev: bool) -> None:  # noqa: FBT001 - one question, asked once
    missing = [package for program, package in DEBIAN.items() if find_program(program) is None]
    if wants_libev and not LIBEV_HEADER.exists():
        missing.append("libev-dev")
    if missing and shutil.which("apt-get"):
        print(f"installing {' '.join(missing)} with apt-get", file=sys.stderr)
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], check=False)


def _has(folder: Path, package: str) -> bool:
    return _succeeds(str(folder / "bin" / "python"), "-m", "pip", "show", "-q", package)


def _succeeds(*command: str) -> bool:
    return not subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode


def _pip(folder: Path, *what: str) -> bool:
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", *what]
    return not subprocess.run(command, check=False).returncode
