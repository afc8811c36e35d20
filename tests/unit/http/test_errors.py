"""Errors say enough to answer with, and no more."""

from waitressd.http.errors import REASONS, HttpError


def test_an_error_names_its_status() -> None:
    error = HttpError(431, "Too much.", (("Retry-After", "5"),))
    assert (error.status, error.reason, error.detail) == (431, "Request Header Fields Too Large", "Too much.")
    assert error.fields == (("Retry-After", "5"),)
    assert str(error) == "431 Request Header Fields Too Large: Too much."


def test_a_status_without_a_name() -> None:
    assert HttpError(499, "Odd.").reason == "Error"
    assert str(HttpError(499, "Odd.")) == "499 Error: Odd."


def test_the_reasons_are_those_of_final_responses() -> None:
    assert all(200 <= status <= 599 and reason.isascii() and reason.isprintable() for status, reason in REASONS.items())
    # The names that RFC 9110 changed.
    assert REASONS[413] == "Content Too Large"
    assert REASONS[422] == "Unprocessable Content"
