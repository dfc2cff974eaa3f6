"""What is attacked and holds: kills, flipped bytes, hostile texts, two writers at once, other surroundings, extremes.

`python tests/bench.py trust` takes about ten minutes on two idle cores, `trust quick` a fifth of it; a second word runs
one part: kills flips writers surroundings hostile lab extremes (lab: not in quick).
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import demo_company as demo
import extreme
import jupyterlab_room
import pandas as pd
import postgres_server
import yaml
from published import DECISION, NEXT, publish_twice
from small_company import CYCLE
from small_cycle import after_the_meeting, bags, to_the_meeting

from sopkit.cycle import Cycle, signatures, versions
from sopkit.errors import SopkitError
from sopkit.files import sha256
from sopkit.records import Records
from sopkit.tables import TABLES

PROJECT = Path(__file__).resolve().parents[1]
PARTS = ("kills", "flips", "writers", "surroundings", "hostile", "lab", "extremes")
WRITES = """
import sys, time
from sopkit.records import Records
records, took = Records(sys.argv[1], "demo"), []
for number in range(int(sys.argv[3])):
    began = time.perf_counter()
    records.add("overrides", author=sys.argv[2], cycle="2026-11", first_month="2026-12", last_month="2026-12",
                action="add", amount=number, reason="to be kept")
    took.append(time.perf_counter() - began)
print(*took)
"""


# outputs of a notebook that are cut: what scrolls sideways in a place of its own is whole
WIDER = """[...document.querySelectorAll('.jp-OutputArea-output > *')].filter(
  e => e.getBoundingClientRect().right > innerWidth + 2 && getComputedStyle(e).overflowX === 'visible'
).map(e => e.textContent.slice(0, 60))"""


def _figure(name: str, value: float, unit: str, met: bool | None, goal: object = None, **more: object) -> dict:
    return {"name": name, "value": round(value, 3), "unit": unit, "goal": goal, "met": met, "peer": None, **more}


def run(size: str = "full", part: str = "") -> Iterator[dict]:
    """One figure a line; `size` is `full` or `quick`, `part` one of PARTS or all."""
    if size not in ("full", "quick") or part not in ("", *PARTS):
        raise SystemExit(f"usage: python tests/bench.py trust [full|quick] [{'|'.join(PARTS)}]")
    asked = (part,) if part else [name for name in PARTS if size == "full" or name != "lab"]
    with tempfile.TemporaryDirectory(prefix="trust-") as folder:
        root = Path(folder)
        if {"kills", "flips"} & {*asked}:
            publish_twice(root / "published", os.environ.__setitem__)
        for name in asked:
            yield from globals()[name](root, size == "quick")


# kills ----------------------------------------------------------------------------------------------------------------


def _killed(deed: Callable[[], object], after: float) -> bool:
    """Do `deed` in a process of its own and kill it after so many seconds; whether it had said that it was done."""
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.close(read)
            deed()
            os.write(write, b"done")
        finally:
            os._exit(0)
    os.close(write)
    time.sleep(after)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    with os.fdopen(read, "rb") as told:
        return told.read() == b"done"


def kills(root: Path, quick: bool) -> Iterator[dict]:
    """SIGKILL at random moments of run (all stages' writing), decide and publish; the same call again finishes."""
    chance, home = random.Random(7), root / "killed"
    shutil.copytree(root / "published" / "data", home / "data")
    shutil.copytree(root / "published" / "reports", home / "reports")
    for name in ("data", "reports"):
        os.environ[f"SOPKIT_{name.upper()}"] = str(home / name)
    opened = Cycle.open("bags", NEXT)
    key = signatures.key_of(opened, "Greta")
    versions.begin(opened, ["collect"], "to be killed")
    names = opened.manifest["tables"]
    place = opened.folder / "tables"  # as they lie there: without a stage a cycle shows the plan of record
    stages = {stage: {
        n: pd.read_parquet(place / f"{n}.parquet") for n, e in names.items() if e["stage"] == stage} for stage in (
        "collect", "demand", "supply", "reconcile", "publish"
    )}  # fmt: skip
    kept = {path: path.read_bytes() for path in (home / "data" / "bags").glob("records*")}

    def run_stages() -> None:
        for stage, frames in stages.items():
            c = Cycle.open("bags", NEXT, stage=stage)
            opened.mark(stage, "running")
            c.save(frames)
            c.mark(stage, "done")

    def decide() -> None:
        signatures.decide(Cycle.open("bags", NEXT, stage="decide"), DECISION, by="Greta")

    def publish() -> None:
        versions.freeze(Cycle.open("bags", NEXT), "Greta", key)

    wanted, count, wrong = opened.plan_hash(), 0, Counter[str]()
    start = root / "start"
    shutil.copytree(opened.folder, start)
    times = {}
    for deed in (run_stages, decide, publish):
        began = time.perf_counter()
        deed()
        times[deed] = time.perf_counter() - began
        _again(opened.folder, start, kept)
    for deed, most in ((run_stages, 80), (decide, 60), (publish, 60)):
        for _ in range(most // 5 if quick else most):
            count += 1
            before = len(opened.records.read("decisions"))
            done = _killed(deed, chance.uniform(0, 1.1 * times[deed]))
            now = len(opened.records.read("decisions"))
            if deed is decide:
                wrong["a recorded word is lost or doubled"] += now - before not in ((1,) if done else (0, 1))
            try:
                if deed is not decide:
                    deed()
                found = [
                    line for line in Cycle.open("bags", NEXT).verify() if "signatures/" not in line or deed is publish
                ]
            except SopkitError as error:
                found = [str(error)]
            wrong[f"after {deed.__name__}: {found[0] if found else ''}"[:160]] += bool(found)
            wrong["another hash"] += Cycle.open("bags", NEXT).plan_hash() != wanted
            events = opened.records.events(kind="publish", cycle=NEXT)["body"]
            wrong["published twice in the log"] += len(events) != len({*events})
            _again(opened.folder, start, kept)
    bad = {what: times_ for what, times_ in wrong.items() if times_}
    name = "kills of run, decide, publish: whole again"
    yield _figure(name, count - sum(bad.values()), f"of {count}", not bad, count, found=bad)


def _again(folder: Path, start: Path, kept: dict[Path, bytes]) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    shutil.rmtree(folder)
    shutil.copytree(start, folder)
    for path in next(iter(kept)).parent.glob("records*"):
        if path not in kept:
            path.unlink()
    for path, content in kept.items():
        path.write_bytes(content)


# flips ----------------------------------------------------------------------------------------------------------------


def flips(root: Path, quick: bool) -> Iterator[dict]:
    """One bit of a file turned, in every file of a published folder and in the records: named by its file or place."""
    from test_cycle_trust import meaning

    for name in ("data", "reports"):
        os.environ[f"SOPKIT_{name.upper()}"] = str(root / "published" / name)
    folder, chance = root / "published" / "reports" / "bags" / NEXT, random.Random(15)
    records = root / "published" / "data" / "bags" / "records.sqlite"
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size]
    rounds, count, found, silent, raised = 100 if quick else 500, 0, 0, [], []
    means = meaning(records)
    while count < rounds:
        path = records if count % 5 == 4 else files[count % len(files)]
        whole = path.read_bytes()
        at, bit = chance.randrange(len(whole)), chance.randrange(8)
        path.chmod(0o644)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
        place = path.relative_to(folder).as_posix() if path != records else "record"
        try:
            lines = Cycle.open("bags", NEXT).verify()
        except SopkitError as error:
            lines = [str(error)]
        except Exception as error:
            lines, _ = [], raised.append(f"{place} byte {at}: {type(error).__name__}")
        says_nothing = path == records and not lines and meaning(path) == means
        path.write_bytes(whole)
        if says_nothing:
            continue  # a free byte, or a counter of SQLite's own: what was recorded reads the same
        count += 1
        named = place if path != records else "(record|event|stage|sign_offs|decisions)"
        hit = any(re.search(named if path == records else re.escape(named), line) for line in lines)
        found += hit
        silent += [] if hit else [f"{place} byte {at} bit {bit}: {lines[:1]}"]
    clean = Cycle.open("bags", NEXT).verify() == []
    yield _figure("flipped bytes of a published folder and its records, named by file or place", found, f"of {count}",
                  found == count and not raised and clean, count, missed=silent[:5], tracebacks=raised[:5])  # fmt: skip


# writers --------------------------------------------------------------------------------------------------------------


def writers(root: Path, quick: bool) -> Iterator[dict]:
    """Two processes that each record many overrides at once, on SQLite and on PostgreSQL where it is installed."""
    each = 200 if quick else 1000
    yield from _writers(f"sqlite:///{root / 'writers.sqlite'}", "SQLite", each)
    if programs := postgres_server.programs():
        with postgres_server.server(programs) as url:
            yield from _writers(url, "PostgreSQL", each)


def _writers(url: str, kind: str, each: int) -> Iterator[dict]:
    env = {**os.environ, "PYTHONPATH": str(PROJECT)}
    running = [
        subprocess.Popen([sys.executable, "-c", WRITES, url, by, str(each)], stdout=subprocess.PIPE, text=True, env=env)
        for by in ("Ada", "Mara")
    ]
    took = [[float(part) for part in one.communicate()[0].split()] for one in running]
    records = Records(url, "demo")
    kept = len(records.read("overrides"))
    whole = kept == 2 * each and records.verify() == [] and list(records.events()["number"]) == [*range(1, kept + 1)]
    yield _figure(f"two writers of {each} on {kind}: kept, the chain whole", kept, f"of {2 * each}", whole, 2 * each)
    slowest = max(statistics.median(one or [9e9]) for one in took)
    yield _figure(f"median of the slower writer on {kind}", slowest, "s", slowest < 1, 1)


# surroundings ---------------------------------------------------------------------------------------------------------


def surroundings(root: Path, quick: bool) -> Iterator[dict]:
    """The plan of a small company reproduced elsewhere: path, time zone, locale, umask, hash seed, threads."""
    home = root / "here"
    extreme.lay_out(home / "data" / "one", "one product")
    env = {**os.environ, "SOPKIT_DATA": str(home / "data"), "SOPKIT_REPORTS": str(home / "reports")}
    env["PYTHONPATH"] = str(PROJECT)
    about = ("--company", "one", "--cycle", extreme.CYCLE)
    subprocess.run(
        [sys.executable, "-m", "sopkit", "run", *about], cwd=PROJECT, env=env, check=True, capture_output=True
    )
    threads = [f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "NIXTLA")]
    cases: dict[str, tuple[dict[str, str], int]] = {
        "another path, Kathmandu, no locale, umask 077": ({"TZ": "Asia/Kathmandu", "LC_ALL": "C"}, 0o077),
        "hash seed 1, one thread": ({"PYTHONHASHSEED": "1", **dict.fromkeys(threads, "1")}, 0o022),
        "hash seed 4242, eight threads, Turkish": (
            {"PYTHONHASHSEED": "4242", "LC_ALL": "tr_TR.UTF-8", **dict.fromkeys(threads, "8")}, 0o002,
        ),
    }  # fmt: skip
    for number, (name, (more, mask)) in enumerate(list(cases.items())[: 1 if quick else None]):
        there = root / f"elsewhere {number} ä"
        shutil.copytree(home / "reports", there / "reports")
        (there / "data").mkdir()
        moved = env | more | {"SOPKIT_DATA": str(there / "data"), "SOPKIT_REPORTS": str(there / "reports")}
        command = [sys.executable, "-m", "sopkit", "reproduce", *about]
        done = subprocess.run(command, cwd=PROJECT, env=moved, capture_output=True, text=True, umask=mask)
        same = done.stdout.rpartition(": ")[2].count(",") + 1 if not done.returncode else 0
        yield _figure(f"reproduced hash for hash: {name}", same, "tables", not done.returncode, said=done.stderr[-300:])


# hostile texts --------------------------------------------------------------------------------------------------------


class _Tags(HTMLParser):
    """What a browser would run or ask for in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "link", "base", "object", "embed", "form", "foreignobject"):
            self.found[tag] += 1
        for name, value in attrs:
            outside = name in ("href", "src", "xlink:href") and not str(value).startswith(("#", "data:"))
            if name.startswith("on") or outside:
                self.found[f"{tag} {name}={value}"[:60]] += 1


def hostile(root: Path, quick: bool) -> Iterator[dict]:
    """200 strings in names, reasons, titles and notes through check, plan, decision, pack, workbook and records."""
    from python_calamine import CalamineWorkbook
    from test_publish_hostile import STRINGS

    for name in ("data", "reports"):
        os.environ[f"SOPKIT_{name.upper()}"] = str(root / "hostile" / name)
    texts, tables = [text.replace("\x00", "") or "-" for text in STRINGS], bags()
    tables["products"] = tables["products"].assign(name=texts[:2])
    tables["markets"] = tables["markets"].assign(name=texts[2], region=texts[3], channel=texts[4])
    tables["people"] = tables["people"].assign(role=texts[5:7])
    many = {"assumption": [f"A{n}" for n in range(len(texts))], "statement": texts, "owner": texts}
    tables["assumptions"] = pd.DataFrame(many)
    to_the_meeting(root / "hostile", tables)
    c = Cycle.open("bags", CYCLE, stage="decide")
    kept = 0
    said = texts[::10] if quick else [text for text in texts if text.strip()]
    for text in said:
        try:
            signatures.decide(c, {**DECISION, "reason": text, "owner": text}, by="Greta")
            c.sign("demand", by="Ada", note=text)
        except SopkitError:
            continue
        kept += 1
    after_the_meeting(pack=True)
    parser = _Tags()
    parser.feed((c.folder / "plan.html").read_text(encoding="utf-8"))
    yield _figure("hostile texts in the pack: what would run or ask", parser.found.total(), "tags", not parser.found, 0,
                  found=dict(parser.found.most_common(3)))  # fmt: skip
    book = CalamineWorkbook.from_path(str(c.folder / "plan.xlsx"))
    cells = sum(len(book.get_sheet_by_name(name).to_python()) for name in book.sheet_names)
    yield _figure("rows of the workbook read back with them", cells, "rows", cells > 0)
    events = Cycle.open("bags", CYCLE).records.events()
    yield _figure(
        "hostile reasons recorded, the chain whole",
        kept,
        f"of {len(said)}",
        kept == len(said) and not c.records.verify(),
        len(said),
        more=len(events),
    )


def _named(tables: dict[str, pd.DataFrame], texts: Iterator[str]) -> int:
    """Every free text of the inputs becomes the next of the texts; how many there were."""
    count = 0
    for name, frame in tables.items():
        for column in TABLES[name]:
            free = column.kind == "text" and column.name not in TABLES[name].key and not column.refs
            if (
                free
                and not column.choices
                and column.name not in ("uom", "currency", "ssh_key", "answers_for", "skill")
            ):
                frame[column.name] = [next(texts) for _ in range(len(frame))]
                count += len(frame)
    return count


def lab(root: Path, quick: bool) -> Iterator[dict]:
    """The demo company renamed by the texts: check, run, then its six notebooks in a real JupyterLab and Chromium."""
    from playwright.sync_api import sync_playwright
    from test_publish_hostile import STRINGS

    root /= "lab"
    made = demo.tables(demo.SMALL, demo.SEED, extreme.CYCLE)
    # signs that cannot be seen are refused by `check`, with their cell
    ring = itertools.cycle([text for text in STRINGS if text.strip() and text.isprintable() and len(text) < 1000])
    named = _named(made, ring)
    demo.write(root / "data" / "hostile", made=made)
    scenarios = root / "data" / "hostile" / "scenarios.yaml"
    document = yaml.safe_load(scenarios.read_text(encoding="utf-8"))
    for one in document.values():
        one["title"] = next(ring)
    scenarios.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    for name in ("data", "reports"):
        os.environ[f"SOPKIT_{name.upper()}"] = str(root / name)
    os.environ["PYTHONPATH"] = str(PROJECT)
    about = ("--company", "hostile", "--cycle", extreme.CYCLE)
    for verb in ("check", "run"):
        command = [sys.executable, "-m", "sopkit", verb, *about]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
        traced = "Traceback" in done.stdout + done.stderr
        held = not done.returncode and not traced
        yield _figure(f"sopkit {verb} with hostile names and titles", named, "texts", held, said=done.stderr[-300:])
    shutil.copytree(PROJECT / "notebooks", root / "notebooks")
    seen: list[str] = []
    with jupyterlab_room.opened(root) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        for notebook in sorted((root / "notebooks").glob("0*.ipynb")):
            text = notebook.read_text(encoding="utf-8").replace(r"\"demo\"", r"\"hostile\"")
            notebook.write_text(text, encoding="utf-8")
            page = browser.new_page(viewport={"width": 1400, "height": 3000})
            page.set_default_timeout(600_000)
            page.on("request", lambda asked: seen.append(asked.url[:100]))
            page.on("dialog", lambda dialog: (seen.append(f"said {dialog.message}"), dialog.dismiss()))
            page.goto(f"{address}/lab/tree/notebooks/{notebook.name}?reset")
            jupyterlab_room.run_all(page)
            page.wait_for_function(
                "![...document.querySelectorAll('.jp-InputPrompt')].some(e => e.textContent.includes('*'))"
            )
            wide = page.evaluate(WIDER)
            wrong = page.locator("[data-mime-type='application/vnd.jupyter.stderr']").count()
            yield _figure(f"{notebook.stem} in JupyterLab: output wider than the page", len(wide), "places",
                          not wide and not wrong, 0, found=[*wide[:3], f"{wrong} errors"])  # fmt: skip
            page.screenshot(path=str(root / f"{notebook.stem}.png"))
            page.close()
        browser.close()
    outside = sorted({one for one in seen if not re.match(r"(http://127\.0\.0\.1|data:|blob:)", one)})
    yield _figure("run or asked for in JupyterLab by hostile texts", len(outside), "times", not outside, 0,
                  found=outside[:3])  # fmt: skip


# extremes -------------------------------------------------------------------------------------------------------------


def extremes(root: Path, quick: bool) -> Iterator[dict]:
    """Companies at the edge of what data can be: every cell of six notebooks, to the pack."""
    for name in ("data", "reports"):
        os.environ[f"SOPKIT_{name.upper()}"] = str(root / "extreme" / name)
    names = ["nothing anywhere", "one month"] if quick else list(extreme.EXTREMES)
    made, failed = 0, {}
    for name in names:
        company = re.sub(r"\W", "_", name)
        extreme.lay_out(root / "extreme" / "data" / company, name)
        try:
            with open(os.devnull, "w") as quiet:
                out, sys.stdout = sys.stdout, quiet
                try:
                    extreme.perform(company)
                finally:
                    sys.stdout = out
            page = Cycle.open(company, extreme.CYCLE).folder / "plan.html"
            made += sha256(page) != "" and Cycle.open(company, extreme.CYCLE).verify() == []
        except SopkitError as error:
            failed[name] = f"one sentence: {error}"[:200]
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"[:200]
    yield _figure("extreme companies that came to a pack", made, f"of {len(names)}", made == len(names), len(names),
                  failed=json.dumps(failed))  # fmt: skip
