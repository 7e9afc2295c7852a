"""Pieces of work on several threads whose results come in order, each computed by one BLAS thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TypeVar

Piece = TypeVar("Piece")
Result = TypeVar("Result")

_lock = threading.Lock()
_users = 0
_limits = ExitStack()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let matrix products use one thread each, wherever they are called from.

    Looking up the libraries takes milliseconds; inside of another such block nothing is done.
    """
    import scipy.linalg  # noqa: F401  (comes with a BLAS of its own, which must be there to be told)
    from threadpoolctl import threadpool_limits  # scikit-learn needs it, too

    global _users, _limits
    with _lock:
        if _users == 0:
            _limits = ExitStack()
            _limits.enter_context(threadpool_limits(limits=1, user_api="blas"))
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _limits.close()


def results_in_order(
    pieces: Sequence[Piece], work: Callable[[Piece], Result], n_threads: int
) -> Iterator[Result]:
    """Yield ``work(piece)`` of every piece, in their order.

    The matrix products inside use one thread each, so that results have the same bits for any
    `n_threads` (where NumPy's BLAS can be told so: OpenBLAS, MKL and BLIS can). An exception, or
    closing the iterator, drops the pieces that have not begun.
    """
    with one_blas_thread():
        if n_threads == 1 or len(pieces) < 2:
            yield from map(work, pieces)
            return
        pool = ThreadPoolExecutor(min(n_threads, len(pieces)))
        try:
            waiting: deque[Future[Result]] = deque()
            for piece in pieces:
                waiting.append(pool.submit(work, piece))
                if len(waiting) > 2 * n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
