"""Who may sign for whom, and which nonces are spent (spec section 5.6)."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from sigmapilot_core.domain.params import DAY_MS

_REMEMBERED = 100
_NAMED_AGENTS = 3
_NAMED_PER_SUB_ACCOUNT = 2
_NAME_LENGTH = 16
_PAST_MS, _FUTURE_MS = 2 * DAY_MS, DAY_MS
_EXPIRY_MARK = " valid_until "


class NonceBook:
    """Per signer the 100 highest nonces: a new one must be unused, above the smallest of them, and near now."""

    def __init__(self) -> None:
        self._highest: dict[str, list[int]] = {}

    def refuse(self, signer: str, nonce: int, now_ms: int) -> str | None:
        """Spend a nonce; the venue's refusal text instead when it may not be used."""
        if not now_ms - _PAST_MS < nonce < now_ms + _FUTURE_MS:
            return f"Invalid nonce: nonce {nonce} is not within 2 days before and 1 day after {now_ms}"
        known = self._highest.setdefault(signer, [])
        if nonce in known:
            return f"Invalid nonce: duplicate nonce {nonce}"
        if len(known) == _REMEMBERED:
            if nonce < known[0]:
                return f"Nonce {nonce} too low"
            heapq.heapreplace(known, nonce)
        else:
            heapq.heappush(known, nonce)
        return None


@dataclass(frozen=True, slots=True)
class Agent:
    """An API wallet: it trades for its master and the master's sub-accounts, and may not move money."""

    address: str
    master: str
    name: str
    valid_until_ms: int | None


class AgentBook:
    """Approved agents. A new one replaces the agent of the same name, or the unnamed one."""

    def __init__(self) -> None:
        self._agents: dict[str, Agent] = {}

    def approve(self, master: str, address: str, label: str, now_ms: int, sub_accounts: int = 0) -> str | None:
        """Approve an agent whose label may end in ` valid_until <ms>`; a refusal text instead when it may not be."""
        name, mark, until = label.partition(_EXPIRY_MARK)
        if mark and not until.isdigit():
            return "Invalid agent expiry."
        if len(name) > _NAME_LENGTH:
            return "Agent name too long."
        if not name.isascii() or not name.isprintable():
            return "Invalid agent name."
        if address in self._agents and self._agents[address].master != master:
            return "Extra agent already used."
        named = {a.name for a in self.of(master, now_ms) if a.name}
        if name and name not in named and len(named) >= _NAMED_AGENTS + _NAMED_PER_SUB_ACCOUNT * sub_accounts:
            return "Too many extra agents."
        self._agents = {k: a for k, a in self._agents.items() if a.master != master or a.name != name}
        self._agents[address] = Agent(address, master, name, int(until) if mark else None)
        return None

    def master_of(self, address: str, now_ms: int) -> str | None:
        """The account an agent acts for; None when it was never approved, was replaced or has expired."""
        agent = self._agents.get(address)
        return agent.master if agent is not None and _is_valid(agent, now_ms) else None

    def of(self, master: str, now_ms: int) -> list[Agent]:
        """Valid agents of an account."""
        return [a for a in self._agents.values() if a.master == master and _is_valid(a, now_ms)]


def _is_valid(agent: Agent, now_ms: int) -> bool:
    return agent.valid_until_ms is None or now_ms < agent.valid_until_ms
