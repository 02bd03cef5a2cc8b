"""POST /exchange: who signed, may they, and what happens (spec section 5.1, 5.5-5.7, 9.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sigmapilot_core.adapters.emulator.action_handlers import HANDLERS, MASTER_ONLY, Actor, Refusal, ok
from sigmapilot_core.adapters.emulator.desk import Desk
from sigmapilot_core.adapters.emulator.faults import FaultRegistry
from sigmapilot_core.adapters.emulator.info import Unprocessable
from sigmapilot_core.adapters.emulator.limits import AddressLimiter, too_many_requests
from sigmapilot_core.adapters.emulator.order_wire import UnknownAsset
from sigmapilot_core.adapters.emulator.requests import action_count
from sigmapilot_core.adapters.emulator.signatures import SIGNED_WITHOUT_VAULT, BadEnvelope, Envelope, recover
from sigmapilot_core.adapters.emulator.signers import AgentBook, NonceBook
from sigmapilot_core.adapters.hyperliquid.errors import BadMessage
from sigmapilot_core.adapters.hyperliquid.fields import to_address
from sigmapilot_core.ports import Clock

MAX_BATCH = 200
_NOBODY = "0x" + "0" * 40
_STALE_COST = 5
_NUMBERS = 1 << 63
_UNCOUNTED = frozenset({"noop"})
_CANCELS = frozenset({"cancel", "cancelByCloid"})


def read_envelope(values: Mapping[str, Any]) -> Envelope:
    """The request's shape. `Unprocessable` if it is not an action with nonce and signature."""
    action, nonce, signature = values.get("action"), values.get("nonce"), values.get("signature")
    expires, vault = values.get("expiresAfter"), values.get("vaultAddress")
    if not isinstance(action, dict) or not isinstance(signature, dict):
        raise Unprocessable
    if not isinstance(action.get("type"), str) or not action["type"].isascii():
        raise Unprocessable
    if type(nonce) is not int or not 0 <= nonce < _NUMBERS or not (expires is None or type(expires) is int):
        raise Unprocessable
    try:
        account = None if vault is None else to_address(vault, "vaultAddress")
    except BadMessage as fault:
        raise Unprocessable from fault
    return Envelope(action, nonce, signature, account, expires)


class SignedActions:
    """Executes signed actions. `clock` judges nonces and expiry: signers use the machine's time, not the venue's."""

    def __init__(
        self, desk: Desk, agents: AgentBook, limiter: AddressLimiter, faults: FaultRegistry, clock: Clock
    ) -> None:
        self._desk = desk
        self._agents = agents
        self._limiter = limiter
        self._faults = faults
        self._clock = clock
        self._nonces = NonceBook()

    def execute(self, values: Mapping[str, Any]) -> Any:
        """The venue's reply. `Unprocessable` for a request that cannot be read."""
        envelope = read_envelope(values)
        try:
            actor = self._actor(envelope)
            self._check(envelope, actor)
            handler = HANDLERS.get(envelope.kind)
            if handler is None:
                raise Refusal(f"Unsupported action: {envelope.kind}")
            return ok(handler(actor, envelope.action))
        except (Refusal, UnknownAsset) as refusal:
            return {"status": "err", "response": str(refusal)}

    def _actor(self, envelope: Envelope) -> Actor:
        """The account the signer acts for."""
        try:
            signer = recover(envelope)
        except BadEnvelope as fault:
            raise Refusal(f"L1 error: User or API Wallet {_NOBODY} does not exist.") from fault
        now = self._clock.now_ms()
        master: str | None = signer
        if not self._desk.knows(signer):
            is_allowed = envelope.kind not in MASTER_ONLY and not self._faults.find("agent_expired")
            master = self._agents.master_of(signer, now) if is_allowed else None
        if master is None:
            raise Refusal(f"User or API Wallet {signer} does not exist.")
        if not self._desk.has_funds(master):
            raise Refusal(f"Must deposit before performing actions. User: {master}")
        account = master
        if envelope.vault is not None and envelope.kind not in SIGNED_WITHOUT_VAULT and not envelope.is_user_signed:
            if envelope.vault not in {s.user for s in self._desk.sub_accounts(master)}:
                raise Refusal(f"Vault not registered: {envelope.vault}")
            account = envelope.vault
        return Actor(self._desk, self._agents, signer, master, account, now)

    def _check(self, envelope: Envelope, actor: Actor) -> None:
        """Nonce, expiry and the account's request limit, in this order; each refusal is the venue's text."""
        now = self._clock.now_ms()
        if self._faults.find("duplicate_nonce"):
            raise Refusal(f"Invalid nonce: duplicate nonce {envelope.nonce}")
        _refuse(self._nonces.refuse(actor.signer, envelope.nonce, now))
        count = action_count(envelope.action)
        if count > MAX_BATCH:
            raise Refusal(f"Signed action over weight limit of {MAX_BATCH}.")
        stale = envelope.expires_after_ms is not None and envelope.expires_after_ms < now
        volume = self._desk.accounts[actor.account].volume_usd
        if self._faults.find("address_limit"):
            allowed = self._limiter.cap(volume)
            raise Refusal(too_many_requests(allowed + count, allowed, volume))
        if envelope.kind not in _UNCOUNTED:
            cost = count * _STALE_COST if stale else count
            _refuse(self._limiter.refuse(actor.account, volume, cost, envelope.kind in _CANCELS))
        if stale:
            raise Refusal(f"Action expired: expiresAfter {envelope.expires_after_ms} is before {now}.")
        if self._faults.find("post_only_window") and not _is_post_only(envelope.action):
            raise Refusal("Only post-only orders allowed immediately after a network upgrade")


def _refuse(text: str | None) -> None:
    if text is not None:
        raise Refusal(text)


def _is_post_only(action: Mapping[str, Any]) -> bool:
    """True for everything but orders that may take."""
    orders = action.get("orders")
    if not isinstance(orders, list):
        return True
    return all(isinstance(o, dict) and o.get("t") == {"limit": {"tif": "Alo"}} for o in orders)
