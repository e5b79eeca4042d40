"""Documents and where they come from: readers, the corpus folder, the story generator."""

from lilliput.corpus.build import build_corpus
from lilliput.corpus.documents import Document, document_id
from lilliput.corpus.folder import Corpus, CorpusManifest, open_corpus, open_part, write_corpus
from lilliput.corpus.readers import read_documents

__all__ = [
    "Corpus",
    "CorpusManifest",
    "Document",
    "build_corpus",
    "document_id",
    "open_corpus",
    "open_part",
    "read_documents",
    "write_corpus",
]
