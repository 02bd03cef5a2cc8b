"""Voters and pairs of one coin as decisions hold them, made once per vote instead of once per decision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sigmapilot_core.domain.consensus.inputs import Voter, finite_voter
from sigmapilot_core.domain.consensus.votes import Vote
from sigmapilot_core.domain.snapshot import PoolMember
from sigmapilot_core.domain.traders.correlation import PairCorrelation


@dataclass(frozen=True, slots=True)
class PairIndex:
    """Measured pairs by their first and second address."""

    rows: dict[str, dict[str, PairCorrelation]]

    @classmethod
    def of(cls, pairs: Iterable[PairCorrelation]) -> PairIndex:
        """Index pairs with addr_a < addr_b."""
        rows: dict[str, dict[str, PairCorrelation]] = {}
        for pair in pairs:
            rows.setdefault(pair.addr_a, {})[pair.addr_b] = pair
        return cls(rows)

    def among(self, addresses: Sequence[str]) -> tuple[PairCorrelation, ...]:
        """The pairs measured among ascending addresses, ascending."""
        found: list[PairCorrelation] = []
        for i, address in enumerate(addresses, 1):
            row = self.rows.get(address)
            if row is not None:
                found += [row[other] for other in addresses[i:] if other in row]
        return tuple(found)


@dataclass(slots=True)
class Electorate:
    """What the last decision on a coin was made of: kept as long as vote, member and model are the same objects."""

    _voters: dict[str, tuple[Vote, PoolMember, Voter]] = field(default_factory=dict)
    _pairs_of: tuple[PairIndex | None, list[str]] = (None, [])
    _pairs: tuple[PairCorrelation, ...] = ()

    def voters(self, votes: Sequence[Vote], members: Mapping[str, PoolMember]) -> tuple[Voter, ...]:
        """The votes with their voters' posteriors, in their order, numbers that are not finite made unknown."""
        before, kept, found = self._voters, {}, []
        for vote in votes:
            user = vote.user
            member, held = members[user], before.get(user)
            if held is None or held[0] is not vote or held[1] is not member:
                held = (vote, member, finite_voter(_voter(vote, member)))
            kept[user] = held
            found.append(held[2])
        self._voters = kept
        return tuple(found)

    def pairs(self, agreeing: list[str], index: PairIndex) -> tuple[PairCorrelation, ...]:
        """The pairs measured among ascending addresses."""
        known, before = self._pairs_of
        if known is not index or before != agreeing:
            self._pairs_of, self._pairs = (index, agreeing), index.among(agreeing)
        return self._pairs


def _voter(vote: Vote, member: PoolMember) -> Voter:
    posterior = member.posterior
    return Voter(
        address=vote.user,
        direction=vote.direction,
        voted_at_ms=vote.voted_at_ms,
        price=vote.price,
        notional=vote.notional,
        fill_ids=vote.fill_ids,
        m=posterior.m,
        kappa=posterior.kappa,
        alpha=posterior.alpha,
        beta=posterior.beta,
        n_episodes=member.n_episodes,
    )
