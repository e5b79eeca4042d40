"""A model folder → an ONNX folder that transformers.js, optimum and onnxruntime run."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lilliput.errors import UserError, WorkFailed
from lilliput.export.onnx.graph import (
    FLOAT_ACTIVATIONS,
    INT8_ACTIVATIONS,
    OPERATOR_SET,
    FloatMatrices,
    FourBitMatrices,
    decoder_model,
)
from lilliput.export.onnx.quantise import quantise
from lilliput.export.parity import (
    F32_TOLERANCE,
    Agreement,
    bits_per_byte_of,
    compare,
    model_logits,
    probe_ids,
    proof_facts,
    written_ids,
)
from lilliput.export.source import (
    Matrix,
    Shape,
    Weights,
    folder_with,
    read_shape,
    read_weights,
)
from lilliput.files import atomic_path, read_json, write_json

Kind = Literal["f32", "int4"]
FILE_OF_KIND: dict[Kind, str] = {"f32": "model.onnx", "int4": "model_q4.onnx"}
_BROWSER_NAME_OF_KIND: dict[Kind, str] = {"f32": "fp32", "int4": "q4"}
_OLDEST_ONNX, _OLDEST_RUNTIME = (1, 18), (1, 23)
_COPIED = (
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)
# What int8 activations may do to the largest logit's share; a wrong graph is far beyond it.
INT8_TOLERANCE = 0.2
_PROBE_PREFILL, _PROBE_TOKENS = 24, 40
# A protobuf message holds at most 2 GiB; larger models keep their weights in a file beside.
_LARGEST_MESSAGE = 1_900_000_000
_SMALLEST_OUTSIDE = 1024


@dataclass(frozen=True)
class OnnxExport:
    """An ONNX model that was written, loaded again and compared.

    `bits_per_weight` counts the whole file over the model's parameters. `computation` compares
    onnxruntime with our decoder on the same (rounded) weights, prefill and cached steps, with
    float activations; `model` compares the file as it is with the model as it was, on ids the
    model writes: the price of rounding weights and activations for int4.
    """

    path: Path
    kind: Kind
    size: int
    parameters: int
    bits_per_weight: float
    computation: Agreement
    model: Agreement
    bits_per_byte: tuple[float, float] | None

    def facts(self) -> dict[str, Any]:
        """The result as plain values, for a command to print."""
        return {"path": str(self.path), "kind": self.kind, "bytes": self.size} | proof_facts(self)


def write_onnx(
    model_folder: Path | str,
    target: Path | str,
    *,
    kind: Kind = "f32",
    texts: Sequence[str] = (),
) -> OnnxExport:
    """Write `target`/onnx/model.onnx (int4: model_q4.onnx), config.json and the tokenizer's files.

    Both kinds can live in one folder. int4 rounds every matrix, embedding and output head
    included, to four bits in blocks of 32; norms stay float32. The graph is run by onnxruntime
    before it takes its place; what was there before stays if anything fails. `texts`: what the
    bits per byte of the model and of the file are measured on.
    Raises UserError for a model of another class or if onnx or onnxruntime are not installed;
    WorkFailed if onnxruntime's logits are not the model's.
    """
    _require_packages()
    if kind not in FILE_OF_KIND:
        raise UserError(f"ONNX kind {kind!r} is unknown: choose {' or '.join(FILE_OF_KIND)}")
    folder, target = Path(model_folder), Path(target)
    shape = read_shape(folder)
    weights = read_weights(folder, shape)
    path = target / "onnx" / FILE_OF_KIND[kind]
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as staging:
        staged = Path(staging) / path.name
        prove = _write_float if kind == "f32" else _write_four_bit
        computation, against_model = prove(folder, shape, weights, staged)
        bits = bits_per_byte_of(folder, partial(_onnx_logits, staged, shape), texts)
        files = sorted(Path(staging).iterdir(), reverse=True)  # the weights before the graph
        size = sum(file.stat().st_size for file in files)
        _copy_beside(folder, target, kind, outside=len(files) > 1)
        for file in files:
            with atomic_path(path.parent / file.name) as temporary:
                file.replace(temporary)
    parameters = sum(tensor.size for tensor in weights.values())
    return OnnxExport(
        path, kind, size, parameters, 8 * size / parameters, computation, against_model, bits
    )


def _write_float(
    folder: Path, shape: Shape, weights: Weights, path: Path
) -> tuple[Agreement, Agreement]:
    _write_model(decoder_model(shape, weights, FloatMatrices(weights)), path)
    ids = probe_ids(shape, _PROBE_TOKENS)
    agreement = compare(_onnx_logits(path, shape, ids), model_logits(folder, ids))
    _check(agreement, F32_TOLERANCE)
    return agreement, _on_written_ids(folder, shape, path)


def _write_four_bit(
    folder: Path, shape: Shape, weights: Weights, path: Path
) -> tuple[Agreement, Agreement]:
    """First with float activations, which must be exact, then as it stays."""
    rounded = {name: quantise(tensor) for name, tensor in weights.items() if tensor.ndim == 2}
    ids = probe_ids(shape, _PROBE_TOKENS)
    with folder_with(folder, weights | {n: matrix.values for n, matrix in rounded.items()}) as copy:
        expected = model_logits(copy, ids)
    found = []
    for accuracy in (FLOAT_ACTIVATIONS, INT8_ACTIVATIONS):
        _write_model(decoder_model(shape, weights, FourBitMatrices(rounded, accuracy)), path)
        found.append(_onnx_logits(path, shape, ids))
    computation = compare(found[0], expected)
    _check(computation, F32_TOLERANCE)
    _check(compare(found[1], expected), INT8_TOLERANCE)
    return computation, _on_written_ids(folder, shape, path)


def _on_written_ids(folder: Path, shape: Shape, path: Path) -> Agreement:
    ids = written_ids(folder, _PROBE_TOKENS)
    return compare(_onnx_logits(path, shape, ids), model_logits(folder, ids))


def onnx_session(path: Path) -> Any:
    """An onnxruntime session of the file, on one CPU thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def session_logits(session: Any, shape: Shape, ids: Sequence[int], pieces: Sequence[int]) -> Matrix:
    """Logits [T, V] of ids given in pieces of these lengths, through the key-value inputs."""
    empty = np.zeros((1, shape.n_kv_heads, 0, shape.head_dim), np.float32)
    names = [value.name for value in session.get_outputs()]
    past = {name.replace("present", "past_key_values"): empty for name in names[1:]}
    done, rows = 0, []
    for length in pieces:
        inputs = {
            "input_ids": np.array([ids[done : done + length]], np.int64),
            "attention_mask": np.ones((1, done + length), np.int64),
            "position_ids": np.arange(done, done + length)[None],
        }
        logits, *present = session.run(names, inputs | past)
        past = dict(zip(past, present, strict=True))
        rows.append(logits[0])
        done += length
    whole: Matrix = np.concatenate(rows)
    return whole


def _require_packages() -> None:
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"the ONNX export needs the package {error.name}: pip install 'lilliput[onnx]'"
        ) from None
    for package, least in ((onnx, _OLDEST_ONNX), (onnxruntime, _OLDEST_RUNTIME)):
        if tuple(map(int, package.__version__.split(".")[:2])) < least:
            raise UserError(
                f"{package.__name__} {package.__version__} is too old for ONNX's operator set "
                f"{OPERATOR_SET}: {least[0]}.{least[1]} or newer knows it "
                f"(pip install -U {package.__name__})"
            )


def _onnx_logits(path: Path, shape: Shape, ids: list[int]) -> Matrix:
    prefill = min(_PROBE_PREFILL, len(ids))
    return session_logits(onnx_session(path), shape, ids, [prefill] + [1] * (len(ids) - prefill))


def _check(agreement: Agreement, tolerance: float) -> None:
    if not agreement.relative <= tolerance:
        raise WorkFailed(
            f"the ONNX export is wrong: onnxruntime's logits differ from the model's by "
            f"{agreement.max_difference:.2g} where the largest is {agreement.max_logit:.2g} "
            f"(allowed: {tolerance:g} of it); no file was written"
        )


def _write_model(model: Any, path: Path) -> None:
    """Write the graph; the weights of a large one go to a file of their own, `NAME_data`."""
    tensors = model.graph.initializer
    if sum(len(tensor.raw_data) for tensor in tensors) > _LARGEST_MESSAGE:
        from onnx import TensorProto

        name = f"{path.name}_data"
        with path.with_name(name).open("wb") as file:
            for tensor in tensors:
                if len(tensor.raw_data) < _SMALLEST_OUTSIDE:
                    continue
                file.write(b"\0" * (-file.tell() % 4096))
                place = {"location": name, "offset": file.tell(), "length": len(tensor.raw_data)}
                file.write(tensor.raw_data)
                tensor.ClearField("raw_data")
                tensor.data_location = TensorProto.EXTERNAL
                for key, value in place.items():
                    tensor.external_data.add(key=key, value=str(value))
    path.write_bytes(model.SerializeToString())


def _copy_beside(folder: Path, target: Path, kind: Kind, *, outside: bool) -> None:
    """The files a runtime looks for; transformers.js reads its own section of config.json."""
    config = read_json(folder / "config.json")
    browser: dict[str, Any] = {"dtype": _BROWSER_NAME_OF_KIND[kind]}
    if outside:
        browser["use_external_data_format"] = True
    write_json(target / "config.json", config | {"transformers.js_config": browser})
    for name in _COPIED:
        if (folder / name).is_file() and folder.resolve() != target.resolve():
            with atomic_path(target / name) as temporary:
                shutil.copyfile(folder / name, temporary)
