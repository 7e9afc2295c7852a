"""Draw a priority for every row of the stream in turn; keep the rows with the smallest."""

from __future__ import annotations

import numpy as np


def kept_rows(n_rows: int, n_stream: int, seed: int) -> list[int]:
    generator = np.random.Philox(key=seed)
    priorities = [int(generator.random_raw()) for _ in range(n_stream)]
    by_priority = sorted(range(n_stream), key=lambda row: priorities[row])
    return sorted(by_priority[:n_rows])
