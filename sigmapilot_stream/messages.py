"""From values of the domain to records of the topics."""

from __future__ import annotations

from sigmapilot_core.domain.consensus.outcome import Outcome
from sigmapilot_core.domain.consensus.record import Decision, DecisionType
from sigmapilot_core.domain.engine.coin import CoinState
from sigmapilot_core.domain.events import Book, Level
from sigmapilot_core.domain.execution.desk import RATE_MAX_AGE_MS
from sigmapilot_core.domain.snapshot import ModelSnapshot
from sigmapilot_stream.records import CandidateRecord, IntentRecord, OutcomeRecord, ScoreRecord, SignalRecord

Levels = tuple[tuple[str, str], ...]


def signal_record(decision: Decision) -> SignalRecord:
    """A decision that passed its gates. Errors: ValueError for one without a price, a stop or an estimate, and for a
    signal without a size; what was refused has the size 0."""
    ev, mid, stop, target = decision.ev, decision.mid, decision.stop_price, decision.take_profit_price
    fraction, k = decision.trade_stop_fraction, decision.effective_k
    if ev is None or mid is None or stop is None or target is None or fraction is None or k is None:
        raise ValueError(f"decision {decision.id} has no price, stop or estimate")
    if ev.p_win is None or ev.net_r is None:
        raise ValueError(f"decision {decision.id} has an estimate without its numbers")
    notional = decision.size.notional_usd
    if notional is None:
        if decision.decision_type is DecisionType.SIGNAL:
            raise ValueError(f"decision {decision.id} is a signal without a size")
        notional = 0.0
    return SignalRecord(
        decision_id=decision.id,
        symbol=decision.asset,
        direction=decision.direction.value,  # type: ignore[arg-type]
        entry_price=mid,
        stop_price=stop,
        take_profit_price=target,
        notional_usd=notional,
        n_traders=decision.trader_count,
        n_agreeing=decision.agreeing_count,
        effective_k=k,
        p_win=ev.p_win,
        ev_net_r=ev.net_r,
        stop_fraction=fraction,
        binding_cap=decision.size.binding_cap,
        kelly_method=decision.size.method.value,
        kelly_position_pct=decision.size.position_pct,
        kelly_fraction=decision.size.kelly_fraction,
        snapshot_version=decision.snapshot_version,
        decided_ms=decision.decided_at_ms,
    )


def signal_intent(account: str, record: SignalRecord, book: Book | None) -> IntentRecord:
    """Enter, over the book the decision was made on."""
    bids, asks = (_levels(book.bids), _levels(book.asks)) if book is not None else ((), ())
    return IntentRecord(account, "enter", record.decided_ms, record.symbol, record, bids, asks)


def opposite_intent(account: str, record: SignalRecord) -> IntentRecord:
    """A consensus that passed its gates, though no entry is allowed: an open position against it is left."""
    return IntentRecord(account, "opposite", record.decided_ms, record.symbol, record)


def market_intent(account: str, state: CoinState, now_ms: int) -> IntentRecord:
    """Book, mark and funding rate of a coin as they are now; a rate heard long ago is none."""
    book, context = state.book, state.context
    bids, asks = (_levels(book.bids), _levels(book.asks)) if book is not None else ((), ())
    mark = None if context is None else str(context.mark_px)
    oracle = None if context is None else str(context.oracle_px)
    heard_ms = state.context_received_ms
    is_heard = context is not None and heard_ms is not None and now_ms - heard_ms <= RATE_MAX_AGE_MS
    rate = context.funding_rate if context is not None and is_heard else None
    return IntentRecord(account, "market", now_ms, state.coin, None, bids, asks, mark, oracle, rate)


def outcome_record(outcome: Outcome) -> OutcomeRecord:
    """The end of a followed decision."""
    return OutcomeRecord(
        outcome.decision_id, outcome.coin, outcome.closed_at_ms, outcome.result_r, outcome.reason.value
    )


def score_records(snapshot: ModelSnapshot, now_ms: int) -> list[ScoreRecord]:
    """Posterior of each pool trader; the score is the mean of R, limited to [-1, 1]."""
    scale = snapshot.settings.posterior.weight_kappa
    return [
        ScoreRecord(
            member.address,
            max(-1.0, min(1.0, member.posterior.m)),
            member.posterior.kappa,
            member.posterior.kappa / (member.posterior.kappa + scale),
            member.rank,
            snapshot.version,
            now_ms,
        )
        for member in snapshot.slow.pool
    ]


def candidate_records(snapshot: ModelSnapshot, known: frozenset[str], now_ms: int) -> list[CandidateRecord]:
    """Pool traders that were not in the pool before."""
    source = "recording" if snapshot.pool_flavour.value == "recording" else "daily"
    return [
        CandidateRecord(member.address, source, member.rank, snapshot.version, now_ms)  # type: ignore[arg-type]
        for member in snapshot.slow.pool
        if member.address not in known
    ]


def _levels(levels: tuple[Level, ...]) -> Levels:
    return tuple((str(level.px), str(level.sz)) for level in levels)
