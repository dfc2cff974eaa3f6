"""Papermill's engine for a run: the notebook is on disk while it is executed, and not written twice a cell for it."""

from __future__ import annotations

import time
from typing import Any

from sopkit.process import without_grammar

with without_grammar():
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


ENGINE = "sopkit"
papermill_engines.register(ENGINE, _Engine)
