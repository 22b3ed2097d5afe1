"""Chromium as people use it: windows with profiles of their own, driven by Selenium.

Selenium waits for pages and speaks to chromedriver; it is given both paths, so its manager fetches nothing.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support import components
from tests.support.waiting import wait_until

SECONDS = 60.0
"""For a page to show something, on a machine with much to do."""
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_DRIVERS = ("/usr/bin/chromium", "/usr/bin/chromedriver")


class Window:
    """A window: what it shows, and what a person does there."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, address: str) -> None:
        """Go to a page."""
        self.driver.get(address)

    def shown(self, selector: str) -> list[str]:
        """The texts of the elements that a person sees."""
        script = """
            return [...document.querySelectorAll(arguments[0])]
                .filter((each) => each.checkVisibility()).map((each) => each.innerText.trim())
        """
        found: list[str] = self.driver.execute_script(script, selector)
        return found

    def wait_for(self, selector: str, *texts: str) -> None:
        """Wait until these are the texts of the elements; without texts, until there is one."""
        try:
            wait_until(
                lambda: self.shown(selector) == list(texts) if texts else self.shown(selector),
                timeout=SECONDS,
            )
        except TimeoutError:
            raise AssertionError(f"{selector}: {self.shown(selector)}, not {texts}") from None

    def write(self, selector: str, text: str) -> None:
        """Write into a field; a line feed is Enter."""
        self._element(selector).send_keys(text.replace("\n", "\ue007"))

    def click(self, selector: str) -> None:
        """Click on an element."""
        self._element(selector).click()

    def resize(self, width: int, scheme: str) -> None:
        """Be a window of this width whose owner prefers the colour scheme ``light`` or ``dark``."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def overflows(self) -> bool:
        """Whether the page is wider than its window."""
        script = "return document.documentElement.scrollWidth > innerWidth"
        return bool(self.driver.execute_script(script))

    def complaints(self) -> list[str]:
        """What the browser has written to its console since the last call: errors, what a policy forbids."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def _element(self, selector: str) -> Any:
        from selenium.webdriver.common.by import By

        self.wait_for(selector)
        return self.driver.find_element(By.CSS_SELECTOR, selector)


@contextmanager
def window() -> Iterator[Window]:
    """Open a window of somebody who was never here before."""
    for path in _DRIVERS:
        if not os.path.exists(path):
            components.missing(path, "apt-get install chromium chromium-driver")
    from selenium import webdriver  # slow to import

    browser, chromedriver = _DRIVERS
    profile = tempfile.mkdtemp(prefix="profile")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # A proxy of the environment is for other hosts than this one.
    service = webdriver.ChromeService(chromedriver, env={**os.environ, "NO_PROXY": "127.0.0.1"})
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield Window(driver)
    finally:
        driver.quit()
        shutil.rmtree(profile, ignore_errors=True)
