"""Values of the domain as hypothesis strategies, within what the venue can say."""

from hypothesis import settings
from hypothesis import strategies as st

from sigmapilot_core.domain.events import Bar, Book, Fill, Level, Trade
from sigmapilot_core.domain.venue import (
    AccountState,
    AssetContext,
    AssetSpec,
    FundingRate,
    LeaderboardRow,
    LeaderboardWindow,
    PortfolioHistory,
    Position,
    TwapSlice,
)

quick = settings(max_examples=40, deadline=None)
"""Enough to meet the edges again and again over the runs, and fast."""

coins = st.sampled_from(["BTC", "ETH", "kPEPE", "HYPE", "WLFI"])
addresses = st.integers(0, 16**40 - 1).map(lambda n: f"0x{n:040x}")
instants = st.integers(1, 4_000_000_000_000)
tids = st.integers(0, 2**50)
hashes = st.integers(0, 16**64 - 1).map(lambda n: f"0x{n:064x}")
positives = st.decimals(min_value="0.000001", max_value="10000000", places=6, allow_nan=False)
signed = st.decimals(min_value="-10000000", max_value="10000000", places=6, allow_nan=False)
reals = st.floats(-1e15, 1e15, allow_nan=False)
real_prices = st.floats(1e-6, 1e9, allow_nan=False)

trades = st.builds(
    Trade,
    coin=coins,
    px=positives,
    sz=positives,
    time_ms=instants,
    tid=tids,
    hash=hashes,
    buyer=addresses,
    seller=addresses,
    aggressor_is_buyer=st.booleans(),
)
levels = st.builds(Level, px=positives, sz=positives, n=st.integers(0, 500))


def books(depth: int) -> st.SearchStrategy[Book]:
    sides = st.lists(levels, max_size=depth, unique_by=lambda level: level.px)
    asks = sides.map(lambda found: tuple(sorted(found, key=lambda level: level.px)))
    bids = asks.map(lambda found: found[::-1])
    return st.builds(Book, coin=coins, time_ms=instants, received_ms=st.just(4_000_000_000_000), bids=bids, asks=asks)


fills = st.builds(
    Fill,
    user=st.just("0x" + "ab" * 20),
    coin=coins,
    is_buy=st.booleans(),
    px=positives,
    sz=positives,
    time_ms=instants,
    tid=tids,
    crossed=st.booleans(),
    hash=hashes,
    oid=st.none() | st.integers(0, 2**40),
    start_position=st.none() | signed,
    fee=st.none() | signed,
    closed_pnl=st.none() | signed,
    dir=st.none() | st.sampled_from(["Open Long", "Long > Short", "Auto-Deleveraging"]),
    twap_id=st.none() | st.integers(0, 10**6),
    is_liquidation=st.booleans(),
)


@st.composite
def twap_slices(draw: st.DrawFn) -> TwapSlice:
    fill = draw(fills.filter(lambda f: f.twap_id is not None))
    return TwapSlice(twap_id=fill.twap_id or 0, fill=fill)


@st.composite
def bars(draw: st.DrawFn) -> Bar:
    low, first, close, high = sorted(draw(st.tuples(real_prices, real_prices, real_prices, real_prices)))
    opened = draw(instants)
    length = draw(st.sampled_from([60_000, 3_600_000, 86_400_000, 604_800_000]))
    volume = draw(st.floats(0, 1e12))
    return Bar(draw(coins), opened, opened + length, first, high, low, close, volume)


contexts = st.builds(
    AssetContext,
    coin=coins,
    time_ms=st.just(4_000_000_000_000),
    mark_px=positives,
    oracle_px=positives,
    mid_px=st.none() | positives,
    prev_day_px=positives,
    day_notional_volume=st.floats(0, 1e15),
    open_interest=st.floats(0, 1e15),
    funding_rate=st.floats(-0.04, 0.04),
    premium=st.none() | st.floats(-1, 1),
)
assets = st.builds(
    AssetSpec, coin=coins, sz_decimals=st.integers(0, 6), max_leverage=st.integers(1, 50), is_delisted=st.booleans()
)
positions = st.builds(
    Position,
    coin=coins,
    size=signed.filter(bool),
    entry_px=positives,
    unrealised_pnl=signed,
    leverage=st.integers(1, 50),
    max_leverage=st.integers(1, 50),
    liquidation_px=st.none() | positives,
    margin_used=positives,
    funding_since_open=signed,
)
accounts = st.builds(
    AccountState,
    user=addresses,
    time_ms=instants,
    account_value=signed,
    maintenance_margin=positives,
    withdrawable=positives,
    positions=st.lists(positions, unique_by=lambda p: p.coin, max_size=5).map(tuple),
)
funding_rates = st.builds(FundingRate, coin=coins, time_ms=instants, rate=reals, premium=reals)
usd = st.floats(-1e11, 1e11)
windows = st.builds(
    LeaderboardWindow, pnl_usd=st.none() | usd, roi=st.none() | st.floats(-1, 1e6), volume_usd=st.none() | usd.map(abs)
)
leaderboard_rows = st.builds(
    LeaderboardRow,
    address=addresses,
    account_value_usd=usd,
    windows=st.dictionaries(st.sampled_from(["day", "week", "month", "allTime"]), windows),
    display_name=st.none() | st.text(min_size=1, max_size=20),
    prize=st.floats(0, 1000),
)
_points = st.lists(st.tuples(instants, reals), max_size=5).map(tuple)
portfolios = st.builds(
    PortfolioHistory,
    period=st.sampled_from(["day", "perpAllTime"]),
    account_value=_points,
    pnl=_points,
    volume_usd=st.floats(0, 1e15),
)

texts = st.text(max_size=12) | st.sampled_from(["NaN", "-1", "1e999", "Infinity", "0.0", "B", "A", "BTC", "@1", "٣"])
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
