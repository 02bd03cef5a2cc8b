"""A small but complete world of rows around one instant: signals, skips, risk rejections, zeros, and unknowns."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from science_rows import fill_science

from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.partitions import ensure_months, month_of, next_month
from sigmapilot_core.adapters.postgres.schema import completeness, model, stream

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)  # the feed's now: heartbeat and frames stand there
TODAY = NOW.date()
MODE = "demo"
POOL_SIZE = 12
TRADERS = 60
SIGNALS, RISK_REJECTS, SKIPS = 8, 4, 36
# R of the ended ones among signals and risk rejections: two wins, two losses, one exactly 0, the rest still open
RESULTS: dict[int, float] = {0: 1.85, 1: -1.06, 2: 0.0, 3: 0.62, 8: -0.4}
GATES = ("inputs_fresh", "min_traders", "supermajority", "effective_k", "freshness", "price_band", "ev_gate")
MIDS = {"BTC": 84_250.5, "ETH": 1_935.25, "SOL": 131.42}


def address(i: int) -> str:
    """The i-th trader's address."""
    return f"0x{i + 1:040x}"


def decision_id(i: int) -> str:
    """The i-th decision's id."""
    return str(uuid.UUID(int=0xD000 + i))


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def fill(url: str, now: datetime = NOW) -> None:
    """Write the whole world; `now` moves it."""
    engine = create_engine(url)
    months = [month_of(now - timedelta(days=20)), month_of(now), next_month(now)]
    with engine.begin() as connection:
        ensure_months(connection, months)
        for table, found in _everything(now):
            batch = [_complete(table, row) for row in found]
            for columns in sorted({tuple(sorted(row)) for row in batch}):
                connection.execute(table.insert(), [row for row in batch if tuple(sorted(row)) == columns])
        fill_science(connection, now)
    engine.dispose()


def _complete(table: sa.Table, row: dict[str, Any]) -> dict[str, Any]:
    """The row with something plain in every required column that nothing here looks at."""
    plain = {str: "", int: 0, float: 0.0, bool: False, dict: {}, bytes: b"", Decimal: Decimal(0)}
    required = (c for c in table.columns if not c.nullable and c.server_default is None and c.name not in row)
    return {c.name: plain[c.type.python_type] for c in required if c.identity is None} | row


def _everything(now: datetime) -> Iterator[tuple[sa.Table, Iterator[dict[str, Any]]]]:
    yield stream.meta, iter([{"key": "mode", "value": MODE}])
    yield model.addresses, _addresses(now.date())
    yield model.leaderboard_downloads, _downloads(now)
    yield model.leaderboard_snapshots, _leaderboard(now)
    yield model.trader_filters, _filters(now.date())
    yield model.pool_selections, _selections(now)
    yield model.alpha_pool_addresses, _pool(now.date())
    yield model.trader_performance, _performance(now)
    yield model.trader_snapshots, _trader_days(now.date())
    yield model.trader_corr, _correlations(now)
    yield model.marks_1m, _marks(now)
    yield model.candles_1h, _candles(now)
    yield model.asset_volatility, _volatility(now)
    yield model.asset_costs, _costs(now)
    yield model.model_parts, _parts()
    yield model.model_snapshots, _snapshots(now)
    yield stream.tracked_traders, _tracked(now)
    yield stream.fills, _fills(now)
    yield model.position_signals, _episodes(now)
    yield stream.decision_logs, _decisions(now)
    yield stream.consensus_signals, _signals(now)
    yield stream.ticket_outcomes, _outcomes(now)
    yield from _execution(now)
    yield stream.feed_gaps, _gaps(now)
    yield completeness.completeness_samples, _completeness_samples(now)
    yield completeness.completeness_cells, _completeness_cells(now)
    yield completeness.completeness_misses, _completeness_misses(now)
    yield stream.dead_records, _dead()
    yield stream.stream_progress, iter([{"partition": "0", "seq": 91_204}])
    yield stream.stream_status, _stream_status(now)
    yield stream.asset_status, _asset_status(now)


def _addresses(today: date) -> Iterator[dict[str, Any]]:
    names = {0: "Quiet River", 1: "Northbound", 2: "<b>Bold & Co</b>"}
    for i in range(TRADERS):
        seen = today - timedelta(days=40 - i % 30)
        yield {"address": address(i), "nickname": names.get(i), "first_seen_date": seen, "last_seen_date": today}


def _downloads(now: datetime) -> Iterator[dict[str, Any]]:
    common = {"source": "emulator", "row_count": TRADERS, "bad_row_count": 0}
    yield common | {"fetched_at": now - timedelta(days=1), "status": "ok", "sha256": "a" * 64}
    yield common | {"fetched_at": now - timedelta(hours=11), "status": "ok", "sha256": "b" * 64}


def _leaderboard(now: datetime) -> Iterator[dict[str, Any]]:
    for back in range(8):
        day = now.date() - timedelta(days=back)
        for i in range(TRADERS):
            drift = (30 - i) * 900.0 * (1 - back * 0.06) + 4000 * math.sin(i + back)
            yield {
                "as_of_date": day,
                "address": address(i),
                "account_value": 600_000.0 / (1 + i * 0.2),
                **{f"{span}_pnl": drift / scale for span, scale in (("day", 30), ("week", 4), ("month", 1))},
                **{f"{span}_roi": drift / 200_000 / scale for span, scale in (("day", 30), ("week", 4), ("month", 1))},
                **{f"{span}_vlm": 90_000.0 * (i % 9) * scale for span, scale in (("day", 1), ("week", 7))},
                "month_vlm": None if i == 5 else 2_000_000.0,
                "all_time_pnl": 250_000 + drift,
                "all_time_roi": 1.1,
                "all_time_vlm": 9e7,
                "display_name": None,
                "roi_approximate": i % 2 == 0,
                "fetched_at": now - timedelta(days=back),
            }


def _filters(today: date) -> Iterator[dict[str, Any]]:
    names = ("month_pnl", "month_roi", "account_value", "week_volume", "not_hft", "no_sub_accounts", "btc_eth_history")
    for i in range(TRADERS):
        verdicts = {name: "fail" if i > 24 + 5 * k and i % (k + 2) == 0 else "pass" for k, name in enumerate(names)}
        if i > 40:
            verdicts |= {"month_pnl": "fail", "not_hft": "unknown", "no_sub_accounts": "unknown"}
        eligible = "fail" if "fail" in verdicts.values() else "unknown" if "unknown" in verdicts.values() else "pass"
        yield {"as_of_date": today, "address": address(i), **verdicts, "eligible": eligible, "values": {"n": i}}


def _selections(now: datetime) -> Iterator[dict[str, Any]]:
    drawn = {"philox_key": "c" * 64, "flavour": "normal", "eligible_count": 31, "reason": "daily", "learning_count": 7}
    yesterday = {"as_of_date": now.date() - timedelta(days=1), "drawn_at": now - timedelta(days=1, hours=11)}
    yield drawn | yesterday | {"selection_version": 1}
    yield drawn | {"as_of_date": now.date(), "drawn_at": now - timedelta(hours=11), "selection_version": 1}
    yield drawn | {
        "as_of_date": now.date(),
        "drawn_at": now - timedelta(hours=2),
        "selection_version": 2,
        "reason": "on demand",
    }


def _pool(today: date) -> Iterator[dict[str, Any]]:
    for version, size in ((1, 3), (2, POOL_SIZE)):
        for i in range(size):
            explore = i >= 10
            yield {
                "as_of_date": today,
                "selection_version": version,
                "address": address(i),
                "selection_rank": i + 1,
                "thompson_draw": 0.42 - 0.05 * i,
                "slot": "explore" if explore else "exploit",
                "slot_reason": "fewer than 20 effective episodes" if explore else None,
                "account_value": 600_000.0 / (1 + i * 0.2),
                "pnl_30d": None if i == 7 else (30 - i * 5) * 1100.0,
                "roi_30d": 0.31 - i * 0.04,
            }


def _performance(now: datetime) -> Iterator[dict[str, Any]]:
    for i in range(20):
        if i == 11:  # chosen to be explored before anything is known of it
            continue
        n = 64.0 / (1 + i * 0.35)
        yield {
            "address": address(i),
            "as_of": now - timedelta(minutes=20),
            "nig_m": 0.31 - 0.045 * i,
            "nig_kappa": 1 + n,
            "nig_alpha": 3 + n / 2,
            "nig_beta": 1 + 0.33 * n,
            "n_eff": n,
            "episode_count": round(n * 1.4),
            "win_count": round(n * 0.75),
            "avg_r": 0.0 if i == 6 else 0.29 - 0.045 * i,
            "r_variance": 0.61,
            "mean_unclamped_gross_r": 0.27 - 0.045 * i,
            "total_pnl_r": round(n * (0.29 - 0.045 * i), 3),
            "share_below_clamp": 0.02 * (i % 4),
            "last_closed_at": now - timedelta(hours=3 * i + 1),
        }


def _trader_days(today: date) -> Iterator[dict[str, Any]]:
    for back in (1, 0):
        for i in range(TRADERS):
            event, death = "active", None
            if back == 0:
                event, death = {50: ("death", "drawdown_80"), 51: ("censored", None), 52: ("death", "liquidation")}.get(
                    i, ("promoted" if i == 3 else "active", None)
                )
            yield {
                "snapshot_date": today - timedelta(days=back),
                "address": address(i),
                "selection_version": 2 if back == 0 else 1,
                "event_type": event,
                "death_type": death,
                "account_value": 0.0 if death == "liquidation" else 600_000.0 / (1 + i * 0.2),
                "peak_account_value": 700_000.0,
                "pnl_30d": None if i == 7 else (30 - i) * 900.0,
                "episode_count": 60 - i,
                "is_eligible": i < 31,
                "is_selected": i < POOL_SIZE,
                "skill_p_value": 0.01 * (i + 1) if i < 20 else None,
                "fdr_qualified": i < 4 if i < 20 else None,
            }


def _correlations(now: datetime) -> Iterator[dict[str, Any]]:
    for a in range(POOL_SIZE):
        for b in range(a + 1, POOL_SIZE):
            rho = None if (a + b) % 4 == 0 else 0.92 if (a, b) == (0, 1) else 0.02 * ((a * 7 + b * 3) % 14)
            yield {
                "as_of_date": now.date(),
                "addr_a": address(a),
                "addr_b": address(b),
                "rho": rho,
                "n_buckets": 4 if rho is None else 40 + a + b,
                "n_common": 2 if rho is None else 12,
                "phi_common": None if rho is None else min(1.0, rho + 0.4),
                "computed_at": now - timedelta(hours=2),
            }


def _bar(asset: str, at: datetime, i: int) -> dict[str, Any]:
    close = MIDS[asset] * (1 + 0.012 * math.sin(i / 9) - 0.0004 * i)
    return {"open": close, "high": close * 1.004, "low": close * 0.996, "close": close, "volume": 12.5}


def _marks(now: datetime) -> Iterator[dict[str, Any]]:
    for asset in ("BTC", "ETH"):
        for i in range(20):
            bar = _bar(asset, now, i)
            atr = None if i > 5 else bar["close"] * 0.0006
            yield {"asset": asset, "ts": now - timedelta(minutes=i + 1), "mid": bar["close"], **bar, "atr14": atr}


def _candles(now: datetime) -> Iterator[dict[str, Any]]:
    for asset in ("BTC", "ETH"):
        for i in range(60):
            yield {"asset": asset, "open_ts": now - timedelta(hours=i + 1), **_bar(asset, now, i)}


def _volatility(now: datetime) -> Iterator[dict[str, Any]]:
    newest = (
        ("BTC", 0.0118, "atr", "trending", 0.64, {"ma_spread": 0.031, "volatility_ratio": 0.83, "bars_used": 60}),
        (
            "ETH",
            0.0171,
            "realised_vol",
            "ranging",
            0.0,
            {"ma_spread": -0.004, "volatility_ratio": 1.5, "bars_used": 60},
        ),
        ("SOL", 0.01, "fallback", "unknown", None, {"reason": "31 unbroken bars, 50 are needed"}),
    )
    for asset, stop, source, regime, confidence, detail in newest:
        for back in (0, 5, 10):
            yield {
                "asset": asset,
                "computed_at": now - timedelta(minutes=2 + back),
                "bar_close_at": now,
                "atr": None if source == "fallback" else stop * MIDS[asset] / 2,
                "price": MIDS[asset],
                "atr_fraction": stop / 2,
                "stop_fraction": stop,
                "atr_percentile": None if source == "fallback" else 0.41,
                "source": source if back == 0 else "atr",
                "regime": regime,
                "regime_confidence": confidence,
                "regime_detail": detail,
            }


def _costs(now: datetime) -> Iterator[dict[str, Any]]:
    for asset, funding in (("BTC", 1.25e-5), ("ETH", 0.0), ("SOL", None)):
        yield {
            "asset": asset,
            "computed_at": now - timedelta(minutes=2),
            "taker_fee_bps": 3.5 if asset == "ETH" else 4.5,
            "fee_source": "account" if asset == "ETH" else "base_tier",
            "fee_as_of": now - timedelta(minutes=2) if asset == "ETH" else None,
            "funding_as_of": None if funding is None else now - timedelta(minutes=3),
            "funding_rate_hourly": funding,
            "hold_hours": 24.0 if funding is None else 9.5,
            "hold_source": "default" if funding is None else "episodes",
            "hold_episodes": 3 if funding is None else 44,
            "day_volume_usd": 2.1e9,
        }


def _parts() -> Iterator[dict[str, Any]]:
    for part, versions in (("slow", (1, 2)), ("fast", (1, 2, 3))):
        for version in versions:
            content = json.dumps({"part": part, "version": version, "rho0": 0.11})
            yield {"part": part, "version": version, "hash": f"{part}{version}".ljust(64, "0"), "content": content}


def _snapshots(now: datetime) -> Iterator[dict[str, Any]]:
    for version, slow, fast in ((1, 1, 1), (2, 2, 2), (3, 2, 3)):
        yield {
            "version": version,
            "slow_version": slow,
            "fast_version": fast,
            "hash": f"snap{version}".ljust(64, "0"),
            "settings_hash": "e" * 64,
            "settings": "{}",
            "mode": MODE,
            "pool_flavour": "normal",
            "pool_size": POOL_SIZE,
            "published_at": now - timedelta(minutes=5 * (4 - version)),
            "dagster_run_id": None,
        }


def _tracked(now: datetime) -> Iterator[dict[str, Any]]:
    for i in range(TRADERS):
        since = ms(now - timedelta(days=3))
        primed = None if i % 10 == 9 else since + 1000
        yield {"address": address(i), "tracked_since_ms": since, "primed_at_ms": primed, "is_active": i < 55}


def _fills(now: datetime) -> Iterator[dict[str, Any]]:
    for i in range(120):
        coin = ("BTC", "ETH")[i % 2]
        px = Decimal(str(MIDS[coin])) * (1 + Decimal(i % 7) / 10_000)
        yield {
            "address": address(i % 30),
            "time_ms": ms(now - timedelta(seconds=40 * i + 3)),
            "coin": coin,
            "tid": 10_000 + i,
            "is_buy": i % 3 != 0,
            "px": px,
            "sz": Decimal("0.125"),
            "crossed": True,
            "start_position": None if i == 4 else Decimal(0),
            "position_after": Decimal("0.125") if i % 3 else Decimal("-0.125"),
            "realized_pnl": Decimal("-12.5") if i % 5 == 0 else Decimal(0),
            "fee": None if i % 2 else Decimal("4.72"),
            "action": ("open", "increase", "close", "flip", "reduce")[i % 5],
            "episode_id": f"ep-{i}",
            "hash": "0x0",
            "source": "live",
            "received_ms": ms(now),
            "seq": 90_000 - i,
        }


def _episodes(now: datetime) -> Iterator[dict[str, Any]]:
    for i in range(30):
        is_open = i < 6
        result = None if is_open or i == 9 else 0.0 if i == 8 else round(0.9 - 0.13 * (i % 12), 3)
        yield {
            "id": f"ep-{i}",
            "address": address(i % POOL_SIZE),
            "asset": ("BTC", "ETH")[i % 2],
            "direction": ("long", "short")[i % 3 == 0],
            "status": "open" if is_open else "closed",
            "entry_ts": now - timedelta(hours=i + 4),
            "exit_ts": None if is_open else now - timedelta(hours=i * 0.5),
            "entry_vwap": 84_000.0,
            "exit_vwap": None if is_open else 84_500.0,
            "size": Decimal("0.25"),
            "entry_notional_usd": 21_000.0,
            "realized_pnl": None if is_open else Decimal("-35.5"),
            "fees_usd": Decimal("9.45"),
            "fees_estimated": i % 2 == 0,
            "funding_usd": None if is_open else Decimal(0),
            "stop_fraction": 0.0118,
            "risk_usd": 247.8,
            "result_r": result,
            "r_gross": result,
            "closed_reason": None if is_open else "full_close",
            "gap": False,
            "first_seen_mid_life": False,
            "learnable": True,
            "source": "live",
            "entry_fill_count": 2,
            "exit_fill_count": 0 if is_open else 1,
            "add_count": 0,
        }


def _gates(i: int, kind: str) -> list[dict[str, Any]]:
    """Seven gates in order; numbers as decimal strings, as the canonical record writes them."""
    k, agreement, ev = 2.0 + 0.15 * (i % 6), (0.75, 0.8, 1.0)[i % 3], 0.31 + 0.02 * (i % 4)
    failing: set[str] = set()
    unknown: set[str] = set()
    if kind == "skip":
        failing = {("supermajority", "effective_k", "ev_gate", "min_traders", "price_band")[i % 5]}
        k, agreement = (1.2 if "effective_k" in failing else k), (0.67 if "supermajority" in failing else agreement)
        ev = 0.15 if "ev_gate" in failing else ev
        unknown = {"ev_gate"} if i % 7 == 0 else {"effective_k"} if i % 11 == 0 else set()
    values = {
        "inputs_fresh": (0.42, 1.0, "oldest input is the book, 2.1 s of 5 s"),
        "min_traders": (2 if "min_traders" in failing else 4, 3, "agreeing voters"),
        "supermajority": (agreement, 0.70, "agreeing of all voters"),
        "effective_k": (round(k, 3), 2.0, "measured pairs 5 of 6"),
        "freshness": (64.0, 150.0, "age of the oldest agreeing vote, s"),
        "price_band": (0.35 if "price_band" in failing else 0.08, 0.25, "drift from the median vote price, R"),
        "ev_gate": (round(ev, 3), 0.20, "after costs, R"),
    }
    shown = []
    for name, (value, threshold, detail) in values.items():
        is_unknown = name in unknown
        shown.append(
            {
                "name": name,
                "passed": None if is_unknown else name not in failing,
                "value": None if is_unknown else str(value),
                "threshold": str(threshold),
                "detail": "no measured pair" if is_unknown else detail,
            }
        )
    return shown


def _direction(i: int) -> str:
    return "long" if i % 4 else "short"


def _kind(i: int) -> str:
    return "signal" if i < SIGNALS else "risk_reject" if i < SIGNALS + RISK_REJECTS else "skip"


def _decided(now: datetime, i: int) -> datetime:
    """Signals and rejections spread over five days, skips over the last day."""
    return now - (timedelta(hours=2 + 9 * i) if _kind(i) != "skip" else timedelta(minutes=3 + 35 * (i - 12)))


_RISK = (
    {"name": "confidence", "passed": True, "value": "0.61", "threshold": "0.55", "detail": "calibrated p"},
    {"name": "cooldown", "passed": True, "value": "1800", "threshold": "300", "detail": "since the last signal, s"},
    {"name": "concurrency", "passed": True, "value": "0", "threshold": "3", "detail": "open positions"},
)


def _reasoning(i: int, symbol: str, kind: str, gates: list[dict[str, Any]]) -> str:
    values = {gate["name"]: gate["value"] for gate in gates}
    if kind == "signal":
        return (
            f"Signal: 4 traders went {_direction(i)} {symbol} within 64 s; agreement "
            f"{float(values['supermajority']):.0%}, effective K {values['effective_k']}. "
            f"Net EV {values['ev_gate']} R passes 0.20 R."
        )
    if kind == "risk_reject":
        return f"Rejected by risk: all gates passed on {symbol}, but the cooldown of 300 s has 120 s left."
    missed = [gate["name"] for gate in gates if gate["passed"] is not True]
    return f"Skipped: 4 traders moved in {symbol} within 95 s; {' and '.join(missed)} did not pass."


def _decisions(now: datetime) -> Iterator[dict[str, Any]]:
    for i in range(SIGNALS + RISK_REJECTS + SKIPS):
        kind, symbol, at = _kind(i), ("BTC", "ETH")[i % 2], _decided(now, i)
        gates = _gates(i, kind)
        values = {gate["name"]: None if gate["value"] is None else float(gate["value"]) for gate in gates}
        risk: list[dict[str, Any]] = [] if kind == "skip" else [dict(check) for check in _RISK]
        if kind == "risk_reject":
            risk[1] |= {"passed": False, "value": "180"}
        result = RESULTS.get(i)
        yield {
            "id": decision_id(i),
            "decided_at": at,
            "symbol": symbol,
            "direction": _direction(i),
            "decision_type": kind,
            "trader_count": 5,
            "agreeing_count": 2 if values["min_traders"] == 2 else 4,
            "agreement_pct": values["supermajority"],
            "effective_k": values["effective_k"],
            "avg_confidence": None if i % 7 == 0 else 0.61,
            "ev_estimate": values["ev_gate"],
            "price_at_decision": MIDS[symbol] * (1 - 0.0005 * (i % 9)),
            "gates": json.dumps(gates, sort_keys=True, separators=(",", ":")),
            "risk_checks": json.dumps(risk, sort_keys=True, separators=(",", ":")),
            "reasoning": _reasoning(i, symbol, kind, gates),
            "record": json.dumps({"symbol": symbol, "decision_type": kind}),
            "snapshot_version": 3,
            "settings_hash": "e" * 64,
            "mode": MODE,
            "chain": i % 2,
            "seq": 100 - i,
            "prev_hash": "0" * 64,
            "row_hash": f"{i:064x}",
            "outcome": None if result is None else ("take_profit" if result > 1 else "timeout"),
            "outcome_pnl": None if result is None else result * 20.0,
            "outcome_r_multiple": result,
            "outcome_closed_at": None if result is None else at + timedelta(hours=1),
            "latency_ms": 3.5,
        }


def _signals(now: datetime) -> Iterator[dict[str, Any]]:
    for i in range(SIGNALS):
        symbol, at, result = ("BTC", "ETH")[i % 2], _decided(now, i), RESULTS.get(i)
        entry, side = MIDS[symbol] * (1 - 0.0005 * (i % 9)), 1 if i % 4 else -1
        yield {
            "id": decision_id(i),
            "symbol": symbol,
            "direction": "long" if side > 0 else "short",
            "entry_price": entry,
            "stop_price": entry * (1 - side * 0.0142),
            "take_profit_price": entry * (1 + side * 0.0284),
            "stop_fraction": 0.0142,
            "n_traders": 5,
            "n_agreeing": 4,
            "eff_k": 2.0 + 0.15 * (i % 6),
            "p_win": 0.61,
            "ev_gross_r": 0.42,
            "ev_cost_r": 0.11,
            "ev_net_r": 0.31 + 0.02 * (i % 4),
            "fees_bps": 9.0,
            "slippage_bps": 2.4,
            "funding_bps": 0.0,
            "median_voter_price": entry * 0.9995,
            "mid_delta_bps": 5.0,
            "notional_usd": 2000.0,
            "binding_cap": "position" if i % 2 else None,
            "snapshot_version": 3,
            "latency_ms": None if i == 1 else 3.5,
            "created_at": at,
            "outcome": None if result is None else ("take_profit" if result > 1 else "timeout"),
            "exit_price": None if result is None else entry * (1 + side * result * 0.0142),
            "result_r": result,
            "closed_at": None if result is None else at + timedelta(hours=1),
        }


def _outcomes(now: datetime) -> Iterator[dict[str, Any]]:
    for i, result in RESULTS.items():
        yield {
            "ticket_id": decision_id(i),
            "symbol": ("BTC", "ETH")[i % 2],
            "closed_ts": _decided(now, i) + timedelta(hours=1),
            "exit_price": MIDS["BTC"],
            "result_r": result,
            "gross_r": result + 0.11,
            "cost_r": 0.11,
            "closed_reason": "take_profit" if result > 1 else "timeout",
            "mfe_r": max(result, 0.3),
            "mae_r": min(result, -0.2),
            "notes": None,
            "record": "{}",
            "chain": i,
            "seq": 1,
            "prev_hash": "0" * 64,
            "row_hash": f"{i:064x}",
        }


def _execution(now: datetime) -> Iterator[tuple[sa.Table, Iterator[dict[str, Any]]]]:
    limits = {"address": None, "max_leverage": 1, "max_position_pct": 2.0, "max_exposure_pct": 10.0}
    yield stream.execution_config, iter([{"id": 1, "enabled": False, "hyperliquid": limits, "updated_at": now}])
    yield stream.execution_logs, _attempts(now)
    held = {"exchange": "paper", "size": Decimal("0.0237"), "entry_price": 84_100.0, "stop_price": 82_906.0}
    times = {"timeout_at": now + timedelta(days=6), "opened_at": now - timedelta(hours=2)}
    long = (
        held | times | {"symbol": "BTC", "side": "long", "decision_id": decision_id(0), "take_profit_price": 86_488.0}
    )
    short = held | times | {"symbol": "ETH", "side": "short", "decision_id": decision_id(1), "size": Decimal("1.03")}
    short |= {"entry_price": 1_931.0, "stop_price": 1_958.4, "take_profit_price": 1_876.0}
    yield (
        stream.live_positions,
        iter(
            [
                long | {"mark_price": 84_250.5, "unrealized_pnl": 3.57},
                short | {"mark_price": 1_935.25, "unrealized_pnl": -4.38},
            ]
        ),
    )
    yield stream.portfolio_snapshots, _account(now)
    states = {"kill_switch": "false", "loss_streak": "1", "note": "no pause"}
    yield (
        stream.risk_governor_state,
        iter([{"key": key, "value": value, "updated_at": now} for key, value in states.items()]),
    )
    day = {"date": now.date(), "opening_equity": 100_012.0, "pnl": -8.4, "updated_at": now}
    yield stream.risk_daily_pnl, iter([day])


def _attempts(now: datetime) -> Iterator[dict[str, Any]]:
    for i in range(12):
        failed = i == 3
        yield {
            "client_order_id": f"0x{i:032x}",
            "decision_id": decision_id(i // 3),
            "leg": ("entry", "stop", "take_profit")[i % 3],
            "exchange": "paper",
            "symbol": ("BTC", "ETH")[(i // 3) % 2],
            "side": "buy" if i % 3 == 0 else "sell",
            "size": Decimal("0.0237"),
            "leverage": 1.0,
            "order_type": ("market", "stop", "limit")[i % 3],
            "limit_price": None if i % 3 == 0 else Decimal("86488"),
            "is_reduce_only": i % 3 != 0,
            "status": "failed" if failed else "filled" if i % 3 == 0 else "resting",
            "fill_price": 84_100.0 if i % 3 == 0 and not failed else None,
            "fill_size": Decimal("0.0237") if i % 3 == 0 and not failed else None,
            "fee_usd": 0.9 if i % 3 == 0 and not failed else None,
            "slippage_actual": 0.0 if i % 3 == 0 and not failed else None,
            "error_message": "insufficient margin" if failed else None,
            "account_value": 100_000.0,
            "position_pct": 0.02,
            "exposure_before": 0.0,
            "exposure_after": 0.02,
            "kelly_method": "off",
            "kelly_position_pct": None,
            "kelly_fraction": None,
            "binding_cap": "position",
            "created_at": _decided(now, i // 3) + timedelta(seconds=i),
        }


def _account(now: datetime) -> Iterator[dict[str, Any]]:
    for i in range(48):
        value = 100_000 + 14 * math.sin(i / 6) - i * 0.4
        yield {
            "exchange": "paper",
            "ts": now - timedelta(hours=i),
            "account_value": round(value, 2),
            "realized_pnl": -7.6,
            "unrealized_pnl": -0.81,
            "exposure_usd": 3986.0,
        }


def _gaps(now: datetime) -> Iterator[dict[str, Any]]:
    for i, kind in enumerate(("overlap", "disconnect", "ledger")):
        to = now - timedelta(hours=3 * i + 1)
        yield {
            "id": f"gap-{i}",
            "kind": kind,
            "coin": "BTC",
            "address": address(4) if kind == "ledger" else None,
            "from_ms": ms(to) - 4200,
            "to_ms": ms(to),
            "detail": "4.2 s without overlap",
            "reconciled_at": None if i == 0 else to,
        }


def _completeness_samples(now: datetime) -> Iterator[dict[str, Any]]:
    window = {"from_ms": ms(now) - 3_600_000, "to_ms": ms(now) - 900_000, "taken_at": now}
    yield {"id": 1, **window, "philox_key": "0" * 32, "population": 55, "addresses": [address(4)], "unanswered": 1}


def _completeness_cells(now: datetime) -> Iterator[dict[str, Any]]:
    for coin, present, silent in (("BTC", 598, 2), ("ETH", 400, 0)):
        hour = ms(now) - 3_600_000
        yield {"sample_id": 1, "coin": coin, "hour_ms": hour, "present": present, "missing_silent": silent, "late": 1}


def _completeness_misses(now: datetime) -> Iterator[dict[str, Any]]:
    for tid in (1, 2):
        at = {"address": address(4), "time_ms": ms(now) - 3_000_000, "coin": "BTC", "tid": tid}
        yield {"sample_id": 1, **at, "verdict": "missing_silent", "detail": "never heard"}


def _dead() -> Iterator[dict[str, Any]]:
    yield {"partition": "0", "seq": 4711, "kind": "trades", "coin": "SOL", "payload": b"{", "error": "not JSON"}


def _stream_status(now: datetime) -> Iterator[dict[str, Any]]:
    found: dict[str, tuple[Any, float | None, float, str]] = {
        "heartbeat": ("running", 3600, 0, "stream is running"),  # longer than any test session: nobody renews it
        "feed": ("connected", 10, 0.8, "connected since 09:12 UTC"),
        "frames": (212.4, None, 0.8, "frames a second over the last minute"),
        "fills": (38.2, None, 3.0, "fills of tracked traders a second over the last minute"),
        "lag": (0.18, None, 0.8, "seconds from exchange to receipt, 95th percentile"),
        "snapshot": (3, 93_600, 300, "version 3"),
        "tracked": (55, None, 5, "50 of 55 primed"),
        "canary": (0.998, 86_400, 1800, "998 of 1000 sampled fills were seen"),
    }
    for key, (value, limit, age, detail) in found.items():
        at = ms(now - timedelta(seconds=age))
        yield {"key": key, "value": {"value": value, "age_limit_s": limit, "at_ms": at, "detail": detail}}


def _asset_status(now: datetime) -> Iterator[dict[str, Any]]:
    def inputs(book: float | None) -> list[dict[str, Any]]:
        return [
            {"name": "book", "age_s": book, "limit_s": 5, "verdict": "unknown" if book is None else "pass"},
            {"name": "feed", "age_s": 0.8, "limit_s": 10, "verdict": "pass"},
            {"name": "atr", "age_s": 1320.0, "limit_s": 7200, "verdict": "pass"},
            {"name": "costs", "age_s": 5400.0, "limit_s": 3600, "verdict": "fail"},
        ]

    rows = (
        ("BTC", 1.1, {"long": 3, "short": 1}, "trending", 0.0142),
        ("ETH", 2.4, {"long": 0, "short": 0}, "ranging", 0.0137),
        ("SOL", None, {"long": 1, "short": 0}, "unknown", None),
    )
    for symbol, book, votes, regime, stop in rows:
        status = {
            "mid": None if book is None else MIDS[symbol],
            "book_age_s": book,
            "votes": votes,
            "regime": regime,
            "stop_fraction": stop,
            "inputs": inputs(book),
        }
        yield {"symbol": symbol, "as_of_ms": ms(now), "status": status}
