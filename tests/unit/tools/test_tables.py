"""Tables fit: no line is wider than the terminal, whatever is in the cells."""

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tools.test_texts import ANYTHING, is_harmless
from waitressd.tools.tables import Column, Flow, Line, Output, Row, Table, fit_columns
from waitressd.tools.texts import width_of

COLUMNS = (
    Column("Age s", right=True),
    Column("Id"),
    Column("Request", least=10),
    Column("Route", least=6, rank=2),
    Column("CPU", right=True, rank=1),
)
ROWS = st.lists(st.tuples(*(ANYTHING for _ in COLUMNS)), max_size=5)


@given(ROWS, st.integers(1, 200), ANYTHING)
def test_any_cells_fit(rows: list[tuple[str, ...]], width: int, below: str) -> None:
    table = Table(COLUMNS, [Row(cells, below=(Line(below, "own"),)) for cells in rows])
    lines = Output(width).parts([Line(below), table, Flow((below, "a", below))])
    assert all(width_of(line) <= width for line in lines)
    assert all(is_harmless(line) for line in lines)


@given(ROWS)
def test_nothing_is_cut_for_a_file(rows: list[tuple[str, ...]]) -> None:
    lines = Output().table(Table(COLUMNS, [Row(cells) for cells in rows]))
    assert len(lines) == 1 + len(rows)
    assert all(is_harmless(line) for line in lines)
    assert not any("…" in line for line in lines) or any("…" in cell for cells in rows for cell in cells)


@given(st.lists(st.integers(1, 100), min_size=5, max_size=5), st.integers(20, 120))
def test_columns_use_the_room_that_there_is(needed: list[int], width: int) -> None:
    needed = [max(size, len(column.title)) for size, column in zip(needed, COLUMNS, strict=True)]
    widths = fit_columns(COLUMNS, needed, width)
    gaps = 2 * (sum(size > 0 for size in widths) - 1)
    fixed = needed[0] + needed[1] + 10 + 4
    assert sum(widths) + gaps <= width or fixed > width
    if sum(needed) + 8 <= width:
        assert widths == needed


def test_those_that_matter_least_go_first() -> None:
    needed = [5, 12, 30, 20, 5]
    assert fit_columns(COLUMNS, needed, 100) == needed
    assert all(fit_columns(COLUMNS, needed, 60))
    assert fit_columns(COLUMNS, needed, 40)[3] == 0
    assert fit_columns(COLUMNS, needed, 33)[3:] == [0, 0]


def test_numbers_are_on_the_right() -> None:
    table = Table(COLUMNS[:2], [Row(("1.0", "a")), Row(("12345.0", "b"))])
    assert Output().table(table) == ["  Age s  Id", "    1.0  a", "12345.0  b"]


def test_colours_are_for_terminals() -> None:
    table = Table(COLUMNS[:1], [Row(("1",), "bad")])
    assert Output(coloured=True).table(table) == ["\x1b[1mAge s\x1b[0m", "\x1b[31m    1\x1b[0m"]
    assert "\x1b" not in "".join(Output().table(table))


def test_short_texts_share_a_line() -> None:
    assert Output(12).flow(Flow(("abc", "", "def", "ghi", "jkl"))) == ["abc   def", "ghi   jkl"]
    assert Output(9).flow(Flow(("one", "two", "three"), gap=" ")) == ["one two", "three"]
    assert Output().flow(Flow(("abc", "def"))) == ["abc   def"]
    assert Output(9).flow(Flow(("a" * 20,))) == ["a" * 8 + "…"]
    assert Output(9, encoding="ascii").line(Line("a" * 20)) == "aaaaaa..."


def test_tables_have_air() -> None:
    table = Table(COLUMNS[:1], [])
    assert Output().parts([Line("a"), table, table, Line("b")]) == ["a", "", "Age s", "", "Age s", "", "b"]
    assert Output().parts([table]) == ["Age s"]
