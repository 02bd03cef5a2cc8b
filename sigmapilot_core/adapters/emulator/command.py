"""The command line of the emulator: what is not given comes from the project's settings."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path

from sigmapilot_core.adapters.emulator.composition import Options, RecordingPlan
from sigmapilot_core.adapters.emulator.config import EmulatorConfig, LimitConfig
from sigmapilot_core.adapters.emulator.disturbances import Disturbance
from sigmapilot_core.adapters.emulator.faults import CATALOGUE, FaultOrder, Place, parse_order
from sigmapilot_core.adapters.emulator.world_store import WorldPlan
from sigmapilot_core.adapters.hyperliquid.errors import BadMessage
from sigmapilot_core.adapters.hyperliquid.fields import to_address
from sigmapilot_core.adapters.settings import Settings
from sigmapilot_core.domain.simulation.settings import Profile

WORLD_FOLDER = "world"
_ORDERED = "Ordered on the command line."
_FOREVER_S = 100 * 365 * 86_400


def parser() -> argparse.ArgumentParser:
    """All options; none is required."""
    cli = argparse.ArgumentParser(
        prog="python -m sigmapilot_core.adapters.emulator",
        description="A Hyperliquid venue on 127.0.0.1: a simulated world, or a recording played again.",
    )
    cli.add_argument("--port", type=int, help="port on 127.0.0.1; 0 takes a free one")
    cli.add_argument("--seed", type=int, help="seed of the world")
    cli.add_argument("--epoch-ms", type=int, help="first instant of the world's live part; default: the first start")
    cli.add_argument("--traders", type=int, help="traders of the world")
    cli.add_argument("--days", type=int, help="days of history before the epoch")
    cli.add_argument("--profile", choices=[p.value for p in Profile], help="rate of events once the stream is ready")
    cli.add_argument("--no-disturbances", action="store_true", help="leave out the demo's declared disturbances")
    cli.add_argument("--state-dir", type=Path, help="folder that keeps the world's seed, epoch and inputs")
    cli.add_argument("--recording", type=Path, help="folder with one recorded market instead of a world")
    cli.add_argument("--leaderboard", type=Path, help="folder with one recorded leaderboard")
    cli.add_argument("--speed", type=float, help="pace of a recording; 0 is as fast as it is consumed")
    cli.add_argument("--token-file", type=Path, help="file with the token of the routes that change state")
    cli.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[,KEY=VALUE...]",
        help="fault on from the start; at_s=N: N seconds after the stream is ready, as connections need it",
    )
    cli.add_argument("--deposit", action="append", default=[], metavar="ADDRESS=USD", help="account for real orders")
    cli.add_argument("--unlimited", action="store_true", help="no request and connection limits")
    return cli


def options(arguments: Sequence[str], settings: Settings) -> Options:
    """What to run. Errors: ValueError with one sentence; SystemExit of the parser for unknown options."""
    given = parser().parse_args(arguments)
    state_dir = given.state_dir or settings.mode_dir / WORLD_FOLDER
    faults = [_fault(text) for text in given.fault]
    return Options(
        config=_config(given, settings),
        plan=_plan(given, settings),
        state_dir=state_dir,
        faults=tuple(order for order, at_s, _ in faults if at_s is None),
        later=tuple(Disturbance(at_s, seconds, order, _ORDERED) for order, at_s, seconds in faults if at_s is not None),
        declared_disturbances=not given.no_disturbances,
    )


def _plan(given: argparse.Namespace, settings: Settings) -> WorldPlan | RecordingPlan:
    market = given.recording
    if market is None and settings.mode.kind == "recording" and given.seed is None:
        market = settings.recording.market_dir
        if market is None:
            raise ValueError("--recording is missing; allowed is a folder with one recorded market.")
    if market is not None:
        return RecordingPlan(market, given.leaderboard or settings.recording.leaderboard_dir)
    world = settings.world
    return WorldPlan(
        seed=world.seed if given.seed is None else given.seed,
        traders=world.traders if given.traders is None else given.traders,
        history_days=world.days if given.days is None else given.days,
        profile=Profile(given.profile or world.profile),
        epoch_ms=given.epoch_ms,
    )


def _config(given: argparse.Namespace, settings: Settings) -> EmulatorConfig:
    speed = settings.recording.speed if given.speed is None else given.speed
    if not 0 <= speed < float("inf"):
        raise ValueError(f"--speed is {speed}; allowed is 0 or more.")
    limits = LimitConfig(enabled=not given.unlimited, weight_per_minute=settings.request_weight_per_minute)
    return EmulatorConfig(
        port=settings.ports.emulator if given.port is None else given.port,
        speed=speed,
        seed=settings.world.seed if given.seed is None else given.seed,
        token=_token(given.token_file, settings),
        deposits=dict(_deposit(text) for text in given.deposit),
        limits=limits,
    )


def _token(path: Path | None, settings: Settings) -> str | None:
    if path is None:
        return None if settings.api_token is None else settings.api_token.get_secret_value()
    token = path.read_text().strip()
    if not token:
        raise ValueError(f"--token-file {path} is empty; allowed is a file with a token.")
    return token


def _deposit(text: str) -> tuple[str, Decimal]:
    address, _, amount = text.partition("=")
    try:
        usd = Decimal(amount)
        account = to_address(address, "--deposit")
    except (InvalidOperation, BadMessage):
        usd, account = Decimal(0), ""
    if not usd.is_finite() or usd <= 0:
        raise ValueError(f"--deposit is {text!r}; allowed is ADDRESS=USD with an amount above zero.")
    return account, usd


def _fault(text: str) -> tuple[FaultOrder, int | None, int]:
    """`name,key=value,...` in the form of the route's body, with `at_s`: when it begins (None: at once) and how many
    seconds it lasts then."""
    name, *pairs = text.split(",")
    body: dict[str, object] = {"name": name}
    for pair in pairs:
        key, mark, value = pair.partition("=")
        if not mark:
            raise ValueError(f"--fault holds {pair!r}; allowed is key=value.")
        body[key] = _value(value)
    at_s = body.pop("at_s", None)
    order = parse_order(body, 0)
    if at_s is None:
        if CATALOGUE[name].place is Place.CONNECTION or order.until_ms is not None:
            raise ValueError(f"--fault is {text!r}; allowed are faults that last, without seconds, or with at_s.")
        return order, None, 0
    if not isinstance(at_s, float) or not 0 <= at_s < _FOREVER_S:
        raise ValueError(f"--fault holds at_s={at_s}; allowed is a number of seconds of 0 or more.")
    seconds = _FOREVER_S if order.until_ms is None else order.until_ms // 1000
    return replace(order, until_ms=None), int(at_s), seconds


def _value(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text
