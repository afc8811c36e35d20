"""What is said about time limits."""

import pytest

from waitressd.config.adjustments import Adjustments
from waitressd.config.advice import advise
from waitressd.config.advicerules import Facts
from waitressd.config.timelimitadvice import limits


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, []),
        ({"request_timeout": 25}, []),
        ({"request_timeout": 26}, ["request_timeout allows 26 s, and shutdown_timeout is 25 s"]),
        ({"request_timeout": 60, "shutdown_timeout": 90}, []),
        (
            {"request_timeout_routes": "/slow 60 /fast 1"},
            ["request_timeout_routes allows 60 s, and shutdown_timeout is 25 s"],
        ),
    ],
)
def test_a_stop_cuts_off_what_is_allowed_to_take_longer(settings: dict[str, object], names: list[str]) -> None:
    found = [str(advice) for advice in advise(Facts(Adjustments.from_keywords(host="127.0.0.1", **settings)))]
    said = [text for text in found if "W135" in text]
    assert len(said) == len(names)
    assert all(name in text for name, text in zip(names, said, strict=True))


def test_limits_are_listed_with_their_settings() -> None:
    adjustments = Adjustments.from_keywords(request_timeout=5, request_timeout_routes="/a 0 /b 7")
    assert limits(adjustments) == [("request_timeout", 5.0), ("request_timeout_routes", 7.0)]
