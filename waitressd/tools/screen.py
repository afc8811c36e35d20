"""``waitressd top`` with textual: a table with a cursor, stacks, a filter, profiles.

Questions are asked in threads of their own, so that a server that hangs holds up neither a key nor the end.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import ClassVar, Final

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Input, Static

from waitressd.tools import views
from waitressd.tools.client import Client, Question
from waitressd.tools.failures import YES, NoAnswerError
from waitressd.tools.picture import EVERY_SECONDS, Choice, Picture, Sort, look
from waitressd.tools.profiles import check_collapsed, summary
from waitressd.tools.tables import Line, Output, Part, Row, Table, fit_columns
from waitressd.tools.texts import fitted, harmless, padded, width_of

PROFILE_SECONDS: Final = 5
_STYLES: Final = {
    "bad": "bold red",
    "warn": "dark_orange",
    "good": "green",
    "dim": "dim",
    "own": "bold",
    "head": "bold",
}
_CELL_PADDING: Final = 1
_SCROLLBAR: Final = 1


def run_screen(client: Client, picture: Picture) -> int:
    """Show a server until told to end."""
    TopScreen(client, picture).run()
    return YES


def _rich(part: Part, width: int) -> list[Text]:
    """Write a part as textual takes it: coloured text, which no brackets in it can colour otherwise."""
    style = "" if isinstance(part, Table) else _STYLES.get(part.style, "")
    return [Text(line, style, no_wrap=True) for line in Output(width).parts([part])]


class Looked(Message):
    """There is a new picture."""

    def __init__(self, picture: Picture) -> None:
        super().__init__()
        self.picture: Picture = picture


class Told(Message):
    """There is something to show below the table."""

    def __init__(self, parts: Iterable[Part]) -> None:
        super().__init__()
        self.parts: list[Part] = list(parts)


class Confirmation(ModalScreen[bool]):
    """Asks before something is changed."""

    CSS: ClassVar[str] = """
    Confirmation { align: center middle; }
    Confirmation > Static { width: auto; max-width: 90%; padding: 1 2; border: round $warning; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape,q", "answer(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """Show the question."""
        yield Static(Text(f"{self._question}\n\ny yes   n no"))

    def action_answer(self, answer: bool) -> None:  # noqa: FBT001 - textual hands over what a binding says
        """End with the answer."""
        self.dismiss(answer)


class Rows(DataTable[Text]):
    """The table, which says what Enter does."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select_cursor", "Stack")]


class TopScreen(App[None]):
    """The whole of it. Its own thread draws; pictures come from another, as messages."""

    TITLE = "waitressd top"
    ENABLE_COMMAND_PALETTE = False
    CSS: ClassVar[str] = """
    #head { height: auto; padding: 0 1; }
    #requests { height: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; }
    #below { height: 40%; display: none; border-top: solid $primary; padding: 0 1; }
    #below.shown { display: block; }
    #filter { display: none; dock: bottom; }
    #filter.shown { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
        Binding("s", "sort", "Sort"),
        Binding("g", "group", "Group"),
        Binding("w", "worker", "Worker"),
        Binding("p", "pause", "Pause"),
        Binding("slash", "filter", "Filter"),
        Binding("f", "profile", f"Profile {PROFILE_SECONDS} s"),
        Binding("c", "cancel", "Cancel"),
        Binding("escape", "close", "Close", show=False),
    ]

    def __init__(self, client: Client, picture: Picture) -> None:
        super().__init__()
        self._client = client
        self._picture = picture
        self._choice = Choice()
        self._ended = threading.Event()
        self._switched_on: set[str] = set()
        self._columns: tuple[int, ...] = ()

    # ---- asking ----------------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Lay the parts out."""
        yield Static(id="head")
        yield Rows(id="requests", cursor_type="row", cell_padding=_CELL_PADDING)
        with VerticalScroll(id="below"):
            yield Static(id="told")
        yield Input(placeholder="part of a target, route, client, place or id", id="filter")
        yield Footer()

    def on_mount(self) -> None:
        """Begin to ask."""
        self._table.focus()
        self._draw()
        self._start(self._keep_looking)

    def on_unmount(self) -> None:
        """Stop asking."""
        self._ended.set()

    def on_resize(self) -> None:
        """Fit everything again."""
        self._draw()

    def _start(self, work: Callable[[], None]) -> None:
        # A daemon: neither the end of the screen nor that of the process waits for a server that hangs.
        threading.Thread(target=work, daemon=True).start()

    def _keep_looking(self) -> None:
        """Ask once a second. In a thread of its own."""
        picture = self._picture
        while not self._ended.wait(EVERY_SECONDS):
            picture = look(self._client, picture)
            self.post_message(Looked(picture))

    def on_looked(self, message: Looked) -> None:
        """Show the new picture, unless this is paused."""
        if "paused" not in self._switched_on:
            self._picture = message.picture
            self._draw()

    # ---- drawing ---------------------------------------------------------------------------------------------------

    @property
    def identities(self) -> list[str]:
        """The ids of the requests in the table, in its order."""
        return [str(key.value) for key in self._table.rows]

    @property
    def _table(self) -> Rows:
        return self.query_one(Rows)

    def _draw(self) -> None:
        if not self.query("#head"):  # a first size is told before there is anything to draw in
            return
        width = max(20, self.size.width - 2)
        lines = [line for part in self._picture.heading() for line in _rich(part, width)]
        if said := ", ".join([*sorted(self._switched_on), *filter(None, [str(self._choice)])]):
            lines.append(Text(harmless(said), "reverse"))
        self.query_one("#head", Static).update(Text("\n").join(lines))
        is_grouped = "grouped" in self._switched_on
        table = self._picture.places() if is_grouped else self._picture.table(self._choice)
        keys = (
            [row.cells[2] for row in table.rows]
            if is_grouped
            else [item.text("id") for item in self._picture.chosen(self._choice)]
        )
        self._fill(table, keys)

    def _fill(self, table: Table, keys: list[str]) -> None:
        """Put rows into the table; the cursor stays on the same one."""
        widget = self._table
        texts = [[harmless(cell) for cell in row.cells] for row in table.rows]
        titles = [column.title for column in table.columns]
        needed = [max(map(width_of, column)) for column in zip(titles, *texts, strict=True)]
        # A cell has padding on both sides, where a line of text has a gap of two between cells.
        widths = tuple(fit_columns(table.columns, needed, max(20, self.size.width - 2 * _CELL_PADDING - _SCROLLBAR)))
        selected, index = self._selected(), widget.cursor_row
        shown = [number for number, width in enumerate(widths) if width]
        if (len(table.columns), *widths) != self._columns:
            self._columns = (len(table.columns), *widths)
            widget.clear(columns=True)
            for number in shown:
                title = padded(titles[number], widths[number], right=table.columns[number].right)
                widget.add_column(Text(title), width=widths[number])
        else:
            widget.clear()
        known: set[str] = set()
        for row, cells, key in zip(table.rows, texts, keys, strict=True):
            if key not in known:
                known.add(key)
                widget.add_row(*self._cells(table, row, cells, widths), key=key)
        if selected in known:
            index = widget.get_row_index(selected)
        widget.move_cursor(row=min(index, max(0, widget.row_count - 1)), animate=False)

    @staticmethod
    def _cells(table: Table, row: Row, texts: list[str], widths: tuple[int, ...]) -> list[Text]:
        return [
            Text(padded(fitted(text, width), width, right=column.right), _STYLES.get(row.style, ""), no_wrap=True)
            for text, width, column in zip(texts, widths, table.columns, strict=True)
            if width
        ]

    def _selected(self) -> str:
        """Return the key of the row at the cursor, empty if there is none."""
        widget = self._table
        if not widget.row_count:
            return ""
        return str(widget.coordinate_to_cell_key(widget.cursor_coordinate).row_key.value)

    def on_told(self, message: Told) -> None:
        """Show something below the table."""
        width = max(20, self.size.width - 4)
        text = Text("\n").join(line for part in message.parts for line in _rich(part, width))
        self.query_one("#told", Static).update(text)
        self.query_one("#below").add_class("shown")

    # ---- keys ------------------------------------------------------------------------------------------------------

    def action_sort(self) -> None:
        """Order by the next of what there is to order by."""
        orders = list(Sort)
        following = orders[(orders.index(self._choice.sort) + 1) % len(orders)]
        self._choose(replace(self._choice, sort=following))

    def action_worker(self) -> None:
        """Show the requests of the next worker alone, after the last those of all."""
        workers = ["", *self._picture.workers]
        at = workers.index(self._choice.worker) if self._choice.worker in workers else 0
        self._choose(replace(self._choice, worker=workers[(at + 1) % len(workers)]))

    def _choose(self, choice: Choice) -> None:
        self._choice = choice
        self._draw()

    def action_group(self) -> None:
        """Show the places where requests are, or the requests again."""
        self._toggle("grouped")
        self._table.move_cursor(row=0, animate=False)

    def action_pause(self) -> None:
        """Keep this picture, or go on."""
        self._toggle("paused")

    def _toggle(self, mode: str) -> None:
        self._switched_on ^= {mode}
        self._draw()

    def action_filter(self) -> None:
        """Ask for a text that must be in what is shown."""
        field = self.query_one("#filter", Input)
        field.add_class("shown")
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as the text is typed."""
        self._choose(replace(self._choice, text=event.value))

    def on_input_submitted(self) -> None:
        """Keep the filter, and go back to the table."""
        self._leave_filter()

    def _leave_filter(self) -> None:
        self.query_one("#filter", Input).remove_class("shown")
        self._table.focus()

    def action_close(self) -> None:
        """Close what is open: the filter with its text, or what is below the table."""
        field = self.query_one("#filter", Input)
        if field.has_class("shown") or field.value:
            field.value = ""
            self._leave_filter()
        else:
            self.query_one("#below").remove_class("shown")

    def on_data_table_row_selected(self) -> None:
        """Show the stack of the row at the cursor."""
        self.action_stack()

    def action_stack(self) -> None:
        """Show everything about the request at the cursor, its stack with the lines of code."""
        if identity := self._selected():
            if "grouped" in self._switched_on:
                ids = [
                    item for item in self._picture.requests.rows("places") if harmless(item.text("place")) == identity
                ]
                identity = ids[0].texts("ids")[0] if ids and ids[0].texts("ids") else ""
            self._start(lambda: self._tell(lambda: self._stack_of(identity)))

    def _stack_of(self, identity: str) -> list[Part]:
        response, document = self._client.ask_document(Question(f"/requests/{identity}", expected=(200, 404)))
        if response.status == 404:
            return [Line(f"{identity} is not in flight any more")]
        return views.request(document)

    def _tell(self, ask: Callable[[], list[Part]]) -> None:
        """Show what an answer says, or why there is none. In a thread of its own."""
        try:
            parts = ask()
        except NoAnswerError as error:
            parts = [Line(str(error), "bad")]
        self.post_message(Told(parts))

    def action_profile(self) -> None:
        """Sample the threads for some seconds, and show where the time went."""
        self.post_message(Told([Line(f"sampling for {PROFILE_SECONDS} s ...")]))
        self._start(lambda: self._tell(self._profile))

    def _profile(self) -> list[Part]:
        parameters = {"seconds": str(PROFILE_SECONDS), "format": "collapsed"}
        response = self._client.ask(Question("/profile", parameters, extra_seconds=PROFILE_SECONDS))
        check_collapsed(response.body, str(self._client.target))
        return summary(response.body)

    def action_cancel(self) -> None:
        """Have the server cancel the request at the cursor, after asking."""
        identity = self._selected()
        found = [item for item in self._picture.requests.rows("requests") if item.text("id") == identity]
        if not found or "grouped" in self._switched_on:
            return
        question = (
            f"Cancel {harmless(views.target(found[0]))} ({harmless(identity)})? Its client gets a 504, or a cut answer."
        )

        def answered(answer: bool | None) -> None:  # noqa: FBT001 - textual hands it over
            if answer:
                self._start(lambda: self._tell(lambda: self._cancel(identity)))

        self.push_screen(Confirmation(question), answered)

    def _cancel(self, identity: str) -> list[Part]:
        question = Question("/control/cancel", {"id": identity}, changes=True, expected=(200, 202, 404))
        response = self._client.ask(question)
        if response.status == 404:
            return [Line(f"{identity} is not in flight any more, or the server has no such command")]
        return [Line(f"{identity} is cancelled: its client is answered; its thread runs on until it returns")]
