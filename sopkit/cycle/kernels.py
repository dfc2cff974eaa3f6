"""Kernels that start at once: forked from one warm process, which has imported the libraries and has a single thread.

Six notebooks in six processes import the same libraries six times; that is most of what a small plan costs. Here one
process imports them once, stage by stage, and forks a child for each notebook, which becomes an ordinary Jupyter
kernel: of its own memory, its own working state, gone when its notebook is done. A fork is only taken while the warm
process has exactly one thread, because a copy of other threads' locks can hang. Wherever that fails (another system, a
library that starts threads when imported, a warm process that died) a plain kernel is started instead.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from queue import Empty
from typing import Any

from sopkit.cycle.manifest import code_hash
from sopkit.engine import fork_beside
from sopkit.errors import StageError
from sopkit.process import SELDOM_LOOKED, of_kernels, without_grammar

with without_grammar():
    from jupyter_client.asynchronous.client import AsyncKernelClient
    from jupyter_client.manager import KernelManager
    from jupyter_client.provisioning import LocalProvisioner

FORKS = sys.platform == "linux" and hasattr(os, "pidfd_open")
ROOMS = Path(__file__).parents[1]
# what every notebook imports, sooner or later; a room names what it imports late itself: IMPORTED_LATE
SHARED = (
    "pyarrow.parquet sqlite3 altair duckdb vl_convert sopkit.cycle sopkit.records sopkit.charts.figure sopkit.charts "
    "sopkit.workbench ipykernel.kernelapp ipykernel.ipkernel ipykernel.debugger tornado.platform.asyncio "
    "IPython.core.completerlib IPython.core.logger IPython.extensions.storemagic sqlalchemy.dialects.sqlite "
    "pyarrow.pandas_compat pandas.core.reshape.reshape pandas.io.formats.html"
).split()
# what they would import and nobody needs: utilsforecast dask's frames where dask is installed, a kernel its debugger
NEEDLESS = ("dask", "debugpy")
# what pyomo and the forecasting libraries import for plots and for methods that do not compete here
SELDOM = ("matplotlib.pyplot", "statsmodels.api", "scipy.stats", "sklearn.preprocessing")

# whose work a second process of the kernel takes half of
IN_HALVES = ("demand", "supply", "reconcile", "publish")


# the warm process --------------------------------------------------------------------------------------------------


def rooms(stages: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(stage, module) for all that the notebooks of `stages` import, in the order in which they need it."""
    yield from (("", name) for name in SHARED)
    for stage in stages:
        yield stage, f"sopkit.{stage}"
        yield from ((stage, f"sopkit.{stage}.{found.name}") for found in pkgutil.iter_modules([ROOMS / stage]))


def serve() -> None:
    """Be the warm process: import, and fork a kernel for each request (a JSON line on standard input).

    The first line says for which stages, and where the renderer listens. Answers the kernel's process id, or 0 where no
    fork can be taken. Ends, with its kernels, when the input closes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the runner, which then closes the input
    gc.disable()  # what is imported stays: looking for garbage in it took a sixth of the time
    requests: Any = open(0, "rb", buffering=0, closefd=False)
    if not (line := requests.readline()):
        os._exit(0)
    stages, renderer = json.loads(line)
    cold: deque[tuple[str, str]] = deque(rooms(stages))
    anew = "collect" in stages  # where it is not run, a forecast is most often taken from before
    for _ in SHARED:
        _import(cold.popleft()[1])
    kernels = {_start_renderer(renderer)} if _alone() else set()
    code_hash()  # one look at the package's files for all kernels
    while True:
        while cold and not select.select([requests], [], [], 0)[0]:
            _import(cold.popleft()[1], anew)
        line = requests.readline()
        kernels = {pid for pid in kernels if os.waitpid(pid, os.WNOHANG) == (0, 0)}
        if not line:
            break
        request = json.loads(line)
        for pair in [pair for pair in cold if pair[0] in ("", request["stage"])]:
            cold.remove(pair)
            _import(pair[1], anew)
        gc.freeze()  # a collection in the child would copy every page of the imported modules
        alone = _alone()
        pid = os.fork() if alone else 0
        if alone and not pid:
            _draw_there(renderer)
            _become_kernel(request)
        kernels |= {pid} - {0}
        os.write(1, f"{pid}\n".encode())
    for pid in kernels:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    os._exit(0)


def _alone() -> bool:
    return len(os.listdir("/proc/self/task")) == 1


def _import(name: str, all_of_it: bool = True) -> None:
    """Import `name` and what it imports late; what cannot be imported is left to the notebook, which then says so."""
    with suppress(Exception), without_grammar(*NEEDLESS, late=SELDOM):
        late = getattr(importlib.import_module(name), "IMPORTED_LATE", ())
        for more in late if all_of_it else ():
            importlib.import_module(more)


def _become_kernel(request: Mapping[str, Any]) -> None:
    """In the child: an ordinary Jupyter kernel, until it is shut down; never returns."""
    try:
        os.setsid()
        gc.set_threshold(SELDOM_LOOKED)
        gc.enable()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        sys.argv = ["ipykernel_launcher", *request["arguments"]]
        if request["stage"] in IN_HALVES:
            fork_beside()
        from ipykernel.kernelapp import IPKernelApp

        # without this parent a kernel must not go on
        IPKernelApp.launch_instance([*request["arguments"], f"--IPKernelApp.parent_handle={os.getppid()}"])
    finally:
        os._exit(1)


def _charts() -> Any:
    return importlib.import_module("sopkit.charts.figure")


def _start_renderer(path: str) -> int:
    """Fork the process that draws the charts of all kernels: starting to draw would cost each of them 0.7 s."""
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen()
        warm = os.getpid()
        if pid := os.fork():
            return pid
        try:
            os.setsid()
            os.dup2(2, 1)
            door.settimeout(1.0)
            # the pack shows again what the notebooks have shown
            drawn = cache(lambda asked: _charts().draw(json.loads(asked)).encode())
            while os.getppid() == warm:
                with suppress(Exception):  # what cannot be drawn gets no answer: the kernel then draws, and says why
                    with door.accept()[0] as line, line.makefile("rb") as asked:
                        line.settimeout(None)
                        line.sendall(drawn(asked.read()))
        finally:
            os._exit(0)


def _draw_there(path: str) -> None:
    """Let the charts of this process be drawn by the renderer at `path`; where it does not answer, here as before."""
    here = _charts().draw

    def draw(spec: dict[str, Any]) -> str:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as line:
            line.connect(path)
            line.sendall(json.dumps(spec).encode())
            line.shutdown(socket.SHUT_WR)
            with line.makefile("rb") as drawn:
                return drawn.read().decode() or here(spec)
        return here(spec)

    _charts().draw = draw


# the runner's side -------------------------------------------------------------------------------------------------


def warm_process() -> _Forked | None:
    """The warm process as a fork of this one, which has imported a third of what it needs: before this opens anything.

    None where this process has threads or its hashes are random; it is then started by itself (`Kernels`).
    """
    if not FORKS or sys.flags.hash_randomization or not _alone():
        return None
    importlib.import_module("sopkit.records")  # both need it
    (asked, given), (answers, told) = os.pipe(), os.pipe()
    if pid := os.fork():
        os.close(asked)
        os.close(told)
        warm = _Forked(pid)
        warm.stdin, warm.stdout = open(given, "wb"), open(answers, "rb")
        return warm
    try:
        os.dup2(asked, 0)
        os.dup2(told, 1)
        os.closerange(3, max(asked, given, answers, told) + 1)
        serve()
    finally:
        os._exit(1)


class _Forked:
    """What is needed of a forked process, most often a child of the warm one: it is watched by a handle."""

    stdin: Any = None
    stdout: Any = None
    stderr = None

    def __init__(self, pid: int) -> None:
        self.pid, self._handle = pid, os.pidfd_open(pid)
        self._ended = select.poll()
        self._ended.register(self._handle, select.POLLIN)

    def poll(self) -> int | None:
        return -signal.SIGKILL if self._ended.poll(0) else None

    def wait(self) -> int:
        self._ended.poll()
        with suppress(ChildProcessError):  # only the warm process can be a child of this one
            os.waitpid(self.pid, 0)
        return -signal.SIGKILL

    def send_signal(self, number: int) -> None:
        signal.pidfd_send_signal(self._handle, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __del__(self) -> None:
        os.close(self._handle)


class _Provisioner(LocalProvisioner):
    """Takes a kernel from the warm process where it gives one, else starts a plain one."""

    kernels: Kernels
    stage: str

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        arguments = cmd[cmd.index("-f") :] if "-f" in cmd else []
        forked: Any = self.kernels.fork(self.stage, arguments, kwargs["env"], str(kwargs.get("cwd") or os.getcwd()))
        if forked is None:
            return await super().launch_kernel(cmd, **kwargs)
        self.process = forked
        self.pid = self.pgid = forked.pid
        self.cwd = kwargs.get("cwd")
        return self.connection_info


class Kernels:
    """Starts the kernels of a run over `stages`, in `cwd`, with `environment` over that of this process.

    `warm`: the `warm_process` that forks them, True to start one, False for plain kernels.
    """

    def __init__(
        self, stages: Sequence[str], cwd: Path, environment: Mapping[str, str], *, warm: _Forked | bool = True
    ) -> None:
        # the checkout that started the run is the one that runs, whatever the working folder
        path = os.pathsep.join(filter(None, (str(ROOMS.parent), os.environ.get("PYTHONPATH"))))
        self.cwd, self.environment = str(cwd), of_kernels(os.environ | dict(environment) | {"PYTHONPATH": path})
        self._turn = threading.Lock()
        self._warm: _Forked | subprocess.Popen[bytes] | None = None
        if warm and FORKS:
            self._folder = tempfile.TemporaryDirectory(prefix="sopkit-")
            pipe, serving = subprocess.PIPE, [sys.executable, "-c", "from sopkit.cycle.kernels import serve; serve()"]
            self._warm = (
                warm
                if isinstance(warm, _Forked)
                else subprocess.Popen(serving, stdin=pipe, stdout=pipe, env=self.environment, cwd=self.cwd)
            )
            with suppress(OSError):
                self._told([list(stages), str(Path(self._folder.name) / "renderer")])

    def start(self, stage: str) -> Kernel:
        """A kernel for the notebook of `stage`; it starts in a thread."""
        return Kernel(self, stage)

    def fork(self, stage: str, arguments: list[str], env: Mapping[str, str], cwd: str) -> _Forked | None:
        """A kernel forked from the warm process, or None where that cannot be."""
        if self._warm is None:
            return None
        request = {"stage": stage, "arguments": arguments, "env": dict(env), "cwd": cwd}
        with self._turn, suppress(OSError, ValueError):
            pid = int(self._told(request).readline())
            return _Forked(pid) if pid else None
        return None

    def _told(self, line: object) -> Any:
        """Where the warm process answers, after it was told `line`."""
        given, answers = self._pipes()
        given.write(json.dumps(line).encode() + b"\n")
        given.flush()
        return answers

    def _pipes(self) -> tuple[Any, Any]:
        """Where requests go to the warm process, and where its answers come from."""
        assert self._warm is not None
        return self._warm.stdin, self._warm.stdout

    def close(self) -> None:
        """End the warm process and every kernel that is left of it."""
        if self._warm is not None:
            given, answers = self._pipes()
            with suppress(OSError):
                given.close()
            answers.close()
            self._warm.wait()
            self._folder.cleanup()


def _remembered_in(clients: list[AsyncKernelClient]) -> type[AsyncKernelClient]:
    """A client that is known in `clients`: papermill leaves the sockets of a kernel that it was given open."""

    class Client(AsyncKernelClient):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            clients.append(self)

        async def wait_for_ready(self, timeout: float | None = None) -> None:
            """As the library's, which then listens for 0.2 s until nothing is said: nbclient passes over that."""
            for _ in range(int(timeout or 60)):
                self.kernel_info()
                with suppress(Empty):
                    if (await self.shell_channel.get_msg(timeout=1))["msg_type"] == "kernel_info_reply":
                        await self.iopub_channel.get_msg(timeout=0.2)  # what the cells show is heard too
                        return
                if not await self.is_alive():
                    break
            raise RuntimeError("the kernel did not answer")

    return Client


def close_loop() -> None:
    """Close the event loop of this thread, if it came to that: nobody else does."""
    with suppress(RuntimeError):
        asyncio.get_event_loop().close()


class Kernel:
    """One notebook's kernel, which starts in a thread; `ready` waits for it, `stop` ends it."""

    def __init__(self, kernels: Kernels, stage: str) -> None:
        # ipc: no TCP port to race for, and none open on the machine; two kernels must not share the sockets' folder
        self._sockets = tempfile.TemporaryDirectory(prefix="sopkit-")
        self.manager = KernelManager(
            kernel_name="python3",
            transport="ipc" if os.name == "posix" else "tcp",
            connection_file=str(Path(self._sockets.name) / "kernel.json"),
        )
        self.manager.client_class = f"{AsyncKernelClient.__module__}.{AsyncKernelClient.__name__}"
        self._clients: list[AsyncKernelClient] = []
        self.manager.client_factory = _remembered_in(self._clients)
        provisioner = _Provisioner(kernel_spec=self.manager.kernel_spec, parent=self.manager)
        provisioner.kernels, provisioner.stage = kernels, stage
        self.manager.provisioner = provisioner
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._start, args=(kernels,), daemon=True)
        self._thread.start()

    def _start(self, kernels: Kernels) -> None:
        try:
            self.manager.start_kernel(
                env=kernels.environment, cwd=kernels.cwd, extra_arguments=["--HistoryManager.enabled=False"]
            )
        except BaseException as error:
            self._error = error
        finally:
            close_loop()

    def ready(self) -> KernelManager:
        """Its manager, once it runs; StageError where no kernel can be started."""
        self._thread.join()
        if self._error is not None:
            raise StageError(
                f"No Jupyter kernel could be started ({self._error}). Install the environment again (`make plan`)."
            )
        return self.manager

    def kill(self) -> None:
        """End its process at once; whoever runs a notebook in it then learns that it died."""
        self._thread.join()
        if self._error is None and self.manager.has_kernel:
            process: Any = self.manager.provisioner.process  # type: ignore[union-attr]
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()  # else the manager would look every 0.1 s

    def stop(self) -> None:
        """End it at once: a graceful shutdown takes 3 s more in one case of ten, and there is nothing left to save."""
        self.kill()
        if self._error is None and self.manager.has_kernel:
            self.manager.shutdown_kernel(now=True)
        for client in self._clients:
            client.stop_channels()
        self.manager.cleanup_resources()
        self._sockets.cleanup()
