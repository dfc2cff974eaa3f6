"""A cycle: only declared tables pass, bytes are deterministic, what is stale is known, a failure explains itself."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbformat.sign import NotebookNotary
from nbformat.v4 import new_code_cell, new_notebook

from sopkit import cycle as cycles
from sopkit import demand, files, records
from sopkit.cycle import Cycle, kernels, versions
from sopkit.demand import steps
from sopkit.errors import FindingsError, SettingsError, StageError
from sopkit.process import of_kernels
from sopkit.tables import STAGES, TABLES, written_by

PROJECT = Path(__file__).resolve().parents[1]
FAMILIES = pd.DataFrame({"family": ["TENTS", "BAGS"], "name": ["Tents", "Bags"]})
PRODUCTS = pd.DataFrame({"product": ["T2"], "family": ["TENTS"], "price": [199.0], "standard_cost": [112.0]})
PEOPLE = pd.DataFrame({"name": ["Ada Brandt", "Jon Okafor"], "role": ["planner"] * 2, "may_sign": ["demand", "supply"]})


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a company of a few lines; SOPKIT_DATA and SOPKIT_REPORTS point beside it."""
    monkeypatch.setenv("SOPKIT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SOPKIT_REPORTS", str(tmp_path / "reports"))
    monkeypatch.delenv("SOPKIT_RECORDS", raising=False)
    folder = tmp_path / "data" / "acme"
    folder.mkdir(parents=True)
    (folder / "company.yaml").write_text("name: Acme\nhorizon: 3\n")
    (folder / "scenarios.yaml").write_text("{}\n")
    (folder / "decisions.yaml").write_text("[]\n")
    return folder


@pytest.fixture
def collected(company: Path) -> Cycle:
    """Cycle 2026-11 of the company after its collect stage."""
    cycle = Cycle.open("acme", "2026-11", stage="collect")
    cycle.save({"families": FAMILIES, "products": PRODUCTS, "people": PEOPLE})
    return cycle


def opened(stage: str | None) -> Cycle:
    """The company's cycle seen from `stage`."""
    return Cycle.open("acme", "2026-11", stage=stage)


# opening ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("acme", "2026-13"), "cycle '2026-13' is not a month. Write it like 2026-11"),
        (("acme", "november"), "is not a month"),
        (("acmee", "2026-11"), "did you mean 'acme'"),
        (("../acme", "2026-11"), "no company"),
        (("", "2026-11"), "no company"),
        (("acme", "2026-11", "demnad"), "did you mean 'demand'"),
    ],
)
def test_what_does_not_exist_is_answered_with_what_does(company: Path, arguments: tuple, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        Cycle.open(*arguments)


def test_the_months_start_with_the_cycle(company: Path) -> None:
    assert opened("collect").months == list(pd.to_datetime(["2026-11", "2026-12", "2027-01"]))


def test_the_project_is_found_upward_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("notebooks/deep", "data"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "notebooks" / "deep")
    monkeypatch.delenv("SOPKIT_DATA", raising=False)
    assert files.data_root() == tmp_path / "data"


# tables -----------------------------------------------------------------------------------------------------------


def test_a_table_comes_back_as_declared(collected: Cycle) -> None:
    read = opened("demand").read("families")
    pd.testing.assert_frame_equal(read, TABLES["families"].check(FAMILIES))
    assert list(read["family"]) == ["BAGS", "TENTS"]


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_table_survives_being_kept(name: str, company: Path) -> None:
    declared = TABLES[name]
    example = {
        "text": "x",
        "number": 1.5,
        "whole": 2,
        "flag": True,
        "month": pd.Timestamp("2026-11-01"),
        "date": pd.Timestamp("2026-11-17"),
    }
    row = {
        c.name: c.choices[0]
        if c.choices
        else max(example[c.kind], c.low or 0)
        if c.kind in ("number", "whole")
        else example[c.kind]
        for c in declared
    }
    row |= {c.name: min(row[c.name], c.high) for c in declared if c.high is not None}
    for frame in (declared.empty(), declared.check(pd.DataFrame([row]))):
        content = files.to_parquet(declared, frame)
        assert content == files.to_parquet(declared, frame.copy())
        back = pd.read_parquet(pd.io.common.BytesIO(content))
        pd.testing.assert_frame_equal(back, frame, check_index_type=False)


def test_the_same_rows_give_the_same_file_whatever_their_order(collected: Cycle) -> None:
    path = collected.folder / "tables" / "families.parquet"
    before = path.read_bytes()
    again = opened("collect")
    again.save({"families": FAMILIES.iloc[::-1][["name", "family"]]})
    assert path.read_bytes() == before


def test_a_stage_reads_only_what_it_declares(collected: Cycle) -> None:
    with pytest.raises(StageError, match="demand does not declare to read 'balance_sheet'.*stages.py"):
        opened("demand").read("balance_sheet")
    with pytest.raises(StageError, match="did you mean 'products'"):
        opened("demand").read("product")


def test_a_stage_writes_only_its_own_tables(collected: Cycle) -> None:
    with pytest.raises(StageError, match="demand does not write 'products', stage collect does"):
        opened("demand").write("products", PRODUCTS)
    with pytest.raises(StageError, match="without a stage is for reading"):
        opened(None).write("products", PRODUCTS)


def test_a_table_that_is_not_made_yet_says_how_to_make_it(collected: Cycle) -> None:
    with pytest.raises(StageError, match="stage demand writes it. Run it first: sopkit run .* --only demand"):
        opened("supply").read("demand_plan")


def test_an_optional_table_that_nobody_brought_is_empty(collected: Cycle) -> None:
    pd.testing.assert_frame_equal(opened("demand").read("campaigns"), TABLES["campaigns"].empty())


def test_one_wrong_cell_and_nothing_is_written(collected: Cycle) -> None:
    before = {path: path.read_bytes() for path in sorted(collected.folder.rglob("*")) if path.is_file()}
    wrong = PRODUCTS.assign(price=-1.0)
    with pytest.raises(FindingsError, match="products, row 2, column price is '-1.0'"):
        opened("collect").save({"families": FAMILIES.iloc[:1], "products": wrong})
    assert {path: path.read_bytes() for path in sorted(collected.folder.rglob("*")) if path.is_file()} == before


def test_a_refused_collect_leaves_no_table(company: Path) -> None:
    cycle = opened("collect")
    cycle.read("history_answers")
    with pytest.raises(FindingsError):
        cycle.save({"products": PRODUCTS.assign(price=float("nan"))})
    assert not cycle.folder.exists()


def test_a_table_changed_by_hand_is_refused(collected: Cycle) -> None:
    path = collected.folder / "tables" / "families.parquet"
    path.write_bytes(files.to_parquet(TABLES["families"], FAMILIES.iloc[:1]))
    with pytest.raises(StageError, match="is not the file that stage collect wrote.*--from collect"):
        opened("demand").read("families")
    assert "tables/families.parquet is not the file that stage collect wrote" in opened(None).verify()


def test_what_a_stage_no_longer_writes_is_gone(collected: Cycle) -> None:
    opened("collect").save({"families": FAMILIES, "people": PEOPLE})
    assert not (collected.folder / "tables" / "products.parquet").exists()
    with pytest.raises(StageError, match="not made yet"):
        opened("demand").read("products")


def test_several_saves_of_one_stage_add_up(company: Path) -> None:
    cycle = opened("collect")
    cycle.save({"families": FAMILIES})
    cycle.save({"people": PEOPLE})
    assert set(cycle.manifest["tables"]) == {"families", "people"}


def test_later_stages_look_at_the_snapshot_and_not_at_the_company(collected: Cycle, company: Path) -> None:
    with pytest.raises(StageError, match="may not look into data/acme"):
        _ = opened("demand").company_folder
    (company / "company.yaml").write_text("name: Changed\nhorizon: 3\n")
    (company / "scenarios.yaml").write_text("changed: {}\n")
    later = opened("reconcile")
    assert later.company.name == "Acme"
    assert later.file("scenarios.yaml").read_text() == "{}\n"
    shutil.rmtree(company)
    assert opened("supply").company.name == "Acme"
    assert not opened("decide").answers().exists()


def test_what_people_answer_is_taken_when_it_is_asked(collected: Cycle, company: Path) -> None:
    (company / "decisions.yaml").write_text("- decided\n")
    assert opened("decide").answers().read_text() == "- decided\n"
    assert opened(None).manifest["files"]["snapshot/decisions.yaml"]


def test_files_stay_in_the_cycle_folder(collected: Cycle) -> None:
    cycle = opened("publish")
    assert cycle.write_file("plan.html", "<p>ä").read_text(encoding="utf-8") == "<p>ä"
    assert cycle.manifest["files"]["plan.html"]["stage"] == "publish"
    for name in ("../plan.html", "tables/plan.html", "manifest.json", ""):
        with pytest.raises(StageError, match="is no file that a stage may write"):
            cycle.write_file(name, "x")


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path, contents, wrong = tmp_path / "file", [b"a" * 3_000_000, b"b" * 3_000_000], []
    files.replace_file(path, contents[0])
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            if path.read_bytes() not in contents:
                wrong.append(1)

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(100):
        files.replace_file(path, contents[number % 2])
    done.set()
    reader.join()
    assert not wrong and list(tmp_path.iterdir()) == [path]


def test_tables_of_earlier_cycles_are_read_together(collected: Cycle) -> None:
    Cycle.open("acme", "2026-12", stage="collect").save({"families": FAMILIES.iloc[:1]})
    late = Cycle.open("acme", "2027-01", stage="collect").earlier("families")
    assert list(late["family"]) == ["BAGS", "TENTS", "TENTS"]
    assert collected.earlier("families").empty


# what is stale ----------------------------------------------------------------------------------------------------


def demand_plan(units: float) -> pd.DataFrame:
    """A demand plan of one row."""
    row = {c.name: "x" if c.kind == "text" else 0.0 for c in TABLES["demand_plan"]}
    return pd.DataFrame([row | {"month": pd.Timestamp("2026-11-01"), "consensus": units}])


def test_staleness_follows_the_tables(collected: Cycle, company: Path) -> None:
    demand = opened("demand")
    demand.read("families"), demand.read("overrides")
    demand.save({"demand_plan": demand_plan(1.0)})
    supply = opened("supply")
    supply.read("demand_plan")
    supply.save({"supply_run": TABLES["supply_run"].empty()})
    opened(None).mark("collect", "done")
    assert set(opened(None).stale()) == {"reconcile", "decide", "publish"}

    opened("demand").records.add(
        "overrides",
        author="Ada Brandt",
        cycle="2026-11",
        first_month="2026-11",
        last_month="2026-11",
        action="add",
        amount=1,
        reason="a shop opens",
    )
    assert opened(None).stale()["demand"] == "overrides: something new was recorded"
    assert opened(None).stale()["supply"] == "demand is stale"

    again = opened("demand")
    again.read("families"), again.read("overrides")
    again.save({"demand_plan": demand_plan(2.0)})
    assert "demand" not in opened(None).stale()
    assert opened(None).stale()["supply"] == "demand_plan changed"

    (company / "families.csv").write_text("family\nX\n")
    assert opened(None).stale()["collect"] == "the files in acme/ changed"
    assert opened(None).stale()["demand"] == "collect is stale"


def test_a_changed_setting_makes_stale_what_was_planned_with_it(collected: Cycle, company: Path) -> None:
    demand = opened("demand")
    assert demand.company.horizon == 3
    demand.read("families")
    demand.save({"demand_plan": demand_plan(1.0)})
    (company / "company.yaml").write_text("name: Acme\nhorizon: 4\n")
    opened("collect").save({"families": FAMILIES, "products": PRODUCTS, "people": PEOPLE})
    assert opened(None).stale()["demand"] == "snapshot/company.yaml changed"


def test_a_signature_holds_for_the_tables_as_they_were(collected: Cycle) -> None:
    demand = opened("demand")
    demand.read("people")
    demand.save({"demand_plan": demand_plan(1.0)})
    opened(None).mark("collect", "done")
    cycle = opened(None)
    cycle.sign("demand", by="Ada Brandt", note="as agreed")
    status = cycle.status().set_index("stage")
    assert status.at["demand", "signed by"] == "Ada Brandt"
    opened("demand").save({"demand_plan": demand_plan(2.0)})
    assert opened(None).status().set_index("stage").at["demand", "signed by"] == "(Ada Brandt, before a change)"


def test_stages_left_as_they_are_are_no_alarm(collected: Cycle) -> None:
    """`run --resume` skips what is not stale; `verify` once took that for tampering."""
    opened("demand").save({"demand_plan": demand_plan(1.0)})
    opened(None).mark("collect", "done")
    opened(None).mark("demand", "done")
    again = opened("collect")
    again.save({"families": FAMILIES, "products": PRODUCTS, "people": PEOPLE.head(1)})
    again.mark("collect", "done")
    assert "demand" not in opened(None).stale() and opened(None).verify() == []
    opened("demand").save({"demand_plan": demand_plan(2.0)})
    assert opened(None).verify() == ["the tables of stage demand are not those that the event log saw when it ran"]


@pytest.mark.parametrize(
    ("stage", "by", "error", "says"),
    [
        ("demand", "Ada Brand", SettingsError, "did you mean 'Ada Brandt'"),
        ("demand", "Jon Okafor", SettingsError, "may not sign demand. Those who may: Ada Brandt"),
        ("demnad", "Ada Brandt", SettingsError, "did you mean 'demand'"),
        ("demand", "Ada Brandt", StageError, "it is stale: not run yet"),
    ],
)
def test_who_may_not_sign_is_told_why(collected: Cycle, stage: str, by: str, error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        opened(None).sign(stage, by=by)


# versions ---------------------------------------------------------------------------------------------------------


def test_what_is_signed_or_followed_is_not_run_again_by_mistake(collected: Cycle) -> None:
    """It once was: a signed plan was gone with the next run. With a reason it is a new version beside the old."""
    opened(None).mark("collect", "done")
    versions.begin(opened(None), ["collect"], "")
    demand = opened("demand")
    demand.read("people")
    demand.save({"demand_plan": demand_plan(1.0)})
    opened(None).sign("demand", by="Ada Brandt")
    with pytest.raises(SettingsError, match="left as it is: Ada Brandt signed stage demand as it is.*--again REASON"):
        versions.begin(opened(None), ["collect", "demand"], "")
    versions.begin(opened(None), ["publish"], "")
    Cycle.open("acme", "2026-12", stage="collect").save({"families": FAMILIES})
    with pytest.raises(SettingsError, match="2026-12 was planned after it and stands on it"):
        versions.begin(opened(None), ["publish"], " ")
    versions.begin(opened(None), ["demand"], "a deal was forgotten")
    kept, now = collected.folder.with_name("2026-11.v1"), opened(None).manifest
    assert (now["version"], now["again"]) == (2, "a deal was forgotten")
    assert json.loads((kept / "manifest.json").read_text())["tables"] == now["tables"]
    assert [one.cycle for one in Cycle.open("acme", "2027-01").others()] == ["2026-11", "2026-12"]


@pytest.mark.parametrize("by", ["Jon Okafor", "Greta"])
def test_a_published_cycle_is_frozen_and_only_by_who_may(collected: Cycle, by: str) -> None:
    people = PEOPLE.assign(may_sign=["publish", "supply"])
    opened("collect").save({"families": FAMILIES, "people": people})
    row = {column.name: "x" for column in TABLES["decision_log"] if column.required}
    decided = pd.DataFrame([row | {"status": "undecided"}])
    opened("decide").save({"decision_log": decided})
    with pytest.raises(SettingsError, match="is not published: a question is undecided"):
        versions.freeze(opened(None), "Ada Brandt")
    opened("decide").save({"decision_log": decided.assign(status="approved")})
    with pytest.raises(SettingsError, match="may not publish. Those who may: Ada Brandt|not in table people"):
        versions.freeze(opened(None), by)
    versions.freeze(opened(None), "Ada Brandt")
    for deed in (lambda c: c.save({"decision_log": decided}), lambda c: c.write_file("a.txt", "x")):
        with pytest.raises(
            StageError, match="published and frozen: nothing in it is changed. A correction is: .*--again"
        ):
            deed(opened("decide"))
    with pytest.raises(SettingsError, match="Ada Brandt published it on .* and it is frozen"):
        versions.begin(opened(None), ["publish"], "")
    assert not (collected.folder / "manifest.json").stat().st_mode & 0o222
    versions.begin(opened(None), ["publish"], "a typing error")
    opened("decide").save({"decision_log": decided})


# the runner -------------------------------------------------------------------------------------------------------

BODIES = {
    "collect": (
        "import pandas as pd\n"
        "c.save({'families': pd.DataFrame({'family': ['TENTS']}),\n"
        "        'people': pd.DataFrame({'name': ['Ada'], 'role': ['planner']})})"
    ),
    "demand": "c.read('families')",
    "publish": "c.write_file('plan.html', f'{hours}')",
}


@pytest.fixture
def notebooks(tmp_path: Path) -> Path:
    """Six notebooks of three cells; a test may replace one by `rewrite`."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for stage in STAGES:
        rewrite(folder, stage.name, BODIES.get(stage.name, "pass"))
    return folder


def rewrite(folder: Path, stage: str, body: str, extra: str = "") -> None:
    """Write the notebook of `stage` with `body` as its last cell and `extra` parameters."""
    extra = extra or ("\nhours: int = 3\nquick: bool = False" if stage == "publish" else "")
    parameters = new_code_cell(f'company: str = "acme"\ncycle: str = "2026-11"{extra}')
    parameters.metadata["tags"] = ["parameters"]
    opening = f"from sopkit.cycle import Cycle\nc = Cycle.open(company, cycle, stage={stage!r})"
    notebook = new_notebook(cells=[parameters, new_code_cell(opening), new_code_cell(body)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = folder / next(s.notebook for s in STAGES if s.name == stage)
    path.write_text(nbformat.writes(notebook), encoding="utf-8")


def saves(notebooks: Path, stage: str, shows: str) -> None:
    """Tag the last cell of a notebook: its tables are complete then; after it comes a cell that `shows`."""
    path = notebooks / next(s.notebook for s in STAGES if s.name == stage)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].metadata["tags"] = ["saved"]
    notebook.cells.append(new_code_cell(shows))
    path.write_text(nbformat.writes(notebook), encoding="utf-8")


def run(notebooks: Path, **more: object) -> Cycle:
    """Run the small company's cycle."""
    return cycles.run("acme", "2026-11", notebooks=notebooks, progress=False, warm=False, **more)


def test_six_notebooks_run_in_order_each_in_a_fresh_process(company: Path, notebooks: Path) -> None:
    for stage in STAGES:
        body = "import os, builtins\nassert not hasattr(builtins, 'left_over')\nbuiltins.left_over = 1\nos.getpid()"
        rewrite(notebooks, stage.name, "\n".join([BODIES.get(stage.name, "pass"), body]))
    cycle = run(notebooks, parameters={"hours": "7", "quick": "yes"})
    assert (cycle.folder / "plan.html").read_text() == "7"
    manifest = cycle.manifest
    assert [manifest["stages"][stage.name]["state"] for stage in STAGES] == ["done"] * 6
    assert manifest["stages"]["publish"]["parameters"] == {"hours": 7, "quick": True}
    pids = set()
    for stage in STAGES:
        kept = nbformat.read(cycle.folder / "notebooks" / stage.notebook, as_version=4)
        assert NotebookNotary().check_signature(kept), "JupyterLab would not trust it"
        pids.add(kept.cells[-1].outputs[-1].data["text/plain"])
    assert len(pids) == 6
    assert cycle.stale() == {} and cycle.verify() == []
    assert manifest["versions"]["pandas"] == pd.__version__


WAIT = """
import time
for _ in range(600):
    if {until}:
        break
    time.sleep(0.1)
else:
    raise RuntimeError("nobody came")
"""
STATE = "Cycle.open(company, cycle).manifest['stages'].get({!r}, {{}}).get('state') == {!r}"


def test_a_stage_begins_when_the_tables_before_it_are_complete(company: Path, notebooks: Path) -> None:
    """While the notebook that made them shows figures; publish alone waits for all that is shown."""
    saves(notebooks, "collect", WAIT.format(until=STATE.format("demand", "done")))
    saves(notebooks, "decide", "import time\ntime.sleep(1)")
    saves(notebooks, "decide", "2")  # two cells are tagged: the first counts
    rewrite(notebooks, "publish", f"assert {STATE.format('decide', 'done')}")
    cycle = run(notebooks)
    assert cycle.stale() == {} and cycle.verify() == []
    parameters = {"company": "acme", "cycle": "2026-11"}
    for stage in STAGES:
        kept = nbformat.read(cycle.folder / "notebooks" / stage.notebook, as_version=4)
        assert (
            kept.metadata.papermill.exception is None
            and kept.metadata.papermill.parameters.items() >= parameters.items()
        )


def test_a_figure_that_fails_ends_what_was_begun_after_it(company: Path, notebooks: Path) -> None:
    saves(notebooks, "collect", f"{WAIT.format(until=STATE.format('demand', 'running'))}\n1 / 0")
    rewrite(notebooks, "demand", "import time\ntime.sleep(600)")
    with pytest.raises(StageError, match="^Stage collect failed .*In cell 5, ZeroDivisionError"):
        run(notebooks)
    assert opened(None).stale()["collect"] == opened(None).stale()["demand"] == "failed"
    assert "supply" not in opened(None).manifest["stages"]


def test_a_stage_that_fails_lets_the_figures_before_it_be_finished(company: Path, notebooks: Path) -> None:
    saves(notebooks, "collect", WAIT.format(until=STATE.format("demand", "failed")))
    rewrite(notebooks, "demand", "1 / 0")
    with pytest.raises(StageError, match="^Stage demand failed"):
        run(notebooks)
    assert {name: entry["state"] for name, entry in opened(None).manifest["stages"].items()} == {
        "collect": "done",
        "demand": "failed",
    }


def test_what_is_made_from_the_same_tables_is_left_while_figures_are_shown(company: Path, notebooks: Path) -> None:
    saves(notebooks, "collect", "import time\ntime.sleep(1)")
    before = run(notebooks).manifest["stages"]
    (company / "notes.yaml").write_text("a: 1\n")
    (company / "families.csv").write_text("family\nA\n")
    after = run(notebooks, resume=True).manifest["stages"]
    assert [stage for stage in after if after[stage] != before[stage]] == ["collect"]


def test_ctrl_c_ends_every_kernel_and_leaves_what_was_done(company: Path, notebooks: Path) -> None:
    saves(notebooks, "demand", "import time\ntime.sleep(600)")
    runner = stuck_in_supply(notebooks)
    while opened(None).manifest["stages"].get("supply", {}).get("state") != "running":
        assert runner.poll() is None
        time.sleep(0.1)
    runner.send_signal(signal.SIGINT)
    assert runner.wait(timeout=60)
    with pytest.raises(ProcessLookupError):
        os.killpg(runner.pid, 0)
    assert {name: entry["state"] for name, entry in opened(None).manifest["stages"].items()} == {
        "collect": "done",
        "demand": "failed",
        "supply": "failed",
    }


def test_two_notebooks_that_write_at_once_lose_nothing(company: Path, notebooks: Path) -> None:
    """Each reads the manifest, changes it and writes it: one of them once took the other's tables away."""
    opened("collect").save({"families": FAMILIES})
    together = threading.Barrier(8)

    def write(place: int) -> None:
        one = opened("publish" if place % 2 else "decide")
        together.wait()
        for number in range(5):
            one.write_file(f"{place}-{number}.txt", "x")

    threads = [threading.Thread(target=write, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for stage in ("collect", "decide", "publish"):
        opened(None).mark(stage, "done")
    assert len([name for name in opened(None).manifest["files"] if name.endswith(".txt")]) == 40
    assert opened(None).verify() == []


def test_a_stage_that_asks_what_blocks_while_it_runs_is_not_called_interrupted(company: Path, notebooks: Path) -> None:
    told = "from sopkit.cycle.checklist import blocking\nc.write_file('plan.html', '; '.join(blocking(c)['what']))"
    rewrite(notebooks, "publish", f"{BODIES['publish']}\n{told}")
    blocks = (run(notebooks).folder / "plan.html").read_text().split("; ")
    assert "stage publish is not signed as it is" in blocks and not [what for what in blocks if "stale" in what]


def test_no_event_loop_outlives_the_thread_that_starts_a_kernel(
    company: Path, notebooks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left to the garbage collector it printed a traceback below a stage's own error, now and then."""
    loops, new = [], asyncio.new_event_loop
    monkeypatch.setattr(
        asyncio, "new_event_loop", lambda: loops.append((threading.current_thread(), new())) or loops[-1][1]
    )
    run(notebooks, only=["collect"])
    threads = [loop for thread, loop in loops if thread is not threading.main_thread()]
    assert threads and all(loop.is_closed() for loop in threads)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted on Linux only")
def test_runs_leave_no_file_and_no_socket_open(company: Path, notebooks: Path) -> None:
    """Once twelve a notebook: a hundred of them, and no kernel started any more."""
    counts = []
    for _ in range(2):
        run(notebooks, only=["collect"])
        gc.collect()
        counts.append(len(list(Path("/proc/self/fd").iterdir())))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"hourz": 1}, "has a parameter 'hourz': did you mean 'hours'"),
        ({"company": "other"}, "has a parameter 'company'"),
        ({"hours": "many"}, "parameter hours is 'many', which is not a whole number. Its default is 3"),
        ({"hours": True}, "parameter hours is True"),
        ({"quick": "perhaps"}, "which is not yes or no"),
    ],
)
def test_a_wrong_parameter_is_refused_before_anything_runs(
    company: Path, notebooks: Path, parameters: dict, says: str
) -> None:
    with pytest.raises(SettingsError, match="Nothing was run") as refused:
        run(notebooks, parameters=parameters)
    assert says in str(refused.value)
    assert not (company.parents[1] / "reports").exists()


def test_all_wrong_parameters_are_said_at_once(company: Path, notebooks: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        run(notebooks, parameters={"hourz": 1, "quick": "x", "hours": "y"})
    assert len(str(refused.value).splitlines()) == 4


def test_a_notebook_without_company_and_cycle_first_is_refused(company: Path, notebooks: Path) -> None:
    path = notebooks / "03_supply.ipynb"
    path.write_text(path.read_text().replace("company: str", "firm: str"))
    with pytest.raises(SettingsError, match="03_supply.ipynb: its first two parameters must be company and cycle"):
        run(notebooks)


def test_a_missing_notebook_is_named(company: Path, notebooks: Path) -> None:
    (notebooks / "04_reconcile.ipynb").unlink()
    with pytest.raises(SettingsError, match="lacks 04_reconcile.ipynb"):
        run(notebooks)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("1 / 0", "In cell 4, ZeroDivisionError: division by zero"),
        ("c.read('overrides')", "does not declare to read 'overrides'"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "Its Python process was ended from outside"),
        ("this is no Python", "SyntaxError"),
    ],
)
def test_a_failing_stage_stops_the_run_and_is_explained(company: Path, notebooks: Path, body: str, says: str) -> None:
    rewrite(notebooks, "collect", body)
    with pytest.raises(StageError) as failed:
        run(notebooks)
    said = str(failed.value)
    assert said.startswith("Stage collect failed (01_collect.ipynb).") and says in said
    assert "--from collect" in said
    cycle = opened(None)
    kept = nbformat.read(cycle.folder / "notebooks" / "01_collect.ipynb", as_version=4)
    assert [cell.execution_count for cell in kept.cells if cell.cell_type == "code"][:3] == [1, 2, 3]
    assert not (cycle.folder / "notebooks" / "02_demand.ipynb").exists()
    assert cycle.stale()["collect"] == "failed"


@pytest.mark.parametrize(
    ("body", "every", "writes"), [("", 9e9, 2), ("1 / 0", 9e9, 2), ("", 0.0, 11)], ids=["quick", "failing", "slow"]
)
def test_a_notebook_is_written_once_a_second_and_at_its_end(
    company: Path, notebooks: Path, monkeypatch: pytest.MonkeyPatch, body: str, every: float, writes: int
) -> None:
    """At its start and at its end; papermill by itself writes it before and after each of the four cells, too."""
    from papermill import iorw

    from sopkit.cycle import execute

    written, write = [], iorw.papermill_io.write
    monkeypatch.setattr(iorw.papermill_io, "write", lambda text, path: written.append(path) or write(text, path))
    monkeypatch.setattr(execute, "EVERY", every)
    rewrite(notebooks, "collect", f"{BODIES['collect']}\nprint('said')\n{body}")
    with suppress(StageError):
        run(notebooks, only=["collect"])
    kept = opened(None).folder / "notebooks" / "01_collect.ipynb"
    assert written == [str(kept)] * writes
    said = [
        out["text"]
        for cell in nbformat.read(kept, as_version=4).cells
        for out in cell.get("outputs", ())
        if "text" in out
    ]
    assert said == ["said\n"]


def test_a_run_goes_on_where_it_failed(company: Path, notebooks: Path) -> None:
    rewrite(notebooks, "reconcile", "1 / 0")
    with pytest.raises(StageError):
        run(notebooks)
    rewrite(notebooks, "reconcile", "c.save({})")
    before = opened(None).manifest["stages"]
    cycle = run(notebooks, resume=True)
    after = cycle.manifest["stages"]
    assert [stage for stage in after if after[stage] != before.get(stage)] == ["decide", "publish", "reconcile"]
    assert cycle.stale() == {}
    assert run(notebooks, resume=True).manifest["stages"] == after
    changed = run(notebooks, resume=True, parameters={"hours": 9}).manifest["stages"]
    assert [stage for stage in changed if changed[stage] != after[stage]] == ["publish"]


def test_one_stage_or_the_last_ones_can_be_run(company: Path, notebooks: Path) -> None:
    assert list(run(notebooks, only=["decide", "collect"]).manifest["stages"]) == ["collect", "decide"]
    before = run(notebooks, since="decide").manifest["stages"]
    assert list(before) == ["collect", "decide", "publish"]
    after = run(notebooks, only=["decide"]).manifest["stages"]
    assert [stage for stage in after if after[stage] != before[stage]] == ["decide"]
    with pytest.raises(SettingsError, match="did you mean 'supply'"):
        run(notebooks, since="suply")


def stuck_in_supply(notebooks: Path, env: dict[str, str] | None = None) -> subprocess.Popen:
    """A run in a process group of its own whose stage supply does not end."""
    rewrite(notebooks, "supply", "import time\ntime.sleep(600)")
    script = (
        "import sys\nfrom pathlib import Path\nfrom sopkit import cycle\n"
        "cycle.run('acme', '2026-11', notebooks=Path(sys.argv[1]), progress=False)"
    )
    command = [sys.executable, "-c", script, str(notebooks)]
    return subprocess.Popen(command, cwd=PROJECT, env=env, start_new_session=True)


def test_a_run_that_is_killed_says_so_and_goes_on(company: Path, notebooks: Path) -> None:
    runner = stuck_in_supply(notebooks)
    while "supply" not in opened(None).manifest["stages"]:
        assert runner.poll() is None
        time.sleep(0.1)
    os.killpg(runner.pid, signal.SIGKILL)
    runner.wait()
    assert opened(None).stale()["supply"] == "was interrupted"
    rewrite(notebooks, "supply", "c.save({})")
    assert run(notebooks, resume=True).stale() == {}


def test_a_cycle_is_run_by_one_process_at_a_time(company: Path, notebooks: Path) -> None:
    """The second is refused by name and changes nothing; the lock of a process that was killed is nobody's."""
    runner = stuck_in_supply(notebooks)
    while opened(None).manifest["stages"].get("supply", {}).get("state") != "running":
        assert runner.poll() is None
        time.sleep(0.1)
    before = (opened(None).folder / "manifest.json").read_bytes()
    with pytest.raises(StageError, match=f"acme 2026-11 is being run by process {runner.pid} of .* wait until"):
        run(notebooks)
    with pytest.raises(StageError, match=f"is being run by process {runner.pid}"):
        Cycle.open("acme", "2026-11", stage="demand").save({})
    assert (opened(None).folder / "manifest.json").read_bytes() == before
    status = opened(None).status().set_index("stage")
    assert status.loc["supply", "state"] == "running" and str(runner.pid) in status.loc["supply", "why stale"]
    os.killpg(runner.pid, signal.SIGKILL)
    runner.wait()
    assert opened(None).status().set_index("stage").loc["supply", "why stale"] == "was interrupted"
    rewrite(notebooks, "supply", "c.save({})")
    assert run(notebooks, resume=True).stale() == {}


def test_what_the_mapping_does_not_read_makes_nothing_stale(company: Path, notebooks: Path) -> None:
    (company / "families.csv").write_text("family\nA\n")
    run(notebooks, only=["collect"])
    for name in ("~$tables.xlsx", "notes.md", "families.csv.bak", "families (copy).csv", ".families.csv.swp"):
        (company / name).write_text("x")
    assert "collect" not in opened(None).stale()
    (company / "products.csv").write_text("product\nA\n")
    assert opened(None).stale()["collect"] == "the files in acme/ changed"


def test_plain_papermill_runs_one_notebook(company: Path, notebooks: Path) -> None:
    import papermill

    run(notebooks, only=["collect"])
    out = company.parent / "out.ipynb"
    papermill.execute_notebook(
        str(notebooks / "06_publish.ipynb"),
        str(out),
        {"company": "acme", "cycle": "2026-11", "hours": 5},
        progress_bar=False,
        cwd=str(PROJECT),
    )
    assert (opened(None).folder / "plan.html").read_text() == "5"


# the demo company -------------------------------------------------------------------------------------------------


def test_the_demo_plan_is_whole(finished: Cycle) -> None:
    assert finished.stale() == {} and finished.verify() == []
    manifest = finished.manifest
    for stage in STAGES:
        required = {name for name in written_by(stage.name) if TABLES[name].required}
        assert required <= set(manifest["tables"]), f"stage {stage.name} did not write all its tables"
    for name in manifest["tables"]:
        finished.read(name)


def plans_demand_again(company: str = "demo") -> dict:
    """Demand of the cycle planned again as notebook 02 does it; AskedAgainError where it would run the tournament."""
    opened = Cycle.open(company, "2026-11", stage="demand")
    made = demand.plan(opened.book, kept=opened.kept)
    return {name: files.sha256(files.to_parquet(TABLES[name], TABLES[name].check(made[name]))) for name in made}


class AskedAgainError(Exception):
    """The tournament was asked for."""


def test_what_the_hashes_prove_unchanged_is_not_planned_again(own_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tournament(*_: object, **__: object) -> None:
        raise AskedAgainError

    monkeypatch.setattr(steps, "reconcile", tournament)
    folder = own_run / "reports" / "demo" / "2026-11"
    was = Cycle.open("demo", "2026-11").manifest
    kept = {name: entry["sha256"] for name, entry in was["tables"].items() if entry["stage"] == "demand"}
    assert plans_demand_again() == kept

    records.Records.of("demo").add(
        "overrides", author="Ada Brandt", cycle="2026-11", product="TENT-2P", first_month="2026-12",
        last_month="2026-12", action="add", amount=10, reason="a shop opens",
    )  # fmt: skip
    after = plans_demand_again()
    assert after["baseline"] == kept["baseline"] and after["demand_plan"] != kept["demand_plan"]

    def spoiled(change: Callable[[dict], None]) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        change(manifest)
        (folder / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(AskedAgainError):
            plans_demand_again()
        (folder / "manifest.json").write_text(json.dumps(was))

    read = was["stages"]["demand"]["read"]
    assert "calendar" in read and "snapshot/company.yaml" in read
    # the calendar, a setting, the package, or a table that the stage wrote: each is another one than when it ran
    spoiled(lambda manifest: manifest["stages"]["demand"]["read"].update(calendar="0" * 64))
    spoiled(lambda manifest: manifest["stages"]["demand"]["read"].update({"snapshot/company.yaml": "0" * 64}))
    spoiled(lambda manifest: manifest["stages"]["demand"].update(code="0" * 64))
    (folder / "tables" / "baseline.parquet").write_bytes(b"not what was written")
    with pytest.raises(AskedAgainError):
        plans_demand_again()


def test_what_was_tampered_with_is_found(own_run: Path) -> None:
    cycle = Cycle.open("demo", "2026-11")
    (cycle.folder / "plan.html").write_text("another plan")
    (cycle.folder / "tables" / "pnl.parquet").unlink()
    found = set(cycle.verify())
    assert {"plan.html is not the file that stage publish wrote", "tables/pnl.parquet is missing"} <= found
    manifest = cycle.manifest
    manifest["tables"]["pnl"]["sha256"] = "0" * 64
    (cycle.folder / "manifest.json").write_text(json.dumps(manifest))
    assert any("not those that the event log saw" in line for line in cycle.verify())


def test_a_changed_plan_is_not_reproduced_and_all_around_it_is(own_run: Path) -> None:
    """Whoever changes a table and its hash everywhere is found, also in a published cycle; a clean plan: test_cli."""
    shutil.rmtree(own_run / "data" / "demo")
    cycle = Cycle.open("demo", "2026-11")
    manifest, path = cycle.manifest, cycle.folder / "tables" / "stock.parquet"
    frame = pd.read_parquet(path)
    frame.loc[0, "closing"] += 1
    frame.to_parquet(path)
    manifest["tables"]["stock"]["sha256"] = files.sha256(path)
    for stage in manifest["stages"].values():
        stage["read"] |= {"stock": files.sha256(path)} if "stock" in stage["read"] else {}
    manifest["frozen"] = {"at": "2026-11-12T09:00:00+00:00", "by": "Greta Holm"}
    (cycle.folder / "manifest.json").write_text(json.dumps(manifest))
    different, same, versions = cycles.reproduce("demo", "2026-11", progress=False)
    assert different == ["stock: other bytes than the first time"] and versions == []
    made = {name for name, entry in manifest["tables"].items() if entry["stage"] not in ("collect", "records")}
    assert set(same) == made - {"stock"} and {"demand_plan", "supply_plan", "pnl", "kpis"} <= set(same)


# the kernels ------------------------------------------------------------------------------------------------------

linux = pytest.mark.skipif(not kernels.FORKS, reason="kernels are forked on Linux only")


def forked(notebooks: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes that the warm one forked in a run of the small company's notebooks."""
    pids, fork = [], kernels.Kernels.fork

    def noted(*arguments: object) -> object:
        process = fork(*arguments)
        pids.append(process.pid if process else 0)
        return process

    monkeypatch.setattr(kernels.Kernels, "fork", noted)
    cycles.run("acme", "2026-11", notebooks=notebooks, progress=False)
    return pids


@linux
def test_kernels_are_forked_from_one_process_and_keep_nothing_of_each_other(
    company: Path, notebooks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stage in STAGES:
        body = (
            "import os, sys, pandas\nassert not hasattr(pandas, 'left_over')\npandas.left_over = 1\n"
            "os.environ['LEFT_OVER'] = os.environ.get('LEFT_OVER', '') + 'x'\n"
            "print(os.getpid(), os.environ['LEFT_OVER'], 'altair' in sys.modules, os.environ['PYTHONHASHSEED'])"
        )
        rewrite(notebooks, stage.name, "\n".join([BODIES.get(stage.name, "pass"), body]))
    pids = forked(notebooks, monkeypatch)
    said = []
    for stage in STAGES:
        kept = nbformat.read(opened(None).folder / "notebooks" / stage.notebook, as_version=4)
        said.append(kept.cells[-1].outputs[-1].text.split())
    assert [int(line[0]) for line in said] == pids and len(set(pids)) == 6
    assert [line[1:] for line in said] == [["x", "True", "0"]] * 6
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids), "a kernel outlived its notebook"


@linux
@pytest.mark.parametrize("as_kernels", [True, False], ids=["forked", "started by itself"])
def test_a_runner_that_was_started_as_kernels_are_forks_the_warm_process(
    company: Path, notebooks: Path, as_kernels: bool
) -> None:
    """Hashes are not random either way, and the warm process ends with a runner that is killed."""
    told = "import os\nprint(os.getppid(), hash('a'), open(f'/proc/{os.getppid()}/cmdline').read())"
    rewrite(notebooks, "demand", f"{BODIES['demand']}\n{told}")
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    runner = stuck_in_supply(notebooks, of_kernels(environment) if as_kernels else environment)
    while opened(None).manifest["stages"].get("supply", {}).get("state") != "running":
        assert runner.poll() is None
        time.sleep(0.1)
    kept = nbformat.read(opened(None).folder / "notebooks" / "02_demand.ipynb", as_version=4)
    warm, hashed, code = kept.cells[-1].outputs[-1].text.split(maxsplit=2)
    zero = [sys.executable, "-c", "print(hash('a'))"], {**os.environ, "PYTHONHASHSEED": "0"}
    assert hashed == subprocess.run(zero[0], env=zero[1], capture_output=True, text=True).stdout.strip()
    assert ("cycle.run(" if as_kernels else "serve()") in code
    runner.kill()
    runner.wait()
    until = time.monotonic() + 30
    while Path(f"/proc/{warm}").exists():
        assert time.monotonic() < until, "the warm process outlived its runner"
        time.sleep(0.1)


@linux
def test_no_fork_is_taken_of_a_process_with_threads(
    company: Path, notebooks: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(9e9,), daemon=True).start()"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert forked(notebooks, monkeypatch) == [0] * 6
    assert opened(None).stale() == {}


@linux
def test_a_killed_kernel_says_so_and_a_killed_warm_process_is_done_without(
    company: Path, notebooks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrite(notebooks, "supply", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(StageError, match="Stage supply failed .*\n?.*Its Python process was ended from outside"):
        cycles.run("acme", "2026-11", notebooks=notebooks, progress=False)
    rewrite(notebooks, "supply", "c.save({})")
    start = kernels.Kernels.__init__

    def killed(self: kernels.Kernels, *arguments: object, **more: object) -> None:
        start(self, *arguments, **more)
        self._warm.kill()

    monkeypatch.setattr(kernels.Kernels, "__init__", killed)
    assert cycles.run("acme", "2026-11", notebooks=notebooks, progress=False, resume=True).stale() == {}


def test_no_module_stays_hidden_from_the_process_of_the_user() -> None:
    code = (
        "import sys\nfrom sopkit.charts.figure import vega\nfrom sopkit.cycle import kernels\nvega()\n"
        "assert 'rfc3987_syntax' not in sys.modules\nimport rfc3987_syntax"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_kernels_import_what_is_seldom_used_when_it_is_used() -> None:
    code = (
        "import sys\nfrom sopkit.cycle import kernels\nkernels._import('sopkit.demand', False)\n"
        "assert 'statsforecast' not in sys.modules\nkernels._import('sopkit.demand')\n"
        "from statsforecast import arima\nfrom hierarchicalforecast import utils\n"
        "assert not set(kernels.SELDOM) & set(sys.modules)\n"
        "used = arima.sm.OLS, utils.plt.figure, arima.norm.ppf\n"
        "import statsmodels.api, matplotlib.pyplot, scipy.stats\n"
        "assert used == (statsmodels.api.OLS, matplotlib.pyplot.figure, scipy.stats.norm.ppf)\n"
        "assert arima.norm(3, 2).mean() == 3"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# a look without a stage -------------------------------------------------------------------------------------------


def seen(*folders: Path) -> dict[Path, tuple[bytes, int]]:
    """Every file and folder below `folders`: content and time of its last change."""
    found = [path for folder in folders for path in (folder, *sorted(folder.rglob("*")))]
    return {path: (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns) for path in found}


@pytest.mark.parametrize("recorded", [False, True], ids=["no records yet", "with records"])
def test_asking_without_a_stage_leaves_no_trace(collected: Cycle, company: Path, recorded: bool) -> None:
    if recorded:
        collected.mark("collect", "done")
    stale = opened(None).stale()
    root = company.parents[1]
    before = seen(root)
    cycle = opened(None)
    for name in cycle.manifest["tables"]:
        cycle.read(name)
    for record in ("overrides", "decisions", "sign_offs"):
        assert cycle.read(record).empty
    assert cycle.book.company.name == "Acme" and cycle.plan is not None
    cycle.file("scenarios.yaml"), cycle.answers(), cycle.earlier("families"), cycle.status(), cycle.verify()
    assert "collect" in repr(cycle) and "<table" in cycle._repr_html_()
    assert seen(root) == before
    assert opened(None).stale() == stale


def test_earlier_cycles_are_looked_for_beside_the_cycle(company: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    for cycle in ("2026-11", "2026-12"):
        Cycle.open("acme", cycle, stage="collect", reports=elsewhere).save({"families": FAMILIES})
    late = Cycle.open("acme", "2027-01", stage="collect", reports=elsewhere).earlier("families")
    assert len(late) == 2 * len(FAMILIES) and opened("collect").earlier("families").empty


def test_a_cycle_shows_what_it_holds_and_what_to_call_next(collected: Cycle) -> None:
    shown = repr(opened("demand"))
    assert shown.startswith("Cycle 2026-11 of acme (stage demand)") and "c.save(" in shown
    assert re.search(r"collect +done +3 ", shown) and "not run yet" in shown
    (collected.folder / "manifest.json").write_text("{")
    assert "is not readable" in repr(opened(None))


@pytest.mark.parametrize("name", ["../acme", "acme/..", ".", "..", "", ".hidden", "a\\b", "a\0b"])
def test_a_company_is_the_name_of_one_folder(collected: Cycle, name: str, tmp_path: Path) -> None:
    shutil.copytree(collected.folder.parent, tmp_path / "acme")
    with pytest.raises(SettingsError, match="no company"):
        Cycle.open(name, "2026-11")
