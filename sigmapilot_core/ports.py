"""The narrow interfaces between the pure core and the outside; each has a real adapter and an in-memory twin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sigmapilot_core.domain.events import Bar, Book, Fill, Trade
from sigmapilot_core.domain.venue import (
    AccountState,
    AssetContext,
    AssetSpec,
    CashFlow,
    FundingPayment,
    FundingRate,
    LeaderboardRow,
    PortfolioHistory,
    SubAccount,
    TwapSlice,
)


class Clock(Protocol):
    """Where `now` comes from: the machine, or the receive time of a recorded feed."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        ...


@dataclass(frozen=True, slots=True)
class SubAccounts:
    """Answer to `subAccounts`: the addresses, empty when the account has none."""

    master: str
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UniverseEntry:
    """One perpetual with its id on the wire (its place in the venue's list) and its market figures."""

    asset_id: int
    spec: AssetSpec
    context: AssetContext


class VenueReader(Protocol):
    """Read-only questions to the venue over HTTP, as the assets ask them. Blocking; errors are the adapter's types.

    Context manager: leaving it closes the connections.
    """

    def __enter__(self) -> VenueReader: ...
    def __exit__(self, *exc: object) -> None: ...
    def universe(self) -> Sequence[UniverseEntry]:
        """Perpetuals of the first dex whose market figures can be trusted, by asset id."""
        ...

    def candles(self, coin: str, interval_ms: int, start_ms: int, end_ms: int) -> Sequence[Bar]:
        """Closed candles that opened in [start, end), ascending."""
        ...

    def funding_rates(self, coin: str, start_ms: int, end_ms: int) -> Sequence[FundingRate]:
        """Hourly rates paid in [start, end], ascending."""
        ...

    def fill_history(self, user: str, start_ms: int, end_ms: int, limit: int) -> Sequence[Fill]:
        """Newest `limit` fills of [start, end] with slices of time-weighted orders, in execution order."""
        ...

    def sub_accounts(self, user: str) -> SubAccounts: ...

    def taker_fee_bps(self, user: str) -> float:
        """The account's own rate on perpetuals."""
        ...

    def recorded_users(self) -> Sequence[str]:
        """Accounts that occur in the recording behind an emulated venue; empty for any other venue."""
        ...


class LeaderboardUnavailableError(Exception):
    """The leaderboard could not be fetched, is truncated or is not JSON."""


class VenueUnavailableError(Exception):
    """A request to the venue brought no answer that can be used."""


@dataclass(frozen=True, slots=True)
class LeaderboardDownload:
    """One downloaded leaderboard: rows that parsed, and how many did not, with an example reason."""

    rows: Sequence[LeaderboardRow]
    bad_rows: int
    bad_example: str | None
    sha256: str
    source: str


class LeaderboardSource(Protocol):
    """Where the leaderboard comes from; `as_of` is answered by simulated venues only.

    `download` raises `LeaderboardUnavailableError` with one sentence; the last good copy then stays in force.
    """

    @property
    def name(self) -> str:
        """Address or folder, without secrets."""
        ...

    def download(self, as_of_ms: int | None = None) -> LeaderboardDownload: ...


class VenueSource(Protocol):
    """The life behind the emulator: a simulated world or a recording. All queries are as of the last `advance`.

    `advance(to_ms)` moves the source to an instant (never backwards) and returns every trade up to and including
    it, in execution order; time never moves otherwise. Addresses are lower case.
    """

    @property
    def now_ms(self) -> int: ...
    @property
    def assets(self) -> Sequence[AssetSpec]: ...
    def advance(self, to_ms: int) -> Sequence[Trade]: ...
    def context(self, coin: str) -> AssetContext: ...
    def book(self, coin: str, depth: int = 20) -> Book | None: ...
    def candles(self, coin: str, interval_ms: int, start_ms: int, end_ms: int) -> Sequence[Bar]: ...
    def funding_history(self, coin: str, start_ms: int, end_ms: int) -> Sequence[FundingRate]: ...
    def recent_trades(self, coin: str, limit: int = 30) -> Sequence[Trade]: ...
    def users(self) -> Iterable[str]: ...
    def fills(self, user: str, start_ms: int, end_ms: int) -> Sequence[Fill]:
        """Fills of one account in execution order, without slices of time-weighted orders (as the venue does)."""
        ...

    def twap_slices(self, user: str, start_ms: int, end_ms: int) -> Sequence[TwapSlice]: ...
    def account(self, user: str) -> AccountState: ...
    def funding_payments(self, user: str, start_ms: int, end_ms: int) -> Sequence[FundingPayment]: ...
    def cash_flows(self, user: str, start_ms: int, end_ms: int) -> Sequence[CashFlow]: ...
    def portfolio(self, user: str) -> Sequence[PortfolioHistory]: ...
    def sub_accounts(self, user: str) -> Sequence[SubAccount]: ...
    def master_of(self, user: str) -> str | None: ...
    def leaderboard(self, as_of_ms: int | None = None) -> Sequence[LeaderboardRow]: ...
