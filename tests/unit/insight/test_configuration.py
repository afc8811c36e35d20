"""The effective settings as a document."""

import json
from dataclasses import replace
from typing import Any

import pytest

from waitressd.config.adjustments import SETTINGS, Adjustments
from waitressd.config.advicerules import Facts
from waitressd.config.origins import Origin, Source
from waitressd.insight.answers import BadQuestion, Query
from waitressd.insight.configuration import Configuration

SECRET = "planted-secret-7"


def document(adjustments: Adjustments) -> dict[str, Any]:
    configuration = Configuration(adjustments, lambda: {"at": "now"}, lambda: Facts(adjustments))
    (endpoint,) = configuration.endpoints()
    assert (endpoint.path, endpoint.group, endpoint.is_slow) == ("/config", "config", True)
    answer = endpoint.answer(Query("GET", "/config", {}, ""))
    written = b"".join(answer.body)
    assert SECRET.encode() not in written
    found: dict[str, Any] = json.loads(written)
    assert list(found) == ["at", "settings", "advice"]
    return found


def settings(adjustments: Adjustments) -> dict[str, Any]:
    return {row["name"]: row for row in document(adjustments)["settings"]}


def in_file(line: int, *variables: str) -> Origin:
    return Origin(Source.FILE, "/srv/shop/production.ini", line, "server:main", variables)


def test_every_setting_with_its_value_and_where_it_came_from() -> None:
    found = settings(Adjustments.from_strings({"threads": "8"}, {"threads": in_file(31)}))
    assert found["threads"] == {
        "name": "threads", "value": "8", "default": "4", "origin": "/srv/shop/production.ini:31 [server:main]",
        "changed": True,
    }  # fmt: skip
    assert (found["channel_timeout"]["origin"], found["channel_timeout"]["changed"]) == ("default", False)
    assert "sockets" not in found  # which no text can say
    assert "asyncore_use_poll" not in found  # which does nothing, and was not given


def test_of_a_variable_the_name_alone() -> None:
    given = {"ident": SECRET, "listen": "127.0.0.1:8080"}
    found = settings(Adjustments.from_strings(given, {"ident": in_file(3, "NAME"), "listen": in_file(4, "A", "B")}))
    assert (found["ident"]["value"], found["ident"]["changed"]) == ("${NAME}", True)
    assert found["ident"]["origin"].endswith("[server:main], ${NAME}")
    assert found["listen"]["value"] == "${A} ${B}"


def test_advice_quotes_nothing_that_came_from_a_variable() -> None:
    given = {"listen": "203.0.113.77:80", "trusted_proxy": "*", "trusted_proxy_headers": "forwarded"}
    advice = document(Adjustments.from_strings(given, {"listen": in_file(3, "ADDRESS")}))["advice"]
    text = next(each["text"] for each in advice if each["code"] == "W101")
    assert "${ADDRESS} can be reached" in text
    assert "203.0.113.77" not in json.dumps(advice)


def test_a_setting_that_is_called_a_secret_is_one() -> None:
    """There is none today; one that is added may forget nothing."""
    configuration = Configuration(Adjustments(), dict, lambda: Facts(Adjustments()))
    row = SETTINGS["ident"]
    for name, shown in (
        ("admin_token", "***"),
        ("database_password", "***"),
        ("api_keys", "***"),
        ("admin_token_file", SECRET),
        ("threads", SECRET),
    ):
        assert configuration._shown(replace(row, name=name), SECRET) == shown
    assert configuration._shown(replace(row, name="password"), "") == ""
    assert configuration._shown(replace(row, name="url"), "https://me:word@host/") == "https://***@host/"


def test_it_takes_no_parameter() -> None:
    configuration = Configuration(Adjustments(), dict, lambda: Facts(Adjustments()))
    with pytest.raises(BadQuestion, match="no parameter"):
        configuration.show(Query("GET", "/config", {"a": "1"}, ""))
