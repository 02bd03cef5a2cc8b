"""A governor state and an entry that pass every check, to be spoilt one by one."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from sigmapilot_core.domain.events import Direction, Verdict
from sigmapilot_core.domain.market.regime import Regime
from sigmapilot_core.domain.params import DAY_MS, Params
from sigmapilot_core.domain.risk.governor import check_entry
from sigmapilot_core.domain.risk.state import EntryIntent, OpenPosition, RiskAccount, RiskState

NOW = 20_000 * DAY_MS + 3_600_000
PARAMS = Params()

ACCOUNT = RiskAccount(as_of_ms=NOW, equity_usd=100_000.0, maintenance_margin_usd=0.0, is_paper=False)
STATE = RiskState(account=ACCOUNT, day=20_000, opening_equity_usd=100_000.0)
INTENT = EntryIntent(
    coin="BTC",
    direction=Direction.LONG,
    p_win=0.62,
    net_ev_r=0.3,
    win_r=1.0,
    loss_r=0.8,
    stop_fraction=0.02,
    regime=Regime.TRENDING,
    evidence_episodes=100,
    notional_usd=2_000.0,
)


def position(coin: str, usd: float) -> OpenPosition:
    return OpenPosition(coin, Decimal(1), Decimal(str(usd)))


def state(**changes: Any) -> RiskState:
    return replace(STATE, **changes)


def with_account(**changes: Any) -> RiskState:
    return replace(STATE, account=replace(ACCOUNT, **changes))


def intent(**changes: Any) -> EntryIntent:
    return replace(INTENT, **changes)


def not_passed(
    with_state: RiskState = STATE, entry: EntryIntent = INTENT, now_ms: int = NOW, params: Params = PARAMS
) -> dict[str, Verdict]:
    """Names and verdicts of the checks that did not pass."""
    checks = check_entry(with_state, entry, params, now_ms)
    return {check.name: check.verdict for check in checks if check.verdict is not Verdict.PASS}
