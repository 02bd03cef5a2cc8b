"""The checks of an entry, all evaluated every time; a reduction is never held back (spec 4.2, 6.2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sigmapilot_core.domain.events import ZERO, Verdict
from sigmapilot_core.domain.frozen import changed, quick
from sigmapilot_core.domain.market.checks import known
from sigmapilot_core.domain.market.regime import EFFECTS
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, Params, RiskParams
from sigmapilot_core.domain.risk.sizing import Scale, SizedEntry, size_entry
from sigmapilot_core.domain.risk.state import EntryIntent, RiskAccount, RiskCheck, RiskState
from sigmapilot_core.domain.risk.steps import daily_loss

_TOLERANCE = 1e-9


@quick
@dataclass(frozen=True, slots=True)
class EntryAssessment:
    """An entry with its size and every check; `is_allowed` only if all of them passed."""

    intent: EntryIntent
    size: SizedEntry
    checks: tuple[RiskCheck, ...]

    @property
    def is_allowed(self) -> bool:
        """True if every check passed."""
        return all(check.verdict is Verdict.PASS for check in self.checks)


def assess_entry(
    state: RiskState, intent: EntryIntent, params: Params, now_ms: int, scales: Sequence[Scale] = ()
) -> EntryAssessment:
    """Size the entry, then check it with that size."""
    size = size_entry(state, intent, params.risk, params.kelly, scales)
    sized = changed(intent, notional_usd=size.notional_usd)
    return EntryAssessment(sized, size, check_entry(state, sized, params, now_ms))


def check_entry(state: RiskState, intent: EntryIntent, params: Params, now_ms: int) -> tuple[RiskCheck, ...]:
    """Every check of an entry, in the order of spec 4.2 then 6.2; a number that is missing or not finite is unknown."""
    risk = params.risk
    account = state.account
    return (
        _confidence(intent, risk),
        _net_ev(intent),
        _daily_drawdown(state, risk, now_ms),
        _leverage(account, intent, risk),
        _cooldown(state, intent, risk, now_ms),
        check_kill_switch(state, risk, now_ms),
        _concurrency(account, risk),
        _asset_concurrency(account, intent, risk),
        _position(account, intent, risk),
        _exposure(account, intent, risk),
        _min_notional(intent, risk),
        _equity_floor(account, risk),
        _liquidation_distance(account, risk),
        _api_errors(state, risk, now_ms),
        _loss_streak(state, risk, now_ms),
        _account_fresh(account, params.freshness.account_s, now_ms),
    )  # fmt: skip


def check_portfolio(account: RiskAccount, notional_usd: float, risk: RiskParams) -> tuple[RiskCheck, ...]:
    """The limits that entries share, against the account at the moment of the order: entries that were decided at the
    same time in different coins have not seen each other."""
    return (
        _concurrency(account, risk),
        _share_check("leverage", account, notional_usd, risk.max_leverage),
        _share_check("exposure", account, notional_usd, risk.max_exposure_pct),
    )


def _share_check(name: str, account: RiskAccount, notional_usd: float, limit: float) -> RiskCheck:
    share = _share_of_equity(account, _sum(account.exposure_usd, notional_usd))
    detail = f"open and new positions are {_percent(share)} of equity"
    return _check(name, share, limit, _at_most(limit), detail, "equity is not known")


def check_reduction(state: RiskState | None, coin: str) -> RiskCheck:
    """Always passes, whatever the state: nothing may delay or shrink an order that reduces a position (spec 6.2)."""
    return RiskCheck("reduction", Verdict.PASS, None, None, f"orders that reduce {coin} are never held back")


def check_kill_switch(state: RiskState, risk: RiskParams, now_ms: int) -> RiskCheck:
    """Whether the kill switch lets an entry through: off, or released by itself."""
    switch, limit = state.kill_switch, risk.kill_switch_cooldown_h
    if switch is None:
        return RiskCheck("kill_switch", Verdict.PASS, None, limit, "off")
    hours = (now_ms - switch.since_ms) / HOUR_MS
    if hours < limit:
        return RiskCheck("kill_switch", Verdict.FAIL, hours, limit, f"on for {hours:.1f} h: {switch.reason}")
    if switch.is_auto:
        return RiskCheck("kill_switch", Verdict.PASS, hours, limit, f"released after {limit:g} h: {switch.reason}")
    return RiskCheck("kill_switch", Verdict.FAIL, hours, limit, f"waits for a person: {switch.reason}")


def split_order(position: Decimal, order: Decimal) -> tuple[Decimal, Decimal]:
    """(reducing part, opening part) of a signed order on a signed position; only the second is an entry."""
    if position * order >= 0:
        return ZERO, order
    reducing = order if abs(order) <= abs(position) else -position
    return reducing, order - reducing


def _shown(value: float | None, decimals: int = 2) -> str:
    return "unknown" if value is None else f"{value:.{decimals}f}"


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2%}"


def _check(
    name: str, value: float | None, threshold: float, passes: Callable[[float], bool], detail: str, missing: str
) -> RiskCheck:
    """Pass or fail by the value; unknown when it is missing or not finite."""
    if value is None or not known(value):
        return RiskCheck(name, Verdict.UNKNOWN, None, threshold, missing)
    return RiskCheck(name, Verdict.PASS if passes(value) else Verdict.FAIL, value, threshold, detail)


def _at_most(limit: float) -> Callable[[float], bool]:
    return lambda value: value <= limit + _TOLERANCE * max(1.0, abs(limit))


def _at_least(limit: float) -> Callable[[float], bool]:
    return lambda value: value >= limit - _TOLERANCE * max(1.0, abs(limit))


def _confidence(intent: EntryIntent, risk: RiskParams) -> RiskCheck:
    limit = risk.min_confidence + EFFECTS[intent.regime].confidence_addition
    detail = f"p {_shown(intent.p_win)} against {limit:.2f} in a {intent.regime.value} market"
    p = intent.p_win if intent.p_win is not None and 0 <= intent.p_win <= 1 else None
    return _check("confidence", p, limit, _at_least(limit), detail, "probability is not known")


def _net_ev(intent: EntryIntent) -> RiskCheck:
    detail = f"net EV {_shown(intent.net_ev_r)} R"
    return _check("net_ev", intent.net_ev_r, 0.0, _at_least(0.0), detail, "net EV is not known")


def _daily_drawdown(state: RiskState, risk: RiskParams, now_ms: int) -> RiskCheck:
    loss = daily_loss(state) if state.day == now_ms // DAY_MS else None
    limit = risk.max_daily_loss
    detail = f"{(loss or 0.0):.2%} lost since 00:00 UTC, blocked from {limit:.2%} on"
    return _check("daily_drawdown", loss, limit, lambda v: v < limit - _TOLERANCE, detail, "day's equity is not known")


def _leverage(account: RiskAccount | None, intent: EntryIntent, risk: RiskParams) -> RiskCheck:
    ratio = _share_of_equity(account, _sum(_exposure_of(account), intent.notional_usd))
    detail = f"open and new positions are {_shown(ratio)} times equity"
    return _check("leverage", ratio, risk.max_leverage, _at_most(risk.max_leverage), detail, "leverage is not known")


def _cooldown(state: RiskState, intent: EntryIntent, risk: RiskParams, now_ms: int) -> RiskCheck:
    last = state.signal_times_ms.get(intent.coin)
    if last is None:
        return RiskCheck("cooldown", Verdict.PASS, None, risk.cooldown_s, f"no recent signal in {intent.coin}")
    age_s = (now_ms - last) / 1000
    detail = f"last signal in {intent.coin} {age_s:.0f} s ago"
    return _check("cooldown", age_s, risk.cooldown_s, _at_least(risk.cooldown_s), detail, "")


def _concurrency(account: RiskAccount | None, risk: RiskParams) -> RiskCheck:
    count = None if account is None else float(len(account.positions))
    limit = risk.max_positions
    detail = f"{_shown(count, 0)} positions open, {limit:g} are allowed"
    return _check("concurrency", count, limit, lambda v: v < limit, detail, "positions are not known")


def _asset_concurrency(account: RiskAccount | None, intent: EntryIntent, risk: RiskParams) -> RiskCheck:
    count = None if account is None else float(sum(p.coin == intent.coin for p in account.positions))
    limit = risk.max_positions_per_asset
    detail = f"{_shown(count, 0)} positions open in {intent.coin}, {limit:g} are allowed"
    return _check("asset_concurrency", count, limit, lambda v: v < limit, detail, "positions are not known")


def _position(account: RiskAccount | None, intent: EntryIntent, risk: RiskParams) -> RiskCheck:
    limit = min(risk.max_position_pct, risk.hard_max_position_pct)
    share = _share_of_equity(account, intent.notional_usd)
    detail = f"new position is {_percent(share)} of equity"
    return _check("position", share, limit, _at_most(limit), detail, "size or equity is not known")


def _exposure(account: RiskAccount | None, intent: EntryIntent, risk: RiskParams) -> RiskCheck:
    share = _share_of_equity(account, _sum(_exposure_of(account), intent.notional_usd))
    limit = risk.max_exposure_pct
    return _check("exposure", share, limit, _at_most(limit), f"open and new positions are {_percent(share)} of equity",
                  "exposure is not known")  # fmt: skip


def _min_notional(intent: EntryIntent, risk: RiskParams) -> RiskCheck:
    limit = risk.min_notional_usd
    detail = f"size after all caps is {_shown(intent.notional_usd)} USD"
    return _check("min_notional", intent.notional_usd, limit, _at_least(limit), detail, "size is not known")


def _equity_floor(account: RiskAccount | None, risk: RiskParams) -> RiskCheck:
    equity, limit = account.equity_usd if account else None, risk.equity_floor_usd
    if account is not None and account.is_paper and equity is not None and known(equity):
        return RiskCheck("equity_floor", Verdict.PASS, equity, limit, "off for a paper account")
    return _check(
        "equity_floor", equity, limit, _at_least(limit), f"equity is {_shown(equity)} USD", "equity is not known"
    )


def _liquidation_distance(account: RiskAccount | None, risk: RiskParams) -> RiskCheck:
    limit = risk.min_liquidation_ratio
    equity = account.equity_usd if account else None
    margin = account.maintenance_margin_usd if account else None
    name, missing = "liquidation_distance", "equity or maintenance margin is not known"
    if equity is None or margin is None or not known(equity) or not known(margin) or margin < 0:
        return RiskCheck(name, Verdict.UNKNOWN, None, limit, missing)
    if margin == 0:
        return RiskCheck(name, Verdict.PASS, None, limit, "no position needs margin")
    return _check(name, equity / margin, limit, _at_least(limit), f"equity is {equity / margin:.2f} times the "
                  "maintenance margin", missing)  # fmt: skip


def _api_errors(state: RiskState, risk: RiskParams, now_ms: int) -> RiskCheck:
    last = state.api_error_at_ms
    return _pause("api_errors", state.api_errors, risk.api_error_limit, last, risk.api_error_pause_s, now_ms)


def _loss_streak(state: RiskState, risk: RiskParams, now_ms: int) -> RiskCheck:
    last = state.loss_at_ms
    return _pause("loss_streak", state.loss_streak, risk.loss_streak_limit, last, risk.loss_streak_pause_s, now_ms)


def _pause(name: str, count: int, limit: int, last_ms: int | None, pause_s: float, now_ms: int) -> RiskCheck:
    """Blocks for `pause_s` after the last of `limit` or more in a row."""
    if count < limit:
        return RiskCheck(name, Verdict.PASS, float(count), limit, f"{count} in a row")
    if last_ms is None:
        return RiskCheck(name, Verdict.UNKNOWN, float(count), limit, f"{count} in a row at an unknown time")
    age_s = (now_ms - last_ms) / 1000
    verdict = Verdict.PASS if age_s >= pause_s else Verdict.FAIL
    return RiskCheck(name, verdict, float(count), limit, f"{count} in a row, last {age_s:.0f} s ago of {pause_s:.0f} s")


def _account_fresh(account: RiskAccount | None, limit_s: float, now_ms: int) -> RiskCheck:
    age_s = None if account is None else (now_ms - account.as_of_ms) / 1000
    detail = f"account seen {_shown(age_s, 1)} s ago"
    return _check("account_fresh", age_s, limit_s, lambda v: 0 <= v <= limit_s, detail, "account was never seen")


def _exposure_of(account: RiskAccount | None) -> float | None:
    return None if account is None else account.exposure_usd


def _sum(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a + b


def _share_of_equity(account: RiskAccount | None, usd: float | None) -> float | None:
    """usd/equity; None where unknown, for an equity of zero or less, and for a negative amount."""
    equity = account.equity_usd if account else None
    if usd is None or equity is None or not known(equity) or equity <= 0 or not math.isfinite(usd) or usd < 0:
        return None
    return usd / equity
