"""The funnel of a build: how many documents each rule of each stage dropped."""

from dataclasses import asdict, dataclass

from lilliput.corpus.building.record import BuildRecord


@dataclass(frozen=True)
class FunnelRow:
    """One rule: the documents and bytes it dropped; `share` is of the documents read (0 to 1)."""

    stage: str
    rule: str
    documents: int
    bytes: int
    share: float


def funnel(record: BuildRecord) -> list[FunnelRow]:
    """The rules that dropped anything, in order of stage, then the most first."""
    read = max(1, record.stages[0].came.documents)
    rows = []
    for stage in record.stages:
        for rule, tally in sorted(stage.dropped.items(), key=lambda one: -one[1].documents):
            share = tally.documents / read
            rows.append(FunnelRow(stage.name, rule, tally.documents, tally.bytes, share))
    return rows


def funnel_lines(record: BuildRecord) -> list[str]:
    """The funnel as an aligned table, from what was read to what was written."""
    came = record.stages[0].came.documents
    stayed = record.stages[-1].stayed.documents
    written = sum(source.written.documents for source in record.sources)
    rows = [("stage", "rule", "documents", "share"), ("", "found", f"{came:,}", "")]
    rows += [
        (row.stage, row.rule, f"-{row.documents:,}", f"{row.share:.2%}") for row in funnel(record)
    ]
    rows.append(("", "kept", f"{stayed:,}", f"{stayed / max(1, came):.2%}"))
    if written != stayed:
        rows.append(("mixing", "written", f"{written:,}", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [
        f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  "
        f"{row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}".rstrip()
        for row in rows
    ]


def funnel_facts(record: BuildRecord) -> list[dict[str, object]]:
    """The funnel's rows as plain JSON values."""
    return [asdict(row) for row in funnel(record)]
