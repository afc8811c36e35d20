"""Environment variables in values."""

import pytest

from waitressd.config.expand import expand
from waitressd.kinds import BadValueError

ENVIRON = {"PORT": "6543", "EMPTY": "", "MONEY": "a$b${c}"}


@pytest.mark.parametrize(
    ("text", "expanded", "names"),
    [
        ("plain", "plain", ()),
        ("*:${PORT}", "*:6543", ("PORT",)),
        ("${PORT}${PORT}", "65436543", ("PORT",)),
        ("${NO:-80}", "80", ("NO",)),
        ("${NO:-}", "", ("NO",)),
        ("${EMPTY:-80}", "80", ("EMPTY",)),
        ("a${EMPTY}b", "ab", ("EMPTY",)),
        ("${NO:-a b}", "a b", ("NO",)),
        ("$$", "$", ()),
        ("$${PORT}", "${PORT}", ()),
        ("cost $5", "cost $5", ()),
        ("$PORT", "$PORT", ()),
        ("ends $", "ends $", ()),
        ("${MONEY}", "a$b${c}", ("MONEY",)),
    ],
)
def test_variables_are_replaced(text: str, expanded: str, names: tuple[str, ...]) -> None:
    assert expand(text, ENVIRON) == (expanded, names)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("${NO}", "the environment variable NO is not set; set it, or write ${NO:-default}"),
        ("${}", "${} is no variable; write ${NAME}, ${NAME:-default}, or $$ for a dollar sign"),
        ("${1A}", "${1A} is no variable; write ${NAME}, ${NAME:-default}, or $$ for a dollar sign"),
        ("a ${PORT", "${PORT is no variable; write ${NAME}, ${NAME:-default}, or $$ for a dollar sign"),
        ("${NO-80}", "${NO-80} is no variable; write ${NAME}, ${NAME:-default}, or $$ for a dollar sign"),
        ("${A:-${B}/x}", "the default of A cannot hold another variable; write a text, or set A"),
        (
            "${A} ${B}",
            "the environment variable A is not set; set it, or write ${A:-default}; "
            "the environment variable B is not set; set it, or write ${B:-default}",
        ),
    ],
)
def test_a_variable_without_a_value_is_an_error(text: str, complaint: str) -> None:
    with pytest.raises(BadValueError) as caught:
        expand(text, ENVIRON)
    assert str(caught.value) == complaint
