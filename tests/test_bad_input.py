"""Every public function refuses bad input with an error that names the argument, the rule and the value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convergent as cv

GOOD = np.random.default_rng(0).standard_normal((30, 4))

# Functions of two arrays of activations, then of one, then of a list.
PAIRS: dict[str, Callable[[Any, Any], Any]] = {
    "correlation": cv.correlation,
    "mutual_information": cv.mutual_information,
    "SubspaceMatcher": cv.SubspaceMatcher,
    "max_match": lambda x, y: cv.max_match(x, y, 0.3),
    "matching_similarity": lambda x, y: cv.matching_similarity(x, y, 0.3),
    "inter_rsm": cv.inter_rsm,
    "sparse_map": lambda x, y: cv.sparse_map(x, y, 0.1),
    "sparse_map_path": lambda x, y: cv.sparse_map_path(x, y, [0.1]),
    "cka": cv.cka,
    "cka rbf": lambda x, y: cv.cka(x, y, kernel="rbf"),
    "cka debiased": lambda x, y: cv.cka(x, y, debiased=True),
    "cka of batches": lambda x, y: cv.cka(x, y, batch_size=8),
    "cca": cv.cca,
    "svcca": cv.svcca,
    "pwcca": cv.pwcca,
    "procrustes": cv.procrustes,
    "rsa": cv.rsa,
    "rsa rank": lambda x, y: cv.rsa(x, y, method="rank"),
}
Y_MAY_BE_MISSING = {"correlation", "inter_rsm"}
SINGLES: dict[str, Callable[[Any], Any]] = {
    "correlation": cv.correlation,
    "bin_units": cv.bin_units,
    "rsm": cv.rsm,
}
LISTS: dict[str, Callable[[Any], Any]] = {
    "SharedResponseModel": lambda xs: cv.SharedResponseModel(2).fit(xs),
    "consistency": cv.consistency,
    "index_atlas": cv.index_atlas,
    "index_atlas of a mapping": lambda xs: cv.index_atlas(dict(zip("ab", xs)), "rsa"),
    "Moments": lambda xs: cv.Moments([4, 4]).update(xs),
    "Factor": lambda xs: cv.Factor([4, 4]).update(xs),
    "shared transform": lambda xs: cv.SharedResponseModel(2).fit([GOOD, GOOD]).transform(xs),
    "variance_explained": lambda xs: cv.variance_explained(
        xs, cv.SharedResponseModel(2).fit([GOOD, GOOD])
    ),
}


def with_value(value: float) -> np.ndarray[Any, Any]:
    array = GOOD.copy()
    array[7, 2] = value
    array[9, 3] = value
    return array


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "NaN": (with_value(np.nan), ValueError, "finite.*2 NaN or infinite.*unit 2"),
    "infinite": (with_value(-np.inf), ValueError, "finite.*2 NaN or infinite.*unit 2"),
    "no examples": (np.empty((0, 4)), ValueError, r"not be empty.*\(0, 4\)"),
    "no units": (np.empty((30, 0)), ValueError, r"not be empty.*\(30, 0\)"),
    "one dimension": (GOOD[:, 0], ValueError, r"two-dimensional.*\(30,\)"),
    "0-d": (np.float64(3.0), ValueError, r"two-dimensional.*\(\)"),
    "three dimensions": (GOOD[None], ValueError, r"two-dimensional.*\(1, 30, 4\)"),
    "complex": (GOOD + 1j, TypeError, "real.*complex"),
    "objects": (GOOD.astype(object), ValueError, "numbers.*object"),
    "text": (GOOD.astype(str), ValueError, "numbers"),
    "None": (None, ValueError, "numbers.*object"),
    "ragged": ([[1.0, 2.0], [3.0]], ValueError, "numbers"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("place", ["x", "y"])
def test_pairs(name: str, bad: str, place: str) -> None:
    value, error, message = BAD[bad]
    if bad == "None" and place == "y" and name in Y_MAY_BE_MISSING:
        PAIRS[name](*(([GOOD, GOOD], None) if name == "inter_rsm" else (GOOD, None)))
        return
    with pytest.raises(error, match=f"`{place}`.*{message}"):
        PAIRS[name](*((value, GOOD) if place == "x" else (GOOD, value)))


@pytest.mark.parametrize("bad", [name for name in BAD if name != "None"])
@pytest.mark.parametrize("name", SINGLES)
def test_singles(name: str, bad: str) -> None:
    value, error, message = BAD[bad]
    with pytest.raises(error, match=f"`x`.*{message}"):
        SINGLES[name](value)


@pytest.mark.parametrize("bad", [name for name in BAD if name != "None"])
@pytest.mark.parametrize("name", LISTS)
def test_lists(name: str, bad: str) -> None:
    value, error, message = BAD[bad]
    with pytest.raises(error, match=message):
        LISTS[name]([GOOD, value])


@pytest.mark.parametrize("name", PAIRS)
def test_different_numbers_of_examples(name: str) -> None:
    with pytest.raises(ValueError, match=r"examples.*29|29.*examples"):
        PAIRS[name](GOOD, GOOD[:29])


@pytest.mark.parametrize("name", LISTS)
def test_different_numbers_of_examples_in_a_list(name: str) -> None:
    with pytest.raises(ValueError, match=r"examples.*29|29.*examples"):
        LISTS[name]([GOOD, GOOD[:29]])


@pytest.mark.parametrize("bad", [name for name in BAD if name not in ("three dimensions", "None")])
def test_statistics_of_arrays(bad: str) -> None:
    """Images may have more than two dimensions here, so the rule about shapes is another one."""
    value, error, message = BAD[bad]
    if "dimension" in bad or "0-d" in bad or "no " in bad:
        message = (
            r"must be \(n_images, n_units\) or \(n_images, n_channels, height, width\), not empty"
        )
    with pytest.raises(error, match=message):
        cv.Statistics.from_arrays({"a": GOOD, "b": value})


def test_statistics_of_arrays_of_different_examples() -> None:
    with pytest.raises(ValueError, match=r"the same images in every network, got \[30, 29\]"):
        cv.Statistics.from_arrays({"a": GOOD, "b": GOOD[:29]})


@pytest.mark.parametrize("name", [name for name in PAIRS if name != "inter_rsm"])
def test_one_example_is_too_few(name: str) -> None:
    fewest = 4 if "debiased" in name or "batches" in name else 3 if "rsa" in name else 2
    with pytest.raises(ValueError, match=f"at least {fewest} examples, got 1"):
        PAIRS[name](GOOD[:1], GOOD[:1])


COSTS: dict[str, Callable[[Any], Any]] = {
    "assign": cv.assign,
    "match_units": cv.match_units,
    "unit_tree": cv.unit_tree,
    "match_summary": cv.match_summary,
    "unit_groups": lambda value: cv.unit_groups(np.eye(30), value, np.eye(4)),
    "recurring_units": lambda value: cv.recurring_units({(0, 1): value}),
}


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (with_value(np.nan), ValueError),
        (GOOD[0], ValueError),
        (np.float64(1.0), ValueError),
        (GOOD[None], ValueError),
        (GOOD + 1j, TypeError),
        (GOOD.astype(object), ValueError),
        (GOOD.astype(str), ValueError),
    ],
)
@pytest.mark.parametrize("name", COSTS)
def test_costs(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"`(cost|similarity|weights|c_xy|similarities\[0, 1\])` must"):
        COSTS[name](value)
