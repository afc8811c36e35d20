"""What the process that has loaded the application leaves to the master, which takes its place by exec.

The process id stays, and so do the listeners; everything else of the application is gone, threads and all.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, NoReturn

from waitressd.command import StartCommand
from waitressd.fleet import processes
from waitressd.fleet.hello import Hello
from waitressd.fleet.link import Link
from waitressd.logsetup import LogSetup
from waitressd.net.listener import Listener

_PROGRAM: Final = Path(__file__).with_name("__main__.py")


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


def execute_master(hand: HandOver) -> NoReturn:
    """Become the master. The main thread, the only one that goes on. Raises OSError."""
    descriptors = [listener.fd for listener in hand.listeners]
    if hand.template is not None:
        descriptors.append(hand.template.link.fileno())
    with _unnamed_file() as file:
        file.write(json.dumps(_written(hand)).encode())
        file.flush()
        # The words of the command are for people who look at the list of processes.
        words = [str(_PROGRAM), str(file.fileno()), "--", *hand.command.words]
        flags: list[str] = vars(subprocess)["_args_from_interpreter_flags"]()  # what multiprocessing uses as well
        processes.execute([sys.executable, *flags, *words], hand.command.environ, [file.fileno(), *descriptors])


def _unnamed_file() -> IO[bytes]:
    """Return a file that ends with its last descriptor. In memory: a service may have no disk to write to."""
    return os.fdopen(os.memfd_create("waitressd"), "w+b") if hasattr(os, "memfd_create") else tempfile.TemporaryFile()


def take_over(fd: int) -> HandOver:
    """Read what was left, in the process that has become the master."""
    with open(fd, "rb") as file:
        file.seek(0)
        return _read(json.load(file))


def _written(hand: HandOver) -> dict[str, Any]:
    template = hand.template
    return {
        "path": list(filter(_is_text, sys.path)),  # the interpreter takes no others either
        "command": [list(hand.command.words), dict(hand.command.environ), hand.command.folder],
        "hello": hand.hello.fields(),
        "listeners": [
            [listener.fd, listener.asked, listener.service, _absolute(listener.unix_path), listener.bound_by]
            for listener in hand.listeners
        ],
        "template": None if template is None else [template.pid, template.link.fileno()],
        "logs": [hand.logs.config, dict(hand.logs.variables), hand.logs.level],
        "prints": hand.prints,
    }


def _is_text(entry: object) -> bool:
    return isinstance(entry, str)


def _absolute(path: str | None) -> str | None:
    return None if path is None else str(Path(path).absolute())  # the master does not stay in this folder


def _read(written: Mapping[str, Any]) -> HandOver:
    sys.path[:] = written["path"]  # a program may have found its packages by itself, as those of buildout do
    words, environ, folder = written["command"]
    with contextlib.suppress(OSError):
        os.chdir(folder)  # the application may have changed to another
    config, variables, level = written["logs"]
    template = written["template"]
    return HandOver(
        command=StartCommand(tuple(words), environ, folder),
        hello=Hello.from_fields(written["hello"]),
        listeners=[_listener(*entry) for entry in written["listeners"]],
        template=None if template is None else FirstTemplate(template[0], Link.from_descriptor(template[1])),
        logs=LogSetup(config, variables, level),
        prints=written["prints"],
    )


def _listener(fd: int, asked: str, service: str, unix_path: str | None, bound_by: int) -> Listener:
    os.set_inheritable(fd, False)
    listener = Listener(socket.socket(fileno=fd), unix_path)
    listener.asked, listener.service, listener.bound_by = asked, service, bound_by
    return listener
