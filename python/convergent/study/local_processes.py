"""Groups of tasks on processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from convergent import _validate
from convergent.study.executors import Ended, Watch
from convergent.study.job import Job, Outcome, WorkerDied, run_group_elsewhere
from convergent.study.planning import TaskGroup
from convergent.study.study import Problem

_SECONDS_BETWEEN_LOOKS = 0.2
_STARTS = 3
_NO_START = (
    "worker processes end before they begin; a program that starts them must do so below "
    '`if __name__ == "__main__":`'
)


class LocalProcesses:
    """Runs a comparison on several processes of this machine.

    Parameters
    ----------
    n_workers : int
        Processes. The threads of the comparison are divided among them.

    Notes
    -----
    Every worker is a pool of one process (`concurrent.futures.ProcessPoolExecutor`, started anew, not forked), so that
    a worker that is killed takes only its own group of tasks with it. Workers end with the process that began them,
    however that ends.

    Examples
    --------
    >>> from convergent.study import LocalProcesses
    >>> LocalProcesses(4).n_workers()
    4
    """

    reads_folder = True

    def __init__(self, n_workers: int) -> None:
        self._n_workers = _validate.integer(n_workers, "n_workers", low=1)

    def n_workers(self) -> int:
        """Return the number of processes."""
        return self._n_workers

    def run(
        self, job: Job, groups: Sequence[TaskGroup], watch: Watch
    ) -> Generator[tuple[TaskGroup, Ended], None, None]:
        """Yield each group when it has ended; closing the iterator ends the workers."""
        n_threads = max(1, _validate.thread_count(job.n_threads) // self._n_workers)
        job = replace(job, n_threads=n_threads)
        waiting = deque(groups)
        workers = [_Worker(job) for _ in range(min(self._n_workers, len(groups)))]
        try:
            running = {worker.begin(waiting.popleft()): worker for worker in workers}
            while running:
                finished = wait(running, _SECONDS_BETWEEN_LOOKS, FIRST_COMPLETED).done
                for worker in running.values():
                    worker.listen(watch)
                for future in finished:
                    worker = running.pop(future)
                    group, ended = worker.group, worker.ended(future)
                    if ended is None:
                        running[worker.begin(group)] = worker
                        continue
                    if waiting:
                        running[worker.begin(waiting.popleft())] = worker
                    yield group, ended
                watch.show()
        finally:
            for worker in workers:
                worker.stop()
            for worker in workers:
                worker.wait()

    def close(self) -> None:
        """Do nothing: processes live as long as a run."""


class _Worker:
    """A pool of one process, and a line to it.

    The line says which task is under way, and ends the process when it is cut.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._n_starts = 0
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, self._their_end = context.Pipe()
        self._pool = ProcessPoolExecutor(
            1, context, initializer=_begin, initargs=(self._their_end,)
        )
        self._process_id: int | None = None
        self._is_cut = False

    def begin(self, group: TaskGroup) -> Future[list[Problem | None]]:
        self.group = group
        with _interrupts_held():  # the process that is started here must not see them
            return self._pool.submit(_run, self._job, group)

    def listen(self, watch: Watch) -> None:
        """Pass on what the process has said."""
        try:
            while self._line.poll():
                said = self._line.recv()
                if isinstance(said, int):
                    self._process_id = said
                else:
                    watch.event(self.group, *said)
        except (EOFError, OSError):  # of a process that is dead, which its future says
            pass

    def ended(self, future: Future[list[Problem | None]]) -> Ended | None:
        """Return how the group ended, with a process ready for another one; None if it has not begun."""
        try:
            return [Outcome(problem=problem) for problem in future.result()]
        except BrokenProcessPool:
            has_begun = self._process_id is not None
            self.stop()
            self.wait()
            self._start()
        self._n_starts = 0 if has_begun else self._n_starts + 1
        if self._n_starts == _STARTS:
            raise RuntimeError(_NO_START)
        return WorkerDied("its process was killed") if has_begun else None

    def stop(self) -> None:
        """End the process at once."""
        if self._is_cut:
            return
        self._is_cut = True
        self._listen_for_start()
        self._line.close()
        self._their_end.close()
        for child in multiprocessing.active_children():
            if child.pid == self._process_id:
                child.kill()

    def _listen_for_start(self) -> None:
        try:
            while self._process_id is None and self._line.poll():
                said = self._line.recv()
                self._process_id = said if isinstance(said, int) else None
        except (EOFError, OSError):
            pass

    def wait(self) -> None:
        """Return when the process has ended."""
        self._pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Let Ctrl-C wait, in this thread and for good in processes that are started meanwhile."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# What follows runs in a worker's process.

_line: Connection[Any, Any] | None = None


def _begin(line: Connection[Any, Any]) -> None:
    global _line
    _line = line
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(line,), daemon=True).start()
    line.send(os.getpid())


def _end_with(line: Connection[Any, Any]) -> None:
    """End the process when the other end of the line is closed, or gone with its process."""
    with suppress(EOFError, OSError):
        line.recv()
    os._exit(1)


def _run(job: Job, group: TaskGroup) -> list[Problem | None]:
    def say(event: str, position: int) -> None:
        assert _line is not None
        if event != "works":
            _line.send((event, position))

    return run_group_elsewhere(job, group, say)
