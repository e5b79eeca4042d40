"""A decoder computed by decode.c, our own C, through ctypes: no Python between the layers."""

import ctypes
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lilliput.errors import UserError, WorkFailed
from lilliput.machine.compiler import compiled_library
from lilliput.model.attention import Attention
from lilliput.model.cache import KeyValueCache
from lilliput.model.decoder import Block, Decoder
from lilliput.model.feed_forward import FeedForward
from lilliput.model.inference.layouts import Panels, WeightKind, panels_of
from lilliput.model.norms import AcrossHeads, LayerNorm, RMSNorm
from lilliput.model.positions import alibi_slopes, rotary_table, sinusoids

SOURCE = Path(__file__).with_name("decode.c")
# What `-ffast-math` would change beyond these changes results.
_FLAGS = ("-fno-math-errno", "-fno-trapping-math")
_TOKENS_AT_ONCE = 1024
_ACTIVATIONS = ("silu", "gelu", "gelu_tanh", "relu", "relu2", "clamped_swish")
_ALIGNMENT, _LARGE_PAGE, _ARENA = 64, 1 << 21, 1 << 24
_DONE, _NO_SUCH_TOKEN = 1, 2
_PARALLEL = {"none": 0, "one_norm": 1, "two_norms": 2}

_Pointer, _Int, _Long, _Float = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64, ctypes.c_float


class _Matrix(ctypes.Structure):
    _fields_ = (
        *((name, _Pointer) for name in ("weights", "scales", "bias")),
        *((name, _Int) for name in ("kind", "rows", "columns", "group", "zero", "wide_scales")),
    )


class _Norm(ctypes.Structure):
    _fields_ = (("gain", _Pointer), ("bias", _Pointer), ("kind", _Int), ("stride", _Int))


class _Layer(ctypes.Structure):
    _fields_ = (
        *((f"attention_{name}", _Norm) for name in ("norm", "out_norm", "sum_norm", "sub_norm")),
        *((f"feed_forward_{name}", _Norm) for name in ("norm", "out_norm", "sum_norm", "sub_norm")),
        *((name, _Norm) for name in ("query_norm", "key_norm")),
        *((name, _Matrix) for name in ("query_key_value", "output", "gate", "up", "down")),
        *((name, _Pointer) for name in ("sinks", "cosine", "sine", "temperature")),
        *((name, _Int) for name in ("heads", "kv_heads", "width", "makes_keys", "cache")),
        *((name, _Int) for name in ("normed_heads", "window", "chunk")),
    )


class _Model(ctypes.Structure):
    _fields_ = (
        *((name, _Pointer) for name in ("layers", "embedding", "head", "positions", "slopes")),
        *((name, _Norm) for name in ("embedding_norm", "final_norm")),
        *((name, _Int) for name in ("n_layers", "d_model", "head_dim", "rope_dim", "gated")),
        *((name, _Int) for name in ("activation", "parallel", "widest", "widest_query")),
        *((name, _Float) for name in ("norm_eps", "attention_scale", "attention_softcap")),
        *((name, _Float) for name in ("embedding_scale", "residual_scale")),
    )


class _Memory(ctypes.Structure):
    _fields_ = (("keys", _Pointer), ("values", _Pointer), ("room", _Long), ("stop", _Long))


class _Pass(ctypes.Structure):
    _fields_ = (
        *((name, _Pointer) for name in ("ids", "starts", "memory", "hidden")),
        *((name, _Long) for name in ("batch", "time", "past", "starts_stride")),
    )


class _Room(ctypes.Structure):
    _fields_ = (("block", _Pointer), ("size", ctypes.c_size_t))


class NativeCache(KeyValueCache):
    """The decoder's cache, whose memory C writes itself."""

    def __init__(self, rows: int, capacity: int, windows: Sequence[int], library: Any) -> None:
        super().__init__(rows, capacity, windows)
        self._library = library
        self._places: dict[int, int] = {}

    def reserve(self, layer: int, shape: Sequence[int]) -> tuple[Tensor, Tensor, int]:
        """Memory of a layer [rows, K, room, E] for keys and values, and where the next column lies.

        There is room for `shape` = [B, K, T, E] more.
        """
        track = self._track(layer)
        if track.stop + shape[2] > track.room:
            self._make_room(track, shape[2])
        if layer not in track.stored:
            like = torch.empty(shape[0], shape[1], 0, shape[3])
            track.stored[layer] = self._room_for(like, track), self._room_for(like, track)
        keys, values = track.stored[layer]
        if self._places.get(layer) != keys.data_ptr():
            self._places[layer] = keys.data_ptr()
            for room in (keys, values):
                if room.nbytes >= _LARGE_PAGE:
                    size = ctypes.c_size_t(room.nbytes)
                    self._library.prefer_large_pages(ctypes.c_void_p(room.data_ptr()), size)
        return keys, values, track.stop


def uncovered(decoder: Decoder) -> str:
    """Why decode.c cannot compute a decoder; "" if it can."""
    config = decoder.config
    reasons = {
        "a kind of decoder of its own": type(decoder) is not Decoder,
        "latent attention": config.latent_rank > 0,
        "a mixture of experts": config.n_experts > 0,
        "a mixture of depths": config.depth_capacity > 0,
        "relative positions": config.positions == "relative",
        "rotary positions that follow the length": config.rope_follows_length,
        "weights that are not on the CPU": decoder.device.type != "cpu",
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


class NativeDecoder:
    """Stands in for a Decoder in inference; raises WorkFailed without a C compiler."""

    def __init__(
        self, decoder: Decoder, weights: WeightKind | None = None, *, threads: int = 1
    ) -> None:
        library = compiled_library(SOURCE, _FLAGS)
        if library is None:
            raise WorkFailed("there is no C compiler, or it cannot compile decode.c")
        self.config = decoder.config
        self.device = torch.device("cpu")
        self._library, self._kept = library, _Keeper(library)
        self._lanes = int(library.lanes())
        library.open_pool.restype = ctypes.c_void_p
        self._room = _Room()
        self._pools: list[int] = []
        weakref.finalize(self, _release, library, self._room, self._pools)
        self.threads = threads
        self._positions = self.config.context_length
        self._build(decoder, weights)
        self._layer_shapes = [
            (self.config.heads(layer)[1], self.config.head_dim)
            for layer in range(self.config.n_layers - self.config.shared_kv_layers)
        ]

    @property
    def threads(self) -> int:
        """How many threads compute; setting it starts or ends them."""
        return self._threads

    @threads.setter
    def threads(self, count: int) -> None:
        if self._pools:
            self._library.close_pool(ctypes.c_void_p(self._pools.pop()))
        pool = self._library.open_pool(count)
        if not pool:
            raise WorkFailed(f"cannot start {count} threads")
        self._pools.append(pool)
        self._pool, self._threads = pool, count

    @property
    def weight_bytes(self) -> int:
        """Bytes of all tensors that a step reads, a tied embedding once."""
        return self._kept.bytes

    def make_cache(self, rows: int, capacity: int) -> NativeCache:
        """An empty cache for so many rows of at most `capacity` tokens."""
        return NativeCache(rows, capacity, self.config.windows, self._library)

    def hidden(
        self, ids: Tensor, *, cache: Any = None, document_starts: Tensor | None = None
    ) -> Tensor:
        """As `Decoder.hidden`: ids int64 [B, T] → float32 [B, T, D]."""
        batch, time = ids.shape
        ids = ids.to(torch.int64)
        if cache is None:
            cache = self.make_cache(batch, time)
        self._check_length(cache.length + time)
        hidden = torch.empty(batch, time, self.config.d_model)
        if not ids.numel():
            return hidden
        chunk = max(1, _TOKENS_AT_ONCE // batch)
        if time <= chunk:
            self._pass(ids.contiguous(), cache, document_starts, hidden)
            return hidden
        for first in range(0, time, chunk):
            columns = slice(first, first + chunk)
            starts = document_starts
            if starts is not None and starts.shape[1] > 1:
                starts = starts[:, columns]
            part = ids[:, columns].contiguous()
            into = torch.empty(*part.shape, self.config.d_model)
            self._pass(part, cache, starts, into)
            hidden[:, columns] = into
        return hidden

    def logits_of(self, hidden: Tensor) -> Tensor:
        """As `Decoder.logits_of`: hidden [..., D] → float32 [..., V]."""
        hidden = hidden.float().contiguous()
        logits = torch.empty(*hidden.shape[:-1], self.config.vocabulary_size)
        count = hidden.numel() // self.config.d_model
        for first in range(0, count, _TOKENS_AT_ONCE):
            rows = min(_TOKENS_AT_ONCE, count - first)
            done = self._library.output_head(
                ctypes.byref(self._model),
                ctypes.c_void_p(self._pool),
                ctypes.byref(self._room),
                ctypes.c_void_p(hidden.data_ptr() + 4 * first * self.config.d_model),
                _Long(rows),
                ctypes.c_void_p(logits.data_ptr() + 4 * first * self.config.vocabulary_size),
            )
            _check_done(done)
        if self.config.logit_scale != 1:
            logits *= self.config.logit_scale
        if cap := self.config.logit_softcap:
            logits = logits.div_(cap).tanh_().mul_(cap)
        return logits

    def __call__(
        self, ids: Tensor, *, cache: Any = None, document_starts: Tensor | None = None
    ) -> Tensor:
        """Logits [B, T, V]."""
        return self.logits_of(self.hidden(ids, cache=cache, document_starts=document_starts))

    def _pass(self, ids: Tensor, cache: NativeCache, starts: Tensor | None, hidden: Tensor) -> None:
        batch, time = ids.shape
        if batch != cache.rows:
            raise ValueError(f"{batch} rows of ids for a cache of {cache.rows}")
        memory = (_Memory * len(self._layer_shapes))()
        for layer, (heads, width) in enumerate(self._layer_shapes):
            keys, values, stop = cache.reserve(layer, (batch, heads, time, width))
            memory[layer] = _Memory(keys.data_ptr(), values.data_ptr(), keys.shape[2], stop)
        place, stride = 0, 0
        if starts is not None:
            starts = starts.to(torch.int64).expand(batch, -1).contiguous()
            place, stride = starts.data_ptr(), starts.shape[1]
        done = self._library.decode(
            ctypes.byref(self._model),
            ctypes.c_void_p(self._pool),
            ctypes.byref(self._room),
            ctypes.byref(
                _Pass(
                    ids.data_ptr(),
                    place or None,
                    ctypes.addressof(memory),
                    hidden.data_ptr(),
                    batch,
                    time,
                    cache.length,
                    stride,
                )
            ),
        )
        _check_done(done)
        cache.advance(time)

    def _check_length(self, length: int) -> None:
        if length <= self._positions:
            return
        if self.config.positions == "learned":
            raise UserError(
                f"{length} tokens do not fit in this model's context length of "
                f"{self.config.context_length}: shorten the text"
            )
        self._positions = max(length, 2 * self._positions)
        self._tabulate()

    def _build(self, decoder: Decoder, weights: WeightKind | None) -> None:
        config, kept = self.config, self._kept
        layers = (_Layer * config.n_layers)()
        widest, widest_query = config.d_model, 0
        for number, block in enumerate(decoder.blocks):
            assert isinstance(block, Block)
            layers[number] = self._layer(block, number, weights)
            queries, keys = config.heads(number)
            width = config.feed_forward_width(number)
            widest = max(widest, width, queries * config.head_dim)
            widest_query = max(widest_query, (queries + 2 * keys) * config.head_dim)
        embedding = kept.matrix(panels_of([decoder.embedding], weights, config, self._lanes))
        head = embedding
        if not config.tied:
            head = kept.matrix(panels_of([decoder.head], weights, config, self._lanes))
        self._model = _Model(
            layers=ctypes.addressof(kept.keep(layers)),
            embedding=ctypes.addressof(kept.keep(embedding)),
            head=ctypes.addressof(kept.keep(head)),
            embedding_norm=kept.norm(decoder.embedding_norm),
            final_norm=kept.norm(decoder.final_norm),
            n_layers=config.n_layers,
            d_model=config.d_model,
            head_dim=config.head_dim,
            rope_dim=config.rope_dim if config.positions == "rotary" else 0,
            gated=config.gated,
            activation=_ACTIVATIONS.index(config.activation),
            parallel=_PARALLEL[config.parallel],
            # Room for whole vectors, and for the last group of a row's codes.
            widest=_whole(widest + 256, 64),
            widest_query=_whole(widest_query, 64),
            norm_eps=config.norm_eps,
            attention_scale=config.attention_scale or config.head_dim**-0.5,
            attention_softcap=config.attention_softcap,
            embedding_scale=config.embedding_scale,
            residual_scale=config.residual_scale,
        )
        if config.positions == "alibi":
            self._model.slopes = kept.floats(alibi_slopes(config.n_heads, config.alibi_scale))
        if config.positions == "learned":
            self._model.positions = kept.floats(decoder.position_embedding.weight)
        self._layers = layers
        self._tabulate()

    def _layer(self, block: Block, number: int, weights: WeightKind | None) -> _Layer:
        config, kept = self.config, self._kept
        attention, feed_forward = block.attention, block.feed_forward
        assert isinstance(attention, Attention)
        assert isinstance(feed_forward, FeedForward)
        heads, kv_heads = config.heads(number)

        def matrix(*modules: Any) -> _Matrix:
            return kept.matrix(panels_of(list(modules), weights, config, self._lanes))

        inputs: list[nn.Module] = [attention.query]
        if attention.makes_keys:
            inputs += [attention.key, attention.value]
        across = isinstance(attention.query_norm, AcrossHeads)
        normed = 0 if isinstance(attention.query_norm, nn.Identity) else 2 if across else 1
        kind = config.kind(number)
        layer = _Layer(
            attention_norm=kept.norm(block.attention_norm),
            attention_out_norm=kept.norm(block.attention_out_norm),
            attention_sum_norm=kept.norm(block.attention_sum_norm),
            attention_sub_norm=kept.norm(attention.sub_norm),
            feed_forward_norm=kept.norm(block.feed_forward_norm),
            feed_forward_out_norm=kept.norm(block.feed_forward_out_norm),
            feed_forward_sum_norm=kept.norm(block.feed_forward_sum_norm),
            feed_forward_sub_norm=kept.norm(feed_forward.sub_norm),
            query_norm=kept.norm(attention.query_norm),
            query_key_value=matrix(*inputs),
            output=matrix(attention.output),
            up=matrix(feed_forward.up),
            down=matrix(feed_forward.down),
            heads=heads,
            kv_heads=kv_heads,
            width=config.feed_forward_width(number),
            makes_keys=attention.makes_keys,
            cache=min(number, config.n_layers - config.shared_kv_layers - 1),
            normed_heads=normed,
            window=config.window if kind == "L" else 0,
            chunk=config.window if kind == "C" else 0,
        )
        if attention.makes_keys:
            layer.key_norm = kept.norm(attention.key_norm)
        if config.gated:
            layer.gate = matrix(feed_forward.gate)
        if attention.sinks is not None:
            layer.sinks = kept.floats(attention.sinks)
        return layer

    def _tabulate(self) -> None:
        """Angles, sinusoids and temperatures of every position that has been asked for."""
        config, places = self.config, torch.arange(self._positions)
        tables: dict[bool, tuple[int, int]] = {}
        for number in range(config.n_layers):
            kind, layer = config.kind(number), self._layers[number]
            if config.positions == "rotary" and kind != "N":
                local = kind == "L" and config.rope_local_theta is not None
                if local not in tables:
                    cosine, sine = rotary_table(config, places, local=kind == "L")
                    half = config.rope_dim // 2
                    tables[local] = (
                        self._kept.floats(cosine[:, 0, half:]),
                        self._kept.floats(sine[:, 0, half:]),
                    )
                layer.cosine, layer.sine = tables[local]
            if config.attention_temperature and kind == "N":
                steps = ((places + 1.0) / config.attention_temperature_from).floor()
                warmer = torch.log1p(steps) * config.attention_temperature + 1
                layer.temperature = self._kept.floats(warmer)
        if config.positions == "sinusoidal":
            self._model.positions = self._kept.floats(sinusoids(places, config.d_model))


class _Keeper:
    """Holds on to the memory that C points into; matrices lie together, in large pages."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._held: list[Any] = []
        self._arena, self._used = torch.empty(0, dtype=torch.uint8), 0
        self.bytes = 0

    def keep(self, thing: Any) -> Any:
        self._held.append(thing)
        return thing

    def floats(self, tensor: Tensor) -> int:
        """The address of a float32 copy."""
        return int(self.keep(tensor.detach().float().contiguous().clone()).data_ptr())

    def matrix(self, panels: Panels) -> _Matrix:
        made = _Matrix(
            weights=self._place(panels.weights),
            kind=panels.kind,
            rows=panels.rows,
            columns=panels.columns,
            group=panels.group,
            zero=panels.zero,
        )
        self.bytes += panels.weights.nbytes
        if panels.scales is not None:
            made.scales = self._place(panels.scales)
            made.wide_scales = panels.scales.dtype == torch.float32
            self.bytes += panels.scales.nbytes
        if panels.bias is not None:
            made.bias = self.floats(panels.bias)
        return made

    def _place(self, tensor: Tensor) -> int:
        """The address of a copy, at a multiple of 64."""
        if self._used + tensor.nbytes + _ALIGNMENT > len(self._arena):
            size = max(_ARENA, tensor.nbytes + _ALIGNMENT)
            self._arena = self.keep(torch.empty(size, dtype=torch.uint8))
            place = ctypes.c_void_p(self._arena.data_ptr())
            self._library.prefer_large_pages(place, ctypes.c_size_t(size))
            self._used = -self._arena.data_ptr() % _ALIGNMENT
        start = self._used
        self._arena[start : start + tensor.nbytes] = tensor.flatten().view(torch.uint8)
        self._used += _whole(tensor.nbytes, _ALIGNMENT)
        return int(self._arena.data_ptr()) + start

    def norm(self, module: nn.Module) -> _Norm:
        if isinstance(module, AcrossHeads):
            module = module.norm
        if isinstance(module, nn.Identity):
            return _Norm()
        assert isinstance(module, RMSNorm | LayerNorm)
        made = _Norm(kind=1 if isinstance(module, RMSNorm) else 2)
        if module.weight is not None:
            made.gain = self.floats(module.weight)
            made.stride = module.weight.shape[1] if module.weight.ndim > 1 else 0
        if isinstance(module, LayerNorm) and module.bias is not None:
            made.bias = self.floats(module.bias)
        return made


def _check_done(code: int) -> None:
    """Raise what decode.c says."""
    if code == _NO_SUCH_TOKEN:
        raise IndexError("an id is none of the vocabulary")
    if code != _DONE:
        raise WorkFailed("out of memory")


def _release(library: Any, room: _Room, pools: list[int]) -> None:
    for pool in pools:
        library.close_pool(ctypes.c_void_p(pool))
    library.empty_room(ctypes.byref(room))


def _whole(count: int, unit: int) -> int:
    return -(-count // unit) * unit


def fastest_threads(measure: Callable[[int], float], most: int) -> int:
    """Of 1, 2, 4 … `most` threads the number for which `measure` gives the fewest seconds.

    More must be clearly faster: on a machine that is busy with other things, threads wait for each
    other.
    """
    best, least = 1, measure(1)
    count = 2
    while count <= most:
        seconds = measure(count)
        if seconds < 0.9 * least:
            best, least = count, seconds
        count = min(2 * count, most) if count < most else most + 1
    return best
