"""How do tokens reach the ranks that hold their experts, and come home in the old order?

    rank 0's tokens   a b c d          choice   a: 3   b: 0   c: 3   d: 1        experts 0 1 | 2 3 on 2 ranks

        sort by expert      b d | a c          counts first, one all-to-all:  rank 0 keeps 2, rank 1 gets 2
        dispatch            b d   ──►  a c     one all-to-all of rows; there they lie by expert, then by who sent them
        experts             grouped products: all rows of expert 0, all of expert 1, …
        combine             all-to-all back, the sort undone, times the weights, added up for each token

A dropped choice (-1) is sent nowhere and adds nothing: the residual carries its token. An expert that nobody wants has
a gradient of zeros. The whole twin, `DenseMoE`, is a loop over the experts on one process; `MoE` is the same on ranks.
Each layer of experts may be cut in two ways, over ranks that hold different experts (`axes.expert`), and each expert
over ranks that hold slices of its middle (`axes.expert_tensor`): there, rows are gathered before and summed after.

How the rows lie: Megatron-LM's all-to-all dispatcher; Lepikhin et al. 2020, GShard (arXiv:2006.16668). Shared experts,
which every token uses: Dai et al. 2024, DeepSeekMoE (arXiv:2401.06066). While rows travel to the experts, the shared
one works; going back, the gradients' way home is hidden behind its backward. Never run on a GPU.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, silu

from minipar.nn.axes import ALONE, Axes, place, size
from minipar.nn.dispatch import Way, by_expert, combine, depart, dispatch, inverse
from minipar.nn.dropout import Moment
from minipar.nn.mlp import MLP, ParallelMLP
from minipar.nn.products import expert_mlp
from minipar.nn.router import (
    Routes,
    Tally,
    TopKRouter,
    WithLoss,
    counted,
    limit,
    load_balancing_loss,
    router_z_loss,
    together,
    update_bias,
)
from minipar.nn.state import take
from minipar.plan.slices import Cut, even, mlp_cuts, require_own_tokens, under

__all__ = ["DenseMoE", "Experts", "MoE", "Rules", "Way", "combine", "dispatch"]


@dataclass(frozen=True)
class Rules:
    """How tokens choose, who is dropped, and what keeps the choice even (router.py).

    capacity: the factor, None for dropless; drop: by "probability" or "position"; per_rank: capacity and losses of
    each rank's own tokens, as Megatron has it, and not of the whole microbatch. balance, z: weights of the two losses,
    0 for none. bias_rate: of the bias rule, 0 for none. Nobody is dropped in `eval()`.
    """

    top: int = 2
    capacity: float | None = None
    drop: str = "probability"
    per_rank: bool = False
    scores: str = "softmax"
    normalise: bool = True
    balance: float = 0.0
    z: float = 0.0
    bias_rate: float = 0.0


class Experts(nn.Module):
    """This rank's experts: up [mine, inner, hidden], down [mine, hidden, inner], and gate like up if `gated`.

    No biases. hidden, inner, experts: of the whole; with expert_tensor ranks each holds a part of inner. gated: as in
    Mixtral, SiLU(gate · x) · (up · x) in the middle; else GELU(up · x). Not filled. ValueError where experts or inner
    cannot be cut.
    """

    def __init__(self, hidden: int, inner: int, experts: int, axes: Axes = ALONE, gated: bool = False):
        super().__init__()
        self.axes, self.hidden, self.inner, self.total, self.gated = axes, hidden, inner, experts, gated
        mine = len(even(experts, size(axes.expert), "experts")[place(axes.expert)])
        width = len(even(inner, size(axes.expert_tensor), "an expert's width")[place(axes.expert_tensor)])
        self.up = nn.Parameter(torch.empty(mine, width, hidden))
        self.gate = nn.Parameter(torch.empty(mine, width, hidden)) if gated else None
        self.down = nn.Parameter(torch.empty(mine, hidden, width))

    @classmethod
    def from_whole(cls, whole: "Experts", axes: Axes) -> "Experts":
        """This rank's slices of all experts' weights."""
        mine = cls(whole.hidden, whole.inner, whole.total, axes, whole.gated).to(whole.up.device, whole.up.dtype)
        by_expert, by_width = mine.cuts(size(axes.expert)), mine.width_cuts(size(axes.expert_tensor))
        with torch.no_grad():
            for name, parameter in mine.named_parameters():
                part = whole.get_parameter(name)
                for cut, axis in ((by_expert[name], axes.expert), (by_width[name], axes.expert_tensor)):
                    held = cut.parts[place(axis)]
                    part = part.narrow(cut.dim, held.start, len(held))
                parameter.copy_(part)
        mine.mark()
        return mine

    def mark(self) -> None:
        """Gradients are summed over the ranks that hold the same (`axes.expert_data`), and counted by the first."""
        for parameter in self.parameters():
            parameter.expert, parameter.counted = True, place(self.axes.expert_data) == 0
            parameter.sum_over = (self.axes.expert_data,) if size(self.axes.expert_data) > 1 else ()

    def cuts(self, ranks: int) -> dict[str, Cut]:
        """Which experts each of `ranks` ranks holds."""
        return {name: Cut(0, even(self.total, ranks, "experts")) for name in self._names()}

    def width_cuts(self, ranks: int) -> dict[str, Cut]:
        """Which part of each expert's middle each of `ranks` ranks holds."""
        parts = even(self.inner, ranks, "an expert's width")
        return {name: Cut(2 if name == "down" else 1, parts) for name in self._names()}

    def _names(self):
        return ("up", "gate", "down") if self.gated else ("up", "down")

    def forward(self, rows: Tensor, sizes) -> Tensor:
        """rows [rows, hidden], by expert; sizes: rows of each of mine. Returns what each expert makes of its rows."""
        axis, recorder = self.axes.expert_tensor, self.axes.recorder
        if size(axis) == 1:
            return expert_mlp(rows, self.up, self.down, sizes, self.gate, recorder)
        return sliced_experts(self, rows, sizes, recorder)

    def one(self, expert: int, x: Tensor) -> Tensor:
        """What one expert makes of x [rows, hidden], in plain torch."""
        middle = x @ self.up[expert].t()
        middle = silu(x @ self.gate[expert].t()) * middle if self.gated else gelu(middle)
        return middle @ self.down[expert].t()


class DenseMoE(nn.Module):
    """The whole twin: a loop over the experts, on one process. What `MoE` is compared with.

    hidden, inner: width of the stream and of an expert; shared: experts that every token uses, made as one MLP of
    `shared · inner`; rules: the fields of `Rules`, by name. groups: for rules per rank, a function (number of tokens)
    -> the tokens of each rank, as index tensors.
    """

    def __init__(self, hidden: int, inner: int, experts: int, top: int = 2, capacity: float | None = None,
                 shared: int = 0, gated: bool = False, **rules):  # fmt: skip
        super().__init__()
        self.rules = Rules(top, capacity, **rules)
        self.sizes = hidden, inner, experts, shared, gated
        self.router = TopKRouter(hidden, experts, top, self.rules.scores, self.rules.normalise,
                                 bias=self.rules.bias_rate > 0)  # fmt: skip
        self.experts = self._experts()
        self.shared = self._shared(shared, inner) if shared else None
        self.moment, self.tally, self.groups = Moment(), Tally(experts), None

    def _experts(self) -> nn.Module:
        hidden, inner, experts, _, gated = self.sizes
        return Experts(hidden, inner, experts, gated=gated)

    def _shared(self, shared: int, inner: int) -> nn.Module:
        return MLP(self.sizes[0], expansion(self.sizes[0], shared, inner))

    def forward(self, x: Tensor) -> Tensor:
        """[..., hidden] -> the same: what is added to the residual stream."""
        tokens = x.flatten(0, -2)
        routes = self.router(tokens)
        parts = self.groups(len(tokens)) if self.groups is not None and self.rules.per_rank else [None]
        choice, losses = routes.choice.clone(), []
        for part in parts:
            found, loss = self.ruled(only(routes, part))
            choice[slice(None) if part is None else part] = found.choice
            share = 1.0 if part is None else len(part) / len(tokens)
            losses.append(None if loss is None else loss * share)
        loss = sum(losses) if losses[0] is not None else None
        y = torch.zeros_like(tokens)
        for expert in range(len(routes.wanted)):
            token, at = (choice == expert).nonzero(as_tuple=True)
            answer = self.experts.one(expert, tokens[token])
            y = y.index_add(0, token, routes.weight[token, at].unsqueeze(1) * answer)
        if self.shared is not None:
            y = y + self.shared(tokens)
        return self.told(routes._replace(choice=choice), loss, y).view_as(x)

    def ruled(self, routes: Routes, group=None, index: Tensor | None = None) -> tuple[Routes, Tensor | None]:
        """(routes without those who are dropped, the weighted losses or None), over this group."""
        rules, learns = self.rules, self.training and torch.is_grad_enabled()
        loss = None
        if learns and (rules.balance or rules.z):
            whole = together(routes, group)
            loss = rules.balance * load_balancing_loss(routes, whole) + rules.z * router_z_loss(routes, whole)
            loss = loss * self.moment.share
        if rules.capacity is not None and self.training:
            routes = limit(routes, rules.capacity, rules.drop, group, index)
        return routes, loss

    def told(self, routes: Routes, loss: Tensor | None, y: Tensor) -> Tensor:
        """y, with the loss tied to it; counted, unless nothing is learned here."""
        if self.training and torch.is_grad_enabled():
            self.tally.add(routes, loss)
        return y if loss is None else WithLoss.apply(y, loss)

    def teach(self, loads: Tensor) -> None:
        """One step of the bias rule. loads: [experts], of the whole step and everybody."""
        if self.router.bias is not None:
            update_bias(self.router.bias, loads.to(self.router.bias.device), self.rules.bias_rate)


class MoE(DenseMoE):
    """The same on ranks: tokens go to their experts and come home. Arguments as `DenseMoE`, and axes.

    x is this rank's own tokens: [batch, seq, hidden], or [tokens, hidden], these may be none. ValueError where tensor
    ranks would hold the same tokens (sequence parallel is off), or the experts cannot be shared out.
    """

    def __init__(self, hidden: int, inner: int, experts: int, top: int = 2, axes: Axes = ALONE,
                 capacity: float | None = None, shared: int = 0, gated: bool = False, **rules):  # fmt: skip
        require_own_tokens(size(axes.tensor), axes.sequence_parallel)
        self.axes = axes  # before all else: `_experts` asks for it
        super().__init__(hidden, inner, experts, top, capacity, shared, gated, **rules)
        self.billed_as = "experts"

    @classmethod
    def from_whole(cls, whole: DenseMoE, axes: Axes) -> "MoE":
        """This rank's part of a whole layer, with its weights."""
        hidden, inner, experts, shared, gated = whole.sizes
        mine = cls(hidden, inner, experts, axes=axes, shared=shared, gated=gated, **vars(whole.rules))
        take(mine.router, whole.router, axes.tensor, axes.sequence_parallel)
        mine.experts = Experts.from_whole(whole.experts, axes)
        if shared:
            mine.shared = ParallelMLP.from_whole(whole.shared, axes)
        return mine

    def _experts(self) -> nn.Module:
        hidden, inner, experts, _, gated = self.sizes
        return Experts(hidden, inner, experts, self.axes, gated)

    def _shared(self, shared: int, inner: int) -> nn.Module:
        return ParallelMLP(self.sizes[0], self.axes, expansion(self.sizes[0], shared, inner))

    def cuts(self, ranks: int) -> dict[str, Cut]:
        """Which part of each parameter each of `ranks` tensor ranks holds; experts lie on axes of their own."""
        hidden, inner, _, shared, _ = self.sizes
        return under("shared", mlp_cuts(hidden, expansion(hidden, shared, inner), ranks)) if shared else {}

    def forward(self, x: Tensor) -> Tensor:
        """x -> the same shape: what is added to the residual stream."""
        axes, tokens, experts = self.axes, x.flatten(0, -2), self.sizes[2]
        with axes.billed(self.billed_as):
            group = None if self.rules.per_rank else axes.group
            index = self.numbers(x) if self.rules.capacity is not None else None
            routes, loss = self.ruled(self.router(tokens), group, index)
            departure = depart(axes.expert, tokens, routes.choice, experts)
            beside = self.beside(x)
            rows, way = departure.arrive()
            y = combine(axes.expert, self.experts(rows, way.sizes), routes.weight, way).view_as(x)
            if self.rules.per_rank and loss is not None:
                loss = loss / size(axes.group)
            return self.told(routes, loss, y if beside is None else y + beside)

    def beside(self, x: Tensor) -> Tensor | None:
        """The shared expert, at work while rows travel."""
        if self.shared is None:
            return None
        recorder = self.axes.recorder
        start = recorder.mark() if recorder is not None else None
        y = self.shared(x)
        if recorder is not None:
            recorder.add("shared expert", start, recorder.mark(), recorder.here)
        return y

    def numbers(self, x: Tensor) -> Tensor | None:
        """The number of each token in the microbatch of the whole group, as one process would count: [tokens]."""
        if x.dim() < 3:
            return None
        texts, length = x.shape[:2]
        whole = length * size(self.axes.context) * (size(self.axes.tensor) if self.axes.sequence_parallel else 1)
        text = torch.arange(texts, device=x.device) + place(self.axes.data) * texts
        positions = torch.tensor(list(self.axes.stream_positions(length)), device=x.device)
        return (text.unsqueeze(1) * whole + positions).flatten()


def only(routes: Routes, part: Tensor | None) -> Routes:
    """The routes of some tokens."""
    if part is None:
        return routes
    choice, weight, scores, logits = (each[part] for each in routes[:4])
    return Routes(choice, weight, scores, logits, counted(choice, len(routes.wanted)))


def expansion(hidden: int, shared: int, inner: int) -> int:
    """How many times wider than `hidden` the shared experts are together. ValueError where it is no whole number."""
    if shared * inner % hidden:
        raise ValueError(f"{shared} shared experts of width {inner} are {shared * inner} wide, and that is no multiple "
                         f"of hidden={hidden}")  # fmt: skip
    return shared * inner // hidden


def sliced_experts(experts: Experts, rows: Tensor, sizes, recorder) -> Tensor:
    """Experts cut in their middle: rows of all expert_tensor ranks are gathered, the partial answers summed at home."""
    axis = experts.axes.expert_tensor
    table = axis.all_gather(torch.tensor([sizes], device=rows.device))
    many = tuple(table.sum(1).tolist())
    gathered = _Gathered.apply(rows, axis, many)
    order = by_expert(table)
    if order is not None:
        gathered = gathered.index_select(0, order)
    y = expert_mlp(gathered, experts.up, experts.down, table.sum(0).tolist(), experts.gate, recorder)
    return _Summed.apply(y if order is None else y.index_select(0, inverse(order)), axis, many)


class _Gathered(torch.autograd.Function):
    """Each rank's rows, joined in rank order. Back: gradients summed where the rows came from."""

    @staticmethod
    def forward(context, rows, axis, many):
        context.axis, context.many, context.layer = axis, many, axis.recorder.here
        return _joined(axis, rows)

    @staticmethod
    def backward(context, gradient):
        with context.axis.recorder.layer(context.layer):
            return _added(context.axis, gradient, context.many), None, None


class _Summed(torch.autograd.Function):
    """The mirror image: partial sums of everybody's rows, summed at home. Back: gradients joined."""

    @staticmethod
    def forward(context, rows, axis, many):
        context.axis, context.layer = axis, axis.recorder.here
        return _added(axis, rows, many)

    @staticmethod
    def backward(context, gradient):
        with context.axis.recorder.layer(context.layer):
            return _joined(context.axis, gradient), None, None


def _joined(axis, rows: Tensor) -> Tensor:
    return torch.cat(axis.all_to_all([rows] * axis.size))


def _added(axis, rows: Tensor, many) -> Tensor:
    return torch.stack(axis.all_to_all(rows.contiguous().split(many))).sum(0)
