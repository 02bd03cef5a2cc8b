"""An account's positions and margin at the present marks."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.simulation import boards, ticks
from sigmapilot_core.domain.simulation.settings import CoinSettings
from sigmapilot_core.domain.simulation.statement import Holding, Statement
from sigmapilot_core.domain.simulation.world import World
from sigmapilot_core.domain.venue import AccountState, Position


def empty_state(user: str, time_ms: int) -> AccountState:
    """The state of an address that never did anything."""
    return AccountState(user, time_ms, Decimal(0), Decimal(0), Decimal(0), ())


def account_state(world: World, account: int, statement: Statement) -> AccountState:
    """Cross margin: maintenance is half of the initial margin at the coin's highest leverage; withdrawable is what the
    larger of initial margin and a tenth of the notional leaves."""
    statement.update()
    marks = world.path.marks_at(world.now_ms)
    lots = world.accounts.now.position[account]
    notional = np.abs(lots) * marks
    equity = int(world.accounts.now.cash[account] + lots @ marks)
    limits = np.array([coin.max_leverage for coin in world.settings.coins])
    maintenance = notional // (2 * limits)
    chosen = int(world.population.traits["leverage"][account])
    leverage = np.minimum(limits, np.maximum(chosen, -(-notional // max(equity, 1))))
    margin = notional // leverage
    held = np.flatnonzero(lots).tolist()
    funding = _funding_since_open(world, account, statement) if held else {}
    positions = tuple(
        _position(
            world.settings.coins[c],
            statement.holdings[c],
            int(marks[c]),
            equity - int(maintenance.sum()),
            int(leverage[c]),
            int(margin[c]),
            funding[c],
        )
        for c in held
    )
    return AccountState(
        user=world.population.addresses[account],
        time_ms=world.now_ms,
        account_value=ticks.usd_decimal(equity),
        maintenance_margin=ticks.usd_decimal(int(maintenance.sum())),
        withdrawable=ticks.usd_decimal(max(0, equity - max(int(margin.sum()), int(notional.sum()) // 10))),
        positions=positions,
    )


def _position(
    coin: CoinSettings, holding: Holding, mark: int, free: int, leverage: int, margin: int, funding: int
) -> Position:
    side = 1 if holding.lots > 0 else -1
    liquidation = liquidation_px(mark, holding.lots, free, coin.max_leverage)
    level = int(ticks.nearest(liquidation, coin.sz_decimals)) if liquidation > 0 else 0
    return Position(
        coin=coin.coin,
        size=ticks.sz_decimal(holding.lots, coin.sz_decimals),
        entry_px=holding.entry_px(coin.sz_decimals),
        unrealised_pnl=ticks.usd_decimal(holding.lots * mark - side * holding.cost),
        leverage=leverage,
        max_leverage=coin.max_leverage,
        liquidation_px=ticks.px_decimal(level, coin.sz_decimals) if level else None,
        margin_used=ticks.usd_decimal(margin),
        funding_since_open=ticks.usd_decimal(funding),
    )


def liquidation_px(mark: float, lots: int, margin_available: int, max_leverage: int) -> float:
    """price - side x margin available / |size| / (1 - l x side), l = 1/(2 x highest leverage), all else unchanged."""
    side = 1 if lots > 0 else -1
    return mark - side * (margin_available / abs(lots)) / (1 - side * 0.5 / max_leverage)


def _funding_since_open(world: World, account: int, statement: Statement) -> dict[int, int]:
    """Funding of each coin since its position was opened."""
    _, paid = boards.funding_rows(world, account)
    hours: NDArray[np.int64] = world.accounts.funding_times.view()
    return {c: int(paid[hours >= holding.opened_ms, c].sum()) for c, holding in statement.holdings.items()}
