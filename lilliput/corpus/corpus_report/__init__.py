"""The report of a corpus: what was dropped and why, and what is left."""

from lilliput.corpus.corpus_report.facts import corpus_facts
from lilliput.corpus.corpus_report.report import write_corpus_report

__all__ = ["corpus_facts", "write_corpus_report"]
