"""What a study keeps of the shared response: values of every pair, class means, and intervals."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convergent as cv
from convergent import study
from convergent.inference.networks import interval_of_left_out
from convergent.study import CompareSettings, TaskResult
from convergent.study.intervals import drawn_networks, of_agreement, of_pairs, of_values
from convergent.study.shared_geometry import split_examples
from tests.reference import alignment as reference

N_EXAMPLES = 100
NAMES = ("a", "b", "c", "d")
LABELS = np.array(["cat", "dog", "emu"])[np.arange(N_EXAMPLES) % 3]
INTERVALS = (
    "variance_explained",
    "variance_explained_leave_one_out",
    "consistency",
    "agreement",
    "agreement_native",
)


def networks(widths: tuple[int, ...] = (6, 6, 6, 6)) -> dict[str, NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((N_EXAMPLES, 6)) + 2.0 * np.eye(3, 6)[np.arange(N_EXAMPLES) % 3]
    result = {}
    for name, width in zip(NAMES, widths):
        turn = np.linalg.qr(rng.standard_normal((width, width)))[0][:6]
        result[name] = signal @ turn + 0.4 * rng.standard_normal((N_EXAMPLES, width))
    return result


def compared(
    arrays: dict[str, NDArray[np.float64]], labels: Any = LABELS
) -> tuple[TaskResult, study.Study]:
    statistics = cv.Statistics.from_arrays(arrays, labels=labels)
    settings = CompareSettings(["shared_response"], n_features=6)
    found = study.compare(statistics, settings=settings)
    (result,) = found.of("activations", "shared_response")
    return result, found


def held_out_of(
    arrays: dict[str, NDArray[np.float64]],
) -> tuple[list[Any], list[Any], NDArray[np.intp]]:
    """Native and shared activations of the held-out examples, with the model's means taken out."""
    fit, held_out = split_examples(N_EXAMPLES, LABELS, 0.2, 0)
    standard = [x.astype(np.float32).astype(np.float64) for x in arrays.values()]
    standard = [
        (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True) for x in standard
    ]
    model = cv.SharedResponseModel(6).fit([x[fit] for x in standard])
    test = [x[held_out] for x in standard]
    return [x - m for x, m in zip(test, model.means_)], model.transform(test), held_out


def test_values_of_pairs_follow_the_twin() -> None:
    result, _ = compared(networks())
    native, shared, _ = held_out_of(networks())
    for i, j in combinations(range(4), 2):
        both = [native[i], native[j]]
        for key, between in (
            ("agreement_pairs", [shared[i], shared[j]]),
            ("agreement_native_pairs", both),
        ):
            expected = reference.alignment(between, both, "cosine", "linear")
            assert result.arrays[key][i, j] == pytest.approx(expected, abs=1e-6)
    consistency = cv.consistency_matrix(native)
    np.testing.assert_allclose(result.arrays["consistency_pairs"], consistency, atol=1e-9)
    assert result.scalars["consistency"] == pytest.approx(cv.consistency(native), abs=1e-9)
    for name, between, method in (
        ("agreement", shared, "linear"),
        ("agreement_rank", shared, "rank"),
        ("agreement_native", native, "linear"),
        ("agreement_native_rank", native, "rank"),
    ):
        expected = reference.alignment(between, native, "cosine", method)
        assert result.scalars[name] == pytest.approx(expected, abs=1e-6)


def test_matrices_to_draw_are_the_mean_ones() -> None:
    result, _ = compared(networks())
    native, shared, _ = held_out_of(networks())
    for name, expected in (
        ("rsm_between_shared", cv.inter_rsm(shared)),
        ("rsm_within", np.mean([cv.rsm(x) for x in native], axis=0)),
        ("rsm_between_native", cv.inter_rsm(native)),
    ):
        np.testing.assert_allclose(result.arrays[name], expected, atol=1e-6)


def test_class_means_are_those_of_the_measure() -> None:
    result, _ = compared(networks())
    native, shared, held_out = held_out_of(networks())
    found = cv.class_mean_embedding(native[:2], shared[:2], LABELS[held_out])
    assert result.arrays["classes"].tolist() == ["cat", "dog", "emu"]
    np.testing.assert_allclose(result.arrays["class_means_native"], found.native, atol=1e-6)
    np.testing.assert_allclose(result.arrays["class_means_shared"], found.shared, atol=1e-6)
    gaps = [found.native_gap, found.shared_gap]
    np.testing.assert_allclose(result.arrays["class_gaps"], gaps, atol=1e-6)
    shares = [found.native_share, found.shared_share]
    np.testing.assert_allclose(result.arrays["class_shares"], shares, atol=1e-6)


@pytest.mark.parametrize("labels", [None, np.zeros(N_EXAMPLES, dtype=int)])
def test_without_classes_there_are_no_class_means(labels: Any) -> None:
    result, _ = compared(networks(), labels)
    assert not any(name.startswith("class") for name in result.arrays)
    assert "agreement_pairs" in result.arrays


def test_intervals_hold_their_value_and_stay_in_bounds() -> None:
    result, found = compared(networks())
    for name in INTERVALS:
        low, high = result.scalars[f"{name}_low"], result.scalars[f"{name}_high"]
        assert -1.0 <= low < result.scalars[name] < high <= 1.0
    fewer, _ = compared({name: x for name, x in networks().items() if name in "ab"})
    assert not any(name.endswith(("_low", "_high")) for name in fewer.scalars)
    wider, _ = compared(networks((6, 6, 8, 6)))
    assert not any(name.startswith("agreement_native") for name in wider.scalars)
    assert "rsm_between_native" not in wider.arrays
    rows = {row["quantity"] for row in found.rows()}
    assert {f"{name}_low" for name in INTERVALS} < rows


def test_the_table_on_the_page_has_no_rows_for_the_ends_of_intervals() -> None:
    pytest.importorskip("matplotlib")
    from convergent.report.sections.overview import groups, shown_quantities

    _, found = compared(networks())
    (group,) = groups(found, shown_quantities(found))
    assert len(group.rows) == 7


def test_noise_ceilings_are_those_of_the_held_out_similarities() -> None:
    result, found = compared(networks())
    native, _, _ = held_out_of(networks())
    expected = cv.noise_ceiling(native)
    for bound in ("lower", "upper"):
        value = found.value("activations", "shared_response", f"noise_ceiling_{bound}")
        assert value == pytest.approx(getattr(expected, bound), abs=1e-6)
    ceiling = found.noise_ceiling("activations")
    assert ceiling is not None
    assert ceiling.lower == result.scalars["noise_ceiling_lower"]
    fewer, of_two = compared({name: x for name, x in networks().items() if name in "ab"})
    assert "noise_ceiling_lower" not in fewer.scalars
    assert of_two.noise_ceiling("activations") is None


def test_intervals_are_those_of_the_package() -> None:
    rng = np.random.default_rng(1)
    values = rng.uniform(0.8, 0.9, 6)
    matrix = rng.uniform(0.6, 0.9, (6, 6))
    matrix = (matrix + matrix.T) / 2.0
    expected = cv.bootstrap_values(values)
    assert of_values(values) == (expected.low, expected.high)
    expected = cv.bootstrap_pairs(matrix)
    assert of_pairs(matrix) == (expected.low, expected.high)
    assert of_values(np.array([0.2, 0.99, 0.999]))[1] == 1.0  # type: ignore[index]
    assert of_values(values[:2]) is of_pairs(matrix[:2, :2]) is None


@pytest.mark.parametrize("quantity", ["linear", "rank", "native_linear", "native_rank"])
def test_intervals_of_agreements_move_the_resamples_onto_the_value(quantity: str) -> None:
    native, shared, _ = held_out_of(networks())
    found = cv.alignment_agreement(native, shared)
    resamples = found.resampled(drawn_networks(4, 2_000), quantity)
    value = getattr(found, quantity)
    ends = np.quantile(resamples, [0.025, 0.975]) - np.median(resamples) + value
    assert of_agreement(found, quantity) == pytest.approx(np.clip(ends, -1.0, 1.0), abs=1e-12)


@pytest.mark.parametrize("quantity", ["linear", "native_rank"])
def test_of_three_networks_one_is_left_out_at_a_time(quantity: str) -> None:
    native, shared, _ = held_out_of(networks())
    native, shared = native[:3], shared[:3]
    found = cv.alignment_agreement(native, shared)
    between, method = (native, "rank") if quantity == "native_rank" else (shared, "linear")
    without = [
        reference.alignment([between[i], between[j]], [native[i], native[j]], "cosine", method)
        for i, j in ((1, 2), (0, 2), (0, 1))
    ]
    expected = interval_of_left_out(getattr(found, quantity), np.array(without)).within(-1.0, 1.0)
    ends = (expected.low, expected.high)
    assert of_agreement(found, quantity) == pytest.approx(ends, abs=1e-9)


def test_resamples_draw_networks_with_replacement_and_never_one_alone() -> None:
    counts = drawn_networks(3, 3_000)
    assert counts.sum(axis=1).tolist() == [3] * 3_000
    assert np.count_nonzero(counts, axis=1).min() == 2
    assert counts.mean(axis=0) == pytest.approx([1.0] * 3, abs=0.05)
    # Of the draws with two networks or more, 6 in 24 have all three.
    assert np.mean(counts.max(axis=1) == 1) == pytest.approx(0.25, abs=0.03)
    np.testing.assert_array_equal(counts, drawn_networks(3, 3_000))
