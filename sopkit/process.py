"""What a process of ours is told before it computes: one thread, a fixed order of sets, no needless imports."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

# as many workers as cores, each with as many threads, would fight over them; and sums must not change their last digit
ONE_THREAD = {
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
}


@contextmanager
def without_grammar() -> Iterator[None]:
    """Imports inside the block do not compile the grammar of `rfc3987_syntax`; afterwards it can be had as before.

    jsonschema, which Altair and papermill import, would spend 2-3 s on it for one format check that nobody asks for.
    """
    name = "rfc3987_syntax"
    hidden = name not in sys.modules
    if hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            sys.modules.pop(name, None)
