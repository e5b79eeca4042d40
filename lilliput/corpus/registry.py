"""Stages by name: ours, and those of other packages by the entry-point group `lilliput.stages`.

A stage's module is imported when it is asked for, so a heavy library costs only who uses it.
"""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

ENTRY_POINT_GROUP = "lilliput.stages"

_OWN_STAGES: Mapping[str, str] = {
    "gopher_quality": "lilliput.corpus.filters.gopher_quality:GopherQuality",
    "gopher_repetition": "lilliput.corpus.filters.gopher_repetition:GopherRepetition",
    "c4": "lilliput.corpus.filters.c4:C4",
    "fineweb": "lilliput.corpus.filters.fineweb:FineWeb",
    "language": "lilliput.corpus.filters.language:Language",
    "readability": "lilliput.corpus.filters.readability:Readability",
    "vocabulary": "lilliput.corpus.filters.vocabulary:Vocabulary",
    "simplify": "lilliput.corpus.filters.simplify:Simplify",
    "keywords": "lilliput.corpus.filters.keywords:Keywords",
    "length": "lilliput.corpus.filters.length:Length",
    "urls": "lilliput.corpus.filters.urls:Urls",
    "boilerplate": "lilliput.corpus.filters.boilerplate:Boilerplate",
    "exact_duplicates": "lilliput.corpus.deduplication.exact:ExactDuplicates",
    "near_duplicates": "lilliput.corpus.deduplication.near:NearDuplicates",
    "paragraph_duplicates": "lilliput.corpus.deduplication.paragraphs:ParagraphDuplicates",
    "substring_duplicates": "lilliput.corpus.deduplication.substrings:SubstringDuplicates",
    "decontaminate": "lilliput.corpus.deduplication.decontaminate:Decontaminate",
    "personal_data": "lilliput.corpus.personal.stage:PersonalData",
    "quality": "lilliput.corpus.quality.classifier:Quality",
    "annotate": "lilliput.corpus.quality.annotator:Annotate",
    "perplexity": "lilliput.evaluate.perplexity:Perplexity",
}


def stage_names() -> list[str]:
    """Every known stage's name, sorted."""
    return sorted({*_OWN_STAGES, *_foreign_stages()})


@cache
def _foreign_stages() -> Mapping[str, str]:
    return {entry.name: entry.value for entry in entry_points(group=ENTRY_POINT_GROUP)}
