"""The command line of sopkit: `sopkit --help` lists its commands.

Heavy libraries are imported inside the commands, so that `sopkit --help` answers at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sopkit.errors import SettingsError, SopkitError
from sopkit.process import start_as_a_kernel_would

if TYPE_CHECKING:
    from sopkit.cycle import Cycle

app = typer.Typer(
    help="Sales & Operations Planning: six notebooks from a company's raw exports to a signed, reproducible plan.",
    add_completion=False,
    # a password could stand in a local variable
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
WIDE = 100  # letters of a screen
CompanyOption = Annotated[str, typer.Option("--company", help="Folder of the company below data/.")]
CycleOption = Annotated[str, typer.Option("--cycle", help="First planned month, like 2026-11.")]
Again = Annotated[str, typer.Option("--again", help="Why what stands is made anew: a new version beside the old.")]
Publisher = Annotated[str, typer.Option("--by", help="Publish for good and freeze: your name, as in table people.")]
By = Annotated[str, typer.Option("--by", help="Your name, as in table people.")]


def _opened(company: str, cycle: str, stage: str | None = None) -> Cycle:
    from sopkit.cycle import Cycle

    return Cycle.open(company, cycle, stage=stage)


def _version(asked: bool) -> None:
    if asked:
        from sopkit.version import __version__

        typer.echo(f"sopkit {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def about(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Sales & Operations Planning: six notebooks from a company's raw exports to a signed, reproducible plan."""
    if context.invoked_subcommand is None:
        list_()
        typer.echo("\nEvery command: sopkit --help")


@app.command("list")
def list_() -> None:
    """Show companies and cycles: where each stands, who is waited for, and the next command to type."""
    from sopkit.cycle.overview import overview
    from sopkit.files import data_root

    found = overview()
    if found.empty:
        typer.echo(f"No company in {data_root()} yet. Make one: sopkit new NAME")
        return
    for company, rows in found.groupby("company", sort=True):
        typer.echo(company)
        for row in rows.to_dict("records"):
            waits = f", waits for {row['waits for']}" if row["waits for"] != "-" else ""
            typer.echo(f"  {row['cycle']}  {row['state']}{waits}\n           next: {row['next']}")


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The folder to lay out; made if it is not there.")] = Path(),
) -> None:
    """Lay out a working folder: the notebooks, and the demo company. Nothing that is there is overwritten."""
    from sopkit.files import lay_out

    made = lay_out(folder)
    typer.echo(f"{folder.resolve()} is ready ({made} notebooks and the demo). Go there, then: sopkit")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the new company's folder below data/.")],
    files: Annotated[list[str] | None, typer.Argument(help="More of what stands after --from.", hidden=True)] = None,
    *,
    since: Annotated[
        list[str] | None,
        typer.Option("--from", help="Exports, folders of them, a database URL; or `sap FOLDER`, `odoo FOLDER`."),
    ] = None,
    title: Annotated[str, typer.Option(help="What people call the company; the folder's name if not given.")] = "",
) -> None:
    """Make the folder of a new company: settings, and the workbook with one sheet a table, ready to be filled.

    With --from its exports are looked at, and how they map to our tables is proposed in company.yaml, to correct.
    """
    from sopkit.collect import new_company
    from sopkit.files import data_root, is_plain_name

    if not is_plain_name(name):
        raise SettingsError(f"{name!r} cannot be the name of a folder. Give a plain name like `acme`.")
    folder, places = data_root() / name, [*(since or ()), *(files or ())]
    if files and not since:
        raise SettingsError(f"{files[0]!r}: exports are named after --from: sopkit new {name} --from FILE ...")
    if found := new_company(folder, name=title or name, places=places):
        typer.echo(found)
    todo = "Correct the mapping in its company.yaml" if places else "Fill its tables"
    typer.echo(f"{folder} is ready. {todo}, then look at it with: sopkit check --company {name} --cycle YYYY-MM")


@app.command()
def template(
    path: Annotated[Path, typer.Argument(help="The workbook to write.")] = Path("sopkit-template.xlsx"),
) -> None:
    """Write the Excel template: one sheet a table, every column with its meaning, unit and what is allowed."""
    from sopkit.collect import write_template

    write_template(path)
    typer.echo(f"{path} is written.")


@app.command()
def check(
    company: CompanyOption,
    cycle: CycleOption,
    findings: Annotated[Path | None, typer.Option(help="Also write all findings to this CSV file.")] = None,
) -> None:
    """Check a company's tables and write nothing; exit 1 where a finding stops the plan."""
    from sopkit.collect import check_company
    from sopkit.files import find_company
    from sopkit.tables import parse_cycle

    carried = _opened(company, cycle, stage="collect").carried()
    collected = check_company(find_company(company), parse_cycle(cycle), findings, carried=carried)
    typer.echo(collected.summary())
    if collected.errors:
        raise typer.Exit(1)


@app.command()
def run(
    company: CompanyOption,
    cycle: CycleOption,
    *,
    since: Annotated[str, typer.Option("--from", help="First stage to run.")] = "",
    only: Annotated[list[str] | None, typer.Option("--only", help="Run this stage only; may be repeated.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Leave out stages that are finished and not stale.")] = False,
    again: Again = "",
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", help="name=value of a notebook's parameter; may be repeated."),
    ] = None,
    engine: Annotated[str, typer.Option(help="Where heavy work runs; empty = this computer.")] = "",
) -> None:
    """Run the stages' notebooks in order; a stage that fails stops the run."""
    from sopkit.cycle import run as run_cycle

    if wrong := [text for text in parameter or () if "=" not in text]:
        raise SettingsError(f"-p {wrong[0]!r} is not name=value.")
    pairs = (text.split("=", 1) for text in parameter or ())
    parameters = {name.strip(): value for name, value in pairs} | ({"engine": engine} if engine else {})
    done = run_cycle(company, cycle, since=since, only=only or (), resume=resume, again=again, parameters=parameters)
    for title, name in (("plan", "plan.html"), ("workbook", "plan.xlsx"), ("notebooks", "notebooks")):
        if (done.folder / name).exists():
            typer.echo(f"{title:<10}{done.folder / name}")


@app.command()
def status(company: CompanyOption, cycle: CycleOption) -> None:
    """Show each stage: when it ran, how long it took, who signed it, why it is stale; and what blocks publication."""
    from textwrap import fill

    from sopkit.cycle.checklist import blocking

    opened, line = _opened(company, cycle), "{:<10} {:<8} {:<16} {:>7}  {:<10}  {}".format
    typer.echo(line("stage", "state", "written", "seconds", "due", "signed by"))
    for row in opened.status().to_dict("records"):
        written = row["written"][:16].replace("T", " ")
        told = line(row["stage"], row["state"], written, row["seconds"], row["due"], row["signed by"])
        typer.echo(fill(told, WIDE, subsequent_indent=" " * 60, drop_whitespace=False))
        if row["why stale"]:
            typer.echo(fill(row["why stale"], WIDE, initial_indent=" " * 11, subsequent_indent=" " * 11))
    left = blocking(opened)
    typer.echo("\nBefore it can be published:" if len(left) else "\nNothing blocks publication.")
    for row in left.to_dict("records"):
        waits = row["waits for"].partition(": ")[2] or row["waits for"]
        typer.echo(fill(f"{row['what']}; waits for {waits}", WIDE, initial_indent="  ", subsequent_indent="    "))
        typer.echo(f"    {row['next']}")  # a command is typed as it stands


@app.command()
def sign(
    stage: Annotated[str, typer.Argument(help="The stage to sign.")],
    company: CompanyOption,
    cycle: CycleOption,
    by: By,
    *,
    note: Annotated[str, typer.Option(help="A remark that stands beside the signature.")] = "",
    because: Annotated[str, typer.Option(help="Why it is signed though its checklist is not true; recorded.")] = "",
    tick: Annotated[list[str] | None, typer.Option(help="What company.yaml has ticked first; may be repeated.")] = None,
) -> None:
    """Sign a stage: the signature holds for exactly the tables as they are now, and its checklist must be true."""
    from sopkit.cycle import followup, signatures

    opened = _opened(company, cycle)
    for item in tick or ():
        followup.tick(opened, stage, item, by=by)
    number, path = signatures.sign(opened, stage, by=by, note=note, because=because)
    typer.echo(f"{by} signed {stage} of {company} {cycle} (record {number}).")
    if path is not None:
        typer.echo(f"Anybody can check it: {path}")
    typer.echo(f"Head of the event log: {opened.records.head()}")


@app.command()
def decide(
    question: Annotated[str, typer.Argument(help="The question as page one asks it.")],
    company: CompanyOption,
    cycle: CycleOption,
    *,
    by: By,
    option: Annotated[str, typer.Option(help="The option chosen; several with commas between.")],
    reason: Annotated[str, typer.Option(help="Why this option, in a sentence.")],
    owner: Annotated[str, typer.Option(help="Who carries it out; as asked if not given.")] = "",
) -> None:
    """Answer a question of the cycle, for exactly the plan as it is now; notebook 05 asks the same."""
    from sopkit.cycle import signatures

    opened = _opened(company, cycle, stage="decide")
    given = {"question": question, "option": option, "reason": reason, "owner": owner, "status": "approved"}
    number = signatures.decide(opened, given, by=by)
    typer.echo(f"Decision {number} by {by} is stored. The plan of record: {opened.command('--resume')}")
    typer.echo(f"Head of the event log: {opened.records.head()}")


@app.command()
def publish(
    company: CompanyOption,
    cycle: CycleOption,
    *,
    by: Publisher = "",
    again: Again = "",
    scenario: Annotated[str, typer.Option(help="Make the pack of this scenario instead, marked as one.")] = "",
) -> None:
    """Make the pack again, for example after a signature or a decision; refuses while an earlier stage is stale.

    With --by the decided plan is published for good: its folder is read-only from then on.
    """
    from sopkit.cycle import run as run_cycle
    from sopkit.cycle import signatures, versions

    opened = _opened(company, cycle)
    key = signatures.key_of(opened, by) if by else None
    if not versions.half_frozen(opened, by):
        stale = {stage: why for stage, why in opened.stale().items() if stage != "publish"}
        if stale:
            reasons = "; ".join(f"{stage} ({why})" for stage, why in stale.items())
            raise SettingsError(f"Nothing was published, stale: {reasons}. Run `{opened.command('--resume')}`.")
        if scenario:
            from sopkit.publish import publish_scenario

            typer.echo(publish_scenario(_opened(company, cycle, stage="publish"), scenario))
            return
        run_cycle(company, cycle, only=["publish"], again=again)
    if by:
        path = versions.freeze(opened, by, key)
        typer.echo(f"Anybody can check it: {path}" if path else f"{by} has no SSH key in table people: nothing signed.")
    typer.echo(opened.folder / "plan.html")
    typer.echo(f"Head of the event log, to be kept with the pack: {opened.records.head()}")


@app.command()
def mails(
    company: CompanyOption,
    cycle: CycleOption,
    into: Annotated[Path, typer.Option(help="Folder for the mails.")] = Path("mails"),
) -> None:
    """Draft a mail for each person of the audiences in company.yaml, their pack attached; nothing is sent."""
    from sopkit.files import replace_files
    from sopkit.publish import drafts

    written = {into / name: content for name, content in drafts(_opened(company, cycle)).items()}
    replace_files(written)
    typer.echo("\n".join(map(str, written)))


@app.command()
def ask(
    what: Annotated[str, typer.Argument(help="What is asked for: forecast.")],
    company: CompanyOption,
    cycle: CycleOption,
    *,
    to: Annotated[str, typer.Option(help="Who is asked: a name of table people.")],
    due: Annotated[str, typer.Option(help="Day by which it is needed, like 2026-11-06; in a week if not given.")] = "",
    into: Annotated[Path, typer.Option(help="Folder for the workbook and the mail.")] = Path(),
) -> None:
    """Ask a person who never opens Jupyter: writes a workbook with what they answer for, and a drafted mail."""
    from datetime import date, timedelta

    from sopkit.files import refuse_unwritable, replace_files
    from sopkit.publish import asked
    from sopkit.records import last_number

    if what != "forecast":
        raise SettingsError(f"{what!r} cannot be asked for; only a forecast can: sopkit ask forecast ...")
    try:
        day = date.fromisoformat(due) if due else date.today() + timedelta(days=7)
    except ValueError:
        raise SettingsError(f"--due {due!r} is no day. Write it like 2026-11-06.") from None
    opened = _opened(company, cycle)
    plan, seen = opened.plan, last_number(opened.records.read("overrides"))
    content = asked.workbook(plan, company, to, day, seen)
    name = f"forecast {cycle} {''.join(mark if mark.isalnum() else '_' for mark in to)}"
    refuse_unwritable(into)
    mail = asked.mail(plan, to, day, f"{name}.xlsx", content)
    written = {into / f"{name}.xlsx": content, into / f"{name}.eml": mail}
    if there := [path for path in written if path.exists()]:
        raise SettingsError(f"{there[0]} exists and was not touched. Move it away, or choose another --into.")
    replace_files(written)
    typer.echo("\n".join(map(str, written)))
    typer.echo("When it comes back: sopkit take FILE")


@app.command()
def take(
    file: Annotated[Path, typer.Argument(help="The workbook that came back.")],
    look: Annotated[bool, typer.Option("--look", help="Only show what is in it; record nothing.")] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="Also what others have changed since it was sent.")] = False,
) -> None:
    """Read a workbook of `sopkit ask` back: who changed what is recorded, what cannot be taken is named cell by cell.

    Exit code 1 where something could not be taken; the file is never changed, and can be taken again.
    """
    from sopkit.records import last_number
    from sopkit.workbench import taken

    if not file.is_file():
        raise SettingsError(f"{file} does not exist. Name the workbook that came back.")
    content = file.read_bytes()
    about = taken.asked_for(content)
    opened = _opened(about["company"], about["cycle"])
    recorded = opened.records.read("overrides")
    answer = taken.take(content, opened.plan, recorded, anyway=anyway)
    typer.echo(answer)
    if answer.overrides and not look:
        by = {"author": about["to"], "cycle": about["cycle"]}
        numbers = opened.records.add_all("overrides", answer.overrides, seen=last_number(recorded), **by)
        typer.echo(f"Recorded as override {numbers[0]} to {numbers[-1]}. Next: {opened.command('--resume')}")
    if answer.refused or answer.conflicts:
        raise typer.Exit(1)


@app.command()
def commitments(
    company: CompanyOption,
    cycle: CycleOption,
    *,
    done: Annotated[str, typer.Option("--close", help="This option is done: the company's tables contain it.")] = "",
    revoke: Annotated[str, typer.Option("--revoke", help="This option no longer binds.")] = "",
    by: By = "",
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "",
) -> None:
    """Show what earlier cycles adopted and what became of it; close it as done, or revoke it with a reason."""
    from sopkit.cycle import followup
    from sopkit.words import month_name

    opened = _opened(company, cycle)
    for option, how in ((done, "done"), (revoke, "revoked")):
        if option:
            number = followup.close(opened, option, how, by=by, reason=reason)
            typer.echo(f"{option} is {how} (record {number}). Next: {opened.command()}")
    if not (done or revoke):
        if opened.manifest["stages"].get("collect", {}).get("state") != "done":
            raise SettingsError(f"{company} {cycle} takes over what was adopted when it is run: {opened.command()}")
        rows = opened.read("commitments")
        for row in rows.itertuples():
            end = f", until {month_name(row.until)}" * (row.until == row.until)
            adopted = f"{row.option}: {row.title}, {month_name(row.cycle)}, {row.owner}{end}"
            typer.echo(f"{adopted}: {row.status} {row.note}")
        if rows.empty:
            typer.echo("Nothing that was adopted binds.")


@app.command()
def actions(
    company: CompanyOption,
    cycle: CycleOption,
    *,
    add: Annotated[str, typer.Option(help="What is to be done.")] = "",
    about: Annotated[int, typer.Option("--action", help="Number of the action that this is about.")] = 0,
    to: Annotated[str, typer.Option(help="Who does it, names divided by commas.")] = "",
    due: Annotated[str, typer.Option(help="The day, like 2026-12-11.")] = "",
    after: Annotated[str, typer.Option(help="Numbers of the actions that come first, divided by blanks.")] = "",
    status: Annotated[str, typer.Option(help="open, doing, done or dropped.")] = "",
    comment: Annotated[str, typer.Option(help="A remark; @Name asks somebody.")] = "",
    number: Annotated[str, typer.Option(help="The number it is tied to: table, key, month.")] = "",
    origin: Annotated[str, typer.Option(help="What it comes from, as the proposals name it.")] = "by hand",
    by: By = "",
    drafts: Annotated[Path | None, typer.Option(help="Folder for a drafted mail and a calendar a person.")] = None,
) -> None:
    """Show what is to be done and what the plan proposes; add an action, say where one stands, draft the mails."""
    from sopkit.book import actions as words
    from sopkit.cycle import followup

    opened = _opened(company, cycle)
    fields = {"what": add, "assignees": to, "due": due, "depends": after, "status": status, "comment": comment}
    if any(fields.values()):
        if not by:
            raise SettingsError("An action is recorded by somebody: give --by and a name of table people.")
        more = {"about": number, "action": about, "origin": "" if about else origin}
        typer.echo(f"Action {followup.note(opened, by=by, **fields, **more)} is recorded.")
        return
    if drafts:
        typer.echo("\n".join(map(str, followup.drafts(opened, drafts))) or "Nobody has an open action.")
        return
    book = opened.book
    rows = words.standing(book["actions"]).reset_index()
    shown = rows[["action", "status", "what", "assignees", "due", "depends", "comments"]]
    typer.echo(shown.to_string(index=False, justify="left") if len(shown) else "No action is recorded.")
    for row in words.proposed(book).itertuples():
        typer.echo(f'proposed: {row.what} (--add "..." --origin "{row.origin}")')


@app.command()
def verify(
    company: CompanyOption,
    cycle: CycleOption,
    head: Annotated[str, typer.Option(help="A head of the event log that a pack printed: the log must hold it.")] = "",
) -> None:
    """Hold every file of a cycle against its manifest and the event log; exit 1 where something was changed."""

    opened = _opened(company, cycle)
    if wrong := opened.verify(head):
        typer.echo("\n".join(wrong))
        raise typer.Exit(1)
    manifest = opened.manifest
    counted = f"{len(manifest['tables'])} tables and {len(manifest['files'])} files"
    typer.echo(f"{counted} are as they were written; the event log is whole{' and holds that head' if head else ''}.")


@app.command()
def reproduce(company: CompanyOption, cycle: CycleOption) -> None:
    """Make the plan again from the cycle's snapshot alone and compare it hash for hash; exit 1 where it differs."""
    from sopkit.cycle import reproduce as reproduce_cycle

    different, same, versions = reproduce_cycle(company, cycle)
    typer.echo("\n".join((*versions, *different)), nl=bool(versions or different))
    if different:
        raise typer.Exit(1)
    typer.echo(f"The plan of {company} {cycle} is the same, hash for hash: {', '.join(same)}.")


def main() -> None:
    """Run the command line; an error meant for a person is its text, exit code 2 for settings and 1 for all else."""
    if sys.argv[1:2] in (["run"], ["reproduce"]):
        start_as_a_kernel_would()
    try:
        app()
    except SopkitError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2 if isinstance(error, SettingsError) else 1) from None
    except OSError as error:
        from sopkit.files import unwritable

        print(unwritable(error.filename or "a file", error), file=sys.stderr)
        raise SystemExit(1) from None
