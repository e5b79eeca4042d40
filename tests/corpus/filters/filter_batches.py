"""Batches for the tests of the filters."""

from collections.abc import Sequence

import pyarrow as pa

from lilliput.corpus.stages import Outcome


def batch_of(texts: Sequence[str], **columns: Sequence[object]) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "id": pa.array([str(number) for number in range(len(texts))], pa.string()),
            "text": pa.array(texts, pa.string()),
            "source": pa.array(["test"] * len(texts), pa.string()),
            **columns,
        }
    )


def rules(outcome: Outcome) -> list[str]:
    return [dropped.rule for dropped in outcome.dropped]


def kept_texts(outcome: Outcome) -> list[str]:
    texts: list[str] = outcome.batch.column("text").to_pylist()
    return texts
