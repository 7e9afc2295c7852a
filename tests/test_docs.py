"""Every public name is documented, with an example that runs."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

import convergent as cv

ROOT = Path(__file__).resolve().parents[1]
OPTIONAL = {"nets": "torch", "report": "matplotlib"}


def modules() -> list[str]:
    found = ["convergent"]
    for info in pkgutil.walk_packages(cv.__path__, "convergent.", onerror=lambda name: None):
        if "._core." not in info.name:
            found.append(info.name)
    return found


def importable(name: str) -> ModuleType:
    part = name.split(".")[1] if "." in name else ""
    if part in OPTIONAL:
        pytest.importorskip(OPTIONAL[part])
    return importlib.import_module(name)


@pytest.mark.parametrize("name", modules())
def test_examples_run(name: str) -> None:
    assert doctest.testmod(importable(name)).failed == 0


@pytest.mark.parametrize("name", cv.__all__)
def test_public_names_have_an_example(name: str) -> None:
    thing = getattr(cv, name)
    text = inspect.getdoc(thing) or ""
    if inspect.isclass(thing) and issubclass(thing, Warning):
        assert text
        return
    assert "Examples" in text, f"{name} has no example"
    assert ">>>" in text


@pytest.mark.parametrize("name", cv.__all__)
def test_public_names_are_in_the_api_pages(name: str) -> None:
    pages = ROOT / "docs" / "api.md"
    if not pages.exists():
        pytest.skip("the docs are not beside the tests")
    assert f"::: convergent.{name}\n" in pages.read_text()
