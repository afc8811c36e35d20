"""The scenarios that a release must pass, in full length, with their figures: `python -m tests.fleet.level [NAME...]`.

Each takes from half a minute to three minutes. Rates and times hold for the machine that they were taken on.
"""

import argparse
import contextlib
import functools
import importlib.util
import os
import re
import socket
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from tests.fleet.accounts import Accounts, Lines
from tests.fleet.hangs import HANGS
from tests.fleet.result import Result, site_folder
from tests.fleet.sharing import SHARING
from tests.fleet.stress import DIES_SOON, SECTIONS
from tests.fleet.upgrades import restarts, upgrades
from tests.support.client import Client
from tests.support.fleets import (
    LATELY_SECONDS,
    MOVED_AT_MOST,
    REFUSED,
    RELOADED,
    ROLLED_BACK,
    Fleet,
    kill_worker,
    serving,
    started,
)
from tests.support.load import Load
from tests.support.site import Site
from tests.support.waiting import wait_until
from waitressd.fleet.succession import DEATHS

NOTE_LOADED: Final = """
def note():
    with open("loaded", "a") as file:
        file.write("%r\\n" % time.monotonic())
"""
CALL_NOTE: Final = """
build = main
def main(global_config, **settings):
    built = build(global_config, **settings)
    note()
    return built
"""


class TimedSite(Site):
    """Writes down when its application was loaded, so that the time of a reload can be told from the time to load."""

    def write(self, version: int, trouble: str = "", at_request: str = "def at_request():\n    pass\n") -> None:
        """Write the version, with a note at the end of the loading."""
        super().write(version, trouble + NOTE_LOADED, at_request)
        path = self.folder / "shop.py"
        self._replace("shop.py", path.read_text(encoding="utf-8") + CALL_NOTE)

    def loaded_since(self, moment: float) -> float:
        """Return when the application was loaded first after that moment."""
        times = map(float, (self.folder / "loaded").read_text(encoding="utf-8").split())
        return min((loaded for loaded in times if loaded > moment), default=float("inf"))


def middle(values: list[float]) -> str:
    """Return median and maximum in milliseconds."""
    return f"{statistics.median(values) * 1000:.0f} ms, at most {max(values) * 1000:.0f} ms"


def one_reload(site: TimedSite, fleet: Fleet, load: Load, version: int) -> tuple[float, float]:
    """Bring a version; return what the reload took in all and beyond the loading. Raises AssertionError."""
    site.write(version)
    began = time.monotonic()
    fleet.reload(f"{RELOADED}|{REFUSED}|{ROLLED_BACK}")
    done = time.monotonic()
    assert wait_until(functools.partial(load.books.last_of, version)), f"version {version} never answered"
    time.sleep(LATELY_SECONDS)
    assert load.books.last_of(version - 1) < done, f"an answer of version {version - 1} after the report"
    return done - began, done - site.loaded_since(began)


def reloads(way: str, framework: str, workers: int, count: int = 20) -> Result:
    """Reload changed code again and again under load."""
    result = Result(f"{count} reloads, {way}, {framework}, {workers} workers")
    with site_folder() as folder:
        site = TimedSite(folder, framework, workers=workers)
        with serving(site, way) as fleet:
            load = Load(fleet.address)
            with load.running():
                time.sleep(1)
                times = [one_reload(site, fleet, load, version) for version in range(2, count + 2)]
            books = load.stop()
            result.expect(fleet.terminate() == 0, "the exit status is not 0")
            result.expect(fleet.is_gone_within(2), "something is left behind")
    result.figures = [
        books.summary(),
        f"reload {middle([whole for whole, _ in times])}",
        f"beyond loading {middle([beyond for _, beyond in times])}",
    ]
    result.trouble += books.trouble()
    result.expect(max(beyond for _, beyond in times) < 0.5, "a report later than load + 0.5 s")
    result.expect(len(books.versions()) == count + 1, "a version is missing")
    return result


def kills(workers: int, count: int = 10) -> Result:
    """Kill one worker after the other under load."""
    result = Result(f"{count} kills, {workers} workers")
    accounts = Accounts()
    with site_folder() as folder, serving(Site(folder, workers=workers, preload="on")) as fleet:
        load = Load(fleet.address)
        with load.running():
            for _ in range(count):
                time.sleep(LATELY_SECONDS + 0.1)
                accounts.kills.append(kill_worker(load))
        books = load.stop()
        result.expect(fleet.terminate() == 0, "the exit status is not 0")
    times = [kill.seconds_to_replacement(books) for kill in accounts.kills]
    result.figures = [books.summary(), f"replaced after {middle(times)}"]
    result.trouble += [f"unexplained: {loss}" for loss in accounts.unexplained(books)[:5]] + books.wrong
    result.expect(max(times) <= 0.1, "a place was filled later than after 100 ms")
    return result


def bad_reloads() -> Result:
    """Try what must be refused or rolled back, each followed by a good reload."""
    result = Result("bad reloads")
    with contextlib.ExitStack() as stack:
        site = Site(stack.enter_context(site_folder()), worker_boot_timeout=3, preload="on")
        other = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        fleet = stack.enter_context(serving(site))
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        tries: dict[str, tuple[Callable[[], None], str, str]] = {
            "wrong value": (lambda: site.write_ini(threads="many"), REFUSED, "many"),
            "import error": (lambda: site.write(99, "import nobody_has_it"), REFUSED, "nobody_has_it"),
            "never returns": (lambda: site.write(99, "time.sleep(1000)"), REFUSED, r"\b3\b"),
            "dies after 3 s": (
                lambda: site.write(99, at_request=DIES_SOON.replace("0.5", "3")), ROLLED_BACK, "version|code|died",
            ),
            "address in use": (lambda: site.write_ini(listen=f"127.0.0.1:0\n    {taken}"), REFUSED, taken),
        }  # fmt: skip
        for number, (name, (damage, outcome, words)) in enumerate(tries.items(), 2):
            load = Load(fleet.address)
            with load.running():
                time.sleep(1)
                damage()
                log = fleet.reload(outcome)
                time.sleep(1)
                site.write_ini(threads=8, listen="127.0.0.1:0")
                site.write(number)
                fleet.reload()
                result.expect(
                    wait_until(functools.partial(load.books.last_of, number)), f"{name}: no good reload after"
                )
            doomed = {answer.pid for answer in load.books.answers if answer.version == 99}
            losses = load.books.lost + load.books.silent
            result.figures.append(f"{name}: {load.books.summary()}")
            result.expect(re.search(words, log), f"{name}: no word of the cause: {log}")
            others = [
                loss for loss in losses if not doomed or loss.pid not in {0, *doomed}
            ]  # had moved to those that died
            result.expect(len(others) <= (MOVED_AT_MOST * DEATHS if doomed else 0), f"{name}: lost {others[:3]}")
        result.expect(fleet.terminate() == 0, "the exit status is not 0")
    return result


def has_answers(load: Load, count: int) -> bool:
    """Whether so many requests were answered."""
    return len(load.books.answers) >= count


def logs_and_metrics(lines: int = 100_000) -> Result:
    """Reload twenty times and kill ten workers while a log of so many lines is written and a page is scraped."""
    result = Result(f"{lines} log lines and the metrics over 20 reloads and 10 kills")
    accounts = Accounts()
    with site_folder() as folder:
        site = Site(folder, preload="on", request_log="access\n    metrics")
        site.sections = SECTIONS
        site.write_ini()
        with serving(site) as fleet:
            load = Load(fleet.address)
            load.metrics = fleet.metrics
            with load.running():
                for step in range(30):
                    wait_until(functools.partial(has_answers, load, lines * (step + 1) // 30), 60)
                    if step % 3 == 2:
                        accounts.kills.append(kill_worker(load))
                    else:
                        site.write(step + 2)
                        fleet.reload()
                wait_until(functools.partial(has_answers, load, lines), 60)
            books = load.stop()
            result.expect(fleet.terminate() == 0, "the exit status is not 0")
        found = Lines.read([folder / "access.log"], books, accounts.dead(books))
    result.figures = [books.summary(), str(found)]
    result.trouble += [f"unexplained: {loss}" for loss in accounts.unexplained(books)[:5]] + books.wrong + books.fallen
    result.trouble += found.trouble()
    return result


SHOP_WITH_DATABASE: Final = """
import gc, os
import sqlalchemy
from pyramid.config import Configurator
from pyramid.response import Response
from sqlalchemy.orm import DeclarativeBase, Mapped, configure_mappers, mapped_column

class Base(DeclarativeBase):
    pass

THINGS = [
    type("Thing%d" % number, (Base,), {
        "__tablename__": "thing%d" % number,
        "__module__": __name__,
        "__annotations__": {"id": Mapped[int], "name": Mapped[str], "price": Mapped[int]},
        "id": mapped_column(primary_key=True),
    })
    for number in range(40)
]

def view(request):
    if request.matchdict.get("rest") == ("collect",):
        gc.collect()
    else:
        str(sqlalchemy.select(THINGS[7]).where(THINGS[7].name == "x"))
    return Response("1 %d\\n" % os.getpid(), content_type="text/plain")

def main(global_config, **settings):
    configure_mappers()
    with Configurator(settings=settings) as config:
        for number in range(300):
            config.add_route("r%d" % number, "/page%d/{id}" % number)
            config.add_view(view, route_name="r%d" % number)
        config.add_route("all", "/*rest")
        config.add_view(view, route_name="all")
        return config.make_wsgi_app()
"""


def tree_bytes(preload: str) -> dict[str, int]:
    """Return the memory of each process of a fleet after requests and collections in each worker."""
    with site_folder() as folder:
        site = Site(folder, workers=4, preload=preload)
        site.write = lambda *_: None  # type: ignore[method-assign]  # this application does not change
        (folder / "shop.py").write_text(SHOP_WITH_DATABASE, encoding="utf-8")
        with serving_plainly(site) as fleet:
            answered: Counter[int] = Counter()
            while len(answered) < 4 or min(answered.values()) < 300:
                ask_all(fleet, "/page7/1", answered)
            collected: Counter[int] = Counter()
            while len(collected) < 4 or min(collected.values()) < 3:
                ask_all(fleet, "/collect", collected)
            return {f"{member.name} {member.pid}": member.pss_bytes for member in fleet.members()}


@contextlib.contextmanager
def serving_plainly(site: Site) -> Iterator[Fleet]:
    """Start a fleet whose application does not tell who it is."""
    with started(site, "pserve") as fleet:
        fleet.wait_for(r"Serving on \S+")
        assert wait_until(lambda: len([m for m in fleet.members() if re.fullmatch(r"waitressd-w\d+", m.name)]) == 4, 60)
        yield fleet


def ask_all(fleet: Fleet, path: str, answered: "Counter[int]", count: int = 24) -> None:
    """Have several clients ask at once, so that each worker gets something."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(fleet.address)) for _ in range(count)]
        for client in clients:
            client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        for client in clients:
            answered[int(client.receive().body.split()[1])] += 1


def memory() -> Result:
    """Compare the memory of preloaded workers with that of workers which load for themselves."""
    result = Result("memory of 4 workers, Pyramid and SQLAlchemy, 300 requests and 3 collections each")
    if importlib.util.find_spec("sqlalchemy") is None:
        result.figures.append("not measured: SQLAlchemy is not installed")
        return result
    sizes = {preload: tree_bytes(preload) for preload in ("off", "on")}
    totals = {preload: sum(tree.values()) for preload, tree in sizes.items()}
    share = totals["on"] / totals["off"]
    for preload, tree in sizes.items():
        parts = ", ".join(f"{name.split()[0].removeprefix('waitressd-')} {size >> 20}" for name, size in tree.items())
        result.figures.append(f"preload {preload}: {totals[preload] / 1e6:.0f} MB PSS ({parts})")
    result.figures.append(f"share {share:.0%}")
    result.expect(share <= 0.45, "more than 45 %")
    return result


def boot_trouble(seconds: float = 120) -> Result:
    """Break the code on disk under a fleet whose workers load for themselves, and kill one."""
    result = Result(f"broken on disk for {seconds:.0f} s, preload off")
    with contextlib.ExitStack() as stack:
        site = Site(stack.enter_context(site_folder()), preload="off")
        fleet = stack.enter_context(serving(site))
        tries = site.folder / "tries"
        site.write(2, "open('tries', 'a').write('x'); import nobody_has_it")
        victim, other = sorted(fleet.workers(2))
        mark, cpu, began = fleet.mark(), _cpu(fleet), time.monotonic()
        os.kill(victim, 9)
        while time.monotonic() < began + seconds:
            result.expect(fleet.who()["pid"] == other, "the other worker did not answer")
            time.sleep(1)
        share = (_cpu(fleet) - cpu) / seconds
        lines = [line for line in fleet.since(mark).splitlines() if line.strip()]
        attempts = len(tries.read_text(encoding="utf-8"))
        site.write(3)
        repaired = time.monotonic()
        result.expect(wait_until(lambda: len(_pids_now(fleet)) == 2, 65), "not served by two 65 s after the repair")
        result.figures = [
            f"{attempts} attempts, {len(lines)} lines, {share:.2%} of a processor",
            f"whole again {time.monotonic() - repaired:.1f} s after the repair",
        ]
        result.expect(attempts <= 8, "more than 8 attempts")
        result.expect(share < 0.02, "2 % of a processor or more")
        result.expect(fleet.terminate() == 0, "the exit status is not 0")
    return result


def _cpu(fleet: Fleet) -> float:
    return sum(member.cpu_seconds for member in fleet.members())


def _pids_now(fleet: Fleet) -> list[int]:
    return [member.pid for member in fleet.members() if re.fullmatch(r"waitressd-w\d+", member.name)]


SCENARIOS: Final[dict[str, Callable[[], Result]]] = {
    "reloads-pserve-2": functools.partial(reloads, "pserve", "pyramid", 2),
    "reloads-pserve-4": functools.partial(reloads, "pserve", "pyramid", 4),
    "reloads-command-2": functools.partial(reloads, "config", "plain", 2),
    "reloads-command-4": functools.partial(reloads, "config", "plain", 4),
    "kills-2": functools.partial(kills, 2),
    "kills-4": functools.partial(kills, 4),
    "bad-reloads": bad_reloads,
    "logs-and-metrics": logs_and_metrics,
    "memory": memory,
    "boot-trouble": boot_trouble,
    "upgrade": lambda: Result("5 upgrades, 2 workers", *upgrades()),
    "upgrade-pserve": lambda: Result("5 upgrades, pserve, 2 workers", *upgrades("pserve")),
    "restart": lambda: Result("5 restarts behind nginx, one process", *restarts(1, is_kept=True)),
    "restart-fleet": lambda: Result("5 restarts behind nginx, 2 workers", *restarts(2, is_kept=True)),
    "restart-unkept": lambda: Result("the same without the store, to compare", *restarts(1, is_kept=False)),
    **SHARING,
    **HANGS,
}


def main() -> int:
    """Run the scenarios named, or all; the exit status is 1 if one found trouble."""
    parser = argparse.ArgumentParser(prog="python -m tests.fleet.level", description="The level of a release.")
    parser.add_argument("names", nargs="*", choices=[*SCENARIOS, []], metavar="NAME", help=", ".join(SCENARIOS))
    failed = False
    for name in parser.parse_args().names or SCENARIOS:
        began = time.monotonic()
        try:
            result = SCENARIOS[name]()
        except AssertionError as error:
            result = Result(name, trouble=[str(error)])
        failed = failed or bool(result.trouble)
        print(f"{'FAIL' if result.trouble else 'ok  '} {result.name} ({time.monotonic() - began:.0f} s)")
        print(*(f"       {line}" for line in result.figures), sep="\n")
        print(*(f"  !!   {line}" for line in result.trouble), sep="\n", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
