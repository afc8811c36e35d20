"""Request logs by name: built in, from a section, or a direct reference."""

import pytest

from waitressd.config.addresses import TcpAddress
from waitressd.config.adjustments import Adjustments
from waitressd.config.origins import Origin, Source
from waitressd.config.requestlogs import BUILT_IN, LogSection, RequestLog, complete_log, request_logs
from waitressd.kinds import BadValueError
from waitressd.metrics import request_log

KIND = request_logs()


def hook(record: object) -> None:
    """Take a record, as a hook given from Python does."""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []),
        (None, []),
        ("common, json", [("common", "common"), ("json", "json")]),
        ("access", [("access", "")]),
        ("egg:shop#log", [("egg:shop#log", "egg:shop#log")]),
        ("shop.logs:factory", [("shop.logs:factory", "shop.logs:factory")]),
        (["dev", hook], [("dev", "dev"), ("hook", hook)]),
        (hook, [("hook", hook)]),
        (RequestLog("a", "b"), [("a", "b")]),
    ],
)
def test_names_become_records(value: object, expected: list[tuple[str, object]]) -> None:
    assert [(log.name, log.use) for log in KIND.parse(value)] == expected


AT = {"listen": "127.0.0.1:9100"}


@pytest.mark.parametrize(
    "log",
    [
        RequestLog("counts", "metrics", AT),
        RequestLog("counts", "egg:waitressd#metrics", AT),
        RequestLog("counts", "egg:Waitressd#metrics", AT),
        RequestLog("counts", "call:waitressd.metrics:request_log", AT),
        RequestLog("counts", "waitressd.metrics:request_log", AT),
        RequestLog("counts", "waitressd.metrics.serving:request_log", AT),
        request_log({}, listen="127.0.0.1:9100"),
    ],
)
def test_where_metrics_are_shown_is_found_however_the_log_is_named(log: object) -> None:
    found = Adjustments.from_keywords(request_log=[log, log, "common"])
    assert found.admin_addresses == (TcpAddress("127.0.0.1", 9100),)
    both = Adjustments.from_keywords(request_log=[log], admin_listen="unix:/a 127.0.0.1:9100")
    assert both.admin_addresses == both.admin_listen


@pytest.mark.parametrize(
    "logs",
    [
        (),
        ("common", "metrics"),
        (request_log({}),),
        (RequestLog("x", "combined", AT),),
        (RequestLog("x", "metrics", {"listen": "99999"}),),
    ],
)
def test_without_metrics_or_an_address_of_theirs_there_is_none(logs: tuple[object, ...]) -> None:
    """What is wrong with one is said by who builds the log."""
    assert Adjustments.from_keywords(request_log=logs).admin_addresses == ()


@pytest.mark.parametrize("value", ["a/b", "egg:", "x:y:z", 5, [5]])
def test_what_is_no_name_is_refused(value: object) -> None:
    with pytest.raises(BadValueError):
        KIND.parse(value)


def section(name: str, **values: str) -> dict[str, LogSection]:
    return {name: LogSection(name, values, {"": Origin(Source.FILE, "x.ini", 7, f"request_log:{name}")})}


def test_a_section_gives_the_use_and_the_options() -> None:
    log = complete_log(RequestLog("access", ""), section("access", use="combined", path="/var/log/a"))
    assert (log.name, log.use, dict(log.options)) == ("access", "combined", {"path": "/var/log/a"})
    assert log.origin.line == 7


def test_a_section_named_like_a_format_configures_it() -> None:
    log = complete_log(RequestLog("json", "json"), section("json", path="a"))
    assert (log.use, dict(log.options)) == ("json", {"path": "a"})


def test_a_direct_reference_needs_no_section() -> None:
    log = RequestLog("egg:shop#log", "egg:shop#log")
    assert complete_log(log, {}) is log


@pytest.mark.parametrize(
    ("name", "sections", "complaint"),
    [
        ("acess", section("access", use="json"), "there is no section [request_log:acess]; did you mean access?"),
        (
            "zzz",
            {},
            "there is no section [request_log:zzz], and it is none of common, combined, json, dev, template, metrics",
        ),
        (
            "access",
            section("access", path="a"),
            "[request_log:access] needs use = one of common, combined, json, dev, template, metrics, or "
            "egg:distribution#name",
        ),
    ],
)
def test_a_name_must_stand_for_something(name: str, sections: dict[str, LogSection], complaint: str) -> None:
    with pytest.raises(BadValueError) as caught:
        complete_log(RequestLog(name, ""), sections)
    assert str(caught.value) == complaint


def test_logs_are_shown_by_name() -> None:
    assert KIND.show(KIND.parse("common json")) == "common json"
    assert str(RequestLog("a", "b")) == "a"


def test_the_built_in_names_are_those_that_the_request_log_has() -> None:
    from waitressd import wiring

    assert set(BUILT_IN) == set(wiring.BUILT_IN)
