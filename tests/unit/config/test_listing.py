"""The listing of effective values."""

import json

from waitressd.config.adjustments import SETTINGS, Adjustments
from waitressd.config.listing import as_json, as_text
from waitressd.config.origins import Origin, Source

HERE = Origin(Source.FILE, "/x/a.ini", 7, "server:main", ("PORT",))
ADJUSTMENTS = Adjustments.from_strings({"listen": "*:80 unix:/a", "max_request_body_size": "64M"}, {"listen": HERE})


def test_every_setting_has_a_line_with_its_origin() -> None:
    lines = as_text(ADJUSTMENTS).split("\n")
    assert "listen = *:80 unix:/a                           /x/a.ini:7 [server:main], ${PORT}" in lines
    assert "max_request_body_size = 64M                     file" in lines
    assert "threads = 4                                     default" in lines
    shown = {line.split(" =")[0] for line in lines}
    assert shown == {name for name, row in SETTINGS.items() if not row.is_inert and not row.kind.python_only}


def test_what_has_no_effect_is_listed_where_it_was_given() -> None:
    assert "send_bytes" in as_text(Adjustments.from_strings({"send_bytes": "5"}))


def test_the_lines_can_be_read_again() -> None:
    given = {}
    for line in as_text(ADJUSTMENTS).split("\n"):
        name, _, rest = line.partition(" =")
        given[name] = rest[: 46 - len(name)].strip()
    for replaced in ("host", "port", "unix_socket", "trusted_proxy_count"):  # there, they say more than their default
        del given[replaced]
    assert Adjustments.from_strings(given) == ADJUSTMENTS


def test_as_json() -> None:
    listing = json.loads(as_json(ADJUSTMENTS))
    assert listing["listeners"] == ["*:80", "unix:/a"]
    assert listing["settings"]["threads"] == {"value": "4", "source": "default"}
    assert listing["settings"]["listen"] == {
        "value": "*:80 unix:/a",
        "source": "file",
        "file": "/x/a.ini",
        "line": 7,
        "section": "server:main",
        "environment": ["PORT"],
    }
