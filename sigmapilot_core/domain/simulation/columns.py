"""Arrays that grow at the end without being copied each time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Column:
    """A growing array of rows of one shape; capacity doubles."""

    def __init__(self, row_shape: tuple[int, ...], dtype: DTypeLike, capacity: int = 1024) -> None:
        self._data: NDArray[Any] = np.zeros((capacity, *row_shape), dtype=dtype)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def extend(self, rows: NDArray[Any]) -> None:
        """Append rows."""
        needed = self._size + len(rows)
        if needed > len(self._data):
            grown = np.zeros((max(needed, 2 * len(self._data)), *self._data.shape[1:]), dtype=self._data.dtype)
            grown[: self._size] = self._data[: self._size]
            self._data = grown
        self._data[self._size : needed] = rows
        self._size = needed

    def view(self) -> NDArray[Any]:
        """The rows so far; valid until the next `extend`."""
        return self._data[: self._size]
