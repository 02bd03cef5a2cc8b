"""The status page in a real browser: it draws, updates itself, keeps what was opened, loads nothing from outside."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import explained_rows
import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

import sigmapilot_ui
from sigmapilot_core.adapters.postgres.databases import drop_database, ensure_database
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.server import EmbeddedServer

pytestmark = pytest.mark.browser

APP = Path(sigmapilot_ui.__file__).parent / "status_page" / "app.py"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield found
        found.close()


@contextmanager
def served(database_url: str, home: Path) -> Iterator[str]:
    """The page over a database, as `sigmapilot up` serves it."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SIGMAPILOT_")} | {
        "SIGMAPILOT_DATABASE_URL": database_url.replace("+psycopg", ""),
        "SIGMAPILOT_HOME": str(home),
    }
    command = [sys.executable, "-m", "streamlit", "run", str(APP), "--server.address", "127.0.0.1"]
    command += ["--server.port", str(port), "--server.headless", "true"]
    with Path(home, "log").open("w") as log:
        process = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log)
    try:
        _await_answer(f"http://127.0.0.1:{port}/_stcore/health", process)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(15)


@pytest.fixture(scope="module")
def address(filled_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page over the filled database."""
    with served(filled_url, tmp_path_factory.mktemp("page")) as found:
        yield found


def _await_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(url, trust_env=False).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the page did not start")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab that fails the test on a request to anywhere else or an error in the console."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    found = context.new_page()
    outside: list[str] = []
    errors: list[str] = []
    found.on(
        "request", lambda r: outside.append(r.url) if urlsplit(r.url).hostname not in ("127.0.0.1", None) else None
    )
    found.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield found
    context.close()
    assert outside == []
    assert errors == []


def test_every_section_draws_and_nothing_comes_from_outside(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.get_by_text("DEMO: A SIMULATED MARKET")).to_be_visible(timeout=30_000)
    for section, heading in (
        ("Traders", "Alpha pool"),
        ("Results", "How decisions ended"),
        ("Science", "Walk-forward"),
        ("Market", "Regimes and stops"),
        ("Health", "Completeness of the feed"),
        ("Signals", "Newest signals"),
    ):
        page.get_by_role("tab", name=section).click()
        expect(page.get_by_role("heading", name=heading)).to_be_visible(timeout=20_000)
    assert page.locator("[data-testid=stException]").count() == 0


def test_an_opened_decision_stays_open_while_the_page_updates_itself(page: Page, address: str) -> None:
    page.goto(address)
    first = page.locator("[data-testid=stExpander]").first
    first.locator("summary").click(timeout=30_000)
    expect(first.get_by_text("supermajority")).to_be_visible()
    clock = page.get_by_text(re.compile(r"\d\d:\d\d:\d\d UTC$"))
    before = clock.inner_text()
    expect(clock).not_to_have_text(before, timeout=15_000)
    page.wait_for_timeout(6_000)  # one more turn of the decision log, which redraws every 5 s
    expect(first.get_by_text("supermajority")).to_be_visible()


def _expect_nothing_wider_than(page: Page, width_px: int) -> None:
    """The page's content fits, as soon as the browser has laid it out anew for the changed screen."""
    page.wait_for_function(
        "width => document.querySelector('[data-testid=stMain]').scrollWidth <= width", arg=width_px, timeout=30_000
    )


def test_on_a_phone_nothing_is_wider_than_the_screen(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(address)
    page.locator("[data-testid=stExpander] summary").first.click(timeout=30_000)
    expect(page.get_by_text("supermajority").first).to_be_visible()
    _expect_nothing_wider_than(page, 390)


def test_the_science_is_drawn_with_its_charts_also_on_a_phone(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("tab", name="Science").click(timeout=60_000)
    for heading in ("Walk-forward", "Calibration", "What each gate was worth", "Truth of simulated worlds"):
        expect(page.get_by_role("heading", name=heading)).to_be_visible(timeout=60_000)
    expect(page.locator("[data-testid=stVegaLiteChart]")).to_have_count(3, timeout=60_000)
    expect(page.get_by_text("older than 26 h").first).to_be_visible()
    assert page.locator("[data-testid=stException]").count() == 0
    page.set_viewport_size({"width": 390, "height": 800})
    expect(page.locator("[data-testid=stVegaLiteChart]").first).to_be_visible()
    _expect_nothing_wider_than(page, 390)


@pytest.fixture(scope="module")
def explained(
    pg_server: EmbeddedServer, pg_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, dict[str, str]]]:
    """The page over a database of decisions that can be laid open, and their ids by kind."""
    url = pg_server.paths.url("ui_browser_explained", driver="psycopg")
    ensure_database(url, template=pg_template)
    engine = create_engine(url)
    ids = explained_rows.fill(engine)
    engine.dispose()
    with served(url, tmp_path_factory.mktemp("explained")) as found:
        yield found, ids
    drop_database(url)


def test_a_decision_is_laid_open_with_its_charts_also_on_a_phone(
    page: Page, explained: tuple[str, dict[str, str]]
) -> None:
    found, ids = explained
    page.goto(f"{found}?decision={ids['supermajority']}")
    page.get_by_role("tab", name="Explain").click(timeout=60_000)
    expect(page.get_by_text("had one opponent not voted")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("heading", name="Where it comes from")).to_be_visible(timeout=60_000)
    expect(page.locator("[data-testid=stVegaLiteChart]")).to_have_count(2, timeout=60_000)
    assert page.locator("[data-testid=stException]").count() == 0
    page.set_viewport_size({"width": 390, "height": 800})
    _expect_nothing_wider_than(page, 390)
