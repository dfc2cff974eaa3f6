"""One notebook through papermill, kept on disk while it runs without being written twice a cell."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sopkit.process import without_grammar

with without_grammar():
    import papermill
    from papermill.engines import NBClientEngine, papermill_engines

EVERY = 1.0  # seconds between two writes: papermill's two a cell were a twentieth of the demo's cycle


class _Engine(NBClientEngine):
    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **settings: Any) -> None:
        save, kept = nb_man.save, time.monotonic()

        def seldom(**_: Any) -> None:
            nonlocal kept
            if time.monotonic() >= kept + EVERY:
                save()
                kept = time.monotonic()

        nb_man.save = seldom
        try:
            super().execute_managed_notebook(nb_man, kernel_name, **settings)
        except BaseException:  # at every other end papermill writes it once more
            nb_man.save = save
            raise


papermill_engines.register("sopkit", _Engine)


def execute(source: Path, kept: Path, parameters: Mapping[str, Any], *, manager: Any, cwd: str) -> Any:
    """`source` with `parameters`, run in the kernel of `manager` and written to `kept` while it runs; the notebook.

    Raises what papermill raises; what was executed until then is in `kept`.
    """
    return papermill.execute_notebook(
        source,
        kept,
        dict(parameters),
        engine_name="sopkit",
        kernel_name="python3",
        km=manager,
        progress_bar=False,
        cwd=cwd,
    )
