from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convergent as cv
from convergent import _core

GOOD = np.eye(4)[:, :2]


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (GOOD, GOOD[:3], ValueError, "`y` must have as many examples as `x`, got 3 and 4"),
        (GOOD * np.nan, GOOD, ValueError, "`x` must be finite, got 8 NaN or infinite values"),
        (GOOD, GOOD + np.inf, ValueError, "`y` must be finite"),
        (GOOD[:, :0], GOOD, ValueError, "`x` must not be empty"),
        (GOOD[:1], GOOD[:1], ValueError, "`x` must have at least 2 examples, got 1"),
        (GOOD, GOOD[:, 0], ValueError, "`y` must be two-dimensional"),
        (np.float64(3.0), GOOD, ValueError, "`x` must be two-dimensional"),
        (GOOD * 1j, GOOD, TypeError, "`x` must be real, got complex"),
        (GOOD, GOOD.astype(object), ValueError, "`y` must be an array of numbers"),
        (GOOD, "no numbers", ValueError, "`y` must be an array of numbers"),
    ],
)
def test_bad_activations(x: Any, y: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        cv.SubspaceMatcher(x, y)
    with pytest.raises(error, match=message):
        cv.max_match(x, y, 0.3)


@pytest.mark.parametrize(
    ("epsilon", "error", "message"),
    [
        (1.0, ValueError, r"`epsilon` must lie in \[0, 1\), got 1.0"),
        (-0.1, ValueError, r"`epsilon` must lie in \[0, 1\), got -0.1"),
        (np.nan, ValueError, "`epsilon` must be finite, got nan"),
        ("0.3", TypeError, "`epsilon` must be a real number, got '0.3'"),
        (None, TypeError, "`epsilon` must be a real number, got None"),
        (True, TypeError, "`epsilon` must be a real number, got True"),
        ([0.3, 1.5], ValueError, r"`epsilon\[1\]` must lie in \[0, 1\), got 1.5"),
        (
            np.full((2, 2), 0.1),
            ValueError,
            r"`epsilon` must be a number or a sequence, got shape \(2, 2\)",
        ),
    ],
)
def test_bad_epsilon(epsilon: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        cv.SubspaceMatcher(GOOD, GOOD).max_match(epsilon)


def test_bad_dead_units() -> None:
    message = "`dead_units` must be one of 'exclude', 'match', 'unmatched', got 'keep'"
    with pytest.raises(ValueError, match=message):
        cv.SubspaceMatcher(GOOD, GOOD, dead_units="keep")
    with pytest.raises(ValueError, match=message):
        cv.SubspaceMatcher.from_factor(np.eye(2), 1, n_examples=2, dead_units="keep")


@pytest.mark.parametrize(
    ("triangle", "n_x", "n_examples", "error", "message"),
    [
        (np.eye(3)[:2], 1, 5, ValueError, r"`factor` must be square, got shape \(2, 3\)"),
        (np.ones((3, 3)), 1, 5, ValueError, "`factor` must be zero below its diagonal"),
        (np.eye(3) * np.nan, 1, 5, ValueError, "`factor` must be finite, got 9 NaN"),
        (np.eye(3) * 1j, 1, 5, TypeError, "`factor` must be real, got complex"),
        (np.eye(1), 1, 5, ValueError, "`factor` must hold units of two networks, got 1"),
        (np.eye(3), 0, 5, ValueError, "`n_x` must be between 1 and 2, got 0"),
        (np.eye(3), 3, 5, ValueError, "`n_x` must be between 1 and 2, got 3"),
        (np.eye(3), 1.5, 5, TypeError, "`n_x` must be a whole number, got 1.5"),
        (np.eye(3), 1, 0, ValueError, "`n_examples` must be at least 1, got 0"),
    ],
)
def test_bad_factor(
    triangle: Any, n_x: Any, n_examples: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        cv.SubspaceMatcher.from_factor(triangle, n_x, n_examples=n_examples)


FACTOR = cv.Factor([2, 2]).update([GOOD[:, :2], GOOD[:, :2]])


@pytest.mark.parametrize(
    ("factor", "options", "message"),
    [
        (FACTOR, {"n_x": 2}, "`n_x` and `n_examples` go with an array; a Factor knows them"),
        (FACTOR, {"n_examples": 2}, "`n_x` and `n_examples` go with an array"),
        (FACTOR, {"networks": (0, 2)}, "`networks` must be between 0 and 1, got 2"),
        (FACTOR, {"networks": 1}, "`networks` must be a pair of networks, got 1"),
        (np.eye(4), {"n_x": 2, "center": True}, "`center` goes with a Factor"),
        (cv.Factor([2, 2]), {}, "the factor must have taken in examples, got none"),
    ],
)
def test_what_does_not_go_together(factor: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cv.SubspaceMatcher.from_factor(factor, **options)


def kernel_span(**changed: Any) -> Any:
    square = np.asfortranarray(np.eye(3))
    parts: dict[str, Any] = {
        "triangle": square,
        "order": np.arange(3),
        "coefficients": square,
        "residuals": np.zeros(3),
        "tolerance": 1e-12,
    }
    return tuple({**parts, **changed}.values())


EPSILONS = np.array([0.5, 0.1])


def test_kernel_checks_its_arguments(level: str) -> None:
    good = kernel_span()
    in_x, in_y, margins = _core.kernels.max_match(good, good, EPSILONS)
    assert in_x.all()
    assert in_y.shape == (2, 3)
    assert margins.tolist() == EPSILONS.tolist()  # every distance is zero
    for epsilons, message in [
        (np.array([0.1, 0.5]), "the epsilons must descend"),
        (np.zeros((1, 1)), "the epsilons must be a vector"),
    ]:
        with pytest.raises(ValueError, match=message):
            _core.kernels.max_match(good, good, epsilons)
    wrong: list[tuple[str, Any, str]] = [
        ("order", np.array([0, 1, 1]), "must be a permutation"),
        ("order", np.array([0, 1, 3]), "must be a permutation"),
        ("order", np.arange(2), "shapes that agree"),
        ("residuals", np.zeros(2), "shapes that agree"),
        ("triangle", np.zeros((4, 3), order="F"), "rank must not exceed its units"),
        ("triangle", np.zeros(3), "matrices and vectors where they belong"),
        ("residuals", np.zeros((3, 1)), "matrices and vectors where they belong"),
    ]
    for name, value, message in wrong:
        with pytest.raises(ValueError, match=message):
            _core.kernels.max_match(kernel_span(**{name: value}), good, EPSILONS)
        with pytest.raises(ValueError, match=message):
            _core.kernels.match_levels(good, kernel_span(**{name: value}))
    smaller = np.asfortranarray(np.eye(2))
    other = kernel_span(
        triangle=smaller, order=np.arange(2), coefficients=smaller, residuals=np.zeros(2)
    )
    with pytest.raises(ValueError, match="must hold the units of the other network"):
        _core.kernels.max_match(good, other, EPSILONS)
    with pytest.raises(ValueError, match="five parts"):
        _core.kernels.match_levels(good[:4], good)
    for name in ("triangle", "residuals"):
        single = kernel_span(**{name: np.zeros(3, dtype=np.float32)})
        with pytest.raises(TypeError, match="must be float64"):
            _core.kernels.max_match(single, good, EPSILONS)
