"""Build records as real builds write them, made by hand."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lilliput.corpus.building.record import (
    BuildRecord,
    Sample,
    SourceRecord,
    StageRecord,
    Tally,
    write_record,
)
from lilliput.corpus.documents import Document
from lilliput.corpus.folder import write_corpus

HOSTILE = '</script></style><script>alert(1)</script><img src=x onerror="alert(2)">\'"&amp;<!--'
NASTY = f"{HOSTILE}\x00\x1b[31m \u202egnihtemos {'long' * 2000}\n\n<b>end</b>"


def stages(text: str = "A plain text about a garden.") -> tuple[StageRecord, ...]:
    """Reading, a filter, a deduplication and personal data, with samples that hold `text`."""
    return (
        StageRecord(
            "reading",
            {},
            Tally(1000, 4_000_000),
            Tally(990, 3_990_000),
            {"malformed": Tally(10, 10_000)},
            {"repaired encodings": 7},
        ),
        StageRecord(
            "gopher_quality",
            {"fewest_words": 50, "stop_words": ["the", "be"], "mean": None, "exact": True},
            Tally(990, 3_990_000),
            Tally(700, 3_400_000),
            {"fewest_words": Tally(200, 90_000), "symbols": Tally(90, 500_000)},
            {},
            (Sample("fewest_words", "d1", "web/a.warc", "23 of 50", text),),
            (Sample("kept", "d2", "web/a.warc", "", f"Kept: {text}"),),
        ),
        StageRecord(
            "simplify",
            {},
            Tally(700, 3_400_000),
            Tally(700, 3_300_000),
            {},
            {"words replaced": 1200},
            (Sample("replaced", "d3", "web", "", f"A large {text}", f"A big {text}"),),
        ),
        StageRecord(
            "personal_data",
            {"action": "placeholder"},
            Tally(700, 3_300_000),
            Tally(700, 3_310_000),
            {},
            {"email": 40, "phone": 12, "documents with personal data": 31},
            (Sample("email", "d4", "web", "", f"j***@e***.com {text}", "[EMAIL]"),),
        ),
    )


def record(text: str = "A plain text.", profile: dict[str, Any] | None = None) -> BuildRecord:
    """A whole build of two sources."""
    return BuildRecord(
        (
            SourceRecord(
                text[:80], "crawl/*.warc.gz", None, None, Tally(600, 3_000_000), Tally(3, 90), 4
            ),
            SourceRecord(
                "wiki", "wiki", "CC-BY-SA-4.0", "all", Tally(400, 1_000_000), Tally(1, 30), 1
            ),
        ),
        stages(text),
        {"weights": {"wiki": 2.0, text[:80]: 1.0}, "order": "shuffled", "total": None},
        profile or {},
    )


def write_built(folder: Path, texts: Sequence[str], *, note: str = "A plain text.") -> Path:
    """A corpus folder of `texts` with a `build.json` whose samples hold `note`."""
    documents = (
        Document(
            f"{number}-{note[:40]}",
            text,
            f"source {number % 3} {note[:60]}",
            {"topic": ("plants", "ships")[number % 2], "language": "en", "license": note[:60]},
        )
        for number, text in enumerate(texts)
    )
    write_corpus(documents, folder, settings={"note": note[:200], "stages": [{"stage": note[:50]}]})
    write_record(record(note), folder)
    return folder
