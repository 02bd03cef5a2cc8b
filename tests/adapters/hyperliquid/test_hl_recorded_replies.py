"""Replies recorded from the real venue read without a fault."""

from pathlib import Path

import orjson
import pytest
import yaml

from sigmapilot_core.adapters.hyperliquid import wire_account, wire_ledger, wire_market

DATA = Path(__file__).parents[4] / "shared/data"
USER = "0x" + "ab" * 20
READERS = {
    "meta": wire_market.parse_meta,
    "metaAndAssetCtxs": lambda raw: wire_market.parse_market(raw, 1),
    "allMids": wire_market.parse_mids,
    "l2Book": lambda raw: wire_market.parse_book(raw, 1),
    "clearinghouseState": lambda raw: wire_account.parse_account(raw, USER),
    "userFills": lambda raw: wire_account.parse_fills(raw, USER),
    "userFillsByTime": lambda raw: wire_account.parse_fills(raw, USER),
    "userFunding": lambda raw: wire_ledger.parse_funding_payments(raw, USER),
    "fundingHistory": wire_market.parse_funding_history,
    "userFees": wire_account.parse_fees,
}
EXCERPTS = {
    "fills": lambda raw: wire_account.parse_fills(raw, USER),
    "funding": lambda raw: wire_ledger.parse_funding_payments(raw, USER),
    "btcFundingHistory": wire_market.parse_funding_history,
    "userFees": wire_account.parse_fees,
    "perpUniverse": lambda raw: wire_market.parse_meta({"universe": raw}),
}


def cassettes():
    for path in sorted((DATA / "hl-api-cassettes-go").glob("*.yaml")):
        for interaction in yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)["interactions"]:
            request, response = interaction["request"], interaction["response"]
            if request["url"].endswith("/info") and response["status"].startswith("200"):
                yield path.name, orjson.loads(request["body"])["type"], orjson.loads(response["body"])


@pytest.mark.realdata
def test_recorded_replies_of_the_api_read_whole():
    if not DATA.exists():
        pytest.skip("the recorded replies are absent")
    read: dict[str, int] = {}
    for name, kind, raw in cassettes():
        if kind in READERS:
            try:
                value = READERS[kind](raw)
            except ValueError as fault:
                raise AssertionError(f"{name}: {fault}") from fault
            assert value is not None
            read[kind] = read.get(kind, 0) + 1
    assert read.keys() >= {"meta", "metaAndAssetCtxs", "allMids", "clearinghouseState", "userFillsByTime"}


@pytest.mark.realdata
def test_every_live_asset_of_the_recorded_market_has_figures():
    if not DATA.exists():
        pytest.skip("the recorded replies are absent")
    markets = [READERS[kind](raw) for _, kind, raw in cassettes() if kind == "metaAndAssetCtxs"]
    assert [len(m.assets) for m in markets] == [203, 228, 43]
    assert all(not m.rejected for m in markets)


@pytest.mark.realdata
def test_recorded_excerpts_read_whole():
    if not DATA.exists():
        pytest.skip("the recorded replies are absent")
    read = 0
    for path in sorted((DATA / "hl-live-fixtures-20260719").glob("2026*.json")):
        selection = orjson.loads(path.read_bytes())["selection"]
        for name, reader in EXCERPTS.items():
            rows = selection.get(name)
            whole = not isinstance(rows, list) or all("crossed" in r for r in rows) or name != "fills"
            if rows and whole:  # some excerpts of fills leave fields out
                reader(rows)
                read += 1
    assert read >= 8
