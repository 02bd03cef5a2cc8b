"""The stream's logs, checked every night and on demand: decisions made again, hash chains walked."""

from datetime import timedelta

import dagster as dg

from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres.audit import audit
from sigmapilot_core.adapters.postgres.decision_store import OUTCOMES
from sigmapilot_core.adapters.postgres.queries import reading
from sigmapilot_core.adapters.postgres.recompute import Recomputed, recomputed

_NIGHTLY_DAYS = 2
_TIMEOUT_MS = 600_000


class Period(dg.Config):
    """Which decisions are made again: those of so many days back from now. A year takes minutes."""

    days: int = _NIGHTLY_DAYS


@dg.asset_check(asset="stream_decisions", name="decisions_come_out_again")
def decisions_come_out_again(config: Period, platform: dg.ResourceParam[Platform]) -> dg.AssetCheckResult:
    """Every decision of the period, made again from its stored inputs and snapshot alone, has the same bytes."""
    now = platform.now()
    with reading(platform.engine, _TIMEOUT_MS) as connection:
        found = recomputed(connection, now - timedelta(days=config.days), now + timedelta(days=1))
    return _of_recomputed(found, config.days)


def _of_recomputed(found: Recomputed, days: int) -> dg.AssetCheckResult:
    named = "; ".join(f"{item.symbol} {item.id}: {item.what}" for item in found.named)
    return dg.AssetCheckResult(
        passed=not found.differing,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={
            "decisions": found.decisions,
            "snapshots": found.snapshots,
            "differing": found.differing,
            "days": days,
            "named": named or "none",
        },
    )


@dg.asset_check(asset="stream_decisions", name="decision_log_is_whole")
def decision_log_is_whole(platform: dg.ResourceParam[Platform]) -> dg.AssetCheckResult:
    """No decision, input, id, signal or snapshot was changed, removed or put in: chains and what stands beside them."""
    return _of_audit(platform, is_outcomes=False)


@dg.asset_check(asset="stream_outcomes", name="outcome_log_is_whole")
def outcome_log_is_whole(platform: dg.ResourceParam[Platform]) -> dg.AssetCheckResult:
    """No outcome was changed, removed or put in."""
    return _of_audit(platform, is_outcomes=True)


def _of_audit(platform: Platform, is_outcomes: bool) -> dg.AssetCheckResult:
    with reading(platform.engine, _TIMEOUT_MS) as connection:
        found = [item for item in audit(connection) if (item.log == OUTCOMES) is is_outcomes]
    damages = [f"{item.name}: {item.damage}" for item in found if item.damage is not None]
    return dg.AssetCheckResult(
        passed=not damages,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={"rows": sum(item.n_rows for item in found), "damaged": "; ".join(damages) or "none"},
    )


audit_checks = [decisions_come_out_again, decision_log_is_whole, outcome_log_is_whole]
