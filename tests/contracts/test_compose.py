"""The compose file starts the parts of `sigmapilot up`, on this machine's loopback, without a secret in it."""

from __future__ import annotations

import importlib.util
import re
import socket
import tomllib
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from sigmapilot_cli.errors import CommandError
from sigmapilot_cli.plan import full_plan, processes
from sigmapilot_cli.supervisor.spec import HttpReady, LogReady, ProcessSpec, SocketReady
from sigmapilot_core.adapters.settings import Settings
from sigmapilot_core.adapters.settings_values import MAX_WORKERS, Ports
from sigmapilot_stream.kafka import links

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service.get("network_mode") == "service:net"}
SECRETS = {"postgres_password": "p/w with spaces", "api_token": "a-token-of-thirty-two-characters"}


@pytest.fixture
def part() -> ModuleType:
    """ops/docker/part.py as a module."""
    spec = importlib.util.spec_from_file_location("part", ROOT / "ops" / "docker" / "part.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def settings(part: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings as a container of the demo has them."""
    for name, text in SECRETS.items():
        (tmp_path / name).write_text(f"{text}\n")
    monkeypatch.setenv("SIGMAPILOT_MODE", "demo")
    monkeypatch.setenv("SIGMAPILOT_HOME", "/data")
    monkeypatch.setenv("SIGMAPILOT_BROKER_URL", "kafka://kafka:9092")
    for name in ("SIGMAPILOT_DATABASE_URL", "SIGMAPILOT_PORT_BASE", "SIGMAPILOT_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    found = part.settings_of(tmp_path)
    assert isinstance(found, Settings)
    return found


def plan(settings: Settings) -> dict[str, ProcessSpec]:
    """The parts by name; of the workers, which are replicas of one container, the first stands for all."""
    assert settings.api_token is not None
    found = {spec.name: spec for spec in processes(full_plan(settings, settings.api_token))}
    return {name.replace("worker-1", "worker"): spec for name, spec in found.items() if name != "worker-2"}


def ports_of_settings() -> set[int]:
    ports = Ports()
    return {ports.dagster, ports.page, *ports.api, ports.emulator, ports.stream_metrics}


def worker_ports() -> set[int]:
    return {Ports().worker_metrics(number) for number in range(1, MAX_WORKERS + 1)}


def published(service: dict[str, Any]) -> list[tuple[str, int, int]]:
    return [(host, int(a), int(b)) for host, a, b in (text.rsplit(":", 2) for text in service.get("ports", []))]


def test_containers_become_the_parts_of_up(settings: Settings) -> None:
    commands = {service["command"][0] for name, service in OURS.items() if name != "databases"}
    assert commands == set(plan(settings))
    assert all(service["command"] == [name] for name, service in OURS.items())


def test_kafka_is_the_version_that_the_tests_start_and_only_containers_reach_it(settings: Settings) -> None:
    broker, pom = SERVICES["kafka"], (ROOT / "tests/stream/kafka/pom.xml").read_text()
    assert broker["image"] == "apache/kafka:" + re.findall(r"<kafka.version>(.+)</kafka.version>", pom)[0]
    assert "ports" not in broker
    assert broker["environment"]["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://kafka:9092"
    assert int(broker["environment"]["KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS"]) <= links.SESSION_TIMEOUT_MS
    for name in ("stream", "worker"):
        assert OURS[name]["environment"]["SIGMAPILOT_BROKER_URL"] == "kafka://kafka:9092", name
    assert settings.broker_url is not None


def test_workers_are_replicas_of_one_service(part: ModuleType, settings: Settings) -> None:
    assert SERVICES["worker"]["deploy"]["replicas"] == settings.stream_workers
    assert not {"container_name", "hostname", "ports"} & SERVICES["worker"].keys()
    assert part.part("worker", settings).argv[-2:] == ("worker", "0")


def test_a_worker_is_found_by_the_port_it_took(part: ModuleType, settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        moved = replace(settings, ports=replace(settings.ports, stream_metrics=port - 3))
        assert part.worker_port(moved) is None
        assert not part.ask_worker(moved)
        taken.listen()
        assert part.worker_port(moved) == port


def test_the_emulator_is_of_the_demo_only() -> None:
    assert {name for name, service in SERVICES.items() if service.get("profiles")} == {"emulator"}
    assert SERVICES["emulator"]["profiles"] == ["demo"]


def test_health_checks_ask_what_the_supervisor_asks(settings: Settings) -> None:
    for name, spec in plan(settings).items():
        asked = SERVICES[name]["healthcheck"]["test"][-1]
        if name == "worker":
            assert asked == "worker-alive", "each of them has a port of its own"
            continue
        match spec.ready:
            case HttpReady(url):
                assert asked == url
            case SocketReady(path):
                assert re.sub(r"\$\{SIGMAPILOT_MODE[^}]*\}", "demo", asked) == f"unix:{path}"
            case LogReady():
                assert asked == "daemon-alive"
            case other:
                raise AssertionError(other)


def test_every_lasting_service_has_a_health_check_and_comes_back() -> None:
    for name, service in SERVICES.items():
        if name == "databases":
            assert service["restart"] == "no"
            continue
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["restart"] == "unless-stopped", name


def test_services_wait_for_what_they_need() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES
            expected = "service_completed_successfully" if other == "databases" else "service_healthy"
            assert how["condition"] == expected, (name, other)
    assert "postgres" in SERVICES["databases"]["depends_on"]
    assert all("databases" in OURS[name]["depends_on"] for name in ("stream", "worker", "api", "page", "dagster-code"))
    assert all("kafka" in OURS[name]["depends_on"] for name in ("stream", "worker"))


def test_every_image_is_pinned_and_ours_has_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for name, service in SERVICES.items():
        image, _, tag = service["image"].partition(":")
        assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?(-[a-z0-9.]+)?", tag), f"{name}: {image}:{tag}"
        if name in OURS:
            assert (image, tag) == ("sigmapilot", version)
    base = re.findall(r"^FROM (\S+)", (ROOT / "ops" / "docker" / "Dockerfile").read_text(), re.MULTILINE)
    assert all(re.search(r":\d+\.\d+\.\d+-", image) for image in base)


def test_ports_are_published_on_loopback_and_are_those_of_the_settings() -> None:
    for name, service in SERVICES.items():
        assert all(host == "127.0.0.1" for host, _, _ in published(service)), name
    assert {(a, b) for _, a, b in published(SERVICES["net"])} == {(port, port) for port in ports_of_settings()}
    outside = [a for service in SERVICES.values() for _, a, _ in published(service)]
    assert len(outside) == len(set(outside))
    assert "ports" not in SERVICES["postgres"]


def test_every_published_port_is_forwarded_to_the_parts_loopback() -> None:
    text = (ROOT / "ops" / "docker" / "net.conf").read_text()
    pairs = re.findall(r"server \{ listen net:(\d+); proxy_pass 127\.0\.0\.1:(\d+); \}", text)
    forwarded = ports_of_settings() | worker_ports()
    assert {(int(a), int(b)) for a, b in pairs} == {(port, port) for port in forwarded}
    assert SERVICES["net"]["hostname"] == "net"
    assert SERVICES["net"]["healthcheck"]["test"][-2:] == ["net", "4100"]


def test_prometheus_and_grafana_ask_names_that_exist() -> None:
    scrape = yaml.safe_load((ROOT / "ops/prometheus/prometheus.compose.yml").read_text())["scrape_configs"]
    asked = {target for job in scrape for entry in job.get("static_configs", []) for target in entry["targets"]}
    asked |= {
        f"{name}:{entry['port']}"
        for job in scrape
        for entry in job.get("dns_sd_configs", [])
        for name in entry["names"]
    }
    aliases = SERVICES["net"]["networks"]["default"]["aliases"]
    for target in asked:
        name, _, port = target.partition(":")
        assert name in aliases
        assert int(port) in (worker_ports() if name == "worker" else ports_of_settings())
    sources = yaml.safe_load((ROOT / "ops/grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert {source["url"] for source in sources} == {"http://prometheus:9090"}


def test_secrets_are_files_and_nothing_that_looks_like_one_stands_in_the_file() -> None:
    assert COMPOSE["secrets"] == {
        name: {"file": f"./ops/docker/secrets/{name}"}
        for name in ("postgres_password", "api_token", "grafana_password")
    }
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|TOKEN|SECRET|KEY", key):
                assert key.rstrip("_").endswith("FILE"), f"{name}: {key}"
                assert str(value).startswith("/run/secrets/")
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    assert not re.search(r"postgres(ql)?://", (ROOT / "docker-compose.yml").read_text())


def test_the_token_goes_only_to_parts_that_check_it() -> None:
    with_token = {name for name, service in SERVICES.items() if "api_token" in service.get("secrets", [])}
    assert with_token == {"api", "stream", "emulator"}


def test_secrets_never_reach_the_repository_or_the_image() -> None:
    assert (ROOT / "ops/docker/secrets/.gitignore").read_text().splitlines() == ["*", "!.gitignore"]
    assert "ops/docker/secrets" in (ROOT / ".dockerignore").read_text().splitlines()


def test_every_mounted_file_exists() -> None:
    for name, service in SERVICES.items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), f"{name}: {source}"
                assert mount.endswith(":ro"), f"{name}: {mount}"
            else:
                assert source in COMPOSE["volumes"], f"{name}: {source}"


def test_a_container_takes_its_secrets_from_files(settings: Settings) -> None:
    url = settings.database_url.get_secret_value()
    assert url == "postgresql+psycopg://sigmapilot:p%2Fw%20with%20spaces@postgres:5432/sigmapilot_demo"
    assert settings.dagster_database_url.get_secret_value().endswith("@postgres:5432/dagster_demo")
    parts = plan(settings)
    assert parts["api"].env["SIGMAPILOT_API_TOKEN"] == SECRETS["api_token"]
    assert "SIGMAPILOT_API_TOKEN" not in parts["page"].env
    assert "postgres" not in parts


def test_a_missing_password_and_an_unknown_part_are_one_sentence(
    part: ModuleType, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(CommandError, match="secret postgres_password is missing"):
        part.settings_of(tmp_path / "nothing")
    with pytest.raises(CommandError, match=r"no part 'kafka'; allowed: emulator \| stream"):
        part.part("kafka", settings)
