"""`lilliput corpus report`: look at a corpus."""

from pathlib import Path

import click

from lilliput.cli.output import json_option, print_facts


@click.command("report")
@click.argument("folder", type=click.Path(path_type=Path), metavar="CORPUS")
@json_option
def command(folder: Path, as_json: bool) -> None:
    """Write report.html and report.json of a corpus folder.

    The page shows what a build dropped and why, and what the corpus holds: lengths, languages,
    readability, words, topics, copies, licences. It needs nothing but a browser.

    \b
    Example:
      lilliput corpus report corpus/
    """
    from lilliput.corpus.corpus_report import write_corpus_report
    from lilliput.files import read_json

    report = write_corpus_report(folder)
    facts = read_json(folder / "report.json")
    profile = facts["profile"]
    print_facts(
        {
            "report": str(report),
            "documents": facts["documents"],
            "bytes": facts["bytes"],
            "words": profile["words"],
            "different_words": profile["vocabulary"]["distinct"],
            "copies": profile["copies"]["repeats"],
        },
        as_json,
    )
