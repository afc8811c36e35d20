"""How a process that has loaded the application becomes a fleet.

It forks the template, which has the application then, and executes the master in its own place: so the process that
the supervisor knows keeps its number, and has neither code of the application nor its threads. A program that calls
`waitressd.serve` goes on after it, so there the master runs in the program itself.
"""

import errno
import logging
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from waitressd.command import forget_supervisor, started
from waitressd.fleet import processes
from waitressd.fleet.cores import find_cores
from waitressd.fleet.handover import FirstTemplate, HandOver, execute_master
from waitressd.fleet.hazards import Hazard
from waitressd.fleet.link import Link
from waitressd.fleet.loaded import hello_of
from waitressd.fleet.master import Master
from waitressd.fleet.mastersignals import MASTERS_SIGNALS
from waitressd.fleet.template import Template
from waitressd.fleet.worker import run_worker_of
from waitressd.listeners import open_first_listeners
from waitressd.logsetup import LogSetup
from waitressd.net.listener import Listener
from waitressd.net.logs import say
from waitressd.server import Server
from waitressd.signals import raise_early_signals
from waitressd.standardstreams import fill_descriptors


@dataclass(frozen=True, slots=True)
class Program:
    """What the program that leads is besides its server."""

    listeners: Sequence[Listener]
    logs: LogSetup
    known: Sequence[Hazard] = ()  # before the application was loaded
    prints: bool = False  # the addresses, for somebody who may not read the log


def lead(server: Server, program: Program) -> NoReturn:
    """Become the master of workers that serve. The main thread. Raises OSError: no process can be started."""
    hello = hello_of(server, program.known)
    template = _fork_template(server, program.listeners) if hello.is_preloaded else None
    # From here until the master hears them, signals wait.
    signal.pthread_sigmask(signal.SIG_BLOCK, MASTERS_SIGNALS)
    raise_early_signals(MASTERS_SIGNALS)
    for number in MASTERS_SIGNALS - started.ignored:  # what the application ignores, a master would as well
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    try:
        execute_master(HandOver(started, hello, program.listeners, template, program.logs, program.prints))
    except OSError:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, MASTERS_SIGNALS)
        raise


def lead_here(server: Server) -> int:
    """Be the master until the end, and return its exit status. The main thread.

    Raises OSError: an address cannot be bound, or no process started.
    """
    if not processes.can_adopt():
        raise OSError(errno.ENOTSUP, "workers under waitressd.serve need Linux; use pserve or the command waitressd")
    fill_descriptors()
    listeners = open_first_listeners(server.adjustments)
    hello = hello_of(server, is_preloaded=True)
    template = _fork_template(server, listeners)
    return Master(HandOver(started, hello, listeners, template, LogSetup(), prints=False, can_reload=False)).run()


def _fork_template(server: Server, listeners: Sequence[Listener]) -> FirstTemplate:
    ours, theirs = Link.pair()

    def run() -> NoReturn:
        ours.close()
        forget_supervisor()
        for listener in listeners:
            listener.socket.close()  # workers are given them, each the ones of its configuration
        processes.show_stacks_on_request()
        Template(theirs, 1, run_worker_of(server)).run()

    pid = processes.fork(run)
    theirs.close()
    return FirstTemplate(pid, ours)


def is_master_needed(server: Server) -> bool:
    """Whether a configuration asks for processes. What `auto` came to is said, also if that is one."""
    adjustments = server.adjustments
    if not adjustments.may_be_fleet:
        return False
    cores = find_cores()
    if adjustments.workers is None:
        say(logging.INFO, "%s", cores)
    return cores.can_fork and adjustments.is_fleet(cores.workers)
