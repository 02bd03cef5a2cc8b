"""What page and API show of one coin: votes, mid, and how old its inputs are."""

from __future__ import annotations

from typing import Any

from sigmapilot_core.domain.engine.coin import CoinState
from sigmapilot_core.domain.params import FreshnessParams

Row = dict[str, Any]


def asset_row(state: CoinState, now_ms: int, limits: FreshnessParams) -> Row:
    """One coin as of an instant."""
    longs, shorts = state.vote_set.heads()
    book, regime, volatility = state.book, state.figures.regime, state.figures.volatility
    book_age = _age("book", None if book is None else book.received_ms, now_ms, limits.book_s)
    computed_ms = None if volatility is None else volatility.computed_at_ms
    return {
        "mid": None if book is None else book.mid,
        "book_age_s": book_age["age_s"],
        "votes": {"long": longs, "short": shorts},
        "regime": None if regime is None else regime.regime.value,
        "stop_fraction": state.stop_fraction,
        "unknown_reason": state.unknown_reason,
        "inputs": [
            book_age,
            _age("feed", state.feed_last_frame_ms, now_ms, limits.feed_s),
            _age("volatility", computed_ms, now_ms, limits.volatility_computed_s),
        ],
    }


def _age(name: str, at_ms: int | None, now_ms: int, limit_s: float) -> Row:
    age = None if at_ms is None else max(0.0, (now_ms - at_ms) / 1000)
    verdict = "unknown" if age is None else "pass" if age <= limit_s else "fail"
    return {"name": name, "age_s": age, "limit_s": limit_s, "verdict": verdict}
