"""The master: what the plan decides, it does, and what happens, it tells the plan.

One thread, one loop over links, signals and what loading processes say. It runs no code of the application and reads
no ini file but for its logging, so nothing of either can hold it up.
"""

import contextlib
import logging
import selectors
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from waitressd.config.errors import ConfigError
from waitressd.fleet import actions, processes
from waitressd.fleet.actions import Action, CodeFacts
from waitressd.fleet.codes import Loading
from waitressd.fleet.figures import Figures
from waitressd.fleet.handover import HandOver
from waitressd.fleet.hello import Hello
from waitressd.fleet.leaving import Leaving, Step
from waitressd.fleet.link import LinkError, Message
from waitressd.fleet.mastersignals import MasterSignals
from waitressd.fleet.names import MASTER, name_process
from waitressd.fleet.outside import LONGEST_SLEEP_SECONDS, Outside
from waitressd.fleet.plan import Plan
from waitressd.fleet.processes import Death
from waitressd.fleet.roster import UNLINKED_SECONDS, Code, Process, Roster, Worker
from waitressd.fleet.shown import Shown
from waitressd.fleet.spools import Spools
from waitressd.fleet.states import Life
from waitressd.listeners import open_listeners
from waitressd.logfiles import Reopener
from waitressd.net.logs import report_defect, say
from waitressd.operatorlog import operator_log
from waitressd.processend import ProcessEnd
from waitressd.signals import show_stacks_of_a_crash
from waitressd.systemd import Notifier

LEAVING: Final = "%s: not ready from now on, stopping in %.3g s; a second signal ends at once"
Event = Callable[[], list[Action]]
NEVER: Final = float("inf")
FAILED_SECONDS: Final = 0.1  # that the loop rests after a defect


class Master:
    """The loop of a master. Everything is the main thread's."""

    def __init__(self, hand: HandOver) -> None:
        self._hand = hand
        self._plan = Plan()
        self._notifier = Notifier()
        self._roster = Roster(hand.command, self._notifier.watchdog_seconds)
        self._signals = MasterSignals(are_last=hand.can_reload)  # else a program goes on after it
        self._poller = selectors.DefaultSelector()
        self._events: deque[Event] = deque()  # that the plan has not been told yet
        self._status: int | None = None
        self._last_failure = ""  # what a process has said that could not load its code
        self._fed_at = 0.0  # the watchdog
        self._oom_kills = processes.oom_kills()
        self._passed_on: list[Loading] = []  # of processes that have loaded their code
        self._names = ""  # of the addresses
        self._figures = Figures(self._plan)
        self._spools = Spools()
        self._shown = Shown(hand, self._plan)
        self._leaving = Leaving()
        self._outside = Outside(self._plan, self._roster, self._figures.state, self._poller)
        self._reopener = Reopener(self._outside.open_anew)

    def run(self) -> int:
        """Lead until the fleet has ended; return the exit status of the process."""
        name_process(MASTER)
        processes.adopt_orphans()
        with operator_log.running(), self._signals.heard():
            self._poller.register(self._signals, selectors.EVENT_READ, None)
            self._begin()
            while self._status is None:
                try:
                    self._turn()
                except Exception:  # border: a defect of ours must not end the service of everybody
                    report_defect("the master failed and goes on")
                    self._events.clear()
                    time.sleep(FAILED_SECONDS)  # what fails may fail again at once
            self._reopener.join()
            self._spools.join()
            self._outside.close()
            self._shown.end()
        for process in self._roster.everyone():
            process.close()
        for loading in self._passed_on:
            loading.close()
        self._poller.close()
        self._roster.guard.close()
        return self._status

    def _begin(self) -> None:
        hand = self._hand
        template = hand.template
        first = Code(0, None, None, 1, hand.hello, hand.listeners)
        if template is not None:
            first.pid, first.link = template.pid, template.link
            template.link.socket.setblocking(False)
            self._listen_to(first)
        self._roster.codes[1] = first
        self._names = ", ".join(listener.name for listener in hand.listeners)
        try:
            self._outside.show(hand.hello)
        except (OSError, ConfigError) as error:
            say(logging.CRITICAL, "%s", _why(error))
            self._status = 1
            return
        self._tell(partial(self._plan.start, time.monotonic(), _facts(hand.hello, can_reload=hand.can_reload)))

    # -- what happens

    def _turn(self) -> None:
        now = time.monotonic()
        due = min(self._plan.due, self._roster.next_signal(), self._leaving.due, now + LONGEST_SLEEP_SECONDS)
        due = min(due, self._shown.due)
        found = [key.data for key, _ in self._poller.select(max(0.0, due - now))]
        # First the signals: one to the whole group stops the fleet, and makes each worker leave.
        for number in self._signals.take():
            self._on_signal(number)
        for source in found:
            if isinstance(source, Process):
                self._hear(source)
            elif source is self._outside.insight:
                self._on_request()
            elif source is not None:
                self._listen_to_loading(source)
        for death in self._reap():
            self._on_death(death)
        now = time.monotonic()
        self._roster.signal_due(now)
        self._shown.look(now)
        self._reopener.on_tick()
        self._stop(self._leaving.on_tick(now), "drain_delay is over")
        if now >= self._plan.due:
            self._tell(partial(self._plan.tick, now))
        self._outside.look(time.monotonic(), is_leaving=self._leaving.due != NEVER)

    def _reap(self) -> Iterator[Death]:
        """Take the deaths of children. Where the master runs in somebody's program, that may have children, too."""
        if self._hand.can_reload:
            return processes.reap()
        return processes.reap_known([process.pid for process in self._roster.everyone() if process.pid])

    def _on_signal(self, number: int) -> None:
        now = time.monotonic()
        if number in (signal.SIGTERM, signal.SIGINT):
            self._stop(self._leaving.on_signal(now, self._drain_delay), signal.Signals(number).name)
        elif number == signal.SIGHUP and self._leaving.due == NEVER:
            self._tell(partial(self._plan.hup, now))
        elif number == signal.SIGUSR1:
            self._reopen()
        elif number == signal.SIGQUIT:
            self._roster.show_stacks()
        elif number != signal.SIGCHLD:
            say(logging.INFO, "%s: nothing is done for this signal", signal.Signals(number).name)

    def _on_request(self) -> None:
        """Act on what somebody has asked for at the admin address."""
        if self._outside.takes_orders():
            self._stop(self._leaving.on_request(time.monotonic(), self._drain_delay), "a request for a drain")

    @property
    def _drain_delay(self) -> float:
        hello = self._roster.codes[self._plan.succession.current.number].hello
        is_serving = self._plan.life is Life.SERVING
        return hello.adjustments.drain_delay if hello is not None and is_serving else 0.0

    def _stop(self, step: Step, why: str) -> None:
        now = time.monotonic()
        if step is Step.LEAVE:
            seconds = self._leaving.due - now
            say(logging.INFO, LEAVING, why, seconds)
            self._notifier.stopping("Leaving: not ready, and still serving")
            self._notifier.extend_stop(seconds + self._plan.succession.current.facts.shutdown_timeout)
        elif step is not Step.NOTHING:
            self._tell(partial(self._plan.stop, now, why))
            if step is Step.HURRY and self._plan.life is Life.STOPPING:
                self._tell(partial(self._plan.stop, now, why))
        self._outside.look(time.monotonic(), is_leaving=self._leaving.due != NEVER)

    def _hear(self, process: Process) -> None:
        fd = process.link.fileno() if process.link is not None else -1
        messages = process.receive()
        if process.link is None and fd >= 0:  # now: what follows may open another descriptor with this number
            self._poller.unregister(fd)
        for message in messages:
            self._on_message(process, message)
            message.close()
        if process.link is None and fd >= 0:
            if process.pid:  # it has ended, or is about to; else nobody can talk to it any more
                self._roster.kill_later(process, UNLINKED_SECONDS)
            elif isinstance(process, Worker):
                self._bury(process, "its process ended as it began", is_clean=False)

    def _on_message(self, process: Process, message: Message) -> None:
        now = time.monotonic()
        if isinstance(process, Code):
            if message.name == "hello":
                self._on_hello(process, message)
            elif message.name == "forked" and (worker := self._roster.workers.get(message.fields["worker"])):
                self._on_born(worker, int(message.fields["pid"]))
            return
        assert isinstance(process, Worker)
        match message.name:
            case "hello":
                self._on_workers_hello(process, message)
            case "born":
                self._on_born(process, int(message.fields["pid"]))
            case "ready" if not process.is_ready:  # said again when log files have been opened anew
                process.is_ready = True
                self._tell(partial(self._plan.ready, now, process.number))
            case "leaving":
                self._tell(partial(self._plan.leaving, now, process.number))
            case "alive":
                self._feed_watchdog(now)
            case "spool":
                self._spools.hold(process.number, message)
            case _:
                pass  # a newer worker says more

    def _on_born(self, worker: Worker, pid: int) -> None:
        """Learn the pid of a worker: from itself, or from its template, should it hang before it says anything."""
        if not worker.pid:
            worker.pid = pid
            self._tell(partial(self._plan.born, time.monotonic(), worker.number, pid))
            if death := self._roster.take_unknown(pid):
                self._on_death(death)

    def _on_workers_hello(self, worker: Worker, message: Message) -> None:
        """Let a worker serve that has loaded the application for itself."""
        self._pass_on_loading(worker)
        try:
            Hello.from_fields(message.fields)
        except (LinkError, KeyError) as error:
            say(logging.ERROR, "worker %d: %s", worker.place, error)
            self._roster.kill(worker, with_stacks=False)
        else:
            self._roster.serve(worker)

    def _on_hello(self, code: Code, message: Message) -> None:
        self._pass_on_loading(code)
        now = time.monotonic()
        try:
            code.hello = Hello.from_fields(message.fields)
            facts = _facts(code.hello)
        except (LinkError, ConfigError, KeyError) as error:
            self._tell(partial(self._plan.failed, now, code.number, str(error)))
            return
        if code.hello.is_preloaded:
            self._roster.be_template(code)
        self._tell(partial(self._plan.hello, now, code.number, facts))

    def _feed_watchdog(self, now: float) -> None:
        """A worker makes progress, and this loop turns."""
        if now >= self._fed_at + self._notifier.watchdog_seconds / 4:
            self._fed_at = now
            self._notifier.alive()

    def _on_death(self, death: Death) -> None:
        process = self._find(death.pid)
        if process is None:
            self._roster.guard.on_death(death)
            self._roster.keep_unknown(death)
            return  # else a stranger: this process may be the parent of all orphans
        # What it has said comes before its end.
        self._hear(process)
        self._roster.forget_signals(death.pid)
        process.pid = 0
        how = str(death) + self._why(death, process)
        if isinstance(process, Worker):
            self._bury(process, how, is_clean=death.status == 0)
        elif isinstance(process, Code):
            self._close(process)
            self._tell(partial(self._plan.template_died, time.monotonic(), process.number, how))

    def _find(self, pid: int) -> Process | None:
        for worker in tuple(self._roster.workers.values()):
            if not worker.pid:
                self._hear(worker)  # what it has said of its birth came before its end
        return next((process for process in self._roster.everyone() if process.pid == pid), None)

    def _bury(self, worker: Worker, how: str, *, is_clean: bool) -> None:
        self._close(worker)
        self._roster.workers.pop(worker.number, None)
        self._roster.retire(worker)
        self._spools.bury(worker.number)
        self._figures.count_exit(worker.number, how)
        self._tell(partial(self._plan.died, time.monotonic(), worker.number, how, is_clean=is_clean))

    def _why(self, death: Death, process: Process) -> str:
        """Say what is known of a death besides its status."""
        if process.loading is not None:
            process.loading.read_all()
            line = process.loading.last_line() if death.status >= 0 else ""  # a signal came from elsewhere
            said = bytes(process.loading.said)
            if said.decode("utf-8", "backslashreplace") != self._last_failure:  # else everybody has seen it
                self._last_failure = said.decode("utf-8", "backslashreplace")
                process.loading.pass_on()
            return f": {line}" if line else ""
        if death.status == -signal.SIGKILL:
            before, self._oom_kills = self._oom_kills, processes.oom_kills()
            if self._oom_kills > before:
                return "; the kernel killed it for want of memory (oom_kill of its control group)"
        return ""

    # -- what is to be done

    def _tell(self, event: Event) -> None:
        """Tell the plan what has happened, and do what it wants: all of it, before it is told of what follows."""
        self._events.append(event)
        if len(self._events) == 1:
            while self._events:
                for action in self._events[0]():
                    self._do(action)
                self._events.popleft()
            self._figures.renew(time.monotonic())

    def _do(self, action: Action) -> None:
        match action:
            case actions.Say(level, text):
                say(level, "%s", text)
            case actions.Serving() | actions.Reloading() | actions.Stopping():
                self._tell_manager(action)
            case actions.LoadCode() | actions.Bind() | actions.QuitCode() | actions.KillCode():
                self._do_with_code(action)
            case actions.Spawn() | actions.Drain() | actions.Abort() | actions.Kill():
                self._do_with_worker(action)
            case actions.KeepAddresses(codes):
                self._keep_addresses(codes)
            case actions.ReopenLogs():
                self._reopen()
            case actions.End(status):
                self._status = status

    def _do_with_worker(self, action: actions.Spawn | actions.Drain | actions.Abort | actions.Kill) -> None:
        worker = self._roster.workers.get(action.worker)
        if isinstance(action, actions.Spawn):
            self._spawn(action.worker, action.place, action.code)
        elif worker is None:
            return  # it has ended, and the plan is about to be told
        elif isinstance(action, actions.Drain):
            worker.tell("drain", seconds=action.seconds, is_last=action.is_last)
        elif isinstance(action, actions.Abort):
            worker.tell("abort")
        else:
            self._roster.kill(worker, with_stacks=action.with_stacks)

    def _do_with_code(self, action: actions.LoadCode | actions.Bind | actions.QuitCode | actions.KillCode) -> None:
        codes = self._roster.codes
        match action:
            case actions.LoadCode(number, stands_in_for):
                self._load(number, stands_in_for)
            case actions.Bind(number):
                self._bind(codes[number])
            case actions.QuitCode(number):
                codes[number].tell("quit")
            case actions.KillCode(number, with_stacks):
                self._roster.kill(codes[number], with_stacks=with_stacks)

    def _tell_manager(self, action: actions.Serving | actions.Reloading | actions.Stopping) -> None:
        match action:
            case actions.Serving(status):
                self._shown.say_addresses()
                self._notifier.ready(f"Serving on {self._names} {status}")
            case actions.Reloading(status):
                self._notifier.reloading()
                self._notifier.status(status)
            case actions.Stopping(status):
                self._notifier.stopping(status)

    def _spawn(self, number: int, place: int, code: int) -> None:
        try:
            self._open_again(self._roster.codes[code])
            worker = self._roster.spawn(number, place, code)
        except OSError as error:
            self._roster.workers[number] = worker = Worker(0, None, None, number, place, code)
            self._bury(worker, f"it could not be started: {error}", is_clean=False)
        else:
            self._listen_to(worker)
            if worker.pid:
                self._tell(partial(self._plan.born, time.monotonic(), number, worker.pid))

    def _open_again(self, code: Code) -> None:
        """Open the addresses of a code that is rolled back to, where the code after it had closed them."""
        if code.hello is not None and not code.listeners:
            code.listeners = open_listeners(code.hello.adjustments, self._roster.held())
            self._outside.show(code.hello)

    def _load(self, number: int, stands_in_for: int | None) -> None:
        try:
            code = self._roster.load(number)
        except OSError as error:
            self._roster.codes[number] = Code(0, None, None, number)
            self._tell(partial(self._plan.template_died, time.monotonic(), number, f"it could not be started: {error}"))
        else:
            if stands_in_for is not None:
                code.listeners = self._roster.codes[stands_in_for].listeners
            self._listen_to(code)

    def _bind(self, code: Code) -> None:
        assert code.hello is not None
        now = time.monotonic()
        try:
            code.listeners = open_listeners(code.hello.adjustments, self._roster.held())
            self._outside.show(code.hello)
        except (OSError, ConfigError) as error:
            self._tell(partial(self._plan.failed, now, code.number, _why(error)))
        else:
            self._tell(partial(self._plan.bound, now, code.number))

    def _keep_addresses(self, codes: tuple[int, ...]) -> None:
        self._roster.keep_addresses(codes)
        hellos = (self._roster.codes[code].hello for code in codes)
        self._outside.keep([hello for hello in hellos if hello is not None])
        listeners = dict.fromkeys(item for code in codes for item in self._roster.codes[code].listeners)
        self._names = ", ".join(listener.name for listener in listeners)

    def _reopen(self) -> None:
        self._reopener.ask()
        for process in self._roster.everyone():
            process.tell("reopen")

    # -- the poller

    def _listen_to(self, process: Process) -> None:
        if process.link is not None:
            self._poller.register(process.link, selectors.EVENT_READ, process)
        if process.loading is not None:
            self._poller.register(process.loading, selectors.EVENT_READ, process.loading)

    def _listen_to_loading(self, loading: Loading) -> None:
        if loading.pipe < 0:  # closed since the poller has found it
            return
        is_open = loading.read()
        if loading in self._passed_on:
            loading.pass_on()
        if not is_open:
            self._poller.unregister(loading)
            if loading in self._passed_on:
                self._passed_on.remove(loading)
                loading.close()

    def _pass_on_loading(self, process: Process) -> None:
        """Pass on what a process has said, which has loaded its code; and, until they end, its children say."""
        if process.loading is not None:
            process.loading.pass_on()
            self._passed_on.append(process.loading)
            process.loading = None

    def _close(self, process: Process) -> None:
        for source in (process.link, process.loading):
            if source is not None:
                with contextlib.suppress(KeyError):
                    self._poller.unregister(source)
        process.close()


def _why(error: OSError | ConfigError) -> str:
    return str(getattr(error, "strerror", None) or error)


def _facts(hello: Hello, *, can_reload: bool = True) -> CodeFacts:
    adjustments = hello.adjustments
    return CodeFacts(
        workers=hello.workers,
        is_preloaded=hello.is_preloaded,
        worker_boot_timeout=adjustments.worker_boot_timeout,
        shutdown_timeout=adjustments.shutdown_timeout,
        can_reload=can_reload,
        hazards=hello.preload_is_off,
    )


def lead_from(hand: HandOver) -> int:
    """Be the master in a process of its own, and return its exit status."""
    show_stacks_of_a_crash()
    try:
        hand.logs.apply()
    except ConfigError as error:  # it was good a moment ago, when the application was loaded
        sys.stderr.write(f"{error}\n")
    # Handlers of logging may hang, and Python waits for them without a bound.
    end = ProcessEnd(time.monotonic, 0.0, has_program=False)
    with end.bounded():
        end.status = Master(hand).run()
    return end.status
