"""What applications do, right or wrong, and the exact octets that a client gets for it."""

import logging
import re
from typing import Final

import pytest

from tests.support.client import Client
from tests.wire.casefiles import Case, read_cases
from tests.wire.stage import PROBE, Stage

ANSWERS: Final = [pytest.param(case, id=case.name) for case in read_cases("answers")]
DATE_CHARACTERS: Final = 29
_DATE: Final = re.compile(
    rb"(?<=\r\nDate: )(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [JFMASOND][a-z]{2} 20\d\d \d\d:\d\d:\d\d GMT"
)


def take(client: Client, count: int) -> bytes:
    """Return what arrives, up to `count` octets; less where the server stops before."""
    data = b""
    try:
        while len(data) < count and (more := client.sock.recv(count - len(data))):
            data += more
    except TimeoutError:
        return data
    return data


@pytest.mark.parametrize("case", ANSWERS)
def test_answer(stage: Stage, case: Case, caplog: pytest.LogCaptureFixture) -> None:
    stage.set(case.expected["application"])
    length = len(case.answer) + case.answer.count(b"\r\nDate: *\r\n") * (DATE_CHARACTERS - 1)
    with stage.connect() as client:
        client.send(case.request)
        assert _DATE.sub(b"*", take(client, length)) == case.answer
        if case.expected.get("reset"):
            with pytest.raises(ConnectionResetError):
                client.receive_rest()
        elif case.expected["closes"]:
            client.expect_closed()
        else:
            assert client.get(PROBE).body == b"still here"
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert bool(errors) == case.expected.get("logs", False)
