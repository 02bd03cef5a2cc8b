"""Numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sigmapilot_ui.status_page import words

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (words.usd(-12.5, 2), "−$12.50"),
        (words.usd(3.2), "+$3"),
        (words.usd(0.0, 2), "$0.00"),
        (words.usd(-0.001, 2), "$0.00"),
        (words.usd(None), "—"),
        (words.amount(100_012.4, 2), "$100,012.40"),
        (words.amount(-5.0), "−$5"),
        (words.r_multiple(-1.06), "−1.06 R"),
        (words.r_multiple(0.0), "0.00 R"),
        (words.r_multiple(1.85), "+1.85 R"),
        (words.percent(0.675, 1), "67.5 %"),
        (words.percent(None), "—"),
        (words.price(84_250.5), "84,250.5"),
        (words.price(0.08123), "0.081230"),
        (words.price(-3.5), "−3.5000"),
        (words.span(0.84), "0.8 s"),
        (words.span(64), "64 s"),
        (words.span(1320), "22 min"),
        (words.span(9000), "2.5 h"),
        (words.span(26 * 3600), "26 h"),
        (words.span(5 * 86_400), "5.0 d"),
        (words.span(None), "—"),
        (words.ago(NOW - timedelta(minutes=5), NOW), "5 min ago"),
        (words.ago(None, NOW), "—"),
        (words.ago(NOW + timedelta(seconds=3), NOW), "0.0 s ago"),
        (words.count(0, "signal"), "no signals"),
        (words.count(1, "signal"), "1 signal"),
        (words.count(1200, "trader"), "1,200 traders"),
        (words.side("short"), "▼ short"),
        (words.trader("0x" + "ab" * 20, None), "0xabab…abab"),
        (words.trader("0x" + "ab" * 20, "Quiet River"), "Quiet River"),
    ],
)
def test_shown(shown: str, expected: str) -> None:
    assert shown == expected
