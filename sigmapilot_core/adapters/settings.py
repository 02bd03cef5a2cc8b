"""The one file that reads the environment. Everything else is handed a frozen `Settings`.

A variable that is not allowed, contradicts another or starts with `SIGMAPILOT_` and does not exist raises
`SettingsError` with one sentence. An empty variable counts as unset.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import SecretStr

from sigmapilot_core.adapters.postgres.paths import ServerPaths
from sigmapilot_core.adapters.settings_checks import contradictions
from sigmapilot_core.adapters.settings_schema import (
    BY_NAME,
    INSTALLATION,
    PARAMETERS,
    PREFIX,
    SETTINGS,
    Setting,
    parameter_prefixes,
)
from sigmapilot_core.adapters.settings_values import (
    Mode,
    Ports,
    Recording,
    Retention,
    SettingsError,
    VenueUrls,
    World,
)
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.traders.completeness import CompletenessParams

__all__ = [
    "Described",
    "Mode",
    "Ports",
    "Recording",
    "Retention",
    "Settings",
    "SettingsError",
    "VenueUrls",
    "World",
    "child_environment",
    "describe",
    "export_libpq",
    "libpq_environment",
    "load_settings",
]

_WEIGHT = 1200  # the exchange's own limit; the emulator's is higher so that first histories take seconds
_EMULATED_WEIGHT = 600_000
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_TELEMETRY_OFF = {
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    "DO_NOT_TRACK": "1",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything configurable. `database_url` is always filled: the embedded server's own unless one was given."""

    mode: Mode
    home: Path
    ports: Ports
    database_url: SecretStr
    dagster_database_url: SecretStr
    database_is_external: bool
    broker_url: SecretStr | None
    stream_workers: int
    stream_partitions: int
    api_token: SecretStr | None
    venue: VenueUrls
    request_weight_per_minute: int
    pool: str
    world: World
    recording: Recording
    retention: Retention
    completeness: CompletenessParams
    account_address: str | None
    log_level: str
    log_format: str
    params: Params
    ignored: tuple[str, ...] = ()
    given: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def mode_dir(self) -> Path:
        """Folder of everything this mode keeps on disk."""
        return self.home / self.mode.slug

    @property
    def server_paths(self) -> ServerPaths:
        return ServerPaths(self.mode_dir / "postgres")

    @property
    def logs_dir(self) -> Path:
        return self.mode_dir / "logs"

    @property
    def journal_dir(self) -> Path:
        return self.mode_dir / "journal"

    @property
    def dagster_home(self) -> Path:
        return self.mode_dir / "dagster"

    @property
    def budget_dir(self) -> Path:
        """Folder of the budgets that all processes of this machine share, whatever their mode."""
        return self.home / "budget"

    @property
    def backups_dir(self) -> Path:
        return self.home / "backups"

    @property
    def token_file(self) -> Path:
        return self.mode_dir / "api_token"

    @property
    def libpq_url(self) -> SecretStr:
        """`database_url` in the form psql and pg_dump understand."""
        return SecretStr(_with_driver(self.database_url.get_secret_value(), ""))


def load_settings(
    overrides: Mapping[str, str | None] | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Settings of the environment, with `overrides` (same names, from the command line) on top.

    Raises:
        SettingsError: one sentence about the first thing that is not allowed.
    """
    given = {name: text for name, text in (os.environ if environ is None else environ).items() if text.strip()}
    given.update({name: text for name, text in (overrides or {}).items() if text is not None})
    _refuse_unknown(given)
    known = {name: text for name, text in given.items() if name in BY_NAME}
    values = {setting.name: _value(setting, known.get(setting.name)) for setting in SETTINGS}
    params = _params(values)
    for sentence in contradictions(params):
        raise SettingsError(sentence + ".")
    return _assemble(values, params, ignored=_ignored(given), given=known)


def _refuse_unknown(given: Mapping[str, str]) -> None:
    for name in sorted(given):
        if name.startswith(PREFIX) and name not in BY_NAME:
            near = get_close_matches(name, BY_NAME, n=1, cutoff=0)[0]
            raise SettingsError(f"{name} is not a setting; the nearest one is {near}.")


def _ignored(given: Mapping[str, str]) -> tuple[str, ...]:
    """Variables that look like parameters but are none, so that a typing error is seen at the start."""
    prefixes = parameter_prefixes()
    return tuple(sorted(name for name in given if name not in BY_NAME and name.startswith(prefixes)))


def _value(setting: Setting, text: str | None) -> Any:
    if text is None:
        return setting.default
    try:
        return setting.rule.parse(text.strip())
    except ValueError:
        shown = "(not shown)" if setting.secret else repr(text)
        raise SettingsError(f"{setting.name}={shown} is not allowed; allowed: {setting.rule.allowed}.") from None


def _params(values: Mapping[str, Any]) -> Params:
    by_group: dict[str, dict[str, Any]] = {}
    for setting in PARAMETERS:
        group, name = setting.target.split(".")
        by_group.setdefault(group, {})[name] = values[setting.name]
    defaults = Params()
    return replace(defaults, **{g: replace(getattr(defaults, g), **changes) for g, changes in by_group.items()})


def _assemble(values: Mapping[str, Any], params: Params, ignored: tuple[str, ...], given: dict[str, str]) -> Settings:
    def own(name: str) -> Any:
        return values[PREFIX + name]

    mode = Mode.of(own("MODE"))
    home = Path(own("HOME")) if own("HOME") else _default_home()
    ports = Ports.from_base(own("PORT_BASE")) if own("PORT_BASE") else Ports()
    token, broker = own("API_TOKEN"), own("BROKER_URL")
    database, dagster = _database_urls(own("DATABASE_URL"), own("DAGSTER_DATABASE_URL"), mode, home)
    return Settings(
        mode=mode,
        home=home,
        ports=ports,
        database_url=SecretStr(database),
        dagster_database_url=SecretStr(dagster),
        database_is_external=own("DATABASE_URL") is not None,
        broker_url=SecretStr(broker) if broker else None,
        stream_workers=own("STREAM_WORKERS"),
        stream_partitions=int(own("STREAM_PARTITIONS")),
        api_token=SecretStr(token) if token else None,
        venue=_venue(mode, ports, own("VENUE_API_URL"), own("VENUE_WS_URL"), own("LEADERBOARD_URL")),
        request_weight_per_minute=own("REQUEST_WEIGHT_PER_MINUTE") or (_EMULATED_WEIGHT if mode.emulated else _WEIGHT),
        pool=own("POOL"),
        world=World(own("SEED"), own("WORLD_TRADERS"), own("WORLD_DAYS"), own("WORLD_PROFILE")),
        recording=Recording(_folder(own("RECORDING_DIR")), _folder(own("LEADERBOARD_DIR")), own("RECORDING_SPEED")),
        retention=Retention(own("JOURNAL_MAX_GB"), own("JOURNAL_RETENTION_DAYS"), own("RETENTION_MONTHS")),
        completeness=CompletenessParams(
            own("COMPLETENESS_SAMPLE"), round(1000 * own("COMPLETENESS_LATE_S")), own("COMPLETENESS_MIN_SHARE")
        ),
        account_address=own("ACCOUNT_ADDRESS").lower() if own("ACCOUNT_ADDRESS") else None,
        log_level=own("LOG_LEVEL"),
        log_format=own("LOG_FORMAT"),
        params=params,
        ignored=ignored,
        given=MappingProxyType(given),
    )


def _default_home() -> Path:
    """As root data lies where a service account can reach it; root's own home folder is closed to it."""
    return Path("/var/lib/sigmapilot") if os.geteuid() == 0 else Path.home() / ".sigmapilot"


def _folder(text: str | None) -> Path | None:
    return Path(text).expanduser().absolute() if text else None


def _with_driver(url: str, driver: str) -> str:
    rest = url.partition("://")[2]
    return f"postgresql{f'+{driver}' if driver else ''}://{rest}"


def _database_urls(external: str | None, dagster: str | None, mode: Mode, home: Path) -> tuple[str, str]:
    """Ours through psycopg 3; Dagster's through psycopg2, as its NOTIFY fails with psycopg 3."""
    paths = ServerPaths(home / mode.slug / "postgres")
    ours = external or paths.url(f"sigmapilot_{mode.slug}")
    theirs = dagster or urlsplit(ours)._replace(path=f"/dagster_{mode.slug}").geturl()
    return _with_driver(ours, "psycopg"), _with_driver(theirs, "psycopg2")


def _venue(mode: Mode, ports: Ports, api: str | None, ws: str | None, leaderboard: str | None) -> VenueUrls:
    local = f"127.0.0.1:{ports.emulator}"
    defaults = {
        "live": VenueUrls(
            "https://api.hyperliquid.xyz",
            "wss://api.hyperliquid.xyz/ws",
            "https://stats-data.hyperliquid.xyz/Mainnet/leaderboard",
        ),
        "testnet": VenueUrls(
            "https://api.hyperliquid-testnet.xyz",
            "wss://api.hyperliquid-testnet.xyz/ws",
            "https://stats-data.hyperliquid-testnet.xyz/Testnet/leaderboard",
        ),
    }.get(mode.kind, VenueUrls(f"http://{local}", f"ws://{local}/ws", f"http://{local}/Mainnet/leaderboard"))
    urls = VenueUrls(api or defaults.api, ws or defaults.ws, leaderboard or defaults.leaderboard)
    if mode.emulated:
        for name, url in (
            ("VENUE_API_URL", urls.api),
            ("VENUE_WS_URL", urls.ws),
            ("LEADERBOARD_URL", urls.leaderboard),
        ):
            if urlsplit(url).hostname not in _LOOPBACK:
                raise SettingsError(
                    f"{PREFIX}{name}={url!r} is not allowed in mode {mode}; allowed: an address on 127.0.0.1."
                )
    return urls


def child_environment(settings: Settings, *, api_token: SecretStr | None = None) -> dict[str, str]:
    """Environment of a process that `sigmapilot up` starts: the caller's, these settings, telemetry off.

    Only processes that check the token are given it.
    """
    environment = {name: text for name, text in os.environ.items() if name not in BY_NAME}
    environment.update(settings.given)
    environment.update(_TELEMETRY_OFF)
    environment.pop("SIGMAPILOT_API_TOKEN", None)
    if api_token is not None:
        environment["SIGMAPILOT_API_TOKEN"] = api_token.get_secret_value()
    environment |= {
        "SIGMAPILOT_MODE": str(settings.mode),
        "SIGMAPILOT_HOME": str(settings.home),
        "SIGMAPILOT_DAGSTER_DATABASE_URL": settings.dagster_database_url.get_secret_value(),
        "DAGSTER_HOME": str(settings.dagster_home),
        "PYTHONUNBUFFERED": "1",
        "TZ": "UTC",
    }
    # a relative folder was meant from where the caller stands, and the process runs elsewhere
    recording = settings.recording
    for name, folder in (("RECORDING_DIR", recording.market_dir), ("LEADERBOARD_DIR", recording.leaderboard_dir)):
        if folder is not None:
            environment[PREFIX + name] = str(folder)
    return environment


def libpq_environment(settings: Settings) -> dict[str, str]:
    """The database as the `PG*` variables that psql, pg_dump and dbt profiles read: no secret in an argument list."""
    url = urlsplit(settings.database_url.get_secret_value())
    query = parse_qs(url.query)
    found = {
        "PGHOST": url.hostname or query.get("host", [""])[0],
        "PGPORT": str(url.port or query.get("port", ["5432"])[0]),
        "PGUSER": unquote(url.username or ""),
        "PGPASSWORD": unquote(url.password or ""),
        "PGDATABASE": unquote(url.path.lstrip("/")),
    }
    return {name: text for name, text in found.items() if text}


def export_libpq(settings: Settings) -> None:
    """Put the database into this process's environment, for the programs it starts (dbt)."""
    os.environ.update(libpq_environment(settings))


@dataclass(frozen=True, slots=True)
class Described:
    """One row of the table of settings; `value` masks secrets."""

    name: str
    default: str
    allowed: str
    meaning: str
    value: str


def describe(settings: Settings | None = None) -> Iterator[Described]:
    """The table of all settings, installation first, with the values of `settings` where given."""
    for setting in INSTALLATION + PARAMETERS:
        text = settings.given.get(setting.name, setting.default_text) if settings else ""
        shown = "***" if text and setting.secret else text
        yield Described(setting.name, setting.default_text, setting.rule.allowed, setting.meaning, shown)
