"""The arrows and the purity of DESIGN: read off the syntax trees, so that no import can slip past."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("sigmapilot_core", "sigmapilot_assets", "sigmapilot_stream", "sigmapilot_ui", "sigmapilot_cli")
DOMAIN_MAY_IMPORT = {"numpy", "scipy", "polars", "sigmapilot_core.domain"}
STDLIB_OUTSIDE_WORLD = {
    "os", "sys", "time", "random", "socket", "logging", "subprocess", "threading", "asyncio", "urllib", "http",
    "pathlib", "io", "tempfile", "shutil", "secrets", "uuid.uuid4",
}  # fmt: skip
ENVIRONMENT_READER = "sigmapilot_core/adapters/settings.py"


@dataclass(frozen=True)
class Module:
    """What the rules ask of one module. Syntax trees themselves are too large to be kept."""

    path: str
    n_lines: int
    imports: tuple[str, ...]
    calls: tuple[tuple[str, bool], ...]
    """(dotted source of what is called, whether with arguments)."""
    reads_environment: bool
    caught: tuple[tuple[int, str], ...]
    """(line, what an `except` names)."""
    functions: tuple[tuple[str, int], ...]
    """(name, lines of its body)."""


def modules(package: str) -> Iterator[Module]:
    """Every module below a package."""
    return (read(path) for path in sorted((ROOT / package).rglob("*.py")))


@functools.cache
def read(path: Path) -> Module:
    """One module, once for all rules."""
    text = path.read_text()
    nodes = list(ast.walk(ast.parse(text)))
    attributes = {dotted(node) for node in nodes if isinstance(node, ast.Attribute)}
    return Module(
        path=str(path.relative_to(ROOT)),
        n_lines=len(text.splitlines()),
        imports=tuple(imports(nodes)),
        calls=tuple((dotted(n.func), bool(n.args or n.keywords)) for n in nodes if isinstance(n, ast.Call)),
        reads_environment=bool(attributes & {"os.environ", "os.getenv"}),
        caught=tuple(
            (n.lineno, ast.unparse(n.type) if n.type else "everything")
            for n in nodes
            if isinstance(n, ast.ExceptHandler)
        ),
        functions=tuple((n.name, length(n)) for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)),
    )


def imports(nodes: list[ast.AST]) -> Iterator[str]:
    """Dotted names of everything imported anywhere in a module."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "relative imports hide the arrows"
            yield node.module


def dotted(node: ast.AST) -> str:
    """Names joined by dots; what is no name stands as `()`, so that the end can still be compared."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "()"


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body without its docstring."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0  # type: ignore[operator]


def test_domain_imports_only_mathematics_and_itself() -> None:
    import sys

    allowed_stdlib = set(sys.stdlib_module_names) - STDLIB_OUTSIDE_WORLD
    for module in modules("sigmapilot_core/domain"):
        for name in module.imports:
            top = name.split(".")[0]
            fine = (
                name.startswith("sigmapilot_core.domain")
                or top in DOMAIN_MAY_IMPORT
                or (top in allowed_stdlib and name not in STDLIB_OUTSIDE_WORLD)
            )
            assert fine, f"{module.path} imports {name}"


def test_domain_has_no_clock_and_no_randomness_of_its_own() -> None:
    ambient = ("datetime.now", "datetime.utcnow", "date.today", "time.time", "np.random.seed", "uuid4", "uuid.uuid4")
    for module in modules("sigmapilot_core/domain"):
        for called, has_arguments in module.calls:
            assert not called.endswith(ambient), f"{module.path} calls {called}"
            is_seeded = called == "np.random.default_rng" and has_arguments
            assert called not in {"np.random.default_rng", "open", "print"} or is_seeded, (
                f"{module.path} calls {called}"
            )


def test_ports_know_only_the_domain() -> None:
    for name in read(ROOT / "sigmapilot_core" / "ports.py").imports:
        assert not name.startswith("sigmapilot_") or name.startswith("sigmapilot_core.domain"), name


def test_core_knows_none_of_the_applications() -> None:
    for module in modules("sigmapilot_core"):
        for name in module.imports:
            assert not name.startswith(PACKAGES[1:]), f"{module.path} imports {name}"


def test_applications_never_import_one_another() -> None:
    for package in PACKAGES[1:]:
        others = tuple(other for other in PACKAGES[1:] if other != package)
        for module in modules(package):
            for name in module.imports:
                assert not name.startswith(others), f"{module.path} imports {name}"


def test_only_the_evaluation_reaches_the_truth() -> None:
    for package in PACKAGES:
        for module in modules(package):
            asks = any(name.startswith("sigmapilot_core.domain.simulation.truth") for name in module.imports)
            assert not asks or module.path.startswith("sigmapilot_core/domain/evaluation/truth_"), (
                f"{module.path} knows the truth"
            )


def test_of_the_assets_only_reports_know_the_evaluation_of_the_truth() -> None:
    for package in PACKAGES[1:]:
        for module in modules(package):
            asks = any("evaluation.truth_" in name for name in module.imports)
            assert not asks or module.path.startswith(("sigmapilot_assets/report/", "sigmapilot_cli/evaluate")), (
                module.path
            )


def test_only_the_stream_knows_faust() -> None:
    for package in PACKAGES:
        for module in modules(package):
            for name in module.imports:
                top = name.split(".")[0]
                assert top not in {"faust", "mode", "aiokafka"} or package == "sigmapilot_stream", (
                    f"{module.path}: {name}"
                )


def test_one_file_reads_the_environment() -> None:
    for package in PACKAGES:
        for module in modules(package):
            assert not module.reads_environment or module.path == ENVIRONMENT_READER, f"{module.path} reads it"


def test_no_broad_except() -> None:
    for package in PACKAGES:
        for module in modules(package):
            for line, caught in module.caught:
                assert caught not in {"everything", "Exception", "BaseException"}, f"{module.path}:{line}"


def test_functions_stay_short_and_files_small() -> None:
    lengths = []
    for package in PACKAGES:
        for module in modules(package):
            assert module.n_lines <= 500, f"{module.path} has {module.n_lines} lines"
            for name, lines in module.functions:
                lengths.append(lines)
                assert lines <= 60, f"{module.path}:{name} has {lines} lines"
    lengths.sort()
    assert lengths[int(len(lengths) * 0.9)] <= 30, "the 90th percentile of function bodies"
