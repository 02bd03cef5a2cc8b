"""Leaderboard and portfolios, as of any instant, out of the same books as everything else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.params import DAY_MS, HOUR_MS
from sigmapilot_core.domain.simulation.accounts import Books, funding_of
from sigmapilot_core.domain.simulation.ticks import MICRO
from sigmapilot_core.domain.simulation.world import World
from sigmapilot_core.domain.venue import LeaderboardRow, LeaderboardWindow, PortfolioHistory

WINDOWS_MS = {"day": DAY_MS, "week": 7 * DAY_MS, "month": 30 * DAY_MS, "allTime": None}
MIN_LISTED_USD = 100.0
MIN_ROI_BASE_USD = 100.0
CHART_STEP_MS = {"day": HOUR_MS, "week": 6 * HOUR_MS, "month": DAY_MS, "allTime": DAY_MS}
NAMED_SHARE = 20

Floats = NDArray[np.float64]


def leaderboard(world: World, as_of_ms: int) -> list[LeaderboardRow]:
    """Rows of all listed accounts, by month PnL: masters with their subs added up, subs and background not listed.

    PnL = equity - equity at the window's start - net deposits since; ROI = PnL / max(100, start value + the largest
    net deposit reached within the window). An account below 100 USD is not listed any more.
    """
    owner = owners(world)
    now = world.accounts.at(as_of_ms)
    equity = _per_owner(_equity(world, now, as_of_ms), owner)
    values = {name: _window(world, now, equity, owner, as_of_ms, length) for name, length in WINDOWS_MS.items()}
    listed = [i for i in range(world.population.traders) if equity[i] >= MIN_LISTED_USD]
    listed.sort(key=lambda i: (-values["month"][0][i], world.population.addresses[i]))
    return [
        LeaderboardRow(
            address=world.population.addresses[i],
            account_value_usd=float(equity[i]),
            windows={
                name: LeaderboardWindow(float(pnl[i]), float(roi[i]), float(volume[i]))
                for name, (pnl, roi, volume) in values.items()
            },
            display_name=f"account-{i}" if i % NAMED_SHARE == 0 else None,
        )
        for i in listed
    ]


def owners(world: World) -> NDArray[np.int64]:
    """The account under which each account is listed: its master, or itself."""
    master = world.population.traits["master"].astype(np.int64)
    return np.where(master >= 0, master, np.arange(len(master)))


def _equity(world: World, books: Books, time_ms: int) -> Floats:
    return books.equity(world.path.marks_at(time_ms)) / MICRO


def _per_owner(values: Floats, owner: NDArray[np.int64]) -> Floats:
    return np.bincount(owner, weights=values, minlength=len(owner)).astype(np.float64)


def _window(
    world: World, now: Books, equity: Floats, owner: NDArray[np.int64], as_of_ms: int, length_ms: int | None
) -> tuple[Floats, Floats, Floats]:
    """(pnl, roi, volume) per owner over one window; before the start of the world there is nothing."""
    start_ms = world.settings.start_ms
    begin_ms = start_ms if length_ms is None else max(start_ms, as_of_ms - length_ms)
    then = world.accounts.at(begin_ms)
    before = _per_owner(_equity(world, then, begin_ms), owner)
    deposits = _per_owner((now.net_flow - then.net_flow) / MICRO, owner)
    volume = _per_owner((now.volume - then.volume) / MICRO, owner)
    pnl = equity - before - deposits
    base = before + _largest_net_deposit(world, owner, begin_ms, as_of_ms)
    return pnl, pnl / np.maximum(MIN_ROI_BASE_USD, base), volume


def _largest_net_deposit(world: World, owner: NDArray[np.int64], begin_ms: int, end_ms: int) -> Floats:
    """Largest running sum of cash flows inside the window per owner, at least 0."""
    largest = np.zeros(len(owner))
    running = np.zeros(len(owner))
    flows = world.accounts.flows(begin_ms, end_ms)
    for account, amount in zip(owner[flows["user"]].tolist(), (flows["amount"] / MICRO).tolist(), strict=True):
        running[account] += amount
        largest[account] = max(largest[account], running[account])
    return largest


def portfolio(world: World, account: int) -> list[PortfolioHistory]:
    """Charts of one account over the four windows, up to now; a master's own, without its subs."""
    now_ms = world.now_ms
    histories = []
    for period, length in WINDOWS_MS.items():
        begin = world.settings.start_ms if length is None else max(world.settings.start_ms, now_ms - length)
        step = CHART_STEP_MS[period]
        grid = np.arange((begin // step + 1) * step, now_ms, step, dtype=np.int64)
        times = np.unique(np.r_[begin, grid, now_ms])
        equity, volume, flows = account_history(world, account, times)
        pnl = (equity - equity[0] - (flows - flows[0])) / MICRO
        histories.append(
            PortfolioHistory(
                period=period,
                account_value=tuple(zip(times.tolist(), (equity / MICRO).tolist(), strict=True)),
                pnl=tuple(zip(times.tolist(), pnl.tolist(), strict=True)),
                volume_usd=float(volume[-1] - volume[0]) / MICRO,
            )
        )
    return histories


def account_history(
    world: World, account: int, times_ms: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(equity, volume, net flow) of one account at each instant, micro-USD."""
    rows = world.tape.rows()[world.tape.positions_of(account)]
    is_buyer = rows["buyer"] == account
    sign = np.where(is_buyer, 1, -1)
    notional = rows["px"] * rows["sz"]
    fees = world.accounts.fee(np.full(len(rows), account), rows["is_buyer_taker"] == is_buyer, notional)
    upto = np.searchsorted(rows["t"], times_ms, side="right")
    cash = _summed(-sign * notional - fees)[upto]
    position = np.zeros((len(rows) + 1, len(world.settings.coins)), dtype=np.int64)
    position[np.arange(1, len(rows) + 1), rows["coin"]] = sign * rows["sz"]
    position = np.cumsum(position, axis=0)
    flows = world.accounts.flows(world.settings.start_ms - 1, int(times_ms[-1]))
    flows = flows[flows["user"] == account]
    moved = _summed(flows["amount"])[np.searchsorted(flows["t"], times_ms, side="right")]
    paid = _summed(funding_rows(world, account)[1].sum(axis=1))[
        np.searchsorted(world.accounts.funding_times.view(), times_ms, side="right")
    ]
    marks = np.array([world.path.marks_at(t) for t in times_ms.tolist()])
    equity = cash + moved + paid + (position[upto] * marks).sum(axis=1)
    return equity, _summed(notional)[upto], moved


def funding_rows(world: World, account: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(position, payment) of an account at every funding instant, (hours, coins), lots and micro-USD."""
    rows = world.tape.rows()[world.tape.positions_of(account)]
    change = np.zeros((len(rows) + 1, len(world.settings.coins)), dtype=np.int64)
    change[np.arange(1, len(rows) + 1), rows["coin"]] = np.where(rows["buyer"] == account, rows["sz"], -rows["sz"])
    hours = world.accounts.funding_times.view()
    held = np.cumsum(change, axis=0)[np.searchsorted(rows["t"], hours, side="right")]
    return held, funding_of(held, world.accounts.funding_rates.view(), world.accounts.funding_prices.view())


def _summed(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Running sums, beginning with 0."""
    return np.r_[0, np.cumsum(values)]
