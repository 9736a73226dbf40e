"""Does the learner's moe send each row to its expert and home, and nothing else? On one, two and four real processes.

    case: tokens of all ranks, choices, weights, experts ─► each rank its part ─► moe(…) ─► y, gradients, swaps
    looked at in this order: y, what was sent out and home, the gradients of x, of the weights, of the experts

So a mistake is named once, where it first shows. The cases and the dense loop stand in moe_cases.py.
"""

from __future__ import annotations

import dataclasses

from minipar.learn.lessons.moe_cases import Case, cases, expected, work
from minipar.learn.lessons.token_post import Misrouted, said
from minipar.learn.safely import stopped_ranks
from minipar.learn.verdict import Trouble, Verdict, not_yet, right
from minipar.learn.workers import workers
from minipar.plan.routing import Routing

SECONDS = 20
FULL = {1: "The answer is", 2: "Both answers are", 3: "All three answers are"}


@dataclasses.dataclass
class Ran:
    """What one run gave, by rank: y, gradients by name, swaps forward; the trace's messages of the forward."""

    y: list
    gradients: list
    swaps: list
    messages: list


# -- on the ranks ------------------------------------------------------------------------------------------------


class Watched:
    """A worker's handle that writes down each swap of rows and of counts, and stops equal splits in a sentence."""

    def __init__(self, w, routing: Routing):
        self._w, self._routing, self.swaps = w, routing, []

    def __getattr__(self, name):
        return getattr(self._w, name)

    def listen(self, what, sends, rows):
        table, rank = self._routing.rows, self._w.rank
        if what == "rows" and not any(one == "rows" for one, _ in self.swaps) and even(sends, table[rank]):
            raise Misrouted(f"You sent {sends[0]} rows to each rank; rank 0's tokens want {said(table[0])}. "
                            "Exchange the counts first.")  # fmt: skip
        self.swaps.append((what, sends))


def even(sends, wants) -> bool:
    """As many to each, all of them, where other numbers are wanted."""
    return len(set(sends)) == 1 and len(sends) > 1 and sum(sends) == sum(wants) and list(sends) != list(wants)


def examine(w, moe, case: Case):
    """Runs the learner's moe with this rank's part, forward and backward. (y, {name: gradient or None}, swaps)"""
    import torch

    x, weight, choice = (case.part(whole, w.rank).to(w.device, copy=True)
                         for whole in (case.x, case.weight, case.choice))  # fmt: skip
    each = case.routing.experts // w.ranks
    numbers = range(w.rank * each, (w.rank + 1) * each)
    leaves = {e: tuple(one.to(w.device, copy=True).requires_grad_() for one in case.experts[e]) for e in numbers}
    mine, watched = {e: work(weights) for e, weights in leaves.items()}, Watched(w, case.routing)
    x, weight = x.requires_grad_(), weight.requires_grad_()
    with w.span("forward"):
        y = moe(watched, x, choice, weight, mine)
    if not isinstance(y, torch.Tensor) or y.shape != x.shape:
        return (y if not isinstance(y, torch.Tensor) else list(y.shape)), None, watched.swaps
    with w.span("backward"):
        if y.requires_grad:
            (y * case.part(case.pull, w.rank).to(w.device)).sum().backward()
    found = {"x": x.grad, "weight": weight.grad} | {e: [one.grad for one in leaves[e]] for e in numbers}
    return y.detach().cpu(), {name: home(one) for name, one in found.items()}, watched.swaps


def home(gradient):
    """A gradient, or a list of them, on the CPU."""
    if isinstance(gradient, list):
        return [home(one) for one in gradient]
    return None if gradient is None else gradient.cpu()


# -- the verdict -------------------------------------------------------------------------------------------------


def check_moe(moe) -> Verdict:
    """The verdict on `moe`, case by case."""
    ran = None
    for case in cases():
        try:
            now = attempt(moe, case)
            verdict = check_case(case, now)
        except Trouble as trouble:
            verdict = not_yet(str(trouble), tried=case.tried)
        if verdict is not None:
            return verdict
        ran = now if case.ranks == 4 and ran is None else ran
    return right(
        "Outputs and all gradients equal the dense loop's on 1, 2 and 4 ranks, with dropped tokens, an expert that "
        "nobody wants and a rank without tokens. Sent: counts once, 199 rows out, 199 home, and nothing else.",
        picture=lambda: picture(ran),
    )


def attempt(moe, case: Case) -> Ran:
    """The learner's moe on real processes. Trouble in a sentence where what it returned is no y."""
    try:
        out = workers(4).run(examine, moe, case, ranks=case.ranks, timeout=SECONDS)
    except RuntimeError as error:
        if type(error).__name__ != "RemoteError":
            raise
        raise Trouble(in_a_sentence(error)) from None
    for rank, (y, gradients, _) in enumerate(out):
        if gradients is None:
            was = f"a tensor {y}" if isinstance(y, list) else "nothing" if y is None else f"a {type(y).__name__}"
            shape = list(case.part(case.x, rank).shape)
            raise Trouble(f"On rank {rank} moe returned {was}; what the block adds has the shape of x, {shape}.")
    ends = {span.rank: span.end for span in out.trace.spans if span.what == "forward"}
    forward = [message for message in out.trace.messages if message.sent < ends[message.source]]
    return Ran([y for y, _, _ in out], [grads for _, grads, _ in out], [swaps for _, _, swaps in out], forward)


def in_a_sentence(error) -> str:
    """What stopped the ranks; a swap that was refused says its own sentence."""
    if "Misrouted: " in error.cause:
        own = error.cause.rstrip(".").split("Misrouted: ", 1)[1]
        return f"{own[:1].upper()}{own[1:]}."
    return stopped_ranks(error, "Every rank makes the same swaps in the same order, also where it has no rows.")


def check_case(case: Case, ran: Ran) -> Verdict | None:
    """The first thing that is wrong with one run, or None."""
    y, gradients = expected(case)
    wrong = wrong_output(case, ran, y)
    if wrong is not None:
        return wrong
    for told in (wrong_route(case, ran), wrong_gradients(case, ran, gradients)) if case.judge else ():
        if told:
            return not_yet(told, tried=case.tried)
    return None


def wrong_output(case: Case, ran: Ran, y) -> Verdict | None:
    """The verdict on a wrong y; None where it is right on every rank."""
    import torch

    got = torch.cat(ran.y)
    if close(got, y):
        return None
    cause = next((cause for cause, other in mistaken(case, y) if close(got, other)), "")
    if not cause and not close(ran.y[0], case.part(y, 0)) and same_rows(ran.y[0], case.part(y, 0)):
        cause = UNSORTED
    rank = next(rank for rank, mine in enumerate(ran.y) if not close(mine, case.part(y, rank)))
    mine, want = ran.y[rank], case.part(y, rank)
    row = (mine - want).abs().amax(1).gt(1e-10).nonzero()[0].item() if mine.isfinite().all() else 0
    shown = f"rank {rank}, row {row}: " + "{}"
    return not_yet(cause, tried=case.tried, expected=shown.format(few(want[row])), got=few(mine[row]))


UNSORTED = ("All answers came home, in the order of the experts: row 0 holds another token's. "
            "Undo the sort you sent with.")  # fmt: skip
CROSSED = ("The answers are home in their order, their weights are not: row 0 is weighed as another. "
           "Sort the weights as you sorted the pairs.")  # fmt: skip
DOUBLED = "A dropped token adds nothing here: the residual already carries it. Yours is counted twice."


def mistaken(case: Case, y):
    """(sentence, the y that this mistake makes), for the mistakes that are known."""
    import torch

    top = case.choice.shape[1]
    full = expected(case, weighted=False)[0]
    yield f"{FULL.get(top, 'All answers are')} added at full strength; each counts with its weight.", full
    yield "Return what the block adds to x, without x: the residual adds it.", y + case.x
    dropped = case.choice < 0
    if dropped.any():
        gone = dropped.all(dim=1, keepdim=True)
        yield DOUBLED, y + gone * case.x
        yield DOUBLED, y + (case.weight * dropped).sum(1, keepdim=True) * case.x
        yield DOUBLED, y + dropped.sum(1, keepdim=True) * case.x
    else:
        for weighed_there in (True, False):
            yield UNSORTED, torch.cat([unsorted(case, rank, weighed_there) for rank in range(case.ranks)])
    yield CROSSED, torch.cat([crossed(case, rank) for rank in range(case.ranks)])


def answers(case: Case, rank: int):
    """The answers to this rank's pairs in the order of the experts, and where each pair stood before."""
    import torch

    x, choice = case.part(case.x, rank), case.part(case.choice, rank)
    flat = choice.flatten()
    pairs = flat.argsort(stable=True)
    pairs = pairs[flat[pairs] >= 0]
    made = [work(case.experts[flat[pair]])(x[pair // choice.shape[1], None]) for pair in pairs.tolist()]
    return (torch.cat(made) if made else x[:0]), pairs


def unsorted(case: Case, rank: int, weighed_there: bool):
    """y where answers were taken in the order in which they came home."""
    found, pairs = answers(case, rank)
    weight = case.part(case.weight, rank).flatten()
    found = found * (weight[pairs] if weighed_there else weight)[:, None]
    return found.view(-1, case.choice.shape[1], case.x.shape[1]).sum(1)


def crossed(case: Case, rank: int):
    """y where answers were put back, and weighed with the first weights in line."""
    import torch

    found, pairs = answers(case, rank)
    weight = case.part(case.weight, rank).flatten()[: len(pairs), None]
    return torch.zeros_like(case.part(case.x, rank)).index_add(0, pairs // case.choice.shape[1], weight * found)


def same_rows(one, other) -> bool:
    """The same rows in another order; asked of the example only, whose rows are single numbers."""
    return one.shape == other.shape and one.shape[1] == 1 and close(one.sort(0).values, other.sort(0).values)


def wrong_route(case: Case, ran: Ran) -> str:
    """What was sent too often, or where it was not needed."""
    rows = [[sends for what, sends in swaps if what == "rows"] for swaps in ran.swaps]
    counts, table = [sum(what == "counts" for what, _ in swaps) for swaps in ran.swaps], case.routing.rows
    needed = case.routing.carried().total * row_bytes(case)
    sent = sent_out(case, ran, rows)
    if sent > needed:
        return (f"The values are right, the route is not: {sent:,} bytes out, {needed:,} are needed. "
                "Send a row only where its expert lives.")  # fmt: skip
    if max(map(len, rows)) > 2:
        return f"Right values, {max(map(len, rows))} all-to-alls of rows, 2 suffice: out, and home."
    if max(counts) > 1:
        return f"Right values, {max(counts)} all-to-alls of counts, 1 suffices: home go as many as came."
    by_hand = {message.collective or "send" for message in ran.messages if message.layer not in ("rows", "counts")}
    if by_hand:
        return f"Right values, and besides the swaps there was {' and '.join(sorted(by_hand))}: nothing else is needed."
    for rank, calls in enumerate(rows):
        for other, (many, want) in enumerate(zip(calls[0] if calls else (), table[rank], strict=False)):
            if many > want:
                return f"Right values, and rank {rank} sent rank {other} {many} rows, where its tokens want {want}."
    return ""


def row_bytes(case: Case) -> int:
    return case.x.shape[1] * case.x.element_size()


def sent_out(case: Case, ran: Ran, rows) -> int:
    """Bytes that left their rank on the way out: the first swap of rows, or the largest collective made by hand."""
    if all(rows):
        return sum(many for rank, calls in enumerate(rows) for to, many in enumerate(calls[0]) if to != rank) * (
            row_bytes(case)
        )
    sums: dict[str, int] = {}
    for message in ran.messages:
        sums[message.collective] = sums.get(message.collective, 0) + message.bytes
    return max(sums.values(), default=0)


def wrong_gradients(case: Case, ran: Ran, wants) -> str:
    """The first gradient that is missing or wrong."""
    for rank, found in enumerate(ran.gradients):
        for name in ("x", "weight", *(name for name in found if isinstance(name, int))):
            single = isinstance(name, str)
            got, want = ([one] if single else one for one in (found[name], wants[name]))
            want = [case.part(want[0], rank)] if single else want
            words = {"x": "x", "weight": "the weights"}.get(name, f"expert {name}")
            for mine, true in zip(got, want, strict=True):
                if mine is None and true.numel():
                    return missing(case, name, words)
                if mine is not None and not close(mine, true):
                    return f"The output is right, the gradient of {words} on rank {rank} is not."
    return ""


def missing(case: Case, name, words: str) -> str:
    if isinstance(name, int) and not case.routing.load[name]:
        return (f"Nobody wanted {words}, and it got no gradient at all: its gradient is zero, not missing. "
                "Let it work on no rows.")  # fmt: skip
    why = "multiply by them as they are" if name == "weight" else "rows travel with their gradients in swap_rows alone"
    return f"The output is right, and {words} got no gradient: {why}."


def close(got, want) -> bool:
    import torch

    if not want.numel():
        return got.shape == want.shape
    return got.shape == want.shape and torch.allclose(got, want, rtol=0, atol=1e-10 * max(1.0, want.abs().max().item()))


def few(row) -> str:
    """The first numbers of a row."""
    return "[" + ", ".join(f"{number:.4g}" for number in row[:3].tolist()) + (", …]" if len(row) > 3 else "]")


def picture(ran: Ran):
    """What the learner's rows put on each link, out and home."""
    from minipar.view.traffic import matrices

    ranks = range(len(ran.y))
    halves = [[[0] * len(ranks) for _ in ranks] for _ in range(2)]
    for source in ranks:
        for target in ranks:
            sizes = [m.bytes for m in ran.messages if m[:2] == (source, target) and m.layer == "rows"]
            for table, size in zip(halves, sizes, strict=False):
                table[source][target] = size
    return matrices(dict(zip(("out", "home"), halves, strict=True)), "Yours: what came goes home, the other way")
