"""One run of a cycle at a time: the lock that a run holds, and who holds it."""

from __future__ import annotations

import getpass
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sopkit.cycle.manifest import now
from sopkit.errors import SettingsError, StageError
from sopkit.files import replace_file, unwritable

LOCK, HOLDER = ".lock", ".running.json"


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """Hold the cycle `folder` for a run; `what` names the cycle.

    The operating system gives the lock of a process that died to the next one. Raises StageError that names who runs
    the cycle where somebody does.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise _refusal(folder, what) from None
    try:
        holder = {"process": os.getpid(), "user": getpass.getuser(), "machine": platform.node(), "since": now()}
        replace_file(folder / HOLDER, json.dumps(holder).encode())
        yield
    finally:
        (folder / HOLDER).unlink(missing_ok=True)
        lock.release()


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the manifest in `folder` from reading to writing it: two stages, or two notebooks, at once lose nothing."""
    from filelock import FileLock

    lock = FileLock(folder.with_name(f".{folder.name}.writing"))  # beside it: a published folder holds nothing else
    try:
        lock.acquire()
    except OSError as error:
        raise SettingsError(unwritable(folder, error)) from None
    try:
        yield
    finally:
        lock.release()


def holder(folder: Path) -> str:
    """Who runs the cycle in `folder` at this moment; "" where nobody does. Looking leaves no trace."""
    from filelock import FileLock, Timeout

    try:
        about = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        with FileLock(folder / LOCK).acquire(timeout=0):
            return ""
    except Timeout:
        return "process {process} of {user} on {machine} since {since}".format(**about)
    except (OSError, ValueError):
        return ""


def refuse_beside_a_run(folder: Path, what: str) -> None:
    """Raise StageError where a run holds the cycle `folder` and this process is none of its own."""
    if not os.environ.get("SOPKIT_RUNNER") and holder(folder):
        raise _refusal(folder, what)


def _refusal(folder: Path, what: str) -> StageError:
    return StageError(
        f"{what} is being run by {holder(folder) or 'another process'}. Nothing was changed: wait until that run is "
        "done, or end it."
    )
