"""A venue that is stepped, the stream and Postgres as processes of their own, and ways to kill each of them."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import orjson
import psutil
import psycopg

from sigmapilot_core.adapters.child_process import die_with_parent
from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.emulator.config import EmulatorConfig, LimitConfig, StreamConfig
from sigmapilot_core.adapters.emulator.scripted_source import Script, ScriptedSource
from sigmapilot_core.adapters.emulator.server import RunningEmulator, in_thread
from sigmapilot_core.adapters.emulator.service import Emulator
from sigmapilot_core.adapters.emulator.trade_bars import trade_bars
from sigmapilot_core.adapters.journal.files import JournalFile, journal_files
from sigmapilot_core.adapters.journal.records import MAGIC, read_record
from sigmapilot_core.adapters.postgres.databases import ensure_database, prepare_database
from sigmapilot_core.adapters.postgres.server import EmbeddedServer
from sigmapilot_core.domain.events import Bar, Trade
from sigmapilot_core.domain.snapshot import ModelSnapshot
from sigmapilot_core.domain.traders.posterior import evidence_of, posterior_of
from sigmapilot_core.domain.venue import AssetContext, AssetSpec
from tests.domain.engine.engine_builders import T0, figures, snapshot, trader

MODE = "recording:kills"
SEED = 20_251_027
STEP_MS, DELAY_MS = 500, 50
TRADES_A_STEP = 240
COINS = {"BTC": 50_000, "ETH": 2_500, "SOL": 150, "XRP": 2, "DOGE": 1, "LINK": 15}
POOL = tuple(trader(n) for n in range(1, 21))
OTHERS = tuple(trader(n) for n in range(100, 300))
DEADLINE_S = 60.0
CONTEXT_MS = 1_000
"""How often figures of a coin are sent; books come with every step."""

CONFIG = EmulatorConfig(
    stepped=True,
    limits=LimitConfig(enabled=False),
    # what a step brings of one coin fits into the replay after a subscribe: whatever a kill costs can be had again
    stream=StreamConfig(trade_replay=4 * TRADES_A_STEP, queue_frames=100_000, idle_s=3_600, consumer_timeout_s=60),
)

T = TypeVar("T")


def model() -> ModelSnapshot:
    """A pool of twenty among 220 followed traders, all coins decidable, valid for the whole run."""
    assets = [figures(coin, float(price)) for coin, price in COINS.items()]
    return replace(snapshot(POOL, assets, tracked=OTHERS), mode=MODE)


def trades_of(steps: int, seed: int) -> list[Trade]:
    """What happens: followed traders trade with each other in small lots, so that positions open, close and flip; now
    and then some of the pool act together."""
    rng = random.Random(seed)
    prices = {coin: Decimal(px) for coin, px in COINS.items()}
    found: list[Trade] = []
    herd: tuple[str, list[str]] = ("", [])
    for step in range(steps):
        if step % 20 == 0:
            herd = (rng.choice(list(COINS)), rng.sample(POOL, 5))
        for n in range(TRADES_A_STEP):
            coin = rng.choice(list(COINS))
            buyer, seller = rng.sample(OTHERS, 2)
            if n < 8 and herd[1]:
                coin, buyer = herd[0], herd[1].pop()
            elif n % 40 == 39:
                buyer = rng.choice(POOL)
            elif n % 40 == 19:
                seller = rng.choice(POOL)
            prices[coin] = (prices[coin] * (1 + Decimal(rng.randint(-3, 3)) / 100_000)).quantize(Decimal("0.0001"))
            at = T0 + step * STEP_MS + 1 + n * (STEP_MS - 1) // TRADES_A_STEP
            tid = len(found) + 1
            found.append(
                Trade(
                    coin,
                    prices[coin],
                    Decimal(rng.choice((1, 1, 2))) / 10,
                    at,
                    tid,
                    f"0x{tid:064x}",
                    buyer,
                    seller,
                    n % 2 == 0,
                )
            )
    return found


class KillSource(ScriptedSource):
    """A script of hundreds of thousands of trades: nothing is looked for in all of them."""

    def __init__(self, trades: list[Trade]) -> None:
        super().__init__(Script([AssetSpec(c, 5, 50) for c in COINS], {c: Decimal(p) for c, p in COINS.items()}), T0)
        self._all = trades
        self._next = 0
        self._by_coin: dict[str, list[Trade]] = {coin: [] for coin in COINS}

    def advance(self, to_ms: int) -> Sequence[Trade]:
        begin = self._next
        while self._next < len(self._all) and self._all[self._next].time_ms <= to_ms:
            trade = self._all[self._next]
            self._by_coin[trade.coin].append(trade)
            self._next += 1
        due = self.script.trades = self._all[begin : self._next]
        self._played = []
        super().advance(to_ms)
        return due

    def recent_trades(self, coin: str, limit: int = 30) -> Sequence[Trade]:
        return self._by_coin[coin][-limit:]

    def context(self, coin: str) -> AssetContext:
        px = self.script.prices[coin]
        return AssetContext(coin, self.now_ms, px, px, px, px, 5e8, 0.0, 0.00001, 0.0)

    def candles(self, coin: str, interval_ms: int, start_ms: int, end_ms: int) -> Sequence[Bar]:
        held = self._by_coin[coin]
        begin = next((i for i in range(len(held), 0, -1) if held[i - 1].time_ms < start_ms), 0)
        return trade_bars(iter(held[begin:]), interval_ms, start_ms, end_ms)


def stepped_venue(trades: list[Trade]) -> AbstractContextManager[RunningEmulator]:
    """A venue in a thread that plays the trades step by step."""

    def build() -> Emulator:
        return Emulator(CONFIG, FeedClock(T0), seconds=lambda: 0.0)

    return in_thread(build, lambda emulator: emulator.open(KillSource(trades)))


def database(server: EmbeddedServer, name: str, mode: str = MODE) -> str:
    """A fresh database, prepared; its URL."""
    url = server.paths.url(name, driver="psycopg")
    ensure_database(url)
    prepare_database(url, mode)
    return url


def moments(kills: int, steps: int, kinds: Sequence[str]) -> dict[int, str]:
    """Which step is disturbed, and by whom: all kinds in turn, the places random."""
    rng = random.Random(SEED)
    places = sorted(rng.sample(range(2, steps - 1), kills))
    chosen = [kinds[n % len(kinds)] for n in range(kills)]
    rng.shuffle(chosen)
    return dict(zip(places, chosen, strict=True))


def until(what: str, ask: Callable[[], T], seconds: float = DEADLINE_S) -> T:
    """The first true answer; fails with what was waited for."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.005)
    return answer


def free_port_base() -> int:
    """A base whose port of the stream is free."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1]) - 20


@dataclass
class Killed:
    """What happened: kills by kind, seconds from the start of a process to its first committed input, ends that nobody
    caused."""

    kills: dict[str, int] = field(default_factory=dict)
    restarts_s: list[float] = field(default_factory=list)
    restarts_cpu_s: list[float] = field(default_factory=list)
    unplanned: int = 0


class StreamProcess:
    """`python -m sigmapilot_stream` over an emulated venue, started again as its supervisor would."""

    def __init__(self, home: Path, url: str, venue_url: str, settings: Mapping[str, str] | None = None) -> None:
        self.home, self.url = home, url
        self.log = home / "stream.log"
        self.ports = free_port_base()
        self._venue = venue_url
        self._settings = settings or {}
        self._process: subprocess.Popen[bytes] | None = None
        home.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Start it; its words go to the log."""
        self._process = self.started(self.log)

    def started(self, said: Path, *arguments: str) -> subprocess.Popen[bytes]:
        """A process of the stream, with its words in a log."""
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "SIGMAPILOT_HOME": str(self.home),
            "SIGMAPILOT_MODE": MODE, "SIGMAPILOT_DATABASE_URL": self.url, "SIGMAPILOT_VENUE_API_URL": self._venue,
            "SIGMAPILOT_VENUE_WS_URL": self._venue.replace("http", "ws") + "/ws",
            "SIGMAPILOT_PORT_BASE": str(self.ports), "SIGMAPILOT_LOG_LEVEL": "warning", **self._settings,
        }  # fmt: skip
        with said.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "sigmapilot_stream", *arguments], env=environment, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent(),
            )  # fmt: skip

    @property
    def has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def cpu_s(self) -> float:
        """Processor time it used so far."""
        return sum(psutil.Process(self.pid).cpu_times()[:2])

    def kill(self) -> None:
        """SIGKILL, reaped."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def end(self) -> int:
        """An orderly end; the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(DEADLINE_S)

    def is_ready(self) -> bool:
        """Whether it says that nothing is missing."""
        try:
            return (
                httpx.get(f"http://127.0.0.1:{self.ports + 20}/readyz", timeout=5, trust_env=False).status_code == 200
            )
        except httpx.TransportError:
            return False

    @property
    def journal(self) -> Path:
        """Where it journals what it receives, a folder a partition."""
        return self.home / "recording_kills" / "journal"

    @property
    def journal_bytes(self) -> int:
        """How much it has journalled: progress that can be seen from outside."""
        return sum(p.stat().st_size for p in self.journal.glob("*/*.journal"))

    def said(self, text: str) -> int:
        """How often a text stands in its log."""
        return self.log.read_bytes().count(text.encode())


def query(url: str, text: str) -> list[tuple[Any, ...]]:
    """Rows of a query."""
    with psycopg.connect(url.replace("+psycopg", ""), connect_timeout=5) as connection:
        return connection.execute(text).fetchall()


def progress_of(url: str) -> int:
    """The last committed input; of several partitions the sum of theirs."""
    # what the executor has done is noted there as well
    ((inputs,),) = query(url, "SELECT sum(seq + 1) FROM stream_progress WHERE partition NOT LIKE 'exec%'")
    return int(inputs or 0) - 1


class Journalled:
    """Follows a journal while it is written: which coins' books and figures of a receive time stand in it.

    A connection's frames are journalled in the order sent: trades, then books, then figures. With the last of each
    coin there is everything.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._at: dict[Path, tuple[JournalFile, int]] = {}
        self._at_ms = 0
        self._found: set[tuple[str, str]] = set()

    def holds(self, last: set[tuple[str, str]], at_ms: int) -> bool:
        """Whether these frames, each a channel and a coin, were journalled as received at an instant."""
        if at_ms != self._at_ms:
            self._at_ms, self._found = at_ms, set()
        for partition in self._folder.glob("*"):
            for file in journal_files(partition):
                known, offset = self._at.get(partition, (None, 0))
                if known is None or file.first_seq > known.first_seq:
                    offset = len(MAGIC)
                if known is None or file.first_seq >= known.first_seq:
                    self._at[partition] = (file, self._read(file, offset))
        return last <= self._found

    def _read(self, file: JournalFile, offset: int) -> int:
        """Read on from an offset; gives where the whole records end."""
        with file.open() as stream:
            stream.seek(offset)
            while (found := read_record(stream)) is not None:
                record, length = found
                offset += length
                if record.received_ms == self._at_ms and record.kind in ("live", "history"):
                    frame = orjson.loads(record.payload)
                    if isinstance(frame["data"], dict) and "coin" in frame["data"]:
                        self._found.add((frame["channel"], frame["data"]["coin"]))
        return offset


class Ordeal:
    """One run of the script, killed at seeded moments or left alone."""

    READY_S = DEADLINE_S

    def __init__(self, stream: StreamProcess, server: EmbeddedServer, venue: RunningEmulator, seed: int) -> None:
        self.stream, self.server, self.venue = stream, server, venue
        self.seen = Killed()
        self._rng = random.Random(seed)
        self._subscriptions = 0
        self._journalled = Journalled(stream.journal)

    def begin(self) -> None:
        """Start and wait until it listens."""
        self.stream.start()
        self._ready()
        self._subscriptions = self.venue.emulator.hub.counts()["subscriptions"]

    def play(self, steps: int, kills: dict[int, str]) -> None:
        """Step by step; each is journalled whole before the next, so that a kill costs nothing of the steps before."""
        for step in range(steps):
            to_ms = T0 + (step + 1) * STEP_MS
            self.venue.call(lambda e, at=to_ms: e.parts().driver.step(at, at + DELAY_MS))  # type: ignore[misc]
            kind = kills.get(step)
            if kind is not None:
                self._mid_step()
                getattr(self, f"_kill_{kind}")()
                self.seen.kills[kind] = self.seen.kills.get(kind, 0) + 1
            self._settle(to_ms)

    def finish(self, fills: int) -> int:
        """Wait until everything is committed, then end it; the exit code."""
        stored = partial(query, self.stream.url, "SELECT count(*) FROM fills")
        until("all fills are stored", lambda: stored()[0][0] >= fills, 600)
        return self.stream.end()

    def _mid_step(self) -> None:
        """A moment while the step is consumed: after a random amount was journalled, or all of it."""
        aim = self.stream.journal_bytes + self._rng.randrange(60_000)
        last, still = -1, 0
        while (size := self.stream.journal_bytes) < aim and still < 40:
            still = still + 1 if size == last else 0
            last = size
            time.sleep(0.002)

    def _kill_stream(self) -> None:
        self.stream.kill()
        before = progress_of(self.stream.url)
        self._start_again(before)

    def _start_again(self, before: int) -> None:
        started = time.monotonic()
        self.stream.start()
        until("it works again", lambda: self._check_ended() or progress_of(self.stream.url) > before)
        self.seen.restarts_s.append(time.monotonic() - started)
        self.seen.restarts_cpu_s.append(self.stream.cpu_s)
        self._ready()

    def _kill_feed(self) -> None:
        """Reset one of the feed's connections and wait until everything is heard again."""
        pick = self._rng.random()

        async def abort(emulator: Emulator) -> object:
            found = [c for c in emulator.hub.connections if c.subscriptions]
            chosen = found[int(pick * len(found))]
            chosen.abort(reset=True)
            return chosen

        gone = self.venue.call(abort)
        hub = self.venue.emulator.hub
        until("everything is heard again", lambda: gone not in hub.connections and self._hears_all())

    def _kill_postgres(self) -> None:
        """SIGKILL the server; once the stream has noticed, start it again."""
        noticed = self.stream.said("database does not answer")
        process = self.server._process
        assert process is not None
        process.kill()
        process.wait()
        until("it notices", lambda: self._check_ended() or self.stream.said("database does not answer") > noticed)
        self.server.start()

    def _hears_all(self) -> bool:
        return self.venue.emulator.hub.counts()["subscriptions"] >= self._subscriptions

    def _ready(self) -> None:
        until("it is ready", lambda: self._check_ended() or self.stream.is_ready(), self.READY_S)

    def _check_ended(self) -> bool:
        """A process that ended by itself is started again, as its supervisor does, and counted."""
        if self.stream.has_ended:
            self.seen.unplanned += 1
            self.stream.start()
        return False

    def _settle(self, to_ms: int) -> None:
        """Until the stream has journalled everything that was sent. That its sockets were read is not enough: what
        waits in its memory dies with it, and may be of several steps."""
        last = {("l2Book", coin) for coin in COINS}
        if to_ms % CONTEXT_MS == 0:
            last |= {("activeAssetCtx", coin) for coin in COINS}
        until(
            f"the step to {to_ms} is journalled",
            lambda: self._check_ended() or self._journalled.holds(last, to_ms + DELAY_MS),
        )


CONTENT = {
    "trades": "SELECT time_ms, coin, tid, px, sz, buyer, seller, aggressor_is_buyer, hash FROM trades ORDER BY 1, 2, 3",
    "fills": "SELECT address, time_ms, coin, tid, is_buy, px, sz, crossed, position_after, realized_pnl, action,"
    " episode_id, hash FROM fills ORDER BY 1, 2, 3, 4",
    "ledger": "SELECT address, symbol, size, entry_price, as_of_ms,"
    " regexp_replace(state::text, '\"known_since_ms\": *\\d+', '') AS state FROM hl_current_positions ORDER BY 1, 2",
    "episodes": "SELECT * FROM position_signals ORDER BY id",
}
NOT_CONTENT = {"updated_at", "known_since_ms"}


def hashes(url: str) -> dict[str, str]:
    """SHA-256 of what is stored, without when it was received or written."""
    found = {name: _hash(_rows(url, text)) for name, text in CONTENT.items()}
    return {**found, "posteriors": _hash(iter(posteriors(url)))}


def differences(one: str, other: str) -> list[str]:
    """What is stored differently in two databases, the first rows of each kind; empty if the hashes are equal."""
    found: list[str] = []
    for name, digest in hashes(one).items():
        if digest != hashes(other)[name] and name in CONTENT:
            mine, theirs = (set(_rows(url, CONTENT[name])) for url in (one, other))
            found += [f"{name}: {row}" for row in (*sorted(mine - theirs)[:3], *sorted(theirs - mine)[:3])]
        elif digest != hashes(other)[name]:
            found.append(f"{name}: {digest} and {hashes(other)[name]}")
    return found


def posteriors(url: str) -> list[str]:
    """What is believed of each trader from the closed episodes that may be learnt from."""
    closed: dict[str, list[tuple[int, float]]] = {}
    rows = query(
        url,
        "SELECT address, extract(epoch FROM exit_ts) * 1000, r_gross FROM position_signals"
        " WHERE status = 'closed' AND learnable AND r_gross IS NOT NULL ORDER BY address, exit_ts, id",
    )
    for address, closed_ms, r in rows:
        closed.setdefault(address, []).append((int(closed_ms), float(r)))
    as_of = T0 + 86_400_000
    return [
        f"{user} {posterior_of(evidence_of([at for at, _ in found], [r for _, r in found], as_of))}"
        for user, found in closed.items()
    ]


def _rows(url: str, text: str) -> Iterator[str]:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        cursor = connection.execute(text)
        names = [column.name for column in cursor.description or ()]
        for row in cursor:
            yield repr([value for name, value in zip(names, row, strict=True) if name not in NOT_CONTENT])


def _hash(lines: Iterator[str]) -> str:
    digest, count = hashlib.sha256(), 0
    for line in lines:
        digest.update(line.encode() + b"\n")
        count += 1
    return f"{count} rows {digest.hexdigest()}"
