"""All that the report says, as plain JSON values."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lilliput.corpus.building.record import RECORD_NAME, BuildRecord, read_record
from lilliput.corpus.folder import open_corpus
from lilliput.corpus.profile import profile_facts, profile_folder


def corpus_facts(folder: Path | str) -> dict[str, Any]:
    """What is known of a corpus folder.

    `corpus`, `documents`, `bytes`, `hash`, `settings` as its manifest has them; `dropped` likewise
    for a corpus without `build.json`; `funnel`: for each step {step, documents, bytes}; `stages`,
    `sources`, `mixing` as `BuildRecord` has them; `profile`: see `profile_facts`, counted now where
    `build.json` has none. Raises UserError if the folder is no corpus or is damaged.
    """
    folder = Path(folder)
    manifest = open_corpus(folder).manifest
    record = read_record(folder) if (folder / RECORD_NAME).is_file() else None
    profile = dict(record.profile) if record else {}
    facts = {
        "corpus": folder.resolve().name,
        "documents": manifest.documents,
        "bytes": manifest.bytes,
        "hash": manifest.hash,
        "settings": dict(manifest.settings),
        "dropped": dict(manifest.dropped) if record is None else {},
        "funnel": _funnel(record) if record else [],
        "stages": [asdict(stage) for stage in record.stages] if record else [],
        "sources": [asdict(source) for source in record.sources] if record else [],
        "mixing": dict(record.mixing) if record and record.mixing else None,
        "profile": profile or profile_facts(profile_folder(folder)),
    }
    # As they read from report.json: lists for tuples, names of text.
    plain: dict[str, Any] = json.loads(json.dumps(facts))
    return plain


def _funnel(record: BuildRecord) -> list[dict[str, Any]]:
    """What there was at first, and after each stage; at last what the mixture made of it."""
    if not record.stages:
        return []
    steps = [("found", record.stages[0].came)]
    steps += [(stage.name, stage.stayed) for stage in record.stages]
    made = [
        {"step": name, "documents": tally.documents, "bytes": tally.bytes} for name, tally in steps
    ]
    written = {
        "step": "mixing",
        "documents": sum(source.written.documents for source in record.sources),
        "bytes": sum(source.written.bytes for source in record.sources),
    }
    last = made[-1]
    if (written["documents"], written["bytes"]) != (last["documents"], last["bytes"]):
        made.append(written)
    return made
