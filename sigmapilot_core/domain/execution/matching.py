"""The matching engine: one venue for paper trading, the emulator and tests.

A limit order book per coin with price-time priority, triggers, accounts under cross margin, funding and liquidation,
with the venue's rules and words (venue reference 5, 6, 9.4). Deterministic: the same calls with the same `now_ms` give
the same events, ids and hashes. Liquidity from outside enters as synthetic book levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sigmapilot_core.domain.events import ZERO, Book, Fill, Level
from sigmapilot_core.domain.execution.accounts import account_state, equity, initial_margin
from sigmapilot_core.domain.execution.book import EXTERNAL_USER
from sigmapilot_core.domain.execution.crossing import cancel, take
from sigmapilot_core.domain.execution.fees import FeeRates
from sigmapilot_core.domain.execution.liquidation import apply_funding, liquidate_below_margin
from sigmapilot_core.domain.execution.orders import Grouping, Order, OrderAnswer, OrderIntent, OrderStatus
from sigmapilot_core.domain.execution.placing import cancel_order, modify_order, place_batch
from sigmapilot_core.domain.execution.settlement import Party, settle
from sigmapilot_core.domain.execution.triggers import fire_triggers
from sigmapilot_core.domain.execution.venue_state import EngineConfig, Events, VenueState
from sigmapilot_core.domain.venue import AccountState, AssetSpec, Position

MIN_SCHEDULE_MS = 5_000


@dataclass(frozen=True, slots=True)
class Placed:
    """Answers to a batch (one per order, or one error for all) and what it caused."""

    answers: tuple[OrderAnswer, ...]
    events: Events


@dataclass(frozen=True, slots=True)
class Cancelled:
    """`error` is None on success, else the venue's text."""

    error: str | None
    events: Events


class MatchingEngine:
    """Public face of the engine. Accounts open at their first use; users are lower-case addresses."""

    def __init__(self, assets: Sequence[AssetSpec], config: EngineConfig | None = None) -> None:
        self._state = VenueState(assets, config or EngineConfig())

    # --- the outside world ---

    def set_external_book(self, coin: str, bids: Sequence[Level], asks: Sequence[Level], now_ms: int) -> Events:
        """Replace the external liquidity of a coin.

        Levels that reach resting orders of accounts trade with them at the resting price; the rest stands in the book
        until the next call. A price that stays keeps its place before orders that came later.
        Errors: ValueError for prices or sizes that are not finite and positive, or a crossed book.
        """
        state = self._state
        state.spec(coin)
        bids = sorted(bids, key=lambda level: -level.px)
        asks = sorted(asks, key=lambda level: level.px)
        _check_levels(coin, bids, asks)
        state.begin(now_ms)
        book = state.books[coin]
        book.clear_external()
        kept = {is_buy: self._sweep(coin, is_buy, levels) for is_buy, levels in ((True, bids), (False, asks))}
        book.add_external(kept[True], kept[False])
        return state.end()

    def set_mark(self, coin: str, mark_px: Decimal, now_ms: int, oracle_px: Decimal | None = None) -> Events:
        """New mark (and oracle) price: fires triggers, then liquidates accounts below their maintenance margin.

        Errors: ValueError for a price that is not finite and above zero.
        """
        state = self._state
        state.spec(coin)
        for name, px in (("mark_px", mark_px), ("oracle_px", oracle_px)):
            if px is not None and (not px.is_finite() or px <= 0):
                raise ValueError(f"{name} of {coin} is {px}; allowed is a finite number above zero.")
        state.begin(now_ms)
        state.marks[coin] = mark_px
        state.oracles[coin] = oracle_px if oracle_px is not None else mark_px
        fire_triggers(state, coin)
        liquidate_below_margin(state, coin)
        return state.end()

    def apply_funding(self, coin: str, rate_hourly: float, now_ms: int) -> Events:
        """One hourly funding of a coin at its oracle price; accounts it exhausts are liquidated."""
        state = self._state
        state.spec(coin)
        state.begin(now_ms)
        apply_funding(state, coin, rate_hourly)
        liquidate_below_margin(state, coin)
        return state.end()

    def advance(self, now_ms: int) -> Events:
        """Fire scheduled cancels that are due."""
        state = self._state
        state.begin(now_ms)
        for user in sorted(u for u, at in state.cancel_times.items() if at <= now_ms):
            del state.cancel_times[user]
            for order in state.orders.live(user):
                if state.orders.get(order.oid).is_live:
                    cancel(state, state.orders.get(order.oid), OrderStatus.SCHEDULED_CANCEL)
        return state.end()

    # --- actions of an account ---

    def place(self, user: str, intents: Sequence[OrderIntent], now_ms: int, grouping: Grouping = Grouping.NA) -> Placed:
        """Place a batch of orders. Errors: ValueError for a coin that is not listed; everything else is an answer."""
        self._state.begin(now_ms)
        answers = place_batch(self._state, user, intents, grouping)
        return Placed(answers, self._state.end())

    def cancel(self, user: str, coin: str, key: int | str, now_ms: int) -> Cancelled:
        """Cancel by order id, or by client id (a text)."""
        self._state.begin(now_ms)
        error = cancel_order(self._state, user, coin, key)
        return Cancelled(error, self._state.end())

    def modify(
        self, user: str, key: int | str, intent: OrderIntent, now_ms: int, *, always_place: bool = False
    ) -> Placed:
        """Replace a live order; the client id stays unless the intent brings its own."""
        self._state.begin(now_ms)
        answer = modify_order(self._state, user, key, intent, always_place=always_place)
        return Placed((answer,), self._state.end())

    def schedule_cancel(self, user: str, at_ms: int | None, now_ms: int) -> None:
        """Cancel all orders of the account at an instant, stops included; None clears it.

        Errors: ValueError for less than 5 s ahead.
        """
        if at_ms is None:
            self._state.cancel_times.pop(user, None)
            return
        if at_ms < now_ms + MIN_SCHEDULE_MS:
            raise ValueError(f"at_ms is {at_ms - now_ms} ms ahead; allowed is {MIN_SCHEDULE_MS} ms or more.")
        self._state.cancel_times[user] = at_ms

    def update_leverage(self, user: str, coin: str, leverage: int) -> None:
        """Set the leverage of a coin.

        Errors: ValueError outside 1 to the coin's maximum, or when the margin at it is not covered.
        """
        state = self._state
        spec, account = state.spec(coin), state.account(user)
        if not 1 <= leverage <= spec.max_leverage:
            raise ValueError(f"leverage of {coin} is {leverage}; allowed is 1 to {spec.max_leverage}.")
        before = account.leverages.get(coin)
        account.leverages[coin] = leverage
        if account.position(coin) and initial_margin(account, state.marks, state.specs) > equity(account, state.marks):
            account.leverages.pop(coin) if before is None else account.leverages.update({coin: before})
            raise ValueError(f"leverage of {coin} is {leverage}; allowed is one whose margin the account covers.")

    def deposit(self, user: str, usdc: Decimal) -> None:
        """Add money to an account (a withdrawal if negative). Errors: ValueError for a number that is not finite."""
        if not usdc.is_finite():
            raise ValueError(f"usdc is {usdc}; allowed is a finite number.")
        self._state.account(user).cash += usdc

    def restore_position(self, user: str, coin: str, size: Decimal, entry_px: Decimal, now_ms: int) -> None:
        """Give a flat account a position it held before, without cash, fee or trade; external liquidity holds the
        other side. Errors: ValueError if the account is not flat in the coin.
        """
        state = self._state
        if state.account(user).position(coin):
            raise ValueError(f"position of {user} in {coin} is open; allowed is a flat account.")
        for owner, is_buy in ((user, size > 0), (EXTERNAL_USER, size < 0)):
            settle(state, Fill(owner, coin, is_buy, entry_px, abs(size), now_ms, 0, crossed=False), is_free=True)

    def set_fee_rates(self, user: str, rates: FeeRates | None) -> None:
        """Own rates of an account; None returns to the volume tiers."""
        self._state.account(user).rates = rates

    # --- questions ---

    def account(self, user: str, now_ms: int) -> AccountState:
        """Positions and margin. Errors: ValueError when a held coin has no mark."""
        return account_state(self._state.account(user), self._state.marks, self._state.specs, now_ms)

    def position(self, user: str, coin: str) -> Position | None:
        """The open position in a coin, None when flat."""
        open_positions = self.account(user, self._state.now_ms).positions
        return next((position for position in open_positions if position.coin == coin), None)

    def equity(self, user: str) -> Decimal:
        """Account value in USD."""
        return equity(self._state.account(user), self._state.marks)

    def book(self, coin: str, now_ms: int, depth: int = 20) -> Book:
        """Both sides with everybody's orders."""
        book = self._state.books[self._state.spec(coin).coin]
        return Book(coin, now_ms, now_ms, book.levels(True, depth), book.levels(False, depth))

    def order(self, user: str, key: int | str) -> Order | None:
        """The account's order by id or client id, None when unknown or forgotten."""
        return self._state.orders.find(user, key)

    def open_orders(self, user: str) -> list[Order]:
        """Live orders, triggers and waiting children included, oldest first."""
        return self._state.orders.live(user)

    def recent_orders(self, user: str) -> list[Order]:
        """Every order of the account that is still known, oldest first."""
        return self._state.orders.recent(user)

    def leverage(self, user: str, coin: str) -> int:
        """Leverage in force for a coin."""
        return self._state.account(user).leverage(self._state.spec(coin))

    def mark(self, coin: str) -> Decimal:
        """Mark price. Errors: ValueError when none was set."""
        return self._state.mark(coin)

    def users(self) -> list[str]:
        """Every account, external liquidity and backstop included."""
        return sorted(self._state.accounts)

    @property
    def fees_collected(self) -> Decimal:
        """Sum of all fees: with the equity of all users it equals all deposits."""
        return self._state.fee_pot

    # --- inside ---

    def _sweep(self, coin: str, is_buy: bool, levels: Sequence[Level]) -> list[Level]:
        """Let external levels take resting orders they reach; what is left of them."""
        party = Party(EXTERNAL_USER, 0)
        left = []
        for level in levels:
            taken = take(self._state, party, coin, is_buy, level.px, level.sz, only_accounts=True)
            left.append(Level(level.px, max(ZERO, level.sz - taken.sz), level.n))
        return left


def _check_levels(coin: str, bids: Sequence[Level], asks: Sequence[Level]) -> None:
    for level in (*bids, *asks):
        if not (level.px.is_finite() and level.sz.is_finite() and level.px > 0 and level.sz > 0):
            raise ValueError(f"level of {coin} is {level.px} x {level.sz}; allowed are finite numbers above zero.")
    for side in (bids, asks):
        if len({level.px for level in side}) != len(side):
            raise ValueError(f"levels of {coin} name a price twice; allowed is one level per price.")
    if bids and asks and bids[0].px >= asks[0].px:
        raise ValueError(f"book of {coin} is crossed: bid {bids[0].px}, ask {asks[0].px}; allowed is bid < ask.")
