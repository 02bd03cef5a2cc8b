"""The status page of the running demo, in a real browser."""

from __future__ import annotations

import shutil

import pytest
from playwright.sync_api import expect, sync_playwright
from running_demo import Demo, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]


def test_the_page_shows_the_newest_decision(signalled: Demo) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(f"http://127.0.0.1:{signalled.base + 31}/")
        expect(page.get_by_text("DEMO: A SIMULATED MARKET")).to_be_visible(timeout=60_000)

        def newest_is_shown() -> bool:
            newest = signalled.sql("SELECT id FROM decision_logs ORDER BY decided_at DESC, seq DESC LIMIT 1")[0][0]
            return page.locator(f".st-key-decision_{newest}").is_visible()

        until("the newest decision is on the page", newest_is_shown, 60)
        assert page.locator("[data-testid=stException]").count() == 0
        browser.close()
