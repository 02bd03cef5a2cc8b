"""The table of all settings: name, rule, default, meaning. `settings.py` reads their values from the environment.

Parameters of the domain take their defaults from `domain/params.py` and go to the field named by `target`; the others
belong to the installation. A test compares the names with the comments in `params.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sigmapilot_core.adapters.settings_rules import Choice, Flag, Number, Pattern, Rule
from sigmapilot_core.adapters.settings_values import MAX_WORKERS
from sigmapilot_core.domain.engine.share import PARTITION_COUNTS
from sigmapilot_core.domain.params import Params

PREFIX = "SIGMAPILOT_"
_SHARE = Number(0, 1)
_POSITIVE_SHARE = Number(0, 1, above=True)
_USD = Number(0, 1e12)
_TIMEFRAMES = Choice(("15m", "30m", "1h", "2h", "4h"))
_SECRET_URL = r"(postgres|postgresql)(\+psycopg2?)?://\S+"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `default` None means unset; `target` is `group.field` of `Params`, empty for the installation's."""

    name: str
    rule: Rule
    default: object
    meaning: str
    target: str = ""
    secret: bool = False

    @property
    def default_text(self) -> str:
        """The default as it would be written in the environment."""
        if self.default is None:
            return ""
        return str(self.default).lower() if isinstance(self.default, bool) else f"{self.default}"


def _whole(low: int, high: int) -> Number:
    return Number(low, high, whole=True)


def _param(name: str, target: str, rule: Rule, meaning: str) -> Setting:
    group, field = target.split(".")
    return Setting(name, rule, getattr(getattr(Params(), group), field), meaning, target)


INSTALLATION: tuple[Setting, ...] = (
    Setting(
        "SIGMAPILOT_MODE",
        Pattern(
            r"demo|live|testnet|recording:[a-z0-9_]{1,40}",
            "demo | live | testnet | recording:<name> with a name of 1-40 letters a-z, digits and _",
        ),
        "demo",
        "what the system is connected to; each mode has its own database and folder",
    ),
    Setting("SIGMAPILOT_HOME", Pattern(r"/\S.*", "an absolute path"), None, "folder of all data"),
    Setting("SIGMAPILOT_PORT_BASE", _whole(1024, 65400), None, "moves all ports: the API listens on this one"),
    Setting(
        "SIGMAPILOT_DATABASE_URL",
        Pattern(_SECRET_URL, "a postgresql:// URL"),
        None,
        "external Postgres; unset: the embedded one",
        secret=True,
    ),
    Setting(
        "SIGMAPILOT_DAGSTER_DATABASE_URL",
        Pattern(_SECRET_URL, "a postgresql:// URL"),
        None,
        "Dagster's own database; unset: database dagster_<mode> on the same server",
        secret=True,
    ),
    Setting(
        "SIGMAPILOT_BROKER_URL",
        Pattern(r"kafka://\S+", "a kafka:// URL"),
        None,
        "Kafka broker; unset: local channels in one process",
        secret=True,
    ),
    Setting(
        "SIGMAPILOT_STREAM_WORKERS",
        _whole(1, MAX_WORKERS),
        2,
        "workers that `sigmapilot up` starts beside the feed; needs a broker",
    ),
    Setting(
        "SIGMAPILOT_STREAM_PARTITIONS",
        Choice(tuple(map(str, PARTITION_COUNTS))),
        "8",
        "shares the coins are divided into; more workers than shares idle; needs a broker",
    ),
    Setting(
        "SIGMAPILOT_API_TOKEN",
        Pattern(r"[\x21-\x7e]{16,200}", "16-200 printable characters without spaces"),
        None,
        "token of state-changing calls; unset: `sigmapilot up` creates one and prints it once",
        secret=True,
    ),
    Setting("SIGMAPILOT_VENUE_API_URL", Pattern(r"https?://\S+", "a http(s):// URL"), None, "exchange API; by mode"),
    Setting("SIGMAPILOT_VENUE_WS_URL", Pattern(r"wss?://\S+", "a ws(s):// URL"), None, "exchange feed; by mode"),
    Setting(
        "SIGMAPILOT_REQUEST_WEIGHT_PER_MINUTE",
        _whole(100, 100_000_000),
        None,
        "request weight of our address in a minute, shared by stream and assets; unset: 1200, emulated 600000",
    ),
    Setting("SIGMAPILOT_LEADERBOARD_URL", Pattern(r"https?://\S+", "a http(s):// URL"), None, "leaderboard; by mode"),
    Setting(
        "SIGMAPILOT_POOL",
        Choice(("normal", "recording")),
        "normal",
        "flavour of the pool; recording: filters 1-4 only, among the traders that occur in the recording",
    ),
    Setting("SIGMAPILOT_SEED", _whole(0, 2**32 - 1), 7, "seed of the simulated world"),
    Setting("SIGMAPILOT_WORLD_TRADERS", _whole(20, 20_000), 300, "traders of the simulated world"),
    Setting("SIGMAPILOT_WORLD_DAYS", _whole(1, 400), 60, "days of simulated history before the first start"),
    Setting(
        "SIGMAPILOT_WORLD_PROFILE",
        Choice(("demo", "natural")),
        "demo",
        "rate of events in the simulated world once the stream is ready",
    ),
    Setting("SIGMAPILOT_RECORDING_DIR", Pattern(r"\S.*", "a folder"), None, "recorded market of a recording mode"),
    Setting("SIGMAPILOT_RECORDING_SPEED", Number(0, 1e6), 1.0, "pace of a recording; 0: as fast as it is consumed"),
    Setting("SIGMAPILOT_LEADERBOARD_DIR", Pattern(r"\S.*", "a folder"), None, "recorded leaderboard"),
    Setting("SIGMAPILOT_LOG_LEVEL", Choice(("debug", "info", "warning", "error")), "info", "least level written"),
    Setting("SIGMAPILOT_LOG_FORMAT", Choice(("text", "json")), "text", "form of log lines"),
    Setting("SIGMAPILOT_JOURNAL_MAX_GB", Number(0.01, 1e5), 20.0, "disk ceiling of the journal"),
    Setting("SIGMAPILOT_JOURNAL_RETENTION_DAYS", _whole(1, 3650), 30, "age at which journal files are removed"),
    Setting(
        "SIGMAPILOT_ACCOUNT_ADDRESS",
        Pattern(r"0x[0-9a-fA-F]{40}", "0x and 40 hexadecimal digits"),
        None,
        "own account: its fee rates are asked instead of the base tier; nothing is ever ordered with it",
    ),
    Setting("SIGMAPILOT_COMPLETENESS_SAMPLE", _whole(1, 1000), 25, "traders of a completeness sample"),
    Setting(
        "SIGMAPILOT_COMPLETENESS_LATE_S", Number(0.1, 3600), 10.0, "delay after which a fill counts as late, seconds"
    ),
    Setting(
        "SIGMAPILOT_COMPLETENESS_MIN_SHARE", _POSITIVE_SHARE, 0.999, "least share of fills the feed must have stored"
    ),
    Setting("SIGMAPILOT_RETENTION_MONTHS", _whole(3, 240), 24, "age at which partitions of the database are dropped"),
)

_POOL: tuple[Setting, ...] = (
    _param("ALPHA_POOL_MIN_PNL", "filters.min_pnl_usd", _USD, "least month PnL, USD"),
    _param("ALPHA_POOL_MIN_ROI", "filters.min_roi", Number(-1, 100), "least month return, fraction"),
    _param("ALPHA_POOL_MIN_ACCOUNT_VALUE", "filters.min_account_value_usd", _USD, "least account value, USD"),
    _param("ALPHA_POOL_MIN_WEEK_VLM", "filters.min_week_volume_usd", _USD, "least week volume, USD"),
    _param("ALPHA_POOL_MAX_ORDERS_PER_DAY", "filters.max_orders_per_day", Number(1, 1e6), "more orders a day is HFT"),
    _param("TRACK_MAX_TRADERS", "tracking.max_traders", _whole(1, 100_000), "traders followed for their histories"),
    _param("MAX_EPISODE_HOURS", "episodes.max_episode_hours", Number(1, 8760), "age that closes an episode, hours"),
    _param("NIG_PRIOR_M", "posterior.prior_m", Number(-2, 2), "prior mean, R"),
    _param("NIG_PRIOR_KAPPA", "posterior.prior_kappa", Number(0, 100, above=True), "weight of the prior, episodes"),
    _param("NIG_PRIOR_ALPHA", "posterior.prior_alpha", Number(1, 100, above=True), "shape of the prior variance"),
    _param("NIG_PRIOR_BETA", "posterior.prior_beta", Number(0, 100, above=True), "scale of the prior variance"),
    _param("NIG_HALF_LIFE_DAYS", "posterior.half_life_days", Number(1, 3650), "half-life of evidence, days"),
    _param("FDR_ALPHA", "skill.fdr_alpha", Number(0, 0.5, above=True), "false discovery rate of the skill test"),
    _param("BANDIT_POOL_SIZE", "bandit.pool_size", _whole(1, 1000), "traders that may vote"),
    _param("BANDIT_MIN_EPISODES", "bandit.min_episodes", Number(0, 1000), "effective episodes of a regular slot"),
    _param("BANDIT_SHRINK_DRAWS", "bandit.shrink_draws", Flag(), "draws are shrunk towards the mean of all traders"),
    _param("BANDIT_EXPLORE_SLOW", "bandit.explore_slow", Flag(), "explore traders too slow ever to get a regular slot"),
    _param("CORR_LOOKBACK_DAYS", "correlation.lookback_days", _whole(1, 365), "days of agreement measured"),
    _param("CORR_BUCKET_MINUTES", "correlation.bucket_minutes", _whole(1, 1440), "width of a bucket, minutes"),
    _param("CORR_MIN_COMMON_BUCKETS", "correlation.min_common_buckets", _whole(1, 10_000), "least buckets of a pair"),
    _param("CORR_METHOD", "correlation.method", Choice(("cosine", "phi")), "correlation the gate uses"),
    _param("CORR_MIN_MEASURED_SHARE", "correlation.min_measured_share", _SHARE, "least share of measured pairs"),
)

_CONSENSUS: tuple[Setting, ...] = (
    _param("VOTE_ACT_GAP_S", "consensus.act_gap_s", Number(0.1, 60), "gap that ends an act, seconds"),
    _param("VOTE_MIN_INCREASE", "consensus.min_increase", _POSITIVE_SHARE, "least increase that votes, fraction"),
    _param("CONSENSUS_WINDOW_S", "consensus.window_s", Number(1, 3600), "base life of a vote, seconds"),
    _param("CONSENSUS_MIN_DAY_VOLUME", "consensus.min_day_volume_usd", _USD, "least 24 h volume of an asset, USD"),
    _param("CONSENSUS_MIN_TRADERS", "consensus.min_traders", _whole(1, 1000), "least agreeing voters"),
    _param("CONSENSUS_MIN_PCT", "consensus.min_pct", Number(0.5, 1, above=True), "least agreeing share, fraction"),
    _param("CONSENSUS_MIN_EFFECTIVE_K", "consensus.min_effective_k", Number(1, 1000), "least independent votes"),
    _param("CONSENSUS_MAX_PRICE_DRIFT_R", "consensus.max_price_drift_r", Number(0, 2, above=True), "largest drift, R"),
    _param("CONSENSUS_EV_MIN_R", "consensus.ev_min_r", Number(-2, 2), "least expected value after costs, R"),
    _param("ATR_PERIOD", "volatility.atr_period", _whole(2, 200), "bars of the average true range"),
    _param("ATR_TIMEFRAME", "volatility.timeframe", _TIMEFRAMES, "bars of the stop"),
    _param("ATR_MULTIPLIER_BTC", "volatility.multiplier_btc", Number(0.1, 20), "ATRs of a stop, BTC"),
    _param("ATR_MULTIPLIER_ETH", "volatility.multiplier_eth", Number(0.1, 20), "ATRs of a stop, ETH"),
    _param("ATR_FALLBACK_PCT", "volatility.fallback_pct", Number(0.1, 10), "stop without any volatility, percent"),
    _param("ATR_STRICT_MODE", "volatility.strict_mode", Flag(), "a fallback stop fails the gates"),
    _param("REGIME_TIMEFRAME", "regime.timeframe", _TIMEFRAMES, "bars of the regime"),
    _param("REGIME_TREND_THRESHOLD", "regime.trend_threshold", _POSITIVE_SHARE, "trend of the averages, fraction"),
    _param("REGIME_VOLATILITY_HIGH_MULT", "regime.volatility_high_mult", Number(1, 100, above=True), "volatile above"),
)

_RISK: tuple[Setting, ...] = (
    _param("SIGNAL_COOLDOWN_SECONDS", "risk.cooldown_s", Number(0, 86_400), "pause of an asset after a signal"),
    _param("RISK_MAX_LEVERAGE", "risk.max_leverage", Number(0, 50, above=True), "largest leverage"),
    _param("RISK_MAX_POSITION_PCT", "risk.max_position_pct", _POSITIVE_SHARE, "largest position, fraction of equity"),
    _param("RISK_MAX_EXPOSURE_PCT", "risk.max_exposure_pct", _POSITIVE_SHARE, "largest exposure, fraction of equity"),
    _param("KILL_SWITCH_COOLDOWN_H", "risk.kill_switch_cooldown_h", Number(0, 8760), "least hours of a kill switch"),
    _param("PAPER_EQUITY_USD", "risk.paper_equity_usd", Number(0, 1e9, above=True), "equity of paper trading, USD"),
    _param("KELLY_ENABLED", "kelly.enabled", Flag(), "size by Kelly"),
    _param("KELLY_FRACTION", "kelly.fraction", _POSITIVE_SHARE, "fraction of full Kelly"),
    _param("KELLY_MIN_EPISODES", "kelly.min_episodes", _whole(1, 10_000), "episodes behind a Kelly estimate"),
    _param("KELLY_FALLBACK_PCT", "kelly.fallback_pct", _POSITIVE_SHARE, "risk without an estimate, fraction"),
)

PARAMETERS: tuple[Setting, ...] = _POOL + _CONSENSUS + _RISK
SETTINGS: tuple[Setting, ...] = INSTALLATION + PARAMETERS
BY_NAME = {setting.name: setting for setting in SETTINGS}


def parameter_prefixes(settings: Sequence[Setting] = PARAMETERS) -> tuple[str, ...]:
    """First words of the parameters' names (`CONSENSUS_`, ...): a variable that starts so was meant for us."""
    return tuple(sorted({f"{setting.name.split('_')[0]}_" for setting in settings}))
