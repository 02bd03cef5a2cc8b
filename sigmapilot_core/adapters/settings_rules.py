"""What a setting's text may be: each rule turns text into a value and says in words what is allowed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Protocol

_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off")


class Rule(Protocol):
    """Parses the text of one setting."""

    @property
    def allowed(self) -> str:
        """What is allowed, in words that fit behind `allowed:`."""
        ...

    def parse(self, text: str) -> object:
        """The value of `text`.

        Raises:
            ValueError: the text is not allowed; the caller names setting, value and `allowed`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number from `low` to `high`; `above` excludes the lower bound, `whole` admits integers only."""

    low: float
    high: float
    above: bool = False
    whole: bool = False

    @property
    def allowed(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        if self.above:
            return f"{kind} above {self.low:.12g} up to {self.high:.12g}"
        return f"{kind} from {self.low:.12g} to {self.high:.12g}"

    def parse(self, text: str) -> float | int:
        value = int(text) if self.whole else float(text)
        if not math.isfinite(value) or not self.low <= value <= self.high or (self.above and value == self.low):
            raise ValueError(text)
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        return " | ".join(self.words)

    def parse(self, text: str) -> str:
        if text not in self.words:
            raise ValueError(text)
        return text


@dataclass(frozen=True, slots=True)
class Flag:
    """A yes or no."""

    @property
    def allowed(self) -> str:
        return "true or false"

    def parse(self, text: str) -> bool:
        word = text.lower()
        if word not in _TRUE + _FALSE:
            raise ValueError(text)
        return word in _TRUE


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text of a given form; `allowed` says it in words."""

    expression: str
    allowed: str

    def parse(self, text: str) -> str:
        if not re.fullmatch(self.expression, text):
            raise ValueError(text)
        return text
