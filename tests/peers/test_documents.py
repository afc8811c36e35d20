"""The files of the manual that configure proxies: each is shown on a page, and each runs in a test."""

import re

import pytest

from tests.peers.test_behind_proxies import SETUPS
from tests.support.frontends import DOCUMENTS, server_settings
from waitressd.config.adjustments import Adjustments

FILES = sorted(path.name for path in DOCUMENTS.iterdir())


def test_each_file_is_shown_and_run() -> None:
    pages = [page.read_text(encoding="utf-8") for page in DOCUMENTS.parent.glob("behind-*.rst")]
    shown = [name for page in pages for name in re.findall(r"^\.\. literalinclude:: proxies/(\S+)$", page, re.M)]
    assert sorted(shown) == FILES
    assert {name.rpartition(".")[0] for name in FILES} == {setup.file for setup in SETUPS.values()}


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".ini")])
def test_each_server_section_is_right(name: str) -> None:
    """With the accounts and all, which the test of the proxy leaves out."""
    text = (DOCUMENTS / name).read_text(encoding="utf-8")
    settings = dict(re.findall(r"^(\w+) = (.+)$", text, re.M))
    assert settings.pop("use") == "egg:waitressd"
    assert Adjustments.from_strings(settings).origins.keys() == settings.keys()
    assert server_settings(name.removesuffix(".ini")).keys() == settings.keys() - {"unix_socket_owner"}
