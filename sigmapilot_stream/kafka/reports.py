"""What a worker says of its partitions, every second: to the feed, which asks the venue for what they lack, and to page
and metrics. A report says how things are, not what happened, so that a lost one does no harm."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.adapters.postgres import partition_store, stream_store
from sigmapilot_core.domain.params import FreshnessParams
from sigmapilot_core.ports import Clock
from sigmapilot_stream.kafka.lag import LagService
from sigmapilot_stream.kafka.seat import Seat
from sigmapilot_stream.kafka.seats import Seats
from sigmapilot_stream.retrying import unless_down
from sigmapilot_stream.services.asset_rows import asset_row
from sigmapilot_stream.together import repeat

EVERY_S = 0.5
MAX_NAMED = 500
"""Accounts without positions that one report names; the feed asks for those first."""

Row = dict[str, Any]


class Reports:
    """Writes the reports of one worker."""

    def __init__(
        self,
        database: sa.Engine,
        seats: Seats,
        lags: LagService,
        owner: str,
        metrics: Metrics,
        clock: Clock,
        limits: FreshnessParams,
    ) -> None:
        self._database = database
        self._seats = seats
        self._lags = lags
        self._owner = owner
        self._metrics = metrics
        self._clock = clock
        self._limits = limits

    def missing(self) -> list[str]:
        """What the worker lacks for decisions. One without partitions is ready: workers may outnumber the shares."""
        reasons = []
        for seat in self._taken():
            if seat.worker.snapshot_version is None:
                reasons.append(f"partition {seat.share.name} has no model snapshot yet")
        return reasons

    async def run(self) -> None:
        """Report until cancelled."""
        await repeat(self._tell, EVERY_S)

    async def _tell(self) -> None:
        seats = self._taken()
        self._measure(seats)
        reports, assets = {seat.share.name: self._report(seat) for seat in seats}, self._assets(seats)
        await unless_down(lambda: self._write(reports, assets), "partitions are not reported")

    def _taken(self) -> list[Seat]:
        return [seat for seat in self._seats.seats.values() if seat.is_taken and not seat.is_left]

    def _write(self, reports: dict[str, Row], assets: dict[str, Row]) -> None:
        with self._database.begin() as connection:
            partition_store.store_reports(connection, reports)
            stream_store.store_asset_status(connection, self._clock.now_ms(), assets)

    def _report(self, seat: Seat) -> Row:
        engine, lag = seat.worker.engine, self._lags.found.get(seat.share.name)
        unprimed = engine.unprimed
        return {
            "owner": self._owner,
            "epoch": seat.epoch,
            "seq": seat.seq,
            "version": seat.worker.snapshot_version,
            "traders": len(engine.traders),
            "waiting": len(unprimed),
            "unprimed": unprimed[:MAX_NAMED],
            "unknown": sorted(coin for coin, state in engine.coins.items() if state.unknown_reason is not None),
            "disagreed": seat.disagreed(),
            "fills": engine.counters.fills,
            "duplicates": engine.counters.duplicate,
            "lag": None if lag is None else lag.messages,
            "lag_s": None if lag is None else lag.seconds,
            "is_rebuilt": seat.is_rebuilt,
            "at_ms": self._clock.now_ms(),
        }

    def _assets(self, seats: list[Seat]) -> dict[str, Row]:
        now = self._clock.now_ms()
        return {
            coin: asset_row(state, now, self._limits)
            for seat in seats
            for coin, state in seat.worker.engine.coins.items()
            if state.is_votable
        }

    def _measure(self, seats: list[Seat]) -> None:
        m = self._metrics
        for seat in seats:
            for coin, state in seat.worker.engine.coins.items():
                longs, shorts = state.vote_set.heads()
                m.sigmapilot_votes.labels(coin, "long").set(longs)
                m.sigmapilot_votes.labels(coin, "short").set(shorts)
        m.sigmapilot_tracked_traders.set(max((len(seat.worker.engine.traders) for seat in seats), default=0))
