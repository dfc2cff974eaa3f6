"""An empty PostgreSQL server of our own, without network: a socket in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def programs() -> Path | None:
    """The folder of PostgreSQL's programs; None on a machine without it."""
    found = [shutil.which("initdb"), *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), reverse=True)]
    return next((Path(path).resolve().parent for path in found if path), None)


@contextmanager
def server(folder_of_programs: Path) -> Iterator[str]:
    """The URL of the server, while it runs."""
    user, as_user = pwd.getpwuid(os.getuid()).pw_name, []
    if os.getuid() == 0:  # the server refuses to run as root
        names = {entry.pw_name for entry in pwd.getpwall()}
        user = "postgres" if "postgres" in names else "nobody"
        as_user = ["runuser", "-u", user, "--"]
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as folder:
        shutil.chown(folder, user)
        control = [*as_user, str(folder_of_programs / "pg_ctl"), "-D", f"{folder}/data"]
        quiet = {"stdout": subprocess.DEVNULL, "cwd": folder, "check": True}
        made = ["-D", f"{folder}/data", "-A", "trust", "-U", "sopkit"]
        subprocess.run([*as_user, str(folder_of_programs / "initdb"), *made], **quiet)
        options = f"-c listen_addresses='' -k {folder}"
        subprocess.run([*control, "-w", "-l", f"{folder}/log", "-o", options, "start"], **quiet)
        try:
            yield f"postgresql://sopkit@/postgres?host={folder}"
        finally:
            subprocess.run([*control, "-w", "-m", "immediate", "stop"], **quiet)
