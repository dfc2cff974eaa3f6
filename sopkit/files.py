"""Files and folders: where companies and cycles are, hashes, files replaced in one step, tables as parquet."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sopkit.errors import SettingsError, nearest
from sopkit.tables import Table

ARROW = {
    "text": pa.string(),
    "choice": pa.string(),
    "number": pa.float64(),
    "whole": pa.int64(),
    "flag": pa.bool_(),
    "month": pa.timestamp("ns"),
    "date": pa.timestamp("ns"),
}


PROBE = 1 << 16  # bytes written to see whether a folder takes them


def project_root(start: Path | None = None) -> Path:
    """The nearest folder at or above `start` (default: the working folder) with notebooks/ and data/; else `start`."""
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "notebooks").is_dir() and (folder / "data").is_dir():
            return folder
    return start


def data_root() -> Path:
    """Where company folders are: environment variable SOPKIT_DATA, else data/ of the project."""
    return Path(os.environ.get("SOPKIT_DATA") or project_root() / "data").resolve()


def reports_root() -> Path:
    """Where cycle folders are: environment variable SOPKIT_REPORTS, else reports/ of the project."""
    return Path(os.environ.get("SOPKIT_REPORTS") or project_root() / "reports").resolve()


def shipped(name: str) -> Path:
    """The folder `name` (notebooks, demo) that travels inside the package; where a clone holds no links, beside it."""
    project = Path(__file__).parents[1]
    places = (Path(__file__).parent / name, project / name, project / "data" / name)
    return next(one for one in places if one.is_dir())


def lay_out(folder: Path) -> int:
    """Copy the notebooks to `folder`/notebooks and the demo to `folder`/data/demo; returns the number of notebooks.

    Raises SettingsError where a file of that name is there, or nothing can be written.
    """
    found = {
        Path(place) / path.relative_to(shipped(name)): path
        for name, place, like in (("notebooks", "notebooks", "*.ipynb"), ("demo", "data/demo", "*.*"))
        for path in sorted(shipped(name).rglob(like))
        if path.is_file() and not path.name.startswith("records.sqlite")
    }
    there = [place.name for place in found if (folder / place).exists()]
    if there:
        raise SettingsError(f"{folder} holds {', '.join(there)} already; nothing was written.")
    try:
        for place, path in found.items():
            replace_file(folder / place, path.read_bytes())
    except OSError as error:
        raise SettingsError(unwritable(folder, error)) from None
    return sum(path.suffix == ".ipynb" for path in found)


def is_plain_name(name: str) -> bool:
    """Whether `name` is the name of one file or folder: not empty, no path, not hidden."""
    return bool(name) and not name.startswith(".") and not set(name) & set("/\\:\0") and Path(name).name == name


def find_company(company: str) -> Path:
    """The folder of `company`; raises SettingsError with the nearest names where there is none."""
    root = data_root()
    if is_plain_name(company) and (root / company / "company.yaml").is_file():
        return root / company
    known = sorted(path.parent.name for path in root.glob("*/company.yaml"))
    raise SettingsError(f"no company {company!r} in {root}; make one with `sopkit new NAME`: {nearest(company, known)}")


def sha256(content: bytes | Path) -> str:
    """The sha256 of bytes, or of a file's content, as 64 hexadecimal digits."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_source(path: Path) -> bool:
    """Whether `path` is a file that may hold data: neither hidden nor a lock that a spreadsheet program left."""
    return path.is_file() and not path.name.startswith((".", "~$"))


def is_inside(path: Path, *folders: Path) -> bool:
    """Whether `path` lies in one of `folders` when every link is followed."""
    return any(path.resolve().is_relative_to(folder.resolve()) for folder in folders)


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one step: a reader sees the old file or the new one, never half of it.

    Raises SettingsError, with the fix, where that cannot be done; what was there stands.
    """
    replace_files({path: content})


def replace_files(contents: Mapping[Path, bytes | None]) -> None:
    """Put every content at its path, None = remove it; nothing is touched before all of them are on the disk.

    The last path is the last that changes. Raises SettingsError, with the fix, where a disk is full or may not be
    written; what was there stands.
    """
    beside = {path: path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}") for path in contents}
    path = next(iter(contents), Path())
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is not None:
                beside[path].write_bytes(content)
        for path, content in contents.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                beside[path].replace(path)
    except OSError as error:
        raise SettingsError(unwritable(path, error)) from None
    finally:
        for left in beside.values():
            with suppress(OSError):
                left.unlink(missing_ok=True)


def refuse_unwritable(folder: Path) -> None:
    """Raise SettingsError, one sentence with the fix, where nothing can be written to `folder` or its disk is full."""
    replace_file(folder / ".probe", bytes(PROBE))
    (folder / ".probe").unlink()


def unwritable(place: Path | str, error: OSError) -> str:
    """What to tell a person about a file or folder that could not be read or written."""
    fixes = {
        errno.ENOSPC: "Free some space there, then run the same command again.",
        errno.EFBIG: "Allow larger files there, then run the same command again.",
        errno.EDQUOT: "Free some of your space there, then run the same command again.",
        errno.ENOENT: "Correct the path, or make the folder.",
    }
    fix = fixes.get(error.errno or 0, "Ask for the right to it, or choose another place (SOPKIT_REPORTS, SOPKIT_DATA).")
    return f"{place} cannot be used: {error.strerror or error}. {fix}"


def to_parquet(declared: Table, frame: pd.DataFrame) -> bytes:
    """A checked `frame` as parquet: the same rows always give the same bytes (no pandas notes, no times)."""
    kinds = {column.name: ARROW[column.kind] for column in declared}
    cells = {name: pa.array(frame[name].to_numpy(), kind, from_pandas=True) for name, kind in kinds.items()}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(cells), sink)
    return sink.getvalue().to_pybytes()


def from_parquet(content: bytes) -> pd.DataFrame:
    """The frame that `to_parquet` made `content` of."""
    # without threads and `read_table`, which looks for a data set of many files: half the time for tables as small
    return pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False).to_pandas(use_threads=False)
