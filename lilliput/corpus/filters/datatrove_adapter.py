"""Our stages as datatrove filters, for pipelines that run there (`pip install datatrove`)."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter

from lilliput.corpus.stages import Stage

_COLUMNS = ("id", "text", "source")


class StageFilter(BaseFilter):  # type: ignore[misc]  # datatrove is untyped
    """A stage as a datatrove filter.

    Documents reach the stage `batch_size` at a time, with `url` where their metadata has it. Edited
    texts go back into `Document.text`, columns that the stage adds into `Document.metadata`, and
    the rule that drops a document becomes the reason (datatrove counts it as `dropped_RULE`, and
    its exclusion writer keeps it).
    """

    name = "Lilliput"

    def __init__(
        self, stage: Stage, *, exclusion_writer: Any = None, batch_size: int = 1000
    ) -> None:
        self.name = f"Lilliput {type(stage).__name__}"  # read by the next line
        super().__init__(exclusion_writer, batch_size=batch_size)
        self.stage = stage

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        """True, or False and the rule that the document breaks."""
        return self.filter_batch([doc])[0]

    def filter_batch(self, batch: Sequence[Document]) -> list[bool | tuple[bool, str]]:
        """One verdict a document; texts and metadata of those kept are set."""
        columns = {
            "id": pa.array([str(number) for number in range(len(batch))], pa.string()),
            "text": pa.array([document.text for document in batch], pa.string()),
            "source": pa.array([None] * len(batch), pa.string()),
        }
        addresses = [document.metadata.get("url") for document in batch]
        if any(addresses):
            columns["url"] = pa.array(addresses, pa.string())
        outcome = self.stage(pa.record_batch(columns))
        verdicts: list[bool | tuple[bool, str]] = [True] * len(batch)
        for dropped in outcome.dropped:
            verdicts[dropped.row] = (False, dropped.rule)
        added = [name for name in outcome.batch.schema.names if name not in (*_COLUMNS, "url")]
        for row in outcome.batch.to_pylist():
            document = batch[int(row["id"])]
            document.text = row["text"]
            document.metadata.update({name: row[name] for name in added})
        return verdicts
