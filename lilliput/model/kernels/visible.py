"""Who sees whom: windows, chunks and documents, in the form that each kernel computes with."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask

from lilliput.model.kernels.flexible import block_mask

_DOCUMENT_BLOCK = 64
"""Tokens that a document's row is padded to a multiple of."""
_FLEXIBLE_DEVICES = ("cuda", "xpu")
_FEWEST_TRAINED, _FEWEST_READ = 128, 2048
"""New tokens from which FlexAttention is used, with and without gradients. It skips blocks of 128
queries; and compiling it takes seconds, which only training or a mask of many tokens pays back."""


@dataclass(frozen=True)
class Reach:
    """How far back in its document a token sees: the last `window` tokens, itself among them, or
    those of its own chunk of `chunk` tokens; 0 is no bound.
    """

    window: int = 0
    chunk: int = 0

    def bounds(self, length: int) -> bool:
        """Whether some token of a document of `length` tokens does not see its beginning."""
        return 0 < self.window < length or 0 < self.chunk < length

    def first(self, queries: Tensor) -> Tensor:
        """The first position that queries at these positions in a document see."""
        first = torch.zeros_like(queries)
        if self.window:
            first = (queries - self.window + 1).clamp_min(0)
        if self.chunk:
            first = torch.maximum(first, queries // self.chunk * self.chunk)
        return first


@dataclass(frozen=True)
class Spans:
    """For each query the keys that it sees, which lie side by side.

    first [B or 1, T] and last [T], int64: the first and the last of them; the last one is the
    query's own. `keys`: how many there are, S.
    """

    first: Tensor
    last: Tensor
    keys: int

    def mask(self) -> Tensor:
        """Boolean [B or 1, 1, T, S], true where a query sees a key."""
        places = torch.arange(self.keys, device=self.last.device)
        seen = (places >= self.first[..., None]) & (places <= self.last[:, None])
        return seen[:, None]

    def distances(self) -> Tensor:
        """From each query to each key, [T, S], negative for later keys."""
        return self.last[:, None] - torch.arange(self.keys, device=self.last.device)


@dataclass(frozen=True)
class Documents:
    """The documents of a batch [B, T] as rows of a padded one [P, L], longest first.

    Padding comes last in a row, so causal attention never sees it.
    """

    places: Tensor
    """[P, L] int64: where in the batch, its rows laid end to end, each token is; B·T: padding."""
    returns: Tensor
    """[B·T] int64: where in the rows, laid end to end, each token of the batch went."""
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, document_starts: Tensor) -> "Documents":
        """From the start [B, T] of every token's document; on the CPU."""
        total = document_starts.numel()
        time = torch.arange(document_starts.shape[1])
        begins = (document_starts >= time).flatten().nonzero().flatten()  # padding: each its own
        lengths = torch.diff(begins, append=torch.tensor([total]))
        lengths, order = lengths.sort(descending=True, stable=True)
        longest = -(-int(lengths[0]) // _DOCUMENT_BLOCK) * _DOCUMENT_BLOCK
        within = torch.arange(longest)
        padding = within >= lengths[:, None]
        places = (begins[order][:, None] + within).masked_fill_(padding, total)
        returns = torch.empty(total, dtype=torch.int64)
        kept = ~padding
        returns[places[kept]] = kept.flatten().nonzero().flatten()
        return cls(places, returns, tuple(lengths.tolist()))

    def rows_of(self, heads: Tensor) -> Tensor:
        """[B, H, T, E] → [P, H, L, E], zero where there is padding."""
        batch, count, time, head_dim = heads.shape
        vectors = heads.transpose(1, 2).reshape(batch * time * count, head_dim)
        vectors = torch.cat((vectors, vectors.new_zeros(count, head_dim)))
        places = self.places[:, None] * count + torch.arange(count)[:, None]
        return vectors.index_select(0, places.flatten()).view(*places.shape, head_dim)

    def batch_of(self, rows: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The reverse: [P, H, L, E] → `shape`, which is [B, H, T, E]."""
        batch, count, time, head_dim = shape
        longest = rows.shape[2]
        row, place = self.returns // longest, self.returns % longest
        places = ((row * count)[:, None] + torch.arange(count)) * longest + place[:, None]
        vectors = rows.view(-1, head_dim).index_select(0, places.flatten())
        return vectors.view(batch, time, count, head_dim).transpose(1, 2)


@dataclass(frozen=True)
class Visible:
    """What may be attended to where causal attention does not say it all; see `visible_to`.

    Either `mask` [B or 1, 1 or H, T, S], boolean (true where attended to) or added to the scores;
    or `spans`, with what a kernel that skips the unseen asks for: `blocks` for FlexAttention,
    documents and their reach for the blocked kernel. `slopes` [H], float32: with spans, what
    ALiBi takes off a score for each token of distance.
    """

    mask: Tensor | None = None
    spans: Spans | None = None
    blocks: BlockMask | None = None
    documents: Documents | None = None
    reach: Reach | None = None
    slopes: Tensor | None = None

    def dense(self) -> Tensor:
        """`mask`, made of the spans if there is none."""
        if self.mask is not None:
            return self.mask
        assert self.spans is not None
        seen = self.spans.mask()
        if self.slopes is None:
            return seen
        bias = -self.slopes[:, None, None] * self.spans.distances()
        return bias.masked_fill(~seen, -torch.inf)


def visible_to(
    document_starts: Tensor | None,
    past: int,
    time: int,
    device: torch.device,
    *,
    reach: Reach = Reach(),
    slopes: Tensor | None = None,
    plain: bool = True,
    dense: bool = False,
) -> Visible | None:
    """What `time` new tokens after `past` others may attend to; None if all that came before.

    `document_starts` [B, T or 1], int64: for each new token, the first token it may see, counted
    from the first ever given. A token before its own start, as padding is, sees itself alone, so
    that its softmax is defined. `slopes` [H]: ALiBi's. `plain`: scores are neither capped nor
    shared with sinks. `dense`: a mask is wanted, as a bias of any other kind is to be added to it.
    """
    every_token = document_starts is None or document_starts.shape[1] == time
    flexible = not dense and _runs_flexible(device, time)
    blocked = not dense and not flexible and every_token and past == 0 and _runs_blocks(device)
    if blocked and document_starts is not None and not document_starts.any():
        document_starts = None
    all_before = document_starts is None and not reach.bounds(past + time) and slopes is None
    if all_before and (past == 0 or time == 1) and (plain or not flexible):
        return None
    spans = _spans(document_starts, past, time, device, reach)
    if flexible:
        blocks = block_mask(spans.first, spans.last, spans.keys)
        return Visible(spans=spans, blocks=blocks, slopes=slopes)
    if blocked:
        documents = None if document_starts is None else Documents.of(document_starts)
        return Visible(spans=spans, documents=documents, reach=reach, slopes=slopes)
    return Visible(mask=Visible(spans=spans, slopes=slopes).dense())


def _spans(
    document_starts: Tensor | None, past: int, time: int, device: torch.device, reach: Reach
) -> Spans:
    queries = torch.arange(past, past + time, device=device)
    if document_starts is None:
        return Spans(reach.first(queries)[None], queries, past + time)
    inside = queries - document_starts
    first = torch.where(inside < 0, queries, document_starts + reach.first(inside))
    return Spans(first, queries, past + time)


def _runs_flexible(device: torch.device, time: int) -> bool:
    """Whether FlexAttention pays."""
    fewest = _FEWEST_TRAINED if torch.is_grad_enabled() else _FEWEST_READ
    return device.type in _FLEXIBLE_DEVICES and time >= fewest


def _runs_blocks(device: torch.device) -> bool:
    """Whether the blocked kernel is the fastest: on a CPU, where nothing is compiled."""
    return device.type == "cpu" and not torch.compiler.is_compiling()
