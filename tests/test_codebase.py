"""Rules that the sources keep: sizes, one direction of imports, no torch where none belongs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import convergent

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(convergent.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
CXX = [
    path
    for folder in ("src", "include", "bindings")
    for path in sorted((ROOT / "cpp" / folder).rglob("*.?pp"))
]

# What each room may import; `_core`, `_validate`, `_warnings`, `_files` and `progress` serve all of them.
LAYERS = {
    "_core": set(),
    "_validate": {"_warnings"},
    "_storage": set(),
    "_warnings": set(),
    "progress": set(),
    "training_recipes": set(),
    "training_settings": {"_validate", "training_recipes"},
    "statistics": {"_validate", "_warnings", "_storage", "_core", "progress"},
    "measures": {"_validate", "_warnings", "_core", "statistics"},
    "inference": {"_validate", "_warnings", "_core", "progress", "measures"},
    "nets": {
        "_validate",
        "_warnings",
        "_storage",
        "statistics",
        "progress",
        "training_recipes",
        "training_settings",
    },
    "study": {
        "_validate",
        "_warnings",
        "_storage",
        "progress",
        "statistics",
        "measures",
        "inference",
        "report",
    },
    "simulation": {
        "_validate",
        "_warnings",
        "_storage",
        "progress",
        "measures",
        "inference",
    },
    "report": {"_storage", "_core", "study", "statistics", "inference", "simulation"},
}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "convergent":
                names = [f"convergent.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("convergent.")}
    return rooms


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    here = room(path)
    if here in LAYERS:
        assert imported_rooms(path) - {here} <= LAYERS[here]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_nets_imports_torch(path: Path) -> None:
    if room(path) != "nets":
        assert not re.search(
            r"^\s*(import|from) (torch|torchvision|captum)\b", path.read_text(), re.M
        )


@pytest.mark.parametrize("path", [*MODULES, *CXX], ids=lambda p: p.name)
def test_files_are_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_functions_are_small(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            body = node.body
            if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
                body = body[1:]
            length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert length <= 45, f"{node.name} has {length} lines"


def test_literal_twins_are_independent() -> None:
    for path in (ROOT / "tests" / "reference").glob("*.py"):
        assert "convergent" not in imported_names(path), path


def imported_names(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
    return names


def test_the_environment_builds_with_what_an_isolated_build_would_take() -> None:
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(project["build-system"]["requires"]) <= set(project["dependency-groups"]["build"])
