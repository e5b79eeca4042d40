"""`lilliput corpus classifier`: train and show classifiers of texts."""

from pathlib import Path
from typing import Any

import click

from lilliput.cli.output import json_option, print_facts
from lilliput.errors import UserError


@click.group()
def command() -> None:
    """Train a classifier of texts on examples, and look at it."""


@command.command()
@click.option("--good", multiple=True, metavar="SRC", help="Files or folders of good documents.")
@click.option("--bad", multiple=True, metavar="SRC", help="Files or folders of bad documents.")
@click.option("--class", "classes", multiple=True, metavar="NAME=SRC", help="Any other class.")
@click.option("--labelled", multiple=True, metavar="SRC", help="Documents whose column tells.")
@click.option("--column", default=None, help="With --labelled: the column that names the class.")
@click.option(
    "--good-from",
    type=float,
    default=None,
    metavar="N",
    help="With --labelled: the column holds numbers, and N and more is good.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="The folder to write."
)
@click.option("--text-field", default="text", show_default=True, help="Field that holds the text.")
@click.option("--longest-ngram", type=int, default=2, show_default=True, help="Words, at most.")
@click.option(
    "--held-out", type=float, default=0.1, show_default=True, help="Share kept for measuring."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--offline", is_flag=True, envvar="LILLIPUT_OFFLINE", help="Never fetch anything.")
@json_option
def train(
    good: tuple[str, ...],
    bad: tuple[str, ...],
    classes: tuple[str, ...],
    labelled: tuple[str, ...],
    column: str | None,
    good_from: float | None,
    output: Path,
    text_field: str,
    longest_ngram: int,
    held_out: float,
    seed: int,
    offline: bool,
    as_json: bool,
) -> None:
    """Train a classifier that tells good documents from bad, or any classes apart.

    \b
    Example:
      lilliput corpus classifier train --good books/ --bad crawl.jsonl -o model/
      lilliput corpus classifier train --class law=laws/ --class news=news/ -o topics/
      lilliput corpus classifier train --labelled sample/ --column education --good-from 3 -o edu/
    """
    from lilliput.corpus.quality.examples import examples_by_column, texts_of_sources
    from lilliput.corpus.quality.training import TrainingSettings, train_classifier

    named = [("good", source) for source in good] + [("bad", source) for source in bad]
    for given in classes:
        name, separator, source = given.partition("=")
        if not separator or not name or not source:
            raise UserError(f"--class {given}: write NAME=SRC")
        named.append((name, source))
    if bool(labelled) == bool(named) or bool(labelled) != (column is not None):
        raise UserError("give --good and --bad, or --class NAME=SRC, or --labelled with --column")
    settings = TrainingSettings(longest_ngram=longest_ngram, held_out=held_out, seed=seed)
    if labelled:
        assert column is not None
        examples: dict[str, Any] = dict(
            examples_by_column(
                labelled, column, good_from=good_from, text_field=text_field, offline=offline
            )
        )
    else:
        examples = {
            name: texts_of_sources(
                [source for other, source in named if other == name],
                text_field=text_field,
                offline=offline,
            )
            for name in dict.fromkeys(name for name, _ in named)
        }
    trained = train_classifier(examples, settings)
    trained.save(output)
    _show(output, as_json)


@command.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--text", multiple=True, help="Classify this text instead.")
@json_option
def show(model: Path, text: tuple[str, ...], as_json: bool) -> None:
    """What a classifier's folder says: how sure it is, and by what.

    \b
    Example:
      lilliput corpus classifier show model/
      lilliput corpus classifier show model/ --text "Click here to win"
    """
    if not text:
        _show(model, as_json)
        return
    from lilliput.corpus.quality.classifier import load_classifier

    classifier = load_classifier(model)
    for one, chances in zip(text, classifier.probabilities(text).tolist(), strict=True):
        found = dict(zip(classifier.classes, chances, strict=True))
        print_facts({"text": one, **found}, as_json)


def _show(model: Path, as_json: bool) -> None:
    from lilliput.corpus.quality.classifier import load_classifier

    classifier = load_classifier(model)
    facts = classifier.facts
    if as_json:
        print_facts({"model": str(model), "classes": classifier.classes, **facts}, as_json)
        return
    held = facts["held_out"]
    print_facts(
        {
            "model": str(model),
            "classes": classifier.classes,
            "examples": {
                name: one["training_examples"] + one["held_out_examples"]
                for name, one in facts["examples"].items()
            },
            "held out": held["examples"],
            "accuracy": held["accuracy"],
            "area under curve": held["auc"],
            "log loss (nats)": held["log_loss"],
            "calibration error": held["calibration_error"],
        },
        as_json,
    )
    click.echo("\nSaid to be · was (held out)")
    for one in held["calibration"]:
        share = f"{one['low']:.0%}-{one['high']:.0%}"
        click.echo(f"  {share:>9}  {one['observed']:6.1%}  of {one['examples']:,}")
    if "thresholds" in facts:
        click.echo("\nWhat keep_above would keep (held out)")
        for row in facts["thresholds"]:
            kept = ", ".join(
                f"{name.removesuffix('_kept')} {value:.1%}"
                for name, value in row.items()
                if name != "keep_above"
            )
            click.echo(f"  {row['keep_above']:<5g} {kept}")
    for name, grams in facts["telling"].items():
        click.echo(f"\nTells {name}: {' · '.join(grams)}")
