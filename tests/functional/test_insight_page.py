"""The page of the admin address in a real browser, with documents of a table: what it shows, and who can use it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from selenium.webdriver.common.keys import Keys

from tests.support.chromium import Browser, missing
from tests.support.insightscenes import HOSTILE, SCENES, Scene, ended, hostile, request, shop
from tests.support.insightsite import Site, running_site

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=f"needs a browser; install {missing()}"),
    pytest.mark.timeout(120),  # a browser starts, and others use the same processors
]

ROWS: Final = "#requests-table tr.opens"


@pytest.fixture
def show(browser: Browser) -> Iterator[Callable[..., Site]]:
    """Serve a scene and open its page; returns the site, whose scene may be changed."""
    running = []

    def open_scene(scene: Scene, **options: object) -> Site:
        site = Site(scene)
        serving = running_site(site)
        serving.__enter__()
        running.append(serving)
        browser.open(site.port, **options)  # type: ignore[arg-type]  # they are its own
        return site

    yield open_scene
    browser.leave()
    for serving in running:
        serving.__exit__(None, None, None)


def in_order(ages: list[str]) -> bool:
    numbers = [float(age.removesuffix(" s")) for age in ages]
    return numbers == sorted(numbers, reverse=True)


# -- What it shows


def test_it_shows_what_the_server_says(browser: Browser, show: Callable[..., Site]) -> None:
    scene = shop()
    site = show(scene)
    assert browser.texts(f"{ROWS} .age")[:2] == ["41.3 s", "29.8 s"]
    assert len(browser.texts(ROWS)) == scene["requests"]["total"]
    assert in_order(browser.texts(f"{ROWS} .age"))
    assert browser.text("#requests-count") == "31 in flight: 16 in threads, 12 queued"
    assert "504 sent" in browser.texts(ROWS)[0]
    assert "9 here" in browser.texts(ROWS)[0]
    assert "waits for a thread, 1 of 12" in " ".join(browser.texts(ROWS))
    assert [line.split(".")[0] for line in browser.texts("#findings bdi")] == [
        finding["text"].split(".")[0] for finding in scene["stats"]["findings"]
    ]
    assert browser.texts(".tile .figure")[:3] == ["234", "16 of 16\u25c6Bad: ", "12\u25c6Bad: "]
    assert browser.texts("#routes-table tbody td:first-child")[0] == "/reports/{name}"
    assert browser.texts("#routes-table tbody td:first-child")[-1] == "(no route)"
    assert len(browser.texts("#slow-table tr.opens")) == 7
    assert browser.texts("#connections-table tbody tr")[0] == "idle2,370118.0 s"
    assert browser.driver.title == "4 findings \u2013 shop"
    assert browser.messages() == []
    assert browser.origins() - {"data:"} == {f"127.0.0.1:{site.port}"}


def test_five_minutes_are_there_at_once(browser: Browser, show: Callable[..., Site]) -> None:
    show(shop())
    points = "return document.querySelector(arguments[0]).getAttribute('d').split(/[ML]/).length - 1"
    assert browser.run(points, "#times path.p99") == 150
    assert browser.run(points, "#rates path.s2") == 300  # above and below
    assert "all threads busy" in browser.text("#rates svg")
    for chart in ("rates", "times"):
        sentence = browser.run(f"return document.querySelector('#{chart} svg').getAttribute('aria-label')")
        assert "in the last 5 min" in sentence
        assert "All threads have been busy for 1 min 28 s" in sentence


def test_a_chart_tells_its_values_to_the_keyboard(browser: Browser, show: Callable[..., Site]) -> None:
    show(shop())
    browser.run("document.querySelector('#times input').focus()")
    browser.press(Keys.HOME)
    assert browser.text("#times-when") == "4 min 58 s ago"
    words = browser.run("return document.querySelector('#times input').getAttribute('aria-valuetext')")
    assert words.startswith("4 min 58 s ago: p50 ")
    browser.press(Keys.TAB)
    assert browser.text("#times-when") == "5 minutes, all routes, logarithmic"


def test_a_server_at_rest_is_calm(browser: Browser, show: Callable[..., Site]) -> None:
    show(SCENES["at_rest"]())
    assert "Nothing is the matter" in browser.text("#verdict")
    assert "0 of 8 threads are busy, nobody waits" in browser.text("#verdict")
    assert browser.text("#requests-table tbody") == "No request is in flight."
    assert browser.run("return document.querySelector('#worker').hidden")  # there is only one
    assert browser.driver.title == "all well \u2013 shop"
    assert browser.messages() == []


def test_what_is_unknown_is_a_dash(browser: Browser, show: Callable[..., Site]) -> None:
    show(SCENES["unknown"]())
    assert set(browser.texts(".tile .figure")) == {"\u2013", "\u2013 of \u2013"}
    assert set(browser.texts(f"{ROWS} .age")) == {"\u2013"}
    for wrong in ("null", "undefined", "NaN", "Infinity", "[object"):
        assert wrong not in browser.run("return document.body.innerText")
    assert browser.messages() == []


def test_a_live_region_speaks_when_something_changes_and_not_each_second(
    browser: Browser, show: Callable[..., Site]
) -> None:
    site = show(shop())
    assert browser.run("return document.querySelector('#verdict').getAttribute('aria-live')") == "polite"
    spoken = browser.text("#spoken")
    findings = site.scene["stats"]["findings"]
    findings[0]["text"] = "All 16 threads are busy, and 13 requests wait, the first for 4.2 s."
    browser.wait("return document.querySelector('#findings').textContent.includes('the first for 4.2 s')")
    assert browser.text("#spoken") == spoken
    del findings[0]
    browser.wait("return !document.querySelector('#spoken').textContent.includes('All 16 threads')")


# -- Rows, and what opens


def test_enter_opens_a_stack_and_it_stays(browser: Browser, show: Callable[..., Site]) -> None:
    site = show(shop())
    browser.run("document.querySelector('#requests-table tr.opens').focus()")
    browser.press(Keys.ENTER)
    browser.wait("return document.querySelector('#requests-table .stack .here')")
    assert browser.text("#requests-table .here") == (
        'shop/reports.py:214totals  \u25c0 hererows = session.execute(TOTALS, {"name": name}).all()'
    )
    assert browser.texts("#requests-table .own")[0].startswith("shop/views.py:131")
    assert "It waits: its thread uses no CPU" in browser.text("#requests-table .remarks").replace("; it", ". It")
    asked = [path for path in site.asked if path.startswith("/requests/")]
    requests = site.scene["requests"]["requests"]
    requests[0]["age_seconds"] = 77.7
    browser.wait("return document.querySelector('#requests-table td.age').textContent === '77.7 s'")
    del requests[0]  # it ends, and whoever reads its stack keeps it
    browser.wait("return document.querySelector('#requests-table tr.ended')")
    assert "ended" in browser.texts(ROWS)[0]
    assert browser.run("return document.querySelectorAll('#requests-table .stack').length") == 1
    assert browser.run("return document.activeElement.matches('tr.ended')")
    assert [path for path in site.asked if path.startswith("/requests/")] == asked  # once: it must stand still
    browser.press(Keys.ENTER)
    assert not browser.run("return document.querySelector('#requests-table tr.ended, #requests-table .stack')")


def test_keys_go_from_row_to_row(browser: Browser, show: Callable[..., Site]) -> None:
    site = show(shop())
    where = "return [...document.querySelectorAll('#requests-table tr.opens')].indexOf(document.activeElement)"
    browser.run("document.querySelector('#requests-table tr.opens').focus()")
    browser.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert browser.run(where) == 2
    browser.press(Keys.END)
    assert browser.run(where) == 30
    browser.press(Keys.ARROW_DOWN, Keys.ARROW_UP)
    assert browser.run(where) == 29
    key = browser.run("return document.activeElement.dataset.key")
    site.scene["requests"]["requests"].insert(0, request(99, "application", 50.0, "/new"))
    browser.wait("return document.querySelectorAll('#requests-table tr.opens').length === 32")
    assert browser.run("return document.activeElement.dataset.key") == key  # the focus goes with its row
    browser.press(Keys.SPACE)
    browser.wait("return document.querySelector('#requests-table tr.detail .remarks button')")
    browser.run("document.querySelector('#requests-table tr.detail .remarks button').focus()")
    browser.press(Keys.ESCAPE)
    assert browser.run("return document.activeElement.dataset.key") == key


def test_the_focus_goes_through_the_page_in_its_order(browser: Browser, show: Callable[..., Site]) -> None:
    show(shop())
    browser.run("document.activeElement.blur()")
    seen = []
    for _ in range(60):
        browser.press(Keys.TAB)
        seen.append(
            browser.run(
                "const e = document.activeElement, part = e.closest('section, header, footer');"
                "return e.id || part?.id || part?.tagName || ''"
            )
        )
    first = {name: seen.index(name) for name in dict.fromkeys(seen)}
    expected = ["pause", "theme", "verdict", "requests-text", "requests", "routes", "phase", "slow", "profile-take"]
    assert sorted(expected, key=first.__getitem__) == expected
    assert seen.count("requests") <= 15  # headers that sort, and one row of them all


def test_tables_sort(browser: Browser, show: Callable[..., Site]) -> None:
    show(shop())
    sort = "return document.querySelectorAll('#routes-table th')[arguments[0]].getAttribute('aria-sort')"
    assert browser.run(sort, 5) == "descending"
    browser.run("document.querySelectorAll('#routes-table th button')[1].focus()")
    browser.press(Keys.ENTER)
    assert (browser.run(sort, 1), browser.run(sort, 5)) == ("descending", None)
    assert browser.text("#routes-table tbody td") == "/"
    browser.press(Keys.ENTER)
    assert browser.run(sort, 1) == "ascending"
    assert browser.text("#routes-table tbody td") == "/reports/{name}"
    browser.click("#requests-table th:nth-of-type(2) button")
    assert browser.texts(f"{ROWS} td:nth-child(3)")[0].startswith("application")


def test_a_finding_leads_to_its_requests(browser: Browser, show: Callable[..., Site]) -> None:
    show(shop())
    browser.driver.execute_script("document.querySelector('#requests-which').value = 'queued'")
    browser.click("#findings li:nth-child(2) .chip")
    browser.wait("return document.querySelector('#requests-table .stack')")
    assert browser.run("return document.activeElement.dataset.key") == "1-88120-7"


def test_requests_are_found_and_grouped(browser: Browser, show: Callable[..., Site]) -> None:
    show(shop())
    browser.click("#requests-text")
    browser.press(*"REPORTS/Q")
    browser.wait(f"return document.querySelectorAll('{ROWS}').length === 5")
    assert browser.text("#requests-count").endswith("; 5 shown")
    browser.press(*"zz")
    browser.wait("return document.querySelector('#requests-table .nothing')")
    browser.click("#by-place")
    assert browser.texts("#places-table tbody tr")[0].startswith("941.3 sshop/reports.py:214 totals1-88120-7")
    browser.click("#places-table .chip")
    browser.wait("return document.querySelector('#requests-table .stack')")
    assert browser.run("return document.querySelector('#requests-text').value") == ""


def test_a_failure_shows_its_exception_and_a_slow_request_its_stack(
    browser: Browser, show: Callable[..., Site]
) -> None:
    site = show(shop())
    rows = browser.texts("#slow-table tr.opens")
    assert [row[:8] for row in rows] == sorted((row[:8] for row in rows), reverse=True)
    for number in (2, 4):
        browser.run("document.querySelectorAll('#slow-table tr.opens')[arguments[0]].click()", number)
    assert browser.text("#slow-table .exception") == "KeyError: 'sku' (shop/views.py:341 add)"
    assert "shop/reports.py:214" in browser.text("#slow-table .stack")
    site.scene["slow"]["slow"].append(ended("03:13:01.000", 77, "/late", (0.0, 0.0, 2.0, 0.0)))
    browser.wait("return document.querySelector('#slow-table').textContent.includes('/late')")
    assert len(browser.texts("#slow-table tr.detail")) == 2


# -- What somebody chooses


def test_worker_and_window_are_asked_for(browser: Browser, show: Callable[..., Site]) -> None:
    site = show(shop())
    assert "/stats?window=60" in site.asked
    choose = (
        "const s = document.querySelector(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('change'))"
    )
    browser.run(choose, "#worker", "2")
    browser.run(choose, "#window", "300")
    wanted = {"/stats?window=300&worker=2", "/requests?group=1&stack=0&limit=200&worker=2", "/slow?worker=2"}
    browser.wait("return document.querySelector('.tile:nth-child(4) h2').textContent === 'p99, last 5 minutes'")
    assert wanted <= set(site.asked)


def test_a_pause_asks_nothing(browser: Browser, show: Callable[..., Site]) -> None:
    site = show(shop())
    browser.click("#pause")
    assert (browser.text("#pause"), browser.text("#state")) == ("Go on", "Paused")
    browser.run("return new Promise(done => setTimeout(done, 1500))")
    asked = len(site.asked)
    browser.run("return new Promise(done => setTimeout(done, 1500))")
    assert len(site.asked) == asked
    browser.click("#pause")
    browser.wait("return document.querySelector('#state').textContent === 'Serving'")
    assert len(site.asked) > asked


def test_a_hidden_page_asks_nothing(browser: Browser, show: Callable[..., Site]) -> None:
    site = show(shop())
    page = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    try:
        browser.run("return new Promise(done => setTimeout(done, 1500))")
        asked = len(site.asked)
        browser.run("return new Promise(done => setTimeout(done, 2500))")
        assert len(site.asked) == asked
    finally:
        browser.driver.close()
        browser.driver.switch_to.window(page)
    assert browser.run("return document.hidden") is False
    browser.wait("return performance.getEntriesByType('resource').length > arguments[0]", 0)


def test_the_theme_can_be_chosen_and_is_remembered(browser: Browser, show: Callable[..., Site]) -> None:
    site = show(shop(), scheme="light")
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = browser.run(ground)
    browser.click("#theme")
    dark = browser.run(ground)
    assert dark != light
    browser.driver.refresh()
    assert browser.run(ground) == dark
    assert browser.run("return document.querySelector('#theme').getAttribute('aria-pressed')") == "true"
    browser.open(site.port, scheme="dark")  # nothing remembered: as the system has it
    assert browser.run(ground) == dark


def test_a_profile_is_drawn_and_saved(browser: Browser, show: Callable[..., Site]) -> None:
    site = show(shop())
    browser.click("#profile-take")
    browser.wait("return document.querySelectorAll('#icicle button').length > 10")
    assert "/profile?seconds=5&rate=100&threads=busy&format=speedscope" in site.asked
    assert browser.run("return document.querySelector('#icicle').getAttribute('aria-label')") == (
        "Icicle of calls: 61 % of the time is below psycopg.connection:wait."
    )
    browser.run("document.querySelector('#icicle button').focus()")
    browser.press(*[Keys.ARROW_DOWN] * 4)
    assert browser.text("#profile-readout").startswith("shop.reports:totals, shop/reports.py:")
    browser.press(Keys.ENTER)
    browser.wait("return document.querySelectorAll('#icicle button').length === 3")
    browser.press(Keys.ESCAPE)
    browser.wait("return document.querySelectorAll('#icicle button').length > 10")
    browser.click("#profile-save")
    saved = browser.downloads / "shop.speedscope.json"
    browser.wait("return arguments[0]", True)
    for _ in range(200):
        if saved.exists():
            break
        browser.run("return new Promise(done => setTimeout(done, 50))")
    assert json.loads(saved.read_text(encoding="utf-8")) == site.scene["profile"]
    saved.unlink()
    assert browser.messages() == []


# -- Hostile clients, and a server that does not answer


def test_hostile_text_is_text(browser: Browser, show: Callable[..., Site]) -> None:
    show(hostile())
    browser.run("for (const row of document.querySelectorAll('tr.opens')) row.click()")
    browser.click("#profile-take")
    browser.wait("return document.querySelectorAll('#icicle button').length > 10")
    browser.wait("return document.querySelectorAll('#requests-table .stack').length > 10")
    assert browser.driver.title.endswith(f" \u2013 {HOSTILE[0]}")
    assert (
        browser.run(
            "return document.querySelectorAll('main script, main img, main svg[onload], main iframe, main b b').length"
        )
        == 0
    )
    shown = browser.run("return document.body.textContent")
    assert HOSTILE[0] in shown
    assert HOSTILE[1] in shown
    assert "\\u202egnp.exe" in shown  # the control is shown as what it is
    assert not set("\u202e\x00\x1b\u200b\u2028\u200d") & set(shown)
    assert len(max(shown.split(), key=len)) < 10_000
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.messages() == []


def test_a_server_that_does_not_answer_leaves_its_last_picture(browser: Browser) -> None:
    site = Site(shop())
    with running_site(site):
        browser.open(site.port)
        assert browser.run("return document.querySelector('#silence').hidden")
    browser.wait("return !document.querySelector('#silence').hidden")
    said = browser.text("#silence")
    assert said.startswith("The server has not answered since ")
    assert len(browser.texts(ROWS)) == 31
    assert browser.text("#state") == "No answer"
    assert browser.driver.title.startswith("no answer")
    browser.run("return new Promise(done => setTimeout(done, 1500))")
    assert browser.text("#silence") == said  # since then, and not since the last question
    with running_site(site):
        browser.wait("return document.querySelector('#silence').hidden")
        browser.wait("return document.querySelector('#state').textContent === 'Serving'")
        assert site.asked.count("/index") >= 2  # whoever comes back may be configured otherwise
        browser.leave()


def test_what_is_not_exposed_is_said_and_not_asked(browser: Browser, show: Callable[..., Site]) -> None:
    scene = shop()
    del scene["slow"], scene["profile"]
    site = show(scene)
    assert browser.text("#slow-note") == "Not shown here: admin_expose does not have slow."
    assert browser.run("return document.querySelector('#profile').hidden")
    assert browser.texts("#endpoints li") == ["connections", "requests", "stats", "index"]
    assert len(browser.texts(ROWS)) == 31
    assert not {path for path in site.asked if path.startswith(("/slow", "/profile"))}
    assert browser.messages() == []


def test_a_refusal_is_shown_where_the_answer_would_be(browser: Browser, show: Callable[..., Site]) -> None:
    site = show(shop())
    sentence = "worker is the number of a worker: <b>1</b>."
    site.refusals["stats"] = ("400 Bad Request", {"error": sentence})
    browser.wait("return document.querySelector('#routes-note').textContent === arguments[0]", sentence)
    browser.wait("return !document.querySelector('#silence').hidden")
    assert browser.text("#silence") == f"{sentence} What is not answered is as it was."
    assert browser.text("#state") == "Serving"
    del site.refusals["stats"]
    browser.wait("return document.querySelector('#silence').hidden")
    assert browser.text("#routes-note") == ""


def test_a_worker_can_be_chosen_after_another(browser: Browser, show: Callable[..., Site]) -> None:
    site = show(shop())
    choose = "const s = document.querySelector('#worker'); s.value = '2'; s.dispatchEvent(new Event('change'))"
    del site.scene["stats"]["workers"][0]  # an answer of one worker tells nothing of the others
    browser.run(choose)
    browser.wait("return performance.getEntriesByName(location.origin + '/stats?window=60&worker=2').length >= 2")
    assert browser.texts("#worker option") == ["all workers", "worker 1 (pid 4131)", "worker 2 (pid 4132)"]


# -- For everybody, and for long


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", SCENES)
def test_everybody_can_use_it(browser: Browser, show: Callable[..., Site], name: str, scheme: str) -> None:
    show(SCENES[name](), scheme=scheme)
    browser.run("for (const row of [...document.querySelectorAll('tr.opens')].slice(0, 3)) row.click()")
    browser.run("for (const row of [...document.querySelectorAll('#slow-table tr.opens')].slice(0, 3)) row.click()")
    browser.click("#profile-take")
    browser.wait("return !document.querySelector('#profile-take').disabled")
    assert browser.audit() == []
    browser.click("#by-place")
    browser.resize(400)
    assert browser.audit() == []


def test_the_audit_finds_what_is_wrong(browser: Browser, show: Callable[..., Site]) -> None:
    show(SCENES["at_rest"]())
    browser.run(
        "const main = document.querySelector('main'), wrong = document.createElement('section');"
        "for (const name of ['h5', 'button', 'input', 'table', 'p']) wrong.append(document.createElement(name));"
        "wrong.querySelector('h5').textContent = wrong.querySelector('p').textContent = 'words';"
        "wrong.querySelector('p').style.color = '#bbb';"
        "main.append(wrong)"
    )
    found = " ".join(browser.audit())
    for text in ("follows a heading of level 2", "has no name", "has no label", "has no caption", "has a contrast of"):
        assert text in found


@pytest.mark.parametrize("name", ["shop", "hostile", "crowd", "unknown"])
def test_nothing_sticks_out(browser: Browser, show: Callable[..., Site], name: str) -> None:
    show(SCENES[name]())
    browser.run("for (const row of [...document.querySelectorAll('tr.opens')].slice(0, 2)) row.click()")
    browser.wait("return document.querySelector('tr.detail .remarks button')")
    parts = "document.querySelectorAll('section, .tile, header > *, #requests-table .stack')"
    for width in (320, 400, 700, 1000, 1241, 1920):
        browser.resize(width)
        assert browser.run("return document.documentElement.scrollWidth") <= width
        outside = f"[...{parts}].filter(part => part.getBoundingClientRect().right > innerWidth + 1)"
        names = browser.run(f"return {outside}.map(part => part.id + '.' + part.className)")
        assert (width, names) == (width, [])


def test_a_long_time_leaves_no_memory(browser: Browser, show: Callable[..., Site]) -> None:
    """Some hundred rounds, as fast as they go, while requests come and go."""
    site = show(shop())
    faster = "const slow = setTimeout; window.setTimeout = (call, wait) => slow(call, wait / 500);"
    script = browser.command("Page.addScriptToEvaluateOnNewDocument", source=faster)
    try:
        browser.open(site.port)
        rounds = "return performance.getEntriesByName(location.origin + '/stats?window=60').length"
        browser.run("performance.setResourceTimingBufferSize(100000)")
        rows = site.scene["requests"]["requests"]

        def pass_rounds(number: int) -> None:
            begin = browser.run(rounds)
            while browser.run(rounds) < begin + number:
                rows[:] = [
                    *rows[7:],
                    *(request(9000 + len(site.asked) + at, "application", 1.0, "/x") for at in range(7)),
                ]

        pass_rounds(50)
        browser.run("performance.clearResourceTimings()")
        before = browser.heap_bytes()
        for _ in range(6):
            pass_rounds(50)
            browser.run("performance.clearResourceTimings()")
        assert browser.heap_bytes() - before < 2_000_000
    finally:
        browser.command("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])


def test_the_browser_keeps_its_files_in_its_folder(browser: Browser, tmp_path: Path) -> None:
    assert browser.downloads.is_dir()
    assert list(tmp_path.iterdir()) == []
