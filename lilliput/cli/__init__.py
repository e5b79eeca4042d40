"""The command line: `lilliput VERB …`, one thin function a command, no logic."""

import importlib
import sys

import click

from lilliput.errors import UserError, WorkFailed

# Verb → one line of help. The module `lilliput.cli.<verb>` holds the command and is imported only
# when the verb is used, so that `lilliput --help` stays instant.
VERBS = {
    "demo": "The whole pipeline on the embedded corpus, in minutes on 2 cores.",
    "corpus": "Make a corpus: build from files, or generate stories.",
    "tokenizer": "Train, compare and show tokenizers.",
    "tokenize": "Turn a corpus into token shards.",
    "families": "List the families of models, or draw one.",
    "plan": "Predict what a run will be and cost, before starting it.",
    "train": "Train a model from token shards, within a budget.",
    "resume": "Go on with a run that was stopped.",
    "generate": "Continue a prompt.",
    "chat": "Talk with a model in the terminal.",
    "serve": "Serve models: an OpenAI-compatible API and the studio's pages.",
    "score": "Log-probability of a text under a model.",
    "eval": "Measure a model: bits per byte on text.",
    "quantise": "Make a model smaller: weights of 8 or 4 bits, measured.",
    "bench": "Measure how fast a model writes here, against this machine's limits.",
    "export": "Write a model for llama.cpp, ONNX, C or transformers, and prove it.",
    "import": "Turn a GGUF file into a model folder.",
}


_MODULES = {"import": "import_model"}  # "import" is a word of Python's


class _Verbs(click.Group):
    def list_commands(self, context: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command = importlib.import_module(f"lilliput.cli.{_MODULES.get(name, name)}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lilliput")
def command() -> None:
    """Grow tiny language models from your own text, on your own machine.

    Start with `lilliput demo`; every verb has --help with an example.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit 0 done, 1 the work failed, 2 the user's mistake, 130 stopped."""
    for stream in (sys.stdout, sys.stderr):
        # A console with a narrow code page (Windows) must not turn a story into a traceback.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        command.main(args=arguments, prog_name="lilliput", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    except WorkFailed as error:
        click.echo(f"failed: {error}", err=True)
        sys.exit(1)
    except OSError as error:  # a full disk, a missing permission: not a defect of ours either
        click.echo(f"failed: {error}", err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(130)
