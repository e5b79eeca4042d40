"""`lilliput serve`: names, addresses, and what it refuses before it loads anything."""

import socket
from pathlib import Path

import pytest

from lilliput.cli import main
from lilliput.errors import UserError
from lilliput.serve.limits import Limits
from lilliput.serve.naming import named_folders
from lilliput.serve.server import address_of, bind


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["{folder}", "--host", "0.0.0.0"], "--api-key"),
        (["{folder}", "--port", "{taken}"], "cannot listen on 127.0.0.1 port {taken}"),
        (["{folder}", "--host", "nowhere.invalid", "--api-key", "x"], "cannot listen"),
        (["{folder}", "--rows", "0"], "rows is 0"),
        (["{folder}", "--allow-origin", "example.org"], "--allow-origin example.org"),
        (["{folder}", "{folder}"], "two models are called tiny"),
        (["absent"], "absent: no such folder"),
        (["=x"], "NAME=PATH"),
        ([], "MODELS"),
    ],
)
def test_mistakes_are_told_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    with bind("127.0.0.1", 0) as listener:
        listener.listen()
        taken = str(listener.getsockname()[1])
        told = {"folder": str(folder), "taken": taken}
        with pytest.raises(SystemExit) as ended:
            main(["serve", *(option.format(**told) for option in options)])
    assert ended.value.code == 2
    assert message.format(**told) in capsys.readouterr().err


def test_models_are_named_after_their_runs_or_as_one_likes(tmp_path: Path) -> None:
    for place in ("story/model", "plain", "odd=name"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "config.json").write_text("{}", encoding="utf-8")
    given = [tmp_path / "story", f"mine={tmp_path / 'plain'}", tmp_path / "odd=name"]
    assert named_folders(map(str, given)) == {
        "story": tmp_path / "story" / "model",
        "mine": tmp_path / "plain",
        "odd=name": tmp_path / "odd=name",
    }


def test_a_model_with_an_adapter_is_named_after_both(tmp_path: Path) -> None:
    model, adapter = tmp_path / "runs+1" / "story", tmp_path / "adapters" / "poems"
    for place in (model / "model", adapter):
        place.mkdir(parents=True)
        (place / "config.json").write_text("{}", encoding="utf-8")
    given = [str(model), f"{model}+{adapter}", f"odes={model}+{adapter}"]
    assert named_folders(given) == {
        "story": model / "model",
        "story+poems": Path(f"{model / 'model'}+{adapter}"),
        "odes": Path(f"{model / 'model'}+{adapter}"),
    }


def test_answers_are_sent_at_once() -> None:
    """asyncio turns off Nagle's delay only on sockets that name their protocol."""
    with bind("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
        assert address_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_limits_are_above_nothing() -> None:
    with pytest.raises(UserError, match="queue is 0"):
        Limits(queue=0)
