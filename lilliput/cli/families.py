"""`lilliput families`: what there is to choose from, and a drawing of any of it."""

import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import click

from lilliput.cli.output import CommandFunction, json_option

_NARROWEST, _WIDEST = 80, 120
_VOCABULARY = 8192


def _vocabulary_option(command: CommandFunction) -> CommandFunction:
    return click.option(
        "--vocabulary",
        type=click.IntRange(min=1),
        default=_VOCABULARY,
        show_default=True,
        help="Tokens that the embedding is counted with.",
    )(command)


class _ListsByDefault(click.Group):
    """A group whose command `list` may be left out: `lilliput families rotary`."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        known = (*self.commands, *self.get_help_option_names(context))
        return super().parse_args(context, args if args and args[0] in known else ["list", *args])


@click.group(cls=_ListsByDefault)
def command() -> None:
    """The families of models: list them (all, or those that match), or draw one.

    \b
    Example:
      lilliput families
      lilliput families rotary experts
      lilliput families --exports-to gguf
      lilliput families show mixtral --size m
    """


@command.command("list")
@click.argument("words", nargs=-1, metavar="[WORD…]")
@click.option("--exports-to", metavar="FORMAT", help="transformers, gguf, onnx or single-file.")
@_vocabulary_option
@json_option
def list_command(
    words: tuple[str, ...], exports_to: str | None, vocabulary: int, as_json: bool
) -> None:
    """List the families in which every WORD occurs (the name `list` may be left out).

    \b
    Example:
      lilliput families list layernorm --exports-to gguf --json
    """
    from lilliput.verbs.families import list_families
    from lilliput.verbs.family_text import families_text

    found = list_families(words, exports_to=exports_to, vocabulary_size=vocabulary)
    if as_json:
        rows = [asdict(one) for one in found]
        facts = {"vocabulary_size": vocabulary, "families": rows}
        click.echo(json.dumps(facts, ensure_ascii=False))
    else:
        click.echo(families_text(found, _width(), vocabulary))


@command.command()
@click.argument("name")
@click.option("--size", default="m", show_default=True, help="xs, s, m, l or xl.")
@_vocabulary_option
@click.option(
    "--svg", type=click.Path(path_type=Path, dir_okay=False), help="Write the drawing here too."
)
@json_option
def show(name: str, size: str, vocabulary: int, svg: Path | None, as_json: bool) -> None:
    """Draw a family's block with the parameters of every part, and say what makes it special.

    \b
    Example:
      lilliput families show mixtral --size m --svg mixtral.svg
    """
    from lilliput.files import write_text
    from lilliput.report.diagram_svg import svg_drawing
    from lilliput.verbs.families import show_family
    from lilliput.verbs.family_text import family_text

    shown = show_family(name, size, vocabulary_size=vocabulary)
    if svg is not None:
        write_text(svg, svg_drawing(shown.diagram) + "\n")
        click.echo(f"wrote {svg}", err=True)
    if as_json:
        click.echo(json.dumps(shown.values(), ensure_ascii=False))
    else:
        click.echo(family_text(shown, _width(), sys.stdout.encoding))


@command.command(hidden=True)
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def page(path: Path) -> None:
    """Bring the tables of docs/families.md, and its drawing beside it, up to date.

    \b
    Example:
      lilliput families page docs/families.md
    """
    from lilliput.files import write_text
    from lilliput.report.diagram_svg import svg_drawing
    from lilliput.verbs.families import show_family
    from lilliput.verbs.family_text import DRAWN, filled_page

    write_text(path, filled_page(path.read_text(encoding="utf-8")))
    drawing = path.with_suffix(".svg")
    write_text(drawing, svg_drawing(show_family(*DRAWN).diagram) + "\n")
    click.echo(f"wrote {path} and {drawing}")


def _width() -> int:
    """The terminal's width within what the texts are laid out for."""
    return max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size().columns))
