"""Names that are imported at their first use."""

import sys
from types import ModuleType

import pytest

from waitressd.firstuse import names_at_first_use


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A package that says where its names live."""
    made = ModuleType("shop")
    monkeypatch.setitem(sys.modules, "shop", made)
    vars(made)["__getattr__"], vars(made)["__dir__"] = names_at_first_use(
        "shop", {"sqrt": "math", "Decimal": "decimal"}
    )
    return made


def test_a_name_is_looked_up_once_and_is_there_from_then_on(package: ModuleType) -> None:
    assert "sqrt" not in vars(package)
    assert package.sqrt(9) == 3
    assert "sqrt" in vars(package)


def test_names_are_listed_before_they_are_looked_up(package: ModuleType) -> None:
    assert dir(package) == ["Decimal", "sqrt"]


def test_a_name_that_lives_nowhere_is_an_attribute_error(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match="module 'shop' has no attribute 'sqrd'"):
        _ = package.sqrd
