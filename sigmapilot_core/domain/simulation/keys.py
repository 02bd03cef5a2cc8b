"""Randomness as a pure function: Philox streams keyed by purpose, and hashes that give every act its own numbers.

A stream serves what is drawn in one piece (a population, an hour of prices). A hash serves what belongs to one act of
one trader, so that it is the same whether the act falls into a window of one second or of one day.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Keys = NDArray[np.uint64]
Floats = NDArray[np.float64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_A = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B = np.uint64(0x94D049BB133111EB)
_UNIT = 2.0**-53


class Draw(IntEnum):
    """What a number drawn from an act's key decides; one name, one independent number."""

    NOTICE = 1
    DELAY = 2
    ACCURACY = 3
    HOLD = 4
    STOP = 5
    TAKE_PROFIT = 6
    SIZE = 7
    ADD = 8
    ADD_SIZE = 9
    TURN = 10
    PART = 11
    PART_TIME = 12
    CHILDREN = 13
    MAKER = 14
    LATENCY = 15
    MISS = 16
    COPY_DELAY = 17
    COUNTERPARTY = 18
    HEDGE = 19
    HEDGE_DELAY = 20
    REST = 21
    OFFSET = 22
    ORDER = 23
    RESTING = 24


def stream(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """The generator of one purpose (and part of it): Philox over SeedSequence(seed, purpose, index...)."""
    word = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "big")
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, word, *index])))


def mix(*parts: ArrayLike) -> Keys:
    """64-bit key of the parts, element by element (splitmix64 finaliser chained); at least one-dimensional."""
    state: Keys = np.zeros(1, dtype=np.uint64)
    for part in parts:
        word = np.atleast_1d(np.asarray(part))
        word = word if word.dtype == np.uint64 else word.astype(np.int64).astype(np.uint64)
        state = _finished((state * _MIX_A) ^ (word + _GOLDEN))
    return state


def unit(key: ArrayLike, draw: Draw) -> Floats:
    """Uniform number in (0, 1) of each key for one purpose."""
    return ((mix(key, np.uint64(draw)) >> np.uint64(11)).astype(np.float64) + 0.5) * _UNIT


def normal(key: ArrayLike, draw: Draw) -> Floats:
    """Standard normal number of each key for one purpose, by the inverse distribution function."""
    return np.asarray(special.ndtri(unit(key, draw)))


def between(key: ArrayLike, draw: Draw, low: ArrayLike, high: ArrayLike) -> Floats:
    """Uniform number in (low, high) of each key for one purpose."""
    low = np.asarray(low, dtype=np.float64)
    return low + (np.asarray(high, dtype=np.float64) - low) * unit(key, draw)


def address(seed: int, index: int) -> str:
    """The lower-case address of an account."""
    return "0x" + hashlib.sha256(f"account:{seed}:{index}".encode()).hexdigest()[:40]


def _finished(z: Keys) -> Keys:
    z = (z ^ (z >> np.uint64(30))) * _MIX_A
    z = (z ^ (z >> np.uint64(27))) * _MIX_B
    return z ^ (z >> np.uint64(31))
