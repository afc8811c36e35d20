"""A real browser, without a window: Debian's chromium, driven through selenium."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

WAIT_SECONDS: Final = 20.0
AUDIT: Final = (Path(__file__).parent / "audit.js").read_text(encoding="utf-8")


def missing() -> str:
    """Say what is missing for a browser; nothing if it is all there."""
    programs = {"chromium": "chromium", "chromedriver": "chromium-driver"}
    return ", ".join(package for program, package in programs.items() if not shutil.which(program))


class Browser:
    """One window. What a page does with the network and says in its console is kept until it is asked for."""

    def __init__(self, driver: webdriver.Chrome, downloads: Path) -> None:
        self.driver = driver
        self.downloads = downloads

    def open(self, port: int, *, scheme: str = "light", width: int = 1440) -> None:
        """Open the page of a server on this machine, and wait until it shows the first answer."""
        self.leave()
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.resize(width)
        self.driver.get(f"http://127.0.0.1:{port}/")
        self.wait("return document.querySelector('#requests-count').textContent !== ''")

    def leave(self) -> None:
        """Show nothing, with no memory of what was shown, and forget what was noted of it."""
        self.driver.get("about:blank")
        self.command("Storage.clearDataForOrigin", origin="*", storageTypes="all")
        self._log("browser")
        self._log("performance")

    def resize(self, width: int, height: int = 900) -> None:
        """Give the page so many pixels."""
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        self.wait("return innerWidth === arguments[0]", width)

    def command(self, name: str, **parameters: Any) -> Any:
        """Send a command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript in the page and return what it returns."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, script: str, *arguments: Any) -> Any:
        """Wait until the script returns something true, and return that."""
        until = WebDriverWait(self.driver, WAIT_SECONDS, poll_frequency=0.03)
        return until.until(lambda _: self.run(script, *arguments), f"{script} {arguments}")

    def text(self, selector: str) -> str:
        """Return the text of the first element that fits, hidden parts of it too."""
        return str(self.run("return document.querySelector(arguments[0]).textContent", selector))

    def texts(self, selector: str) -> list[str]:
        """Return the texts of all elements that fit, in order."""
        return list(self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector))

    def click(self, selector: str) -> None:
        """Click the first element that fits, where a person would: not below the head of the page."""
        self.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, wherever the focus is."""
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def messages(self) -> list[str]:
        """Return what the console has got since it was asked last."""
        return self._log("browser")

    def origins(self) -> set[str]:
        """Return each host and port that the page wanted something of, and 'data:' and its like; then forget them."""
        found = set()
        for text in self._log("performance"):
            message = json.loads(text)["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = urlsplit(message["params"]["request"]["url"])
                found.add(url.netloc or f"{url.scheme}:")
        return found

    def _log(self, name: str) -> list[str]:
        entries = self.driver.get_log(name)  # type: ignore[no-untyped-call]  # selenium has no types for it
        return [str(entry["message"]) for entry in entries]

    def audit(self) -> list[str]:
        """Return what the page lacks for people who cannot see it well, or use no mouse."""
        return list(self.run(AUDIT))

    def heap_bytes(self) -> int:
        """Return how much memory the objects of the page take, after everything that nobody needs is gone."""
        for _ in range(3):
            self.command("HeapProfiler.collectGarbage")
        return int(self.command("Runtime.getHeapUsage")["usedSize"])


@contextmanager
def running_browser(folder: Path) -> Iterator[Browser]:
    """Run a browser that keeps everything of its own in this folder."""
    downloads, temporary = folder / "downloads", folder / "temporary"
    for path in (downloads, temporary):
        path.mkdir()
    options = webdriver.ChromeOptions()
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(option)
    options.add_argument(f"--user-data-dir={folder / 'profile'}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    service = Service(shutil.which("chromedriver"), env=os.environ | {"TMPDIR": str(temporary), "TZ": "UTC"})
    driver = webdriver.Chrome(options, service, keep_alive=False)
    try:
        yield Browser(driver, downloads)
    finally:
        try:
            driver.quit()
        except WebDriverException:  # it is gone already
            service.stop()
