"""Signatures that anybody can check without sopkit: in-toto Statements over a cycle's files, signed by SSH keys.

Who signs a stage, decides or publishes leaves three files in the cycle's folder `signatures`: what was signed (`.json`,
an in-toto Statement), its signature (`.json.sig`, by `ssh-keygen -Y sign`) and the list of files (`.sha256`, for
`sha256sum -c`), which the statement names. `allowed_signers` tells which key is whose. Every statement names the head
of the event log and that of the cycle before: who keeps one can tell a log that was cut or put back.
Source: in-toto Attestation Framework, Statement v1.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sopkit.cycle import manifest as manifests
from sopkit.errors import SettingsError, StageError
from sopkit.files import replace_files, sha256
from sopkit.tables import BY_NAME, STAGES

if TYPE_CHECKING:
    from sopkit.cycle.cycle import Cycle

FOLDER, SIGNERS, NAMESPACE = manifests.SIGNATURES, "allowed_signers", "sopkit"
DECISION, PUBLISHED = "decision", "published"  # what is signed besides stages
UPTO = {DECISION: "reconcile", PUBLISHED: "publish"}  # the last stage whose files its signer saw
STATEMENT, PREDICATE = "https://in-toto.io/Statement/v1", "urn:sopkit:signature:1"
KEY = "SOPKIT_SSH_KEY"


def principal(name: str) -> str:
    """A person's name as `allowed_signers` writes it: one word."""
    return re.sub(r"\W+", ".", name.casefold()).strip(".")


def key_of(cycle: Cycle, by: str) -> Path | None:
    """The private key that `by` signs with; None where table people holds no key of that person.

    Raises SettingsError where it holds one, but `SOPKIT_SSH_KEY` names no file: a signature is then not given.
    """
    people = cycle.read("people").set_index("name")["ssh_key"]
    if not people.get(by, ""):
        return None
    path = Path(os.environ.get(KEY, "")).expanduser()
    if not path.is_file():
        raise SettingsError(
            f"{by} signs with an SSH key (table people), and the environment variable {KEY} names no key file. "
            f"Set it to the private key, or to the public one if an SSH agent holds the other."
        )
    return path


def signers(cycle: Cycle) -> bytes:
    """`allowed_signers` of the cycle: whose key is whose, from table people; empty where nobody has one."""
    lines = [
        f'{principal(row.name)} namespaces="{NAMESPACE}" {" ".join(row.ssh_key.split()[:2])}\n'
        for row in cycle.read("people").itertuples(index=False)
        if row.ssh_key
    ]
    return "".join(lines).encode()


def decide(cycle: Cycle, fields: Mapping[str, Any], *, by: str) -> int:
    """Record the decision of `by` (fields of record `decisions`), and sign it where `by` has a key; its number.

    Nothing is recorded that makes no sense. Raises what `key_of`, `attest`, `Records.add` and `sopkit.decide` raise.
    """
    from sopkit.decide import must_be_an_answer

    must_be_an_answer(cycle.book, {**fields, "author": by})
    key = key_of(cycle, by)
    kept = {**fields, "plan_hash": cycle.plan_hash(UPTO[DECISION])}
    number = cycle.records.add("decisions", author=by, cycle=cycle.cycle, **kept)
    if key is not None:
        attest(cycle, DECISION, by=by, number=number, key=key, decision=[fields])
    return number


def sign(cycle: Cycle, stage: str, *, by: str, note: str = "", because: str = "") -> tuple[int, Path | None]:
    """`Cycle.sign`, and the statement of whoever has a key: (number of the record, its path or None).

    Raises what `key_of`, `attest` and `Cycle.sign` raise.
    """
    key = key_of(cycle, by)
    number = cycle.sign(stage, by=by, note=note, because=because)
    return number, attest(cycle, stage, by=by, number=number, key=key) if key is not None else None


def attest(
    cycle: Cycle, deed: str, *, by: str, number: int, key: Path, decision: list[Mapping[str, Any]] | None = None
) -> Path:
    """Sign with `key` what `by` did: signed stage `deed`, took the `decision`, or published; the statement's path.

    `number` is that of the record, or of the event where there is none. Raises StageError where ssh-keygen refuses.
    """
    people, manifest, log = cycle.read("people"), cycle.manifest, cycle.records.events()
    stage, known = UPTO.get(deed, deed), signers(cycle)
    hashes = _files(manifest, deed) | {SIGNERS: sha256(known)}
    if deed == PUBLISHED:  # nothing is written to it any more
        hashes[manifests.NAME] = sha256(cycle.folder / manifests.NAME)
    path = cycle.folder / FOLDER / f"{number:04d}-{deed}.json"
    listed = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items())).encode()
    hashes[f"{FOLDER}/{path.stem}.sha256"] = sha256(listed)
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(hashes.items())],
        "predicateType": PREDICATE,
        "predicate": {
            "company": cycle.company_name,
            "cycle": cycle.cycle,
            "version": manifest.get("version", 1),
            "deed": deed if deed in UPTO else "signed",
            "stage": stage,
            "by": by,
            "role": str(people.set_index("name")["role"][by]),
            "record": number,
            "decision": [{name: str(value or "") for name, value in sorted(one.items())} for one in decision or []],
            "planHash": cycle.plan_hash(stage),
            "logHead": str(log["sha256"].iloc[-1]),
            "logHeadBefore": str(log["previous"].iloc[-1]),
            "lastCycle": _last_cycle(cycle),
            "signedAt": manifests.now(),
        },
    }
    content = json.dumps(statement, indent=1, ensure_ascii=False).encode() + b"\n"
    done = _ssh_keygen("sign", "-f", str(key), "-n", NAMESPACE, given=content)
    if done.returncode:
        raise StageError(f"The SSH key of {by} did not sign: {done.stderr.decode(errors='replace').strip()[:200]}.")
    signed = {path.with_suffix(".sha256"): listed, path.with_name(f"{path.name}.sig"): done.stdout, path: content}
    replace_files({**({} if deed == PUBLISHED else {cycle.folder / SIGNERS: known}), **signed})
    return path


def _last_cycle(cycle: Cycle) -> dict[str, str]:
    """The cycle before this one, and the head of the event log when it was left; empty for the first."""
    earlier = [one for one in cycle.others() if one.cycle < cycle.cycle]
    return {"cycle": earlier[-1].cycle, "logHead": manifests.last_head(earlier[-1].manifest)} if earlier else {}


def _files(manifest: Mapping[str, Any], deed: str) -> dict[str, str]:
    """Name and sha256 of every file that stages up to the one signed wrote; of every file of what was published."""
    entries = {f"tables/{name}.parquet": entry for name, entry in manifest["tables"].items()} | manifest["files"]
    upto = [stage.name for stage in STAGES if stage.number <= BY_NAME[UPTO.get(deed, deed)].number]
    # what people recorded is apart from what a stage wrote
    seen = {name: entry for name, entry in entries.items() if deed == PUBLISHED or entry["stage"] in upto}
    return {name: entry["sha256"] for name, entry in seen.items()}


def broken(cycle: Cycle, log: set[str]) -> list[str]:
    """What does not hold of the signatures in the cycle's folder: changed statements and lists, keys of nobody.

    Nor may a statement name a head that the event `log` (the sha256 of its events) does not contain.
    """
    wrong = []
    kept = sorted((cycle.folder / FOLDER).glob("*"))
    for path in [path for path in kept if path.suffix == ".json"]:
        name, listing = f"{FOLDER}/{path.name}", path.with_suffix(".sha256")
        try:
            statement = json.loads(path.read_bytes())
            who = principal(statement["predicate"]["by"])
            listed = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
            heads = {statement["predicate"]["logHead"], statement["predicate"].get("lastCycle", {}).get("logHead", "")}
        except (ValueError, KeyError, TypeError, AttributeError):
            wrong.append(f"{name} is not the statement that was signed")
            continue
        signature = str(path.with_name(f"{path.name}.sig"))
        place = ("-f", str(cycle.folder / SIGNERS), "-I", who, "-n", NAMESPACE, "-s", signature)
        if _ssh_keygen("verify", *place, given=path.read_bytes()).returncode:
            wrong.append(f"{name} or {name}.sig is not what the key of {who} signed (allowed_signers)")
        elif not listing.is_file() or sha256(listing) != listed.get(f"{FOLDER}/{path.stem}.sha256"):
            wrong.append(f"{FOLDER}/{listing.name} is not the list that was signed")
        elif heads - log - {""}:
            wrong.append(f"{name} names a head that the event log does not contain: {manifests.CUT}")
    whole = {path.stem for path in kept if path.suffix == ".json"}
    alone = [path.name for path in kept if path.name.partition(".")[0] not in whole]
    fix = "Bring that back, or remove this file where a command was ended while it signed"
    return wrong + [f"{FOLDER}/{name}: {name.partition('.')[0]}.json, its statement, is gone. {fix}" for name in alone]


def _ssh_keygen(verb: str, *arguments: str, given: bytes) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["ssh-keygen", "-Y", verb, *arguments], input=given, capture_output=True)
    except FileNotFoundError:
        raise SettingsError(
            "ssh-keygen is not installed: without it no SSH signature can be given or checked."
        ) from None
