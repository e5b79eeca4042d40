"""Build a corpus folder from sources."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from lilliput.corpus.documents import Document
from lilliput.corpus.folder import CorpusManifest, write_corpus
from lilliput.corpus.readers import read_documents
from lilliput.progress import progress


def build_corpus(
    sources: Sequence[str | Path],
    folder: Path | str,
    *,
    text_field: str = "text",
    offline: bool = False,
    overwrite: bool = False,
) -> CorpusManifest:
    """Read `sources` (see `read_documents`) into the corpus folder `folder`, showing progress."""
    settings = {"sources": [str(source) for source in sources], "text_field": text_field}
    with progress("Reading", total=None, unit="B") as advance:

        def counted() -> Iterator[Document]:
            for document in read_documents(sources, text_field=text_field, offline=offline):
                advance(len(document.text))
                yield document

        return write_corpus(counted(), folder, settings=settings, overwrite=overwrite)
