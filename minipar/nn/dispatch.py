"""How does a row find the rank of its expert, and its answer the way home?

    choice [tokens, top]   3 0          kept choices, sorted by expert (stable: order within one is that of the tokens)
                           0 ·
                           2 3          0 0 | 2 3 3      row i of what is sent is choice `rows[i]` of all tokens · top

    counts      one all-to-all: how many rows for each of your experts come from me
    rows        one all-to-all, split as the counts say                         `way.out` and `way.came`
    there       rows lie by sender, then expert; `way.order` lays them by expert, then sender
    home        all three undone, the last first

`depart` and `Departure.arrive` are the two halves of `dispatch`: between them this rank may work while rows travel. The
backward does the same with gradients, turned round, and what was computed between the halves hides the way home again.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from minipar.nn.axes import place, size
from minipar.plan.placement import Placement
from minipar.plan.slices import even


class Way(NamedTuple):
    """How the rows of one dispatch went, for `combine`.

    rows: [sent] for each row in the order of sending, token * top + its choice's place. tokens, top: of the choice.
    out, came: rows sent to each rank of the axis, and that came from each, those that stayed included. order: [came]
    where each row by expert lies in the order of arrival (None: the same). sizes: rows of each expert here.
    """

    rows: Tensor
    tokens: int
    top: int
    out: tuple[int, ...]
    came: tuple[int, ...]
    order: Tensor | None
    sizes: tuple[int, ...]


def dispatch(axis, x: Tensor, choice: Tensor, experts: int, placement: Placement | None = None) -> tuple[Tensor, Way]:
    """Every kept choice's row goes to the rank that holds its expert: (rows by expert [came, hidden], way).

    axis: the ranks that share the experts, or None for one. x: [tokens, hidden], these may be none. choice: [tokens,
    top], -1 for dropped. Experts lie in a row, as many on each rank, unless a placement says otherwise; copies of one
    take its rows in turn. ValueError where experts do not divide by the ranks.
    """
    return depart(axis, x, choice, experts, placement).arrive()


def combine(axis, rows: Tensor, weight: Tensor, way: Way) -> Tensor:
    """The answers, home in the old order, weighed and added up: [tokens, hidden]. rows: [came, hidden], by expert.

    weight: [tokens, top]. A dropped choice adds nothing, and its weight gets no gradient.
    """
    if way.order is not None:
        rows = _Reordered.apply(rows, inverse(way.order), way.order)
    if size(axis) > 1:
        rows = _Trade.apply(rows, axis, way.came, way.out)
    return _Weighed.apply(rows, weight, way.rows)


# ---- the two halves of a dispatch


class Departure:
    """Rows under way to their experts; `arrive` waits for them."""

    def __init__(self, axis, sent: Tensor, way: Way, journey):
        self.axis, self.sent, self.way, self.journey = axis, sent, way, journey

    def arrive(self) -> tuple[Tensor, Way]:
        """(rows by expert, way), as `dispatch` returns them."""
        rows = self.sent
        if self.journey is not None:
            rows = _Arrive.apply(rows, self.journey)
        if self.way.order is not None:
            rows = _Reordered.apply(rows, self.way.order, inverse(self.way.order))
        return rows, self.way


def depart(axis, x: Tensor, choice: Tensor, experts: int, placement: Placement | None = None) -> Departure:
    """Counts, then the rows start. Arguments as `dispatch`."""
    slots = [len(part) for part in even(experts, size(axis), "experts")] if placement is None else None
    if placement is not None:
        _require_ranks(placement, size(axis), experts)
        slots = [len(held) for held in placement.slots]
    where = choice.flatten()
    if placement is not None:
        where = _slot_of(axis, where, placement)
    rows = where.argsort(stable=True)[int((where < 0).sum()) :]
    counts = torch.bincount(where[rows], minlength=sum(slots)).split(slots)
    table = _trade_counts(axis, counts)  # [sender, my experts]
    out, came = tuple(int(each.sum()) for each in counts), tuple(table.sum(1).tolist())
    way = Way(rows, *choice.shape, out, came, by_expert(table), tuple(table.sum(0).tolist()))
    sent = _Picked.apply(x, rows, choice.shape[1])
    if size(axis) == 1:
        return Departure(axis, sent, way, None)
    journey = _Journey(axis, out, came)
    return Departure(axis, _Leave.apply(sent, journey), way, journey)


def _trade_counts(axis, counts: Sequence[Tensor]) -> Tensor:
    """[sender, my experts]: rows that come for each."""
    if size(axis) == 1:
        return counts[0].unsqueeze(0)
    with _leg(axis.recorder, "counts"):
        return torch.stack(axis.all_to_all(counts))


def by_expert(table: Tensor) -> Tensor | None:
    """Where in the order of arrival (sender, then expert) each row by (expert, then sender) lies; None: unchanged."""
    senders, experts = table.shape
    if senders == 1 or experts == 1:
        return None
    starts = table.flatten().cumsum(0).view(senders, experts) - table
    many, first = table.t().flatten(), starts.t().flatten()
    within = torch.arange(int(many.sum()), device=table.device)
    return within + (first - (many.cumsum(0) - many)).repeat_interleave(many)


def inverse(order: Tensor) -> Tensor:
    """The permutation that undoes this one."""
    found = torch.empty_like(order)
    found[order] = torch.arange(len(order), device=order.device)
    return found


def _require_ranks(placement: Placement, ranks: int, experts: int) -> None:
    if (placement.ranks, placement.experts) != (ranks, experts):
        raise ValueError(f"the placement is of {placement.experts} experts on {placement.ranks} ranks, and there are "
                         f"{experts} on {ranks}")  # fmt: skip


def _slot_of(axis, expert: Tensor, placement: Placement) -> Tensor:
    """[choices]: the slot, counted rank by rank, in which each choice is computed; -1 stays. Copies take turns."""
    slots = [held for rank in placement.slots for held in rank]
    copies = max(placement.copies)
    table = torch.zeros(placement.experts, copies, dtype=torch.int64)
    for number in range(placement.experts):
        table[number, : placement.copies[number]] = torch.tensor([at for at, e in enumerate(slots) if e == number])
    table, many = table.to(expert.device), torch.tensor(placement.copies, device=expert.device)
    kept = expert.clamp(min=0)
    turn = torch.zeros_like(expert)
    if copies > 1:
        counts = torch.bincount(expert[expert >= 0], minlength=placement.experts)
        before = torch.zeros_like(counts)
        if size(axis) > 1:  # the ranks' tokens stand in one line
            before = axis.all_gather(counts.unsqueeze(0))[: place(axis)].sum(0)
        line = expert.argsort(stable=True)
        in_line = expert[line]
        turn[line] = torch.arange(len(expert), device=expert.device) - torch.searchsorted(in_line, in_line)
        turn += before[kept]
    return torch.where(expert < 0, expert, table[kept, turn % many[kept]])


# ---- doors: each is another's mirror


class _Picked(torch.autograd.Function):
    """Row `rows[i] // top` of x for each i. Back: the gradients of a token's rows are added up."""

    @staticmethod
    def forward(context, x, rows, top):
        context.rows, context.top, context.tokens = rows, top, len(x)
        return x.index_select(0, rows.div(top, rounding_mode="floor"))

    @staticmethod
    def backward(context, gradient):
        return laid(gradient, context.rows, context.tokens, context.top).sum(1), None, None


class _Weighed(torch.autograd.Function):
    """Σ over a token's choices of weight times answer."""

    @staticmethod
    def forward(context, answers, weight, rows):
        whole = laid(answers, rows, *weight.shape)
        context.save_for_backward(whole, weight)
        context.rows = rows
        y = whole[:, 0] * weight[:, :1]
        for at in range(1, weight.shape[1]):
            y.addcmul_(whole[:, at], weight[:, at : at + 1])
        return y

    @staticmethod
    def backward(context, gradient):
        (whole, weight), rows = context.saved_tensors, context.rows
        of_weight = torch.stack([(answer * gradient).sum(-1) for answer in whole.unbind(1)], 1)
        of_answers = gradient.index_select(0, rows.div(weight.shape[1], rounding_mode="floor"))
        return of_answers.mul_(weight.reshape(-1)[rows].unsqueeze(1)), of_weight, None


def laid(answers: Tensor, rows: Tensor, tokens: int, top: int) -> Tensor:
    """[tokens, top, hidden] from answers [sent, hidden]: zeros where a choice was dropped."""
    new = answers.new_zeros if len(rows) < tokens * top else answers.new_empty
    whole = new(tokens * top, answers.shape[1])
    whole[rows] = answers
    return whole.view(tokens, top, answers.shape[1])


class _Reordered(torch.autograd.Function):
    @staticmethod
    def forward(context, rows, order, back):
        context.back = back
        return rows.index_select(0, order)

    @staticmethod
    def backward(context, gradient):
        return gradient.index_select(0, context.back), None, None


class _Trade(torch.autograd.Function):
    """Rows split as `out` says to the ranks of an axis, for those that `came` says. Back: the other way round."""

    @staticmethod
    def forward(context, rows, axis, out, came):
        context.axis, context.layer, context.back = axis, axis.recorder.here, (came, out)
        return _Travel(axis, "combine", rows, out, came).wait()

    @staticmethod
    def backward(context, gradient):
        with context.axis.recorder.layer(context.layer):
            return _Travel(context.axis, "combine gradient", gradient, *context.back).wait(), None, None, None


class _Journey:
    """A dispatch under way, or its gradients on their way home: what the two doors tell each other."""

    def __init__(self, axis, out, came):
        self.axis, self.out, self.came, self.layer, self.pending = axis, out, came, axis.recorder.here, None

    def start(self, name, rows, out, came):
        with self.axis.recorder.layer(self.layer):
            self.pending = _Travel(self.axis, name, rows, out, came)

    def end(self):
        pending, self.pending = self.pending, None
        return pending.wait()


class _Leave(torch.autograd.Function):
    """Forward: the rows start. Back: waits for their gradients."""

    @staticmethod
    def forward(context, rows, journey):
        context.journey = journey
        journey.start("dispatch", rows, journey.out, journey.came)
        return rows.view_as(rows)

    @staticmethod
    def backward(context, placeholder):
        return context.journey.end(), None


class _Arrive(torch.autograd.Function):
    """Forward: waits for the rows. Back: their gradients start; what is handed on is a placeholder of their shape."""

    @staticmethod
    def forward(context, rows, journey):
        context.journey, context.shape = journey, rows.shape
        return journey.end()

    @staticmethod
    def backward(context, gradient):
        journey = context.journey
        journey.start("dispatch gradient", gradient, journey.came, journey.out)
        return gradient.new_zeros(()).expand(context.shape), None


class _Travel:
    """Rows of `out` to each rank, under way; `.wait()` gives those of `came`. One span, from start to arrival."""

    def __init__(self, axis, name, rows, out, came):
        self.recorder, self.name = axis.recorder, name
        self.layer, self.start = self.recorder.here, self.recorder.mark()
        width = rows.shape[1]
        with _leg(self.recorder, name):
            parts, shapes = rows.contiguous().split(out), [(many, width) for many in came]
            self.pending = axis.all_to_all(parts, coming=shapes, async_op=True)

    def wait(self):
        rows = torch.cat(self.pending.wait())
        self.recorder.add(self.name, self.start, self.recorder.mark(), self.layer)
        return rows


def _leg(recorder, name):
    """Bills to this leg of the journey, within the layer that is billed now."""
    return recorder.layer(f"{recorder.here}.{name}" if recorder.here else name)
