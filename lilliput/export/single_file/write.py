"""A model folder → one file that `run_model.c` runs wherever there is a C compiler."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lilliput.errors import UserError, WorkFailed
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
from lilliput.export.single_file.format import (
    ALIGNMENT,
    HEADER,
    HEADER_BYTES,
    KIND_NUMBERS,
    MAGIC,
    MOST_ENDS,
    PATTERN_NUMBERS,
    VERSION,
    Int8Matrix,
    Kind,
    aligned,
    filled,
    group_of,
    parts,
    round_to_int8,
)
from lilliput.export.single_file.reader import read_single_file
from lilliput.export.single_file.runner import RUNNER_SOURCE, Runner, compiled_runner
from lilliput.export.single_file.tokenizer import TokenizerTables, tokenizer_tables
from lilliput.export.source import (
    Matrix,
    Shape,
    Weights,
    folder_with,
    read_plain_shape,
    read_weights,
)
from lilliput.files import atomic_path, write_bytes

# With int8 weights the program rounds activations to 16 bits.
INT8_TOLERANCE = 5e-3
_PROBE_TOKENS = 24
_PROBE_TEXTS = (
    "Once upon a time, there was a little girl who didn't like 12345.678 apples. WE'LL SEE!",
    "spaces:      many   \t tabs\t\t\n\n\n   lines \r\n\r\n end   ",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 naïve café e\u0301 \u200b\ufeff\u00a0\u2028\u3000",
    "Привет! 你好，世界。 ১২৩ مرحبا ١٢٣ नमस्ते ไทย 한국어 Ⅳ ½ ²  I'LL 'ſ's'd",
)


@dataclass(frozen=True)
class SingleFileExport:
    """A single file that was written, loaded again and compared.

    `bits_per_weight` counts the whole file, tokenizer included, over the model's parameters.
    `computation` compares the program with our decoder on the same (rounded) weights; `model`
    compares it with the model as it was, on ids the model writes: the price of rounding for int8.
    `proved_by` is "run_model.c", or "numpy" where there is no C compiler.
    """

    path: Path
    runner: Path
    kind: Kind
    size: int
    parameters: int
    bits_per_weight: float
    computation: Agreement
    model: Agreement
    proved_by: str
    bits_per_byte: tuple[float, float] | None

    def facts(self) -> dict[str, Any]:
        """The result as plain values, for a command to print."""
        named = {"path": str(self.path), "program": str(self.runner), "kind": self.kind}
        return named | {"bytes": self.size, "proved_by": self.proved_by} | proof_facts(self)


def write_single_file(
    model_folder: Path | str,
    target: Path | str,
    *,
    kind: Kind = "f32",
    texts: Sequence[str] = (),
) -> SingleFileExport:
    """Write `target`, one file with tokenizer and weights, and `run_model.c` beside it.

    int8 rounds every matrix, embedding and output head included, in groups of at most 128 weights;
    norms stay float32. Before the file takes its place its logits and, where there is a C
    compiler, its token ids are compared with the model's; what was there before stays if that
    fails.
    Raises UserError for a model of another class or a tokenizer that the format has no place for;
    WorkFailed if the file does not compute what the model does.
    """
    if kind not in KIND_NUMBERS:
        raise UserError(f"kind {kind!r} of single file is unknown: choose f32 or int8")
    folder, target = Path(model_folder), Path(target)
    if target.is_dir():
        raise UserError(f"{target}: a folder; name the file to write")
    shape = read_plain_shape(folder)
    weights = read_weights(folder, shape)
    with atomic_path(target) as temporary:
        rounded = _write(temporary, folder, shape, weights, kind)
        computation, model, proved_by = _prove(temporary, folder, shape, weights, rounded)
        bits = bits_per_byte_of(folder, _logits_of(temporary), texts)
    runner = target.with_name(RUNNER_SOURCE.name)
    write_bytes(runner, RUNNER_SOURCE.read_bytes())
    size, parameters = target.stat().st_size, sum(tensor.size for tensor in weights.values())
    return SingleFileExport(
        path=target,
        runner=runner,
        kind=kind,
        size=size,
        parameters=parameters,
        bits_per_weight=8 * size / parameters,
        computation=computation,
        model=model,
        proved_by=proved_by,
        bits_per_byte=bits,
    )


def _write(path: Path, folder: Path, shape: Shape, weights: Weights, kind: Kind) -> Weights:
    """Write the file; returns the tensors that int8 changed, as transformers names them."""
    from lilliput.generate import load

    language_model = load(folder, device="cpu")
    beginning, ends = language_model.beginning, language_model.end_tokens
    if len(beginning) > 1 or len(ends) > MOST_ENDS:
        raise UserError(
            f"{folder}: texts begin with {len(beginning)} tokens and {len(ends)} end them; "
            f"the single file holds 1 and {MOST_ENDS}"
        )
    tables = tokenizer_tables(language_model.tokenizer, folder / "tokenizer.json")
    header = np.zeros((), HEADER)
    assert header.nbytes == HEADER_BYTES
    group = group_of(shape, kind)
    header["magic"], header["version"], header["kind"] = MAGIC, VERSION, KIND_NUMBERS[kind]
    for name in ("context_length", "n_layers", "d_model", "n_heads", "n_kv_heads", "head_dim"):
        header[name] = getattr(shape, name)
    for name in ("vocabulary_size", "d_ff", "qk_norm", "tied", "norm_eps"):
        header[name] = getattr(shape, name)
    header["tokens"], header["group"] = len(tables.tokens), group
    header["beginning"] = beginning[0] if beginning else -1
    header["n_ends"] = len(ends)
    header["ends"][: len(ends)] = ends
    with path.open("wb") as file:
        file.write(bytes(HEADER_BYTES))
        _write_tables(file, header, tables)
        header["frequencies"] = _append(file, shape.inverse_frequencies().astype("<f4"))
        header["weights"] = aligned(file.tell())
        rounded = _write_weights(file, shape, weights, kind, group)
        header["size"] = file.tell()
        file.seek(0)
        file.write(header.tobytes())
    return rounded


def _write_tables(file: BinaryIO, header: np.ndarray, tables: TokenizerTables) -> None:
    lengths = [len(token) for token in tables.tokens]
    starts = np.concatenate(([0], np.cumsum(lengths))).astype("<u4")
    header["pattern"] = PATTERN_NUMBERS[tables.pattern]
    header["n_merges"], header["n_classes"] = len(tables.merges), len(tables.classes)
    header["token_starts"] = _append(file, starts)
    header["token_bytes"] = _append(file, np.frombuffer(b"".join(tables.tokens), np.uint8))
    header["byte_ids"] = _append(file, tables.byte_ids)
    header["merges"] = _append(file, tables.merges)
    header["classes"] = _append(file, tables.classes)


def _write_weights(
    file: BinaryIO, shape: Shape, weights: Weights, kind: Kind, group: int
) -> Weights:
    rounded: Weights = {}
    for part in parts(shape):
        tensor = part.of(weights)
        if not part.columns:
            _append(file, tensor.astype("<f4"))
        elif kind == "f32":
            _append(file, filled(tensor, group).astype("<f4"))
        else:
            matrix = round_to_int8(tensor, group)
            _append(file, matrix.codes)
            _append(file, matrix.scales.astype("<f4"))
            rounded |= _split(part.names, weights, matrix, part.columns)
    file.write(bytes(-file.tell() % ALIGNMENT))
    return rounded


def _split(names: Sequence[str], weights: Weights, matrix: Int8Matrix, columns: int) -> Weights:
    """The rows of a stored matrix, given back to the tensors they came from."""
    ends = np.cumsum([len(weights[name]) for name in names])
    return dict(zip(names, np.split(matrix.values(columns), ends[:-1]), strict=True))


def _append(file: BinaryIO, values: np.ndarray) -> int:
    """Write an array at the next multiple of ALIGNMENT; returns where."""
    file.write(bytes(-file.tell() % ALIGNMENT))
    place = file.tell()
    file.write(np.ascontiguousarray(values).data.cast("B") if values.size else b"")
    return place


def _prove(
    path: Path, folder: Path, shape: Shape, weights: Weights, rounded: Weights
) -> tuple[Agreement, Agreement, str]:
    """Load the file again and compare. Raises WorkFailed if it is not the model."""
    ids = probe_ids(shape, _PROBE_TOKENS)
    runner, logits = compiled_runner(), _logits_of(path)
    if runner:
        _check_tokenizer(runner, path, folder)
    if rounded:
        with folder_with(folder, weights | rounded) as copy:
            expected = model_logits(copy, ids)
        # The program rounds activations too; that the file is right NumPy tells exactly.
        _check_logits(compare(read_single_file(path).logits(ids), expected), F32_TOLERANCE)
    else:
        expected = model_logits(folder, ids)
    computation = compare(logits(ids), expected)
    _check_logits(computation, INT8_TOLERANCE if rounded else F32_TOLERANCE)
    written = written_ids(folder, _PROBE_TOKENS)
    against_model = compare(logits(written), model_logits(folder, written))
    return computation, against_model, RUNNER_SOURCE.name if runner else "numpy"


def _logits_of(path: Path) -> Callable[[list[int]], Matrix]:
    """Ids [T] → logits [T, V], by the compiled program or, without a compiler, by NumPy."""
    runner = compiled_runner()
    return partial(runner.logits, path) if runner else read_single_file(path).logits


def _check_logits(agreement: Agreement, tolerance: float) -> None:
    if not agreement.relative <= tolerance:
        raise WorkFailed(
            f"the single-file export is wrong: its logits differ from the model's by "
            f"{agreement.max_difference:.2g} where the largest is {agreement.max_logit:.2g} "
            f"(allowed: {tolerance:g} of it); no file was written"
        )


def _check_tokenizer(runner: Runner, path: Path, folder: Path) -> None:
    from lilliput.tokens import Tokenizer

    tokenizer = Tokenizer.load(folder)
    for text in _PROBE_TEXTS:
        ids = tokenizer.encode(text)
        if runner.encode(path, text) != ids or runner.decode(path, ids) != text.encode("utf-8"):
            raise WorkFailed(
                f"the single-file export is wrong: it does not encode {text!r} as the model's "
                "tokenizer does; no file was written"
            )
