"""What a server has of insight, or has not."""

import subprocess
import sys

from tests.apps.plain import hello
from waitressd import create_server
from waitressd.admin import NothingToAnswer, answers_of
from waitressd.config.adjustments import Adjustments
from waitressd.insight.assembly import Insight


def test_with_an_address() -> None:
    answers = answers_of(Adjustments.from_keywords(admin_listen="127.0.0.1:0"))
    assert isinstance(answers, Insight)


def test_without_any() -> None:
    answers = answers_of(Adjustments())
    assert isinstance(answers, NothingToAnswer)
    server = create_server(hello, listen="127.0.0.1:0")
    answers.open([])
    answers.start(server)
    answers.reload()
    answers.let_go()
    answers.close()
    assert (answers.addresses, server.admin_addresses) == ([], [])
    server.close()


def test_a_server_without_an_admin_address_imports_nothing_of_it() -> None:
    program = (
        "import sys; from waitressd.server import create_server\n"
        "create_server(lambda environ, start_response: [], listen='127.0.0.1:0').close()\n"
        "print([name for name in sys.modules if name.startswith('waitressd.insight')])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
