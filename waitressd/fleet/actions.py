"""What the plan of a fleet asks the master to do, and what it must know of a code to ask for it.

Values only. A worker and a code are named by numbers that never repeat. The master carries out actions in their order,
before it tells the plan of the next event.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CodeFacts:
    """What a code says of itself in its hello, as far as the plan needs it. Seconds throughout."""

    workers: int  # how many it wants
    is_preloaded: bool  # workers are forks of its template; else each runs the command ("solo")
    worker_boot_timeout: float = 60.0  # until a worker, or the next template, must be ready
    shutdown_timeout: float = 30.0  # what a drain may take
    can_reload: bool = True  # false under `serve()`, where the command cannot be run again
    worker_stuck_timeout: float = 60.0  # a worker that was set aside has ten times as much for what it has
    hazards: str = ""  # why `preload = auto` is off: "the application left the thread x"; said once


@dataclass(frozen=True, slots=True)
class LoadCode:
    """Run the remembered command as a new code. Answers: `hello` or `failed`; and at its end `template_died`.

    With `stands_in_for` it replaces the template of that code, which has died: it gets no Bind, and its workers listen
    where those of that code do.
    """

    code: int
    stands_in_for: int | None = None


@dataclass(frozen=True, slots=True)
class Bind:
    """Open the addresses of this code that are not open yet, all or none. Answers: `bound` or `failed`."""

    code: int


@dataclass(frozen=True, slots=True)
class Spawn:
    """Have a worker born: by the template of its code, or (solo) by the command. Answers: `born`, `ready`, `died`."""

    worker: int
    place: int  # 1..n
    code: int


@dataclass(frozen=True, slots=True)
class SetAside:
    """Ask a worker for its stacks, and tell it over its link to accept nothing more: it is stuck.

    What it has may end within so many seconds; a Drain or Abort follows if that takes longer.
    """

    worker: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Drain:
    """Tell a worker over its link to finish what it has within so many seconds, then to end.

    `is_last`: the whole fleet stops, so it accepts what waits in the backlog first; else its siblings do. Sent to a
    worker once at most.
    """

    worker: int
    seconds: float
    is_last: bool


@dataclass(frozen=True, slots=True)
class Abort:
    """Tell a worker over its link to cut off what is left and to end."""

    worker: int


@dataclass(frozen=True, slots=True)
class Kill:
    """End a worker by SIGKILL; with stacks: ask it for them first, a second at most.

    For a worker that is not born yet the plan asks again when it is.
    """

    worker: int
    with_stacks: bool = False


@dataclass(frozen=True, slots=True)
class QuitCode:
    """Tell a template over its link to end."""

    code: int


@dataclass(frozen=True, slots=True)
class KillCode:
    """End a template by SIGKILL; with stacks: ask it for them first, a second at most."""

    code: int
    with_stacks: bool = False


@dataclass(frozen=True, slots=True)
class KeepAddresses:
    """Close every listener that none of these codes wants; an empty tuple: all, and nobody new is let into them."""

    codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ReopenLogs:
    """Reopen the log files of the master and have each worker reopen its own."""


@dataclass(frozen=True, slots=True)
class Say:
    """Tell the operator one line; `level` is one of `logging`."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Serving:
    """The fleet serves, says STATUS (systemd: READY=1). Comes again when the text changes and at a reload's end."""

    status: str


@dataclass(frozen=True, slots=True)
class Reloading:
    """A reload is on its way (systemd: RELOADING=1), or its text changes; a Serving or Stopping follows."""

    status: str


@dataclass(frozen=True, slots=True)
class Stopping:
    """The fleet stops (systemd: STOPPING=1)."""

    status: str


@dataclass(frozen=True, slots=True)
class Upgrade:
    """Begin an upgrade in place. The last action of its event: no process is on its way between two states."""


@dataclass(frozen=True, slots=True)
class End:
    """Nobody is left, or nobody who can be ended: leave with this status. The last action of all."""

    status: int


Action = (
    LoadCode
    | Bind
    | Spawn
    | SetAside
    | Drain
    | Abort
    | Kill
    | QuitCode
    | KillCode
    | KeepAddresses
    | ReopenLogs
    | Say
    | Serving
    | Reloading
    | Stopping
    | Upgrade
    | End
)
