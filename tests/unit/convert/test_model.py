"""Texts with variables, and the sketch that takes only what our own check takes."""

import pytest

from waitressd.convert.model import (
    HERE,
    Item,
    Row,
    Sketch,
    Text,
    Unknown,
    Variable,
    Verdict,
    becomes,
    elsewhere,
    from_environment,
    missing,
    needless,
    row_for,
)


def test_a_text_is_written_so_that_an_ini_file_means_it() -> None:
    text = Text.of("50% of $A in ") + HERE + from_environment("B", "c")
    assert text.written == "50%% of $$A in %(here)s${B:-c}"
    assert text.example == "50% of $A in /herec"
    assert not text.is_plain
    assert Text.of(text) is text
    assert Text.of(True).written == "true"
    assert Text.of(3).written == "3"


def test_a_text_is_cut_and_shortened_where_it_is_plain() -> None:
    text = Text.of("unix:a,") + from_environment("B") + ",c"
    assert [part.written for part in text.split(",")] == ["unix:a", "${B}", "c"]
    assert text.removeprefix("unix:").written == "a,${B},c"
    assert Text((HERE,)).removeprefix("/here") == Text((HERE,))
    assert Text().removeprefix("a") == Text()


@pytest.mark.parametrize(("name", "default"), [("a b", None), ("", None), ("A", "x}"), ("A", "${B}"), ("A", "%")])
def test_what_braces_cannot_say_is_no_variable(name: str, default: str | None) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        from_environment(name, default)


def test_a_value_that_our_check_refuses_becomes_a_comment() -> None:
    sketch = Sketch("")
    assert sketch.put("threads", [4], Item("a:1", "t", 4))
    assert not sketch.put("backlog", [0], Item("a:2", "b", 0))
    assert list(sketch.lines) == ["threads"]
    assert sketch.left[0][2] == "backlog does not take this: expected a whole number, 1 to 65535"
    assert str(sketch.left[0][1]) == "a:2: b = 0"


def test_what_does_not_go_together_becomes_a_comment() -> None:
    sketch = Sketch("")
    sketch.put("tls_key", ["/k"], Item("a:1", "k", "/k"))
    sketch.put("host", ["a"], Item("a:2", "h", "a"))
    sketch.put("listen", ["*:80"], Item("", "l", "*:80"))
    sketch.put("request_log", ["access"], Item("a:3", "log", "-"))
    sketch.settle()
    assert "tls_key" not in sketch.lines
    assert len({"host", "listen"} & sketch.lines.keys()) == 1
    assert "request_log" not in sketch.lines
    assert sketch.log == {}


def test_a_list_grows() -> None:
    sketch = Sketch("")
    for value in ("*:80", "*:81", "*:80", "x:y:z"):
        sketch.add("listen", [value], Item("a:1", "bind", value))
    assert sketch.lines["listen"].example == "*:80\n*:81"
    assert len(sketch.lines["listen"].comments) == 2


def test_rows() -> None:
    rows = [
        missing("a-*", "no"),
        elsewhere("a-b c", "there"),
        needless("*", "so"),
        Row(("d",), (), "", becomes("threads")),
    ]
    assert row_for(rows, "a-b") is rows[1]
    assert row_for(rows, "a-c") is rows[0]
    assert row_for(rows[:2], "x") is None
    sketch = Sketch("")
    rows[3].apply(sketch, Item("", "d", Unknown("who knows")))
    rows[3].apply(sketch, Item("", "d", [3]))
    rows[1].apply(sketch, Item("", "c", Variable("${A}", "1")))
    assert [(verdict, why) for verdict, _, why in sketch.left] == [
        (Verdict.MISSING, "who knows"),
        (Verdict.ELSEWHERE, "there"),
    ]
    assert sketch.lines["threads"].example == "3"
