"""Documents and where they come from: readers, stages, builds, the corpus folder, stories."""

from lilliput.corpus.build import build_corpus
from lilliput.corpus.building.record import BuildRecord, read_record
from lilliput.corpus.documents import Document, document_id
from lilliput.corpus.folder import Corpus, CorpusManifest, open_corpus, open_part, write_corpus
from lilliput.corpus.readers import read_documents

__all__ = [
    "BuildRecord",
    "Corpus",
    "CorpusManifest",
    "Document",
    "build_corpus",
    "document_id",
    "open_corpus",
    "open_part",
    "read_documents",
    "read_record",
    "write_corpus",
]
