"""The working folder of an unfinished build, beside the corpus: what is done stays done."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lilliput.corpus.building.piece_work import PieceDone, done_path, read_done
from lilliput.corpus.building.recipe import AnyStage
from lilliput.corpus.registry import code_files, settings_of
from lilliput.files import hash_file, read_json, write_json

_MANIFEST_NAME = "build.json"


def fingerprint(facts: Any, stages: Iterable[AnyStage]) -> str:
    """What tells one build from another: inputs and settings (`facts`, JSON) and the code.

    The code is that of this package and of the modules of `stages`; files that settings name (word
    lists, models) count by their size and time.
    """
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode("utf-8"))
    files = set(Path(__file__).parents[1].rglob("*.py"))
    for stage in stages:
        files |= code_files(stage)
        for value in settings_of(stage).values():
            for name in value if isinstance(value, list) else [value]:
                if isinstance(name, str) and Path(name).is_file():
                    known = Path(name).stat()
                    digest.update(f"{name} {known.st_size} {known.st_mtime_ns}\n".encode())
    for path in sorted(files):
        digest.update(f"{path.name} {hash_file(path)}\n".encode())
    return digest.hexdigest()


class WorkingFolder:
    """`.NAME.building` beside the corpus folder NAME, with one folder a pass."""

    def __init__(self, corpus: Path) -> None:
        corpus = corpus.absolute()
        self.path = corpus.with_name(f".{corpus.name}.building")

    def begin(self, made_by: str) -> bool:
        """Make the folder for the build of that fingerprint; whether there was work of it."""
        manifest = self.path / _MANIFEST_NAME
        if manifest.is_file() and read_json(manifest).get("fingerprint") == made_by:
            return True
        self.remove()
        self.path.mkdir(parents=True)
        write_json(manifest, {"fingerprint": made_by})
        return False

    def remove(self) -> None:
        """Remove the folder with all in it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def of_pass(self, number: int) -> Path:
        """The folder of a pass, made if it is not there."""
        folder = self.path / f"pass-{number}"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def output(self) -> Path:
        """Where the corpus is written before it is moved to its place; empty."""
        folder = self.path / "corpus"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder


def unfinished(folder: Path, pieces: int) -> list[int]:
    """The pieces that a pass has not done."""
    return [number for number in range(pieces) if not done_path(folder, number).is_file()]


def finished(folder: Path, pieces: int) -> list[PieceDone]:
    """What a pass left of every piece, in order."""
    return [read_done(folder, number) for number in range(pieces)]


def forget_documents(folder: Path, pieces: Sequence[PieceDone]) -> None:
    """Remove a pass's documents and sketches, which a later pass replaces; its counts stay."""
    for piece in pieces:
        for segment in (*piece.segments, *piece.sketches):
            (folder / segment.name).unlink(missing_ok=True)
