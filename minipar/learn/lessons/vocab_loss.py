"""Is a learner's loss over sliced words right, and does it send three numbers a token?

    vocab_loss(tensor, logits, targets, first) -> (loss, gradient)

    rank 0   scores of words 0 1 2 3 ─┐
    rank 1   scores of words 4 5 6   ─┴─► one mean loss on both, each its own words' gradient

Each case is one run on real processes: the values are compared with one process's, in float64, and what the ranks put
into collectives is counted. The first case that fails is told, with its cause where it is a known one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minipar.learn.safely import Trouble
from minipar.learn.verdict import Verdict, not_yet, right
from minipar.learn.workers import workers
from minipar.view.words import count

NUMBERS, COLLECTIVES = 3, 3  # a token from each rank; in all
EXACT = 1e-10
ITEM = 8  # bytes of a float64


@dataclass(frozen=True)
class Case:
    """logits [tokens, words] of one process, targets [tokens], and how many words each rank has."""

    name: str
    logits: Any
    targets: Any
    widths: tuple[int, ...]

    @property
    def ranks(self) -> int:
        return len(self.widths)

    @property
    def firsts(self) -> list[int]:
        """The number of each rank's first word."""
        return [sum(self.widths[:rank]) for rank in range(self.ranks)]

    @property
    def pieces(self) -> tuple:
        """Each rank's logits."""
        return self.logits.split(self.widths, dim=-1)

    def expected(self):
        """(loss, gradient [tokens, words]) of torch on one process."""
        import torch

        whole = self.logits.clone().requires_grad_()
        loss = torch.nn.functional.cross_entropy(whole, self.targets)
        return loss.item(), torch.autograd.grad(loss, whole)[0]


def cases() -> list[Case]:
    """The case that the learner was shown, then hidden ones."""
    import torch

    stream = torch.Generator().manual_seed(9)

    def scores(tokens: int, words: int):
        return torch.randn(tokens, words, generator=stream, dtype=torch.float64)

    def targets(tokens: int, words: int, first: int = 0):
        return torch.randint(first, words, (tokens,), generator=stream)

    def counted(words: int):
        return torch.arange(1.0, words + 1, dtype=torch.float64).reshape(1, words)

    return [
        Case("[[1, 2, 3]] and [[4, 5, 6]], target 1", counted(6), torch.tensor([1]), (3, 3)),
        Case("64 tokens × 1,000 words on 4", scores(64, 1000), targets(64, 1000), (250,) * 4),
        Case("7 words as 4 + 3 (scores 1 to 7), target 4", counted(7), torch.tensor([4]), (4, 3)),
        Case("scores near 1,000", scores(5, 6) + 1000, targets(5, 6), (3, 3)),
        Case("11 words as 4 + 4 + 3, all targets on the last rank", scores(6, 11), targets(6, 11, 8), (4, 4, 3)),
        Case("3 tokens × 5 words, one rank", scores(3, 5), targets(3, 5), (5,)),
    ]


def check_vocab_loss(vocab_loss) -> Verdict:
    """Every case on its own number of real processes; the first that fails is told."""
    played = None
    for case in cases():
        out = play(vocab_loss, case)
        told = judge(case, out)
        if told is not None:
            return told
        if case.ranks == 4:
            played = case, out
    case, out = played
    numbers = numbers_a_token(out.trace, case)
    return right(
        f"Loss and gradients are one process's in all {len(cases())} cases. With 1,000 words on 4 ranks each gives "
        f"{numbers:g} numbers a token in {count(out.trace.calls(0), 'collective')}, and its 250 scores stay at home.",
        picture=lambda: picture(case, out),
    )


def play(vocab_loss, case: Case):
    """The learner's function on each rank's piece, on real processes."""
    run = on_each_rank()
    run.__module__ = vocab_loss.__module__  # the learner's own file goes with it
    from minipar.plan.mesh import Mesh

    pool, mesh = workers(case.ranks), Mesh(tensor=case.ranks)
    return pool.run(run, vocab_loss, case.pieces, case.targets, case.firsts, mesh=mesh, timeout=20)


def on_each_rank():
    """The program of a rank. Made here, so that it travels by value: workers need not load the course engine."""

    def on_this_rank(w, vocab_loss, pieces, targets, firsts):
        tensor = w.axis("tensor")
        mine = pieces[tensor.rank].to(w.device, copy=True)
        return vocab_loss(tensor, mine, targets.to(w.device), firsts[tensor.rank])

    return on_this_rank


# -- the verdict on one case -----------------------------------------------------------------------------------------


def judge(case: Case, out) -> Verdict | None:
    """What is wrong in this case, or None."""
    loss, gradient = case.expected()
    losses, gradients = taken_apart(case, out)
    tried = f"{case.ranks} rank{'' if case.ranks == 1 else 's'}: {case.name}"
    if not all(abs(one - loss) <= EXACT * max(1, abs(loss)) for one in losses):
        return not_yet(cause_of_loss(case, losses, loss), tried=tried, expected=f"loss {loss:.4f}", got=said(losses))
    whole = together(gradients)
    if not (whole - gradient).abs().max() <= EXACT:
        cause = cause_of_gradient(case, whole, gradient)
        return not_yet(cause, tried=tried, expected=f"gradients {rows(gradient, case)}", got=rows(whole, case))
    return too_much(case, out.trace, tried)


def taken_apart(case: Case, out):
    """(losses, gradients) by rank; Trouble in a sentence for what is not a loss and a gradient."""
    import torch

    losses, gradients = [], []
    for rank, (value, piece) in enumerate(zip(out, case.pieces, strict=True)):
        if not isinstance(value, tuple | list) or len(value) != 2:
            raise Trouble(f"Rank {rank} returned {in_words(value)}. Return two things: the mean loss, the gradient.")
        loss, gradient = value
        if not torch.is_tensor(gradient) or gradient.shape != piece.shape:
            raise Trouble(f"Rank {rank}'s gradient is {in_words(gradient)}, and its logits are {in_words(piece)}.")
        loss = torch.as_tensor(loss)
        if loss.numel() != 1:
            raise Trouble(f"Rank {rank}'s loss is {in_words(loss)}; it is one number, the mean over the tokens.")
        losses.append(loss.item())
        gradients.append(gradient.double())
    return losses, gradients


def in_words(value) -> str:
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"a tensor {tuple(shape)}"
    return "nothing" if value is None else f"a {type(value).__name__}"


def too_much(case: Case, trace, tried: str) -> Verdict | None:
    """More numbers or more collectives than are needed."""
    numbers = numbers_a_token(trace, case)
    if numbers > NUMBERS:
        _, _, words = str(case.name).partition("× ")
        where = f" ({words})" if words else ""
        cause = f"{numbers:g} numbers a token from each rank{where}, {NUMBERS} suffice."
        return not_yet(f"The right loss, too much on the wire: {cause}", tried=tried)
    most = max(trace.calls(rank) for rank in range(case.ranks))
    if most > COLLECTIVES:
        cause = "2 suffice: what is summed can travel together."
        return not_yet(f"The right loss in {most} collectives, {cause}", tried=tried)
    return None


def numbers_a_token(trace, case: Case) -> float:
    """What the busiest rank put into collectives and sent by hand, in numbers a token."""
    given = [trace.payload(rank) + trace.sent(rank, collective="") for rank in range(case.ranks)]
    return max(given) / ITEM / len(case.targets)


# -- causes ----------------------------------------------------------------------------------------------------------


def cause_of_loss(case: Case, losses: list[float], loss: float) -> str:
    """The sentence for a known slip; "" for an unknown one."""
    if case.logits.abs().max() > 500 and not all(is_finite(one) for one in losses):
        said = "inf" if any(one == float("inf") for one in losses) else "nan"
        return f"{said} at scores near 1,000: exp overflows. Take the maximum over all ranks off first."
    ranks = "R" + ", ".join(f"rank {rank} says {minus(f'{one:.2f}')}" for rank, one in enumerate(losses))[1:]
    if near(losses, own_maxima(case)):
        return f"{ranks}, expected {loss:.2f}: sums against different maxima cannot be added."
    if max(losses) - min(losses) > 1e-6:
        return f"{ranks}, expected {loss:.2f}: the loss is one for all ranks, so each must end with the same sums."
    wrong, read = from_the_end(case)
    if near(losses, [wrong] * case.ranks) and wrong < 0:
        rank, index, score = read
        target, first = case.targets[0].item(), case.firsts[rank]
        return (
            f"{minus(f'{wrong:.2f}')}: a loss below 0 cannot be. Rank {rank} read target {target} − {first} = "
            f"{minus(str(index))}, which Python takes from the end (score {score:g}). Not mine is 0."
        )
    if near(losses, [rank_times_width(case)] * case.ranks):
        rank = case.ranks - 1
        counted = rank * case.widths[rank]
        return (
            f"On {case.name}: {losses[0]:.2f}, expected {loss:.2f}. Rank {rank} starts at word {case.firsts[rank]}, "
            f"you counted {counted}."
        )
    if near(losses, [loss * len(case.targets)] * case.ranks):
        return f"{losses[0]:.2f}, expected {loss:.2f}: that is the sum over {len(case.targets)} tokens. Take the mean."
    return ""


def own_maxima(case: Case) -> list[float]:
    """The loss where each rank takes its own maximum off and the sums are added all the same."""
    largest = [piece.amax(-1, keepdim=True) for piece in case.pieces]
    total = sum((piece - most).exp().sum(-1) for piece, most in zip(case.pieces, largest, strict=True))
    target = case.logits.gather(-1, case.targets[:, None])[:, 0]
    return [(total.log() + most[:, 0] - target).mean().item() for most in largest]


def from_the_end(case: Case):
    """The loss where each rank reads its score at target − first, also from the end; and (rank, index, score)."""
    target, read = 0, None
    for rank, (piece, first) in enumerate(zip(case.pieces, case.firsts, strict=True)):
        index = case.targets - first
        if bool((index >= piece.shape[1]).any()) or bool((index < -piece.shape[1]).any()):
            return float("nan"), read
        scores = piece[range(len(index)), index]
        if index[0] < 0:
            read = rank, index[0].item(), scores[0].item()
        target = target + scores
    return (case.logits.logsumexp(-1) - target).mean().item(), read


def rank_times_width(case: Case) -> float:
    """The loss where each rank believes that its words start at rank × its own width."""
    target = 0
    for rank, piece in enumerate(case.pieces):
        index = case.targets - rank * piece.shape[1]
        mine = (index >= 0) & (index < piece.shape[1])
        target = target + piece.gather(-1, index.clamp(0, piece.shape[1] - 1)[:, None])[:, 0] * mine
    return (case.logits.logsumexp(-1) - target).mean().item()


def cause_of_gradient(case: Case, whole, gradient) -> str:
    """The sentence for a known slip in the gradient; "" for an unknown one."""
    import torch

    tokens = len(case.targets)
    if torch.allclose(whole, gradient * tokens, atol=EXACT) and tokens > 1:
        return f"The gradient is {tokens} times too large: the loss is a mean over {tokens} tokens."
    row = whole[0].sum().item() * (tokens if tokens > 1 else 1)
    owners = {2: "both ranks", 3: "all three ranks", 4: "all four ranks"}.get(case.ranks, "the rank")
    if abs(row - (1 - case.ranks)) < 1e-6 and case.ranks > 1:
        return (
            f"The gradient's row sums to {minus(f'{row:.0f}')}, expected 0: {owners} took the target's 1 off. "
            "One of them owns it."
        )
    if abs(row - 1) < 1e-6:
        return "The gradient's row sums to 1, expected 0: nobody took the target's 1 off. Who owns the target does."
    if abs(row) > 1e-6:
        return f"The gradient's row sums to {minus(f'{row:.4f}')}, expected 0."
    return ""


# -- words and pictures ----------------------------------------------------------------------------------------------


def near(some: list[float], others: list[float]) -> bool:
    return all(abs(one - other) <= 1e-6 for one, other in zip(some, others, strict=True))


def is_finite(number: float) -> bool:
    return number == number and abs(number) != float("inf")


def minus(text: str) -> str:
    """A minus sign instead of a hyphen."""
    return text.replace("-", "−")


def said(losses: list[float]) -> str:
    """The losses by rank; one where all agree."""
    shown = [minus(f"{loss:.4f}") for loss in losses]
    return f"loss {shown[0]}" if len(set(shown)) == 1 else "losses " + ", ".join(shown)


def together(gradients):
    import torch

    return torch.cat(gradients, dim=-1)


def rows(whole, case: Case) -> str:
    """The gradient's first row, rank by rank, where it is short."""
    if whole.shape[1] > 12:
        return "a row that sums to " + minus(f"{whole[0].sum().item():.4f}")
    pieces = whole[0].split(case.widths)
    return " and ".join("[" + ", ".join(minus(f"{one:.4f}") for one in piece.tolist()) + "]" for piece in pieces)


def picture(case: Case, out):
    """What each rank contributed, beside what the scores would have been."""
    from minipar.view.heads import SENT, Bars, rank_bars

    scores = tuple(float(width) for width in case.widths)
    given = tuple(out.trace.payload(rank) / ITEM / len(case.targets) for rank in range(case.ranks))
    say = {"all scores": f"{scores[0]:g}", "yours": f"{max(given):g}"}
    numbers = Bars("numbers a token", {"all scores": scores, "yours": given}, say, SENT)
    return rank_bars(case.ranks, [numbers], "Your loss: the scores stay at home")


HINTS = (
    "Which two numbers make the denominator?",
    "If the target is not mine, what may I add to the sum?",
    "max → all-reduce(max); [Σ exp(x − max), mine ? score : 0] → all-reduce(sum).",
)
