"""Every tunable number of the domain, grouped by part, with the specification's defaults.

The names of the settings that fill them stand in the field comments and in `adapters/settings.py`; nothing in the
domain reads a setting itself. Fractions are of 1, `_bps` are 1/10 000, `_r` are multiples of risk.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sigmapilot_core.domain.canonical import ABSENT

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000
MAJORS = ("BTC", "ETH")


@dataclass(frozen=True, slots=True)
class FilterParams:
    """Quality filters of the leaderboard (spec 1.2)."""

    min_pnl_usd: float = 10_000.0  # ALPHA_POOL_MIN_PNL
    min_roi: float = 0.10  # ALPHA_POOL_MIN_ROI
    min_account_value_usd: float = 100_000.0  # ALPHA_POOL_MIN_ACCOUNT_VALUE
    min_week_volume_usd: float = 10_000.0  # ALPHA_POOL_MIN_WEEK_VLM
    max_orders_per_day: float = 100.0  # ALPHA_POOL_MAX_ORDERS_PER_DAY


@dataclass(frozen=True, slots=True)
class TrackingParams:
    """Who is followed (spec 1.3): pool, pinned and active leaderboard rows."""

    max_traders: int = 10_000  # TRACK_MAX_TRADERS
    min_account_value_usd: float = 10_000.0


@dataclass(frozen=True, slots=True)
class EpisodeParams:
    """Episodes and R (spec 1.3)."""

    max_episode_hours: float = 168.0  # MAX_EPISODE_HOURS
    r_clamp: float = 2.0
    estimated_fee_bps: float = 4.5  # base tier, taker, for fills whose fee the feed does not carry
    estimated_maker_fee_bps: float = 1.5


@dataclass(frozen=True, slots=True)
class PosteriorParams:
    """Normal-Inverse-Gamma prior and forgetting (spec 1.4)."""

    prior_m: float = 0.0  # NIG_PRIOR_M
    prior_kappa: float = 1.0  # NIG_PRIOR_KAPPA
    prior_alpha: float = 3.0  # NIG_PRIOR_ALPHA
    prior_beta: float = 1.0  # NIG_PRIOR_BETA
    half_life_days: float = 34.0  # NIG_HALF_LIFE_DAYS
    weight_kappa: float = 10.0


@dataclass(frozen=True, slots=True)
class SkillParams:
    """Skill test, FDR, death and censoring (spec 1.5)."""

    min_episodes: int = 30
    min_active_days: int = 10
    fdr_alpha: float = 0.10  # FDR_ALPHA
    death_equity_usd: float = 10_000.0
    death_drawdown: float = 0.80
    censor_days: float = 30.0


@dataclass(frozen=True, slots=True)
class BanditParams:
    """Choice of the pool by Thompson sampling (spec 1.6)."""

    pool_size: int = 50  # BANDIT_POOL_SIZE
    exploration_share: float = 0.20
    min_episodes: float = 20.0  # BANDIT_MIN_EPISODES
    mean_check_episodes: float = 10.0
    # draws stored before these two were settings were made with them as `ABSENT` says
    explore_slow: bool = field(default=False, metadata={ABSENT: True})  # BANDIT_EXPLORE_SLOW
    shrink_draws: bool = field(default=True, metadata={ABSENT: False})  # BANDIT_SHRINK_DRAWS


@dataclass(frozen=True, slots=True)
class CorrelationParams:
    """Agreement of traders and effective number of votes (spec 1.7)."""

    lookback_days: int = 30  # CORR_LOOKBACK_DAYS
    bucket_minutes: int = 5  # CORR_BUCKET_MINUTES
    min_common_buckets: int = 10  # CORR_MIN_COMMON_BUCKETS
    method: str = "cosine"  # CORR_METHOD: cosine | phi
    min_measured_share: float = 0.5  # CORR_MIN_MEASURED_SHARE
    shrinkage_buckets: float = 10.0
    max_default_rho: float = 0.24
    unmeasured_default_rho: float = 0.2
    min_measured_pairs: int = 30


@dataclass(frozen=True, slots=True)
class ConsensusParams:
    """Votes and gates (spec 2 and 4.1)."""

    act_gap_s: float = 10.0  # VOTE_ACT_GAP_S
    act_max_s: float = 60.0
    min_increase: float = 0.25  # VOTE_MIN_INCREASE
    window_s: float = 120.0  # CONSENSUS_WINDOW_S
    staleness_factor: float = 1.25
    min_day_volume_usd: float = 10_000_000.0  # CONSENSUS_MIN_DAY_VOLUME
    min_traders: int = 3  # CONSENSUS_MIN_TRADERS
    min_pct: float = 0.70  # CONSENSUS_MIN_PCT
    min_effective_k: float = 2.0  # CONSENSUS_MIN_EFFECTIVE_K
    max_price_drift_r: float = 0.25  # CONSENSUS_MAX_PRICE_DRIFT_R
    ev_min_r: float = 0.20  # CONSENSUS_EV_MIN_R
    tolerance: float = 1e-9


@dataclass(frozen=True, slots=True)
class ProbabilityParams:
    """Probability, payoff and cost of a signal (spec 3)."""

    p_min: float = 0.05
    p_max: float = 0.95
    calibration_min_outcomes: int = 200


@dataclass(frozen=True, slots=True)
class CostParams:
    """Costs of one round trip (spec 3)."""

    taker_fee_bps: float = 4.5
    static_slippage_major_bps: float = 2.0
    static_slippage_other_bps: float = 5.0
    default_hold_hours: float = 24.0
    hold_min_episodes: int = 10
    hold_lookback_days: int = 30


@dataclass(frozen=True, slots=True)
class VolatilityParams:
    """ATR, stop and fallbacks (spec 5.1, 5.2)."""

    atr_period: int = 14  # ATR_PERIOD
    seed_bars: int = 252
    timeframe: str = "1h"  # ATR_TIMEFRAME
    multiplier_btc: float = 2.0  # ATR_MULTIPLIER_BTC
    multiplier_eth: float = 1.5  # ATR_MULTIPLIER_ETH
    multiplier_other: float = 2.0
    min_stop_fraction: float = 0.001
    max_stop_fraction: float = 0.10
    fallback_pct: float = 1.0  # ATR_FALLBACK_PCT
    strict_mode: bool = True  # ATR_STRICT_MODE
    realised_vol_hours: int = 24
    realised_vol_min_bars: int = 12

    def multiplier(self, coin: str) -> float:
        """ATR multiplier of a coin's stop."""
        return {"BTC": self.multiplier_btc, "ETH": self.multiplier_eth}.get(coin, self.multiplier_other)


@dataclass(frozen=True, slots=True)
class RegimeParams:
    """Market regime and its effects (spec 5.3)."""

    timeframe: str = "1h"  # REGIME_TIMEFRAME
    bars: int = 60
    min_bars: int = 50
    ma_short: int = 20
    ma_long: int = 50
    trend_threshold: float = 0.02  # REGIME_TREND_THRESHOLD
    volatility_high_mult: float = 1.5  # REGIME_VOLATILITY_HIGH_MULT


@dataclass(frozen=True, slots=True)
class FreshnessParams:
    """Age limits of inputs, seconds (spec 5.4)."""

    book_s: float = 5.0
    feed_s: float = 10.0
    volatility_bars: float = 2.0
    volatility_computed_s: float = 900.0
    posterior_s: float = 26 * 3600.0
    correlation_s: float = 26 * 3600.0
    leaderboard_s: float = 50 * 3600.0
    costs_s: float = 3600.0
    account_s: float = 30.0


@dataclass(frozen=True, slots=True)
class RiskParams:
    """Fail-safes after the gates and the governor (spec 4.2, 6.2)."""

    min_confidence: float = 0.55
    cooldown_s: float = 300.0  # SIGNAL_COOLDOWN_SECONDS
    max_daily_loss: float = 0.05
    max_leverage: float = 1.0  # RISK_MAX_LEVERAGE
    max_position_pct: float = 0.02  # RISK_MAX_POSITION_PCT
    hard_max_position_pct: float = 0.10
    max_exposure_pct: float = 0.10  # RISK_MAX_EXPOSURE_PCT
    max_positions: int = 3
    max_positions_per_asset: int = 1
    min_notional_usd: float = 10.0
    equity_floor_usd: float = 10_000.0
    min_liquidation_ratio: float = 1.5
    api_error_limit: int = 3
    api_error_pause_s: float = 300.0
    loss_streak_limit: int = 5
    loss_streak_pause_s: float = 3600.0
    kill_switch_cooldown_h: float = 24.0  # KILL_SWITCH_COOLDOWN_H
    paper_equity_usd: float = 100_000.0  # PAPER_EQUITY_USD


@dataclass(frozen=True, slots=True)
class KellyParams:
    """Position size by Kelly (spec 6.1)."""

    enabled: bool = False  # KELLY_ENABLED
    fraction: float = 0.25  # KELLY_FRACTION
    min_episodes: int = 30  # KELLY_MIN_EPISODES
    fallback_pct: float = 0.01  # KELLY_FALLBACK_PCT


@dataclass(frozen=True, slots=True)
class OutcomeParams:
    """How a decision is followed to its end (spec 7)."""

    take_profit_r: float = 2.0
    max_hours: float = 168.0


@dataclass(frozen=True, slots=True)
class Params:
    """All groups; one value, hashed into every decision as the settings hash."""

    filters: FilterParams = field(default_factory=FilterParams)
    tracking: TrackingParams = field(default_factory=TrackingParams)
    episodes: EpisodeParams = field(default_factory=EpisodeParams)
    posterior: PosteriorParams = field(default_factory=PosteriorParams)
    skill: SkillParams = field(default_factory=SkillParams)
    bandit: BanditParams = field(default_factory=BanditParams)
    correlation: CorrelationParams = field(default_factory=CorrelationParams)
    consensus: ConsensusParams = field(default_factory=ConsensusParams)
    probability: ProbabilityParams = field(default_factory=ProbabilityParams)
    costs: CostParams = field(default_factory=CostParams)
    volatility: VolatilityParams = field(default_factory=VolatilityParams)
    regime: RegimeParams = field(default_factory=RegimeParams)
    freshness: FreshnessParams = field(default_factory=FreshnessParams)
    risk: RiskParams = field(default_factory=RiskParams)
    kelly: KellyParams = field(default_factory=KellyParams)
    outcome: OutcomeParams = field(default_factory=OutcomeParams)
