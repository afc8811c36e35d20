"""Steps at random under load, each followed by a look at what answers; the books of it all at the end."""

import contextlib
import os
import random
import re
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from tests.fleet.accounts import Accounts, Doom, Lines
from tests.support.client import Client, many_clients
from tests.support.fleets import (
    LATELY_SECONDS,
    REFUSED,
    RELOADED,
    ROLLED_BACK,
    Fleet,
    Kill,
    kill_worker,
    serving,
)
from tests.support.load import Books, Load
from tests.support.site import Site
from tests.support.waiting import wait_until
from waitressd.fleet.succession import PROVING_SECONDS

SETTLE_SECONDS: Final = 30.0
"""How long a step may take until the fleet is whole again, on a machine that others use too."""

SECTIONS: Final = (
    "[request_log:access]\nuse = egg:waitressd#json\npath = %(here)s/access.log\n"
    "[request_log:metrics]\nuse = egg:waitressd#metrics\nlisten = 127.0.0.1:0\n"
)
SETTINGS: Final = {"request_log": "access\n    metrics", "worker_boot_timeout": 4, "worker_stall_timeout": 3}
MOST_WORKERS: Final = 4

DIES_SOON: Final = """
dying = []
def at_request():
    if not dying:
        dying.append(threading.Timer(0.5, os.abort))
        dying[0].daemon = True
        dying[0].start()
"""

BREAKS: Final[dict[str, str]] = {
    "import error": "import a_module_that_nobody_has",
    "exit at import": "os._exit(3)",
    "hangs at import": "time.sleep(1000)",
}


@dataclass(frozen=True)
class Plan:
    """What one run does."""

    seconds: float
    seed: int
    way: str = "config"
    framework: str = "plain"
    preload: str = "on"


@dataclass
class Report:
    """What came of a run."""

    steps: "Counter[str]" = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)


class Stress:
    """One fleet and what is done to it. `run` returns the report; an AssertionError says which step found the fault."""

    def __init__(self, plan: Plan, site: Site, fleet: Fleet, load: Load) -> None:
        self.accounts = Accounts()
        self.steps: Counter[str] = Counter()
        self._plan = plan
        self._site = site
        self._fleet = fleet
        self._load = load
        self._dice = random.Random(plan.seed)
        self._version = 1  # that serves
        self._newest = 1  # that was ever written
        self._trusted_at = 0.0
        self._has_killed = False  # since the last reload
        self._workers = self._configured = 2  # signals change the former until the next reload
        self._rotations = 0

    def steps_at_random(self, end: float) -> None:
        """Take step after step until the time is over; whatever fails names the step and the seed."""
        choices = (
            (self._reload, 6), (self._reload_twice, 1), (self._resize, 2), (self._wrong_value, 2), (self._broken, 3),
            (self._address_in_use, 1), (self._kill, 4), (self._terminate, 2), (self._kill_template, 1),
            (self._rotate, 2), (self._pause_master, 1), (self._show_stacks, 1), (self._rest, 2),
            (self._pause_worker, 2), (self._reload_with_idle_ones, 2), (self._upgrade, 2),
            (self._hang, 1), (self._freeze, 2), (self._more_or_fewer, 2),
            *(((self._doomed, 1),) if self._plan.preload == "on" else ()),
        )  # fmt: skip
        steps, weights = zip(*choices, strict=True)
        while time.monotonic() < end:
            (step,) = self._dice.choices(steps, weights)
            name = step.__name__.strip("_").replace("_", " ")
            try:
                step()
                self._expect_whole()
            except BaseException as error:  # border: a step of any sort; it is raised again
                error.add_note(f"seed {self._plan.seed}, step {self.steps.total() + 1}: {name}")
                error.add_note(self._fleet.output[-6000:])
                raise
            self.steps[name] += 1

    def _expect_whole(self) -> None:
        """Wait until the version that should serve does, in as many processes as it should, and no other."""
        began = time.monotonic()

        def is_whole() -> bool:
            since = time.monotonic() - LATELY_SECONDS
            lately = [answer for answer in self._load.books.answers[-5000:] if answer.sent > max(since, began)]
            pids = {answer.pid for answer in lately}
            return {answer.version for answer in lately} == {self._version} and len(pids) == self._workers

        if not wait_until(is_whole, SETTLE_SECONDS):
            lately = Counter((answer.version, answer.pid) for answer in self._load.books.answers[-500:])
            raise AssertionError(f"not {self._workers} workers of version {self._version}, but {lately}")

    def _write_next(self, trouble: str = "", **more: str) -> int:
        self._newest += 1
        self._site.write(self._newest, trouble, **more)
        return self._newest

    def _hang_up(self, outcome: str) -> str:
        return self._fleet.reload(outcome, SETTLE_SECONDS)

    def _repair(self) -> None:
        self._site.write(self._version)

    # -- steps

    def _reload(self) -> None:
        before, self._version = self._version, self._write_next()
        self._hang_up(RELOADED)
        self._note_reload()
        done = time.monotonic()
        assert wait_until(partial(self._load.books.last_of, self._version)), "the new version never answered"
        time.sleep(LATELY_SECONDS)
        assert self._load.books.last_of(before) < done, "an old answer after the reload was reported done"

    def _reload_twice(self) -> None:
        mark = self._fleet.mark()
        self._version = self._write_next()
        self._fleet.signal(signal.SIGHUP)
        self._fleet.wait_for("reload: ", mark, SETTLE_SECONDS)  # else the two signals may come as one
        time.sleep(self._dice.random() * 0.3)
        self._version = self._write_next()
        self._fleet.signal(signal.SIGHUP)
        # The first may have found the last version already, and the second would meet the next step.
        self._fleet.wait_for(rf"{RELOADED}[\s\S]*{RELOADED}", mark, SETTLE_SECONDS)
        assert wait_until(partial(self._load.books.last_of, self._version), SETTLE_SECONDS)
        self._note_reload()

    def _resize(self) -> None:
        counts = range(1, MOST_WORKERS + 1)
        self._configured = self._dice.choice([count for count in counts if count != self._configured])
        self._site.write_ini(workers=self._configured, supervise="true")
        self._reload()

    def _wrong_value(self) -> None:
        self._site.write_ini(threads="many")
        try:
            log = self._hang_up(REFUSED)
        finally:
            self._site.write_ini(threads=8)
        assert "many" in log + self._fleet.output[-3000:]

    def _broken(self) -> None:
        self._write_next(BREAKS[self._dice.choice(sorted(BREAKS))])
        self._hang_up(REFUSED)
        self._repair()

    def _address_in_use(self) -> None:
        before = self._site.settings["listen"]
        port = self._fleet.metrics[1]
        self._site.write_ini(listen=f"{before}\n    127.0.0.1:{port}")
        try:
            self._hang_up(REFUSED)
        finally:
            self._site.write_ini(listen=before)

    def _doomed(self) -> None:
        begin = time.monotonic()
        version = self._write_next(at_request=DIES_SOON)
        self._hang_up(ROLLED_BACK)
        self.accounts.dooms.append(Doom(version, begin, time.monotonic()))
        self._repair()

    def _kill(self) -> None:
        if self._has_killed and time.monotonic() < self._trusted_at:
            return  # two deaths of new code, and it would be rolled back
        self._has_killed = True
        time.sleep(LATELY_SECONDS)
        kill = kill_worker(self._load, self._dice.choice, seconds=SETTLE_SECONDS)
        self.accounts.kills.append(kill)
        self._fleet.wait_for(rf"\b{kill.victim}\b.*SIGKILL")

    def _workers_of_late(self) -> list[int]:
        """Return who has answered lately and lives; one that a signal or a reload has taken away may be among those."""
        found: set[int] = set()

        def is_anybody() -> bool:
            living = {member.pid for member in self._fleet.members()}
            found.update(self._load.books.pids(time.monotonic() - LATELY_SECONDS) & living)
            return bool(found)

        assert wait_until(is_anybody), "nobody answers"
        return sorted(found)

    def _terminate(self) -> None:
        time.sleep(LATELY_SECONDS)
        victim = self._dice.choice(self._workers_of_late())
        os.kill(victim, signal.SIGTERM)
        assert wait_until(lambda: victim not in {member.pid for member in self._fleet.members()}, SETTLE_SECONDS)

    def _kill_template(self) -> None:
        for member in self._fleet.members():
            if re.fullmatch(r"waitressd-code\d+", member.name):
                os.kill(member.pid, signal.SIGKILL)

    def _rotate(self) -> None:
        log = self._site.folder / "access.log"
        self._rotations += 1
        log.rename(log.with_name(f"access.log.{self._rotations}"))
        self._fleet.signal(signal.SIGUSR1)
        assert wait_until(log.exists)

    def _pause_master(self) -> None:
        self._fleet.signal(signal.SIGSTOP)
        time.sleep(self._dice.random())
        self._fleet.signal(signal.SIGCONT)

    def _upgrade(self) -> None:
        before, self._version = self._version, self._write_next()
        end = time.monotonic() + SETTLE_SECONDS
        while True:  # it is refused while a worker or the template is being replaced
            mark = self._fleet.mark()
            self._fleet.signal(signal.SIGUSR2)
            outcome = self._fleet.wait_for("upgraded in place|SIGUSR2: no upgrade.*", mark, SETTLE_SECONDS)[0]
            if "no upgrade" not in outcome:
                break
            assert time.monotonic() < end, outcome
            time.sleep(0.2)
        self._fleet.wait_for(RELOADED, mark, SETTLE_SECONDS)
        self._note_reload()
        done = time.monotonic()
        assert wait_until(partial(self._load.books.last_of, self._version)), "the new version never answered"
        time.sleep(LATELY_SECONDS)
        assert self._load.books.last_of(before) < done, "an old answer after the upgrade was reported done"

    def _pause_worker(self) -> None:
        """Who comes new meanwhile must not wait for it."""
        lately = self._workers_of_late()
        victim = self._dice.choice(lately)
        if self._workers == 1 or len(lately) < 2:
            return
        os.kill(victim, signal.SIGSTOP)
        try:
            for _ in range(10):
                with Client(self._fleet.address) as client:
                    assert client.get("/quick", "Connection: close").status == 200
        finally:
            os.kill(victim, signal.SIGCONT)

    def _reload_with_idle_ones(self) -> None:
        """Not one connection that waits for a request is closed by it."""
        with many_clients(self._fleet.address, 50) as clients:
            for client in clients[:40]:
                assert client.get("/quick").status == 200
            self._reload()
            for client in clients:
                assert client.get("/quick").status == 200

    def _hang(self) -> None:
        """Have a worker hold the interpreter lock for ever; what it had in hand is lost with it."""
        if time.monotonic() < self._trusted_at:
            return  # it might be the second one of new code, which would be rolled back
        time.sleep(LATELY_SECONDS)
        living = frozenset(self._load.books.pids(time.monotonic() - LATELY_SECONDS))
        mark = self._fleet.mark()
        with Client(self._fleet.address) as client:
            client.send(b"GET /hold/1000 HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(LATELY_SECONDS)
            moment = time.monotonic()
            stalled = self._fleet.wait_for(r"\(pid (\d+), generation \d+\) has stalled.*", mark, SETTLE_SECONDS)
        self.accounts.kills.append(Kill(int(stalled[1]), moment, living))
        assert "it had in hand GET /" in stalled[0], stalled[0]

    def _freeze(self) -> None:
        """Stop a worker for less than its timeout: nobody minds."""
        victim = self._dice.choice(self._workers_of_late())
        with contextlib.suppress(ProcessLookupError):  # a reload has just replaced it
            os.kill(victim, signal.SIGSTOP)
            time.sleep(self._dice.random())
            os.kill(victim, signal.SIGCONT)
        assert f"(pid {victim}, " not in "".join(re.findall(".*stalled.*", self._fleet.output))

    def _more_or_fewer(self) -> None:
        """Ask by a signal for a worker more or less."""
        is_more = self._workers == 1 or (self._workers < MOST_WORKERS and self._dice.random() < 0.5)
        self._workers += 1 if is_more else -1
        mark = self._fleet.mark()
        self._fleet.signal(signal.SIGTTIN if is_more else signal.SIGTTOU)
        self._fleet.wait_for(rf"SIGTT(IN|OU): {self._workers} workers? from now on", mark)

    def _note_reload(self) -> None:
        self._workers = self._configured
        self._has_killed = False
        self._trusted_at = time.monotonic() + PROVING_SECONDS

    def _show_stacks(self) -> None:
        mark = self._fleet.mark()
        self._fleet.signal(signal.SIGQUIT)
        for place in range(1, self._workers + 1):
            self._fleet.wait_for(rf"the stacks of worker {place} \(pid \d+\):\nThread 0x", mark, SETTLE_SECONDS)

    def _rest(self) -> None:
        time.sleep(self._dice.random() * 2)


def run(plan: Plan, folder: Path) -> Report:
    """Run one fleet in an empty folder; raises AssertionError when a step does not end as it should."""
    site = Site(folder, plan.framework, preload=plan.preload, **SETTINGS)
    site.sections = SECTIONS
    site.write_ini()
    report = Report()
    with serving(site, plan.way) as fleet:
        load = Load(fleet.address, seed=plan.seed)
        load.metrics = fleet.metrics
        stress = Stress(plan, site, fleet, load)
        with load.running():
            stress.steps_at_random(time.monotonic() + plan.seconds)
        books = load.stop()
        status = fleet.terminate()
        if status != 0:
            report.trouble.append(f"exit status {status}")
        if not fleet.is_gone_within(2):
            report.trouble.append(f"left behind: {fleet.members()}")
    accounts = stress.accounts
    lines = Lines.read(sorted(folder.glob("access.log*")), books, accounts.dead(books))
    unexplained = accounts.unexplained(books)
    report.steps = stress.steps
    report.trouble += [*(f"unexplained: {loss}" for loss in unexplained[:10]), *books.wrong[:5], *books.fallen[:5]]
    report.trouble += lines.trouble()
    report.lines = [books.summary(), str(lines), *_replacements(accounts, books)]
    return report


def _replacements(accounts: Accounts, books: Books) -> list[str]:
    times = sorted(kill.seconds_to_replacement(books) for kill in accounts.kills)
    return [f"{len(times)} kills, replaced after {times[0]:.3f} to {times[-1]:.3f} s"] if times else []
