"""Signatures that anybody can check without sopkit: in-toto Statements over a cycle's files, signed by SSH keys.

In the cycle's folder `signatures` a signature is three files: what was signed (`.json`, an in-toto Statement), its
signature (`.json.sig`, by `ssh-keygen -Y sign`) and the list of files (`.sha256`, for `sha256sum -c`), which the
statement names. `allowed_signers` tells which key is whose. Source: in-toto Attestation Framework, Statement v1.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from sopkit.cycle.cycle import Cycle
from sopkit.cycle.manifest import now
from sopkit.errors import SettingsError, StageError
from sopkit.files import replace_file, sha256
from sopkit.tables import BY_NAME

FOLDER, SIGNERS, NAMESPACE = "signatures", "allowed_signers", "sopkit"
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


def head(cycle: Cycle) -> str:
    """The sha256 of the last event of the company's log: who keeps it can tell a log that was cut or put back."""
    events = cycle.records.events()
    return str(events["sha256"].iloc[-1]) if len(events) else ""


def attest(cycle: Cycle, stage: str, *, by: str, number: int, key: Path) -> Path:
    """Sign with `key` that `by` gave signature `number` to `stage`; returns the statement's path.

    Raises StageError where ssh-keygen refuses.
    """
    people = cycle.read("people")
    signers = "".join(
        f'{principal(row.name)} namespaces="{NAMESPACE}" {" ".join(row.ssh_key.split()[:2])}\n'
        for row in people.itertuples(index=False)
        if row.ssh_key
    )
    replace_file(cycle.folder / SIGNERS, signers.encode())
    hashes = _files(cycle.manifest, stage) | {SIGNERS: sha256(signers.encode())}
    path = cycle.folder / FOLDER / f"{number:04d}-{stage}.json"
    listed = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items())).encode()
    replace_file(path.with_suffix(".sha256"), listed)
    hashes[f"{FOLDER}/{path.stem}.sha256"] = sha256(listed)
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(hashes.items())],
        "predicateType": PREDICATE,
        "predicate": {
            "company": cycle.company_name,
            "cycle": cycle.cycle,
            "stage": stage,
            "by": by,
            "role": str(people.set_index("name")["role"][by]),
            "record": number,
            "planHash": cycle.plan_hash(stage),
            "logHead": head(cycle),
            "signedAt": now(),
        },
    }
    content = json.dumps(statement, indent=1, ensure_ascii=False).encode() + b"\n"
    done = _ssh_keygen("sign", "-f", str(key), "-n", NAMESPACE, given=content)
    if done.returncode:
        raise StageError(f"The SSH key of {by} did not sign: {done.stderr.decode(errors='replace').strip()[:200]}.")
    replace_file(path.with_name(f"{path.name}.sig"), done.stdout)
    replace_file(path, content)
    return path


def _files(manifest: dict[str, Any], stage: str) -> dict[str, str]:
    """Name and sha256 of every file that the stages up to and including `stage` wrote; what people record is apart."""
    entries = {f"tables/{name}.parquet": entry for name, entry in manifest["tables"].items()} | manifest["files"]
    upto = BY_NAME[stage].number
    return {
        name: entry["sha256"]
        for name, entry in entries.items()
        if entry["stage"] in BY_NAME and BY_NAME[entry["stage"]].number <= upto
    }


def broken(cycle: Cycle) -> list[str]:
    """What does not hold of the signatures in the cycle's folder: changed statements and lists, keys of nobody."""
    wrong = []
    for path in sorted((cycle.folder / FOLDER).glob("*.json")):
        name = f"{FOLDER}/{path.name}"
        try:
            statement = json.loads(path.read_bytes())
            who = principal(statement["predicate"]["by"])
            listed = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
        except (ValueError, KeyError, TypeError, AttributeError):
            wrong.append(f"{name} is not the statement that was signed")
            continue
        signature = str(path.with_name(f"{path.name}.sig"))
        place = ("-f", str(cycle.folder / SIGNERS), "-I", who, "-n", NAMESPACE, "-s", signature)
        if _ssh_keygen("verify", *place, given=path.read_bytes()).returncode:
            wrong.append(f"{name} is not signed by the key of {who}, or was changed")
        elif sha256(path.with_suffix(".sha256")) != listed.get(f"{FOLDER}/{path.stem}.sha256"):
            wrong.append(f"{FOLDER}/{path.stem}.sha256 is not the list that was signed")
    return wrong


def _ssh_keygen(verb: str, *arguments: str, given: bytes) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["ssh-keygen", "-Y", verb, *arguments], input=given, capture_output=True)
    except FileNotFoundError:
        raise SettingsError(
            "ssh-keygen is not installed: without it no SSH signature can be given or checked."
        ) from None
