"""What the process that has loaded the application leaves to the master, which takes its place by exec.

The process id stays, and so do the listeners; everything else of the application is gone, threads and all.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, NoReturn

from waitressd.command import StartCommand
from waitressd.fleet import processes
from waitressd.fleet.hello import Hello
from waitressd.fleet.link import Link
from waitressd.logsetup import LogSetup
from waitressd.memoryfile import new_file
from waitressd.net.listener import Listener

STATE: Final = 1
"""In which way it is written; to be raised when a version could misunderstand what another one writes."""
READABLE: Final = (1,)
"""The ways that this version understands."""

_PROGRAM: Final = Path(__file__).with_name("__main__.py")


class StateError(Exception):
    """Another version has written what this one cannot read."""


@dataclass(frozen=True, slots=True)
class FirstTemplate:
    """The template that was forked before the master began."""

    pid: int
    link: Link


@dataclass(frozen=True, slots=True)
class HandOver:
    """All that a master begins with."""

    command: StartCommand
    hello: Hello
    listeners: Sequence[Listener]
    template: FirstTemplate | None
    """None where workers load the application for themselves."""
    logs: LogSetup
    prints: bool
    """Whether the addresses are printed, for somebody who may not read the log."""
    can_reload: bool = True
    """Whether the command can be run again: a program that calls `waitressd.serve` would do all its work twice."""
    carried: Mapping[str, Any] | None = None
    """The state of the master that this one takes the place of (see `waitressd.fleet.upgrade`)."""


def execute_master(hand: HandOver) -> NoReturn:
    """Become the master. The main thread, the only one that goes on. Raises OSError."""
    descriptors = [listener.fd for listener in hand.listeners]
    if hand.template is not None:
        descriptors.append(hand.template.link.fileno())
    execute(hand, _PROGRAM, descriptors)


def execute(hand: HandOver, program: Path, descriptors: Sequence[int]) -> NoReturn:
    """Become the program of a master, which has these descriptors. Raises OSError."""
    with write(hand) as file:
        # The words of the command are for people who look at the list of processes.
        words = [str(program), str(file.fileno()), "--", *hand.command.words]
        command = [sys.executable, *interpreter_flags(), *words]
        processes.execute(command, hand.command.environ, [file.fileno(), *descriptors])


def interpreter_flags() -> list[str]:
    """Return the options with which this interpreter was started."""
    flags: list[str] = vars(subprocess)["_args_from_interpreter_flags"]()  # what multiprocessing uses as well
    return flags


def write(hand: HandOver) -> IO[bytes]:
    """Write it to a file that has no name, and return that, for a program to be given to `take_over`."""
    file = os.fdopen(new_file("waitressd"), "w+b")
    try:
        file.write(json.dumps(_written(hand)).encode())
        file.flush()
        file.seek(0)
    except BaseException:  # border: a full disk, or a value that is none
        file.close()
        raise
    return file


def take_over(fd: int) -> HandOver:
    """Read what was left, in the process that has become the master."""
    with open(fd, "rb") as file:
        file.seek(0)
        return read(json.load(file))


def _written(hand: HandOver) -> dict[str, Any]:
    template = hand.template
    return {
        "state": STATE,
        "python": sys.implementation.cache_tag,
        "path": list(filter(_is_text, sys.path)),  # the interpreter takes no others either
        "command": [list(hand.command.words), dict(hand.command.environ), hand.command.folder],
        "hello": hand.hello.fields(),
        "listeners": [listener.carry(int) for listener in hand.listeners],
        "template": None if template is None else [template.pid, template.link.fileno()],
        "logs": [hand.logs.config, dict(hand.logs.variables), hand.logs.level],
        "prints": hand.prints,
        "carried": hand.carried,
    }


def _is_text(entry: object) -> bool:
    return isinstance(entry, str)


def read(written: Mapping[str, Any]) -> HandOver:
    """Read what a master is to begin with. Raises StateError: another version has written it in another way."""
    if written.get("state") not in READABLE:
        raise StateError(f"the running version has written state {written.get('state')!r}, not {READABLE}; restart it")
    if written["python"] == sys.implementation.cache_tag:
        sys.path[:] = written["path"]  # a program may have found its packages by itself, as those of buildout do
    else:
        sys.path += written["path"]
    words, environ, folder = written["command"]
    with contextlib.suppress(OSError):
        os.chdir(folder)  # the application may have changed to another
    config, variables, level = written["logs"]
    template = written["template"]
    return HandOver(
        command=StartCommand(tuple(words), environ, folder),
        hello=Hello.carried(written["hello"]),
        listeners=[Listener.resume(entry) for entry in written["listeners"]],
        template=None if template is None else FirstTemplate(template[0], Link.from_descriptor(template[1])),
        logs=LogSetup(config, variables, level),
        prints=written["prints"],
        carried=written["carried"],
    )
