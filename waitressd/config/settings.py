"""How one setting is declared: a typed field whose metadata is its row in the table.

The row drives reading, bounds, the command line, the help text, the manual and the comparison with waitress.
"""

from dataclasses import Field, dataclass, field
from enum import Enum
from typing import Any, Final, TypeVar

from waitressd.kinds import Kind

T = TypeVar("T")

_ROW: Final = "waitressd.setting"


class Standing(Enum):
    """How a setting compares with waitress's option of the same name."""

    SAME = "same"
    CHANGED = "changed"
    NEW = "new"
    INERT = "no effect"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Heritage:
    """What a user of waitress has to know about a setting."""

    standing: Standing
    note: str = ""
    aliases: tuple[str, ...] = ()


NEW: Final = Heritage(Standing.NEW)


def same(note: str, *aliases: str) -> Heritage:
    """Declare a setting that means what it means in waitress; the note says what is stricter."""
    return Heritage(Standing.SAME, note, aliases)


def changed(note: str) -> Heritage:
    """Declare a setting whose default or meaning differs from waitress; the note says how and why."""
    return Heritage(Standing.CHANGED, note)


def inert(note: str) -> Heritage:
    """Declare a name that is accepted so that an old file starts, and that changes nothing."""
    return Heritage(Standing.INERT, note)


def retired(note: str) -> Heritage:
    """Declare a name of our own that earlier versions knew; it is accepted and changes nothing."""
    return Heritage(Standing.RETIRED, note)


class Group(Enum):
    """The parts of the manual and of the help text, in their order."""

    ADDRESSES = "Addresses"
    TLS = "TLS"
    TASKS = "Task pool"
    WORKERS = "Worker processes"
    TIMES = "Deadlines and rates"
    LIMITS = "Limits"
    BUFFERS = "Buffers"
    PROXIES = "Behind a proxy"
    APPLICATION = "What the application sees"
    OPERATION = "Operation and logging"
    INSIGHT = "Insight and control"
    ACCEPTED = "Accepted without effect"

    def setting(self, default: T, kind: Kind[T], prose: str, waitress: Heritage = NEW) -> T:
        """Declare one setting of this group; a type checker sees its value, the dataclass sees a field.

        The first line of the prose is a sentence for the help text; further lines are for the manual.
        """
        return field(default=default, metadata={_ROW: (kind, self, prose, waitress)})


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table."""

    name: str
    default: Any
    kind: Kind[Any]
    group: Group
    prose: str
    heritage: Heritage

    @property
    def summary(self) -> str:
        """The first line of the prose: one sentence."""
        return self.prose.partition("\n")[0]

    @property
    def option(self) -> str:
        """The name on the command line, without the leading dashes."""
        return self.name.replace("_", "-")

    @property
    def is_inert(self) -> bool:
        """Whether the name is only accepted."""
        return self.heritage.standing in (Standing.INERT, Standing.RETIRED)

    @property
    def shown_default(self) -> str:
        """The default as a file would say it; empty if no text means it."""
        return self.kind.show(self.default)


def row_of(declared: Field[Any]) -> Setting | None:
    """Read the row back from a field; None for a field that is no setting."""
    row = declared.metadata.get(_ROW)
    if row is None:
        return None
    kind, group, prose, heritage = row
    return Setting(declared.name, declared.default, kind, group, prose, heritage)
