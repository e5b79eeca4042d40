"""Every command and every Python block in README.md and docs/ runs as printed.

```sh and ```python blocks are executed, ```console blocks (too slow, or needing the network) are
not. Each page runs its blocks in order in its own copy of a folder with a tiny corpus (`stories/`),
tokenizer (`tok.json`), token shards (`tokens/`) and run (`runs/story`); Python blocks with no sh
block between them share their names, as in a notebook.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PREPARATION = """
lilliput corpus stories -n 300 -o stories/ --workers 1
lilliput tokenizer train stories/ -o tok.json --vocabulary-size 512
lilliput tokenize stories/ tok.json -o tokens/ --workers 1
lilliput train tokens/ --name story --train.steps 4 --train.log-every 1 --train.compile no \
    --model.n-layers 2 --model.d-model 32 --model.n-heads 2 --model.n-kv-heads 1 \
    --model.context-length 64 --data.batch-tokens 256
"""
BLOCK_SECONDS = 120

_FENCE = re.compile(r"^( {0,3})(`{3,}|~{3,})[ \t]*([^`\n]*)$")


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` is the line of its first line of code, from 1."""

    language: str
    code: str
    line: int


def blocks(markdown: str) -> Iterator[Block]:
    """The fenced blocks of a page (CommonMark 4.5; also those indented up to three spaces)."""
    opened: re.Match[str] | None = None
    start, code = 0, list[str]()
    for number, line in enumerate(markdown.splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is None:
            if fence:
                opened, start, code = fence, number + 1, []
        elif fence and fence[2].startswith(opened[2]) and not fence[3].strip():
            yield Block((opened[3].split() or [""])[0], "\n".join(code) + "\n", start)
            opened = None
        else:
            indent = len(opened[1])
            code.append(line[indent:] if line[:indent].isspace() else line)
    assert opened is None, f"the block opened at line {start - 1} is not closed"


def _environment() -> dict[str, str]:
    scripts = str(Path(sys.executable).parent)
    return os.environ | {
        "PATH": scripts + os.pathsep + os.environ.get("PATH", ""),
        "LILLIPUT_PROGRESS": "plain",
        "HF_HUB_OFFLINE": "1",
        "PYTHONIOENCODING": "utf-8",
    }


def _run(command: list[str], folder: Path, where: str) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=BLOCK_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.fail(f"{where}: ran for more than {BLOCK_SECONDS} s: make it a console block")
    if done.returncode:
        output = done.stdout.decode("utf-8", "replace")
        pytest.fail(f"{where}: exit code {done.returncode}\n{output}", pytrace=False)


def _run_shell(code: str, folder: Path, page: str, line: int) -> None:
    bash = shutil.which("bash")
    if bash is None or os.name == "nt":
        pytest.skip("the commands of the docs are run with bash")
    # Line numbers are the page's own, in bash's messages too.
    trap = f"trap 'echo \"{page}:$LINENO: this command failed\" >&2' ERR;"
    script = trap + "\n" * (line - 1) + code
    _run([bash, "-e", "-o", "pipefail", "-c", script, page], folder, f"{page}:{line}")


def _run_python(code: list[Block], folder: Path, page: str) -> None:
    """Run Python blocks one after the other in one process, with the page's line numbers."""
    lines: list[str] = []
    for block in code:
        lines += [""] * (block.line - 1 - len(lines)) + block.code.splitlines()
    script = folder / ".page.py"
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    driver = (
        "import sys; source = open('.page.py', encoding='utf-8').read();"
        f"exec(compile(source, {page!r}, 'exec'), {{'__name__': '__main__'}})"
    )
    where = f"{page}:{code[0].line}"
    _run([sys.executable, "-c", driver], folder, where)


def run_page(markdown: str, page: str, folder: Path) -> None:
    """Run the blocks of a page in order; neighbouring Python blocks run as one program."""
    waiting: list[Block] = []
    for block in blocks(markdown):
        if block.language == "python":
            waiting.append(block)
        elif block.language == "sh":
            if waiting:
                _run_python(waiting, folder, page)
                waiting = []
            _run_shell(block.code, folder, page, block.line)
    if waiting:
        _run_python(waiting, folder, page)


def _runnable(page: Path) -> bool:
    found = blocks(page.read_text(encoding="utf-8")) if page.exists() else iter(())
    return any(block.language in ("sh", "python") for block in found)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    _run_shell(PREPARATION, folder, "PREPARATION", 1)
    return folder


@pytest.mark.parametrize(
    "page", [pytest.param(p, id=p.relative_to(ROOT).as_posix()) for p in PAGES if _runnable(p)]
)
def test_the_blocks_of_a_page_run(page: Path, prepared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    shutil.copytree(prepared, folder)
    run_page(page.read_text(encoding="utf-8"), page.relative_to(ROOT).as_posix(), folder)


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in filter(Path.exists, PAGES):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            elsewhere = "://" in target or target.startswith("mailto:")
            if not elsewhere and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def test_blocks_are_found_with_their_lines() -> None:
    markdown = (
        "# T\n\n```sh\necho a\n```\n- item\n   ~~~~ python title\n   x = '```'\n     y\n   ~~~~\n"
    )
    assert list(blocks(markdown)) == [
        Block("sh", "echo a\n", 4),
        Block("python", "x = '```'\n  y\n", 8),
    ]
    with pytest.raises(AssertionError, match="line 1 is not closed"):
        list(blocks("```sh\necho\n"))


def test_a_failing_block_is_named_by_file_and_line(tmp_path: Path) -> None:
    for markdown in ("\n```sh\ntrue\nfalse\n```\n", "\n```sh\ntrue\nfalse | true\n```\n"):
        with pytest.raises(pytest.fail.Exception, match=r"page\.md:4: this command failed"):
            run_page(markdown, "page.md", tmp_path)
    python = "```python\nx = 1\n```\n\n```python\nassert x == 1\nassert x == 2\n```\n"
    with pytest.raises(pytest.fail.Exception, match=r'File "page\.md", line 7'):
        run_page(python, "page.md", tmp_path)


def test_console_blocks_are_not_run_and_sh_blocks_share_the_folder(tmp_path: Path) -> None:
    run_page(
        "```console\n$ false\n```\n```sh\necho hello > a.txt\n```\n"
        "```python\nassert open('a.txt').read() == 'hello\\n'\n```\n```sh\nrm a.txt\n```\n",
        "page.md",
        tmp_path,
    )
    assert not (tmp_path / "a.txt").exists()
