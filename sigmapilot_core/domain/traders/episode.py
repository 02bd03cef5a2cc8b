"""The life of one position, open and closed, and its multiples of risk (spec 1.3)."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sigmapilot_core.domain.canonical import uuid_of_text
from sigmapilot_core.domain.events import ZERO, Direction, Source
from sigmapilot_core.domain.frozen import quick
from sigmapilot_core.domain.params import EpisodeParams

_ID_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "sigmapilot.episode")
_DEFAULTS = EpisodeParams()


class ClosedReason(StrEnum):
    """How an episode ended."""

    FULL_CLOSE = "full_close"
    DIRECTION_FLIP = "direction_flip"
    TIMEOUT = "timeout"
    LIQUIDATION = "liquidation"
    RECONCILED = "reconciled"


@quick
@dataclass(frozen=True, slots=True)
class OpenEpisode:
    """A position on its way; what the stream keeps between fills and stores for a restart.

    `size` is the largest |position| so far. Entry and exit sums are over increasing and reducing fills;
    `entry_notional` is None when a part of the position was entered unseen, `realised` None when the entry price of a
    part that was closed is unknown, `funding` None when no payment was seen. `stop_fraction` was in force at the
    opening. `known_since_ms` is the latest moment at which one of its fills became known.
    """

    id: str
    user: str
    coin: str
    direction: Direction
    opened_at_ms: int
    stop_fraction: float | None
    size: Decimal
    entry_size: Decimal
    entry_notional: Decimal | None
    exit_size: Decimal = ZERO
    exit_notional: Decimal = ZERO
    realised: Decimal | None = ZERO
    fees: Decimal = ZERO
    fees_estimated: bool = False
    funding: Decimal | None = None
    entry_fill_count: int = 0
    exit_fill_count: int = 0
    add_count: int = 0
    is_gap: bool = False
    first_seen_mid_life: bool = False
    source: Source = Source.LIVE
    known_since_ms: int | None = None

    @property
    def entry_vwap(self) -> Decimal | None:
        """Mean price of the increasing fills; None when not all of them were seen."""
        return vwap(self.entry_notional, self.entry_size)


@quick
@dataclass(frozen=True, slots=True)
class Episode:
    """A closed episode: the unit of learning. Unknown figures are None.

    `realised` is price PnL in USD, gross; fees are a cost (positive), funding is a credit (positive) or a payment.
    `risk_usd` = entry_vwap x size x stop_fraction. `r_gross` = realised / risk and `result_r` = net PnL / risk, both
    clamped; the unclamped values stand beside them. `is_gap`: fills are missing, or came late.
    """

    id: str
    user: str
    coin: str
    direction: Direction
    opened_at_ms: int
    closed_at_ms: int
    closed_reason: ClosedReason
    entry_vwap: Decimal | None
    exit_vwap: Decimal | None
    size: Decimal
    realised: Decimal | None
    fees: Decimal
    fees_estimated: bool
    funding: Decimal | None
    stop_fraction: float | None
    risk_usd: float | None
    r_gross: float | None
    r_gross_unclamped: float | None
    result_r: float | None
    result_r_unclamped: float | None
    entry_fill_count: int
    exit_fill_count: int
    add_count: int
    is_gap: bool
    first_seen_mid_life: bool
    source: Source
    known_since_ms: int | None

    @property
    def learnable(self) -> bool:
        """Whether posteriors may use it: complete, seen from its opening, with a known R."""
        return not self.is_gap and not self.first_seen_mid_life and self.r_gross is not None

    @property
    def net_pnl(self) -> Decimal | None:
        """realised - fees + funding, the latter where known; None when the realised PnL is unknown."""
        return net_pnl(self.realised, self.fees, self.funding)

    @property
    def hold_ms(self) -> int:
        """Milliseconds from the opening to the close."""
        return self.closed_at_ms - self.opened_at_ms


def episode_id(user: str, coin: str, opened_at_ms: int, opened_by: str) -> str:
    """UUIDv5 of what opened the episode: a fill's tid, or the word for a snapshot; the same in every replay."""
    return uuid_of_text(f"{user}:{coin}:{opened_at_ms}:{opened_by}", _ID_NAMESPACE)


def close(episode: OpenEpisode, closed_at_ms: int, reason: ClosedReason, params: EpisodeParams = _DEFAULTS) -> Episode:
    """The closed episode with both R's; both are unknown when the PnL, the entry or the stop fraction is."""
    entry = episode.entry_vwap
    risk = risk_usd(entry, episode.size, episode.stop_fraction)
    gross, gross_unclamped = r_multiple(episode.realised, risk, params.r_clamp)
    net = net_pnl(episode.realised, episode.fees, episode.funding)
    result, result_unclamped = r_multiple(net, risk, params.r_clamp)
    return Episode(
        id=episode.id,
        user=episode.user,
        coin=episode.coin,
        direction=episode.direction,
        opened_at_ms=episode.opened_at_ms,
        closed_at_ms=closed_at_ms,
        closed_reason=reason,
        entry_vwap=entry,
        exit_vwap=vwap(episode.exit_notional, episode.exit_size),
        size=episode.size,
        realised=episode.realised,
        fees=episode.fees,
        fees_estimated=episode.fees_estimated,
        funding=episode.funding,
        stop_fraction=episode.stop_fraction,
        risk_usd=risk,
        r_gross=gross,
        r_gross_unclamped=gross_unclamped,
        result_r=result,
        result_r_unclamped=result_unclamped,
        entry_fill_count=episode.entry_fill_count,
        exit_fill_count=episode.exit_fill_count,
        add_count=episode.add_count,
        is_gap=episode.is_gap,
        first_seen_mid_life=episode.first_seen_mid_life,
        source=episode.source,
        known_since_ms=episode.known_since_ms,
    )


def risk_usd(entry_vwap: Decimal | None, size: Decimal, stop_fraction: float | None) -> float | None:
    """entry_vwap x size x stop fraction; None when an input is unknown or the product is not a positive number."""
    if entry_vwap is None or stop_fraction is None:
        return None
    risk = float(entry_vwap * size) * stop_fraction
    return risk if math.isfinite(risk) and risk > 0 else None


def r_multiple(pnl: Decimal | float | None, risk: float | None, limit: float) -> tuple[float | None, float | None]:
    """(clamped to [-limit, limit], unclamped) PnL / risk; both None when the PnL is unknown or risk <= 0 or unknown."""
    if pnl is None or risk is None or not risk > 0:
        return None, None
    unclamped = float(pnl) / risk
    if not math.isfinite(unclamped):
        return None, None
    return clamp_r(unclamped, limit), unclamped


def clamp_r(r: float, limit: float = _DEFAULTS.r_clamp) -> float:
    """min(limit, max(-limit, r)). Errors: ValueError for a NaN, which has no place on either side."""
    if math.isnan(r):
        raise ValueError("r must be a number, got nan")
    return min(limit, max(-limit, r))


def net_pnl(realised: Decimal | None, fees: Decimal, funding: Decimal | None) -> Decimal | None:
    """realised - fees + funding; funding counts where it is known."""
    return None if realised is None else realised - fees + (ZERO if funding is None else funding)


def vwap(notional: Decimal | None, size: Decimal) -> Decimal | None:
    """notional / size; None for nothing traded."""
    return None if notional is None or not size else notional / size


def vwap_of(fills: Iterable[tuple[Decimal, Decimal]]) -> Decimal | None:
    """Volume-weighted mean price of (size, price) pairs; None for none."""
    size = notional = ZERO
    for fill_size, px in fills:
        size += fill_size
        notional += fill_size * px
    return vwap(notional, size)
