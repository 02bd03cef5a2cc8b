"""The documents say what is so: what they name exists, what they list is complete, what is generated is current."""

from __future__ import annotations

import os
import re
import runpy
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from benchmarks.__main__ import ABOUT
from sigmapilot_assets.jobs import all_jobs
from sigmapilot_cli.main import cli
from sigmapilot_core.adapters.emulator.faults import CATALOGUE
from sigmapilot_core.adapters.postgres.tables import metadata
from sigmapilot_core.adapters.settings import describe
from sigmapilot_core.adapters.settings_values import Ports
from sigmapilot_stream import topics

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted(DOCS.glob("*.md"))]
PRUNED = {
    ".git",
    ".venv",
    "__pycache__",
    "node_modules",
    "target",
    "build",
    ".hypothesis",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
}
TOP = re.compile(r"(?:sigmapilot_\w+|tests|docs|dbt|ops|benchmarks|domain)/")
COLUMN = re.compile(r"^\| `([^`]+)`", re.MULTILINE)
ARCHIVED_MB = 0.5


def prose(path: Path) -> str:
    """A document without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)


def section(path: Path, heading: str) -> str:
    """Text below a heading, up to the next of the same or a higher level."""
    found = re.search(
        rf"^(#+) {re.escape(heading)}.*?$(.*?)(?=^#{{1,2}} |\Z)", path.read_text(), re.DOTALL | re.MULTILINE
    )
    assert found, f"{path.name} has no section {heading!r}"
    return found[2]


def ids(documents: list[Path]) -> list[str]:
    return [path.name for path in documents]


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids(DOCUMENTS))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if not target.startswith(("http://", "https://", "#")):
            assert (path.parent / target.partition("#")[0]).exists(), f"{path.name}: {target}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids(DOCUMENTS))
def test_files_named_in_documents_exist(path: Path) -> None:
    for name in re.findall(r"`([^`\s]+)`", prose(path)):
        if TOP.match(name) and "*" not in name and "<" not in name and "/secrets/" not in name:
            places = (ROOT / name, ROOT / "sigmapilot_core" / name)
            assert any(place.exists() for place in places), f"{path.name}: {name}"


def test_the_settings_document_is_current() -> None:
    generator = runpy.run_path(str(Path(__file__).with_name("settings_document.py")))
    assert (DOCS / "settings.md").read_text() == generator["text"](), "python tests/contracts/settings_document.py"


def test_settings_of_the_readme_are_those_of_the_program() -> None:
    defaults = {row.name: row.default for row in describe()}
    rows = re.findall(r"^\| `([A-Z_]+)` \| (\S+) \|", section(README, "Settings"), re.MULTILINE)
    assert len(rows) >= 10
    for name, shown in rows:
        assert shown == (f"`{defaults[name]}`" if defaults[name] else "unset"), name


def test_make_targets_named_in_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in DOCUMENTS:
        named = set(re.findall(r"`make ([a-z0-9-]+)|^make ([a-z0-9-]+)", path.read_text(), re.MULTILINE))
        assert {a or b for a, b in named} <= targets, path.name


@cache
def commands() -> Any:
    return typer.main.get_command(cli)


def calls(path: Path) -> Iterator[list[str]]:
    """Words of every `sigmapilot ...` in backticks or at the start of a line of a block."""
    text = path.read_text()
    spans = [*re.findall(r"`([^`\n]+)`", text), *text.splitlines()]
    for span in spans:
        found = re.match(r"(?:\S*/)?sigmapilot ([a-z].*)", span.partition("  #")[0].strip())
        if found and "|" not in found[1]:
            yield found[1].split()


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids(DOCUMENTS))
def test_commands_and_options_named_in_documents_exist(path: Path) -> None:
    for words in calls(path):
        command = commands()
        rest = list(words)
        while rest and hasattr(command, "commands"):
            name = rest.pop(0)
            assert name in command.commands, f"{path.name}: sigmapilot {' '.join(words)}"
            command = command.commands[name]
        known = {option for parameter in command.params for option in parameter.opts}
        for option in (word for word in rest if word.startswith("-")):
            assert option in known, f"{path.name}: sigmapilot {' '.join(words)}"


def test_every_command_stands_in_the_readme() -> None:
    named = {words[0] for words in calls(README)}
    assert set(commands().commands) - named <= {"version"}


def test_addresses_of_the_readme_are_the_ports_of_the_program() -> None:
    ports = Ports()
    named = {int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", README.read_text())}
    assert named == {ports.page, ports.dagster, ports.api[0], ports.emulator}
    moved = Ports.from_base(5100)
    for port in (moved.emulator, moved.dagster, moved.page):
        assert str(port) in README.read_text()


def test_every_table_is_described_under_its_writer() -> None:
    text = (DOCS / "data.md").read_text()
    by_dagster = set(COLUMN.findall(section(DOCS / "data.md", "Written by Dagster")))
    by_stream = set(COLUMN.findall(section(DOCS / "data.md", "Written by the stream")))
    by_people = set(COLUMN.findall(section(DOCS / "data.md", "Written by people")))
    assert len(by_dagster) + len(by_stream) + len(by_people) == len(by_dagster | by_stream | by_people)
    assert by_dagster | by_stream | by_people == set(metadata.tables)
    assert {topic.name for topic in topics.ALL} == set(COLUMN.findall(section(DOCS / "data.md", "Topics")))
    assert "report_marts" in text


def test_every_fault_of_the_emulator_is_described() -> None:
    rows = [line for line in section(DOCS / "emulator.md", "Faults").splitlines() if line.startswith("| ")]
    named = {name for line in rows for name in re.findall(r"`([a-z0-9_]+)`", line.split("|")[2])}
    assert named == set(CATALOGUE)


def test_every_alert_has_a_line_of_the_runbook() -> None:
    groups = yaml.safe_load((ROOT / "ops/prometheus/sigmapilot.rules.yml").read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    rows = [
        line.split("|")[1] for line in section(DOCS / "operations.md", "Alerts").splitlines() if line.startswith("| `")
    ]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == alerts


def test_every_job_has_a_line_of_the_runbook() -> None:
    assert set(COLUMN.findall(section(DOCS / "operations.md", "Learning by hand"))) == {job.name for job in all_jobs}


def test_every_benchmark_is_described() -> None:
    assert set(COLUMN.findall((DOCS / "benchmarks.md").read_text().partition("<!-- figures")[0])) == set(ABOUT)


def test_pictures_are_small() -> None:
    for path in (DOCS / "images").iterdir():
        assert path.stat().st_size < ARCHIVED_MB * 1e6, path.name


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file of the tree."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in PRUNED and not name.endswith(".egg-info")]
        for name in names:
            if name in PRUNED:  # of a second work tree, `.git` is a file
                continue
            path = Path(folder, name)
            try:
                yield path, path.read_text()
            except UnicodeDecodeError:
                continue


def test_the_tree_names_no_place_of_a_machine_no_package_index_and_nobody_who_wrote_it() -> None:
    # put together here, so that this file is no hit
    hosts = ["py" + "pi.org", "python" + "hosted", "/sim" + "ple/"]
    places = ["/wo" + "rk/", "/ho" + "me/ubuntu", "/Us" + "ers/"]
    writers = [
        "clau" + "de",
        "anth" + "ropic",
        "chat" + "gpt",
        "open" + "ai",
        "language " + "model",
        "ai assis" + "tant",
    ]
    pattern = re.compile("|".join(map(re.escape, [*hosts, *places, *writers])), re.IGNORECASE)
    hits = [f"{path.relative_to(ROOT)}: {found[0]}" for path, text in texts() if (found := pattern.search(text))]
    assert hits == []
