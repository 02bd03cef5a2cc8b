"""A model snapshot becomes the one that decides: coins, followed set, pool and life of votes change (spec 1.8)."""

from __future__ import annotations

from sigmapilot_core.domain.engine import restoring
from sigmapilot_core.domain.engine.accounts import Trader
from sigmapilot_core.domain.engine.ballots import Ballots
from sigmapilot_core.domain.engine.coin import CoinState
from sigmapilot_core.domain.engine.core import ActiveModel, Core
from sigmapilot_core.domain.engine.followers import Followers
from sigmapilot_core.domain.engine.outputs import Output, TrackingChanged
from sigmapilot_core.domain.engine.restoring import Restored
from sigmapilot_core.domain.snapshot import ModelSnapshot


class Activation:
    """Switches the engine from one model to the next; the first one also brings back what was restored."""

    def __init__(self, core: Core, ballots: Ballots, followers: Followers) -> None:
        self._core = core
        self._ballots = ballots
        self._followers = followers
        self.restored: Restored | None = None

    def activate(self, snapshot: ModelSnapshot, now_ms: int, out: list[Output]) -> None:
        """Decide with this snapshot from here on.

        Errors: ValueError for another mode than the one that decided before: modes never mix.
        """
        core = self._core
        if core.model is not None and core.model.snapshot.mode != snapshot.mode:
            raise ValueError(f"snapshot.mode is {snapshot.mode!r}, allowed is {core.model.snapshot.mode!r}")
        core.model = ActiveModel.of(snapshot, core.model)
        self._adopt_coins(snapshot)
        restored, self.restored = self.restored, None
        if restored is not None:
            restoring.seat_traders(core, restored)
            restoring.recall(core, restored)
        self._adopt_traders(snapshot, out)
        self._adopt_pool(now_ms, out)
        for trader in list(core.traders.values()):
            self._followers.forget_if_done(trader)
        if restored is not None:
            self._bring_back(restored)
        for state in core.coins.values():
            self._ballots.on_life_changed(state, out)

    def _adopt_coins(self, snapshot: ModelSnapshot) -> None:
        """Coins of the universe; one that left it keeps its state and takes no more votes."""
        rules = snapshot.settings.consensus
        for coin, figures in snapshot.fast.assets.items():
            if not self._core.is_own(coin):
                continue
            state = self._core.coins.get(coin)
            if state is None:
                state = self._core.coins[coin] = CoinState.of(coin, figures)
            state.adopt(figures, rules)
        for coin, state in self._core.coins.items():
            if coin not in snapshot.fast.assets:
                state.is_votable = False

    def _adopt_traders(self, snapshot: ModelSnapshot, out: list[Output]) -> None:
        """The followed set; who left it is followed on while an episode is open."""
        traders = self._core.traders
        followed = {*snapshot.slow.tracked, *(member.address for member in snapshot.slow.pool)}
        added = sorted(followed - traders.keys())
        removed = sorted(user for user, trader in traders.items() if user not in followed and not trader.is_leaving)
        for user in added:
            traders[user] = Trader(user)
        for trader in traders.values():
            trader.is_leaving = trader.address not in followed
        if added or removed:
            out.append(TrackingChanged(tuple(added), tuple(removed)))

    def _adopt_pool(self, now_ms: int, out: list[Output]) -> None:
        """The pool; votes of traders who left it, and in coins that take no more votes, are dropped."""
        assert self._core.model is not None
        members = self._core.model.members
        for trader in self._core.traders.values():
            was_member = trader.member is not None
            trader.member = members.get(trader.address)
            if not was_member:
                continue
            for coin, seat in trader.seats.items():
                state = self._core.coins[coin]
                if trader.member is None or not state.is_votable:
                    self._ballots.drop(state, seat, now_ms, out)

    def _bring_back(self, restored: Restored) -> None:
        """Votes that stood before the restart; expiry follows with the life of votes."""
        for seat in restoring.recast(self._core, restored, self._core.params.consensus):
            self._ballots.put_back(self._core.coins[seat.coin], seat)
        for trader in self._core.traders.values():
            for seat in trader.seats.values():
                self._followers.schedule_timeout(seat)
