from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from convergent import _core

if TYPE_CHECKING:
    from convergent import Statistics
    from convergent.study import Study

try:
    from hypothesis import settings
except ImportError:
    pass
else:
    # The same examples every time, so that a change is judged by what it changes. HYPOTHESIS_PROFILE=explore
    # draws new ones.
    settings.register_profile("repeat", derandomize=True, deadline=None)
    settings.register_profile("explore", deadline=None)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeat"))


# CONVERGENT_TEST_LEVELS=best is enough for binaries that have been tested where they were built.
WANTED = os.environ.get("CONVERGENT_TEST_LEVELS", "all")
LEVELS = {"all": _core.built_levels(), "best": _core.supported_levels()[-1:]}


@pytest.fixture(params=LEVELS[WANTED])
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test once with the kernels of every CPU level that was built, or of the best one."""
    name: str = request.param
    if name not in _core.supported_levels():
        pytest.skip(f"this processor lacks CPU level {name}")
    monkeypatch.setattr(_core, "kernels", _core.load_level(name))
    return name


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of reference data that is not part of the project."""
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("CONVERGENT_SHARED", root / ".." / "shared")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder} (set CONVERGENT_SHARED)")
    return folder


@pytest.fixture(scope="session")
def golden(shared: Path) -> Path:
    """Folder of the golden numbers."""
    return shared / "golden"


@pytest.fixture(scope="module")
def one_torch_thread() -> Iterator[None]:
    """Let torch use one thread while a module's tests run."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def three_networks() -> Statistics:
    """Statistics that are small and yet fit every measure."""
    from tests.small_study import small_statistics

    return small_statistics()


@pytest.fixture(scope="session")
def expected_study(three_networks: Statistics) -> Study:
    """What a comparison of the three networks finds, in this process and on one thread."""
    from convergent import study

    return study.compare(three_networks, n_threads=1)
