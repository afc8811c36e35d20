"""What the master does when the plan wants something: births, orders, ends, addresses, and what a manager is told.

Whatever comes of it, the plan is told through `tell`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from waitressd.config.errors import ConfigError
from waitressd.fdstore import FdStore
from waitressd.fleet import actions
from waitressd.fleet.actions import Action
from waitressd.fleet.figures import Figures
from waitressd.fleet.handover import HandOver
from waitressd.fleet.links import Links
from waitressd.fleet.outside import Outside
from waitressd.fleet.plan import Plan
from waitressd.fleet.roster import Code, Roster, Worker
from waitressd.fleet.shown import Shown
from waitressd.fleet.spools import Spools
from waitressd.listeners import open_listeners
from waitressd.logfiles import Reopener
from waitressd.net.logs import say
from waitressd.systemd import Notifier

Event = Callable[[], list[Action]]


@dataclass(slots=True, eq=False)
class Executor:
    """The hands of one master. Its thread."""

    hand: HandOver
    plan: Plan
    roster: Roster
    links: Links
    outside: Outside
    figures: Figures
    notifier: Notifier
    reopener: Reopener
    tell: Callable[[Event], None]
    upgrade: Callable[[], None]
    spools: Spools = field(default_factory=Spools)
    names: str = ""  # of the addresses
    status: int | None = None  # of the process, once the fleet has ended
    shown: Shown = field(init=False)
    _store: FdStore = field(init=False)
    _leaves_backlog: bool = False  # to the next start

    def __post_init__(self) -> None:
        self.shown = Shown(self.hand, self.plan)
        self.names = ", ".join(listener.name for listener in self.hand.listeners)
        self._store = FdStore(self.notifier)

    def join(self) -> None:
        """Wait for what threads of ours write."""
        self.reopener.join()
        self.spools.join()

    def do(self, action: Action) -> None:
        """Do one thing that the plan wants."""
        match action:
            case actions.Say(level, text):
                say(level, "%s", text)
            case actions.Serving() | actions.Reloading() | actions.Stopping():
                self._tell_manager(action)
            case actions.LoadCode() | actions.Bind() | actions.QuitCode() | actions.KillCode():
                self._do_with_code(action)
            case actions.Spawn() | actions.SetAside() | actions.Drain() | actions.Abort() | actions.Kill():
                self._do_with_worker(action)
            case actions.KeepAddresses(codes):
                self._keep_addresses(codes)
            case actions.ReopenLogs():
                self.reopen()
            case actions.Upgrade():
                self.upgrade()
            case actions.End(status):
                self.status = status

    def _do_with_worker(
        self, action: actions.Spawn | actions.SetAside | actions.Drain | actions.Abort | actions.Kill
    ) -> None:
        worker = self.roster.workers.get(action.worker)
        if isinstance(action, actions.Spawn):
            self._spawn(action.worker, action.place, action.code)
        elif worker is None:
            return  # it has ended, and the plan is about to be told
        elif isinstance(action, actions.SetAside):
            self.roster.ask_for_stacks(worker)  # while it still is as it was
            worker.tell("set_aside", seconds=action.seconds)
        elif isinstance(action, actions.Drain):
            leaves_backlog = action.is_last and self._leaves_backlog
            worker.tell("drain", seconds=action.seconds, is_last=action.is_last, leaves_backlog=leaves_backlog)
        elif isinstance(action, actions.Abort):
            worker.tell("abort")
        else:
            self.roster.kill(worker, with_stacks=action.with_stacks)

    def _do_with_code(self, action: actions.LoadCode | actions.Bind | actions.QuitCode | actions.KillCode) -> None:
        codes = self.roster.codes
        match action:
            case actions.LoadCode(number, stands_in_for):
                self._load(number, stands_in_for)
            case actions.Bind(number):
                self._bind(codes[number])
            case actions.QuitCode(number):
                codes[number].tell("quit")
            case actions.KillCode(number, with_stacks):
                self.roster.kill(codes[number], with_stacks=with_stacks)

    def _tell_manager(self, action: actions.Serving | actions.Reloading | actions.Stopping) -> None:
        match action:
            case actions.Serving(status):
                self.shown.say_addresses()
                self._store.keep(self.roster.listeners())
                self.notifier.ready(f"Serving on {self.names} {status}")
            case actions.Reloading(status):
                self.notifier.reloading()
                self.notifier.status(status)
            case actions.Stopping(status):
                self.notifier.stopping(status)

    def _spawn(self, number: int, place: int, code: int) -> None:
        try:
            self._open_again(self.roster.codes[code])
            worker = self.roster.spawn(number, place, code)
        except OSError as error:
            self.roster.workers[number] = worker = Worker(0, None, None, number, place, code)
            self.bury(worker, f"it could not be started: {error}", is_clean=False)
        else:
            self.links.listen_to(worker)
            if worker.pid:
                self.tell(partial(self.plan.born, time.monotonic(), number, worker.pid))

    def _open_again(self, code: Code) -> None:
        """Open the addresses of a code that is rolled back to, where the code after it had closed them."""
        if code.hello is not None and not code.listeners:
            code.listeners = open_listeners(code.hello.adjustments, self.roster.held())
            self.outside.show(code.hello)

    def _load(self, number: int, stands_in_for: int | None) -> None:
        try:
            code = self.roster.load(number)
        except OSError as error:
            self.roster.codes[number] = Code(0, None, None, number)
            self.tell(partial(self.plan.template_died, time.monotonic(), number, f"it could not be started: {error}"))
        else:
            if stands_in_for is not None:
                code.listeners = self.roster.codes[stands_in_for].listeners
            self.links.listen_to(code)

    def _bind(self, code: Code) -> None:
        assert code.hello is not None
        now = time.monotonic()
        try:
            code.listeners = open_listeners(code.hello.adjustments, self.roster.held())
            self.outside.show(code.hello)
        except (OSError, ConfigError) as error:
            self.tell(partial(self.plan.failed, now, code.number, why(error)))
        else:
            self.tell(partial(self.plan.bound, now, code.number))

    def _keep_addresses(self, codes: tuple[int, ...]) -> None:
        if not codes:
            self._leaves_backlog = any(listener.is_kept for listener in self.roster.listeners())
        self.roster.keep_addresses(codes)
        hellos = (self.roster.codes[code].hello for code in codes if code in self.roster.codes)
        self.outside.keep([hello for hello in hellos if hello is not None])
        if codes:
            self._store.keep(self.roster.listeners())
        self.on_addresses()

    def on_addresses(self) -> None:
        """Say from now on where the fleet serves now."""
        self.names = ", ".join(listener.name for listener in self.roster.listeners())

    def reopen(self) -> None:
        """Have every process open its log files anew."""
        self.reopener.ask()
        for process in self.roster.everyone():
            process.tell("reopen")

    def bury(self, worker: Worker, how: str, *, is_clean: bool) -> None:
        """Forget a worker that has ended, and keep what it leaves."""
        self.links.close(worker)
        self.roster.workers.pop(worker.number, None)
        self.roster.retire(worker)
        self.spools.bury(worker.number)
        self.figures.count_exit(worker.number, how)
        self.tell(partial(self.plan.died, time.monotonic(), worker.number, how, is_clean=is_clean))


def why(error: OSError | ConfigError) -> str:
    """Say why an address could not be opened."""
    return str(getattr(error, "strerror", None) or error)
