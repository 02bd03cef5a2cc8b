"""An account as the venue shows it: the matching engine's rules over the world's books."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from sigmapilot_core.domain.execution import accounts as rules
from sigmapilot_core.domain.simulation import boards, ticks
from sigmapilot_core.domain.simulation.statement import Holding, Statement
from sigmapilot_core.domain.simulation.world import World
from sigmapilot_core.domain.traders.ledger import LedgerState
from sigmapilot_core.domain.venue import AccountState, AssetSpec


def assets(world: World) -> tuple[AssetSpec, ...]:
    """The universe; the position is the asset id."""
    return tuple(AssetSpec(c.coin, c.sz_decimals, c.max_leverage) for c in world.settings.coins)


def empty_state(user: str, time_ms: int) -> AccountState:
    """The state of an address that never did anything."""
    return AccountState(user, time_ms, Decimal(0), Decimal(0), Decimal(0), ())


def account_state(world: World, account: int, statement: Statement) -> AccountState:
    """Positions, equity and margin at the present marks."""
    statement.update()
    specs = assets(world)
    user = world.population.addresses[account]
    held = {c: holding for c, holding in sorted(statement.holdings.items()) if holding.lots}
    ledgers = {specs[c].coin: _ledger(user, specs[c], holding) for c, holding in held.items()}
    cost = sum((ledger.cost or Decimal(0) for ledger in ledgers.values()), Decimal(0))
    marks = world.path.marks_at(world.now_ms)
    shown = rules.Account(
        user=user,
        default_leverage=1,
        cash=ticks.usd_decimal(int(world.accounts.now.cash[account])) + cost,
        ledgers=ledgers,
        leverages=_leverages(world, account, specs),
        funding_since_open=_funding_since_open(world, account, held, specs) if held else {},
    )
    mark_px = {spec.coin: ticks.px_decimal(int(marks[c]), spec.sz_decimals) for c, spec in enumerate(specs)}
    return rules.account_state(shown, mark_px, {spec.coin: spec for spec in specs}, world.now_ms)


def _ledger(user: str, spec: AssetSpec, holding: Holding) -> LedgerState:
    side = 1 if holding.lots > 0 else -1
    return LedgerState(
        user=user,
        coin=spec.coin,
        position=ticks.sz_decimal(holding.lots, spec.sz_decimals),
        cost=ticks.usd_decimal(side * holding.cost),
        time_ms=holding.opened_ms,
    )


def _leverages(world: World, account: int, specs: tuple[AssetSpec, ...]) -> dict[str, int]:
    """What the account chose, or more where its position already needs it; never more than the coin allows."""
    books = world.accounts.now
    marks = world.path.marks_at(world.now_ms)
    equity = max(1, int(books.cash[account] + books.position[account] @ marks))
    chosen = int(world.population.traits["leverage"][account])
    needed = -(-np.abs(books.position[account]) * marks // equity)
    return {spec.coin: min(spec.max_leverage, max(chosen, int(needed[c]))) for c, spec in enumerate(specs)}


def _funding_since_open(
    world: World, account: int, held: dict[int, Holding], specs: tuple[AssetSpec, ...]
) -> dict[str, Decimal]:
    _, paid = boards.funding_rows(world, account)
    hours = world.accounts.funding_times.view()
    return {
        specs[c].coin: ticks.usd_decimal(int(paid[hours >= holding.opened_ms, c].sum())) for c, holding in held.items()
    }
