"""What is said about names that are no settings."""

import pytest

from waitressd.config.adjustments import ALIASES, SETTINGS
from waitressd.config.hints import FOREIGN, suggest
from waitressd.wording import did_you_mean, trailing_comment

KNOWN = [*SETTINGS, *ALIASES]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("thread", "; did you mean threads?"),
        ("Threads", "; did you mean threads?"),
        ("channel-timeout", "; did you mean channel_timeout?"),
        ("fast-listen", "; did you mean fast_listen?"),
        ("max_body_size", "; did you mean max_request_body_size?"),
        ("expose_trace", "; did you mean expose_traceback?"),
        ("keepalive", "; it looks like an option of gunicorn: use channel_timeout"),
        ("threadpool_workers", "; it looks like an option of Paste#http: use threads"),
        ("chmod-socket", "; it looks like an option of uWSGI: use unix_socket_perms"),
        ("numthreads", "; it looks like an option of cheroot: use threads"),
        ("filter-with", "; filters belong to an application: put filter-with into [app:main]"),
        ("xyzzy", ""),
    ],
)  # fmt: skip
def test_a_name_gets_the_likeliest_meaning(name: str, hint: str) -> None:
    assert suggest(name, KNOWN) == hint


def test_no_option_of_another_server_is_a_setting() -> None:
    assert not FOREIGN.keys() & set(KNOWN)


def test_advice_about_other_servers_names_settings_that_exist() -> None:
    for _, advice in FOREIGN.values():
        for word in advice.replace(",", " ").replace(";", " ").split():
            if "_" in word:
                assert word in KNOWN or word.startswith("[")


@pytest.mark.parametrize(
    ("text", "comment"),
    [
        ("4 # four", "# four"),
        ("4\t; four", "; four"),
        ("*:80\n# old", "# old"),
        ("4#four", ""),
        ("#4", ""),
        ("4", ""),
    ],
)
def test_a_comment_after_a_value_is_seen(text: str, comment: str) -> None:
    assert trailing_comment(text) == comment


def test_a_misspelt_word_is_recognised() -> None:
    assert did_you_mean("thraeds", ["threads", "listen"]) == "; did you mean threads?"
    assert did_you_mean("threads", ["listen"]) == ""
    assert did_you_mean("thrds", ["threads"], 0.95) == ""
