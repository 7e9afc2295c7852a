"""Types of the compiled kernels; see `_core/__init__.py` for how a level is chosen."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Floats = NDArray[np.float32] | NDArray[np.float64]
Codes = NDArray[np.uint8]
Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]
Span = tuple[Float64, Indices, Float64, Float64, float]

class Kernels(Protocol):
    """What every extension module offers."""

    def compiler(self) -> str: ...
    def assign(
        self, cost: Floats, maximize: bool, return_duals: bool
    ) -> tuple[str, Indices, Float64 | None, Float64 | None]: ...
    def bin_units(
        self, x: Floats, n_bins: int, authors: bool, n_threads: int
    ) -> tuple[Codes, Float64, Indices]: ...
    def mutual_information(
        self,
        x_codes: Codes,
        y_codes: Codes,
        n_codes_x: int,
        n_codes_y: int,
        miller_madow: bool,
        n_threads: int,
        counting: str = "cheapest",
    ) -> Float64: ...
    def counts_by_position(
        self, x_codes: Codes, y_codes: Codes, n_codes_x: int, n_codes_y: int
    ) -> bool: ...
    def cross_products(
        self, networks: Sequence[Floats], means: Sequence[Float64] | None, n_threads: int
    ) -> Float64: ...
    def add_cross_products(
        self,
        networks: Sequence[Floats],
        means: Sequence[Float64] | None,
        products: Float64,
        n_threads: int,
    ) -> None: ...
    def products_between(
        self,
        x: Floats,
        y: Floats,
        x_means: Float64 | None,
        y_means: Float64 | None,
        n_threads: int,
    ) -> tuple[Float64, Float64, Float64]: ...
    def unit_summary(
        self, network: Floats, means: Float64 | None, n_threads: int
    ) -> tuple[Float64, Float64, Float64, Float64]: ...
    def fold_examples(
        self,
        triangle: Float64,
        networks: Sequence[Floats],
        means: Sequence[Float64] | None,
        order: Indices | None,
        n_threads: int,
    ) -> Float64: ...
    def scaled_cholesky(
        self, gram: Float64, n_threads: int
    ) -> tuple[Float64, Float64, float] | None: ...
    def project_on_triangle(
        self, triangle: Float64, cross: Float64, n_threads: int
    ) -> tuple[Float64, Float64, Float64]: ...
    def fold_triangle(self, triangle: Float64, other: Float64) -> Float64: ...
    def max_match(self, x: Span, y: Span, epsilons: Float64) -> tuple[Flags, Flags, Float64]: ...
    def match_levels(self, x: Span, y: Span) -> Float64: ...
    def minimal_matches(
        self,
        x: Span,
        y: Span,
        epsilon: float,
        wanted: list[bool],
        orders: Indices,
        n_threads: int,
        progress: Callable[[int], object] | None,
    ) -> tuple[Flags, list[int], list[list[int]], bool, float]: ...
    def all_minimal_matches(
        self,
        x: Span,
        y: Span,
        epsilon: float,
        unit: int,
        order: Indices,
        n_limit: int,
        n_searches: int,
    ) -> tuple[Flags, bool, float]: ...
    def shared_response(
        self,
        networks: Sequence[Floats],
        center: bool,
        starts: Sequence[tuple[str, Sequence[Float64]]],
        *,
        max_iter: int,
        tol: float,
        diagonal: float,
        accelerate: bool,
        single: bool | None,
        n_threads: int,
    ) -> tuple[list[Float64], Float64 | None, Float64, bool, bool, int, list[Float64]]: ...
    def shared_response_of_products(
        self,
        products: Float64,
        widths: Sequence[int],
        starts: Sequence[tuple[str, Sequence[Float64]]],
        *,
        max_iter: int,
        tol: float,
        diagonal: float,
        accelerate: bool,
        single: bool | None,
        n_threads: int,
    ) -> tuple[list[Float64], Float64 | None, Float64, bool, bool, int, list[Float64]]: ...
    def probabilistic_response(
        self,
        networks: Sequence[Floats],
        means: Sequence[Float64] | None,
        squares: Sequence[float],
        start: Sequence[Float64],
        *,
        max_iter: int,
        tol: float,
        diagonal: float,
        unit_start: bool,
        n_threads: int,
    ) -> tuple[list[Float64], Float64 | None, Float64, bool, Float64, Float64]: ...
    def probabilistic_response_of_products(
        self,
        products: Float64,
        widths: Sequence[int],
        n_examples: float,
        squares: Sequence[float],
        start: Sequence[Float64],
        *,
        max_iter: int,
        tol: float,
        diagonal: float,
        unit_start: bool,
        n_threads: int,
    ) -> tuple[list[Float64], Float64 | None, Float64, bool, Float64, Float64]: ...
    def align_to_response(
        self,
        network: Floats,
        means: Float64 | None,
        response: Float64,
        anchor: Float64,
        *,
        diagonal: float,
    ) -> Float64: ...
    def sparse_map(
        self, c_xx: Float64, c_yx: Float64, alphas: Float64, n_threads: int
    ) -> tuple[Float64, Float64, Float64]: ...
    def paper_descent(
        self, c_xx: Float64, c_yx: Float64, penalty: float, start: Float64, n_threads: int
    ) -> Float64: ...

ENVIRONMENT_VARIABLE: str
level: str
kernels: Kernels

def built_levels() -> tuple[str, ...]: ...
def supported_levels() -> tuple[str, ...]: ...
def load_level(level: str) -> Kernels: ...
