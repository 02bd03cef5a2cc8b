"""Who signed an action: recovery with the SDK's own functions (spec section 5.7, 9.3).

The emulator verifies as testnet, source "b", because the SDK signs so for every address but mainnet's. The helpers
change what they are given, so they get copies; r and s may lack leading zeros.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eth_keys.exceptions import BadSignature
from eth_keys.exceptions import ValidationError as KeyValidationError
from eth_utils.exceptions import ValidationError
from hyperliquid.utils import signing

_PREFIX = "HyperliquidTransaction:"
_AGENT = [
    {"name": "hyperliquidChain", "type": "string"},
    {"name": "agentAddress", "type": "address"},
    {"name": "agentName", "type": "string"},
    {"name": "nonce", "type": "uint64"},
]
_BUILDER_FEE = [
    {"name": "hyperliquidChain", "type": "string"},
    {"name": "maxFeeRate", "type": "string"},
    {"name": "builder", "type": "address"},
    {"name": "nonce", "type": "uint64"},
]
USER_SIGNED: dict[str, tuple[str, list[dict[str, str]]]] = {
    "usdSend": ("UsdSend", signing.USD_SEND_SIGN_TYPES),
    "spotSend": ("SpotSend", signing.SPOT_TRANSFER_SIGN_TYPES),
    "withdraw3": ("Withdraw", signing.WITHDRAW_SIGN_TYPES),
    "usdClassTransfer": ("UsdClassTransfer", signing.USD_CLASS_TRANSFER_SIGN_TYPES),
    "sendAsset": ("SendAsset", signing.SEND_ASSET_SIGN_TYPES),
    "tokenDelegate": ("TokenDelegate", signing.TOKEN_DELEGATE_TYPES),
    "userDexAbstraction": ("UserDexAbstraction", signing.USER_DEX_ABSTRACTION_SIGN_TYPES),
    "userSetAbstraction": ("UserSetAbstraction", signing.USER_SET_ABSTRACTION_SIGN_TYPES),
    "approveAgent": ("ApproveAgent", _AGENT),
    "approveBuilderFee": ("ApproveBuilderFee", _BUILDER_FEE),
}
"""Actions signed as typed data by the account itself: primary type and fields."""

SIGNED_WITHOUT_VAULT = frozenset(
    {"createSubAccount", "setReferrer", "subAccountTransfer", "subAccountSpotTransfer", "vaultTransfer"}
)
"""The SDK signs these with vault None although the payload still carries one."""


_UNSIGNABLE = (ValueError, TypeError, OverflowError, KeyError, RecursionError)
"""What the SDK's helpers raise for an action nobody can have signed with them."""


class BadEnvelope(ValueError):
    """An envelope whose fields cannot be what was signed."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A request to /exchange, read and checked for shape only."""

    action: Mapping[str, Any]
    nonce: int
    signature: Mapping[str, Any]
    vault: str | None
    expires_after_ms: int | None

    @property
    def kind(self) -> str:
        """The action's type."""
        return str(self.action["type"])

    @property
    def is_user_signed(self) -> bool:
        """True for actions only the account itself may sign."""
        return self.kind in USER_SIGNED


def recover(envelope: Envelope) -> str:
    """Lower-case address that signed; a wrong signature gives somebody else's. `BadEnvelope` if nobody can have."""
    signature = {key: _number(envelope.signature.get(key)) for key in ("r", "s", "v")}
    try:
        action = copy.deepcopy(dict(envelope.action))
        if envelope.is_user_signed:
            return _user_signer(envelope, action, signature)
        vault = None if envelope.kind in SIGNED_WITHOUT_VAULT else envelope.vault
        signer = signing.recover_agent_or_user_from_l1_action(
            action, signature, vault, envelope.nonce, envelope.expires_after_ms, False
        )
    except (BadSignature, KeyValidationError, ValidationError, *_UNSIGNABLE) as fault:
        raise BadEnvelope(f"signature of {envelope.kind} cannot be recovered") from fault
    return str(signer).lower()


def _user_signer(envelope: Envelope, action: dict[str, Any], signature: Mapping[str, int]) -> str:
    """The inner nonce (or time) must be the outer one; a missing agentName was signed as empty text."""
    if action.get("nonce", action.get("time")) != envelope.nonce:
        raise BadEnvelope("nonce of the action is not the nonce of the request")
    action.setdefault("signatureChainId", "0x66eee")
    if envelope.kind == "approveAgent":
        action.setdefault("agentName", "")
    primary, types = USER_SIGNED[envelope.kind]
    signer = signing.recover_user_from_user_signed_action(action, signature, types, _PREFIX + primary, False)
    return str(signer).lower()


def _number(value: object) -> int:
    """r, s or v: an int, or hexadecimal text with or without leading zeros."""
    try:
        if isinstance(value, str):
            return int(value, 16)
        if type(value) is int:
            return value
    except ValueError as fault:
        raise BadEnvelope("signature is not hexadecimal") from fault
    raise BadEnvelope("signature lacks r, s or v")
