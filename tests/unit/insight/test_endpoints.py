"""Which endpoint answers a path, and the small documents."""

import json

import pytest

from tests.support.admin import echo
from waitressd.insight.answers import BadQuestion, Endpoint, Query
from waitressd.insight.endpoints import EndpointTable, bad_question, json_answer, no_parameters, refusal_answer
from waitressd.insight.guard import Door, Refused

TABLE = EndpointTable(
    [
        Endpoint("/", "page", echo),
        Endpoint("/live", "probes", echo),
        Endpoint("/requests", "requests", echo, has_children=True),
        Endpoint("/control/drain", "control", echo),
        Endpoint("/control/log", "control", echo),
    ]
)
EVERYTHING = Door("a", frozenset({"page", "probes", "requests"}), frozenset({"drain"}))
PROBES = Door("b", frozenset({"probes"}))


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/", "/"),
        ("/live", "/live"),
        ("/requests", "/requests"),
        ("/requests/1-2-3", "/requests"),
        ("/requests/", "/requests"),
        ("/live/1", None),
        ("/requestsx", None),
        ("", None),
        ("/control/log", "/control/log"),
    ],
)
def test_paths(path: str, found: str | None) -> None:
    endpoint = TABLE.find(path, EVERYTHING)
    assert (endpoint.path if endpoint else None) == found


def test_what_is_not_exposed_is_not_there() -> None:
    assert TABLE.find("/requests", PROBES) is None
    assert TABLE.find("/live", PROBES) is not None
    assert TABLE.find("/control/drain", PROBES) is not None, "that it is not allowed is another answer"


def test_the_index_lists_what_may_be_asked_there() -> None:
    def listed(door: Door) -> list[str]:
        endpoint = TABLE.find("/index", door)
        assert endpoint is not None
        (body,) = endpoint.answer(Query("GET", "/index", {}, "")).body
        return [row["path"] for row in json.loads(body)["endpoints"]]

    assert listed(EVERYTHING) == ["/", "/live", "/requests", "/control/drain"]
    assert listed(PROBES) == ["/live"]
    assert TABLE.paths(PROBES) == ["/index", "/live"]


def test_documents_have_all_their_keys_and_no_markup() -> None:
    answer = json_answer(200, {"target": "</script><b>&amp;"})
    (body,) = answer.body
    assert not {b"<", b">", b"&"} & {body[index : index + 1] for index in range(len(body))}
    assert json.loads(body) == {"target": "</script><b>&amp;"}
    refused = refusal_answer(Refused(403, "No.", "admin_hosts", (("Allow", "GET"),)))
    assert (refused.status, refused.fields) == (403, (("Allow", "GET"),))
    assert json.loads(b"".join(refused.body)) == {"error": "No.", "setting": "admin_hosts"}
    with_paths = refusal_answer(Refused(404, "No."), ["/live"])
    assert json.loads(b"".join(with_paths.body)) == {"error": "No.", "setting": None, "endpoints": ["/live"]}
    assert json.loads(b"".join(bad_question("No.").body)) == {"error": "No.", "setting": None}


def test_who_takes_no_parameters_says_so() -> None:
    no_parameters(Query("GET", "/live", {}, ""))
    with pytest.raises(BadQuestion, match="/live takes no parameters"):
        no_parameters(Query("GET", "/live", {"a": "1"}, ""))
