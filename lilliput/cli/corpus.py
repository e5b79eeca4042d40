"""`lilliput corpus`: make a corpus. Each command's module is imported when it is used."""

import importlib

import click

_COMMANDS = {
    "annotate": "lilliput.cli.corpus_annotate",
    "build": "lilliput.cli.corpus_build",
    "report": "lilliput.cli.corpus_report",
    "classifier": "lilliput.cli.corpus_classifier",
    "explore": "lilliput.cli.corpus_explore",
    "stories": "lilliput.cli.corpus_stories",
}


class _CorpusGroup(click.Group):
    def list_commands(self, context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        found = importlib.import_module(_COMMANDS[name]).command
        assert isinstance(found, click.Command)
        return found


@click.group(cls=_CorpusGroup)
def command() -> None:
    """Make a corpus: build it from files, or generate stories."""
