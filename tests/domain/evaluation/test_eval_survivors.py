"""The dead and the vanished count: by hand on a small market, and on a world."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sigmapilot_core.domain.evaluation.baselines import copies
from sigmapilot_core.domain.evaluation.day_model import Learner
from sigmapilot_core.domain.evaluation.record import VenueRecord
from sigmapilot_core.domain.evaluation.survivorship import NEVER, listing, survivorship
from sigmapilot_core.domain.params import DAY_MS, Params


def test_whoever_vanished_from_the_leaderboard_stays_in_the_figures(record: VenueRecord) -> None:
    gone = record.addresses[2]

    def board(at_ms: int):  # type: ignore[no-untyped-def]
        is_late = at_ms >= record.start_ms + 10 * DAY_MS
        return [row for row in record.board(at_ms) or () if not (is_late and row.address == gone)]

    found = listing(replace(record, board=board), record.start_ms + 12 * DAY_MS)
    assert found.last_ms[2] == record.start_ms + 9 * DAY_MS
    assert found.last_board_ms == record.start_ms + 11 * DAY_MS
    assert found.is_vanished[2]
    user, result = np.array([1, 1, 2, 3]), np.array([0.4, 0.2, -1.0, 0.5])
    told = survivorship(found, frozenset({3}), user, result)
    assert told.liquidated == 1
    assert told.gone == int(found.is_vanished.sum()) + 1
    assert told.copies_of_gone == 2
    # traders: 0.3, -1.0 and 0.5; of those only the first is left
    assert told.everybody_r == pytest.approx((0.3 - 1.0 + 0.5) / 3)
    assert told.survivors_r == pytest.approx(0.3)


def test_nobody_is_copied_before_he_was_listed(record: VenueRecord, learner: Learner) -> None:
    start_ms, end_ms = record.start_ms + 20 * DAY_MS, record.start_ms + 22 * DAY_MS
    listed = listing(record, end_ms)
    made = copies(learner, start_ms, end_ms, Params(), listed)
    assert 0 in made.user
    late = replace(listed, first_ms=np.where(np.arange(len(listed.first_ms)) == 0, NEVER, listed.first_ms))
    without = copies(learner, start_ms, end_ms, Params(), late)
    assert 0 not in without.user
    assert len(without.user) == int((made.user != 0).sum())
