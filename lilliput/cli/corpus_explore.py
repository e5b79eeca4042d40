"""`lilliput corpus explore`: which metric tells good documents from bad, and where to cut."""

from pathlib import Path

import click

from lilliput.cli.output import json_option
from lilliput.errors import UserError


@click.command()
@click.argument("good")
@click.argument("bad")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("thresholds.html"),
    show_default=True,
    help="The page to write; the numbers go beside it as .json.",
)
@click.option(
    "--most-good-lost",
    type=float,
    default=0.05,
    show_default=True,
    help="Share of good documents that a suggested rule may drop.",
)
@click.option("--text-field", default="text", show_default=True, help="Field that holds the text.")
@click.option("--offline", is_flag=True, envvar="LILLIPUT_OFFLINE", help="Never fetch anything.")
@json_option
def command(
    good: str,
    bad: str,
    output: Path,
    most_good_lost: float,
    text_field: str,
    offline: bool,
    as_json: bool,
) -> None:
    """Compare a GOOD and a BAD set of documents by some fifty metrics.

    Each metric gets its histogram on both sets, the distance between them and a suggested
    threshold, on a page with a slider for each. Numeric columns of the corpora (quality,
    bits_per_byte) are compared too.

    \b
    Example:
      lilliput corpus explore books/ crawl.jsonl -o thresholds.html
    """
    from dataclasses import asdict

    from lilliput.corpus.quality.explorer import explore
    from lilliput.corpus.quality.explorer_page import explorer_page
    from lilliput.corpus.readers import read_documents
    from lilliput.files import write_json, write_text
    from lilliput.quantities import number

    if output.suffix != ".html":
        raise UserError(f"{output}: name a page to write, such as thresholds.html")
    comparison = explore(
        read_documents([good], text_field=text_field, offline=offline),
        read_documents([bad], text_field=text_field, offline=offline),
        most_good_lost=most_good_lost,
    )
    write_text(output, explorer_page(comparison, good=good, bad=bad))
    numbers = asdict(comparison)
    write_json(output.with_suffix(".json"), numbers)
    if as_json:
        import json

        click.echo(json.dumps(numbers, ensure_ascii=False))
        return
    click.echo(f"{'metric':<30} distance  rule")
    for metric in comparison.metrics[:15]:
        rule = metric.suggestion
        said = "none"
        if rule is not None:
            said = (
                f"drop {rule.drop} {number(rule.threshold)}: "
                f"{rule.bad_dropped:.1%} of bad, {rule.good_lost:.1%} of good"
            )
        click.echo(f"{metric.name:<30} {metric.distance:8.3f}  {said}")
    click.echo(f"\n{output}: all {len(comparison.metrics)} metrics with sliders")
