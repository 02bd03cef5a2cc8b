"""Money and positions of one account under cross margin (venue reference 6).

equity = cash + sum(position x mark - cost). Positions and realised PnL follow the one ledger rule of the project, so
that equity is exact: what one account gains, others and the fees lose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from sigmapilot_core.domain.events import ZERO
from sigmapilot_core.domain.execution.fees import FeeRates
from sigmapilot_core.domain.traders.ledger import LedgerState, flat
from sigmapilot_core.domain.venue import AccountState, AssetSpec, Position

Marks = Mapping[str, Decimal]
Specs = Mapping[str, AssetSpec]


@dataclass(slots=True)
class Account:
    """`cash` = deposits + realised PnL - fees + funding. Ledgers are kept for coins ever held."""

    user: str
    default_leverage: int
    cash: Decimal = ZERO
    rates: FeeRates | None = None
    ledgers: dict[str, LedgerState] = field(default_factory=dict)
    leverages: dict[str, int] = field(default_factory=dict)
    funding_since_open: dict[str, Decimal] = field(default_factory=dict)
    volume_by_day: dict[int, Decimal] = field(default_factory=dict)

    def ledger(self, coin: str) -> LedgerState:
        """Position and cost in a coin, flat if never held."""
        return self.ledgers.get(coin) or flat(self.user, coin)

    def position(self, coin: str) -> Decimal:
        """Signed size held in a coin."""
        return self.ledger(coin).position

    def held(self) -> list[LedgerState]:
        """Ledgers of open positions, by coin."""
        return [ledger for _, ledger in sorted(self.ledgers.items()) if ledger.position]

    def leverage(self, spec: AssetSpec) -> int:
        """Leverage set for a coin, by default the engine's, never more than the coin's maximum."""
        return self.leverages.get(spec.coin, min(self.default_leverage, spec.max_leverage))


def mark_of(marks: Marks, coin: str) -> Decimal:
    """Mark price of a coin. Errors: ValueError when none was set."""
    mark = marks.get(coin)
    if mark is None:
        raise ValueError(f"mark price of {coin} is missing; allowed is any price set before it is used.")
    return mark


def unrealised(ledger: LedgerState, marks: Marks) -> Decimal:
    """position x mark - cost."""
    return ledger.position * mark_of(marks, ledger.coin) - (ledger.cost or ZERO)


def equity(account: Account, marks: Marks) -> Decimal:
    """Account value in USD."""
    return account.cash + sum((unrealised(ledger, marks) for ledger in account.held()), ZERO)


def notional(account: Account, marks: Marks) -> Decimal:
    """Sum of |position| x mark."""
    return sum((abs(ledger.position) * mark_of(marks, ledger.coin) for ledger in account.held()), ZERO)


def initial_margin(account: Account, marks: Marks, specs: Specs) -> Decimal:
    """Sum of |position| x mark / leverage."""
    return sum((_initial(account, ledger, marks, specs) for ledger in account.held()), ZERO)


def maintenance_rate(spec: AssetSpec) -> Decimal:
    """Half of the initial margin at the coin's largest leverage, as a fraction of the notional."""
    return 1 / Decimal(2 * spec.max_leverage)


def maintenance_margin(account: Account, marks: Marks, specs: Specs) -> Decimal:
    """Sum of |position| x mark x maintenance rate."""
    return sum(
        (
            abs(ledger.position) * mark_of(marks, ledger.coin) * maintenance_rate(specs[ledger.coin])
            for ledger in account.held()
        ),
        ZERO,
    )


def has_margin_for(
    account: Account, spec: AssetSpec, signed_sz: Decimal, px: Decimal, marks: Marks, specs: Specs, held_back: Decimal
) -> bool:
    """Whether equity covers initial margin after trading `signed_sz` at `px`, beside what is held back for orders.

    What does not enlarge |position| always has margin: reductions are never refused.
    """
    before = account.position(spec.coin)
    after = before + signed_sz
    if abs(after) <= abs(before) and before * after >= 0:
        return True
    others = initial_margin(account, marks, specs) - _initial(account, account.ledger(spec.coin), marks, specs)
    needed = others + abs(after) * px / account.leverage(spec) + held_back
    return needed <= equity(account, marks)


def increase_of(position: Decimal, signed_sz: Decimal) -> Decimal:
    """Unsigned part of an order that would not merely reduce the position."""
    if position * signed_sz >= 0:
        return abs(signed_sz)
    return max(ZERO, abs(signed_sz) - abs(position))


def account_state(account: Account, marks: Marks, specs: Specs, now_ms: int) -> AccountState:
    """The account as the venue shows it."""
    value, margin = equity(account, marks), initial_margin(account, marks, specs)
    return AccountState(
        user=account.user,
        time_ms=now_ms,
        account_value=value,
        maintenance_margin=maintenance_margin(account, marks, specs),
        withdrawable=max(ZERO, value - max(margin, notional(account, marks) / 10)),
        positions=tuple(_position(account, ledger, marks, specs) for ledger in account.held()),
    )


def liquidation_px(account: Account, ledger: LedgerState, marks: Marks, specs: Specs) -> Decimal | None:
    """price - side x available / |size| / (1 - l x side), l = maintenance rate; None where it is not above zero."""
    side = 1 if ledger.position > 0 else -1
    available = equity(account, marks) - maintenance_margin(account, marks, specs)
    rate = maintenance_rate(specs[ledger.coin])
    px = mark_of(marks, ledger.coin) - side * available / abs(ledger.position) / (1 - rate * side)
    return px if px > 0 else None


def _initial(account: Account, ledger: LedgerState, marks: Marks, specs: Specs) -> Decimal:
    if not ledger.position:
        return ZERO
    return abs(ledger.position) * mark_of(marks, ledger.coin) / account.leverage(specs[ledger.coin])


def _position(account: Account, ledger: LedgerState, marks: Marks, specs: Specs) -> Position:
    spec = specs[ledger.coin]
    return Position(
        coin=ledger.coin,
        size=ledger.position,
        entry_px=ledger.avg_entry or ZERO,
        unrealised_pnl=unrealised(ledger, marks),
        leverage=account.leverage(spec),
        max_leverage=spec.max_leverage,
        liquidation_px=liquidation_px(account, ledger, marks, specs),
        margin_used=_initial(account, ledger, marks, specs),
        funding_since_open=account.funding_since_open.get(ledger.coin, ZERO),
    )
