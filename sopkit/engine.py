"""The seam for where work runs: this process, local processes, or an existing Dask cluster.

Everything that takes long and falls into independent parts (forecasting, cross-validation, scenarios, supply parts)
goes through `Engine.map`. The parts and their order never depend on where they run, so the numbers do not either.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any, TypeVar

from sopkit.errors import SettingsError, SopkitError
from sopkit.process import ONE_THREAD

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]

# A pool costs about 3 s before its first result (each worker imports the forecasting libraries anew): below this many
# seconds of work it would cost more than it saves.
LEAST_FOR_A_POOL = 8.0

_beside: Connection | None = None  # to the process that takes half of what is too short for a pool


class EngineError(SopkitError):
    """Work could not be finished: no cluster at the address, or one part keeps killing its worker."""


class Engine:
    """Runs `function(item)` for many items; `address` chooses where.

    `address` None or "local": processes of this machine, `workers` of them (default: one per core; 1 = this process).
    `address` "tcp://host:port" (or tls://): the Dask scheduler that listens there; needs the extra `dask`, and sopkit
    installed on its workers. Raises SettingsError for any other address.
    """

    attempts = 4  # a part that is being worked on when this many workers die is taken for the cause
    patience = 60.0  # seconds that a cluster may be without any worker: one that grows on demand begins with none

    def __init__(self, address: str | None = None, *, workers: int | None = None) -> None:
        address = None if address in (None, "", "local") else address
        if address and not address.startswith(("tcp://", "tls://")):
            raise SettingsError(
                f"engine {address!r} is not an address; allowed: `local`, or a Dask scheduler like tcp://host:8786."
            )
        if workers is not None and workers < 1:
            raise SettingsError(f"workers is {workers}; allowed: 1 (this process) or more.")
        self.address = address
        self.workers = workers or _cores()
        self._pool: ProcessPoolExecutor | None = None
        self._client: Any = None
        self._looked = self._seen = 0.0  # when the cluster's workers were last counted, and last there

    @classmethod
    def of(cls, engine: Engine | str | None) -> Engine:
        """`engine` itself, the engine at its address, or none: one part after the other in this process."""
        if isinstance(engine, Engine):
            return engine
        return cls(workers=1) if engine is None else cls(engine)

    def __enter__(self) -> Engine:
        """The engine itself; leaving the block closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the processes or the connection."""
        self.close()

    def __repr__(self) -> str:
        return f"Engine({self.address or 'local'}, workers={self.workers})"

    def map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        seconds: float | Sequence[float] | None = None,
        progress: Progress | None = None,
    ) -> list[Result]:
        """`[function(item) for item in items]`, in that order, wherever the parts run.

        `seconds`: how long all parts would take one after the other, or each of them; short work stays in this process
        and the one beside it (None: unknown, taken as long). `progress(done, all)` is called after each part. A killed
        worker is replaced and its part run again; so `function` must be pure, of an importable module (not of the
        script or notebook that runs), and draw no unseeded random number; items and results must be picklable. An
        error raised by a part is raised here; raises EngineError where workers keep dying.
        """
        items = list(items)
        if self.address:
            parts = self._on_cluster(function, items)
        elif self.workers == 1 or len(items) < 2:
            parts = ((place, function(item)) for place, item in enumerate(items))
        elif seconds is not None and sum(each := _of_each(seconds, len(items))) < LEAST_FOR_A_POOL:
            parts = _shared(function, items, each)
        else:
            parts = self._in_processes(function, items)
        results: list[Any] = [None] * len(items)
        for done, (place, result) in enumerate(parts, start=1):
            results[place] = result
            if progress:
                progress(done, len(items))
        return results

    def close(self) -> None:
        """End local processes, or leave the cluster (which keeps running). The engine can be used again."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        if self._client is not None:
            self._client.close()
            self._client = None

    def _in_processes(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        left = set(range(len(items)))
        deaths: dict[int, int] = {}
        while left:
            pool = self._processes()
            running: dict[Future[Any], int] = {}
            queue = iter(sorted(left))
            try:
                # No more parts are handed out than there are workers, so a death points at few suspects.
                while left:
                    for place in queue:
                        with _main_out_of_sight():
                            running[pool.submit(function, items[place])] = place
                        if len(running) > self.workers:
                            break
                    finished, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in sorted(finished, key=running.__getitem__):
                        result = future.result()
                        place = running.pop(future)
                        left.discard(place)
                        yield place, result
            except BrokenProcessPool:
                self._pool = None
                for place in running.values():
                    deaths[place] = deaths.get(place, 0) + 1
                worst = max(deaths, key=deaths.__getitem__, default=-1)
                if deaths.get(worst, 0) >= self.attempts:
                    raise EngineError(
                        f"Workers died {self.attempts} times at part {worst + 1} of {len(items)}. "
                        "Most often memory is short: use fewer workers, or a cluster (engine tcp://host:port)."
                    ) from None
            except BaseException:
                self.close()
                raise

    def _processes(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Not `fork`: a notebook kernel has threads, and a forked copy of them can hang.
            context = get_context("spawn" if os.name == "nt" else "forkserver")
            self._pool = ProcessPoolExecutor(self.workers, context, initializer=_one_thread)
        return self._pool

    def _on_cluster(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        client = self._cluster()
        from distributed import as_completed
        from distributed.scheduler import KilledWorker

        futures = client.map(function, items, pure=False, key=f"sopkit-{time.time_ns()}")
        places = {future.key: place for place, future in enumerate(futures)}
        self._looked = self._seen = time.monotonic()
        # Without `loop` it would listen on the loop of another client of this process, or find none and fail.
        answers = as_completed(futures, loop=client.loop, with_results=True)
        try:
            while answers.count():
                if not answers.has_ready():
                    self._refuse_lost(client)
                    time.sleep(0.02)
                    continue
                future, result = next(answers)
                if future.cancelled():
                    raise self._gone()
                yield places[future.key], result
        except KilledWorker as error:
            raise EngineError(f"A part kept killing the workers of {self.address}: {error}") from None
        finally:
            if client.status == "running":
                client.cancel(futures)

    def _refuse_lost(self, client: Any) -> None:
        """Raise EngineError where the scheduler is gone, or every worker for `patience` seconds: Dask waits forever."""
        if client.status != "running":
            raise self._gone()
        now = time.monotonic()
        if now < self._looked + 1.0:
            return
        self._looked = now
        try:
            alive = client.nthreads()
        except OSError:  # the connection broke just now: the client's status says so the next time
            return
        if alive:
            self._seen = now
        elif now - self._seen > self.patience:
            raise EngineError(
                f"The Dask scheduler at {self.address} has had no worker for {self.patience:g} s. "
                f"Start one with `dask worker {self.address}` and run again."
            )

    def _gone(self) -> EngineError:
        return EngineError(f"The Dask scheduler at {self.address} went away. Start it and run again.")

    def _cluster(self) -> Any:
        if self._client is None:
            try:
                from distributed import Client
            except ImportError:
                raise EngineError("A Dask engine needs the extra `dask`: pip install 'sopkit[dask]'.") from None
            try:
                self._client = Client(self.address, timeout=10, set_as_default=False)
            except (OSError, TimeoutError) as error:
                raise EngineError(
                    f"No Dask scheduler answers at {self.address} ({error}). Start one with `dask scheduler`, or leave "
                    "the engine out to use this machine."
                ) from None
        return self._client


def fork_beside() -> None:
    """Fork a process that computes beside this one, which has no thread yet, until this one ends."""
    global _beside
    ours, theirs = Pipe()
    if os.fork():
        theirs.close()
        _beside = ours
        return
    ours.close()
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks for no more closes the pipe
        while True:
            function, items = theirs.recv()
            made = None
            with suppress(Exception):  # it is done again by who asked, who then says why
                made = [function(item) for item in items]
            theirs.send(made)
    finally:
        os._exit(0)


def _of_each(seconds: float | Sequence[float], count: int) -> Sequence[float]:
    return [seconds / count] * count if isinstance(seconds, int | float) else seconds


def _shared(
    function: Callable[[Any], Any], items: Sequence[Any], seconds: Sequence[float]
) -> Iterator[tuple[int, Any]]:
    """The second half computed by the process beside this one; by this one where it is not there, or fails.

    The halves take about as long, by the `seconds` of each item.
    """
    global _beside
    other, _beside = _beside, None  # one piece of work at a time, and none after one that was stopped
    half = min(range(len(items)), key=lambda place: max(sum(seconds[:place]), sum(seconds[place:])))
    sent, made = False, None
    with suppress(Exception):
        if other:
            other.send((function, items[half:]))
            sent = True
    for place in range(half):
        yield place, function(items[place])
    with suppress(Exception):
        made, _beside = other.recv() if other and sent else None, other
    for place in range(half, len(items)):
        yield place, made[place - half] if made else function(items[place])


@contextmanager
def _main_out_of_sight() -> Iterator[None]:
    """Workers started meanwhile do not run the caller's script again: it may be a notebook, or have no main guard."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _one_thread() -> None:
    """Each worker computes with one thread: as many workers as cores would otherwise fight over them."""
    os.environ.update(ONE_THREAD)


def _cores() -> int:
    """Cores this process may use; a container often has fewer than its machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def engine_at(engine: Engine | str | None) -> Engine:
    """An engine from what a caller gave: an engine as it is, an address, or None for local processes."""
    return engine if isinstance(engine, Engine) else Engine(engine)
