"""Nobody can forge a line: whatever a client sends, and whatever an application sets, a record is one line."""

import json
import re
from pathlib import Path
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from tests.support.jsonschema import complaints
from tests.support.samples import answered, refused
from waitressd.http.response import build_head
from waitressd.requestlog import RequestRecord
from waitressd.requestlog.dev import DevLog
from waitressd.requestlog.escaping import escape, escape_word
from waitressd.requestlog.formats import FIELDS, compile_template, format_combined, format_common
from waitressd.requestlog.jsonlines import describe, encode, json_lines

TEXT: Final = st.text(max_size=60) | st.sampled_from(
    ['" 200 0 "-" "-"\n127.0.0.1 - - [', "\r\n", "\\", '\\"', "\x1b[2J", "\u2028", "\ud800", "\x85", "a\x00b"]
)
LATIN: Final = st.binary(max_size=60).map(lambda data: data.decode("latin-1")) | TEXT
# First lines that nearly are request lines: three words, of which each may be anything.
NEARLY: Final = st.tuples(
    st.sampled_from([b"GET", b"", b"get", b"G\xe9T"]) | st.binary(max_size=8),
    st.sampled_from([b"/", b"", b"*", b"http://h:1/p?q", b"://", b"/?", b"?"]) | st.binary(max_size=8),
    st.sampled_from(
        [b"HTTP/1.1", b"HTTP/2", b"HTTP/abc", b"HTTP/", b"HTTP/1.1\n", b"HTTP/\xb2.\xb2", b"http/1.1", b"HTTP/1.1.1"]
    )
    | st.binary(max_size=8).map(lambda data: b"HTTP/" + data),
).map(b" ".join)
PORTS: Final = st.sampled_from(["80", "99999", "100000", "0" * 5000 + "80", "9" * 5000, "\xb2", "\u0663", ""]).map(
    "h:{}".format
)
NAMES: Final = ("HTTP_USER_AGENT", "HTTP_REFERER", "HTTP_HOST", "HTTP_X_ANYTHING")
TEMPLATE: Final = compile_template(
    " ".join(f'"{{{name}}}"' for name in FIELDS) + ' "{request.x-anything}" "{response.x-a}" "{environ.KEY}"'
)
# What a reader of the combined format takes a line apart with: columns by spaces, texts by quotes that are not escaped.
QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
COMBINED: Final = re.compile(rf"\S+ - \S+ \[[^\]]+\] {QUOTED} \d{{3}} \d+ {QUOTED} {QUOTED}")


@st.composite
def records(draw: st.DrawFn) -> RequestRecord:
    """Make a record in which everything that somebody else decides is arbitrary."""
    if draw(st.booleans()):
        record = refused(draw(st.binary(max_size=60) | NEARLY))
    else:
        record = answered(environ={"REMOTE_USER": draw(LATIN), "KEY": draw(LATIN)})
        assert record.request is not None
        record.request.target = draw(LATIN)
        record.request.fields = draw(st.dictionaries(st.sampled_from(NAMES), LATIN | PORTS))
        assert record.head is not None
        record.head = build_head("200 OK", [("X-A", draw(st.text('abc\t\xe9 "\\', max_size=20)))])
    record.client = draw(LATIN)
    record.exception = draw(st.none() | LATIN.map(RuntimeError))
    record.ended_by = draw(st.sampled_from(["", "client", "error"]))
    return record


def is_one_line(line: str) -> bool:
    return all(" " <= char <= "~" for char in line)


@given(LATIN)
def test_an_escaped_text_is_visible_and_ends_no_quotes(text: str) -> None:
    escaped = escape(text)
    assert is_one_line(escaped)
    assert re.fullmatch(QUOTED, f'"{escaped}"')
    assert re.fullmatch(r"[!-~]*", escape_word(text))


@given(LATIN, LATIN)
def test_different_texts_stay_different(one: str, other: str) -> None:
    assert (escape(one) == escape(other)) is (one == other)


@given(records())
def test_a_line_of_text_is_one_line_with_its_columns(record: RequestRecord) -> None:
    assert is_one_line(format_common(record))
    line = format_combined(record)
    assert is_one_line(line)
    assert COMBINED.fullmatch(line)


@given(records())
def test_a_line_of_a_template_keeps_its_quotes(record: RequestRecord) -> None:
    line = TEMPLATE(record)
    assert is_one_line(line)
    assert len(re.findall(QUOTED, line)) == len(FIELDS) + 3


@given(records())
def test_a_json_line_is_one_line_and_says_the_same(record: RequestRecord) -> None:
    values: dict[str, Any] = describe(record)
    line = encode(values)
    assert is_one_line(line)
    assert json.loads(line) == values


SCHEMA: Final = json.loads((Path(__file__).parents[2] / "docs" / "request-log.schema.json").read_text(encoding="utf-8"))
EVERYTHING: Final = json_lines(
    {}, logger="l", fields=" ".join([*FIELDS, "request.Referer", "response.X-A", "environ.KEY"])
)


@given(records())
def test_a_json_line_is_as_its_schema_says(record: RequestRecord) -> None:
    record.client = record.client or "-"
    assert list(complaints(json.loads(encode(describe(record))), SCHEMA)) == []
    assert list(complaints(json.loads(EVERYTHING._format(record)), SCHEMA)) == []


@given(NEARLY)
def test_a_refused_line_is_told_in_whole_unless_all_of_it_is_told_in_parts(line: bytes) -> None:
    values = describe(refused(line))
    parts = [values.get(f"{name}") for name in ("http.request.method", "network.protocol.version")]
    assert None not in parts or values["waitressd.refused_line"] == line.decode("latin-1")


@given(records())
def test_the_log_for_development_is_as_many_lines_as_it_says(record: RequestRecord) -> None:
    lines = DevLog().format(record, colour=False).split("\n")
    assert all(is_printable(line) for line in lines)
    assert lines[-1] == ""
    assert all(line.startswith("    ") for line in lines[1:-1])


def is_printable(line: str) -> bool:
    return line.isprintable()
