"""Drafted mails: a program for mail opens them, a person looks at them and sends them; nothing here sends."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterable, Iterator, Mapping
from email.headerregistry import Address
from email.message import EmailMessage

from sopkit.book import Book
from sopkit.book.actions import mine, standing
from sopkit.charts import plain
from sopkit.decide import UNDECIDED
from sopkit.files import sha256
from sopkit.publish.audiences import Pack
from sopkit.publish.sections import change_line, service_line
from sopkit.words import divided, month_in_full, month_name, say, than


def draft(to: str, subject: str, text: str, files: Mapping[str, bytes] | None = None) -> bytes:
    """A mail (`.eml`) to a person, whose address the program for mail fills in; the same content is the same bytes."""
    message = EmailMessage()
    message["Subject"] = re.sub(r"\s+", " ", plain(subject))
    message["To"] = Address(display_name=re.sub(r'[\s"\\<>]+', " ", plain(to)).strip())
    message["X-Unsent"] = "1"  # opens as a draft
    message.set_content(plain(text))
    for name, content in (files or {}).items():
        main, _, kind = (mimetypes.guess_type(name)[0] or "application/octet-stream").partition("/")
        message.add_attachment(content, maintype=main, subtype=kind, filename=name)
    if files:
        message.set_boundary(f"=={sha256(b''.join(files.values()))[:32]}==")
    return message.as_bytes()


def letters(book: Book, packs: Iterable[Pack], files: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """File name and drafted mail of each person of every audience, their pack attached.

    `book`: the whole plan; `files`: the packs' files by name.
    """
    for pack in packs:
        attached = {name: files[name] for name in (f"plan.{pack.name}.html", f"plan.{pack.name}.xlsx")}
        for person in pack.people or (pack.reader,):
            subject = say("{company}: plan of {month}", book.company.name, month_in_full(book.first))
            name = "_".join([pack.name, *re.findall(r"\w+", person)])
            yield f"{name}.eml", draft(person, subject, letter(book, pack, person), attached)


def letter(book: Book, pack: Pack, person: str) -> str:
    """What a mail says: what is to be decided, what is the person's to do, what changed, who asked them something."""
    deeds = standing(book["actions"])
    asked = deeds[deeds["comments"].str.contains(f"@{person}", regex=False)]
    parts = {
        say("To be decided"): [*_decisions(book, pack, person)],
        say("Yours to do"): [*mine(deeds, person)],
        say("What changed"): [*_changes(book, pack, person)],
        say("You were asked"): [f"{row.what}: {row.comments}" for row in asked.itertuples()],
    }
    told = "".join(f"\n{head}\n" + "".join(f"- {line}\n" for line in lines) for head, lines in parts.items() if lines)
    about = person, month_in_full(book.first), say(pack.reader)
    hello = say("Hello {person},\n\nthe plan of {month} for {reader} is attached: the page opens in any browser, "
                "the workbook holds its numbers.\n", *about)  # fmt: skip
    if stands := pack.book.manifest.get("status", ""):
        hello = say("Hello {person},\n\nthe plan of {month} for {reader} is attached ({status}): the page opens in "
                    "any browser, the workbook holds its numbers.\n", *about, say(stands))  # fmt: skip
    return hello + told


def _decisions(book: Book, pack: Pack, person: str) -> Iterator[str]:
    """Open questions that the audience may see, and in any case those that the person answers for."""
    seen = set(pack.book["decision_log"]["question"])
    for row in book["decision_log"].itertuples():
        if row.status == UNDECIDED and (row.question in seen or row.owner == person):
            who = say("{owner} answers for it", row.owner) if row.owner else ""
            who = say("you answer for it") if row.owner == person else who
            more = [who, say("by {month}", month_name(row.due)) if row.due == row.due else ""]
            advice = f" {row.recommendation}" if row.question in seen and row.recommendation else ""
            yield f"{row.question} ({', '.join(filter(None, more))}){advice}"


def _changes(book: Book, pack: Pack, person: str) -> Iterator[str]:
    """What the pack's own numbers say of the change since last cycle; of the person's own families first."""
    people = book["people"].set_index("name")["answers_for"]
    own, names = set(str(people.get(person, "")).split()), book.names("families")
    change = pack.book["demand_change"].sort_values("step")
    for family, rows in change[change["family"].isin(own)].groupby("family"):
        before, now = rows["units"].iloc[0], rows["units"].iloc[-1]
        if before:
            moved = than(now / before - 1, "{share} above last cycle's", "{share} below last cycle's")
            yield say("{family}: the demand plan is {moved} in units.", names.get(family, family), moved)
    for row in pack.book["adopted"].itertuples():
        if person in divided(row.owner):
            yield say("Adopted, and yours to carry out: {title}.", row.title)
    yield from filter(None, (change_line(pack.book), service_line(pack.book)))
