"""How the governor's state moves: a step takes the old state and what happened, and returns the new one (spec 6.2)."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.market.checks import finite
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, RiskParams
from sigmapilot_core.domain.risk.state import KillSwitch, OpenPosition, RiskAccount, RiskState

_TOLERANCE = 1e-9


def on_account(
    state: RiskState, account: RiskAccount, now_ms: int, params: RiskParams, *, is_auto: bool = False
) -> RiskState:
    """The account as just seen: opens the UTC day, and trips the kill switch on a daily loss of 5 % or more.

    A figure that is not finite becomes unknown. `is_auto` is how a switch tripped here ends.
    """
    cleaned = replace(
        account,
        equity_usd=_known(account.equity_usd),
        maintenance_margin_usd=_known(account.maintenance_margin_usd),
    )
    state = replace(state, account=cleaned)
    if state.day != now_ms // DAY_MS or state.opening_equity_usd is None:
        state = on_day_start(state, now_ms)
    loss = daily_loss(state)
    if loss is not None and loss >= params.max_daily_loss - _TOLERANCE and state.kill_switch is None:
        reason = f"daily loss {loss:.2%} reached {params.max_daily_loss:.2%}"
        return trip_kill_switch(state, now_ms, reason, is_auto=is_auto)
    return state


def on_day_start(state: RiskState, now_ms: int) -> RiskState:
    """A new UTC day opens with the equity of the account as last seen; unknown equity leaves the opening unknown."""
    equity = state.account.equity_usd if state.account else None
    return replace(state, day=now_ms // DAY_MS, opening_equity_usd=equity)


def daily_loss(state: RiskState) -> float | None:
    """(opening equity - equity)/opening equity of the day, negative for a gain; None where unknown."""
    opening = state.opening_equity_usd
    equity = state.account.equity_usd if state.account else None
    if opening is None or equity is None or opening <= 0:
        return None
    return (opening - equity) / opening


def on_cash_flow(state: RiskState, usd: float) -> RiskState:
    """A deposit (positive) or withdrawal moves the day's opening equity, so that it is neither gain nor loss.

    Errors: ValueError for an amount that is not finite.
    """
    finite("usd", usd)
    if state.opening_equity_usd is None:
        return state
    return replace(state, opening_equity_usd=state.opening_equity_usd + usd)


def on_fill(state: RiskState, fill: Fill) -> RiskState:
    """An own fill moves the position at once, before the next look at the account; its price becomes the mark."""
    if state.account is None:
        return state
    old = {position.coin: position for position in state.account.positions}
    held = old.pop(fill.coin, None)
    size = (held.size if held else Decimal(0)) + fill.signed_size
    if size:
        old[fill.coin] = OpenPosition(fill.coin, size, fill.px)
    positions = tuple(old[coin] for coin in sorted(old))
    return replace(state, account=replace(state.account, positions=positions))


def on_signal(state: RiskState, coin: str, now_ms: int, params: RiskParams) -> RiskState:
    """A signal starts the asset's cooldown; entries that are over are forgotten."""
    horizon = now_ms - params.cooldown_s * 1000
    kept = {name: at for name, at in state.signal_times_ms.items() if at > horizon}
    return replace(state, signal_times_ms=dict(sorted({**kept, coin: now_ms}.items())))


def on_close(state: RiskState, result_r: float, now_ms: int) -> RiskState:
    """A position closed with this net result: a loss lengthens the streak, anything else ends it.

    Errors: ValueError for a result that is not finite.
    """
    if finite("result_r", result_r) < 0:
        return replace(state, loss_streak=state.loss_streak + 1, loss_at_ms=now_ms)
    return replace(state, loss_streak=0, loss_at_ms=None)


def on_api_error(state: RiskState, now_ms: int) -> RiskState:
    """A request to the venue failed."""
    return replace(state, api_errors=state.api_errors + 1, api_error_at_ms=now_ms)


def on_api_ok(state: RiskState) -> RiskState:
    """A request to the venue succeeded: the row of errors is over."""
    return replace(state, api_errors=0, api_error_at_ms=None)


def trip_kill_switch(state: RiskState, now_ms: int, reason: str, *, is_auto: bool = False) -> RiskState:
    """No more entries. A switch that is already on keeps its start, and stays by hand if either was by hand."""
    if state.kill_switch is not None:
        return replace(state, kill_switch=replace(state.kill_switch, is_auto=state.kill_switch.is_auto and is_auto))
    return replace(state, kill_switch=KillSwitch(now_ms, reason, is_auto))


def on_timer(state: RiskState, now_ms: int, params: RiskParams) -> RiskState:
    """Releases an automatic kill switch whose cooldown is over; one that asks for a person stays on."""
    switch = state.kill_switch
    if switch is not None and switch.is_auto and _is_over(switch, now_ms, params):
        return replace(state, kill_switch=None)
    return state


def reset_kill_switch(state: RiskState, now_ms: int, params: RiskParams, *, is_forced: bool = False) -> RiskState:
    """A person releases the switch after its cooldown, or before it with `is_forced`.

    Errors: ValueError when the cooldown is not over.
    """
    switch = state.kill_switch
    if switch is None:
        return state
    if not is_forced and not _is_over(switch, now_ms, params):
        hours = (now_ms - switch.since_ms) / HOUR_MS
        raise ValueError(
            f"kill switch is {hours:.1f} h old; allowed is a reset after {params.kill_switch_cooldown_h} h."
        )
    return replace(state, kill_switch=None)


def _is_over(switch: KillSwitch, now_ms: int, params: RiskParams) -> bool:
    return now_ms - switch.since_ms >= params.kill_switch_cooldown_h * HOUR_MS


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
