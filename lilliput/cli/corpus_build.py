"""`lilliput corpus build`: from files to a corpus folder."""

from pathlib import Path

import click

from lilliput.cli.output import json_option, print_facts


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SRC…|corpus.toml")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("corpus"),
    show_default=True,
    help="The corpus folder to write.",
)
@click.option("--preset", help="Stages for a kind of text: web, wiki, books, qa, records or code.")
@click.option("--stage", "stages", multiple=True, metavar="NAME", help="Add a stage (repeatable).")
@click.option(
    "--without", multiple=True, metavar="NAME", help="Leave out a stage of the preset (repeatable)."
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="STAGE.FIELD=VALUE",
    help="Change a setting of a stage, or of the mixing: mixing.order=shuffled (repeatable).",
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: every core]")
@click.option("--memory", metavar="SIZE", help='Most memory to use, as "2GB".')
@click.option(
    "--executor",
    default="local",
    show_default=True,
    metavar="ENGINE[:ADDRESS]",
    help="Where the work is done: local, ray, dask, spark or slurm (docs/scale-out.md).",
)
@click.option("--dry-run", is_flag=True, help="Try a sample and predict the rest; write nothing.")
@click.option("--license", "license_name", help="Licence of the sources named here.")
@click.option("--text-field", default="text", show_default=True, help="Field that holds the text.")
@click.option(
    "--template",
    metavar="TEXT",
    help='Text of a row of a table: "{age}-year-old {job}: {note}", or lines.',
)
@click.option("--offline", is_flag=True, envvar="LILLIPUT_OFFLINE", help="Never fetch anything.")
@click.option("--overwrite", is_flag=True, help="Replace a corpus made with other settings.")
@click.option("--no-report", is_flag=True, help="Write no report.html.")
@json_option
def command(
    sources: tuple[str, ...],
    output: Path,
    preset: str | None,
    stages: tuple[str, ...],
    without: tuple[str, ...],
    changes: tuple[str, ...],
    workers: int | None,
    memory: str | None,
    executor: str,
    dry_run: bool,
    license_name: str | None,
    text_field: str,
    template: str | None,
    offline: bool,
    overwrite: bool,
    no_report: bool,
    as_json: bool,
) -> None:
    """Read files, folders, tables, dumps or datasets into a corpus folder; filter and deduplicate.

    Text, Markdown, HTML, JSON lines, CSV, Parquet, WARC, MediaWiki dumps (plain or compressed),
    folders of them, other corpus folders, and datasets by name (owner/name; needs pip install
    'lilliput[hub]'). Without a preset or stages, documents are taken as they are. A recipe file
    (corpus.toml) lists sources, stages and mixing. A stopped build goes on where it was when the
    same command is given again.

    \b
    Example:
      lilliput corpus build notes.txt articles/ -o corpus/
      lilliput corpus build crawl/ --preset web --set gopher_quality.fewest_words=30
      lilliput corpus build corpus.toml --dry-run
    """
    from dataclasses import asdict

    from lilliput.corpus.build import build
    from lilliput.corpus.building.executors import executor_of
    from lilliput.corpus.building.funnel import funnel_facts, funnel_lines
    from lilliput.verbs.corpus_building import predict_build, prediction_facts, recipe_of

    tables = {"preset": preset, "memory": memory}
    recipe = recipe_of(
        sources,
        {key: value for key, value in tables.items() if value is not None},
        {"text_field": text_field, "template": template, "license": license_name},
        stages=stages,
        without=without,
        changes=changes,
    )
    if dry_run:
        prediction = predict_build(recipe, workers=workers, offline=offline)
        print_facts(asdict(prediction) if as_json else prediction_facts(prediction), as_json)
        return
    with executor_of(executor, output, workers) as engine:
        built = build(
            recipe,
            output,
            workers=workers,
            offline=offline,
            overwrite=overwrite,
            report=not no_report,
            executor=engine,
        )
    facts = {
        "corpus": str(output),
        "documents": built.manifest.documents,
        "bytes": built.manifest.bytes,
        "dropped": dict(built.manifest.dropped),
        "hash": built.manifest.hash,
    }
    if built.report is not None:
        facts["report"] = str(built.report)
    if as_json:
        print_facts({**facts, "funnel": funnel_facts(built.record)}, as_json)
        return
    if len(built.record.stages) > 1:
        facts.pop("dropped")
        for line in funnel_lines(built.record):
            click.echo(line)
        click.echo()
    print_facts(facts, as_json)
