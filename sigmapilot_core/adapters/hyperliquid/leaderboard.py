"""Reading the leaderboard file: 47 000 rows, 40 MB, row by row, never the document as a whole (spec section 2).

A row that cannot be trusted is counted with its reason and left out; whether too many are bad is the caller's check.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import ijson

from sigmapilot_core.adapters.hyperliquid.errors import BadMessage, LeaderboardError
from sigmapilot_core.adapters.hyperliquid.fields import address, mapping, pair, sequence, to_decimal
from sigmapilot_core.domain.venue import LeaderboardRow, LeaderboardWindow

MAX_USD = 1e12  # a hundred times the largest real account value seen (15.8e9)
MAX_ROI = 1e9
_ROI_FLOOR_USD = 100.0
_NAME_LENGTH = 200
_CSV_WINDOWS = (("day", "1d"), ("week", "7d"), ("month", "1m"), ("allTime", "All time"))


def refused(what: str) -> LeaderboardError:
    """The error of a file that does not replace the one we hold."""
    return LeaderboardError(f"{what}; the last good copy stays in force.")


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """The rows that can be trusted, and how many could not, by reason."""

    rows: tuple[LeaderboardRow, ...]
    rejected: Mapping[str, int]

    @property
    def bad_share(self) -> float:
        """Rejected rows as a fraction of all."""
        bad = sum(self.rejected.values())
        return bad / (bad + len(self.rows)) if bad else 0.0


def _bounded(value: object, field: str, limit: float, low: float | None = None) -> float:
    number = float(to_decimal(value, field))
    if abs(number) > limit or (low is not None and number < low):
        raise BadMessage(field, value, f"a number from {-limit if low is None else low:g} to {limit:g}")
    return number


def _optional(row: Mapping[str, Any], field: str, limit: float, low: float | None = None) -> float | None:
    value = row.get(field)
    return None if value is None else _bounded(value, field, limit, low)


def _window(raw: object) -> LeaderboardWindow:
    row = mapping(raw, "window")
    return LeaderboardWindow(
        pnl_usd=_optional(row, "pnl", MAX_USD),
        roi=_optional(row, "roi", MAX_ROI),
        volume_usd=_optional(row, "vlm", MAX_USD, low=0.0),
    )


def parse_row(raw: object) -> LeaderboardRow:
    """One row; windows by name, whatever their order. Raises `BadMessage`; a window that is missing is unknown."""
    row = mapping(raw, "row")
    windows: dict[str, LeaderboardWindow] = {}
    for item in sequence(row.get("windowPerformances", []), "windowPerformances"):
        name, figures = pair(item, "windowPerformances")
        if not isinstance(name, str):
            raise BadMessage("windowPerformances", name, "a window's name")
        windows[name] = _window(figures)
    name = row.get("displayName")
    return LeaderboardRow(
        address=address(row, "ethAddress"),
        account_value_usd=_bounded(row.get("accountValue"), "accountValue", MAX_USD),
        windows=windows,
        display_name=name[:_NAME_LENGTH] if isinstance(name, str) and name else None,
        prize=_bounded(row.get("prize", 0), "prize", MAX_USD),
    )


def collect(raws: Iterable[object], read: Callable[[object], LeaderboardRow]) -> Leaderboard:
    """Read every row; bad ones and repeated addresses are counted by reason."""
    rows: dict[str, LeaderboardRow] = {}
    rejected: Counter[str] = Counter()
    for raw in raws:
        try:
            row = read(raw)
        except BadMessage as fault:
            rejected[f"{fault.field} is not {fault.allowed}"] += 1
            continue
        if row.address in rows:
            rejected["ethAddress is listed twice"] += 1
        else:
            rows[row.address] = row
    return Leaderboard(tuple(rows.values()), dict(rejected))


def parse_leaderboard(stream: BinaryIO) -> Leaderboard:
    """Read the file as the venue serves it. LeaderboardError if it is not whole JSON or holds no good row."""
    try:
        board = collect(ijson.items(stream, "leaderboardRows.item", use_float=True), parse_row)
    except (ijson.JSONError, UnicodeDecodeError) as fault:
        raise LeaderboardError(
            "The leaderboard is truncated or not JSON; the last good copy stays in force."
        ) from fault
    if not board.rows:
        raise refused("The leaderboard holds no usable row")
    return board


def _csv_row(raw: object) -> LeaderboardRow:
    """A row of an exported table. It carries no ROI: PnL/max(100, account value - PnL) stands for it, marked so."""
    cells = mapping(raw, "row")
    value = _bounded(cells.get("Account Value"), "Account Value", MAX_USD)
    windows = {}
    for name, label in _CSV_WINDOWS:
        pnl = _optional(cells, f"PNL ({label})", MAX_USD)
        roi = None if pnl is None else pnl / max(_ROI_FLOOR_USD, value - pnl)
        windows[name] = LeaderboardWindow(pnl, roi, _optional(cells, f"Trading Volume ({label})", MAX_USD, low=0.0))
    return LeaderboardRow(
        address=address(cells, "Trader Address"),
        account_value_usd=value,
        windows=windows,
        display_name=cells.get("Trader Name") or None,
        roi_approximate=True,
    )


def _csv_cells(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", errors="replace", newline="") as stream:
        yield from csv.DictReader(stream)


def read_csv_leaderboard(path: Path) -> Leaderboard:
    """Read an exported table whose names may be in any encoding; undecodable letters become U+FFFD."""
    return collect(_csv_cells(path), _csv_row)
