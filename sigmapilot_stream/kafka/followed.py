"""The decision step as the workers report it: what the feed's services know of engines that live elsewhere.

A report is a little old. Whoever was asked about since, and every coin compared since, is not taken for waiting until a
later report says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import sqlalchemy as sa

from sigmapilot_core.adapters.journal.writer import Entry
from sigmapilot_core.adapters.postgres import partition_store
from sigmapilot_core.domain.engine.coin import CoinState
from sigmapilot_core.domain.engine.core import Counters
from sigmapilot_core.domain.engine.share import Share
from sigmapilot_core.domain.snapshot import ModelSnapshot, PoolMember
from sigmapilot_stream.decode import PRIMED, RECONCILED
from sigmapilot_stream.retrying import unless_down
from sigmapilot_stream.together import repeat

POLL_S = 0.5
SILENT_AFTER_S = 15.0


@dataclass(frozen=True, slots=True)
class Followee:
    """One followed trader."""

    member: PoolMember | None
    is_primed: bool = True


@dataclass(slots=True)
class Followed:
    """All partitions together, as one decision step. `on_gap` hears of coins whose record has a hole,
    `on_disagreement` of accounts whose ledger the venue has contradicted."""

    database: sa.Engine
    shares: Sequence[Share]
    on_gap: Callable[[str], None] = lambda _: None
    on_disagreement: Callable[[str], None] = lambda _: None
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    _traders: dict[str, Followee] = field(default_factory=dict)
    _primed_at: dict[str, tuple[int, ...]] = field(default_factory=dict)
    _reconciled_at: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def worker(self) -> Followed:
        """The same: there is no single worker."""
        return self

    @property
    def engine(self) -> Followed:
        """The same: there is no engine in this process."""
        return self

    @property
    def partition(self) -> str:
        """All of them."""
        return "all"

    @property
    def coins(self) -> Mapping[str, CoinState]:
        """None: the workers tell of their coins themselves."""
        return {}

    @property
    def traders(self) -> Mapping[str, Followee]:
        """Followed traders by address, as the newest model names them."""
        return self._traders

    @property
    def counters(self) -> Counters:
        """Sums over the partitions."""
        total = lambda name: sum(int(report[name]) for report in self.reports.values())  # noqa: E731
        return Counters(fills=total("fills"), duplicate=total("duplicates"))

    @property
    def handled_seq(self) -> int:
        """Inputs handled in all partitions, less one: what `SharedInputs.sent_seq` is compared with."""
        return sum(int(self.reports[s.name]["seq"]) + 1 for s in self.shares if s.name in self.reports) - 1

    @property
    def handled_seqs(self) -> dict[str, int]:
        """Inputs handled by partition: the last one, -1 before the first report."""
        return {share.name: int(self._report(share).get("seq", -1)) for share in self.shares}

    def lag_s(self, now_ms: int) -> float | None:
        """How far the last of the partitions is behind. Of one that is silent it grows with the silence; what was never
        measured counts as little as a partition without a report, which is missed elsewhere."""
        silent = set(self.silent)
        found = [
            report["lag_s"] + (report["age_s"] if share.name in silent else 0.0)
            for share in self.shares
            if (report := self._report(share)).get("lag_s") is not None
        ]
        return max(found, default=None)

    @property
    def snapshot_version(self) -> int | None:
        """The oldest model that any partition decides with; None while one has none, or says nothing."""
        found = [self._version(share) for share in self.shares]
        return None if None in found else min(version for version in found if version is not None)

    @property
    def unprimed(self) -> list[str]:
        """Accounts that wait in any partition and were not asked about since it said so; pool members first."""
        waiting = {
            user
            for index, share in enumerate(self.shares)
            for user in self._report(share).get("unprimed", ())
            if user in self._traders and self._is_news(index, share, self._primed_at.get(user))
        }
        return sorted(waiting, key=lambda user: (self._traders[user].member is None, user))

    @property
    def silent(self) -> list[str]:
        """Partitions that nobody has reported of lately."""
        return [s.name for s in self.shares if self._report(s).get("age_s", SILENT_AFTER_S) >= SILENT_AFTER_S]

    def adopt(self, snapshot: ModelSnapshot, also: Iterable[str] = ()) -> None:
        """The traders that a model names, and those followed until their episodes end."""
        members = {member.address: member for member in snapshot.slow.pool}
        names = {*members, *snapshot.slow.tracked, *also}
        self._traders = {name: Followee(members.get(name)) for name in sorted(names)}

    def submitted(self, entries: Sequence[Entry], seqs: tuple[int, ...]) -> None:
        """What was just sent, and the last input of each partition behind it."""
        for kind, _, payload in entries:
            if kind == PRIMED:
                self._primed_at[orjson.loads(payload)["user"]] = seqs
            elif kind == RECONCILED:
                self._reconciled_at[orjson.loads(payload)["coin"]] = seqs

    async def run(self) -> None:
        """Read the reports until cancelled."""
        await repeat(self.look, POLL_S)

    async def look(self) -> None:
        """Read the newest reports and tell of the holes in them."""
        found = await unless_down(self._read, "what workers reported stays")
        if found is None:
            return
        names = {share.name for share in self.shares}
        self.reports = {name: report for name, report in found.items() if name in names}
        waiting = {user for report in self.reports.values() for user in report["unprimed"]}
        self._traders = {name: replace(one, is_primed=name not in waiting) for name, one in self._traders.items()}
        for index, share in enumerate(self.shares):
            for user in self._report(share).get("disagreed", ()):
                self.on_disagreement(user)
            for coin in self._report(share).get("unknown", ()):
                if self._is_news(index, share, self._reconciled_at.get(coin)):
                    self.on_gap(coin)

    def _read(self) -> dict[str, dict[str, Any]]:
        with self.database.connect() as connection:
            return partition_store.read_reports(connection)

    def _report(self, share: Share) -> dict[str, Any]:
        return self.reports.get(share.name, {})

    def _version(self, share: Share) -> int | None:
        version = self._report(share).get("version")
        return None if version is None else int(version)

    def _is_news(self, index: int, share: Share, since: tuple[int, ...] | None) -> bool:
        """Whether a partition's report is of after something was sent to it."""
        return since is None or int(self._report(share)["seq"]) >= since[index]
