"""Tables written by people, through the command line and the API: what they asked for, by whom and why."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from sigmapilot_core.adapters.postgres.schema.base import Big, Bool, Text, Time, column, key, metadata, unknown

kill_switch_requests = sa.Table(
    "kill_switch_requests",
    metadata,
    key("id", pg.UUID(as_uuid=False)),
    column("action", Text),  # on | off
    column("reason", Text),
    column("requested_by", Text),
    column("via", Text),  # cli | api
    column("is_auto", Bool),
    column("is_forced", Bool),
    column("requested_at", Time),
    sa.CheckConstraint("action IN ('on', 'off')", name="action"),
    sa.CheckConstraint("NOT (is_auto AND action = 'off') AND NOT (is_forced AND action = 'on')", name="options"),
    sa.CheckConstraint("length(btrim(reason)) > 0 AND length(reason) <= 500", name="reason"),
    sa.CheckConstraint("length(btrim(requested_by)) > 0 AND length(requested_by) <= 64", name="requested_by"),
)

hl_pinned_accounts = sa.Table(
    "hl_pinned_accounts",
    metadata,
    key("address", Text),
    column("is_custom", Bool),  # not on the leaderboard when it was pinned
    unknown("nickname", Text),
    column("pinned_by", Text),
    column("pinned_at", Time),
    sa.CheckConstraint("address ~ '^0x[0-9a-f]{40}$'", name="address"),
)

hl_pinned_changes = sa.Table(
    "hl_pinned_changes",
    metadata,
    sa.Column("id", Big, sa.Identity(always=True), primary_key=True),
    column("address", Text),
    column("action", Text),  # pin | rename | unpin
    unknown("nickname", Text),
    column("changed_by", Text),
    column("via", Text),  # cli | api
    unknown("reason", Text),
    column("changed_at", Time),
    sa.CheckConstraint("action IN ('pin', 'rename', 'unpin')", name="action"),
    sa.CheckConstraint("action <> 'unpin' OR length(btrim(reason)) BETWEEN 1 AND 500", name="reason"),
)
