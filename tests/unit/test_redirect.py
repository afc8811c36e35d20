"""What is answered in clear where TLS is meant."""

import os
from pathlib import Path

import pytest

from waitressd.http.errors import Answer
from waitressd.http.events import Request
from waitressd.redirect import CHALLENGE_BYTES, Challenges, Redirect

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr_oA"
CHALLENGE = "/.well-known/acme-challenge/"


def request(target: str = "/", host: str | None = "shop.example", method: str = "GET") -> Request:
    fields = {} if host is None else {"HTTP_HOST": host}
    return Request(method, target, target.partition("?")[0], "", "HTTP/1.1", fields)


def covers(host: str) -> bool:
    return host.lower() in {"shop.example", "127.0.0.1", "::1"}


@pytest.mark.parametrize(
    ("target", "host", "port", "expected"),
    [
        ("/", "shop.example", 443, "https://shop.example/"),
        ("/a/b?c=d&e=%20", "shop.example", 8443, "https://shop.example:8443/a/b?c=d&e=%20"),
        ("/", "Shop.example:80", 443, "https://Shop.example/"),
        ("/", "shop.example:", 443, "https://shop.example/"),
        ("/", "127.0.0.1:8080", 443, "https://127.0.0.1/"),
        ("/", "[::1]:8080", 8443, "https://[::1]:8443/"),
        ("//other.example/", "shop.example", 443, "https://shop.example//other.example/"),
        ("/\\other.example", "shop.example", 443, "https://shop.example/%5Cother.example"),
        ("/caf\xc3\xa9", "shop.example", 443, "https://shop.example/caf%C3%A9"),
        ("/100%", "shop.example", 443, "https://shop.example/100%"),
        ('/"<>`{|}^', "shop.example", 443, "https://shop.example/%22%3C%3E%60%7B%7C%7D%5E"),
        ("http://other.example/a?b", "shop.example", 443, "https://shop.example/a?b"),
        ("http://other.example", "shop.example", 443, "https://shop.example/"),
    ],
)
def test_where_it_leads(target: str, host: str, port: int, expected: str) -> None:
    for method in ("GET", "HEAD"):
        answer = Redirect(covers, port)(request(target, host, method))
        assert isinstance(answer, Answer)
        assert (answer.status, answer.fields) == (308, (("Location", expected),))


@pytest.mark.parametrize("host", ["other.example", "", None, "shop.example.other", "127.0.0.2", "[::2]"])
def test_nobody_is_led_to_a_host_without_a_certificate(host: str | None) -> None:
    answer = Redirect(covers, 443)(request("/", host))
    assert (answer.status, answer.fields) == (421, ())
    assert "Location" not in answer.content


def test_what_would_change_something_is_not_led_on() -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer = Redirect(covers, 8443)(request("/secret", method=method))
        assert (answer.status, answer.fields) == (403, ())
        assert "https://shop.example:8443/" in answer.content
        assert "secret" not in answer.content


# -- challenges


@pytest.fixture(params=["folder itself", "root of a web server"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder that the files of the challenges are in."""
    if request.param == "folder itself":
        return tmp_path
    folder = tmp_path / ".well-known" / "acme-challenge"
    folder.mkdir(parents=True)
    return folder


def answer_to(tmp_path: Path, target: str, method: str = "GET") -> tuple[int, str]:
    answer = Redirect(covers, 443, Challenges(str(tmp_path)))(request(target, "any.example", method))
    return answer.status, answer.content


def test_a_challenge_is_shown_whatever_the_host(tmp_path: Path, files: Path) -> None:
    (files / TOKEN).write_text(f"{TOKEN}.thumbprint\n")
    for method in ("GET", "HEAD"):
        assert answer_to(tmp_path, CHALLENGE + TOKEN, method) == (200, f"{TOKEN}.thumbprint\n")
    assert answer_to(tmp_path, CHALLENGE + TOKEN, "POST")[0] == 405
    (files / "full").write_bytes(b"x" * CHALLENGE_BYTES)
    assert answer_to(tmp_path, CHALLENGE + "full")[0] == 200


def test_nothing_else_is_shown(tmp_path: Path, files: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret").write_text("secret")
    (files / "link").symlink_to(outside / "secret")
    (files / "inside").symlink_to(TOKEN)
    (files / TOKEN).write_text("good")
    (files / "sub").mkdir()
    (files / "sub" / "file").write_text("below")
    (files / "large").write_bytes(b"x" * (CHALLENGE_BYTES + 1))
    (files / "binary").write_bytes(b"\xff\xfe")
    (files / "with.dot").write_text("a dot")
    (files / ("n" * 129)).write_text("long")
    os.mkfifo(files / "pipe")
    for name in (
        "link", "inside", "sub", "sub/file", "large", "binary", "with.dot", "n" * 129, "pipe", "gone", "", ".", "..",
        "../secret", f"../../../../..{outside}/secret", f"{outside}/secret", "%2e%2e/secret", TOKEN + "?x=1",
        TOKEN + "/", TOKEN + "%00", TOKEN + "\x00", "%65vaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr_oA",
    ):  # fmt: skip
        assert answer_to(tmp_path, CHALLENGE + name)[0] == 404, name


def test_folders_that_are_links_below_the_root_are_not_entered(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "acme-challenge").mkdir()
    (outside / "acme-challenge" / TOKEN).write_text("secret")
    (tmp_path / ".well-known").symlink_to(outside)
    assert answer_to(tmp_path, CHALLENGE + TOKEN)[0] == 404


def test_without_a_folder_a_challenge_is_led_to_https() -> None:
    answer = Redirect(covers, 443)(request(CHALLENGE + TOKEN))
    assert answer.fields == (("Location", f"https://shop.example{CHALLENGE}{TOKEN}"),)


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    assert answer_to(tmp_path / "gone", CHALLENGE + TOKEN)[0] == 404
