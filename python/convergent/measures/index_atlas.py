"""An index of every two of many networks and layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convergent import _validate
from convergent._validate import Floats
from convergent.measures.atlas_values import values_of_moments, values_of_networks
from convergent.measures.index_options import options_of
from convergent.measures.kernel_alignment import AlignmentOptions
from convergent.measures.ordered_work import one_blas_thread
from convergent.measures.rsa import LEAST_EXAMPLES, RsaOptions
from convergent.measures.shared_space import Matrix
from convergent.statistics.moments import Moments

Name = str | tuple[str, str]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class IndexAtlas:
    """An index of every two representations.

    Attributes
    ----------
    index : str
        Which one.
    names : tuple of str, or of (network, layer)
        What rows and columns stand for.
    values : array of float64, shape (n_representations, n_representations)
        Symmetric but for "pwcca", which takes the weights from the row's representation.
    options : dict
        The index's options that were given.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> x = np.random.default_rng(0).standard_normal((3, 50, 4))
    >>> names = [("a", "conv1"), ("b", "conv1"), ("b", "conv2")]
    >>> atlas = cv.index_atlas(dict(zip(names, x)))
    >>> atlas
    IndexAtlas(cka, 3 representations)
    >>> atlas.value(("b", "conv2"), ("a", "conv1")) - float(atlas.values[2, 0])
    0.0
    """

    index: str
    names: tuple[Name, ...]
    values: Matrix
    options: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"IndexAtlas({self.index}, {len(self.names)} representations)"

    def value(self, first: Name, second: Name) -> float:
        """Return the index of two representations by name.

        Raises
        ------
        ValueError
            If there is no such name.
        """
        for name in (first, second):
            if name not in self.names:
                raise ValueError(f"the atlas has no representation {name!r}")
        return float(self.values[self.names.index(first), self.names.index(second)])

    def between_layers(self) -> tuple[tuple[str, ...], Matrix]:
        """Return the mean index of every two layers, each in another network.

        Returns
        -------
        layers : tuple of str
            In the order in which they come first.
        means : array of float64, shape (n_layers, n_layers)
            Mean over the ordered pairs of different networks; for "pwcca" rows give the weights.
            NaN where no two networks have these layers.

        Raises
        ------
        ValueError
            If the names are not pairs (network, layer).

        References
        ----------
        Kornblith et al. (2019), Figure 2.
        """
        pairs = [name for name in self.names if isinstance(name, tuple)]
        if len(pairs) < len(self.names):
            raise ValueError(
                f"names must be pairs (network, layer), got {self.names[0]!r} among them"
                if not pairs
                else "names must all be pairs (network, layer)"
            )
        layers = tuple(dict.fromkeys(layer for _, layer in pairs))
        networks = np.unique([network for network, _ in pairs], return_inverse=True)[1]
        of_layer = np.array([[layer == name for _, layer in pairs] for name in layers], dtype=float)
        apart = (networks[:, np.newaxis] != networks).astype(float)
        counts = of_layer @ apart @ of_layer.T
        sums = of_layer @ (self.values * apart) @ of_layer.T
        return layers, np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)

    @classmethod
    def from_moments(
        cls,
        moments: Moments,
        index: str = "cka",
        *,
        names: Sequence[Name] | None = None,
        **options: Any,
    ) -> IndexAtlas:
        """Return an index of every two networks of which only the moments are known.

        Parameters
        ----------
        moments : Moments
            Joint moments of two or more networks.
        index : {"cka", "cca", "svcca", "pwcca", "procrustes"}
            Debiased and RBF "cka", and "rsa", need the examples.
        names : sequence of str or of (network, layer), optional
            One a network; "0", "1", ... by default.
        **options
            Those of the index's function.

        Raises
        ------
        TypeError
            If `moments` are none, or the index has no such option.
        ValueError
            If there are fewer than two networks or two examples, names do not fit, or the index
            needs the examples.

        Notes
        -----
        The number of examples costs nothing. Moments hold squares, so that the condition of the
        units is squared: canonical correlations take directions weaker than 1e-6 of a network's
        strongest one as none, and are right to about ``2e-16 c^2``, `c` being the condition number
        of the units that are left; distances of "procrustes" below about 1e-7 of the networks'
        norms are rounding. Linear "cka" loses nothing.

        Examples
        --------
        >>> import numpy as np, convergent as cv
        >>> x = np.random.default_rng(0).standard_normal((100, 3))
        >>> moments = cv.Moments([3, 2]).update([x, x[:, :2]])
        >>> cv.IndexAtlas.from_moments(moments, "cca").values.round(9).tolist()
        [[1.0, 1.0], [1.0, 1.0]]
        """
        if not isinstance(moments, Moments):
            raise TypeError(f"`moments` must be Moments, got {type(moments).__name__}")
        chosen = options_of(index, options)
        unbiased = isinstance(chosen, AlignmentOptions) and (
            chosen.is_unbiased or chosen.kernel != "linear"
        )
        if unbiased or isinstance(chosen, RsaOptions):
            what = f"'{index}'" if not options else f"'{index}' with {options}"
            raise ValueError(f"`index` must be one that moments give, {what} needs the examples")
        if len(moments.widths) < 2 or moments.n_examples < 2:
            raise ValueError(
                "`moments` must be of at least 2 networks and 2 examples, got "
                f"{len(moments.widths)} and {moments.n_examples}"
            )
        listed = _checked_names(names, len(moments.widths))
        values = values_of_moments(moments, [_shown(name) for name in listed], chosen)
        return cls(index, listed, values, options)


def index_atlas(
    representations: Mapping[Any, Any] | Sequence[Any] | NDArray[Any],
    index: str = "cka",
    *,
    n_threads: int | None = None,
    progress: Callable[[str, int, int], object] | None = None,
    **options: Any,
) -> IndexAtlas:
    """Return a similarity index of every two networks, or networks and layers.

    Parameters
    ----------
    representations : mapping from name to array of float, or sequence of such arrays
        Activations (n_examples, n_units_i) of the same examples; read in blocks, never converted as
        a whole. Names are text, or pairs (network, layer), which `IndexAtlas.between_layers` takes
        apart; those of a sequence are "0", "1", ...
    index : {"cka", "cca", "svcca", "pwcca", "procrustes", "rsa"}
        Each entry is what the function of that name gives.
    n_threads : int, optional
        All processors by default. The result does not depend on it.
    progress : callable, optional
        Called as ``progress("index atlas", done, total)``. What it raises ends the work.
    **options
        Those of the index's function, such as ``debiased=True``.

    Returns
    -------
    IndexAtlas
        The matrix and the names. Representations without variance have a DeadUnitWarning and the
        value that the index's function gives.

    Raises
    ------
    TypeError
        If `representations` is no mapping or sequence, a name is neither text nor a pair of texts,
        an array is complex, or the index has no such option.
    ValueError
        If there are fewer than two representations, they differ in examples, or hold NaN or
        infinity; or if an option is out of range.

    Notes
    -----
    With n examples, M representations of p units, the cheaper way is taken of two that give the
    same sums: "cka", "cca" and "svcca" cost ``n (M p)^2`` operations by products of units, or
    ``n^2 M p + n^2 M^2 / 2`` by Gram matrices of the examples, formed a tile at a time for all
    representations; "cka" with the RBF kernel and "rsa" always go by tiles. "pwcca", "procrustes"
    and "cca" of kind "mean" take ``n (M p)^2`` and the singular values of each pair.

    Memory beside the arrays is a block or tile a thread (at most 128 MB, or what products of two
    representations take), and: "cca", "svcca" and "pwcca" keep orthonormal bases of all
    representations, n p numbers each; "rsa" by rank, and the medians of the RBF kernel, take
    vectors of n^2 / 2 numbers.

    References
    ----------
    Kornblith et al. (2019), Figures 2 to 5, for such maps.

    Examples
    --------
    >>> import numpy as np, convergent as cv
    >>> random = np.random.default_rng(0)
    >>> x = random.standard_normal((100, 6))
    >>> networks = {"a": x, "b": x[:, ::-1], "c": random.standard_normal((100, 6))}
    >>> cv.index_atlas(networks).values.round(2).tolist()
    [[1.0, 1.0, 0.06], [1.0, 1.0, 0.06], [0.06, 0.06, 1.0]]
    """
    chosen = options_of(index, options)
    least = 2
    if isinstance(chosen, AlignmentOptions):
        least = chosen.least_examples
    elif isinstance(chosen, RsaOptions):
        least = LEAST_EXAMPLES
    names, networks = _named(representations, least)
    shown = [f"representations[{_shown(name)}]" for name in names]
    if not isinstance(representations, Mapping):
        shown = [f"representations[{i}]" for i in range(len(names))]
    threads = _validate.thread_count(n_threads)
    with one_blas_thread():
        values = values_of_networks(networks, shown, chosen, threads, progress or _silent)
    return IndexAtlas(index, names, values, options)


def _named(representations: Any, min_examples: int) -> tuple[tuple[Name, ...], list[Floats]]:
    """Return names and checked matrices."""
    names: Sequence[Name] | None = None
    labels, matrices = None, representations
    if isinstance(representations, Mapping):
        names, matrices = list(representations), list(representations.values())
        labels = [_shown(name) for name in _checked_names(names, len(names))]
    networks = _validate.activation_list(
        matrices, "representations", min_examples=min_examples, labels=labels
    )
    return _checked_names(names, len(networks)), networks


def _checked_names(names: Sequence[Any] | None, n_networks: int) -> tuple[Name, ...]:
    if names is None:
        return tuple(str(i) for i in range(n_networks))
    if len(names) != n_networks:
        raise ValueError(f"`names` must name {n_networks} representations, got {len(names)}")
    for name in names:
        is_pair = isinstance(name, tuple) and len(name) == 2
        parts = name if is_pair else (name,)
        if not all(isinstance(part, str) for part in parts):
            raise TypeError(f"names must be text or pairs (network, layer), got {name!r}")
    if len(set(names)) < n_networks:
        raise ValueError("`names` must differ from each other, got one twice")
    return tuple(names)


def _shown(name: Name) -> str:
    return repr(name) if isinstance(name, str) else f"({name[0]!r}, {name[1]!r})"


def _silent(description: str, done: int, total: int) -> None:
    """Report nothing."""
