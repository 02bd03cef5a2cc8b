"""What happened in a demo, in figures read from the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa

GATES = ("inputs_fresh", "min_traders", "supermajority", "effective_k", "freshness", "price_band", "ev_gate")

_COUNTS = {
    "frames": "SELECT (value ->> 'total')::bigint FROM stream_status WHERE key = 'frames'",
    "trades": "SELECT count(*) FROM trades WHERE received_ms >= :since",
    "coins": "SELECT count(DISTINCT coin) FROM trades WHERE received_ms >= :since",
    "users": (
        "SELECT count(*) FROM (SELECT buyer FROM trades WHERE received_ms >= :since"
        " UNION SELECT seller FROM trades WHERE received_ms >= :since) AS parties"
    ),
    "fills of tracked traders": "SELECT count(*) FROM fills WHERE received_ms >= :since",
    "tracked traders": "SELECT count(*) FROM tracked_traders WHERE is_active",
    "episodes closed": "SELECT count(*) FROM position_signals WHERE status = 'closed'",
    "gaps": "SELECT count(*) FROM feed_gaps",
    "records set aside": "SELECT count(*) FROM dead_records",
}
_VOTES = """
    SELECT count(DISTINCT (voter ->> 'address', i.inputs::jsonb ->> 'asset', voter ->> 'voted_at_ms'))
      FROM decision_inputs i CROSS JOIN LATERAL jsonb_array_elements(i.inputs::jsonb -> 'voters') AS voter
     WHERE i.decided_at >= :since_at
"""
_FUNNEL = """
    SELECT 'rows', count(*), 0 FROM trader_filters WHERE as_of_date = (SELECT max(as_of_date) FROM trader_filters)
    UNION ALL
    SELECT 'pass filters 1-4', count(*), 1 FROM trader_filters
     WHERE as_of_date = (SELECT max(as_of_date) FROM trader_filters)
       AND month_pnl = 'pass' AND month_roi = 'pass' AND account_value = 'pass' AND week_volume = 'pass'
    UNION ALL
    SELECT 'pass all seven', count(*), 2 FROM trader_filters
     WHERE as_of_date = (SELECT max(as_of_date) FROM trader_filters) AND eligible = 'pass'
    UNION ALL
    SELECT 'pool', pool_size, 3 FROM model_snapshots WHERE version = (SELECT max(version) FROM model_snapshots)
    ORDER BY 3
"""
_TYPES = """
    SELECT decision_type, count(*) FROM decision_logs WHERE decided_at >= :since_at GROUP BY 1 ORDER BY 1
"""
_VERDICTS = """
    SELECT gate ->> 'name', coalesce(gate ->> 'passed', 'unknown'), count(*)
      FROM decision_logs d CROSS JOIN LATERAL jsonb_array_elements(d.gates::jsonb) AS gate
     WHERE d.decided_at >= :since_at GROUP BY 1, 2
"""
_ONLY_K = """
    SELECT count(*) FROM decision_logs d
     WHERE d.decided_at >= :since_at AND d.agreeing_count >= 3
       AND EXISTS (SELECT 1 FROM jsonb_array_elements(d.gates::jsonb) g
                    WHERE g ->> 'name' = 'effective_k' AND g ->> 'passed' = 'false')
"""
_SIGNALS = """
    SELECT s.created_at, s.symbol, s.direction, s.n_agreeing, s.eff_k, s.p_win, s.ev_net_r, l.status, l.fill_price
      FROM consensus_signals s LEFT JOIN execution_logs l ON l.decision_id = s.id AND l.leg = 'entry'
     WHERE s.created_at >= :since_at ORDER BY s.created_at
"""
_NEWEST = "SELECT symbol, reasoning FROM decision_logs WHERE decided_at >= :since_at ORDER BY decided_at DESC LIMIT 1"


def summary(connection: sa.Connection, since: datetime) -> Iterator[str]:
    """Lines of the summary of everything since an instant of the feed's clock."""
    bound = {"since": int(since.timestamp() * 1000), "since_at": since}

    def rows(query: str) -> list[sa.Row]:
        return list(connection.execute(sa.text(query), bound))

    yield "summary"
    counts = {name: rows(query) for name, query in _COUNTS.items()}
    yield "  feed: " + ", ".join(f"{found[0][0] if found else 'unknown'} {name}" for name, found in counts.items())
    yield "  funnel: " + " -> ".join(f"{count} {name}" for name, count, _ in rows(_FUNNEL))
    types: dict[str, int] = {kind: int(count) for kind, count in rows(_TYPES)}
    yield (
        f"  {rows(_VOTES)[0][0]} votes led to {sum(types.values())} decisions: {types.get('signal', 0)} signals, "
        f"{types.get('skip', 0)} skipped, {types.get('risk_reject', 0)} rejected by risk"
    )
    yield f"  {rows(_ONLY_K)[0][0]} decisions with three or more agreeing were vetoed by effective K"
    verdicts = {(name, passed): count for name, passed, count in rows(_VERDICTS)}
    yield "  gate            pass   fail   unknown"
    for gate in GATES:
        passed, failed, unknown = (verdicts.get((gate, word), 0) for word in ("true", "false", "unknown"))
        yield f"  {gate:14}{passed:6}{failed:7}{unknown:10}"
    for at, symbol, direction, agreeing, k, p, ev, status, price in rows(_SIGNALS):
        filled = f"filled on paper at {price:g}" if price is not None else f"order {status or 'not sent'}"
        yield (
            f"  {at:%H:%M:%S} {direction} {symbol}: {agreeing} agree, K {k:.2f}, p {p:.2f}, EV {ev:+.2f} R, {filled}"
        )
    for symbol, reasoning in rows(_NEWEST):
        yield f"  newest decision, {symbol}: {reasoning}"
