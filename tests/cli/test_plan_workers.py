"""With a broker the plan has workers beside the stream, each with a port of its own; without one it has none."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from sigmapilot_cli.plan import full_plan, processes
from sigmapilot_cli.supervisor.spec import HttpReady, ProcessSpec
from sigmapilot_core.adapters.settings import SettingsError, load_settings

BROKER = "kafka://127.0.0.1:9092"


def plan(**given: str) -> dict[str, ProcessSpec]:
    settings = load_settings({f"SIGMAPILOT_{name}": text for name, text in given.items()}, environ={})
    return {spec.name: spec for spec in processes(full_plan(settings, SecretStr("a-token-of-some-length")))}


def test_without_a_broker_one_process_decides() -> None:
    assert not [name for name in plan(STREAM_WORKERS="5") if name.startswith("worker")]


def test_workers_stand_behind_the_stream_and_share_no_port_with_anything() -> None:
    parts = plan(BROKER_URL=BROKER, STREAM_WORKERS="9", PORT_BASE="20000")
    names = list(parts)
    assert [name for name in names if name.startswith("worker")] == [f"worker-{n}" for n in range(1, 10)]
    assert names.index("stream") < names.index("worker-1")
    ports = [port for spec in parts.values() for port in spec.ports]
    assert len(ports) == len(set(ports))
    for number in range(1, 10):
        spec = parts[f"worker-{number}"]
        assert spec.argv[-3:] == ("sigmapilot_stream", "worker", str(number))
        assert spec.ready == HttpReady(f"http://127.0.0.1:{20_020 + number}/healthz")
        assert spec.env["SIGMAPILOT_BROKER_URL"] == BROKER
        assert "SIGMAPILOT_API_TOKEN" not in spec.env
        assert spec.stop_group == "workers"
    assert {spec.stop_group for name, spec in parts.items() if not name.startswith("worker")} == {""}


@pytest.mark.parametrize(("name", "text"), [("STREAM_WORKERS", "10"), ("STREAM_PARTITIONS", "3")])
def test_a_division_that_cannot_be_is_one_sentence(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"SIGMAPILOT_{name}='{text}' is not allowed"):
        plan(**{name: text})
