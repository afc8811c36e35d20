"""Makes the pictures of the page of the admin address, from figures that are the same in each run.

Takes a browser (Debian's chromium and chromium-driver) and selenium: `python docs/render_insight.py`. The fonts are
those of the machine.
"""

import sys
import tempfile
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

from tests.support.chromium import Browser, missing, running_browser  # noqa: E402 - the tree is found by the line above
from tests.support.insightscenes import shop  # noqa: E402 - the same
from tests.support.insightsite import Site, running_site  # noqa: E402 - the same

PICTURES: Final = {"insight-light": ("light", 1440), "insight-dark": ("dark", 1440), "insight-phone": ("light", 400)}
"""Name of the file: colours and width."""
PHONE_HEIGHT: Final = 1600
FIRST_PAGE: Final = {"first-insight-light": ("light", 680), "first-insight-dark": ("dark", 680)}
"""The same for the small pictures of the manual's first page, which show where the page begins."""
FIRST_PAGE_HEIGHT: Final = 470


def take_picture(browser: Browser, site: Site, name: str) -> None:
    """Open the page as the picture wants it, with a row and a profile open, and keep what it looks like."""
    scheme, width = PICTURES[name]
    browser.open(site.port, scheme=scheme, width=width)
    browser.run("document.querySelector('#requests-table tr.opens').click()")
    browser.wait("return document.querySelector('#requests-table .stack')")
    browser.click("#profile-take")
    browser.wait("return document.querySelector('#icicle button')")
    browser.run("document.activeElement.blur(); scrollTo(0, 0)")
    height = browser.run("return document.documentElement.scrollHeight")
    browser.resize(width, min(height, PHONE_HEIGHT) if width < 500 else height)
    browser.run("return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    browser.driver.save_screenshot(str(DOCS / "_static" / f"{name}.png"))


def take_small_picture(browser: Browser, site: Site, name: str) -> None:
    """Keep what the page shows first."""
    scheme, width = FIRST_PAGE[name]
    browser.open(site.port, scheme=scheme, width=width)
    browser.resize(width, FIRST_PAGE_HEIGHT)
    browser.run("return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    browser.driver.save_screenshot(str(DOCS / "_static" / f"{name}.png"))


def main() -> None:
    """Make all of them."""
    if missing():
        sys.exit(f"The pictures take a browser; install {missing()}.")
    site = Site(shop())
    with tempfile.TemporaryDirectory() as folder, running_browser(Path(folder)) as browser, running_site(site):
        for name in PICTURES:
            take_picture(browser, site, name)
        for name in FIRST_PAGE:
            take_small_picture(browser, site, name)
        browser.leave()


if __name__ == "__main__":
    main()
