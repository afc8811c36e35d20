"""A setting is one row: a field for the type checker, a line in every table for everybody else."""

from dataclasses import dataclass, field, fields

from waitressd import kinds
from waitressd.config.settings import NEW, Group, Standing, changed, inert, row_of, same
from waitressd.kinds import BadValueError


@dataclass(frozen=True, kw_only=True)
class Sample:
    some_threads: int = Group.TASKS.setting(4, kinds.integer(1, 9), "How many.\nMore\nabout it.", same("x", "workers"))
    silent: bool = Group.ACCEPTED.setting(False, kinds.boolean(), "Nothing.", inert("Why."))
    other: str = field(default="")


def test_a_row_is_read_back_from_its_field() -> None:
    rows = [row_of(declared) for declared in fields(Sample)]
    assert [row.name if row else None for row in rows] == ["some_threads", "silent", None]
    row = rows[0]
    assert row is not None
    assert (row.summary, row.prose) == ("How many.", "How many.\nMore\nabout it.")
    assert (row.option, row.shown_default, row.is_inert) == ("some-threads", "4", False)
    assert row.heritage.aliases == ("workers",)
    assert rows[1] is not None
    assert rows[1].is_inert


def test_the_field_has_the_default_of_the_row() -> None:
    assert Sample().some_threads == 4


def test_heritage() -> None:
    assert NEW.standing is Standing.NEW
    assert changed("why").standing is Standing.CHANGED
    assert same("").standing is Standing.SAME


def test_a_refusal_may_leave_the_words_to_the_kind() -> None:
    assert str(BadValueError()) == ""
