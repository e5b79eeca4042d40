"""Sketches go through Arrow files, whose buffers are longer than what they hold."""

import random
from pathlib import Path

import pyarrow as pa
import pytest
from corpora_with_copies import batch, prose, reader
from pyarrow import ipc

from lilliput.corpus.deduplication.exact import ExactDuplicates
from lilliput.corpus.deduplication.near import NearDuplicates
from lilliput.corpus.deduplication.paragraphs import ParagraphDuplicates
from lilliput.corpus.deduplication.substrings import SubstringDuplicates
from lilliput.corpus.stages import CorpusWideStage


@pytest.mark.parametrize(
    "stage",
    [
        ExactDuplicates(),
        NearDuplicates(keep="longest"),
        ParagraphDuplicates(),
        SubstringDuplicates(),
    ],
    ids=lambda stage: type(stage).__name__,
)
def test_decisions_are_the_same_from_disk(stage: CorpusWideStage, tmp_path: Path) -> None:
    dice = random.Random(1)
    paragraphs = [" ".join(prose(dice, 60)) for _ in range(6)]
    texts = ["\n\n".join(dice.choices(paragraphs, k=3)) for _ in range(21)]
    sketches = [stage.sketch(batch(texts[start : start + 3])) for start in range(0, 21, 3)]
    schema = pa.schema([("sketch", sketches[0].type)])
    with ipc.new_file(str(tmp_path / "sketches"), schema) as writer:
        for sketch in sketches:
            writer.write_batch(pa.record_batch([sketch], schema=schema))
    with pa.memory_map(str(tmp_path / "sketches")) as source:
        file = ipc.open_file(source)
        mapped = [file.get_batch(number).column(0) for number in range(file.num_record_batches)]
        decided = stage.decide(mapped, reader(texts))
    expected = stage.decide(sketches, reader(texts))
    assert expected.dropped or expected.cuts
    assert dict(decided.dropped) == dict(expected.dropped)
    assert dict(decided.cuts) == dict(expected.cuts)
    assert decided.columns == expected.columns
