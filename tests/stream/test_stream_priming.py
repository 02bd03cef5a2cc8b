"""Whose positions are asked for, and when: a coin with a gap does not wait for thousands that only learn."""

from __future__ import annotations

from dataclasses import dataclass, field

from sigmapilot_stream.services.priming import AT_ONCE, PrimingService


@dataclass
class Follower:
    """A followed trader; `member` is set for those of the pool."""

    member: object | None = None


@dataclass
class Followers:
    """As much of the engine as the service looks at."""

    traders: dict[str, Follower]
    unprimed: list[str] = field(default_factory=list)


def _service(pool: int, others: int) -> tuple[PrimingService, Followers]:
    names = [f"p{i:03}" for i in range(pool)] + [f"q{i:03}" for i in range(others)]
    engine = Followers({name: Follower(object() if name[0] == "p" else None) for name in names}, list(names))
    return PrimingService(None, engine, None, None, rolling_s=None), engine  # type: ignore[arg-type]


def test_who_never_answers_does_not_keep_others_from_being_asked() -> None:
    service, engine = _service(pool=0, others=100)
    asked = [name for _ in range(4) for name in service._turn(engine.unprimed)]
    assert sorted(asked) == engine.unprimed  # each once, in turns of at most 32
    assert service._turn(engine.unprimed) == engine.unprimed[: AT_ONCE * 4]  # then from the beginning


def test_gaps_are_looked_at_once_the_pool_was_asked_though_others_still_wait() -> None:
    service, engine = _service(pool=3, others=5_000)
    assert not service._has_asked_pool(engine.unprimed)
    service._turn(engine.unprimed)
    assert service._has_asked_pool(engine.unprimed)
