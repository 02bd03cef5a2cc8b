"""The kinds of traders, their shares and habits: every number of how a kind behaves stands here.

A habit is a range; each account draws its own value from it, uniformly, once. Distances are in multiples of two
hourly ATR of a market without news (2.9 hourly sigmas), so about 1 is the risk unit of the statistics.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

Range = tuple[float, float]

RISK_SIGMAS = 2.9
"""Two hourly ATR in hourly sigmas (specification: the stop is 2.9 sigmas)."""

EQUITY_USD = 60_000.0
EQUITY_ALPHA = 1.0
"""Equity of everybody who decides for himself, and of copies: one Pareto law, so that wealth does not mark skill. The
leaderboard recorded on 2 Dec 2025 has a tail index of .9 to 1.1 above 100 000 USD."""
MAX_EQUITY_USD = 2e9


class Kind(IntEnum):
    """What an account is. The first eleven are the population's; SUB trades for a master, BACKGROUND is the rest of
    the exchange."""

    SKILLED = 0
    SPECIALIST = 1
    FADING = 2
    UNSKILLED = 3
    COPY = 4
    CHASER = 5
    FADER = 6
    WHALE = 7
    MAKER = 8
    HFT = 9
    MASTER = 10
    DOOMED = 11
    SUB = 12
    BACKGROUND = 13


SHARES: dict[Kind, float] = {
    Kind.SKILLED: 0.12,
    Kind.SPECIALIST: 0.05,
    Kind.FADING: 0.05,
    Kind.UNSKILLED: 0.45,
    Kind.COPY: 0.12,
    Kind.CHASER: 0.04,
    Kind.FADER: 0.04,
    Kind.WHALE: 0.03,
    Kind.MAKER: 0.03,
    Kind.HFT: 0.03,
    Kind.MASTER: 0.02,
    Kind.DOOMED: 0.02,
}
"""Shares of the population (specification, table of traders)."""


@dataclass(frozen=True, slots=True)
class Habits:
    """Ranges of one kind. Equity is Pareto(`equity_usd`, `equity_alpha`); `size` is notional over equity of one entry.

    `notice` is the probability of acting on an information event while skilled, `notice_herd` on a herd event;
    `crowd` that of acting on either without skill. `accuracy` and `crowd_accuracy` are how often the direction is the
    event's. `own_per_day` are entries without news; `delay_s` the median of a lognormal delay. `hold_h` is the median
    of a lognormal holding time. `rest_min` is how long an account lets news pass after an act; `session_h` how many
    hours of the day it is awake, from an hour of its own on.
    """

    equity_usd: float
    equity_alpha: float
    size: Range
    notice: Range = (0.0, 0.0)
    notice_herd: Range = (0.0, 0.0)
    accuracy: Range = (0.97, 1.0)
    crowd: Range = (0.0, 0.0)
    crowd_accuracy: Range = (0.60, 0.78)
    own_per_day: Range = (0.0, 0.0)
    delay_s: Range = (40.0, 40.0)
    delay_sigma: Range = (0.6, 0.6)
    hold_h: Range = (4.0, 7.0)
    hold_sigma: Range = (0.4, 0.6)
    stop: Range = (0.8, 1.6)
    take_profit: Range = (1.4, 2.6)
    add: Range = (0.1, 0.4)
    flip: Range = (0.3, 0.7)
    part: Range = (0.1, 0.4)
    maker: Range = (0.1, 0.5)
    rest_min: Range = (4.0, 10.0)
    session_h: Range = (10.0, 18.0)
    lookback_h: Range = (0.0, 0.0)
    threshold_sigmas: Range = (0.0, 0.0)
    orders_per_day: Range = (0.0, 0.0)
    leverage: Range = (3.0, 10.0)
    taker_ppm: Range = (450.0, 450.0)
    maker_ppm: Range = (150.0, 150.0)
    majors_only: bool = False


_SKILLED = Habits(
    equity_usd=EQUITY_USD,
    equity_alpha=EQUITY_ALPHA,
    size=(0.18, 0.40),
    notice=(0.3, 0.8),
    notice_herd=(0.01, 0.06),
    crowd=(0.05, 0.10),
    own_per_day=(0.3, 1.0),
    add=(0.3, 0.7),
    flip=(0.6, 0.95),
)
_UNSKILLED = Habits(
    equity_usd=EQUITY_USD,
    equity_alpha=EQUITY_ALPHA,
    size=(1.5, 15.0),
    crowd=(0.03, 0.10),
    own_per_day=(0.6, 2.0),
    delay_s=(50.0, 120.0),
    hold_h=(1.5, 6.0),
    hold_sigma=(0.5, 0.8),
    stop=(0.7, 2.2),
    take_profit=(0.5, 2.0),
    maker=(0.0, 0.3),
    rest_min=(5.0, 20.0),
    leverage=(3.0, 20.0),
)
_RULE = Habits(
    equity_usd=EQUITY_USD,
    equity_alpha=EQUITY_ALPHA,
    size=(0.30, 3.00),
    own_per_day=(2.0, 5.0),
    hold_h=(4.0, 16.0),
    stop=(0.8, 2.0),
    take_profit=(1.0, 4.0),
    lookback_h=(4.0, 24.0),
    threshold_sigmas=(1.0, 2.0),
)

HABITS: dict[Kind, Habits] = {
    Kind.SKILLED: _SKILLED,
    Kind.SPECIALIST: _SKILLED,
    Kind.FADING: _SKILLED,
    Kind.UNSKILLED: _UNSKILLED,
    Kind.COPY: Habits(equity_usd=EQUITY_USD, equity_alpha=EQUITY_ALPHA, size=(0.0, 0.0)),
    Kind.CHASER: _RULE,
    Kind.FADER: _RULE,
    Kind.WHALE: Habits(
        equity_usd=2_000_000,
        equity_alpha=1.2,
        size=(0.3, 0.9),
        own_per_day=(0.10, 0.30),
        session_h=(24.0, 24.0),
        hold_h=(36.0, 100.0),
        hold_sigma=(0.2, 0.3),
        stop=(3.0, 6.0),
        take_profit=(4.0, 9.0),
        part=(0.3, 0.7),
    ),
    Kind.MAKER: Habits(
        equity_usd=3_000_000, equity_alpha=1.5, size=(0.002, 0.006), orders_per_day=(150.0, 350.0), maker_ppm=(0.0, 0.0)
    ),
    Kind.HFT: Habits(
        equity_usd=800_000,
        equity_alpha=1.3,
        size=(0.005, 0.02),
        orders_per_day=(200.0, 450.0),
        maker=(0.3, 0.6),
        taker_ppm=(240.0, 280.0),
        maker_ppm=(0.0, 0.0),
    ),
    Kind.MASTER: Habits(equity_usd=50_000, equity_alpha=1.5, size=(0.0, 0.0)),
    Kind.DOOMED: Habits(
        equity_usd=150_000,
        equity_alpha=1.5,
        size=(1.0, 1.0),
        own_per_day=(1.5, 3.0),
        session_h=(24.0, 24.0),
        hold_h=(5.0, 20.0),
        take_profit=(1.0, 2.0),
        add=(0.0, 0.0),
        flip=(0.0, 0.0),
        part=(0.0, 0.0),
        maker=(0.0, 0.0),
        leverage=(3.0, 3.0),
        majors_only=True,
    ),
    Kind.SUB: _SKILLED,
    Kind.BACKGROUND: Habits(equity_usd=2e10, equity_alpha=1e6, size=(0.0, 0.0)),
}

HOLDER_SHARE = 0.10
"""Share of the unskilled who sell winners early and hold losers: most of their trades win, and they lose money."""
HOLDER_STOP: Range = (5.0, 7.0)
HOLDER_TAKE_PROFIT: Range = (0.25, 0.40)
TWAP_SHARE = 0.05
"""Share of the discretionary traders who enter by time-weighted orders."""
SUBS_OF_MASTER = (2, 4)
GROUP_SIZE = (3, 10)
MAX_LEADER_SIZE = 3.0
"""Nobody copies a gambler: the largest notional over equity of a leader's entry."""
BACKGROUND_ACCOUNTS = 24
DOOM_LEVERAGE = 25.0
