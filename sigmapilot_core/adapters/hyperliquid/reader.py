"""The blocking venue reader of the assets, over the client and its request budget."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import httpx

from sigmapilot_core.adapters.hyperliquid import calls, histories
from sigmapilot_core.adapters.hyperliquid.errors import BadMessage, VenueError
from sigmapilot_core.adapters.hyperliquid.limiter import Priority, SyncLimiter
from sigmapilot_core.adapters.hyperliquid.rest import RestParams, SyncInfo
from sigmapilot_core.adapters.hyperliquid.shared_window import SharedWindow, budget_params, budget_path
from sigmapilot_core.domain.events import Bar, Fill
from sigmapilot_core.domain.venue import FundingRate
from sigmapilot_core.ports import SubAccounts, UniverseEntry, VenueUnavailableError


class HttpVenueReader:
    """`ports.VenueReader` over HTTP; every failure becomes `VenueUnavailableError` with one sentence.

    Its requests share the budget of `budget_dir` with every other process of the machine.
    """

    def __init__(self, base_url: str, weight_per_minute: int, now_ms: Callable[[], int], budget_dir: Path) -> None:
        limits = budget_params(weight_per_minute)
        # seeded: the jitter only has to differ between processes that were throttled together
        rng = random.Random(now_ms())
        self._window = SharedWindow(budget_path(budget_dir, base_url), limits, rng)
        limiter = SyncLimiter(limits, time.monotonic, time.sleep, rng, self._window)
        self._params = RestParams(base_url)
        self._info = SyncInfo(self._params, limiter)
        self._now_ms = now_ms

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._info.close()
        self._window.close()

    def universe(self) -> Sequence[UniverseEntry]:
        """Perpetuals with trusted figures; delisted ones are listed too."""
        with _one_error("metaAndAssetCtxs"):
            found = self._info.get(calls.market(self._now_ms()), Priority.OWN_STATE)
        contexts = {context.coin: context for context in found.contexts}
        return [
            UniverseEntry(asset_id, spec, contexts[spec.coin])
            for asset_id, spec in enumerate(found.assets)
            if spec.coin in contexts
        ]

    def candles(self, coin: str, interval_ms: int, start_ms: int, end_ms: int) -> Sequence[Bar]:
        """Candles that opened in [start, end). Decisions rest on them: they do not wait behind histories."""
        with _one_error(f"candles of {coin}"):
            wanted = histories.candles(coin, interval_ms, start_ms, max(start_ms, end_ms - 1))
            return self._info.collect(wanted, Priority.OWN_STATE)

    def funding_rates(self, coin: str, start_ms: int, end_ms: int) -> Sequence[FundingRate]:
        """Hourly rates of [start, end]; they are history and wait like it."""
        with _one_error(f"funding of {coin}"):
            return self._info.collect(histories.funding_history(coin, start_ms, end_ms))

    def fill_history(self, user: str, start_ms: int, end_ms: int, limit: int) -> Sequence[Fill]:
        """Newest `limit` fills in execution order, slices of time-weighted orders included."""
        with _one_error(f"fills of {user}"):
            found = self._info.collect(histories.fill_history(user, start_ms, end_ms, known_since_ms=end_ms))
        return found.fills[-limit:]

    def sub_accounts(self, user: str) -> SubAccounts:
        """Addresses of the sub-accounts."""
        with _one_error(f"subAccounts of {user}"):
            found = self._info.get(calls.sub_accounts(user))
        return SubAccounts(user, tuple(state.account.user for state in found))

    def taker_fee_bps(self, user: str) -> float:
        """The account's own taker rate, with its tier, staking and referral discounts."""
        with _one_error(f"userFees of {user}"):
            return self._info.get(calls.fees(user)).taker * 10_000

    def recorded_users(self) -> Sequence[str]:
        """Accounts of the recording behind an emulator."""
        try:
            answer = httpx.get(f"{self._params.base_url}/emulator/users", timeout=30.0, trust_env=False)
            answer.raise_for_status()
            users: list[str] = answer.json()["users"]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise VenueUnavailableError(f"the recording's accounts: {error}") from error
        return users


@contextmanager
def _one_error(what: str) -> Iterator[None]:
    try:
        yield
    except (VenueError, BadMessage) as error:
        raise VenueUnavailableError(f"{what}: {error}") from error
