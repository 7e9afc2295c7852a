"""Which similarity indexes there are, and the options that each takes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from convergent import _validate
from convergent.measures import procrustes
from convergent.measures.canonical import CanonicalOptions
from convergent.measures.kernel_alignment import AlignmentOptions
from convergent.measures.rsa import RsaOptions


@dataclass(frozen=True, slots=True)
class ProcrustesOptions:
    """Which number is made of the best rotation; see `procrustes`."""

    kind: str = "similarity"

    def __post_init__(self) -> None:
        _validate.choice(self.kind, "kind", procrustes.KINDS)


Options = AlignmentOptions | CanonicalOptions | ProcrustesOptions | RsaOptions

_OPTIONS: dict[str, tuple[type[Options], tuple[str, ...], dict[str, Any]]] = {
    "cka": (AlignmentOptions, tuple(f.name for f in fields(AlignmentOptions)), {}),
    "cca": (CanonicalOptions, ("kind", "center"), {}),
    "svcca": (CanonicalOptions, ("variance", "kind"), {"variance": 0.99}),
    "pwcca": (CanonicalOptions, (), {"weighted": True}),
    "procrustes": (ProcrustesOptions, ("kind",), {}),
    "rsa": (RsaOptions, ("kind", "method"), {}),
}
INDEXES = tuple(_OPTIONS)


def options_of(index: str, given: dict[str, Any]) -> Options:
    """Return the checked options of an index, those of its function of two networks.

    Raises
    ------
    TypeError
        If the index has no such option.
    ValueError
        If there is no such index, or an option is out of range.
    """
    _validate.choice(index, "index", INDEXES)
    kind, names, fixed = _OPTIONS[index]
    for name in given:
        if name not in names:
            known = ", ".join(names) if names else "none"
            raise TypeError(f"`{name}` must be an option of '{index}' ({known})")
    return kind(**{**fixed, **given})
