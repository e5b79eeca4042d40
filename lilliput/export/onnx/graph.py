"""The ONNX graph of a decoder of Llama's kind, with key-value inputs and outputs.

Everything is standard ONNX of operator set 23 (RMSNormalization, RotaryEmbedding, Attention),
written node by node; only the four-bit matrices are onnxruntime's own operators. Names of inputs
and outputs are those of optimum and transformers.js.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lilliput.export.onnx.quantise import BLOCK, FourBitMatrix
from lilliput.export.source import EMBEDDING, FINAL_NORM, HEAD, Shape, Weights, layer_name

OPERATOR_SET = 23
FILE_VERSION = 11
MICROSOFT = "com.microsoft"
# MatMulNBits' accuracy levels. With activations rounded to int8 it is twice as fast, and that
# costs far less than the weights' four bits.
FLOAT_ACTIVATIONS, INT8_ACTIVATIONS = 1, 4
# Finite, so that a position that may look at nothing (padding) gives no NaN for others to meet.
_HIDDEN_SCORE = -1e30


@dataclass
class Graph:
    """Nodes and constants, collected in the order of computation."""

    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    def add(
        self, operator: str, *inputs: str, outputs: tuple[str, ...] = (), **options: Any
    ) -> str:
        """Append a node; returns the name of its first output, made up unless given."""
        from onnx import helper

        name = f"{operator}_{len(self.nodes)}"
        outputs = outputs or (name,)
        self.nodes.append(helper.make_node(operator, inputs, outputs, name=name, **options))
        return outputs[0]

    def constant(self, name: str, value: npt.NDArray[Any]) -> str:
        """A named constant, stored once."""
        self.constants.setdefault(name, value)
        return name

    def integers(self, *values: int) -> str:
        """A constant vector of int64."""
        return self.constant("_".join(("integers", *map(str, values))), np.array(values, np.int64))

    def times(self, rows: str, factor: float) -> str:
        """The rows times a number; themselves for 1."""
        if factor == 1:
            return rows
        return self.add("Mul", rows, self.constant(f"times_{factor}", np.array(factor, np.float32)))

    def scalar(self, value: int) -> str:
        """A constant int64 without dimensions."""
        return self.constant(f"scalar_{value}", np.array(value, np.int64))


class Matrices(Protocol):
    """How the graph's matrices are stored and multiplied."""

    def embed(self, graph: Graph, ids: str) -> str:
        """Rows of the embedding: ids [B, T] → [B, T, D]."""

    def multiply(self, graph: Graph, name: str, rows: str, output: str = "") -> str:
        """The matrix [N, K] of that name applied to rows [B, T, K] → [B, T, N]."""


@dataclass(frozen=True)
class FloatMatrices:
    """float32. A tied head is the embedding, stored once."""

    weights: Weights

    def embed(self, graph: Graph, ids: str) -> str:
        """See `Matrices`."""
        return graph.add("Gather", graph.constant(EMBEDDING, self.weights[EMBEDDING]), ids)

    def multiply(self, graph: Graph, name: str, rows: str, output: str = "") -> str:
        """See `Matrices`."""
        if name == EMBEDDING:
            matrix = graph.add("Transpose", name, perm=[1, 0])
        else:
            matrix = graph.constant(f"{name}.transposed", self.weights[name].T)
        return graph.add("MatMul", rows, matrix, outputs=(output,) if output else ())


@dataclass(frozen=True)
class FourBitMatrices:
    """Four bits a weight, the embedding too; a tied head is the embedding, stored once."""

    matrices: dict[str, FourBitMatrix]
    accuracy: int = INT8_ACTIVATIONS

    def embed(self, graph: Graph, ids: str) -> str:
        """See `Matrices`."""
        matrix = self.matrices[EMBEDDING]
        codes, scales = self._constants(graph, EMBEDDING)
        flat_codes = graph.add("Reshape", codes, graph.integers(matrix.rows, -1))
        flat_scales = graph.add("Reshape", scales, graph.integers(matrix.rows, -1))
        rows = graph.add(
            "GatherBlockQuantized",
            flat_codes,
            ids,
            flat_scales,
            domain=MICROSOFT,
            bits=4,
            block_size=BLOCK,
            gather_axis=0,
            quantize_axis=1,
        )
        if matrix.columns % BLOCK == 0:
            return rows
        begin, end, axis = graph.integers(0), graph.integers(matrix.columns), graph.integers(2)
        return graph.add("Slice", rows, begin, end, axis)

    def multiply(self, graph: Graph, name: str, rows: str, output: str = "") -> str:
        """See `Matrices`."""
        matrix = self.matrices[name]
        return graph.add(
            "MatMulNBits",
            rows,
            *self._constants(graph, name),
            outputs=(output,) if output else (),
            domain=MICROSOFT,
            K=matrix.columns,
            N=matrix.rows,
            bits=4,
            block_size=BLOCK,
            accuracy_level=self.accuracy,
        )

    def _constants(self, graph: Graph, name: str) -> tuple[str, str]:
        matrix = self.matrices[name]
        return (
            graph.constant(f"{name}.codes", matrix.packed),
            graph.constant(f"{name}.scales", matrix.scales.reshape(-1)),
        )


def decoder_model(shape: Shape, weights: Weights, matrices: Matrices) -> Any:
    """The onnx ModelProto.

    Inputs: input_ids, position_ids int64 [B, T]; attention_mask int64 [B, P + T], 0 for padding;
    past_key_values.N.key and .value float32 [B, K, P, E] (P may be 0). Outputs: logits float32
    [B, T, V]; present.N.key and .value [B, K, P + T, E].
    """
    from onnx import helper

    graph, switches = Graph(), shape.switches
    hidden_scores = _HiddenScores(graph)
    residual = graph.times(matrices.embed(graph, "input_ids"), switches.embedding_scale)
    for layer in range(shape.n_layers):
        block = _Block(graph, shape, weights, matrices, layer)
        residual = block.attend(residual, hidden_scores.within(switches.window(layer)))
        residual = block.feed_forward(residual)
    final = _norm(graph, shape, weights, residual, FINAL_NORM)
    head, cap = EMBEDDING if shape.tied else HEAD, switches.logit_softcap
    plain = switches.logit_scale == 1 and not cap
    logits = matrices.multiply(graph, head, final, "logits" if plain else "")
    if not plain:
        logits = graph.times(logits, switches.logit_scale / (cap or 1.0))
        if cap:
            logits = graph.times(graph.add("Tanh", logits), cap)
        graph.add("Identity", logits, outputs=("logits",))
    domains = {node.domain for node in graph.nodes}
    return helper.make_model(
        helper.make_graph(
            graph.nodes, "decoder", _inputs(shape), _outputs(shape), _initializers(graph)
        ),
        producer_name="lilliput",
        ir_version=FILE_VERSION,
        opset_imports=[
            helper.make_opsetid(domain, 1 if domain else OPERATOR_SET) for domain in sorted(domains)
        ],
    )


@dataclass(frozen=True)
class _Block:
    """One layer being written into the graph."""

    graph: Graph
    shape: Shape
    weights: Weights
    matrices: Matrices
    layer: int

    def attend(self, residual: str, hidden_scores: str) -> str:
        graph, shape, switches = self.graph, self.shape, self.shape.switches
        rows = self._before(residual, 0)
        query, key, value = (self._project(part, rows) for part in ("q", "k", "v"))
        if switches.full_qk_norm:
            query, key = self._norm(query, "self_attn.q_norm"), self._norm(key, "self_attn.k_norm")
        if shape.qk_norm:
            query, key = self._head_norm(query, "q_norm"), self._head_norm(key, "k_norm")
        if switches.turns(self.layer):
            local = bool(switches.window(self.layer)) and switches.local_theta is not None
            tables = *_rotary_tables(graph, shape, local=local), "position_ids"
            query = graph.add("RotaryEmbedding", query, *tables, num_heads=shape.n_heads)
            key = graph.add("RotaryEmbedding", key, *tables, num_heads=shape.n_kv_heads)
        options = {"scale": switches.attention_scale, "softcap": switches.attention_softcap}
        mixed = graph.add(
            "Attention",
            *(query, key, value, hidden_scores),
            *(f"past_key_values.{self.layer}.{part}" for part in ("key", "value")),
            outputs=(
                f"mixed.{self.layer}",
                f"present.{self.layer}.key",
                f"present.{self.layer}.value",
            ),
            q_num_heads=shape.n_heads,
            kv_num_heads=shape.n_kv_heads,
            **{name: value for name, value in options.items() if value},
        )
        return self._added(residual, self._multiply("self_attn.o_proj", mixed), 0)

    def feed_forward(self, residual: str) -> str:
        graph = self.graph
        rows = self._before(residual, 1)
        gate = self._multiply("mlp.gate_proj", rows)
        if self.shape.switches.activation == "silu":
            gate = graph.add("Mul", gate, graph.add("Sigmoid", gate))
        else:
            gate = graph.add("Gelu", gate, approximate="tanh")
        inner = graph.add("Mul", gate, self._multiply("mlp.up_proj", rows))
        return self._added(residual, self._multiply("mlp.down_proj", inner), 1)

    def _before(self, residual: str, half: int) -> str:
        """What attention (half 0) or feed-forward (1) reads."""
        norms = self.shape.switches.norms_before
        return residual if norms is None else self._norm(residual, norms[half])

    def _added(self, residual: str, rows: str, half: int) -> str:
        """The residual and what a half gives, behind its norm and times its factor."""
        norms = self.shape.switches.norms_after
        if norms is not None:
            rows = self._norm(rows, norms[half])
        rows = self.graph.times(rows, self.shape.switches.residual_scale)
        return self.graph.add("Add", residual, rows)

    def _project(self, part: str, rows: str) -> str:
        """Queries, keys or values."""
        name = f"self_attn.{part}_proj"
        found = self._multiply(name, rows)
        if not self.shape.switches.qkv_bias:
            return found
        bias = layer_name(self.layer, name, "bias")
        return self.graph.add("Add", found, self.graph.constant(bias, self.weights[bias]))

    def _multiply(self, part: str, rows: str) -> str:
        return self.matrices.multiply(self.graph, layer_name(self.layer, part), rows)

    def _norm(self, rows: str, part: str) -> str:
        return _norm(self.graph, self.shape, self.weights, rows, layer_name(self.layer, part))

    def _head_norm(self, rows: str, part: str) -> str:
        """RMSNorm of every head of [B, T, heads * E]."""
        heads = self.graph.add("Reshape", rows, self.graph.integers(0, 0, -1, self.shape.head_dim))
        normed = self._norm(heads, f"self_attn.{part}")
        return self.graph.add("Reshape", normed, self.graph.integers(0, 0, -1))


def _norm(graph: Graph, shape: Shape, weights: Weights, rows: str, name: str) -> str:
    gain = weights[name] + np.float32(1) if shape.switches.unit_gain else weights[name]
    return graph.add(
        "RMSNormalization",
        rows,
        graph.constant(name, gain),
        axis=-1,
        epsilon=shape.norm_eps,
        stash_type=1,
    )


class _HiddenScores:
    """What is added to attention's scores, [B, 1, T, P + T]: 0 for what may be seen."""

    def __init__(self, graph: Graph) -> None:
        one, zero = graph.scalar(1), graph.scalar(0)
        total = graph.add("Squeeze", graph.add("Shape", "attention_mask", start=1, end=2))
        new = graph.add("Squeeze", graph.add("Shape", "input_ids", start=1, end=2))
        self._graph = graph
        self._keys = graph.add("Range", zero, total, one)
        queries = graph.add("Range", graph.add("Sub", total, new), total, one)
        self._queries = graph.add("Unsqueeze", queries, graph.integers(1))
        earlier = graph.add("LessOrEqual", self._keys, self._queries)
        real = graph.add("Greater", "attention_mask", zero)
        self._visible = graph.add(
            "And", graph.add("Unsqueeze", real, graph.integers(1, 2)), earlier
        )
        self._of_window: dict[int, str] = {}

    def within(self, window: int) -> str:
        """For layers that see the last `window` tokens; 0: all before."""
        if window not in self._of_window:
            self._of_window[window] = self._scores(window)
        return self._of_window[window]

    def _scores(self, window: int) -> str:
        graph, visible = self._graph, self._visible
        if window:
            first = graph.add("Sub", self._queries, graph.scalar(window))
            visible = graph.add("And", visible, graph.add("Greater", self._keys, first))
        return graph.add(
            "Where",
            visible,
            graph.constant("seen_score", np.array(0, np.float32)),
            graph.constant("hidden_score", np.array(_HIDDEN_SCORE, np.float32)),
        )


def _rotary_tables(graph: Graph, shape: Shape, *, local: bool) -> tuple[str, str]:
    positions = np.arange(shape.context_length, dtype=np.float32)
    frequencies = shape.inverse_frequencies(local=True) if local else shape.inverse_frequencies()
    angles = positions[:, None] * frequencies
    names = ("local_cosine", "local_sine") if local else ("cosine", "sine")
    return graph.constant(names[0], np.cos(angles)), graph.constant(names[1], np.sin(angles))


def _inputs(shape: Shape) -> list[Any]:
    from onnx import TensorProto, helper

    sizes = {
        "input_ids": ["batch", "time"],
        "attention_mask": ["batch", "total"],
        "position_ids": ["batch", "time"],
    }
    values = [helper.make_tensor_value_info(n, TensorProto.INT64, s) for n, s in sizes.items()]
    return values + _key_values(shape, "past_key_values", "past")


def _outputs(shape: Shape) -> list[Any]:
    from onnx import TensorProto, helper

    size = ["batch", "time", shape.vocabulary_size]
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, size)
    return [logits, *_key_values(shape, "present", "total")]


def _key_values(shape: Shape, name: str, length: str) -> list[Any]:
    from onnx import TensorProto, helper

    size = ["batch", shape.n_kv_heads, length, shape.head_dim]
    return [
        helper.make_tensor_value_info(f"{name}.{layer}.{part}", TensorProto.FLOAT, size)
        for layer in range(shape.n_layers)
        for part in ("key", "value")
    ]


def _initializers(graph: Graph) -> list[Any]:
    from onnx import numpy_helper

    return [
        numpy_helper.from_array(np.ascontiguousarray(value), name)
        for name, value in graph.constants.items()
    ]
