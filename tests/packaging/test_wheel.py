"""The built wheel holds everything: code, types marker, recipes, C and pages."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_wheel_works_away_from_the_repository(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(tmp_path)]
    subprocess.run([*build, str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("lilliput-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "installed")
    code = {path.relative_to(ROOT).as_posix() for path in (ROOT / "lilliput").rglob("*.py")}
    others = {
        path.relative_to(ROOT).as_posix()
        for ending in ("*.toml", "*.c", "*.js", "*.html", "*.css", "*.svg")
        for path in (ROOT / "lilliput").rglob(ending)
    }
    assert {Path(name).suffix for name in others} >= {".toml", ".c", ".js", ".html", ".css"}
    assert code | others | {"lilliput/py.typed"} <= names
    assert any(name.endswith("/LICENSE") for name in names)
    program = (
        "import sys, lilliput; from lilliput.verbs.training import recipe_of; "
        "assert 'installed' in lilliput.__file__, lilliput.__file__; "
        "assert recipe_of('story', {}).data.batch_tokens == 2048"
    )
    subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
    )
