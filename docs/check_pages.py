"""Looks at the manual as it was built: whether its links lead somewhere, and how it looks in a browser.

    python docs/check_pages.py FOLDER [PICTURES]

Every link inside the manual must lead to a file that is there, and to an anchor that is in it; links to elsewhere are
listed, for no network is needed. Where there is chromium, each page is opened at three widths: none may be wider than
its window, and none may complain in the console. PICTURES is a folder for screenshots of a few pages.
"""

import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.support import chromium

WIDTHS: Final = (400, 900, 1400)
PICTURED: Final = ("index", "settings", "tutorial", "kubernetes", "what-happens-when")
_WIDER: Final = "return document.scrollingElement.scrollWidth - innerWidth"


class Page(HTMLParser):
    """The anchors of a page, and what it links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one element."""
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif name in {"href", "src"} and value and tag != "form":
                self.links.add(value)


def check_links(folder: Path) -> tuple[list[str], set[str]]:
    """Return what is broken, and the addresses elsewhere."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}
    broken, elsewhere = [], set()
    for path, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                elsewhere.add(link)
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            name = path.relative_to(folder).as_posix()
            if not target.is_file():
                broken.append(f"{name}: {link} leads to no file")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                broken.append(f"{name}: {link} leads to no anchor")
    return broken, elsewhere


def check_widths(browser: chromium.Browser, folder: Path) -> list[str]:
    """Return the pages that are wider than a window, and what they say in the console."""
    found = []
    for path in sorted(folder.glob("*.html")):
        browser.leave()
        browser.resize(WIDTHS[0])
        browser.driver.get(path.as_uri())
        for width in WIDTHS:
            browser.resize(width)
            if (wider := browser.run(_WIDER)) > 0:
                found.append(f"{path.name}: {wider} pixels wider than a window of {width}")
        found += [f"{path.name}: {message}" for message in browser.messages()]
    return found


def check_filter(browser: chromium.Browser, folder: Path) -> list[str]:
    """Return what is wrong with the box that finds settings."""
    page = folder / "settings.html"
    if not page.is_file():
        return []
    browser.leave()
    browser.driver.get(page.as_uri())
    found = []
    for text, wanted in {
        "queue": "queue_limit",
        "drain-delay": "drain_delay",
        "no such word": "",
        "": "threads",
    }.items():
        browser.run(_TYPE, text)
        shown = browser.run(_SHOWN)
        if (wanted not in shown) if wanted else shown:
            found.append(f"settings.html: {text!r} leads to {', '.join(shown) or 'nothing'}")
    return found


_TYPE: Final = """
const input = document.querySelector(".settings-filter input");
input.value = arguments[0];
input.dispatchEvent(new Event("input"));
"""
_SHOWN: Final = """
const names = [...document.querySelectorAll("section > section > h3 code")];
return names.filter(name => name.checkVisibility()).map(name => name.textContent);
"""


def take_pictures(browser: chromium.Browser, folder: Path, pictures: Path) -> None:
    """Keep what a few pages look like, at each width, in both colours."""
    pictures.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        browser.leave()
        browser.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        for path in (folder / f"{name}.html" for name in PICTURED):
            if not path.is_file():
                continue
            browser.driver.get(path.as_uri())
            for width in WIDTHS:
                browser.resize(width)
                browser.run("return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
                browser.driver.save_screenshot(str(pictures / f"{path.stem}-{width}-{scheme}.png"))


def main() -> int:
    """Look, and return the status: 0 for a manual without faults."""
    folder = Path(sys.argv[1]).resolve()
    broken, elsewhere = check_links(folder)
    sys.stdout.write("".join(f"elsewhere, not asked: {link}\n" for link in sorted(elsewhere)))
    if missing := chromium.missing():
        sys.stdout.write(f"not looked at in a browser; install {missing}\n")
    else:
        with tempfile.TemporaryDirectory() as own, chromium.running_browser(Path(own)) as browser:
            broken += check_widths(browser, folder) + check_filter(browser, folder)
            if len(sys.argv) > 2:
                take_pictures(browser, folder, Path(sys.argv[2]))
            browser.leave()
    sys.stdout.write("".join(f"{line}\n" for line in broken))
    sys.stdout.write(f"{len(list(folder.rglob('*.html')))} pages, {len(broken)} faults\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
