"""What a process of ours is told before it computes: one thread, a fixed order of sets, no needless imports."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

# as many workers as cores, each with as many threads, would fight over them; and sums must not change their last digit
ONE_THREAD = {
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
}


def of_kernels(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` as a process needs it from its start to be a kernel, or to fork one."""
    return ONE_THREAD | {
        **environment,
        # sets must not change their order from one run or machine to the next
        "PYTHONHASHSEED": "0",
        # a thread of pyarrow's memory would forbid the fork
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
    }


SELDOM_LOOKED = 100_000  # allocations between two looks for garbage by what is over soon: looking cost a tenth


def start_as_a_kernel_would() -> None:
    """Begin this program anew where it was not started `of_kernels`, so that kernels can be forked from it (Linux)."""
    gc.set_threshold(SELDOM_LOOKED)
    if sys.platform == "linux" and (wanted := of_kernels(os.environ)) != os.environ:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], wanted)


class _Late(ModuleType):
    """A module, or a `part` of it, that is imported when something of it is used first."""

    def __init__(self, name: str, part: str = "") -> None:
        super().__init__(name)
        self._part = part

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if not self._part and sys.modules.get(self.__name__) is self:  # an import takes it, for use later
            return _Late(self.__name__, name)
        return getattr(self._used(), name)

    def __call__(self, *given: Any, **named: Any) -> Any:
        return self._used()(*given, **named)

    def _used(self) -> Any:
        if isinstance(sys.modules.get(self.__name__), _Late):
            del sys.modules[self.__name__]
        module = import_module(self.__name__)
        return getattr(module, self._part) if self._part else module


@contextmanager
def without_grammar(*more: str, late: Iterable[str] = ()) -> Iterator[None]:
    """Imports inside the block do not compile the grammar of `rfc3987_syntax`; afterwards it can be had as before.

    jsonschema, which Altair and papermill import, would spend 2-3 s on it for one format check that nobody asks for.
    `more`: modules that nobody asks for either; `late`: those that are imported only when something of them is used.
    """
    put = {**dict.fromkeys(("rfc3987_syntax", *more)), **{name: _Late(name) for name in late}}
    put = {name: module for name, module in put.items() if name not in sys.modules}
    sys.modules.update(put)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in put:
            sys.modules.pop(name, None)
