"""What a master listens to."""

import os
import selectors

import pytest

from waitressd.fleet.codes import Loading
from waitressd.fleet.link import Link
from waitressd.fleet.links import Links
from waitressd.fleet.roster import Process
from waitressd.operatorlog import operator_log


def test_what_a_process_says_is_kept_while_it_loads_and_passed_on_from_then_to_its_end(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with selectors.DefaultSelector() as poller:
        links = Links(poller)
        ours, theirs = Link.pair()
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        process = Process(0, ours, Loading(reading))
        loading = process.loading
        assert loading is not None
        links.listen_to(process)
        with operator_log.running():
            os.write(writing, b"importing\n")
            assert [key.data for key, _ in poller.select(10)] == [loading]
            links.hear_loading(loading)
            assert bytes(loading.said) == b"importing\n"
            links.pass_on_loading(process)
            os.write(writing, b"a child says\n")
            links.hear_loading(loading)
            os.close(writing)
            links.hear_loading(loading)
            links.hear_loading(loading)  # it was in the same list of the poller
        assert capfd.readouterr().err == "importing\na child says\n"
        assert loading.pipe == -1
        links.close(process)
        assert process.link is None
        assert not poller.get_map()
        theirs.close()


def test_what_is_still_passed_on_is_closed_at_the_end() -> None:
    with selectors.DefaultSelector() as poller:
        links = Links(poller)
        reading, writing = os.pipe()
        process = Process(0, None, Loading(reading))
        loading = process.loading
        links.listen_to(process)
        links.pass_on_loading(process)
        links.close(process)
        links.close_all()
        os.close(writing)
        assert loading is not None
        assert loading.pipe == -1
