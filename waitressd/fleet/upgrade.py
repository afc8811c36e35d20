"""Upgrade in place: the master becomes the installed version of itself by exec. Its workers do not notice.

The process stays the same one for whoever watches it, with its children, its listeners and the signals that wait for
it. What the next program must know of them is its *state*: values as JSON, and descriptors that stay open.

Nothing is given up before the installed version has shown, in a child, that it can go on: it is imported there and
reads the real state. An upgrade that is refused changes nothing.
"""

import json
import logging
import os
import selectors
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NoReturn

from waitressd.command import StartCommand
from waitressd.config.errors import ConfigError
from waitressd.fleet import handover, processes
from waitressd.fleet.codes import Loading
from waitressd.fleet.figures import Figures
from waitressd.fleet.handover import HandOver
from waitressd.fleet.hello import Hello
from waitressd.fleet.link import PROTOCOL, Keep
from waitressd.fleet.links import Links
from waitressd.fleet.mastersignals import MasterSignals
from waitressd.fleet.outside import Outside, Showing
from waitressd.fleet.plan import Plan
from waitressd.fleet.roster import Roster
from waitressd.fleet.spools import Spools
from waitressd.net.listener import Listener
from waitressd.net.logs import report_defect, say
from waitressd.operatorlog import operator_log
from waitressd.version import __version__

PROBE_SECONDS: Final = 10.0  # until the installed version must have answered

REFUSED: Final = "upgrade refused: %s; this version goes on"
NEVER: Final = float("inf")

_ROOT: Final = Path(__file__).parents[2]
_ANSWER: Final = "waitressd can go on: "

# Run by the interpreter of the command. The package is the one that it finds by itself; and the one of this process if
# only the program of the command has found that, as those of buildout do.
_REHEARSAL: Final = """
import os, sys
root, fd = sys.argv[1:]
if root not in sys.path and os.path.exists(os.path.join(root, "waitressd", "fleet", "upgrade.py")):
    sys.path.insert(0, root)
from waitressd.fleet.upgrade import rehearse
rehearse(int(fd))
"""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a master consists of, as far as the next one goes on with it."""

    plan: Plan
    roster: Roster
    figures: Figures
    spools: Spools
    outside: Outside
    links: Links

    def carry(self, keep: Keep, shown: Showing) -> dict[str, Any]:
        """Write the state down; `keep` is told of every descriptor in it."""
        return {
            "version": __version__,
            "protocol": PROTOCOL,
            "plan": self.plan.carry(time.monotonic()),
            "roster": self.roster.carry(keep),
            "figures": self.figures.carry(),
            "spools": self.spools.carry(keep),
            "passed_on": self.links.carry(keep),
            "shown": {
                "hellos": [hello.fields() for hello in shown.hellos],
                "counters": None if shown.counters is None else keep(shown.counters),
                "admin": [listener.carry(keep) for listener in shown.admin],
            },
        }

    def resume(self, fields: Mapping[str, Any]) -> None:
        """Go on with the state that another version has written. Raises OSError: a descriptor is not what it was."""
        self.plan.resume(time.monotonic(), fields["plan"])
        self.roster.resume(fields["roster"])
        self.figures.resume(fields["figures"])
        self.figures.renew(time.monotonic())  # what is shown from the first moment on
        self.spools.resume(fields["spools"])
        self.links.resume(fields["passed_on"], self.roster.everyone())
        shown = fields["shown"]
        self.show_again(
            Showing(
                hellos=[Hello.carried(each) for each in shown["hellos"]],
                counters=shown["counters"],
                admin=[Listener.resume(each) for each in shown["admin"]],
            )
        )
        if self.roster.metrics is None:  # what its workers count is not known here
            for worker in self.roster.workers.values():
                worker.row = None

    def show_again(self, shown: Showing) -> None:
        """Answer again where others have asked how the fleet is. That it cannot is no reason to end it."""
        try:
            self.outside.resume(shown)
        except (OSError, ConfigError) as error:
            say(logging.ERROR, "the admin addresses or the metrics cannot be shown: %s", error)

    def shown_for(self) -> list[Hello]:
        """Return the codes whose addresses are shown, the one that holds at the end."""
        current = self.plan.succession.current.number
        codes = sorted(self.roster.codes.values(), key=lambda code: (code.number == current, code.number))
        return [code.hello for code in codes if code.hello is not None]


class Upgrade:
    """The upgrades of one master. Its thread."""

    def __init__(self, hand: HandOver, parts: Parts, signals: MasterSignals, poller: selectors.BaseSelector) -> None:
        self._hand = hand
        self.parts = parts
        self._signals = signals
        self._poller = poller
        self._program: Path | None = None  # that has answered
        self.probe: Probe | None = None
        """What the poller names when it has said something."""

    @property
    def due(self) -> float:
        """When `on_tick` is wanted at the latest, monotonic seconds."""
        return NEVER if self.probe is None else self.probe.due

    def go_on(self) -> None:
        """Take the next step, which the plan allows: ask the installed version, or become it when it has answered.

        Does not return then, unless that is not possible after all.
        """
        if self._program is not None:
            program, self._program = self._program, None
            self._execute(program)
        elif self.probe is not None:
            say(logging.INFO, "SIGUSR2: the upgrade is on its way")
        else:
            self._begin()

    def _begin(self) -> None:
        shown = Showing(self.parts.shown_for())
        try:
            self.probe = Probe(self._hand.command, self._state(int, shown))
        except OSError as error:
            say(logging.ERROR, REFUSED, f"the installed version cannot be started: {error}")
        else:
            say(logging.INFO, "SIGUSR2: upgrade, if the installed version can go on from here")
            self._poller.register(self.probe, selectors.EVENT_READ, self.probe)

    def on_tick(self, now: float) -> bool:
        """Whether the installed version has shown that it can go on, so that the plan is to be asked again."""
        probe = self.probe
        if probe is None or (probe.is_talking and now < probe.due):
            return False
        self.drop()
        self._program = probe.program()
        if self._program is None:
            say(logging.ERROR, REFUSED, probe.why_not(now))
        return self._program is not None

    def drop(self) -> None:
        """Give up what is on its way. The poller is still open."""
        self._program = None
        if self.probe is not None:
            self._poller.unregister(self.probe)
            self.probe.close()
            self.probe = None

    def _execute(self, program: Path) -> None:
        """Become this program. Comes back if that is not possible, and then all is as it was."""
        shown = Showing(self.parts.shown_for())
        descriptors: list[int] = []

        def keep(fd: int) -> int:
            descriptors.append(fd)
            return fd

        try:
            operator_log.flush()  # while it is still answered
            self.parts.outside.hand_over(shown)
            self._signals.give_back()
            operator_log.flush()  # what threads have said meanwhile
            handover.execute(self._state(keep, shown), program, descriptors)
        except OSError as error:
            say(logging.ERROR, REFUSED, f"{program}: {error.strerror or error}")
        except Exception:  # border: a defect of ours must not end the service of everybody
            report_defect("the upgrade has failed")
        self.parts.show_again(shown)

    def _state(self, keep: Keep, shown: Showing) -> HandOver:
        current = self.parts.roster.codes[self.parts.plan.succession.current.number].hello
        fields = self.parts.carry(keep, shown)
        return replace(self._hand, hello=current or self._hand.hello, listeners=(), template=None, carried=fields)


class Probe:
    """The installed version, as it shows in a child of its own that it can go on. The master's thread."""

    def __init__(self, command: StartCommand, state: HandOver) -> None:
        """Raises OSError: it cannot be started."""
        self.is_talking = True
        self.due: Final = time.monotonic() + PROBE_SECONDS
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        self._said: Final = Loading(reading)
        try:
            with handover.write(state) as file:
                words = [command.words[0], *handover.interpreter_flags(), "-P", "-c", _REHEARSAL, str(_ROOT)]
                asked = StartCommand((*words, str(file.fileno())), {}, command.folder)
                self.pid: Final = processes.spawn(asked, command.environ_of_child(), file.fileno(), writing)
        except OSError:
            self._said.close()
            raise
        finally:
            os.close(writing)

    def fileno(self) -> int:
        """Return the descriptor, for a poller."""
        return self._said.pipe

    def hear(self) -> None:
        """Take what it says."""
        self.is_talking = self._said.read()

    def program(self) -> Path | None:
        """Return the program to be executed, if it has said that it can go on."""
        for line in self._said.said.decode("utf-8", "backslashreplace").splitlines():
            if line.startswith(_ANSWER):
                return Path(json.loads(line.removeprefix(_ANSWER))["program"])
        return None

    def why_not(self, now: float) -> str:
        """Say what has kept it from an answer."""
        if self.is_talking and now >= self.due:
            return f"the installed version has not answered after {PROBE_SECONDS:g} s"
        return f"the installed version cannot go on: {self._said.last_line() or 'it says nothing'}"

    def close(self) -> None:
        """End it, if it has not ended, and listen no more. It is reaped by the master. Twice is harmless."""
        if self._said.pipe >= 0:
            self._said.close()
            if self.is_talking:
                processes.kill(self.pid)


def rehearse(fd: int) -> NoReturn:
    """Read the state of a master as if it were to be taken over, and say that this version can. A child's program.

    No descriptor in the state is open here. Raises whatever is wrong with it.
    """
    with open(fd, "rb") as file:
        written = json.load(file)
    hand = handover.read(written)
    assert hand.carried is not None
    check(hand.carried)
    program = Path(handover.__file__).with_name("__main__.py")
    sys.stderr.write(_ANSWER + json.dumps({"version": __version__, "program": str(program)}) + "\n")
    sys.exit(0)


def check(fields: Mapping[str, Any]) -> None:
    """Read all values of a state. Raises KeyError, TypeError or ConfigError: this version does not understand them."""
    Plan().resume(0.0, fields["plan"])
    for code in fields["roster"]["codes"]:
        if code["hello"] is not None:
            _ = Hello.carried(code["hello"]).adjustments
    for name in ("workers", "mailboxes", "board", "guard", "unknown", "later", "listeners"):
        _ = fields["roster"][name]
    for name in ("figures", "spools", "passed_on", "shown", "protocol", "version"):
        _ = fields[name]
