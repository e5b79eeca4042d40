# mypy: ignore-errors
"""Other programs' stages, one at a time, in their own Python; run by corpus.py.

    python corpus_peers.py datatrove four texts.jsonl result.json --lid lid.176.ftz

Reads {"id", "text"} lines and writes {"seconds": CPU seconds, "bytes", "documents"} and, of the
four filters, "verdicts": per document [filter that dropped it or null, hash of the text it left];
of near-duplicates, "clusters": per document the first one of its cluster, and "removed".
The peers run unmodified, but for what `datatrove` and `datatrove-words` say below.
"""

import argparse
import contextlib
import hashlib
import io
import json
import re
import resource
import sys
import tempfile
import time
from pathlib import Path

SENTENCE_END = re.compile(r"""[.!?…。！？]+["'”’»)\]]*(?=\s|$)""")
WARM_UP = "Hello there, these are the words that warm it up. " * 50


def cpu_seconds():
    """Of this process and the children it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def read_lines(path):
    return [json.loads(line)["text"] for line in path.open(encoding="utf-8")]


def first_of_clusters(count, pairs):
    """Per document the first one that pairs lead to."""
    parent = list(range(count))

    def root(one):
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for one, other in pairs:
        one, other = root(one), root(other)
        if one != other:
            parent[max(one, other)] = min(one, other)
    return [root(one) for one in range(count)]


def prepare_datatrove(words, lid):
    """Its defaults, offline; with `words`, words by str.split and a plain rule for sentences."""
    import xxhash

    # xxhash 3.8 takes bytes only; datatrove 0.10.1 gives it text.
    inner = xxhash.xxh64_intdigest
    xxhash.xxh64_intdigest = lambda data: inner(data.encode() if isinstance(data, str) else data)
    import datatrove.pipeline.dedup.minhash as minhash
    import datatrove.utils.lid
    import datatrove.utils.word_tokenizers as tokenizers

    # Its model is fetched at run time; here it is a file. Some builds of fastText give floats.
    datatrove.utils.lid.cached_asset_path_or_download = lambda *_, **__: lid
    with contextlib.suppress(ImportError):
        import numpy
        from fasttext.FastText import _FastText

        predict = _FastText.predict

        def with_arrays(self, *given, **named):
            labels, scores = predict(self, *given, **named)
            return labels, numpy.asarray(scores)

        _FastText.predict = with_arrays
    if not words:
        return

    class Whitespace(tokenizers.WordTokenizer):
        def word_tokenize(self, text):
            return text.split()

        def sent_tokenize(self, text):
            return [text[begin:end] for begin, end in self.span_tokenize(text)]

        def span_tokenize(self, text):
            spans, last = [], 0
            for match in SENTENCE_END.finditer(text):
                spans.append((last, match.end()))
                last = match.end()
            if text[last:].strip():
                spans.append((last, len(text)))
            return spans

    one = Whitespace()
    tokenizers.load_word_tokenizer = minhash.load_word_tokenizer = lambda _: one


def datatrove_filters(stage):
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
        LanguageFilter,
    )

    made = {
        "gopher_repetition": lambda: GopherRepetitionFilter(),
        "gopher_quality": lambda: GopherQualityFilter(),
        "c4": lambda: C4QualityFilter(filter_no_terminal_punct=False),
        "fineweb": lambda: FineWebQualityFilter(),
        "language": lambda: LanguageFilter(["en"]),
    }
    names = list(made)[:4] if stage == "four" else [stage]
    return {name: made[name]() for name in names}


def datatrove_stage(stage, path, folder):
    from datatrove.data import Document

    if stage == "near_duplicates":
        return datatrove_near(path, folder)
    if stage == "web":
        return datatrove_web(path, folder)
    texts = read_lines(path)
    if stage == "personal_data":
        from datatrove.pipeline.formatters import PIIFormatter

        formatter = PIIFormatter()
        began = cpu_seconds()
        for text in texts:
            formatter.format(text)
        return {"seconds": cpu_seconds() - began}
    filters = datatrove_filters(stage)
    for one in filters.values():
        one.filter(Document(text=WARM_UP, id="0"))
    began, verdicts = cpu_seconds(), []
    for text in texts:
        document, verdict = Document(text=text, id="0"), None
        for name, one in filters.items():
            try:
                passed = one.filter(document)
            except ZeroDivisionError:  # texts of white space
                passed = False
            if passed is not True:
                verdict = name
                break
        verdicts.append((verdict, document.text))
    seconds = cpu_seconds() - began
    return {
        "seconds": seconds,
        "verdicts": [
            [verdict, None if verdict else hashlib.sha256(text.encode()).hexdigest()[:16]]
            for verdict, text in verdicts
        ],
    }


def minhash_stages(source, root, last):
    """The four steps, as its examples have them; `last` ends the fourth."""
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)
    flags = {"save_cluster_id": True, "save_cluster_size": True}
    removed = JsonlWriter(f"{root}/removed", compression=None)
    keep = MinhashDedupFilter(
        f"{root}/remove", exclusion_writer=removed, load_cluster_ids=True, load_cluster_sizes=True
    )
    return [
        [JsonlReader(source), MinhashDedupSignature(f"{root}/signatures", config=config)],
        [MinhashDedupBuckets(f"{root}/signatures", f"{root}/buckets", config=config)],
        [MinhashDedupCluster(f"{root}/buckets", f"{root}/remove", config=config, **flags)],
        [JsonlReader(source), keep, *last, JsonlWriter(f"{root}/kept", compression=None)],
    ]


def run_pipelines(pipelines, root):
    from datatrove.executor.local import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupBuckets

    for number, pipeline in enumerate(pipelines):
        tasks = 14 if isinstance(pipeline[0], MinhashDedupBuckets) else 1
        logs = f"{root}/logs{number}"
        LocalPipelineExecutor(pipeline=pipeline, tasks=tasks, workers=1, logging_dir=logs).run()


def datatrove_near(path, folder):
    (folder / "in").mkdir()
    (folder / "in" / "texts.jsonl").write_bytes(path.read_bytes())
    warm_up_words()
    began = cpu_seconds()
    run_pipelines(minhash_stages(f"{folder}/in", folder, []), folder)
    seconds = cpu_seconds() - began
    removed, groups = [], {}
    for part in ("removed", "kept"):
        for file in sorted((folder / part).rglob("*.jsonl")):
            for line in file.open(encoding="utf-8"):
                document = json.loads(line)
                number = int(document["id"])
                group = document["metadata"].get("minhash_cluster_id", -1)
                if group not in (-1, None):
                    groups.setdefault(group, []).append(number)
                if part == "removed":
                    removed.append(number)
    pairs = [(group[0], other) for group in groups.values() for other in group[1:]]
    return {"seconds": seconds, "removed": sorted(removed), "pairs": pairs}


def warm_up_words():
    import datatrove.pipeline.dedup.minhash as minhash

    minhash.load_word_tokenizer("en").word_tokenize(WARM_UP)


def datatrove_web(path, folder):
    """FineWeb's order: language, four filters, near-duplicates, addresses."""
    from datatrove.data import Document
    from datatrove.pipeline.formatters import PIIFormatter
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    (folder / "in").mkdir()
    (folder / "in" / "texts.jsonl").write_bytes(path.read_bytes())
    filters = list(datatrove_filters("four").values())
    for one in filters:
        one.filter(Document(text=WARM_UP, id="0"))
    # Not warmed up: its executor copies filters, and a loaded fastText model cannot be copied.
    filters = [*datatrove_filters("language").values(), *filters]
    filtered = f"{folder}/filtered"
    first = [JsonlReader(f"{folder}/in"), *filters, JsonlWriter(filtered, compression=None)]
    began = cpu_seconds()
    run_pipelines([first, *minhash_stages(filtered, folder, [PIIFormatter()])], folder)
    seconds = cpu_seconds() - began
    kept = sum(
        len(file.read_text("utf-8").splitlines()) for file in (folder / "kept").rglob("*.jsonl")
    )
    return {"seconds": seconds, "kept": kept}


def tiny_corpus_prep_stage(stage, path, folder):
    import polars

    # Its annotators import packages that the steps measured here do not use.
    from tiny_corpus_prep.filters import calculate_readability_grade
    from tiny_corpus_prep.normalize import normalize_text
    from tiny_corpus_prep.pipeline import DataPipeline

    texts = read_lines(path)
    calculate_readability_grade(WARM_UP)
    normalize_text(WARM_UP)
    frame = polars.DataFrame({"text": texts})
    if stage == "readability":
        pipeline = DataPipeline(normalize=False, dedup=False).add_readability_filter(8.0)
    elif stage == "exact_duplicates":
        pipeline = DataPipeline(normalize=False, dedup=True)
    else:  # what its command does by default
        pipeline = DataPipeline().add_readability_filter(8.0)
    began = cpu_seconds()
    with contextlib.redirect_stdout(io.StringIO()):
        kept = pipeline.process(frame)
    return {"seconds": cpu_seconds() - began, "kept": len(kept)}


def shingles(text):
    words = re.findall(r"\w+", re.sub(r"\d+", "0", text.lower()))
    return {" ".join(words[at : at + 5]) for at in range(len(words) - 4)}


def datasketch_stage(stage, path, folder):
    from datasketch import MinHash, MinHashLSH

    began = cpu_seconds()
    texts, pairs, index = read_lines(path), [], MinHashLSH(num_perm=112, params=(14, 8))
    for number, text in enumerate(texts):
        sketch = MinHash(112)
        sketch.update_batch([shingle.encode() for shingle in shingles(text)])
        pairs += [(number, other) for other in index.query(sketch)]
        index.insert(number, sketch)
    clusters = first_of_clusters(len(texts), pairs)
    return {"seconds": cpu_seconds() - began, "pairs": list(enumerate(clusters))}


def rensa_stage(stage, path, folder):
    from rensa import RMinHash, RMinHashLSH

    began = cpu_seconds()
    texts, pairs = read_lines(path), []
    index = RMinHashLSH(threshold=0.8, num_perm=112, num_bands=14)
    for number, text in enumerate(texts):
        sketch = RMinHash(112, 42)
        sketch.update(list(shingles(text)))
        pairs += [(number, other) for other in index.query(sketch)]
        index.insert(number, sketch)
    clusters = first_of_clusters(len(texts), pairs)
    return {"seconds": cpu_seconds() - began, "pairs": list(enumerate(clusters))}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("contender")
    parser.add_argument("stage")
    parser.add_argument("texts", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--lid", help="fastText's language model, lid.176.ftz or .bin")
    parser.add_argument("--package", help="a folder to import the contender from")
    options = parser.parse_args()
    if options.package:
        sys.path.insert(0, options.package)
    if options.contender.startswith("datatrove"):
        prepare_datatrove(options.contender.endswith("-words"), options.lid)
    contenders = {
        "datatrove": datatrove_stage,
        "datatrove-words": datatrove_stage,
        "tiny_corpus_prep": tiny_corpus_prep_stage,
        "datasketch": datasketch_stage,
        "rensa": rensa_stage,
    }
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        found = contenders[options.contender](options.stage, options.texts, Path(folder))
        found["wall_seconds"] = time.monotonic() - began
    texts = read_lines(options.texts)
    if "pairs" in found:
        found["clusters"] = first_of_clusters(len(texts), found.pop("pairs"))
        firsts = enumerate(found["clusters"])
        found.setdefault("removed", [number for number, first in firsts if first != number])
    found["documents"] = len(texts)
    found["bytes"] = sum(len(text.encode()) for text in texts)
    options.result.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
