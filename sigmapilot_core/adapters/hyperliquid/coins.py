"""Grammar of coin names (spec section 7.1): which market a name belongs to, without any list of markets.

`BTC`, `kPEPE` are perpetuals of the first dex; `@107`, `PURR/USDC` are spot; `xyz:TSLA` belongs to a builder's dex
(HIP-3); `#123`, `+123`, `o123` are outcome markets and balances. Only perpetuals of the first dex are followed; public
trades that are heard of the others are kept and lead to nothing.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache

from sigmapilot_core.adapters.hyperliquid.errors import BadMessage

_NAME = r"[A-Za-z0-9]{1,24}"
_ALLOWED = "a coin name such as BTC, kPEPE, @107, PURR/USDC, xyz:TSLA or #123"


class CoinKind(StrEnum):
    """The market a coin name belongs to."""

    PERP = "perp"
    SPOT = "spot"
    HIP3 = "hip3"
    OUTCOME = "outcome"


_PATTERNS = (
    (CoinKind.OUTCOME, re.compile(r"(?:[#+]|o)[0-9]{1,12}", re.ASCII)),
    (CoinKind.SPOT, re.compile(rf"@[0-9]{{1,9}}|{_NAME}/{_NAME}", re.ASCII)),
    (CoinKind.HIP3, re.compile(rf"[a-z0-9]{{1,12}}:{_NAME}", re.ASCII)),
    (CoinKind.PERP, re.compile(_NAME, re.ASCII)),
)


@lru_cache(maxsize=8192)
def _kind(coin: str) -> CoinKind | None:
    return next((kind for kind, pattern in _PATTERNS if pattern.fullmatch(coin)), None)


def classify(coin: object) -> CoinKind:
    """Market of a coin name. Raises `BadMessage` for anything outside the grammar."""
    kind = _kind(coin) if isinstance(coin, str) else None
    if kind is None:
        raise BadMessage("coin", coin, _ALLOWED)
    return kind


def is_market(coin: object) -> bool:
    """True for a name of the grammar, whatever its market. Raises `BadMessage` where there is no name at all."""
    if not isinstance(coin, str) or not coin:
        raise BadMessage("coin", coin, _ALLOWED)
    return _kind(coin) is not None


def is_followed(coin: object) -> bool:
    """True for perpetuals of the first dex; all else is ignored and counted by the caller, also names of a grammar
    that does not exist yet. Raises `BadMessage` where there is no name at all."""
    if not isinstance(coin, str) or not coin:
        raise BadMessage("coin", coin, _ALLOWED)
    return _kind(coin) is CoinKind.PERP
