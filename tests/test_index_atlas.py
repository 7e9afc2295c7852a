"""Atlases: entry by entry what the functions of two networks give, by every route, from moments too."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import convergent as cv
from convergent.measures import pair_products, rsa
from convergent.measures.centred_rows import MatrixRows
from tests.drawn_networks import Array, rotation

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("cka", {}),
    ("cka", {"debiased": True}),
    ("cka", {"kernel": "rbf"}),
    ("cka", {"kernel": "rbf", "debiased": True, "bandwidth": 0.8}),
    ("cka", {"batch_size": 16}),
    ("cka", {"batch_size": 17, "kernel": "rbf"}),
    ("cca", {}),
    ("cca", {"kind": "mean"}),
    ("cca", {"center": False}),
    ("svcca", {}),
    ("svcca", {"kind": "mean", "variance": 0.8}),
    ("pwcca", {}),
    ("procrustes", {}),
    ("procrustes", {"kind": "angular"}),
    ("procrustes", {"kind": "euclidean"}),
    ("rsa", {}),
    ("rsa", {"kind": "pearson"}),
    ("rsa", {"method": "rank"}),
]
FROM_MOMENTS = [
    (index, options)
    for index, options in OPTIONS
    if index != "rsa" and (index != "cka" or not options)
]
IDS = [f"{index} {options or ''}" for index, options in OPTIONS]
MOMENT_IDS = [f"{index} {options or ''}" for index, options in FROM_MOMENTS]


def function(index: str) -> Callable[..., float]:
    found: Callable[..., float] = getattr(cv, index)
    return found


def networks(n_examples: int, widths: tuple[int, ...], *, dead: bool = True) -> list[Array]:
    """Rectified mixtures of the same causes; dead and duplicated units, a copy, a network without variance."""
    rng = np.random.default_rng(n_examples)
    causes = rng.standard_normal((n_examples, 6))
    found = []
    for i, width in enumerate(widths):
        mixed = causes @ rng.standard_normal((6, width))
        own = 0.5 * rng.standard_normal((n_examples, width))
        found.append(np.maximum(mixed + own, 0.0).astype("f4" if i % 2 else "f8"))
    found[1][:, 0] = 0.0
    found[1][:, 1] = found[1][:, 2]
    found.append(2.0 * found[0])
    if dead:
        found.append(np.zeros((n_examples, 3)))
    return found


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cv.DeadUnitWarning)
        warnings.simplefilter("ignore", cv.FewExamplesWarning)
        yield


@pytest.mark.parametrize("shape", [(70, (5, 8, 20)), (20, (30, 7, 40)), (400, (3, 4)), (7, (9, 9))])
@pytest.mark.parametrize(("index", "options"), OPTIONS, ids=IDS)
def test_entries_are_those_of_the_functions(
    index: str, options: dict[str, Any], shape: tuple[int, tuple[int, ...]]
) -> None:
    found = networks(*shape)
    atlas = cv.index_atlas(found, index, n_threads=1, **options)
    expected = [[function(index)(x, y, **options) for y in found] for x in found]
    np.testing.assert_allclose(atlas.values, expected, rtol=0, atol=1e-12)
    assert atlas.names == tuple(str(i) for i in range(len(found)))
    assert atlas.options == options


@pytest.mark.parametrize(("index", "options"), OPTIONS, ids=IDS)
def test_any_number_of_threads_gives_the_same_bits(
    index: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair_products, "_tile_size", lambda n_networks: 16)
    monkeypatch.setattr(pair_products, "_BLOCK_UNITS", 20)
    found = networks(90, (5, 18, 20, 7))
    one, three = (cv.index_atlas(found, index, n_threads=n, **options).values for n in (1, 3))
    np.testing.assert_array_equal(one, three)


@pytest.mark.parametrize(
    ("index", "options"), [("cka", {}), ("cka", {"debiased": True}), ("cca", {}), ("svcca", {})]
)
def test_both_routes_give_the_same_sums(
    index: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = networks(150, (5, 18, 20, 7))
    by_route = []
    for tiles in (True, False):
        monkeypatch.setattr(pair_products, "tiles_are_cheaper", lambda *_, tiles=tiles: tiles)
        monkeypatch.setattr(pair_products, "_tile_size", lambda n_networks: 64)
        by_route.append(cv.index_atlas(found, index, **options).values)
    np.testing.assert_allclose(by_route[0], by_route[1], rtol=0, atol=1e-13)


def test_the_route_with_fewer_operations_is_taken() -> None:
    assert pair_products.tiles_are_cheaper(10_000, [512] * 200)
    assert not pair_products.tiles_are_cheaper(10_000, [512] * 2)
    assert not pair_products.tiles_are_cheaper(1_000_000, [512] * 200)


def test_sums_over_tiles_are_those_of_whole_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    matrices = [rng.standard_normal((50, width)) for width in (3, 60)]
    similar = [np.exp(m @ m.T / 100.0) for m in matrices]

    def transform(i: int, tile: Array, rows: slice, columns: slice) -> None:
        tile[:] = np.exp(tile / 100.0)

    monkeypatch.setattr(pair_products, "_tile_size", lambda n_networks: 16)
    sums = pair_products.tile_sums([MatrixRows(m) for m in matrices], transform, 2, lambda *_: None)
    np.testing.assert_allclose(sums.inner, [[np.vdot(a, b) for b in similar] for a in similar])
    np.testing.assert_allclose(sums.diagonals, [np.diagonal(k) for k in similar])
    np.testing.assert_allclose(sums.row_sums, [k.sum(axis=1) for k in similar])


@pytest.mark.parametrize("kept", [1, 2, 3, 100])
def test_ranks_in_blocks(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = networks(20, (5, 8, 9))
    whole = cv.index_atlas(found, "rsa", method="rank").values
    monkeypatch.setattr(rsa, "_KEPT_VALUES", kept * 190)
    np.testing.assert_allclose(
        cv.index_atlas(found, "rsa", method="rank").values, whole, atol=1e-13
    )


@pytest.mark.parametrize(("index", "options"), FROM_MOMENTS, ids=MOMENT_IDS)
def test_from_moments_as_from_examples(index: str, options: dict[str, Any]) -> None:
    found = networks(200, (5, 8, 20))
    moments = cv.Moments([m.shape[1] for m in found])
    for rows in np.array_split(np.arange(200), 7):
        moments.update([m[rows] for m in found])
    names = [("net", str(i)) for i in range(len(found))]
    atlas = cv.IndexAtlas.from_moments(moments, index, names=names, **options)
    expected = cv.index_atlas(found, index, **options).values
    # The copy is at no distance, of which moments know half of the digits.
    tolerance = 1e-6 if options.get("kind") in ("angular", "euclidean") else 1e-10
    np.testing.assert_allclose(atlas.values, expected, rtol=1e-9, atol=tolerance)
    assert atlas.names == tuple(names)


@pytest.mark.parametrize("scale", [1e-120, 1e120])
@pytest.mark.parametrize("index", ["cka", "cca", "svcca", "pwcca", "procrustes"])
def test_moments_of_extreme_activations(index: str, scale: float) -> None:
    x, y = np.random.default_rng(0).standard_normal((2, 60, 4))
    base, extreme = (
        cv.IndexAtlas.from_moments(cv.Moments([4, 4]).update([s * x, y]), index)
        for s in (1.0, scale)
    )
    np.testing.assert_allclose(extreme.values, base.values, rtol=1e-9)


def test_moments_of_ill_conditioned_units_are_right_to_what_is_stated() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((500, 6)) @ np.diag(np.geomspace(1.0, 1e-4, 6)) @ rotation(rng, 6)
    y = x @ rng.standard_normal((6, 6)) + 1e-5 * rng.standard_normal((500, 6))
    atlas = cv.IndexAtlas.from_moments(cv.Moments([6, 6]).update([x, y]), "cca")
    assert atlas.values[0, 1] == pytest.approx(cv.cca(x, y), abs=1e-7)
    weak = np.column_stack([x[:, 0], x[:, 0] + 1e-8 * rng.standard_normal(500)])
    atlas = cv.IndexAtlas.from_moments(cv.Moments([2, 1]).update([weak, x[:, :1]]), "cca")
    assert atlas.values[0, 1] == pytest.approx(1.0, abs=1e-9)  # the weak direction counts as none


def test_warnings_name_the_representations() -> None:
    x = np.random.default_rng(0).standard_normal((9, 12))
    found = {("a", "conv"): x, ("b", "conv"): np.ones((9, 2))}
    for index in ("cka", "cca", "svcca", "pwcca", "procrustes", "rsa"):
        with pytest.warns(cv.DeadUnitWarning) as caught:
            cv.index_atlas(found, index)
        texts = [str(w.message) for w in caught if w.category is cv.DeadUnitWarning]
        assert len(texts) == 1
        assert texts[0].startswith("`representations[('b', 'conv')]` has 2 constant or dead units")
    with pytest.warns(cv.FewExamplesWarning, match="`representations.0.`, `representations.1.` sp"):
        cv.index_atlas([x, x, x[:, :3]], "cca")


def test_of_many_that_span_everything_only_some_are_named() -> None:
    x = np.random.default_rng(0).standard_normal((6, 12))
    with pytest.warns(cv.FewExamplesWarning, match=r"representations\[3\]`, \.\.\. span all 5"):
        cv.index_atlas([x] * 7, "cca")


def test_progress_and_its_exceptions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_products, "_tile_size", lambda n_networks: 8)
    x = np.random.default_rng(0).standard_normal((6, 40, 30))
    for index, options in OPTIONS:
        seen: list[tuple[str, int, int]] = []
        cv.index_atlas(
            x, index, n_threads=2, progress=lambda *step, seen=seen: seen.append(step), **options
        )
        totals = {total for _, _, total in seen}
        assert len(totals) == 1
        assert [done for _, done, _ in seen] == list(range(totals.pop() + 1))
        assert {what for what, _, _ in seen} == {"index atlas"}

    def stop(what: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    for n_threads in (1, 3):
        with pytest.raises(KeyboardInterrupt):
            cv.index_atlas(x, progress=stop, n_threads=n_threads)


def test_blas_threads_are_given_back() -> None:
    from threadpoolctl import threadpool_info, threadpool_limits

    def limits(*_: Any) -> list[int]:
        return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]

    x = np.random.default_rng(0).standard_normal((3, 40, 30))
    cv.index_atlas(x, "cca")
    with threadpool_limits(limits=2, user_api="blas"):
        before, within = limits(), []
        cv.index_atlas(x, n_threads=2, progress=lambda *_: within.extend(limits()))
        with pytest.raises(ValueError, match="at least two units"):
            cv.index_atlas([x[0], x[1][:, :1]], "rsa", kind="pearson")
        assert limits() == before
    assert set(within) == {1}


def test_layers_of_other_networks() -> None:
    rng = np.random.default_rng(0)
    found = {
        (network, layer): rng.standard_normal((30, 4))
        for network in ("a", "b", "c")
        for layer in ("one", "two")
        if (network, layer) != ("c", "two")
    }
    atlas = cv.index_atlas(found, "pwcca")
    layers, means = atlas.between_layers()
    assert layers == ("one", "two")
    for i, first in enumerate(layers):
        for j, second in enumerate(layers):
            expected = [
                atlas.value((a, first), (b, second))
                for a in "abc"
                for b in "abc"
                if a != b and (a, first) in found and (b, second) in found
            ]
            assert means[i, j] == pytest.approx(np.mean(expected), abs=1e-14)
    alone = cv.index_atlas({("a", "one"): rng.standard_normal((30, 4)), ("a", "two"): np.eye(30)})
    assert np.isnan(alone.between_layers()[1]).all()


def test_repr_and_values_by_name() -> None:
    x = np.random.default_rng(0).standard_normal((3, 30, 4))
    atlas = cv.index_atlas(dict(zip("abc", x)), "pwcca")
    assert repr(atlas) == "IndexAtlas(pwcca, 3 representations)"
    assert atlas.value("a", "c") == atlas.values[0, 2] != atlas.value("c", "a")
    with pytest.raises(ValueError, match="no representation 'd'"):
        atlas.value("a", "d")
    with pytest.raises(ValueError, match=r"pairs \(network, layer\), got 'a' among them"):
        atlas.between_layers()
    mixed = cv.index_atlas({"a": x[0], ("a", "b"): x[1]})
    with pytest.raises(ValueError, match=r"must all be pairs"):
        mixed.between_layers()


X = np.arange(24.0).reshape(8, 3) ** 2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cv.index_atlas([X, X], "cosine"), ValueError, "`index` must be one of 'cka', 'cca'"),
        (lambda: cv.index_atlas([X]), ValueError, "at least 2 networks, got 1"),
        (lambda: cv.index_atlas({"a": X}), ValueError, "at least 2 networks, got 1"),
        (lambda: cv.index_atlas(3), TypeError, "must be a list of matrices, got int"),  # type: ignore[arg-type]
        (lambda: cv.index_atlas({"a": X, "b": X[:5]}), ValueError,
         r"`representations\['b'\]` must have as many examples as `representations\['a'\]`, got 5"),
        (lambda: cv.index_atlas({1: X, 2: X}), TypeError, r"text or pairs \(network, layer\), got 1"),
        (lambda: cv.index_atlas({("a", 1): X, "b": X}), TypeError, "got .'a', 1"),
        (lambda: cv.index_atlas({("a", "l"): X * np.nan, "b": X}), ValueError,
         r"`representations\[\('a', 'l'\)\]` must be finite"),
        (lambda: cv.index_atlas([X, X], "cka", kind="mean"), TypeError,
         r"`kind` must be an option of 'cka' \(kernel, debiased, bandwidth, batch_size\)"),
        (lambda: cv.index_atlas([X, X], "pwcca", kind="mean"), TypeError, r"of 'pwcca' \(none\)"),
        (lambda: cv.index_atlas([X, X], "svcca", variance=2.0), ValueError, "`variance` must lie in"),
        (lambda: cv.index_atlas([X, X], "procrustes", kind="x"), ValueError, "`kind` must be one of"),
        (lambda: cv.index_atlas([X, X], "rsa", method="x"), ValueError, "`method` must be one of"),
        (lambda: cv.index_atlas([X[:3], X[:3]], debiased=True), ValueError, "at least 4 examples"),
        (lambda: cv.index_atlas([X[:2], X[:2]], "rsa"), ValueError, "at least 3 examples"),
        (lambda: cv.index_atlas([X, X], n_threads=0), ValueError, "`n_threads` must be at least 1"),
        (lambda: cv.index_atlas([X, X[:, :1]], "rsa", kind="pearson"), ValueError,
         r"at least two units, `representations\[1\]` has 1"),
    ],
)  # fmt: skip
def test_bad_input(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


MOMENTS = cv.Moments([3, 3]).update([X, X[:, ::-1]])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cv.IndexAtlas.from_moments([X]), TypeError, "`moments` must be Moments, got list"),  # type: ignore[arg-type]
        (lambda: cv.IndexAtlas.from_moments(MOMENTS, "rsa"), ValueError, "'rsa' needs the examples"),
        (lambda: cv.IndexAtlas.from_moments(MOMENTS, debiased=True), ValueError,
         "'cka' with .'debiased': True. needs the examples"),
        (lambda: cv.IndexAtlas.from_moments(MOMENTS, kernel="rbf"), ValueError, "needs the examples"),
        (lambda: cv.IndexAtlas.from_moments(MOMENTS, batch_size=8), ValueError, "needs the examples"),
        (lambda: cv.IndexAtlas.from_moments(cv.Moments([3]).update([X])), ValueError,
         "at least 2 networks and 2 examples, got 1 and 8"),
        (lambda: cv.IndexAtlas.from_moments(cv.Moments([3, 3])), ValueError, "got 2 and 0"),
        (lambda: cv.IndexAtlas.from_moments(MOMENTS, names=["a"]), ValueError,
         "`names` must name 2 representations, got 1"),
        (lambda: cv.IndexAtlas.from_moments(MOMENTS, names=["a", "a"]), ValueError, "got one twice"),
        (lambda: cv.IndexAtlas.from_moments(MOMENTS, "cca", kernel="rbf"), TypeError, "an option of"),
    ],
)  # fmt: skip
def test_bad_moments(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
