"""Steps that the tables share."""

import pytest

from waitressd.convert.model import Item, Sketch, Text, Variable
from waitressd.convert.steps import (
    cipher_suites,
    listen_text,
    module_folders,
    name_application,
    name_file,
    request_log,
    variables,
    working_folder,
)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("a", "a:1"), ("a:2", "a:2"), (" :2 ", "*:2"), ("80", "*:80"), ("[::1]", "[::1]:1"), ("[::1]:2", "[::1]:2"),
        ("/a", "unix:/a"), ("unix:a", "unix:a"), ("unix:///a", "unix:/a"), ("fd://3", "fd:3"), ("http://a:2", "a:2"),
        ("", ""),
    ],
)  # fmt: skip
def test_addresses(address: str, expected: str) -> None:
    assert listen_text(Text.of(address), "1").written == expected


def test_a_port_may_be_a_variable() -> None:
    assert listen_text(Text(("a:", Variable("${P}", "1"))), "2").written == "a:${P}"


@pytest.mark.parametrize(
    ("reference", "application", "is_factory"),
    [
        ("a.b", "a.b:application", False),
        ("a:b", "a:b", False),
        ("a:b()", "a:b", True),
        ("a:b( )", "a:b", True),
        ("a:b(1)", None, False),
        ("a b", None, False),
        (":b", None, False),
    ],
)
def test_references(reference: str, application: str | None, *, is_factory: bool) -> None:
    sketch = Sketch("")
    name_application(sketch, Item("", "m", reference), Text.of(reference))
    assert (sketch.application.written if sketch.application else None) == application
    assert (sketch.is_factory, bool(sketch.left)) == (is_factory, application is None)


def test_variables_and_folders() -> None:
    sketch = Sketch("")
    variables(sketch, Item("", "env", ["A=b=c", "nothing", "a b=c", "SCRIPT_NAME=/shop"]))
    module_folders(",")(sketch, Item("", "p", "/a,,/b"))
    assert [text.written for text in sketch.environment] == ["A=b=c"]
    assert sketch.lines["url_prefix"].example == "/shop"
    assert [folder.written for folder in sketch.folders] == ["/a", "/b"]
    assert len(sketch.left) == 2


def test_an_empty_log_is_none() -> None:
    sketch = Sketch("")
    request_log("combined")(sketch, Item("", "accesslog", ""))
    assert "request_log" not in sketch.lines


@pytest.mark.parametrize("folder", ["/a\n[server:b]", "/a\rb", "#a", ";a"])
def test_a_folder_cannot_become_another_line(folder: str) -> None:
    sketch = Sketch("a")
    item = Item("f:1", "chdir", folder)
    working_folder(sketch, item)
    module_folders("")(sketch, item)
    name_file(sketch, item, Text.of(f"{folder}/shop.py"))
    assert sketch.folders == []
    assert len(sketch.left) == 3


@pytest.mark.parametrize("value", ["A=1\n[b]", "A=1\rb"])
def test_nor_can_a_variable_or_a_path(value: str) -> None:
    sketch = Sketch("a")
    variables(sketch, Item("f:1", "env", value))
    request_log("combined")(sketch, Item("f:2", "accesslog", value))
    assert sketch.environment == []
    assert sketch.log == {}
    assert len(sketch.left) == 2


def test_a_list_of_ciphers_that_the_server_would_refuse_becomes_a_comment_that_says_what_it_takes() -> None:
    sketch = Sketch("")
    cipher_suites(sketch, Item("", "ciphers", "NONSENSE"))
    assert "tls_ciphers" not in sketch.lines
    ((_, _, why),) = sketch.left
    assert "an empty value is a good choice" in why
    cipher_suites(sketch, Item("", "ciphers", Text((Variable("${CIPHERS}", "aNULL"),))))  # whose value is for the start
    assert [text.written for text in sketch.lines["tls_ciphers"].values] == ["${CIPHERS}"]
