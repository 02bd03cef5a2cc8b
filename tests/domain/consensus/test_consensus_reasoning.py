"""What a decision says in words (spec 4.3)."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import pytest
from decision_builders import LONG, NOW, SHORT, decided, ordered, risk, voter, voters

from sigmapilot_core.domain.consensus.record import Decision


def sentences(decision: Decision) -> list[str]:
    return [part for part in re.split(r"(?<=[.])\s+(?=[A-Z])", decision.reasoning) if part]


@pytest.mark.parametrize(
    "decision",
    [
        decided(),
        decided(voters(2, 1)),
        decided(voters(3, 3)),
        decided(voters(1)),
        decided(risk=None),
        decided(book=None, regime=None),
        decided(risk=replace(risk(), signal_times_ms={"BTC": NOW})),
    ],
)
def test_reasoning_has_two_to_four_sentences_and_names_no_trader(decision: Decision) -> None:
    assert 2 <= len(sentences(decision)) <= 4, decision.reasoning
    assert "0x" not in decision.reasoning


def test_a_skip_says_what_fell_short_and_what_would_have_sufficed() -> None:
    text = decided(ordered([voter(1), voter(2), voter(3, SHORT)])).reasoning
    assert text.startswith("Skipped: 2 of 3 traders bought BTC within 2 s; ")
    assert "only 2 agree where 3 are needed" in text
    assert "agreement 67 % is below 70 %" in text
    assert "It would have been a candidate with at least 3 agreeing traders, an agreement of at least 70 %" in text


def test_a_late_burst_is_explained_by_its_age() -> None:
    late = ordered(voter(number, voted_at_ms=NOW - 180_000) for number in (1, 2, 3))
    assert "age of the oldest vote 180 s is above 150 s" in decided(late).reasoning


def test_a_value_just_short_of_its_threshold_is_shown_with_enough_digits() -> None:
    price = Decimal(str(50_000 / (1 + 0.2504 * 0.024)))  # drift in R of the trade's stop of 2 % x 1.2
    text = decided(voters(3, price=price)).reasoning
    assert "price drift 0.2504 R is above 0.2500 R" in text


def test_what_is_not_known_is_listed_with_its_reason() -> None:
    text = decided(rho=None).reasoning
    assert "Not known: effective K (K 2.50 rests on too few measured pairs" in text


def test_a_signal_says_what_is_done_at_which_prices() -> None:
    text = decided(voters(3)).reasoning
    assert text.startswith("Signal: 3 traders bought BTC within 2 s; agreement 100 %, worth 2.68 independent votes.")
    assert "Long at 50000 for 2000 USD, stop 48800, take-profit 52400." in text


def test_a_risk_reject_names_every_block() -> None:
    text = decided(risk=replace(risk(), signal_times_ms={"BTC": NOW - 1000})).reasoning
    assert text.startswith("Rejected by risk: 3 traders bought BTC within 2 s and all gates passed")
    assert "Blocked by cooldown (last signal in BTC 1 s ago)." in text
    assert text.endswith("Without this block it would have been a signal.")


def test_sellers_are_said_to_have_sold() -> None:
    assert "traders sold BTC" in decided(ordered(voter(n, SHORT) for n in (1, 2, 3))).reasoning
    assert "traders bought BTC" in decided(ordered(voter(n, LONG) for n in (1, 2, 3))).reasoning
