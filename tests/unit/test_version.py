"""Which version this is."""

import re

import waitressd
from waitressd import version


def test_there_is_one_place_for_it() -> None:
    assert waitressd.__version__ == version.__version__
    assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+\w*", version.__version__)
