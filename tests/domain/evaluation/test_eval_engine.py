"""The walk decides what the engine decides: days of a world through both, decision by decision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from sigmapilot_core.domain.consensus.record import Decision
from sigmapilot_core.domain.engine.engine import Engine
from sigmapilot_core.domain.engine.events import (
    AccountUpdated,
    BookUpdated,
    Event,
    FeedStatus,
    FillsReceived,
    PositionsPrimed,
    SnapshotActivated,
    TimerFired,
    TradesReceived,
)
from sigmapilot_core.domain.engine.outputs import DecisionMade, NextTimer
from sigmapilot_core.domain.evaluation.day_model import DayModel, Learner
from sigmapilot_core.domain.evaluation.market_view import REFRESH_MS
from sigmapilot_core.domain.evaluation.record import VenueRecord
from sigmapilot_core.domain.evaluation.replay import BATCH_MS, Judged, Replay
from sigmapilot_core.domain.events import Direction, Trade
from sigmapilot_core.domain.params import DAY_MS, Params
from sigmapilot_core.domain.risk.state import RiskAccount, RiskState
from sigmapilot_core.domain.snapshot import AssetFigures, FastPart, ModelSnapshot, PoolFlavour, PoolMember, SlowPart
from sigmapilot_core.domain.venue import Position

FIRST_DAY, DAYS = 30, 2


class LiveDay:
    """Drives one engine over days of a record as the feed would: models, books, accounts, fills and timers in order."""

    def __init__(self, learner: Learner) -> None:
        self.learner, self.record, self.params = learner, learner.record, learner.params
        self.engine = Engine("evaluation")
        self.decisions: list[Decision] = []
        self._primed: set[int] = set()
        self._seq = self._version = 0
        self._deadline_ms: int | None = None

    def run(self, model: DayModel) -> None:
        """Refreshes come every five minutes, fills in batches of a second."""
        start_ms, end_ms = model.as_of_ms, model.as_of_ms + DAY_MS
        slow = self._slow(model)
        batches = dict(self._batches(model))
        moments = sorted({*batches, *range(start_ms, end_ms, REFRESH_MS)})
        for now_ms in moments:
            self._fire_until(now_ms)
            if now_ms % REFRESH_MS == 0:
                self._pass_time(now_ms)
                self._refresh(slow, model, now_ms)
            for coin, rows in batches.get(now_ms, {}).items():
                self._look(coin, now_ms)
                fills = tuple(self.record.fill_of(row) for row in rows)
                self._apply(FillsReceived(fills, now_ms, self._next()))
        self._fire_until(end_ms)

    def _batches(self, model: DayModel) -> Iterator[tuple[int, dict[int, list[Any]]]]:
        low, high = (self.record.rows_until(model.as_of_ms + days * DAY_MS) for days in (0, 1))
        rows = self.record.fills[low:high]
        found: dict[int, dict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
        for row in rows[np.isin(rows["user"], model.pool)]:
            found[-(-int(row["t"]) // BATCH_MS) * BATCH_MS][int(row["coin"])].append(row)
        yield from found.items()

    def _refresh(self, slow: SlowPart, model: DayModel, now_ms: int) -> None:
        """A model as of this instant; whoever is new in the pool is asked for his positions."""
        self._version += 1
        figures = {name: self._figures(coin, model, now_ms) for coin, name in enumerate(self.record.coins)}
        version = self._version
        model_now = ModelSnapshot(
            version, version, version, "evaluation", PoolFlavour.NORMAL, slow, FastPart(figures), self.params, now_ms
        )
        self._apply(SnapshotActivated(model_now, now_ms, self._next()))
        for user in sorted(set(model.pool) - self._primed):
            self._primed.add(user)
            self._apply(PositionsPrimed(self.record.addresses[user], self._held(user, now_ms), now_ms - 1, now_ms,
                                        self._next()))  # fmt: skip

    def _pass_time(self, now_ms: int) -> None:
        """Strangers trade in every coin all the time: the venue's clock is known."""
        strangers = (
            Trade(name, Decimal(1), Decimal(1), now_ms, self._next(), "0x0", "0x1", "0x2", True)
            for name in self.record.coins
        )
        self._apply(TradesReceived(tuple(strangers), now_ms, self._next()))
        for coin in range(len(self.record.coins)):
            self._look(coin, now_ms)

    def _figures(self, coin: int, model: DayModel, now_ms: int) -> AssetFigures:
        market = self.learner.market
        return AssetFigures(
            self.record.coins[coin], self.record.sz_decimals[coin], market.volatility(coin, now_ms),
            market.regime(coin, now_ms), self.record.funding_at(coin, now_ms),
            self.record.day_volume_usd(coin, model.as_of_ms), costs_as_of_ms=now_ms,
        )  # fmt: skip

    def _held(self, user: int, now_ms: int) -> tuple[Position, ...]:
        rows = self.record.fills[: self.record.rows_until(now_ms)]
        last = {int(row["coin"]): self.record.fill_of(row) for row in rows[rows["user"] == user]}
        after = [(fill, (fill.start_position or 0) + fill.signed_size) for fill in last.values()]
        return tuple(Position(fill.coin, held, fill.px) for fill, held in after if held)

    def _look(self, coin: int, now_ms: int) -> None:
        """Book, feed and account of an instant."""
        book = self.record.book(coin, now_ms)
        assert book is not None
        coins = self.record.coins
        equity = self.params.risk.paper_equity_usd
        risk = RiskState(account=RiskAccount(now_ms, equity, 0.0), day=now_ms // DAY_MS, opening_equity_usd=equity)
        self._apply(FeedStatus("feed", coins, coins, now_ms, now_ms, self._next()))
        self._apply(AccountUpdated(risk, now_ms, self._next()))
        self._apply(BookUpdated(book, self._next()))

    def _slow(self, model: DayModel) -> SlowPart:
        at_ms = model.as_of_ms
        members = tuple(
            PoolMember(self.record.addresses[user], rank, p, max(0.0, p.kappa - 1), model.n_episodes[user])
            for rank, user in enumerate(model.pool, start=1)
            for p in [model.posteriors[user]]
        )
        return SlowPart(
            selection_version=1,
            selected_on=model.selection.selection_date.isoformat(),
            pool=members,
            rho0=model.rho0,
            pairs=tuple(model.pairs[key] for key in sorted(model.pairs) if model.pairs[key].rho is not None),
            hold_hours=dict(zip(self.record.coins, model.hold, strict=True)),
            tracked=tuple(sorted(member.address for member in members)),
            posterior_as_of_ms=at_ms,
            correlation_as_of_ms=at_ms,
            leaderboard_as_of_ms=at_ms,
        )

    def _fire_until(self, now_ms: int) -> None:
        """Timers of before an instant, each with the book of its own moment."""
        while self._deadline_ms is not None and self._deadline_ms < now_ms:
            due, self._deadline_ms = self._deadline_ms, None
            for coin in range(len(self.record.coins)):
                self._look(coin, due)
            self._apply(TimerFired(due, self._next()))

    def _next(self) -> int:
        self._seq += 1
        return self._seq

    def _apply(self, event: Event) -> None:
        for output in self.engine.apply(event):
            match output:
                case NextTimer(deadline_ms=deadline):
                    self._deadline_ms = deadline
                case DecisionMade(decision=decision):
                    self.decisions.append(decision)


def told(decision: Decision) -> tuple[Any, ...]:
    """What a decision of the engine says."""
    ev = decision.ev
    return (
        decision.asset, decision.decided_at_ms, decision.direction, decision.decision_type,
        tuple(gate.passed for gate in decision.gates), decision.trader_count,
        decision.agreeing_count if decision.direction.sign else 0,
        decision.effective_k, decision.mid, decision.trade_stop_fraction, decision.regime.value,
        None if ev is None else (ev.p_raw, ev.p_win, ev.win_r, ev.loss_r, ev.gross_r, ev.cost_r, ev.net_r),
    )  # fmt: skip


def judged(one: Judged, record: VenueRecord) -> tuple[Any, ...]:
    """The same of a decision of the walk."""
    estimate = (one.p_raw, one.p_win, one.win_r, one.loss_r, one.gross_r, one.cost_r, one.net_r)
    return (
        record.coins[one.coin], one.decided_at_ms, one.direction, one.decision_type, one.passed, one.n_voters,
        len(one.agreeing), one.effective_k, one.mid, one.trade_stop, one.regime,
        None if one.p_raw is None else estimate,
    )  # fmt: skip


def enough(rows: Sequence[tuple[Any, ...]], params: Params) -> list[tuple[Any, ...]]:
    """Those with enough voters on one side, ties too, in order: with fewer the engine writes what cannot pass, the
    walk less."""
    least = params.consensus.min_traders
    kept = [row for row in rows if row[6] >= least or (row[2] is Direction.NONE and row[5] >= 2 * least)]
    return sorted(kept, key=lambda row: (row[1], row[0]))


@pytest.fixture(scope="module")
def models(learner: Learner) -> list[DayModel]:
    """Two days' snapshots: the pool changes between them."""
    found = []
    for day in range(FIRST_DAY, FIRST_DAY + DAYS):
        standing = learner.standing(learner.record.start_ms + day * DAY_MS)
        assert standing is not None
        found.append(learner.model(standing))
    return found


@pytest.fixture(scope="module")
def live(learner: Learner, models: list[DayModel]) -> list[Decision]:
    """What the engine decides."""
    day = LiveDay(learner)
    for model in models:
        day.run(model)
    return day.decisions


def walked(learner: Learner, models: list[DayModel], params: Params) -> list[Judged]:
    """What the walk decides."""
    replay = Replay(learner.record, learner.market, params)
    return [one for model in models for one in replay.day(model)]


@pytest.mark.slow
def test_the_walk_decides_what_the_engine_decides(
    learner: Learner, models: list[DayModel], live: list[Decision]
) -> None:
    assert set(models[0].pool) != set(models[1].pool)
    ours = enough([judged(one, learner.record) for one in walked(learner, models, learner.params)], learner.params)
    theirs = enough([told(decision) for decision in live], learner.params)
    assert ours == theirs
    assert {row[3].value for row in ours} == {"signal", "skip", "risk_reject"}
    assert {row[2].sign for row in ours} == {1, 0, -1}


@pytest.mark.slow
def test_a_walk_by_other_rules_is_told_apart(learner: Learner, models: list[DayModel], live: list[Decision]) -> None:
    rules = replace(learner.params, consensus=replace(learner.params.consensus, min_effective_k=2.1))
    ours = enough([judged(one, learner.record) for one in walked(learner, models, rules)], learner.params)
    assert ours != enough([told(decision) for decision in live], learner.params)
