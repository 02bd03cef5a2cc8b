"""The arrows and the purity of DESIGN: read off the syntax trees, so that no import can slip past."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("sigmapilot_core", "sigmapilot_assets", "sigmapilot_stream", "sigmapilot_ui", "sigmapilot_cli")
DOMAIN_MAY_IMPORT = {"numpy", "scipy", "polars", "sigmapilot_core.domain"}
STDLIB_OUTSIDE_WORLD = {
    "os", "sys", "time", "random", "socket", "logging", "subprocess", "threading", "asyncio", "urllib", "http",
    "pathlib", "io", "tempfile", "shutil", "secrets", "uuid.uuid4",
}  # fmt: skip
ENVIRONMENT_READER = "sigmapilot_core/adapters/settings.py"


def modules(package: str) -> Iterator[tuple[str, ast.Module]]:
    """(path from the root, syntax tree) of every module below a package."""
    for path in sorted((ROOT / package).rglob("*.py")):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def imports(tree: ast.Module) -> Iterator[str]:
    """Dotted names of everything imported anywhere in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "relative imports hide the arrows"
            yield node.module


def calls(tree: ast.Module) -> Iterator[str]:
    """Dotted source of everything called in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def test_domain_imports_only_mathematics_and_itself() -> None:
    import sys

    allowed_stdlib = set(sys.stdlib_module_names) - STDLIB_OUTSIDE_WORLD
    for path, tree in modules("sigmapilot_core/domain"):
        for name in imports(tree):
            top = name.split(".")[0]
            fine = (
                name.startswith("sigmapilot_core.domain")
                or top in DOMAIN_MAY_IMPORT
                or (top in allowed_stdlib and name not in STDLIB_OUTSIDE_WORLD)
            )
            assert fine, f"{path} imports {name}"


def test_domain_has_no_clock_and_no_randomness_of_its_own() -> None:
    ambient = ("datetime.now", "datetime.utcnow", "date.today", "time.time", "np.random.seed", "uuid4", "uuid.uuid4")
    for path, tree in modules("sigmapilot_core/domain"):
        for called in calls(tree):
            assert not called.endswith(ambient), f"{path} calls {called}"
            assert called not in {"np.random.default_rng", "open", "print"} or _has_arguments(tree, called), (
                f"{path} calls {called}"
            )


def _has_arguments(tree: ast.Module, called: str) -> bool:
    return called == "np.random.default_rng" and all(
        node.args or node.keywords
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == called
    )


def test_ports_know_only_the_domain() -> None:
    tree = ast.parse((ROOT / "sigmapilot_core" / "ports.py").read_text())
    for name in imports(tree):
        assert not name.startswith("sigmapilot_") or name.startswith("sigmapilot_core.domain"), name


def test_core_knows_none_of_the_applications() -> None:
    for path, tree in modules("sigmapilot_core"):
        for name in imports(tree):
            assert not name.startswith(PACKAGES[1:]), f"{path} imports {name}"


def test_applications_never_import_one_another() -> None:
    for package in PACKAGES[1:]:
        others = tuple(other for other in PACKAGES[1:] if other != package)
        for path, tree in modules(package):
            for name in imports(tree):
                assert not name.startswith(others), f"{path} imports {name}"


def test_only_the_evaluation_reaches_the_truth() -> None:
    for package in PACKAGES:
        for path, tree in modules(package):
            asks = any(name.startswith("sigmapilot_core.domain.simulation.truth") for name in imports(tree))
            assert not asks or path.startswith("sigmapilot_core/domain/evaluation/truth_"), f"{path} knows the truth"


def test_of_the_assets_only_reports_know_the_evaluation_of_the_truth() -> None:
    for package in PACKAGES[1:]:
        for path, tree in modules(package):
            asks = any("evaluation.truth_" in name for name in imports(tree))
            assert not asks or path.startswith(("sigmapilot_assets/report/", "sigmapilot_cli/evaluate")), path


def test_only_the_stream_knows_faust() -> None:
    for package in PACKAGES:
        for path, tree in modules(package):
            for name in imports(tree):
                top = name.split(".")[0]
                assert top not in {"faust", "mode", "aiokafka"} or package == "sigmapilot_stream", f"{path}: {name}"


def test_one_file_reads_the_environment() -> None:
    for package in PACKAGES:
        for path, tree in modules(package):
            for node in ast.walk(tree):
                read = isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv"}
                assert not read or path == ENVIRONMENT_READER, f"{path} reads the environment"


def test_no_broad_except() -> None:
    for package in PACKAGES:
        for path, tree in modules(package):
            for node in ast.walk(tree):
                if isinstance(node, ast.ExceptHandler):
                    caught = ast.unparse(node.type) if node.type else "everything"
                    assert caught not in {"everything", "Exception", "BaseException"}, f"{path}:{node.lineno}"


def test_functions_stay_short_and_files_small() -> None:
    lengths = []
    for package in PACKAGES:
        for path, tree in modules(package):
            lines = len((ROOT / path).read_text().splitlines())
            assert lines <= 500, f"{path} has {lines} lines"
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    body = node.body[1:] if ast.get_docstring(node) else node.body
                    length = body[-1].end_lineno - body[0].lineno + 1 if body else 0  # type: ignore[operator]
                    lengths.append(length)
                    assert length <= 60, f"{path}:{node.name} has {length} lines"
    lengths.sort()
    assert lengths[int(len(lengths) * 0.9)] <= 30, "the 90th percentile of function bodies"
