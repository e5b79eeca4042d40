"""TensorBoard events, read back by TensorBoard itself."""

import sys
from pathlib import Path

import pytest

from lilliput.errors import UserError
from lilliput.training.tensorboard import tensorboard_writer


def test_records_become_curves_and_texts(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with tensorboard_writer(tmp_path) as writer:
        for step, loss in ((10, 3.0), (20, float("nan")), (30, 2.5)):
            rates = {"muon": 0.02}
            writer.record(
                {"kind": "step", "step": step, "loss": loss, "learning_rate": rates, "joules": None}
            )
        writer.record({"kind": "validation", "step": 30, "bits_per_byte": 1.25})
        writer.record({"kind": "sample", "step": 30, "prompt": "Once", "text": " upon"})
        writer.record({"kind": "event", "step": 30, "message": "interrupted"})
    events = accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert sorted(events.Tags()["scalars"]) == [
        "train/learning_rate/muon",
        "train/loss",
        "validation/bits_per_byte",
    ]
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [
        (10, 3.0),
        (30, 2.5),
    ]
    (sample,) = events.Tensors("sample/text_summary")
    assert sample.step == 30
    assert sample.tensor_proto.string_val == [b"**Once** upon"]


def test_without_tensorboard_the_user_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match="pip install"), tensorboard_writer(tmp_path):
        pass
