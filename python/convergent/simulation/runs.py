"""Many runs: each with a network of its own, kept on disk as it ends."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convergent import _validate
from convergent._warnings import ConvergenceWarning
from convergent.progress import silent
from convergent.simulation.one_run import RunActivations, run_once
from convergent.simulation.settings import SimulationSettings
from convergent.simulation.simulation import Simulation
from convergent.simulation.stored_runs import StoredRun, run_file, run_key, store, stored
from convergent.simulation.xor import XorActivations, xor_activations

RESULT = "simulation.npz"


def simulate(
    n_runs: int | None = None,
    *,
    n_copies: int = 10,
    kind: str = "orthogonal",
    convention: str = "paper",
    algorithm: str | None = None,
    rsm_kind: str | None = None,
    entries: str | None = None,
    rank: str | None = None,
    noise: float = 0.0,
    n_features: int | None = None,
    center: bool = False,
    seed: int = 0,
    activations: Sequence[Any] | None = None,
    out: str | Path | None = None,
    n_threads: int | None = None,
    progress: Callable[[str, int, int], object] = silent,
) -> Simulation:
    """Ask whether the shared response model finds transformations that are known, as Lu et al. (2018) do.

    In each run a small network learns a toy task. Copies of its hidden activations are made by random transformations;
    the model is fitted to them on some examples. On others, similarities of examples between the copies are compared
    with those within each: in the shared space they should be the same, and in the native ones they are not.

    Parameters
    ----------
    n_runs : int, optional
        Default: 50, or as many as `activations`. A run depends on `seed` and its number alone.
    n_copies : int
        Copies of the network in a run, at least 2.
    kind : {"orthogonal", "permutation"}
        Of the transformations, as in `rotated_copies`.
    convention : {"paper", "authors"}
        "paper": the default of each parameter below, `inter_rsm` over pairs, and iterations until the model has
        converged. "authors": what their program does: the probabilistic algorithm of BrainIAK with ten iterations,
        Pearson RSMs (which rotations change), each network against the mean of the others, all entries, and Kendall's
        tau as rank correlation.
    algorithm : {"deterministic", "probabilistic"}, optional
        Of `SharedResponseModel`.
    rsm_kind : {"cosine", "pearson"}, optional
        As in `rsm`.
    entries : {"lower", "all"}, optional
        As in `rsm_agreement`.
    rank : {"spearman", "kendall"}, optional
        Rank correlation.
    noise : float
        Standard deviation of noise on each copy, as a multiple of the activations'.
    n_features : int, optional
        Dimensions of the shared space; default: the number of units.
    center : bool
        Remove each unit's mean over the alignment examples before everything else. The paper does not.
    seed : int
        Of networks, copies and the model.
    activations : list of XorActivations or of pairs of arrays, optional
        Instead of networks trained here: for each run, activations for the alignment and for the test examples,
        (n_examples, n_units) each.
    out : path, optional
        Folder for a file a run, written when it ends, and for ``simulation.npz`` at the end. Runs that are there
        already and depend on the same settings are taken as they are, so that a killed simulation resumes.
    n_threads : int, optional
        Threads of the model; the same bits for any number.
    progress : callable, optional
        Called as ``progress(description, done, total)`` after each run.

    Returns
    -------
    Simulation

    Raises
    ------
    TypeError
        If a parameter is of the wrong kind.
    ValueError
        If a parameter is out of range, or activations do not fit.

    Warns
    -----
    ConvergenceWarning
        If the model did not reach its tolerance in some runs; `converged` says in which.

    Notes
    -----
    About .2 s a run, of which training takes more than half; noise makes the model iterate and takes .3 s more. The
    alignment examples are those that the network was trained on, as in the authors' program; the paper takes unseen
    ones for both. Dead units do no harm: examples that are zero have similarity 0.

    References
    ----------
    Lu et al. (2018), Section 3 and Figure 2.

    Examples
    --------
    >>> import convergent as cv
    >>> found = cv.simulate(3, n_copies=4, kind="permutation")
    >>> found.values("rank_shared").round(6).tolist()
    [1.0, 1.0, 1.0]
    """
    settings = SimulationSettings.of(
        n_copies=n_copies, kind=kind, convention=convention, algorithm=algorithm, rsm_kind=rsm_kind,
        entries=entries, rank=rank, noise=noise, n_features=n_features, center=center, seed=seed,
    )  # fmt: skip
    given = None if activations is None else _checked(activations)
    n_runs = _n_runs(n_runs, given)
    folder = None if out is None else Path(out)
    runs = []
    for number in range(n_runs):
        progress(f"simulate {kind}", number, n_runs)
        of_run = None if given is None else given[number]
        runs.append(_run_or_stored(folder, number, settings, of_run, n_threads))
    progress(f"simulate {kind}", n_runs, n_runs)
    result = _joined(settings, runs)
    if folder is not None:
        result.save(folder / RESULT)
    n_missed = int(np.count_nonzero(~result.converged))
    if n_missed:
        warnings.warn(
            f"the shared response model did not converge in {n_missed} of {n_runs} runs",
            ConvergenceWarning,
            stacklevel=2,
        )
    return result


def _checked(activations: Sequence[Any]) -> list[RunActivations]:
    if isinstance(activations, (str, bytes)) or not isinstance(activations, Sequence):
        raise TypeError(
            "`activations` must be a list with the activations of each run, got "
            f"{type(activations).__name__}"
        )
    if not activations:
        raise ValueError("`activations` must hold at least one run, got none")
    return [_of_run(value, f"activations[{i}]") for i, value in enumerate(activations)]


def _of_run(value: Any, name: str) -> RunActivations:
    if isinstance(value, XorActivations):
        return RunActivations(value.train, value.test, value.labels, value.test_accuracy)
    if not isinstance(value, Sequence) or len(value) != 2:
        raise ValueError(
            f"`{name}` must be XorActivations or a pair (alignment, test), got {type(value).__name__}"
        )
    alignment, test = (
        _validate.activations(part, f"{name}[{i}]", min_examples=3).astype(np.float64)
        for i, part in enumerate(value)
    )
    if alignment.shape[1] != test.shape[1]:
        raise ValueError(
            f"`{name}` must have the same units in both parts, got {alignment.shape[1]} and "
            f"{test.shape[1]}"
        )
    return RunActivations(alignment, test)


def _n_runs(n_runs: int | None, given: Sequence[RunActivations] | None) -> int:
    if n_runs is None:
        return 50 if given is None else len(given)
    return _validate.integer(n_runs, "n_runs", low=1, high=None if given is None else len(given))


def _run_or_stored(
    folder: Path | None,
    number: int,
    settings: SimulationSettings,
    given: RunActivations | None,
    n_threads: int | None,
) -> StoredRun:
    if folder is None:
        return _run(number, settings, given, n_threads)
    key, path = run_key(settings, number, given), run_file(folder, number)
    found = stored(path, key)
    if found is None or (number == 0 and found.rsms is None):
        found = _run(number, settings, given, n_threads)
        store(path, key, found)
    return found


def _run(
    number: int,
    settings: SimulationSettings,
    given: RunActivations | None,
    n_threads: int | None,
) -> StoredRun:
    of_network, of_copies = np.random.SeedSequence((settings.seed, number)).generate_state(2)
    network = given or _of_run(xor_activations(int(of_network)), "")
    run = run_once(network, settings, int(of_copies), n_threads)
    first = number == 0
    return StoredRun(
        run.agreement,
        run.converged,
        network.test_accuracy,
        run.rsms if first else None,
        network.labels if first else None,
    )


def _joined(settings: SimulationSettings, runs: list[StoredRun]) -> Simulation:
    known = [run.test_accuracy for run in runs if run.test_accuracy is not None]
    rsms = runs[0].rsms
    if rsms is None:
        raise ValueError("the first run must hold its similarity matrices, got none")
    return Simulation(
        settings,
        np.stack([run.agreement for run in runs]),
        np.array([run.converged for run in runs]),
        np.array(known) if len(known) == len(runs) else None,
        rsms,
        runs[0].labels,
    )
