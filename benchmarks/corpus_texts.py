"""Texts for the corpus benchmarks: planted copies of known likeness, and what crawls are full of.

Everything is drawn from a `random.Random` that the caller seeds, so the same call gives the same
bytes on any machine.
"""

import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lilliput.corpus.readers import Source, read_documents

NGRAM = 5  # the n-grams of the planted copies' similarity: FineWeb's

_NOTICES = (
    "We use cookies to give you the best experience. By continuing you accept our cookie policy.",
    "Copyright © 2019 All rights reserved. Powered by WordPress.",
    "Share this: Facebook Twitter Pinterest LinkedIn E-mail",
    "Sign up for our newsletter and never miss a story.",
    "You must be logged in to post a comment.",
    "Read more",
    "Click here to see the full gallery.",
    "Terms of Use | Privacy Policy | Contact us | Advertise",
    "Please enable JavaScript to view this page.",
    "Related articles",
    "ADVERTISEMENT",
    "Posted in Uncategorized. Bookmark the permalink.",
)
_MENU = (
    "Home", "About us", "Contact", "Login", "Register", "Shop", "Cart (0)", "Search", "Archive",
    "News", "Sport", "Video", "Photos", "Weather", "Jobs", "Cars", "Travel", "Help", "Sitemap",
    "RSS", "Next", "Previous", "Follow us", "Subscribe",
)  # fmt: skip
_HOSTS = ("example.com", "mail.example.org", "post.example.net", "shop.example.com")
_WORD = re.compile(r"[A-Za-z]{3,12}")


@dataclass(frozen=True)
class Planted:
    """A document; where it is a copy, of which one, and the Jaccard similarity of their n-grams."""

    text: str
    of: int | None
    similarity: float


def read_texts(location: str, *, most_bytes: float = float("inf"), seed: int = 0) -> list[str]:
    """Texts of a source as `corpus build` reads it, shuffled, until `most_bytes` are reached."""
    texts = [document.text for document in read_documents([location])]
    random.Random(seed).shuffle(texts)
    size, kept = 0, []
    for text in texts:
        if size >= most_bytes:
            break
        kept.append(text)
        size += len(text.encode("utf-8"))
    return kept


def read_other_languages(location: str) -> list[str]:
    """Paragraphs of at least 80 characters of a folder of HTML pages in other languages."""
    found = []
    for document in read_documents([Source(location, format="html", extraction="all")]):
        found += [line for line in document.text.splitlines() if len(line) >= 80]
    return found


def read_spam(location: str) -> list[str]:
    """The messages labelled spam of a tab-separated file (label, message)."""
    rows = read_documents([Source(location, format="tsv", fields=("label", "text"), quote="")])
    return [row.text for row in rows if row.metadata.get("label") == "spam"]


def write_json_lines(path: Path, texts: Iterable[str]) -> int:
    """Write {"id", "text"} lines; returns the bytes of text."""
    size = 0
    with path.open("w", encoding="utf-8") as file:
        for number, text in enumerate(texts):
            file.write(json.dumps({"id": str(number), "text": text}, ensure_ascii=False) + "\n")
            size += len(text.encode("utf-8"))
    return size


def plant_copies(
    texts: Sequence[str], levels: Sequence[float], each: int, seed: int
) -> list[Planted]:
    """The texts of at least 60 words, and after them `each` copies of about each similarity.

    In a copy single words are replaced, evenly, by words that stand nowhere else; its similarity is
    counted on words between white space.
    """
    dice = random.Random(seed)
    base = [text for text in dict.fromkeys(texts) if len(text.split()) >= 60]
    planted = [Planted(text, None, 1.0) for text in base]
    for level in levels:
        for number in dice.sample(range(len(base)), min(each, len(base))):
            words = base[number].split()
            # A replaced word takes NGRAM n-grams from both sets.
            changes = round((len(words) - NGRAM + 1) * (1 - level) / (1 + level) / NGRAM)
            for change in range(changes):
                place = 2 + change * (len(words) // changes)
                words[place] = "replaced" + "".join(dice.choices("abcdefgh", k=6))
            copy = " ".join(words)
            one, other = _ngrams(base[number]), _ngrams(copy)
            planted.append(Planted(copy, number, len(one & other) / len(one | other)))
    return planted


def near_copy(text: str, dice: random.Random) -> str:
    """The text with one word in a hundred replaced: Jaccard similarity about 0.9."""
    pieces = text.split(" ")
    for _ in range(max(1, len(pieces) // 100)):
        pieces[dice.randrange(len(pieces))] = dice.choice(("today", "new", "2019", "online", "the"))
    return " ".join(pieces)


def with_boilerplate(text: str, dice: random.Random) -> str:
    """The text below a menu and among notices, as a bad extraction leaves it."""
    head = dice.sample(_MENU, dice.randint(3, 8))
    lines = text.split("\n")
    for notice in dice.sample(_NOTICES, dice.randint(2, 5)):
        lines.insert(dice.randint(len(lines) // 2, len(lines)), notice)
    return "\n".join([*head, *lines])


def with_addresses(text: str, dice: random.Random) -> str:
    """The text with some e-mail addresses and an IP address after its lines."""
    lines = text.split("\n")
    for _ in range(dice.randint(1, 3)):
        user = "".join(dice.choices("abcdefghijklmnop", k=dice.randint(4, 9)))
        lines[dice.randrange(len(lines))] += f" Write to {user}@{dice.choice(_HOSTS)}."
    numbers = ".".join(str(dice.randint(11, 199)) for _ in range(4))
    lines[dice.randrange(len(lines))] += f" Posted from {numbers}."
    return "\n".join(lines)


def machine_list(words: Sequence[str], dice: random.Random) -> str:
    """A page that a program made: a price list, a keyword list or an index of links."""
    kind = dice.randrange(3)
    lines = []
    for _ in range(dice.randint(30, 120)):
        one, two = dice.choice(words).title(), dice.choice(words)
        if kind == 0:
            price = f"{dice.randint(1, 400)}.{dice.randint(0, 99):02}"
            lines.append(f"{one} {two} SKU-{dice.randint(10_000, 99_999)} ${price} Add to cart")
        elif kind == 1:
            lines.append(f"cheap {two} online | buy {two} | best {two} {one} | {two} for sale")
        else:
            lines.append(f"{one} ({dice.randint(1, 300)})")
    return "\n".join(lines)


def spam_page(messages: Sequence[str], dice: random.Random) -> str:
    """A page of some advertisements, one of them said several times."""
    chosen = dice.sample(messages, min(len(messages), dice.randint(4, 15)))
    return "\n".join(chosen + chosen[:1] * dice.randint(1, 6))


def repeated_lines(text: str, dice: random.Random) -> str:
    """The text with a run of its lines said again, several times, as broken templates do."""
    lines = [line for line in text.split("\n") if line.strip()]
    begin = dice.randrange(len(lines))
    return "\n".join([*lines, *(lines[begin : begin + 4] * dice.randint(3, 8))])


def vocabulary(texts: Iterable[str], dice: random.Random, size: int = 3000) -> list[str]:
    """Words of the texts, for `machine_list`."""
    found = sorted({word.lower() for text in texts for word in _WORD.findall(text[:2000])})
    return dice.sample(found, min(size, len(found)))


def pieces_of(text: str, characters: int) -> Iterator[str]:
    """Pieces of a long text of about so many characters, cut between lines."""
    held: list[str] = []
    size = 0
    for line in text.split("\n"):
        held.append(line)
        size += len(line) + 1
        if size >= characters:
            yield "\n".join(held).strip()
            held, size = [], 0


def _ngrams(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[at : at + NGRAM]) for at in range(len(words) - NGRAM + 1)}
