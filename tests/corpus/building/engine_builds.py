"""A small build on an engine, as a program: `engine_builds.py ENGINE SOURCE SECONDS [POISONED]`.

Each batch takes SECONDS and leaves a file in `log`. With a poisoned source that is built first, on
the same engine, and what is raised is printed. Errors are printed as the command line does.
"""

import functools
import os
import signal
import sys

import building_stages
from building_inputs import PIECE_BYTES

import lilliput.corpus.build as build_module
from lilliput.corpus import readers
from lilliput.corpus.building.executor import Executor
from lilliput.corpus.building.executors import executor_of, slurm_array
from lilliput.corpus.building.recipe import BuildRecipe, stages_given
from lilliput.corpus.mixing import Mixing
from lilliput.corpus.readers import Source
from lilliput.errors import UserError, WorkFailed


def build(executor: Executor | None, folder: str, source: str, seconds: float) -> None:
    """Two passes, a stage named by its module, a shuffle; paths are relative."""
    own = [
        building_stages.Shorter(4),
        building_stages.Slow("log", seconds),
        "building_stages:broken",
        building_stages.FirstWordOnce(),
    ]
    stages = stages_given([*own, "building_stages:graded"])
    recipe = BuildRecipe((Source(source),), stages, mixing=Mixing(order="shuffled"))
    build_module.build(recipe, folder, executor=executor, workers=2)


def main(engine: str, source: str, seconds: str, *poisoned: str) -> None:
    build_module.cut = functools.partial(readers.cut, piece_bytes=PIECE_BYTES)
    slurm_array._PATIENCE_SECONDS = float(os.environ.get("PATIENCE", 120))
    with executor_of(engine, "corpus", 2) as executor:
        for name in poisoned:
            try:
                build(executor, "never", name, 0)
            except WorkFailed as error:
                print(error)
        build(executor, "corpus", source, float(seconds))


if __name__ == "__main__":
    # A shell's background jobs, the tests perhaps among them, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        main(*sys.argv[1:])
    except (UserError, WorkFailed) as error:
        sys.exit(f"error: {error}")
