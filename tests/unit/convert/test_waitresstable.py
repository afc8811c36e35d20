"""Options of waitress stay; those without effect are left, and values that were no values are named."""

from waitressd.convert import waitresstable
from waitressd.convert.model import Item, Sketch


def test_options() -> None:
    sketch = Sketch("", cuts_lists=True)
    for name, value in (
        ("threads", "8"),
        ("expose_traceback", "no"),
        ("send_bytes", "1"),
        ("listen", ["*:80", "*:81"]),
    ):
        waitresstable.apply(sketch, Item("w:1", name, value))
    waitresstable.apply(sketch, Item("w:1", "sockets", "x"))
    waitresstable.apply(sketch, Item("w:1", "tread", "x"))
    assert set(sketch.lines) == {"threads", "expose_tracebacks", "listen"}
    assert [item.name for _, item, _ in sketch.left] == ["send_bytes", "sockets", "tread"]
    assert sketch.left[-1][2].endswith("; did you mean threads?")


def test_defaults_that_differ_are_named_unless_they_are_given() -> None:
    sketch = Sketch("")
    sketch.put("connection_limit", [500], Item("w:1", "connection_limit", 500))
    waitresstable.finish(sketch)
    assert "recv_bytes = 96K" in sketch.remarks[0]
    assert "connection_limit" not in sketch.remarks[0]
