"""What every room's tests share."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

# published cases and public data are not in the repository: $SOPKIT_SHARED, or a folder `shared` beside or above it
_ABOVE = [parent / "shared" for parent in Path(__file__).resolve().parents]
SHARED = Path(os.environ.get("SOPKIT_SHARED") or next((folder for folder in _ABOVE if folder.is_dir()), _ABOVE[0]))


@pytest.fixture(scope="session")
def textbook() -> dict:
    """Published worked examples, by name."""
    path = SHARED / "textbook" / "cases.json"
    if not path.exists():
        pytest.skip(f"the textbook cases are not there: {path}")
    return json.loads(path.read_text(encoding="utf-8"))
