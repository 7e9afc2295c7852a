"""Groups of tasks on the workers of a Dask cluster."""

from __future__ import annotations

import queue
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convergent.study.executors import Ended, Watch
from convergent.study.job import WORKS, Job, Outcome, WorkerDied, run_group_elsewhere
from convergent.study.planning import TaskGroup
from convergent.study.study import Problem

if TYPE_CHECKING:
    from distributed import Client

Said = tuple[int, str, int]
"""Number of the group, event, position of the task."""
_COMES = frozenset({"pending", "lost"})
"""Of a future; one is lost while its group runs again, since the worker that held its outcome died."""
_SECONDS_TO_LISTEN = 0.3
_SECONDS_BETWEEN_STOP_CHECKS = 1.0


class DaskCluster:
    """Runs a comparison on the workers of a Dask cluster that is there.

    Parameters
    ----------
    scheduler : str or distributed.Client
        The scheduler's address, such as ``"tcp://10.0.0.1:8786"``, or a client that is connected to it.
    seconds_to_connect : float
        How long to wait for the scheduler and for the first worker.

    Raises
    ------
    ImportError
        If `distributed` is not installed (it comes with ``convergent[full]``).

    Notes
    -----
    Workers need the same version of convergent, and see the folders of statistics and results under the same paths.
    A worker does one group of tasks at a time, with as many threads as it has in Dask's terms unless `compare` is told
    `n_threads`; start several workers of few threads rather than one of many. A group whose worker dies is run again by
    Dask, three times unless its setting ``distributed.scheduler.allowed-failures`` says otherwise. The bits of a
    result depend on the kind of processor, as everywhere: kernels for different CPU levels agree to 1e-12.

    Examples
    --------
    >>> from convergent.study import DaskCluster
    >>> cluster = DaskCluster("tcp://10.0.0.1:8786")  # connects when `compare` is called
    """

    reads_folder = True

    def __init__(self, scheduler: str | Client, *, seconds_to_connect: float = 60.0) -> None:
        self._scheduler = scheduler
        self._seconds = seconds_to_connect
        self._client: Any = None

    def n_workers(self) -> int:
        """Return the number of workers that are connected; at least one must be."""
        client = self._connected()
        try:
            client.wait_for_workers(1, timeout=self._seconds)
        except TimeoutError:
            raise RuntimeError(
                f"the Dask scheduler at {client.scheduler.address} has no workers"
            ) from None
        return len(client.nthreads())

    def _connected(self) -> Any:
        distributed = _distributed()
        if self._client is None:
            if not isinstance(self._scheduler, str):
                self._client = self._scheduler
                return self._client
            try:
                self._client = distributed.Client(
                    self._scheduler, timeout=self._seconds, set_as_default=False
                )
            except (OSError, TimeoutError, ValueError) as error:
                raise RuntimeError(
                    f"no Dask scheduler answers at {self._scheduler}: {error}"
                ) from error
        return self._client

    def run(
        self, job: Job, groups: Sequence[TaskGroup], watch: Watch
    ) -> Generator[tuple[TaskGroup, Ended], None, None]:
        """Yield each group when it has ended; closing the iterator cancels the others."""
        client = self._connected()
        topic = f"convergent-{job.token}"
        said: queue.SimpleQueue[Said] = queue.SimpleQueue()
        client.subscribe_topic(topic, lambda event: said.put(event[1]))
        running: dict[Any, TaskGroup] = {}
        try:
            for number, group in enumerate(groups):
                name = f"{topic}-{time.monotonic_ns()}-{number}"
                future = client.submit(_run, job, group, number, topic, key=name, pure=False)
                running[future] = group
            while running:
                finished = [future for future in running if future.status not in _COMES]
                # What is said of a group is here before its end is, or is of no use any more.
                for number, event, position in _said(said, 0.0 if finished else _SECONDS_TO_LISTEN):
                    watch.event(groups[number], event, position)
                for future in finished:
                    # What was yielded before may have taken long: it may be lost by now.
                    if future.status not in _COMES:
                        yield running.pop(future), _ended(future)
                watch.show()
        finally:
            client.cancel(list(running))
            client.unsubscribe_topic(topic)

    def close(self) -> None:
        """Close the connection, unless it was given."""
        if self._client is not None and self._client is not self._scheduler:
            self._client.close(timeout=2)
        self._client = None


def _said(things: queue.SimpleQueue[Said], seconds: float) -> list[Said]:
    """Return what workers have said; if nothing, what they say in the next moment."""
    found = []
    with suppress(queue.Empty):
        found.append(things.get(timeout=seconds) if seconds else things.get_nowait())
        while True:
            found.append(things.get_nowait())
    return found


def _ended(future: Any) -> Ended:
    from distributed.scheduler import KilledWorker

    if future.status == "cancelled":
        raise RuntimeError("the Dask scheduler gave up a group of tasks, or is gone")
    error = future.exception()
    if isinstance(error, KilledWorker):
        return WorkerDied("all workers that tried it ended before it did")
    if error is not None:
        raise error
    return [Outcome(problem=problem) for problem in future.result()]


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise ImportError(
            'a comparison on a Dask cluster needs distributed (pip install "convergent[full]")'
        ) from error
    return distributed


class _Stopped(Exception):
    """The comparison that wanted this group has ended."""


# What follows runs in a worker.


def _run(job: Job, group: TaskGroup, number: int, topic: str) -> list[Problem | None]:
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    if job.n_threads is None:
        job = replace(job, n_threads=worker.state.nthreads)
    checked = time.monotonic()

    def say(event: str, position: int) -> None:
        nonlocal checked
        if event != WORKS:
            worker.log_event(topic, (number, event, position))
        if time.monotonic() - checked > _SECONDS_BETWEEN_STOP_CHECKS:
            checked = time.monotonic()
            state = worker.state.tasks.get(key)
            if state is None or state.state == "cancelled":  # a thread cannot be ended from outside
                raise _Stopped

    return run_group_elsewhere(job, group, say)
