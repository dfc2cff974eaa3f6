"""What every room's tests share."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import postgres_server
import pytest
from filelock import FileLock

from sopkit import cycle as cycles

# a busy machine is no defect: no test has a limit of time
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")

PROJECT = Path(__file__).resolve().parents[1]
# large public data are not in the repository: $SOPKIT_SHARED, or a folder `shared` beside or above it
_ABOVE = [parent / "shared" for parent in Path(__file__).resolve().parents]
SHARED = Path(os.environ.get("SOPKIT_SHARED") or next((folder for folder in _ABOVE if folder.is_dir()), _ABOVE[0]))


# files that take minutes, the longest first: one of them begun last would leave all processes but one idle
LONGEST = [
    f"test_{name}"
    for name in "workbench cycle notebooks workbench_browser cli decide_cycles engine publish cycle_disk publish_print "
    "decide_record adventureworks cycle_trust decide_commitments supply_solve".split()
]


@pytest.fixture(scope="session")
def textbook() -> dict:
    """Published worked examples by name: their data, their published answers and where they were published."""
    return json.loads((Path(__file__).parent / "textbook.json").read_text(encoding="utf-8"))


# make test ROOM=supply --------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--room supply`: tests of that room (tests/test_supply*.py), and of its notebook where it has one."""
    rooms = sorted({path.stem.split("_")[1] for path in (PROJECT / "tests").glob("test_*.py")} - {"notebooks"})
    parser.addoption("--room", choices=rooms, help="only the tests of this room and of its notebook")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; leave out what does not belong to `--room`."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))
    if not (room := config.getoption("--room")):
        return
    stages = [path.stem.split("_", 1)[1] for path in (PROJECT / "notebooks").glob("*.ipynb")]
    mine = [
        item
        for item in items
        if item.path.stem.split("_")[1] == room
        or (item.path.stem == "test_notebooks" and room in stages and (room in item.name or "nbval" in item.name))
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in mine])
    items[:] = mine


# one run of the demo company, shared by all tests that look at what a run leaves ----------------------------------


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/ (a copy of the demo company) and reports/ (its cycle 2026-11 after one real run).

    All processes of pytest-xdist share it: the first that asks makes it, the others wait.
    """
    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "demo"
    with FileLock(f"{root}.lock"):
        if not (root / "done").exists():
            _run_the_demo(root)
            (root / "done").touch()
    return root


def _run_the_demo(root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(PROJECT / "data" / "demo", root / "data" / "demo", ignore=shutil.ignore_patterns("records.sqlite*"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOPKIT_DATA", str(root / "data"))
        patch.setenv("SOPKIT_REPORTS", str(root / "reports"))
        patch.delenv("SOPKIT_RECORDS", raising=False)
        cycles.run("demo", "2026-11", notebooks=PROJECT / "notebooks", progress=False)


@pytest.fixture
def finished(demo_run: Path, monkeypatch: pytest.MonkeyPatch) -> cycles.Cycle:
    """The demo cycle after its run, to look at; what it says must not be changed (copy it with `own_run` to do so)."""
    monkeypatch.setenv("SOPKIT_DATA", str(demo_run / "data"))
    monkeypatch.setenv("SOPKIT_REPORTS", str(demo_run / "reports"))
    return cycles.Cycle.open("demo", "2026-11")


@pytest.fixture
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's own folder, in which sopkit looks for data/, reports/ and records."""
    for part in ("data", "reports"):
        monkeypatch.setenv(f"SOPKIT_{part.upper()}", str(tmp_path / part))
    monkeypatch.delenv("SOPKIT_RECORDS", raising=False)
    return tmp_path


@pytest.fixture
def acme(own_place: Path) -> Path:
    """The folder of company acme in the test's own place: its name, three months, and no table yet."""
    folder = own_place / "data" / "acme"
    folder.mkdir(parents=True)
    (folder / "company.yaml").write_text("name: Acme\nhorizon: 3\n")
    return folder


@pytest.fixture
def own_run(demo_run: Path, own_place: Path) -> Path:
    """A copy of the finished demo run that a test may change, in its own place."""
    for part in ("data", "reports"):
        shutil.copytree(demo_run / part, own_place / part)
    return own_place


@pytest.fixture
def meeting(own_place: Path) -> Path:
    """A cycle of a company of a few lines before its meeting, in the test's own place."""
    from small_cycle import bags, to_the_meeting

    to_the_meeting(own_place, bags())
    return own_place


@pytest.fixture(scope="session")
def published_bags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/, reports/ and key: cycles 2026-01 and 2026-02 of company bags, published by Greta's SSH key.

    Who changes it puts it back as it was.
    """
    from published import publish_twice

    if not shutil.which("ssh-keygen"):
        pytest.skip("no ssh-keygen on this machine")
    root = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        publish_twice(root, patch.setenv)
        patch.delenv("SOPKIT_RECORDS", raising=False)
    return root


# programs that a machine may lack ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium or Chrome."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no chromium on this machine")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of an empty PostgreSQL server of our own, without network."""
    if (programs := postgres_server.programs()) is None:
        pytest.skip("no PostgreSQL on this machine")
    with postgres_server.server(programs) as url:
        yield url


@pytest.fixture(autouse=True)
def _in_english() -> Iterator[None]:
    """Every test begins in English: a book of another language, opened in an earlier one, is forgotten."""
    from sopkit.words import languages

    languages.speak(languages.ENGLISH)
    yield
