"""A fleet that exists in a test's imagination: tells the plan what happens, and keeps what it asks for."""

import logging
from typing import Any, TypeVar

from waitressd.fleet import actions as do
from waitressd.fleet.actions import Action, CodeFacts
from waitressd.fleet.plan import Plan

Kind = TypeVar("Kind", bound=Action)


class Story:
    """One plan and its time, which passes only when a test says so."""

    def __init__(self, workers: int = 2, *, is_preloaded: bool = True, can_reload: bool = True) -> None:
        self.plan = Plan()
        self.now = 100.0
        self.facts = CodeFacts(workers, is_preloaded, can_reload=can_reload)
        self.last: list[Action] = []  # what the last event has brought
        self.lines: list[str] = []
        self.status: Action | None = None
        self.newborn: list[do.Spawn] = []  # asked for, and not ready yet

    # -- events

    def tell(self, event: str, *arguments: Any, **keywords: Any) -> list[Action]:
        """Tell the plan of an event; return what follows."""
        self.last = getattr(self.plan, event)(self.now, *arguments, **keywords)
        for action in self.last:
            if isinstance(action, do.Say):
                self.lines.append(f"{logging.getLevelName(action.level)}: {action.text}")
            elif isinstance(action, do.Spawn):
                self.newborn.append(action)
            elif isinstance(action, do.Serving | do.Reloading | do.Stopping):
                self.status = action
        return self.last

    def start(self) -> list[Action]:
        """Begin with a code that has loaded."""
        return self.tell("start", self.facts)

    def serve(self) -> None:
        """Begin, and have every worker serve for a while."""
        self.start()
        self.boot_all()
        self.wait(100)

    def ready(self, worker: int) -> list[Action]:
        """A worker is born and ready."""
        self.newborn = [spawn for spawn in self.newborn if spawn.worker != worker]
        return [*self.tell("born", worker, 1000 + worker), *self.tell("ready", worker)]

    def boot_all(self) -> None:
        """Have everybody who is asked for become ready, until nobody is asked for."""
        while self.newborn:
            self.ready(self.newborn[0].worker)

    def die(self, worker: int, how: str = "SIGKILL", **keywords: Any) -> list[Action]:
        """A worker dies."""
        self.newborn = [spawn for spawn in self.newborn if spawn.worker != worker]
        return self.tell("died", worker, how, **keywords)

    def finish(self, worker: int) -> list[Action]:
        """A worker ends as it should."""
        return self.die(worker, "status 0", is_clean=True)

    def wait(self, seconds: float) -> list[Action]:
        """Let time pass, with the ticks that the plan wants; return what has followed."""
        end, found = self.now + seconds, []
        while self.plan.due <= end:
            self.now = max(self.now, self.plan.due)
            found += self.tell("tick")
        self.now = end
        return found

    def load(self, code: int, **facts: Any) -> list[Action]:
        """Ask for a reload and let it load; return what follows when its addresses are bound."""
        self.tell("hup")
        assert do.LoadCode(code) in self.last
        self.tell("hello", code, CodeFacts(**{"workers": self.facts.workers, "is_preloaded": True, **facts}))
        assert self.last[:1] == [do.Bind(code)]
        return self.tell("bound", code)

    def roll(self) -> None:
        """Have new workers become ready and drained ones end, until nobody is left to move."""
        for _ in range(100):
            self.boot_all()
            drained = [each.number for each in self.plan.crew if each.stage.name == "DRAINING"]
            if not drained:
                return
            self.finish(drained[0])
        raise AssertionError("the roll never ends")

    # -- answers

    def of(self, kind: type[Kind]) -> list[Kind]:
        """Return what the last event has brought of one kind."""
        return [action for action in self.last if isinstance(action, kind)]

    def stages(self) -> dict[int, str]:
        """Name the stage of each worker."""
        return {worker.number: worker.stage.name for worker in self.plan.crew}
