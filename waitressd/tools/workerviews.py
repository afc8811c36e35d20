"""The worker processes of a fleet as a table."""

from typing import Final

from waitressd.tools.documents import Document
from waitressd.tools.tables import Column, Part, Row, Table
from waitressd.tools.texts import long_time, number

WORKER_COLUMNS: Final = (
    Column("Worker"),
    Column("Pid", right=True),
    Column("Stage"),
    Column("Up", right=True, rank=2),
    Column("Threads", right=True),
    Column("Queue", right=True),
    Column("Connections", right=True),
    Column("Accepted", right=True, rank=3),
    Column("Given away", right=True, rank=4),
    Column("Taken over", right=True, rank=5),
    Column("Silent", right=True),
)


def workers(document: Document) -> list[Part]:
    """Show the worker processes, by what they have written of themselves; nothing where there is but one process."""
    rows = [_worker(item, item.below("figures")) for item in document.rows("workers") if item.has("figures")]
    return [Table(WORKER_COLUMNS, rows)] if rows else []


def _worker(item: Document, known: Document) -> Row:
    is_silent = item.is_false("answered")
    given = (known.number("passed_on") or 0) + (known.number("rebalanced") or 0)
    cells = (
        item.text("worker"),
        item.text("pid"),
        known.text("stage"),
        long_time(known.number("age_seconds")),
        f"{number(known.number('busy_threads'))}/{number(known.number('threads_limit'))}",
        number(known.number("queue_depth")),
        number(known.number("connections")),
        number(known.number("accepted")),
        number(given),
        number(known.number("taken_over")),
        long_time(item.number("silent_seconds")) if is_silent else "-",
    )
    return Row(cells, "bad" if is_silent else "")
