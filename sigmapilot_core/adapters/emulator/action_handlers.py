"""What each kind of action does (spec section 5.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sigmapilot_core.adapters.emulator import order_wire as wire
from sigmapilot_core.adapters.emulator.desk import Desk
from sigmapilot_core.adapters.emulator.info import Unprocessable
from sigmapilot_core.adapters.emulator.signers import AgentBook
from sigmapilot_core.adapters.hyperliquid.errors import BadMessage
from sigmapilot_core.adapters.hyperliquid.fields import to_address, to_decimal
from sigmapilot_core.domain.execution.orders import Grouping, OrderAnswer

_MICRO_USD = Decimal(1_000_000)
_DEFAULT: dict[str, Any] = {"type": "default"}
_SUB_NAME_LENGTH = 16
_GROUPINGS = {g.value: g for g in Grouping}


class Refusal(Exception):
    """A whole action refused; the message is the venue's text."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who signed, for which master, and on which account the action works (the master or a sub-account)."""

    desk: Desk
    agents: AgentBook
    signer: str
    master: str
    account: str
    now_ms: int


Handler = Callable[[Actor, Mapping[str, Any]], dict[str, Any]]
"""Does what an action says; answers the `response` object, or raises `Refusal` or `Unprocessable`."""


def ok(response: dict[str, Any]) -> dict[str, Any]:
    """The reply to an action that was not refused as a whole."""
    return {"status": "ok", "response": response}


def _statuses(kind: str, statuses: list[Any]) -> dict[str, Any]:
    return {"type": kind, "data": {"statuses": statuses}}


# --- orders ---


def _order(actor: Actor, action: Mapping[str, Any]) -> dict[str, Any]:
    coins = actor.desk.coins
    intents = [wire.intent_of(raw, coins) for raw in wire.batch(action, "orders")]
    grouping = action.get("grouping")
    known = _GROUPINGS.get(grouping, Grouping.NA) if isinstance(grouping, str) else Grouping.NA
    placed = actor.desk.run(
        (i.coin for i in intents),
        lambda now: actor.desk.engine.place(actor.account, intents, now, known),
        lambda done: done.events,
    )
    return _statuses("order", [wire.answer(a) for a in placed.answers])


def _cancelled(actor: Actor, coin: str, key: int | str) -> Any:
    done = actor.desk.run(
        (coin,), lambda now: actor.desk.engine.cancel(actor.account, coin, key, now), lambda d: d.events
    )
    return "success" if done.error is None else {"error": done.error}


def _cancels(actor: Actor, wanted: Sequence[tuple[str, int | str]]) -> dict[str, Any]:
    return _statuses("cancel", [_cancelled(actor, coin, key) for coin, key in wanted])


def _cancel(actor: Actor, action: Mapping[str, Any]) -> dict[str, Any]:
    wanted = []
    for raw in wire.batch(action, "cancels"):
        if not isinstance(raw, dict) or type(raw.get("o")) is not int:
            raise Unprocessable
        wanted.append((wire.coin_of(raw.get("a"), actor.desk.coins), raw["o"]))
    return _cancels(actor, wanted)


def _cancel_by_cloid(actor: Actor, action: Mapping[str, Any]) -> dict[str, Any]:
    wanted = []
    for raw in wire.batch(action, "cancels"):
        cloid = wire.cloid_of(raw.get("cloid")) if isinstance(raw, dict) else None
        if cloid is None:
            raise Unprocessable
        wanted.append((wire.coin_of(raw.get("asset"), actor.desk.coins), cloid))
    return _cancels(actor, wanted)


def _modified(actor: Actor, raw: Any, always: bool) -> OrderAnswer:
    if not isinstance(raw, dict):
        raise Unprocessable
    key, intent = wire.key_of(raw.get("oid")), wire.intent_of(raw.get("order"), actor.desk.coins)
    done = actor.desk.run(
        (intent.coin,),
        lambda now: actor.desk.engine.modify(actor.account, key, intent, now, always_place=always),
        lambda d: d.events,
    )
    return done.answers[0]


def _modify(actor: Actor, action: Mapping[str, Any]) -> dict[str, Any]:
    answer = wire.answer(_modified(actor, action, action.get("a") is True))
    if isinstance(answer, dict) and "error" in answer:
        raise Refusal(answer["error"])
    return _DEFAULT


def _batch_modify(actor: Actor, action: Mapping[str, Any]) -> dict[str, Any]:
    always = action.get("a") is True
    answers = [_modified(actor, raw, always) for raw in wire.batch(action, "modifies")]
    return _statuses("order", [wire.answer(a) for a in answers])


def _schedule_cancel(actor: Actor, action: Mapping[str, Any]) -> dict[str, Any]:
    """The instant is the signer's clock's; the engine counts in the venue's time."""
    at = action.get("time")
    if at is not None and type(at) is not int:
        raise Unprocessable
    now = actor.desk.next_block_ms
    try:
        ahead = None if at is None else now + at - actor.now_ms
        actor.desk.engine.schedule_cancel(actor.account, ahead, now)
    except ValueError as fault:
        raise Refusal("Scheduled cancel time too early, must be at least 5 seconds from now.") from fault
    return _DEFAULT


def _update_leverage(actor: Actor, action: Mapping[str, Any]) -> dict[str, Any]:
    leverage, is_cross = action.get("leverage"), action.get("isCross")
    if type(leverage) is not int or type(is_cross) is not bool:
        raise Unprocessable
    if not is_cross:
        raise Refusal("Isolated margin is not available on this venue.")
    coin = wire.coin_of(action.get("asset"), actor.desk.coins)
    try:
        actor.desk.engine.update_leverage(actor.account, coin, leverage)
    except ValueError as fault:
        raise Refusal(f"Invalid leverage value. {fault}") from fault
    return _DEFAULT


def _no_isolated(actor: Actor, action: Mapping[str, Any]) -> dict[str, Any]:
    raise Refusal("Isolated margin is not available on this venue.")


def _no_twap(actor: Actor, action: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "twapOrder", "data": {"status": {"error": "TWAP orders are not available on this venue."}}}


def _twap_cancel(actor: Actor, action: Mapping[str, Any]) -> dict[str, Any]:
    error = "TWAP was never placed, already canceled, or filled."
    return {"type": "twapCancel", "data": {"status": {"error": error}}}


# --- money and rights ---


def _usd(value: Any) -> Decimal:
    """An amount in USD above zero, as text."""
    try:
        amount = to_decimal(value, "amount")
    except BadMessage as fault:
        raise Unprocessable from fault
    if amount <= 0:
        raise Refusal("Invalid amount.")
    return amount


def _micro_usd(value: Any) -> Decimal:
    if type(value) is not int or value <= 0:
        raise Unprocessable
    return Decimal(value) / _MICRO_USD


def _address(value: Any) -> str:
    try:
        return to_address(value, "destination")
    except BadMessage as fault:
        raise Unprocessable from fault


def _pay(actor: Actor, payer: str, usd: Decimal, kind: str) -> None:
    """Take money out of an account. Refused beyond what is withdrawable."""
    if usd > actor.desk.state(payer).withdrawable:
        raise Refusal("Insufficient balance for withdrawal.")
    actor.desk.move(payer, -usd, kind)


def _usd_send(actor: Actor, action: Mapping[str, Any]) -> dict[str, Any]:
    usd, to = _usd(action.get("amount")), _address(action.get("destination"))
    _pay(actor, actor.master, usd, "internalTransfer")
    actor.desk.move(to, usd, "internalTransfer")
    return _DEFAULT


def _withdraw(actor: Actor, action: Mapping[str, Any]) -> dict[str, Any]:
    _address(action.get("destination"))
    _pay(actor, actor.master, _usd(action.get("amount")), "withdraw")
    return _DEFAULT


def _class_transfer(actor: Actor, action: Mapping[str, Any]) -> dict[str, Any]:
    """Between perp and spot wallet; the amount may name a sub-account: `12.5 subaccount:0x..`."""
    text, _, sub = str(action.get("amount")).partition(" subaccount:")
    user = _address(sub) if sub else actor.master
    if user != actor.master and user not in {s.user for s in actor.desk.sub_accounts(actor.master)}:
        raise Refusal(f"Vault not registered: {user}")
    usd, account = _usd(text), actor.desk.accounts[user]
    if action.get("toPerp") is True:
        if usd > account.spot_usd:
            raise Refusal("Insufficient balance for withdrawal.")
        account.spot_usd -= usd
        actor.desk.move(user, usd, "accountClassTransfer")
    else:
        _pay(actor, user, usd, "accountClassTransfer")
        account.spot_usd += usd
    return _DEFAULT


def _create_sub_account(actor: Actor, action: Mapping[str, Any]) -> dict[str, Any]:
    name = action.get("name")
    if not isinstance(name, str):
        raise Unprocessable
    subs = actor.desk.sub_accounts(actor.master)
    if (
        not 0 < len(name) <= _SUB_NAME_LENGTH
        or not name.isascii()
        or not name.isprintable()
        or name in {s.name for s in subs}
    ):
        raise Refusal("Invalid sub-account name.")
    address = "0x" + hashlib.sha256(f"{actor.master}:{len(subs)}".encode()).hexdigest()[:40]
    actor.desk.open_sub_account(actor.master, name, address)
    return {"type": "createSubAccount", "data": address}


def _sub_account_transfer(actor: Actor, action: Mapping[str, Any]) -> dict[str, Any]:
    sub, usd = _address(action.get("subAccountUser")), _micro_usd(action.get("usd"))
    if sub not in {s.user for s in actor.desk.sub_accounts(actor.master)}:
        raise Refusal(f"Vault not registered: {sub}")
    payer, payee = (actor.master, sub) if action.get("isDeposit") is True else (sub, actor.master)
    _pay(actor, payer, usd, "subAccountTransfer")
    actor.desk.move(payee, usd, "subAccountTransfer")
    return _DEFAULT


def _approve_agent(actor: Actor, action: Mapping[str, Any]) -> dict[str, Any]:
    name = action.get("agentName") or ""
    if not isinstance(name, str):
        raise Unprocessable
    address = _address(action.get("agentAddress"))
    subs = len(actor.desk.sub_accounts(actor.master))
    refusal = actor.agents.approve(actor.master, address, name, actor.now_ms, subs)
    if refusal is not None:
        raise Refusal(refusal)
    return _DEFAULT


def _nothing(actor: Actor, action: Mapping[str, Any]) -> dict[str, Any]:
    return _DEFAULT


HANDLERS: dict[str, Handler] = {
    "order": _order,
    "cancel": _cancel,
    "cancelByCloid": _cancel_by_cloid,
    "modify": _modify,
    "batchModify": _batch_modify,
    "scheduleCancel": _schedule_cancel,
    "updateLeverage": _update_leverage,
    "updateIsolatedMargin": _no_isolated,
    "topUpIsolatedOnlyMargin": _no_isolated,
    "twapOrder": _no_twap,
    "twapCancel": _twap_cancel,
    "noop": _nothing,
    "usdSend": _usd_send,
    "withdraw3": _withdraw,
    "usdClassTransfer": _class_transfer,
    "createSubAccount": _create_sub_account,
    "subAccountTransfer": _sub_account_transfer,
    "approveAgent": _approve_agent,
    "approveBuilderFee": _nothing,
    "setReferrer": _nothing,
    "userSetAbstraction": _nothing,
}

MASTER_ONLY = frozenset(
    {
        "usdSend",
        "spotSend",
        "withdraw3",
        "usdClassTransfer",
        "sendAsset",
        "approveAgent",
        "approveBuilderFee",
        "createSubAccount",
        "subAccountTransfer",
        "subAccountSpotTransfer",
        "vaultTransfer",
        "userSetAbstraction",
        "userDexAbstraction",
        "tokenDelegate",
    }
)
"""Actions an agent may not sign."""
