"""`sigmapilot pool redraw`: the draws of a day made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import as_of_store, leaderboard_store
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.schema.model import trader_snapshots
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.venue import LeaderboardRow, LeaderboardWindow

Command = Callable[..., tuple[int, str, str]]
DAY = date(2026, 3, 14)


@pytest.fixture
def drawn(pg_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    """A whole day of two traders."""
    monkeypatch.setenv("SIGMAPILOT_DATABASE_URL", pg_url)
    engine = create_engine(pg_url)
    window = LeaderboardWindow(50_000.0, 0.5, 1e6)
    board = [LeaderboardRow(f"0x{i:040x}", 2e5, {"month": window, "week": window}) for i in (1, 2)]
    with engine.begin() as connection:
        leaderboard_store.store_leaderboard(connection, DAY, datetime(2026, 3, 14, 0, 30, tzinfo=UTC), board)
        as_of_store.evaluate_whole_day(connection, DAY, "normal", None, Params())
    yield engine
    engine.dispose()


def test_the_draws_of_a_day_are_made_again(drawn: sa.Engine, command: Command) -> None:
    code, out, _ = command("pool", "redraw", "--date", str(DAY))
    assert code == 0
    assert "2026-03-14 whole day, as of 2026-03-15 00:00:00 UTC" in out
    assert "identical: keys, draws, members and rows of traders" in out


def test_a_changed_draw_is_named(drawn: sa.Engine, command: Command) -> None:
    with drawn.begin() as connection:
        changed = trader_snapshots.update().where(trader_snapshots.c.address == f"0x{2:040x}")
        connection.execute(changed.values(nig_m=0.5, account_value=1.0))
    code, out, _ = command("pool", "redraw", "--date", str(DAY))
    assert code == 1
    assert f"trader 0x{2:040x}: account_value is 1.0 and made again 200000.0" in out


@pytest.mark.usefixtures("drawn")
def test_a_day_without_a_draw_is_one_sentence(command: Command) -> None:
    code, _, err = command("pool", "redraw", "--date", "2026-03-13")
    assert code == 1
    assert "no draw of 2026-03-13 is stored" in err
