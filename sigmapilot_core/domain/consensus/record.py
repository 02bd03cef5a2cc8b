"""What a decision says: the public record, without the traders behind it (spec 4.3)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.codec import from_json
from sigmapilot_core.domain.consensus.expected_value import ExpectedValue
from sigmapilot_core.domain.consensus.gates import GateResult
from sigmapilot_core.domain.events import Direction
from sigmapilot_core.domain.frozen import Remembering, quick
from sigmapilot_core.domain.market.costs import CostBreakdown
from sigmapilot_core.domain.market.regime import Regime
from sigmapilot_core.domain.risk.sizing import SizedEntry


class DecisionType(StrEnum):
    """`SKIP`: a gate did not pass; `RISK_REJECT`: all gates passed and a risk check did not."""

    SIGNAL = "signal"
    SKIP = "skip"
    RISK_REJECT = "risk_reject"


@quick
@dataclass(frozen=True, slots=True)
class PublicVote(Remembering):
    """One vote without its voter; `weight` is the vote's weight in effective K, None where unknown."""

    direction: Direction
    voted_at_ms: int
    price: Decimal | None
    notional_usd: Decimal | None
    weight: float | None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Everything that was computed for one evaluation; None is unknown. Holds no addresses.

    `agreement_pct` is a share of 1. `stop_fraction` is of the volatility estimate, `trade_stop_fraction` includes the
    regime's factor. `price_drift_bps` is signed: mid above (+) or below (-) the agreeing votes' median price.
    """

    asset: str
    direction: Direction
    decision_type: DecisionType
    decided_at_ms: int
    mode: str
    snapshot_version: int
    snapshot_hash: str
    settings_hash: str
    trigger_event_id: str
    trader_count: int
    agreeing_count: int
    agreement_pct: float | None
    effective_k: float | None
    measured_share: float | None
    votes: tuple[PublicVote, ...]
    mid: float | None
    median_vote_price: float | None
    price_drift_bps: float | None
    regime: Regime
    volatility_source: str | None
    stop_fraction: float | None
    trade_stop_fraction: float | None
    stop_price: float | None
    take_profit_price: float | None
    ev: ExpectedValue | None
    cost: CostBreakdown | None
    size: SizedEntry
    gates: tuple[GateResult, ...]
    risk_checks: tuple[GateResult, ...]

    @property
    def passed_gates(self) -> bool:
        """True for a signal and for a risk reject."""
        return self.decision_type is not DecisionType.SKIP

    def gate(self, name: str) -> GateResult:
        """One gate by name. Errors: KeyError for a name that is no gate."""
        return {result.name: result for result in self.gates}[name]


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Assessment):
    """An assessment that is written: with the id made of its inputs and the reasoning in words."""

    id: str
    reasoning: str = field(repr=False)

    def to_json(self) -> str:
        """Canonical JSON of the public record: every column known at decision time."""
        return canonical_json(self)


def columns_of(record: str) -> dict[str, Any]:
    """The flat columns of the decision log from a record's text: what stands beside it in a row must equal these.

    Numbers are int or float, gates and risk checks lists of {name, passed, value, threshold, detail}; unknown is None.
    Errors: ValueError naming the field of a record that does not parse.
    """
    held = from_json(Decision, record, "record")
    return {
        "id": held.id,
        "symbol": held.asset,
        "direction": held.direction.value,
        "decision_type": held.decision_type.value,
        "decided_at_ms": held.decided_at_ms,
        "trader_count": held.trader_count,
        "agreeing_count": held.agreeing_count,
        "agreement_pct": held.agreement_pct,
        "effective_k": held.effective_k,
        "avg_confidence": None if held.ev is None else held.ev.p_win,
        "ev_estimate": None if held.ev is None else held.ev.net_r,
        "price_at_decision": held.mid,
        "gates": [asdict(result) for result in held.gates],
        "risk_checks": [asdict(result) for result in held.risk_checks],
        "reasoning": held.reasoning,
        "snapshot_version": held.snapshot_version,
        "settings_hash": held.settings_hash,
        "mode": held.mode,
    }
