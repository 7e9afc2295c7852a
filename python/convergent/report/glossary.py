"""What each number of the report means, in one sentence, and how to print it."""

from __future__ import annotations

from dataclasses import dataclass

from convergent.study.settings import MEASURES, CompareSettings


@dataclass(frozen=True, slots=True)
class Quantity:
    """One row of the report's table."""

    measure: str
    name: str
    heading: str
    meaning: str
    percent: bool = False
    bounded: bool = True
    """Whether 1 (or 100 %) is the most that it can be, so that cells may be shaded by value."""
    digits: int = 3

    def text(self, value: float) -> str:
        """Return the value as the table prints it."""
        if value != value:
            return "–"
        return f"{100 * value:.0f} %" if self.percent else f"{value:.{self.digits}f}"


QUANTITIES = (
    Quantity(
        "activations",
        "mean",
        "mean activation",
        "Mean activation of a unit over all examples and positions, averaged over the units of all networks.",
        bounded=False,
    ),
    Quantity(
        "activations",
        "dead",
        "dead units",
        "Share of units whose activation never changes.",
        percent=True,
        bounded=False,
    ),
    Quantity(
        "correlation",
        "mean_semi",
        "best match r",
        "Each unit's highest correlation with any unit of the other network, averaged over units.",
    ),
    Quantity(
        "correlation",
        "mean_one_to_one",
        "one-to-one r",
        "The same average when every unit may be used only once, in the assignment with the largest sum.",
    ),
    Quantity(
        "correlation",
        "agreement",
        "same partner",
        "Share of units whose best match is also their one-to-one partner.",
        percent=True,
    ),
    Quantity(
        "correlation",
        "unmatched",
        "no match > 0.5",
        "Share of units that correlate with no unit of the other network by more than 0.5.",
        percent=True,
    ),
    Quantity(
        "mutual_information",
        "mean_semi",
        "best match MI",
        "Each unit's highest mutual information (nats, 5 % bins) with any unit of the other network, averaged; "
        "it also sees relations that are not linear.",
        bounded=False,
    ),
    Quantity(
        "mutual_information",
        "mean_one_to_one",
        "one-to-one MI",
        "The same average under the one-to-one assignment that maximises mutual information.",
        bounded=False,
    ),
    Quantity(
        "recurring_units",
        "n_recurring",
        "recurring units",
        "Sets of units, one of each network, that are all each other's best match with a correlation above 0.5.",
        bounded=False,
        digits=0,
    ),
    Quantity(
        "recurring_units",
        "share",
        "… as a share",
        "The same as a share of the units of the narrowest network.",
        percent=True,
    ),
    Quantity(
        "unit_tree",
        "joined_share",
        "leaves of both",
        "Share of the first merges of two single units in the tree of weights that join one unit of each network.",
        percent=True,
    ),
    Quantity(
        "unit_groups",
        "n_groups",
        "groups",
        "Groups of alike units that spectral clustering finds in both networks together; units that "
        "resemble no other belong to none.",
        bounded=False,
        digits=1,
    ),
    Quantity(
        "unit_groups",
        "in_joint_groups",
        "in joint groups",
        "Share of units whose group holds units of both networks.",
        percent=True,
    ),
    Quantity(
        "unit_groups",
        "between",
        "between networks",
        "Mean correlation between the networks within such a group, averaged over these groups.",
    ),
    Quantity(
        "unit_groups",
        "within",
        "within networks",
        "The same within each network.",
    ),
    Quantity(
        "shared_response",
        "agreement",
        "shared-space agreement",
        "Correlation between the similarity matrix between networks in the shared space and the mean one within "
        "networks, on held-out examples: 1 means that rotations alone make the networks agree.",
    ),
    Quantity(
        "shared_response",
        "agreement_rank",
        "… by rank",
        "The same with rank correlation, which asks only for the same order of similarities.",
    ),
    Quantity(
        "shared_response",
        "variance_explained",
        "variance explained",
        "Share of the held-out activations' variance that the shared response explains; unrelated networks score "
        "about 1/N here, N being the number of networks.",
    ),
    Quantity(
        "shared_response",
        "variance_explained_leave_one_out",
        "… one left out",
        "The same with the judged network left out of the shared response, so that unrelated networks do not gain.",
    ),
    Quantity(
        "shared_response",
        "consistency",
        "consistency",
        "Mean correlation between the networks' own similarity matrices: do they find the same examples alike?",
    ),
    Quantity(
        "shared_response",
        "noise_ceiling_lower",
        "noise ceiling, from",
        "Mean correlation of each network's similarity matrix with the mean one of the others: what a model of the "
        "networks can be expected to reach at best.",
    ),
    Quantity(
        "shared_response",
        "noise_ceiling_upper",
        "noise ceiling, to",
        "The same with the mean of all networks, its own among them, which no model can exceed.",
    ),
    Quantity(
        "cka",
        "linear",
        "linear CKA",
        "Linear centred kernel alignment: how alike two layers arrange the examples, whatever the rotation or scale.",
    ),
    Quantity(
        "indexes",
        "cka_debiased",
        "debiased CKA",
        "Linear CKA estimated without bias: about 0 for unrelated networks even where there are few examples.",
    ),
    Quantity(
        "indexes",
        "cca",
        "CCA",
        "Mean squared canonical correlation: how much of what the units of two networks span is the same, strong and "
        "weak directions counting alike; missing where a network has as many units as there are examples.",
    ),
    Quantity(
        "indexes",
        "svcca",
        "SVCCA",
        "The same of the strongest directions only, those that hold 99 % of each network's variance.",
    ),
    Quantity(
        "indexes",
        "pwcca",
        "PWCCA",
        "Mean canonical correlation, weighted by how much of a network's units each direction makes up; mean of both "
        "networks' weights.",
    ),
    Quantity(
        "indexes",
        "procrustes",
        "Procrustes",
        "How well the best rotation lays one network's activations on the other's: 1 if they then coincide.",
    ),
    Quantity(
        "indexes",
        "rsa",
        "RSA",
        "Correlation between the similarity matrices (cosine) of two networks: do they find the same examples alike?",
    ),
)


INTERVALS = (
    "Small numbers are 95 % intervals. In 95 of 100 studies, or somewhat fewer if networks are few and unlike, such a "
    "range holds the mean over all networks that could have been trained in the same way. What is drawn at random are "
    "networks, not pairs, which share networks. Missing for fewer than three networks."
)
"""What the small numbers of the table are."""


def epsilon_quantity(epsilon: float) -> Quantity:
    """Return the row of the maximum matching similarity at one epsilon."""
    return Quantity(
        "max_match",
        f"similarity_at_{epsilon:g}",
        f"s({epsilon:g})",
        "Share of units in the largest sets of the two networks that span each other up to a relative residual of "
        f"{epsilon:g}.",
        percent=True,
    )


def simple_match_quantities(epsilon: float) -> list[Quantity]:
    """Return the rows of the simple matches at one epsilon."""
    return [
        Quantity(
            "simple_matches",
            f"n_matches_at_{epsilon:g}",
            f"matches at ε = {epsilon:g}",
            f"Distinct simple matches found at a relative residual of {epsilon:g}: matches that are no union of "
            "smaller ones.",
            bounded=False,
            digits=1,
        ),
        Quantity(
            "simple_matches",
            f"median_size_at_{epsilon:g}",
            f"median size at ε = {epsilon:g}",
            "Units of both networks in the median simple match: 2 if single units correspond, many if the networks "
            "agree only as a whole.",
            bounded=False,
            digits=1,
        ),
    ]


def sparse_map_quantities(penalty: float) -> list[Quantity]:
    """Return the rows of the sparse map at one penalty."""
    return [
        Quantity(
            "sparse_map",
            f"loss_at_{penalty:g}",
            "prediction loss",
            f"Half of the variance that a sparse linear map (L1 penalty {penalty:.3g}) leaves unexplained when it "
            "predicts each unit of one network from the units of another: 0.5 if it predicts nothing.",
            bounded=False,
        ),
        Quantity(
            "sparse_map",
            f"predictors_at_{penalty:g}",
            "predictors a unit",
            "Units with a weight in that prediction, averaged over the predicted units.",
            bounded=False,
            digits=1,
        ),
    ]


def quantities_of(settings: CompareSettings) -> list[Quantity]:
    """Return the table's rows for the measures of a study, in the papers' order."""
    rows: dict[str, list[Quantity]] = {}
    every = [
        *QUANTITIES,
        *sparse_map_quantities(settings.penalty),
        *(epsilon_quantity(e) for e in settings.epsilons),
        *(quantity for e in settings.epsilons for quantity in simple_match_quantities(e)),
    ]
    for quantity in every:
        rows.setdefault(quantity.measure, []).append(quantity)
    return [
        quantity
        for measure in MEASURES
        if measure in settings.measures
        for quantity in rows.get(measure, [])
    ]
