"""The page: a header and a strip that stand, and sections of panels; each panel reads and redraws by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import sqlalchemy as sa
import streamlit as st
from sqlalchemy.exc import SQLAlchemyError

from sigmapilot_core.adapters.postgres import queries_health
from sigmapilot_core.adapters.postgres.queries import Row, reading
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.traders.completeness import CompletenessParams
from sigmapilot_ui.status_page import look
from sigmapilot_ui.status_page.panels import (
    ablation,
    calibration,
    correlation,
    decisions,
    explained,
    feed,
    gates,
    header,
    inputs,
    now,
    outcomes,
    pinned,
    pool,
    pool_days,
    positions,
    regimes,
    selection,
    signals,
    switch,
    truth,
    walked,
)

Data = TypeVar("Data")
SECTIONS = ("Signals", "Explain", "Traders", "Results", "Science", "Market", "Health")
FAST_S, SLOW_S = 2, 10


def _waiting() -> None:
    st.caption("Waits for the database.")


@dataclass(frozen=True, slots=True)
class Page:
    """What the page is put together from."""

    engine: sa.Engine
    mode: str
    params: Params = field(default_factory=Params)
    completeness: CompletenessParams = field(default_factory=CompletenessParams)
    dagster_url: str | None = None

    @property
    def load_switch(self) -> Callable[[sa.Connection], switch.Data]:
        """Reads the kill switch, with the cooldown in force."""
        return switch.loader(self.params.risk.kill_switch_cooldown_h)

    def panel(
        self,
        load: Callable[[sa.Connection], Data],
        show: Callable[[Data], None],
        away: Callable[[], object] = _waiting,
    ) -> Callable[[], None]:
        """A panel that reads and draws; while the database is away it draws `away`."""

        def drawn() -> None:
            try:
                with reading(self.engine, timeout_ms=5000) as db:
                    data = load(db)
            except SQLAlchemyError:
                away()
            else:
                show(data)

        return drawn


def _every(seconds: float, *panels: Callable[[], None]) -> None:
    """Draw panels now, and again every so often without the rest of the page."""

    def drawn() -> None:
        for panel in panels:
            panel()

    st.fragment(drawn, run_every=seconds)()


def _decision_log(page: Page) -> Callable[[], None]:
    def drawn() -> None:
        look.heading("Decision log")
        try:
            with reading(page.engine, timeout_ms=5000) as db:
                symbol, kind, limit = decisions.choose(decisions.symbols(db))
                data = decisions.load(db, symbol, kind, limit)
        except SQLAlchemyError:
            _waiting()
        else:
            decisions.show(data)

    return drawn


def _signals(page: Page) -> None:
    _every(5, page.panel(signals.load, signals.show))
    log, funnel = st.columns([3, 2], gap="medium")
    with log:
        _every(5, _decision_log(page))
    with funnel:
        _every(SLOW_S, page.panel(gates.load, gates.show))


def _explain(page: Page) -> None:
    """One decision laid open. It does not change, so nothing is redrawn by itself."""
    try:
        with reading(page.engine, timeout_ms=5000) as db:
            wanted = explained.pick(explained.newest(db))
            data = None if wanted is None else explained.load(db, wanted)
    except SQLAlchemyError:
        _waiting()
    else:
        explained.show(data, page.dagster_url)


def _traders(page: Page) -> None:
    _every(SLOW_S, page.panel(pool.load, pool.show))
    left, right = st.columns(2, gap="medium")
    with left:
        _every(30, page.panel(selection.load, selection.show))
        _every(30, page.panel(pinned.load, pinned.show))
        _every(60, page.panel(pool_days.load, pool_days.show))
    with right:
        threshold = page.params.consensus.min_effective_k
        _every(SLOW_S, page.panel(correlation.load, lambda data: correlation.show(data, threshold)))


def _results(page: Page) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        _every(5, page.panel(positions.load, positions.show))
        _every(5, page.panel(page.load_switch, switch.show))
    with right:
        _every(SLOW_S, page.panel(outcomes.load, outcomes.show))


def _science(page: Page) -> None:
    """Reports of the night: they are read again once a minute, so that one made by hand is seen."""
    left, right = st.columns(2, gap="medium")
    with left:
        _every(60, page.panel(walked.load, walked.show))
        if page.mode == "demo":
            _every(60, page.panel(truth.load, truth.show))
    with right:
        _every(60, page.panel(calibration.load, calibration.show))
        _every(60, page.panel(ablation.load, ablation.show))
    least_share = page.completeness.min_share
    _every(60, page.panel(lambda db: queries_health.completeness(db, least_share), _what_it_rests_on))


def _what_it_rests_on(completeness: Row) -> None:
    look.heading("What all of it rests on", "Sampled fills against the exchange; more in Health")
    look.strip([feed.completeness_tile(completeness)])


def _market(page: Page) -> None:
    _every(SLOW_S, page.panel(regimes.load, regimes.show))


def _health(page: Page) -> None:
    limits = page.params.freshness
    _every(5, page.panel(inputs.load, lambda data: inputs.show(data, limits)))
    least_share = page.completeness.min_share
    _every(SLOW_S, page.panel(lambda db: feed.load(db, least_share), feed.show))


def draw(page: Page) -> None:
    """Draw everything; only the section that is open asks the database."""
    look.style()
    _every(
        FAST_S,
        page.panel(header.load, lambda data: header.show(data, page.mode), lambda: header.away(page.mode)),
        page.panel(page.load_switch, switch.show_banner, lambda: None),
        page.panel(now.load, now.show, lambda: None),
    )
    tabs = st.tabs(list(SECTIONS), on_change="rerun", key="section")
    for tab, section in zip(tabs, (_signals, _explain, _traders, _results, _science, _market, _health), strict=True):
        if tab.open:
            with tab:
                section(page)
