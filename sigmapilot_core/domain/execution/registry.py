"""All orders by id, client id and account; what is over is kept up to a limit per account (venue reference 1.4)."""

from __future__ import annotations

from collections import deque

from sigmapilot_core.domain.execution.orders import Order


class OrderRegistry:
    """The newest state of every order. Live orders are never forgotten, the others from the oldest on."""

    def __init__(self, retention: int) -> None:
        self._retention = retention
        self._orders: dict[int, Order] = {}
        self._by_cloid: dict[tuple[str, str], int] = {}
        self._live: dict[str, dict[int, None]] = {}
        self._over: dict[str, deque[int]] = {}
        self._armed: dict[str, dict[int, None]] = {}
        self._next_oid = 1

    def next_oid(self) -> int:
        """A new order id, ascending from 1."""
        self._next_oid += 1
        return self._next_oid - 1

    def put(self, order: Order) -> None:
        """Store the new state of an order."""
        known = self._orders.get(order.oid)
        self._orders[order.oid] = order
        if order.intent.cloid is not None and not order.status.is_rejected:
            self._by_cloid[(order.user, order.intent.cloid)] = order.oid
        self._index(self._live.setdefault(order.user, {}), order.oid, order.is_live)
        self._index(self._armed.setdefault(order.coin, {}), order.oid, order.is_armed)
        if order.is_over and (known is None or not known.is_over):
            self._retire(order)

    def get(self, oid: int) -> Order:
        """The order. Errors: KeyError for an id never given or forgotten."""
        return self._orders[oid]

    def find(self, user: str, key: int | str) -> Order | None:
        """The account's order with this id or client id; None if there is none, or it was forgotten."""
        oid = self._by_cloid.get((user, key)) if isinstance(key, str) else key
        order = self._orders.get(oid) if oid is not None else None
        return order if order is not None and order.user == user else None

    def release_cloid(self, user: str, cloid: str) -> None:
        """Let a client id be used again: a modified order keeps it under its new order id."""
        self._by_cloid.pop((user, cloid), None)

    def live(self, user: str, coin: str | None = None) -> list[Order]:
        """Live orders of an account in the order they were placed."""
        orders = (self._orders[oid] for oid in sorted(self._live.get(user, ())))
        return [order for order in orders if coin is None or order.coin == coin]

    def armed(self, coin: str) -> list[Order]:
        """Triggers of a coin that wait for the mark, oldest first."""
        return [self._orders[oid] for oid in sorted(self._armed.get(coin, ()))]

    def recent(self, user: str) -> list[Order]:
        """Every order of an account that is still known, oldest first."""
        over = [self._orders[oid] for oid in self._over.get(user, ())]
        return sorted(over + self.live(user), key=lambda order: order.oid)

    @staticmethod
    def _index(index: dict[int, None], oid: int, is_member: bool) -> None:
        if is_member:
            index[oid] = None
        else:
            index.pop(oid, None)

    def _retire(self, order: Order) -> None:
        over = self._over.setdefault(order.user, deque())
        over.append(order.oid)
        if len(over) > self._retention:
            gone = self._orders.pop(over.popleft())
            key = (gone.user, gone.intent.cloid or "")
            if self._by_cloid.get(key) == gone.oid:
                del self._by_cloid[key]
