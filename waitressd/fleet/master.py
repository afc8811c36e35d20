"""The master: what the plan decides, it does, and what happens, it tells the plan.

One thread, one loop over links, signals and what loading processes say. It runs no code of the application and reads
no ini file but for its logging, so nothing of either can hold it up.
"""

import logging
import selectors
import signal
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from waitressd.config.errors import ConfigError
from waitressd.fleet import processes
from waitressd.fleet.actions import CodeFacts
from waitressd.fleet.codes import Loading
from waitressd.fleet.executor import Event, Executor, why
from waitressd.fleet.figures import Figures
from waitressd.fleet.handover import HandOver
from waitressd.fleet.hello import Hello
from waitressd.fleet.leaving import Leaving, Step
from waitressd.fleet.link import PROTOCOL, LinkError, Message
from waitressd.fleet.links import Links
from waitressd.fleet.mastersignals import MasterSignals
from waitressd.fleet.names import MASTER, name_process
from waitressd.fleet.outside import LONGEST_SLEEP_SECONDS, Outside
from waitressd.fleet.oversight import Finding, Oversight
from waitressd.fleet.plan import Plan
from waitressd.fleet.processes import Death
from waitressd.fleet.roster import UNLINKED_SECONDS, Code, Process, Roster, Worker
from waitressd.fleet.states import Life
from waitressd.fleet.upgrade import Parts, Probe, Upgrade
from waitressd.logfiles import Reopener
from waitressd.net.logs import report_defect, say
from waitressd.operatorlog import counted, operator_log
from waitressd.processend import ProcessEnd
from waitressd.signals import show_stacks_of_a_crash
from waitressd.systemd import Notifier
from waitressd.version import __version__

LEAVING: Final = "%s: not ready from now on, stopping in %.3g s; a second signal ends at once"
UPGRADED: Final = "upgraded in place from %s to %s; %s served on"
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
        self._last_failure = ""  # what a process has said that could not load its code
        self._fed_at = 0.0  # the watchdog
        self._oom_kills = processes.oom_kills()
        self._figures = Figures(self._plan, self._roster)
        self._links = Links(self._poller)
        self._leaving = Leaving()
        self._oversight = Oversight(self._plan, self._roster)
        self._outside = Outside(self._plan, self._roster, self._figures.state, self._poller)
        self._executor = Executor(
            hand,
            self._plan,
            self._roster,
            self._links,
            self._outside,
            self._figures,
            self._notifier,
            Reopener(self._outside.open_anew),
            self._tell,
            self._on_upgrade,
        )
        parts = Parts(self._plan, self._roster, self._figures, self._executor.spools, self._outside, self._links)
        self._upgrade = Upgrade(hand, parts, self._signals, self._poller)

    def run(self) -> int:
        """Lead until the fleet has ended; return the exit status of the process."""
        name_process(MASTER)
        with operator_log.running(), self._signals.heard(), self._signals.held_back():
            self._poller.register(self._signals, selectors.EVENT_READ, None)
            if self._hand.carried is None:
                self._begin()
            else:
                self._resume(self._hand.carried)
            while self._executor.status is None:
                try:
                    self._turn()
                except Exception:  # border: a defect of ours must not end the service of everybody
                    report_defect("the master failed and goes on")
                    self._events.clear()
                    time.sleep(FAILED_SECONDS)  # what fails may fail again at once
            self._upgrade.drop()
            self._executor.join()
            self._outside.close()
            self._executor.shown.end()
        for process in self._roster.everyone():
            process.close()
        self._links.close_all()
        self._poller.close()
        self._roster.close()
        return self._executor.status

    def _begin(self) -> None:
        processes.adopt_orphans()
        hand = self._hand
        template = hand.template
        first = Code(0, None, None, 1, hand.hello, hand.listeners)
        if template is not None:
            first.pid, first.link = template.pid, template.link
            template.link.socket.setblocking(False)
            self._links.listen_to(first)
        self._roster.codes[1] = first
        try:
            self._outside.show(hand.hello)
        except (OSError, ConfigError) as error:
            say(logging.CRITICAL, "%s", why(error))
            self._executor.status = 1
            return
        self._tell(partial(self._plan.start, time.monotonic(), _facts(hand.hello, can_reload=hand.can_reload)))

    def _resume(self, fields: Mapping[str, Any]) -> None:
        """Go on with what a master has left that was another version, and have the workers be of this one, too."""
        # Those who ask at its addresses have been waiting since the other one ended; the log can wait longer.
        with operator_log.held():
            try:
                self._upgrade.parts.resume(fields)
            finally:
                _set_up_logging(self._hand)
        self._executor.on_addresses()
        count = len(self._roster.workers)
        say(logging.INFO, UPGRADED, fields["version"], __version__, counted(count, "worker"))
        now = time.monotonic()
        if fields["protocol"] != PROTOCOL:
            self._tell(partial(self._plan.lose_templates, now))
        self._tell(partial(self._plan.hup, now))

    # -- what happens

    def _turn(self) -> None:
        now = time.monotonic()
        due = min(self._plan.due, self._roster.next_signal(), self._leaving.due, self._oversight.due, self._upgrade.due)
        seconds = max(0.0, min(due - now, self._executor.shown.due - now, LONGEST_SLEEP_SECONDS))
        with self._signals.let_through():
            found = [key.data for key, _ in self._poller.select(seconds)]
        # First the signals: one to the whole group stops the fleet, and makes each worker leave.
        for number in self._signals.take():
            self._on_signal(number)
        self._hear_all(found)
        for death in self._reap():
            self._on_death(death)
        now = time.monotonic()
        self._roster.signal_due(now)
        self._roster.pass_on_stacks(now)
        self._executor.shown.look(now)
        self._executor.reopener.on_tick()
        self._stop(self._leaving.on_tick(now), "drain_delay is over")
        if now >= self._plan.due:
            self._tell(partial(self._plan.tick, now))
        if now >= self._oversight.due:
            self._judge(self._oversight.look(now))
        self._outside.look(time.monotonic(), is_leaving=self._leaving.due != NEVER)
        if self._upgrade.on_tick(time.monotonic()):
            self._ask_for_upgrade()
            self._upgrade.drop()

    def _hear_all(self, sources: Iterable[object]) -> None:
        """Take what the sources have that the poller has named."""
        for source in sources:
            if isinstance(source, Process):
                self._hear(source)
            elif source is self._outside.insight:
                self._on_request()
            elif isinstance(source, Probe):
                source.hear()
            elif isinstance(source, Loading):
                self._links.hear_loading(source)

    def _judge(self, findings: Iterable[Finding]) -> None:
        """Tell the plan what is the matter with workers."""
        for number, verdict in findings:
            self._tell(partial(self._plan.judged, time.monotonic(), number, verdict))

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
            self._executor.reopen()
        elif number == signal.SIGUSR2:
            self._ask_for_upgrade()
        elif number == signal.SIGQUIT:
            self._roster.show_stacks()
        elif number in (signal.SIGTTIN, signal.SIGTTOU):
            change = 1 if number == signal.SIGTTIN else -1
            self._tell(partial(self._plan.resize, now, change, signal.Signals(number).name))
        elif number != signal.SIGCHLD:
            say(logging.INFO, "%s: nothing is done for this signal", signal.Signals(number).name)

    def _ask_for_upgrade(self) -> None:
        """Upgrade, or take the next step to that, if the plan allows it."""
        if self._leaving.due != NEVER:
            say(logging.WARNING, "SIGUSR2: no upgrade: the fleet stops")
        else:
            self._tell(partial(self._plan.upgrade, time.monotonic()))

    def _on_upgrade(self) -> None:
        self._upgrade.go_on()

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
            self._links.forget_link(fd)
        for message in messages:
            self._on_message(process, message)
            message.close()
        if process.link is None and fd >= 0:
            if process.pid:  # it has ended, or is about to; else nobody can talk to it any more
                self._roster.kill_later(process, UNLINKED_SECONDS)
            elif isinstance(process, Worker):
                self._executor.bury(process, "its process ended as it began", is_clean=False)

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
                self._roster.introduce(process)
                self._tell(partial(self._plan.ready, now, process.number))
                self._judge(self._oversight.measure(process.number, now))
            case "leaving":
                self._tell(partial(self._plan.leaving, now, process.number))
            case "alive":
                self._feed_watchdog(now)
            case "spool":
                self._executor.spools.hold(process.number, message)
            case _:
                pass  # a newer worker says more

    def _on_born(self, worker: Worker, pid: int) -> None:
        """Learn the pid of a worker: from itself, or from its template, should it hang before it says anything."""
        if not worker.pid:
            self._roster.name(worker, pid)
            self._tell(partial(self._plan.born, time.monotonic(), worker.number, pid))
            if death := self._roster.take_unknown(pid):
                self._on_death(death)

    def _on_workers_hello(self, worker: Worker, message: Message) -> None:
        """Let a worker serve that has loaded the application for itself."""
        self._links.pass_on_loading(worker)
        try:
            Hello.from_fields(message.fields)
        except (LinkError, KeyError) as error:
            say(logging.ERROR, "worker %d: %s", worker.place, error)
            self._roster.kill(worker, with_stacks=False)
        else:
            self._roster.serve(worker)

    def _on_hello(self, code: Code, message: Message) -> None:
        self._links.pass_on_loading(code)
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
            how += self._roster.in_hand(process, time.monotonic())
            self._executor.bury(process, how, is_clean=death.status == 0)
        elif isinstance(process, Code):
            self._links.close(process)
            self._tell(partial(self._plan.template_died, time.monotonic(), process.number, how))

    def _find(self, pid: int) -> Process | None:
        for worker in tuple(self._roster.workers.values()):
            if not worker.pid:
                self._hear(worker)  # what it has said of its birth came before its end
        return next((process for process in self._roster.everyone() if process.pid == pid), None)

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
                    self._executor.do(action)
                self._events.popleft()
            self._figures.renew(time.monotonic())


def _facts(hello: Hello, *, can_reload: bool = True) -> CodeFacts:
    adjustments = hello.adjustments
    return CodeFacts(
        workers=hello.workers,
        is_preloaded=hello.is_preloaded,
        worker_boot_timeout=adjustments.worker_boot_timeout,
        shutdown_timeout=adjustments.shutdown_timeout,
        worker_stuck_timeout=adjustments.worker_stuck_timeout,
        can_reload=can_reload,
        hazards=hello.preload_is_off,
    )


def lead_from(hand: HandOver) -> int:
    """Be the master in a process of its own, and return its exit status."""
    show_stacks_of_a_crash()
    if hand.carried is None:
        _set_up_logging(hand)
    # Handlers of logging may hang, and Python waits for them without a bound.
    end = ProcessEnd(time.monotonic, 0.0, has_program=False)
    with end.bounded():
        end.status = Master(hand).run()
    return end.status


def _set_up_logging(hand: HandOver) -> None:
    try:
        hand.logs.apply()
    except ConfigError as error:  # it was good a moment ago, when the application was loaded
        sys.stderr.write(f"{error}\n")
