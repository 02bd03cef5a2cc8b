"""The benchmarks drive what they say, and their table keeps what was not measured again."""

from __future__ import annotations

import pytest

from benchmarks import leaderboard_parse, stream_step, table
from benchmarks.decision_core import best_pass
from benchmarks.figures import Figure, peak_memory_mb
from benchmarks.traffic import Load, fills_of, trading

DOCUMENT = (
    f"# Figures\n\n{table.BEGIN}\n{table.HEAD}\n{table.RULE}\n| a | x | 1 s |  |  |  | then |\n{table.END}\nend\n"
)


def test_a_ratio_of_one_or_more_meets_the_goal() -> None:
    assert Figure("speed", 75_000, "fills/s", 50_000).ratio == 1.5
    assert Figure("time", 40, "s", 20, is_ceiling=True).ratio == 0.5
    assert Figure("time", 40, "s").ratio is None


def test_the_table_replaces_what_was_measured_and_keeps_the_rest() -> None:
    missed = Figure("y", 40, "s", 20, is_ceiling=True)
    once = table.updated(DOCUMENT, {"b": [missed]}, ["b", "a"], "now")
    assert once.splitlines()[5:7] == [
        "| b | y | 40 s | at most 20 | 0.50 (missed) |  | now |",
        "| a | x | 1 s |  |  |  | then |",
    ]
    assert table.updated(once, {"b": [missed]}, ["b", "a"], "now") == once
    assert once.startswith("# Figures\n")
    assert once.endswith(f"{table.END}\nend\n")
    with pytest.raises(ValueError, match="has no lines"):
        table.updated("# Figures", {}, [], "now")


def test_a_load_has_the_share_of_tracked_fills_it_is_asked_for() -> None:
    best, fills = best_pass(Load(400, 0.10), repeats=1)
    assert 0.07 < best.stored / fills < 0.13
    assert best.evaluations > 0
    assert best.decisions > 0
    assert trading(Load(5, 0.5)) == trading(Load(5, 0.5))
    assert fills_of(trading(Load(400, 0.10))) == fills


def test_all_fills_are_applied_where_everybody_is_tracked() -> None:
    best, fills = best_pass(Load(100, 1.0), repeats=1)
    assert best.stored > 0.98 * fills  # a trade with oneself moves nothing


def test_bytes_and_leaderboard_are_read() -> None:
    (rate,) = stream_step.run(orders=100)
    assert rate.value > 0
    seconds, memory = leaderboard_parse.run(count=50)
    assert seconds.value > 0
    assert 0 < memory.value <= peak_memory_mb()
