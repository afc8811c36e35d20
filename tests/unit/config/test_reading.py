"""Reading collects every problem, in the words of whoever gave the value."""

import pytest

from waitressd.config.adjustments import ALIASES, SETTINGS
from waitressd.config.origins import COMMAND_LINE, PYTHON, Origin, Source
from waitressd.config.reading import Complaint, Given, Reading, read

HERE = Origin(Source.FILE, "/x/a.ini", 3, "server:main")


def read_one(name: str, value: object, origin: Origin = PYTHON) -> Reading:
    return read({name: Given(value, origin)}, SETTINGS, ALIASES)


def test_a_good_value_is_read_by_the_name_of_the_table() -> None:
    reading = read_one("script_name", "shop/")
    assert reading.values == {"url_prefix": "/shop"}
    assert reading.origins == {"url_prefix": PYTHON}
    assert reading.problems == []


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        (PYTHON, "threads = four: expected a whole number, 1 to 1024"),
        (COMMAND_LINE, "command line: --threads=four: expected a whole number, 1 to 1024"),
        (HERE, "/x/a.ini:3 [server:main]: threads = four: expected a whole number, 1 to 1024"),
    ],
)
def test_a_problem_is_said_as_it_was_written(origin: Origin, text: str) -> None:
    assert [str(problem) for problem in read_one("threads", "four", origin).problems] == [text]


def test_all_problems_are_found_at_once() -> None:
    given = {name: Given("x", PYTHON) for name in ("threads", "port", "nothing", "url_scheme")}
    assert len(read(given, SETTINGS, ALIASES).problems) == 4


def test_two_names_of_one_setting_contradict_each_other() -> None:
    given = {"expose_traceback": Given(True, PYTHON), "expose_tracebacks": Given(False, PYTHON)}
    assert [str(problem) for problem in read(given, SETTINGS, ALIASES).problems] == [
        "expose_tracebacks = False: expose_tracebacks and expose_traceback are one setting; keep one of them"
    ]


def test_what_pastedeploy_reads_is_no_setting() -> None:
    reading = read({"paste.server_factory": Given("a:b", HERE)}, SETTINGS, ALIASES)
    assert (reading.given, reading.problems) == ({}, [])


def test_a_value_that_could_not_be_completed_is_refused_with_its_reason() -> None:
    reading = read({"threads": Given("${N}", HERE, "N is not set")}, SETTINGS, ALIASES)
    assert [problem.text for problem in reading.problems] == ["N is not set"]
    assert reading.values == {}


def test_sockets_are_for_python() -> None:
    (problem,) = read_one("sockets", "3", HERE).problems
    assert problem.text == "can only be given by a Python caller; use listen = fd:N for an inherited socket"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("4 # x", "expected a whole number, 1 to 1024 ('# x' is no comment: a comment needs a line of its own)"),
        ("x ; y", "expected a whole number, 1 to 1024 ('; y' is no comment: a comment needs a line of its own)"),
    ],
)
def test_a_comment_behind_a_value_is_explained(value: str, text: str) -> None:
    (problem,) = read_one("threads", value).problems
    assert problem.text == text


def test_quotes_around_a_value_are_explained() -> None:
    (problem,) = read_one("threads", '"4"').problems
    assert problem.text == "expected a whole number, 1 to 1024 (quotes would be a part of the value: leave them out)"


def test_a_complaint_is_not_judged_after_a_wrong_value() -> None:
    reading = read({"threads": Given("four", PYTHON), "port": Given(80, PYTHON)}, SETTINGS, ALIASES)
    assert not reading.can_judge(Complaint("threads", ""))
    assert not reading.can_judge(Complaint("port", "", ("threads",)))
    assert reading.can_judge(Complaint("port", "", ("backlog",)))
