"""Papermill's engine for a run: it writes the notebook seldom, and tells when the stage's tables are complete."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sopkit.process import without_grammar

with without_grammar():
    from papermill.engines import NBClientEngine, papermill_engines

EVERY = 1.0  # seconds between two writes: papermill's two a cell were a twentieth of the demo's cycle
SAVED = "saved"  # tag of the cell after which a notebook only shows: its stage's tables are complete


class _Engine(NBClientEngine):
    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, *, saved: Callable[[], None], **settings: Any
    ) -> None:
        save, complete, kept, told = nb_man.save, nb_man.cell_complete, time.monotonic(), False

        def seldom(**_: Any) -> None:
            nonlocal kept
            if time.monotonic() >= kept + EVERY:
                save()
                kept = time.monotonic()

        def completed(cell: Any, *given: Any, **named: Any) -> None:
            nonlocal told
            complete(cell, *given, **named)
            tagged = SAVED in cell.metadata.get("tags", [])
            if tagged and not told and cell.metadata.papermill["status"] == nb_man.COMPLETED:
                told = True
                saved()

        nb_man.save, nb_man.cell_complete = seldom, completed
        try:
            super().execute_managed_notebook(nb_man, kernel_name, **settings)
        except BaseException:  # at every other end papermill writes it once more
            nb_man.save = save
            raise


ENGINE = "sopkit"
papermill_engines.register(ENGINE, _Engine)
