"""Settings: every mistake is one sentence that names the variable, the value and what is allowed."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

import sigmapilot_core.domain.params as params_module
from sigmapilot_core.adapters.settings import (
    SettingsError,
    child_environment,
    describe,
    libpq_environment,
    load_settings,
)
from sigmapilot_core.adapters.settings_schema import PARAMETERS
from sigmapilot_core.domain.params import Params

GOLDEN = Path(__file__).parents[1] / "golden" / "settings.txt"
TOKEN = "correct-horse-battery-staple"


def sentence(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ=environ)
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text


def test_without_an_environment_the_parameters_are_the_specifications() -> None:
    assert load_settings(environ={}).params == Params()


def test_the_names_are_those_in_the_comments_of_params() -> None:
    source = Path(params_module.__file__).read_text()
    commented = re.findall(r"^    (\w+): .*#\s+([A-Z][A-Z0-9_]{3,})\b", source, re.MULTILINE)
    settable = {(setting.target.split(".")[1], setting.name) for setting in PARAMETERS}
    assert settable == set(commented)


def test_names_defaults_and_ranges_are_golden() -> None:
    lines = [f"{row.name}={row.default}  # {row.allowed}" for row in describe()]
    assert "\n".join(lines) + "\n" == GOLDEN.read_text()


def test_every_parameter_can_be_set() -> None:
    for setting in PARAMETERS:
        group, field = setting.target.split(".")
        found = load_settings(environ={setting.name: setting.default_text}).params
        assert getattr(getattr(found, group), field) == setting.default, setting.name


def test_a_value_out_of_range_is_refused() -> None:
    assert sentence(CONSENSUS_MIN_PCT="67") == (
        "CONSENSUS_MIN_PCT='67' is not allowed; allowed: a number above 0.5 up to 1."
    )


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "0,7", "seventy"])
def test_what_is_no_finite_number_is_refused(text: str) -> None:
    assert f"CONSENSUS_MIN_PCT='{text}' is not allowed" in sentence(CONSENSUS_MIN_PCT=text)


def test_half_a_trader_is_refused() -> None:
    assert "CONSENSUS_MIN_TRADERS='3.5' is not allowed; allowed: a whole number" in sentence(
        CONSENSUS_MIN_TRADERS="3.5"
    )


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    assert sentence(SIGMAPILOT_MOD="demo") == "SIGMAPILOT_MOD is not a setting; the nearest one is SIGMAPILOT_MODE."


def test_a_variable_that_only_looks_like_a_parameter_is_named_as_ignored() -> None:
    assert load_settings(environ={"CONSENSUS_MIN_TRADER": "4", "HOME": "/root"}).ignored == ("CONSENSUS_MIN_TRADER",)


def test_an_empty_variable_counts_as_unset() -> None:
    assert load_settings(environ={"SIGMAPILOT_MODE": "", "FDR_ALPHA": " "}).params == Params()


def test_the_command_line_beats_the_environment() -> None:
    assert load_settings({"SIGMAPILOT_MODE": "live"}, {"SIGMAPILOT_MODE": "demo"}).mode.kind == "live"


@pytest.mark.parametrize("text", ["prod", "recording:", "recording:../x", "recording:A B", "demo:x"])
def test_an_unknown_mode_is_refused(text: str) -> None:
    assert sentence(SIGMAPILOT_MODE=text).startswith(f"SIGMAPILOT_MODE='{text}' is not allowed; allowed: demo | live")


def test_an_effective_k_that_the_least_voters_cannot_reach_is_refused() -> None:
    # n / (1 + (n-1) rho) with rho = 0.24 (spec 1.7): 3 voters 2.027, 4 voters 2.326, 5 voters 2.551
    assert sentence(CONSENSUS_MIN_EFFECTIVE_K="2.5") == (
        "CONSENSUS_MIN_EFFECTIVE_K=2.5 is out of reach of CONSENSUS_MIN_TRADERS=3: at the default correlation of up to "
        "0.24 their effective K is 2.03; allowed: at most 2.03, or at least 5 traders."
    )
    assert load_settings(environ={"CONSENSUS_MIN_EFFECTIVE_K": "2.5", "CONSENSUS_MIN_TRADERS": "5"})


def test_an_effective_k_beyond_any_number_of_voters_is_refused_without_a_false_hope() -> None:
    # infinitely many voters reach 1/rho = 4.17
    assert sentence(CONSENSUS_MIN_EFFECTIVE_K="4.2").endswith("allowed: at most 2.03.")


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"CONSENSUS_MIN_TRADERS": "60"}, "CONSENSUS_MIN_TRADERS=60 can never be reached by BANDIT_POOL_SIZE=50"),
        ({"CONSENSUS_EV_MIN_R": "1.9"}, "CONSENSUS_EV_MIN_R=1.9 can never be reached"),  # 0.95 x 2 R
        ({"RISK_MAX_POSITION_PCT": "0.2"}, "RISK_MAX_POSITION_PCT=0.2 exceeds the hard ceiling"),
        ({"RISK_MAX_EXPOSURE_PCT": "0.01"}, "RISK_MAX_POSITION_PCT=0.02 exceeds RISK_MAX_EXPOSURE_PCT=0.01"),
        ({"PAPER_EQUITY_USD": "400"}, "allows 8 USD a position, below the venue's minimum of 10 USD"),
        ({"CORR_LOOKBACK_DAYS": "1", "CORR_BUCKET_MINUTES": "1440"}, "exceeds the 1 buckets"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(environ: dict[str, str], words: str) -> None:
    assert words in sentence(**environ)


def test_secrets_are_in_no_text() -> None:
    url = "postgresql://bob:hunter2hunter2@db/sigmapilot"
    found = load_settings(environ={"SIGMAPILOT_API_TOKEN": TOKEN, "SIGMAPILOT_DATABASE_URL": url})
    shown = repr(found) + "".join(map(str, describe(found)))
    assert TOKEN not in shown
    assert "hunter2" not in shown
    assert "short" not in sentence(SIGMAPILOT_API_TOKEN="short")


def test_modes_never_share_a_folder_or_a_database() -> None:
    modes = ["demo", "live", "testnet", "recording:a", "recording:b"]
    found = [load_settings({"SIGMAPILOT_MODE": mode}, {}) for mode in modes]
    assert len({settings.mode_dir for settings in found}) == len(modes)
    assert len({settings.database_url.get_secret_value() for settings in found}) == len(modes)
    assert len({settings.dagster_database_url.get_secret_value() for settings in found}) == len(modes)


def test_the_emulated_modes_never_reach_a_real_venue() -> None:
    assert load_settings(environ={}).venue.api == "http://127.0.0.1:4110"
    words = sentence(SIGMAPILOT_VENUE_WS_URL="wss://api.hyperliquid.xyz/ws")
    assert words.startswith("SIGMAPILOT_VENUE_WS_URL='wss://api.hyperliquid.xyz/ws' is not allowed in mode demo")


def test_live_and_testnet_name_the_venue_of_the_specification() -> None:
    # spec hyperliquid.md, introduction and section 2
    live = load_settings({"SIGMAPILOT_MODE": "live"}, {}).venue
    assert (live.api, live.ws) == ("https://api.hyperliquid.xyz", "wss://api.hyperliquid.xyz/ws")
    assert live.leaderboard == "https://stats-data.hyperliquid.xyz/Mainnet/leaderboard"
    assert load_settings({"SIGMAPILOT_MODE": "testnet"}, {}).venue.api == "https://api.hyperliquid-testnet.xyz"


def test_a_port_base_moves_every_port() -> None:
    standard, moved = load_settings(environ={}).ports, load_settings(environ={"SIGMAPILOT_PORT_BASE": "5100"}).ports
    assert (standard.dagster, standard.page, standard.api[0]) == (3000, 8501, 4100)
    assert moved.api == (5100, 5101, 5102, 5103, 5104)
    used = {moved.dagster, moved.page, moved.emulator, moved.stream_metrics, *moved.api}
    assert used.isdisjoint({standard.dagster, standard.page, standard.emulator, standard.stream_metrics, *standard.api})
    assert len(used) == 9


def test_dagster_gets_its_own_database_and_the_driver_it_works_with() -> None:
    environ = {"SIGMAPILOT_DATABASE_URL": "postgres://bob:pw@db:5433/ours?sslmode=require"}
    found = load_settings(environ=environ)
    assert found.database_url.get_secret_value() == "postgresql+psycopg://bob:pw@db:5433/ours?sslmode=require"
    assert found.dagster_database_url.get_secret_value() == (
        "postgresql+psycopg2://bob:pw@db:5433/dagster_demo?sslmode=require"
    )
    assert found.libpq_url.get_secret_value() == "postgresql://bob:pw@db:5433/ours?sslmode=require"


def test_programs_of_postgres_get_the_connection_as_variables() -> None:
    environ = {"SIGMAPILOT_DATABASE_URL": "postgresql://bob:p%40ss@db:5433/ours", "SIGMAPILOT_HOME": "/srv/x"}
    assert libpq_environment(load_settings(environ=environ)) == {
        "PGHOST": "db",
        "PGPORT": "5433",
        "PGUSER": "bob",
        "PGPASSWORD": "p@ss",
        "PGDATABASE": "ours",
    }
    embedded = libpq_environment(load_settings(environ={"SIGMAPILOT_HOME": "/srv/x"}))
    assert embedded["PGHOST"] == "/srv/x/demo/postgres/run"


def test_children_get_the_settings_no_telemetry_and_the_token_only_if_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMAPILOT_API_TOKEN", TOKEN)
    monkeypatch.setenv("FDR_ALPHA", "0.05")
    settings = load_settings({"SIGMAPILOT_MODE": "testnet", "SIGMAPILOT_PORT_BASE": "5100"})
    plain, trusted = child_environment(settings), child_environment(settings, api_token=settings.api_token)
    assert "SIGMAPILOT_API_TOKEN" not in plain
    assert load_settings(environ=trusted).api_token == settings.api_token
    again = load_settings(environ=plain)
    assert (again.mode, again.ports, again.params) == (settings.mode, settings.ports, settings.params)
    assert again.database_url == settings.database_url
    assert plain["DO_NOT_TRACK"] == plain["DAGSTER_DISABLE_TELEMETRY"] == "1"


def test_a_relative_folder_means_the_same_in_every_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"SIGMAPILOT_RECORDING_DIR": "market", "SIGMAPILOT_LEADERBOARD_DIR": "../board"}
    child = child_environment(load_settings({"SIGMAPILOT_MODE": "recording:market", **names}))
    monkeypatch.chdir("/")
    assert load_settings(environ=child).recording.market_dir == tmp_path / "market"
    board = load_settings(environ=child).recording.leaderboard_dir
    assert board is not None
    assert board.resolve() == tmp_path.parent / "board"


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        load_settings(environ={}).mode = None  # type: ignore[misc, assignment]
