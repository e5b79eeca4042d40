"""`lilliput serve`: an OpenAI-compatible API and the studio."""

from pathlib import Path

import click

from lilliput.cli.generate import backend_option, device_option, load_with

_BACKLOG = 2048


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, help="Port; 0 takes a free one.")
@click.option(
    "--api-key",
    "keys",
    multiple=True,
    envvar="LILLIPUT_API_KEY",
    show_envvar=True,
    help="Demand this key (repeatable); needed on any address but this machine's own.",
)
@click.option(
    "--allow-origin",
    "origins",
    multiple=True,
    help="Let web pages of this origin use the server, as https://example.org (repeatable).",
)
@click.option("--rows", default=256, show_default=True, help="Most answers written at once.")
@click.option("--queue", default=256, show_default=True, help="Most answers that wait; then 503.")
@click.option("--max-tokens", default=4096, show_default=True, help="Most tokens of one answer.")
@click.option("--timeout", default=600.0, show_default=True, help="Seconds for one request.")
@click.option("--drain", default=30.0, show_default=True, help="Seconds to finish when stopped.")
@click.option("--runs", type=click.Path(path_type=Path), help="Training runs the studio shows.")
@click.option("--corpus", type=click.Path(path_type=Path), help="A corpus the studio shows.")
@backend_option
@device_option
def command(
    models: tuple[str, ...],
    host: str,
    port: int,
    keys: tuple[str, ...],
    origins: tuple[str, ...],
    rows: int,
    queue: int,
    max_tokens: int,
    timeout: float,
    drain: float,
    runs: Path | None,
    corpus: Path | None,
    backend: str,
    device: str,
) -> None:
    """Serve MODELS (model folders or runs' folders, each as PATH or NAME=PATH).

    Programs find OpenAI's API at /v1, people the studio at /. Ctrl-C or SIGTERM lets answers end
    and stops.

    \b
    Example:
      lilliput serve runs/story
      lilliput serve small=runs/story big=runs/tales --port 9000
    """
    from lilliput.serve.limits import Limits
    from lilliput.serve.naming import named_folders
    from lilliput.serve.security import Access, check_origins
    from lilliput.serve.server import address_of, bind, serve
    from lilliput.serve.studio import StudioSettings

    access = Access(host=host, keys=keys, origins=check_origins(origins))
    limits = Limits(
        rows=rows,
        queue=queue,
        max_tokens=max_tokens,
        request_seconds=timeout,
        drain_seconds=drain,
    )
    folders = named_folders(models)
    with bind(host, port) as listener:
        loaded = {
            name: load_with(folder, device, backend, rows=rows) for name, folder in folders.items()
        }
        listener.listen(_BACKLOG)  # who reads the address may come before the server has started
        address = address_of(listener)
        click.echo(f"serving {', '.join(loaded)}: API {address}/v1, studio {address}/")
        studio = StudioSettings(runs=runs, corpus=corpus)
        serve(loaded, listener, access=access, limits=limits, studio=studio)
