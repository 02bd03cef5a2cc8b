"""What was known of traders at an instant, the days evaluated from it, and the comparison of both."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import episode_store, history_store, leaderboard_store, trader_store
from sigmapilot_core.adapters.postgres.instants import midnight, ms_of
from sigmapilot_core.adapters.postgres.schema.model import alpha_pool_addresses, pool_selections, trader_snapshots
from sigmapilot_core.domain.canonical import field_names
from sigmapilot_core.domain.params import DAY_MS, Params
from sigmapilot_core.domain.snapshot import part_to_json, settings_from_json
from sigmapilot_core.domain.traders.day import AS_OF_VERSION, Day, Knowledge, TraderRow, evaluate_day
from sigmapilot_core.domain.traders.filters import TraderFacts
from sigmapilot_core.domain.traders.posterior import Posterior, prior
from sigmapilot_core.domain.traders.thompson import Crowd, Entrant, Group, draw_among

STREAM_SETTLES_MS = 60_000
"""What the stream heard in the minute before an instant may not be committed yet, and does not count as known."""
_LABELS = ("skill_p_value", "fdr_qualified")


class NothingKnownError(LookupError):
    """No leaderboard had been fetched by the instant."""


def end_of(day: date) -> datetime:
    """The instant a whole day is evaluated at: its end, 00:00 UTC of the next."""
    return midnight(day + timedelta(days=1))


def read_knowledge(
    connection: sa.Connection, as_of: datetime, selection_date: date | None, version: int, params: Params
) -> Knowledge:
    """Everything known at an instant; `selection_date` None is the day of the leaderboard in force.

    Raises:
        NothingKnownError: no leaderboard had been fetched by then.
    """
    board = leaderboard_store.read_known(connection, as_of)
    if board is None:
        raise NothingKnownError(f"no leaderboard had been stored by {as_of:%Y-%m-%d %H:%M} UTC")
    day, rows = board
    as_of_ms = ms_of(as_of)
    settled_ms = as_of_ms - STREAM_SETTLES_MS
    facts = history_store.read_facts(connection, as_of)
    return Knowledge(
        as_of_ms=as_of_ms,
        leaderboard_day=day,
        rows=rows,
        facts={
            address: TraderFacts(known.orders_per_day, known.has_sub_accounts, known.has_major_fill)
            for address, known in facts.items()
        },
        episodes=episode_store.read_known(connection, as_of_ms, settled_ms),
        peak_usd=leaderboard_store.known_peaks(connection, [row.address for row in rows], as_of),
        liquidated=history_store.liquidated_users(connection, as_of_ms),
        last_fill_ms=_last_fills(connection, facts, as_of_ms, settled_ms, params),
        before=trader_store.chain_before(connection, selection_date or day, version),
    )


def _last_fills(
    connection: sa.Connection,
    facts: Mapping[str, history_store.TraderFacts],
    as_of_ms: int,
    settled_ms: int,
    params: Params,
) -> dict[str, int]:
    """The newest fill known of each trader: of the fetched history, which ages, or heard live since."""
    found = {address: ms_of(known.last_fill_at) for address, known in facts.items() if known.last_fill_at}
    since_ms = as_of_ms - round(params.skill.censor_days * DAY_MS)
    for address, newest in trader_store.last_live_fills(connection, since_ms, settled_ms).items():
        found[address] = max(newest, found.get(address, 0))
    return found


def store_day(
    connection: sa.Connection, day: Day, known: Knowledge, flavour: str, params: Params, *, with_labels: bool
) -> None:
    """Store a draw with its members, the settings it was made with, and one row a trader.

    The labels of the skill test are stored with a whole day only: those of a live draw belong to another asset.
    """
    selection, settings, members = _stored_form(day, known, flavour, params)
    trader_store.store_selection(connection, selection | {"settings": settings}, members)
    trader_store.store_trader_days(connection, [_labelled(row, with_labels) for row in _trader_rows(day)])


def _labelled(row: dict[str, Any], with_labels: bool) -> dict[str, Any]:
    return row if with_labels else row | dict.fromkeys(_LABELS)


def _trader_rows(day: Day) -> list[dict[str, Any]]:
    # the fields are plain values: nothing in them has to be copied
    names = field_names(TraderRow)
    return [{name: getattr(row, name) for name in names} for row in day.rows]


def _stored_form(
    day: Day, known: Knowledge, flavour: str, params: Params
) -> tuple[dict[str, Any], str, list[dict[str, Any]]]:
    """(selection without settings, settings, members) as columns."""
    drawn = day.selection
    rows = {row.address: row for row in day.rows}
    selection = {
        "as_of_date": drawn.selection_date,
        "selection_version": drawn.version,
        "drawn_at": datetime.fromtimestamp(known.as_of_ms / 1000, UTC),
        "philox_key": drawn.key_hex,
        "flavour": flavour,
        "eligible_count": len(drawn.drawn),
        "reason": drawn.reason,
        "learning_count": day.learning_count,
        "leaderboard_day": known.leaderboard_day,
        "crowd_mean_r": drawn.crowd.mean_r if drawn.crowd else None,
        "crowd_episodes": drawn.crowd.episodes if drawn.crowd else None,
    }
    members = [
        {
            "as_of_date": drawn.selection_date,
            "selection_version": drawn.version,
            "address": member.address,
            "selection_rank": member.rank,
            "thompson_draw": member.draw,
            "slot": member.slot.value if member.slot else None,
            "slot_reason": member.reason,
            "account_value": rows[member.address].account_value,
            "pnl_30d": rows[member.address].pnl_30d,
            "roi_30d": rows[member.address].roi_30d,
        }
        for member in drawn.pool
    ]
    return selection, part_to_json(params), members


def evaluate_whole_day(
    connection: sa.Connection, day: date, flavour: str, recorded: Collection[str] | None, params: Params
) -> Day | None:
    """Evaluate a day after its end and store it; None if it is stored already: its rows stay as they are.

    Raises:
        NothingKnownError: no leaderboard had been stored by then.
    """
    trader_store.lock_selections(connection)
    if any(row["selection_version"] == AS_OF_VERSION for row in selections_of(connection, day)):
        return None
    known = read_knowledge(connection, end_of(day), day, AS_OF_VERSION, params)
    evaluated = evaluate_day(known, day, AS_OF_VERSION, params, recorded)
    store_day(connection, evaluated, known, flavour, params, with_labels=True)
    return evaluated


def selections_of(connection: sa.Connection, day: date) -> list[dict[str, Any]]:
    """Every stored draw of a day: the evaluation of the whole day (version 0) and the live ones."""
    table = pool_selections
    found = connection.execute(sa.select(table).where(table.c.as_of_date == day).order_by(table.c.selection_version))
    return [dict(row) for row in found.mappings()]


def events_of(connection: sa.Connection, day: date) -> dict[str, int]:
    """Traders of a whole day by what happened to them: the dead and the vanished are among them."""
    c = trader_snapshots.c
    query = sa.select(c.event_type, sa.func.count()).where(c.snapshot_date == day, c.selection_version == AS_OF_VERSION)
    found = connection.execute(query.group_by(c.event_type).order_by(c.event_type))
    return {name: int(count) for name, count in found}


def newest_whole_day(connection: sa.Connection) -> date | None:
    """The newest day evaluated after its end; None before the first."""
    c = pool_selections.c
    return connection.execute(sa.select(sa.func.max(c.as_of_date)).where(c.selection_version == AS_OF_VERSION)).scalar()


def missing_days(connection: sa.Connection, until: date) -> list[date]:
    """Days up to `until` to be evaluated before it can be: each day follows from the rows of the one before.

    Raises:
        NothingKnownError: no leaderboard had been stored by the end of `until`.
    """
    newest = newest_whole_day(connection)
    first = leaderboard_store.first_day(connection) if newest is None else newest + timedelta(days=1)
    if first is None or (newest is None and first > until):
        raise NothingKnownError(f"no leaderboard had been stored by the end of {until}")
    return [first + timedelta(days=n) for n in range((until - first).days + 1)]


def evaluated_again(
    connection: sa.Connection, selection: Mapping[str, Any], recorded: Collection[str] | None, params: Params
) -> tuple[Day, Knowledge, Params]:
    """A stored draw made again from what was known when it was made, with the settings it was made with.

    `params` serve a draw that was stored before settings were. Raises `NothingKnownError`.
    """
    used = settings_from_json(selection["settings"]) if selection["settings"] else params
    day, version = selection["as_of_date"], selection["selection_version"]
    known = read_knowledge(connection, selection["drawn_at"].astimezone(UTC), day, version, used)
    return evaluate_day(known, day, version, used, recorded), known, used


def differences(
    connection: sa.Connection, selection: Mapping[str, Any], recorded: Collection[str] | None, params: Params
) -> Iterator[str]:
    """Where a draw made again differs from what is stored: selection, members, rows of traders; nothing if nowhere."""
    day, known, used = evaluated_again(connection, selection, recorded, params)
    made, _, members = _stored_form(day, known, selection["flavour"], used)
    name = f"draw {selection['as_of_date']}:{selection['selection_version']}"
    yield from _unequal(name, {key: selection[key] for key in made}, made)
    of_draw = (selection["as_of_date"], selection["selection_version"])
    yield from _unequal_rows(
        f"{name}, member", _rows_of(connection, alpha_pool_addresses, "as_of_date", of_draw), members
    )
    hidden = () if selection["selection_version"] == AS_OF_VERSION else _LABELS
    stored = _rows_of(connection, trader_snapshots, "snapshot_date", of_draw)
    yield from _unequal_rows(f"{name}, trader", stored, _trader_rows(day), hidden)


def key_differences(connection: sa.Connection, selection: Mapping[str, Any], params: Params) -> Iterator[str]:
    """Where a draw repeated from its stored key and posteriors differs from the stored one; nothing if nowhere."""
    used = settings_from_json(selection["settings"]) if selection["settings"] else params
    day, version = selection["as_of_date"], selection["selection_version"]
    stored = {row["address"]: row for row in _rows_of(connection, trader_snapshots, "snapshot_date", (day, version))}
    slots = {
        row["address"]: row["slot"] for row in _rows_of(connection, alpha_pool_addresses, "as_of_date", (day, version))
    }
    name = f"draw {day}:{version}"
    try:
        entrants = [_entrant(row, used) for row in stored.values() if row["is_eligible"]]
    except ValueError as error:
        yield f"{name} cannot be repeated from its rows: {error}"
        return
    mean_r, episodes = selection["crowd_mean_r"], selection["crowd_episodes"]
    crowd = None if mean_r is None or episodes is None else Crowd(mean_r, episodes)
    again = draw_among(entrants, day, version, used.bandit, crowd=crowd)
    if again.key_hex != selection["philox_key"]:
        yield f"{name}: key is {selection['philox_key']} and made again {again.key_hex}"
    for drawn in again.drawn:
        row = stored[drawn.address]
        held = {"draw": row["thompson_draw"], "rank": row["selection_rank"], "slot": slots.get(drawn.address)}
        made = {"draw": drawn.draw, "rank": drawn.rank, "slot": drawn.slot.value if drawn.slot else None}
        yield from _unequal(f"{name}, trader {drawn.address}", held, made)
    for address in sorted(set(slots) - {drawn.address for drawn in again.drawn}):
        yield f"{name}: member {address} is not among the eligible"


def _entrant(row: Mapping[str, Any], params: Params) -> Entrant:
    learnt = [row[name] for name in ("nig_m", "nig_kappa", "nig_alpha", "nig_beta")]
    posterior = prior(params.posterior) if None in learnt else Posterior(*learnt)
    return Entrant(row["address"], posterior, Group(row["draw_group"]), "")


def _rows_of(
    connection: sa.Connection, table: sa.Table, day_column: str, of_draw: tuple[date, int]
) -> list[dict[str, Any]]:
    query = sa.select(table).where(table.c[day_column] == of_draw[0], table.c.selection_version == of_draw[1])
    return [dict(row) for row in connection.execute(query).mappings()]


def _unequal_rows(
    name: str, stored: list[dict[str, Any]], made: list[dict[str, Any]], hidden: Collection[str] = ()
) -> Iterator[str]:
    old, new = ({row["address"]: row for row in rows} for rows in (stored, made))
    for address in sorted({*old, *new}):
        if address not in old or address not in new:
            yield f"{name} {address} is {'stored' if address in old else 'made'} only"
        else:
            shown = {key: value for key, value in new[address].items() if key not in hidden}
            yield from _unequal(f"{name} {address}", old[address], shown)


def _unequal(name: str, stored: Mapping[str, Any], made: Mapping[str, Any]) -> Iterator[str]:
    for key, value in made.items():
        if stored[key] != value:
            yield f"{name}: {key} is {stored[key]!r} and made again {value!r}"
