"""What travels on the topics: flat, versioned by the topic's name, decimals as strings, instants in milliseconds.

The JSON Schema of each stands in `schemas/`, generated from these types and compared by a test.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class InputRecord(msgspec.Struct, frozen=True):
    """One input of the decision step as it was journalled: its place in the order, its kind and its bytes.

    kind: `live` and `history` frames of the venue, `link` and `gap` notes of the feed, `tick` the passing of time with
    the state of the connections, `snapshot` a model snapshot that became active, `primed` positions of one account
    asked from the venue, `lost` an account whose fills may have been missed, `reconciled` a coin that was compared
    with the venue again, `account` the governor's state with our own (paper) account, `held` the coins that
    account holds, `started` the settings and the venue's list of assets of a process that began, `canary` a sign of
    life that passes the whole path.
    """

    seq: int
    kind: str
    received_ms: int
    payload: bytes


class InputBatch(msgspec.Struct, frozen=True):
    """Inputs that travel in one message, in order: per-message cost is what limits the transport."""

    partition: str
    records: tuple[InputRecord, ...]


class SignalRecord(msgspec.Struct, frozen=True):
    """A decision to act."""

    decision_id: str
    symbol: str
    direction: Literal["long", "short"]
    entry_price: float
    stop_price: float
    take_profit_price: float
    notional_usd: float
    n_traders: int
    n_agreeing: int
    effective_k: float
    p_win: float
    ev_net_r: float
    stop_fraction: float
    binding_cap: str | None
    kelly_method: str
    kelly_position_pct: float | None
    kelly_fraction: float | None
    snapshot_version: int
    decided_ms: int


class OutcomeRecord(msgspec.Struct, frozen=True):
    """The end of a followed decision, in paper terms, after costs."""

    ticket_id: str
    symbol: str
    closed_ms: int
    result_r: float
    closed_reason: Literal["stop", "take_profit", "opposite", "timeout"]


class ScoreRecord(msgspec.Struct, frozen=True):
    """Posterior of one pool trader."""

    address: str
    score: float
    kappa: float
    weight: float
    rank: int
    snapshot_version: int
    ts_ms: int


class CandidateRecord(msgspec.Struct, frozen=True):
    """A trader that entered the pool."""

    address: str
    source: Literal["daily", "recording"]
    rank: int
    snapshot_version: int
    ts_ms: int


class IntentRecord(msgspec.Struct, frozen=True):
    """Work for the executor of one trading account.

    kind `enter` carries a signal with the book it was decided on; `opposite` a consensus against an open position;
    `market` the book and mark that open positions are checked against; `time` the passing of time; `canary` a sign of
    life, its number in `symbol`. `seq` is the input that led to it. Over a broker `source` is the partition it comes
    from and `order` its place there, ascending: what is told twice is done once.
    """

    account: str
    kind: Literal["enter", "opposite", "market", "time", "canary"]
    at_ms: int
    symbol: str = ""
    signal: SignalRecord | None = None
    bids: tuple[tuple[str, str], ...] = ()
    asks: tuple[tuple[str, str], ...] = ()
    mark_px: str | None = None
    oracle_px: str | None = None
    funding_rate_hourly: float | None = None
    seq: int = -1
    source: str = ""
    order: int = -1


class ReportRecord(msgspec.Struct, frozen=True):
    """What became of one order."""

    account: str
    client_order_id: str
    decision_id: str
    leg: Literal["entry", "stop", "take_profit", "timeout", "opposite"]
    symbol: str
    side: Literal["buy", "sell"]
    status: str
    filled_size: str
    average_px: str | None
    fee_usd: str | None
    at_ms: int
    error: str | None = None
