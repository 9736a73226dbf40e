"""What does lesson 09 ask, measure and check? Heads are slices already; a loss over all words needs three numbers.

    vocab_loss(tensor, logits, targets, first) -> (loss, gradient of these logits)

Every call of the check is a run on real processes (1 to 4), whose collectives are counted.
"""

from __future__ import annotations

import statistics

from minipar.learn.lesson import Lesson, Option, Question, Results
from minipar.learn.lessons import vocab_loss as exercise
from minipar.plan.slices import attention_cuts
from minipar.plan.slices import heads as heads_of

HIDDEN, QUERY_HEADS, KV_HEADS = 64, 8, 2
NEAR = 1e-4  # float32 sums taken in another order, against the largest number of a tensor


# -- the run -----------------------------------------------------------------------------------------------------


def see(r: Results):
    """The heads on four ranks above what the loss holds and sends on each of them; then where it does not pay."""
    from minipar.view.heads import HELD, SENT, Bars, head_map

    held, sent = held_by(r), sent_by(r)
    bars = [
        Bars("logits held", held, {way: mega(sizes[0]) for way, sizes in held.items()}, HELD),
        Bars("bytes sent", sent, {"gathered": mega(sent["gathered"][0]), "sliced": exact(sent["sliced"][0])}, SENT),
    ]
    drawn = head_map(
        heads_of(QUERY_HEADS, KV_HEADS, 4),
        bars,
        title="Three numbers a token instead of 8,000",
        callout="a copy: its gradient is summed with its twin's",
    )
    alone, together = (1000 * statistics.median(times) for times in zip(*r.small, strict=True))
    return [
        drawn,
        f"16 tokens and 64 words, forward and backward, on this machine now: one process {alone:.2f} ms, four ranks "
        f"{together:.1f} ms, {together / alone:.0f} times as long. So few words are not worth slicing.",
    ]


def held_by(r: Results) -> dict[str, tuple[int, ...]]:
    """Bytes of scores on each rank: its own words', and where they were gathered everybody's beside them."""
    own = [gradient.nbytes for _, gradient in r.sliced]
    return {"gathered": tuple(size + sum(own) for size in own), "sliced": tuple(own)}


def sent_by(r: Results) -> dict[str, tuple[int, ...]]:
    """Bytes that each rank really sent."""
    return {way: tuple(r[way].trace.sent(rank) for rank in range(4)) for way in ("gathered", "sliced")}


def facts(r: Results):
    """Exact on any machine: weights and messages are counted, results compared."""
    held, sent, trace = held_by(r), sent_by(r), r.sliced.trace
    sizes = sorted(r.heads)
    at = f"P = {', '.join(map(str, sizes))}"
    return [
        (f"collectives over all ranks, {at}", ", ".join(str(over_all(r.heads[P].trace, P)) for P in sizes)),
        (f"and between twins, {at}", ", ".join(str(between_twins(r.heads[P].trace, P)) for P in sizes)),
        (f"weights a rank, {at}", ", ".join(f"{weights(r, P):,}" for P in sizes)),
        ("attention and its gradients equal", all(same_attention(r, P) for P in sizes)),
        ("logits held a rank", f"gathered {held['gathered'][0]:,} B, sliced {held['sliced'][0]:,} B"),
        ("sent a rank", f"gathered {sent['gathered'][0]:,} B, sliced {sent['sliced'][0]:,} B"),
        ("sliced", f"{trace.calls(0)} all-reduces, payload {trace.payload(0):,} B a rank"),
        ("messages in the sliced loss's backward", after(trace, "backward")),
        ("loss and gradients equal", same_loss(r)),
    ]


def weights(r: Results, ranks: int) -> int:
    """Numbers in the four matrices of rank 0 (biases left out)."""
    return sum(gradient.numel() for gradient in r.heads[ranks][0][1].values() if gradient.dim() == 2)


def over_all(trace, ranks: int) -> int:
    """How many collectives rank 0 had with all others, forward and backward."""
    return sum(each.rank == 0 and len(each.ranks) == ranks for each in trace.collectives)


def between_twins(trace, ranks: int) -> int:
    """How many collectives rank 0 had with some ranks and not all."""
    return sum(each.rank == 0 and len(each.ranks) < ranks for each in trace.collectives)


def after(trace, name: str) -> int:
    """How many messages rank 0 sent once its span of this name had begun."""
    begun = starts(trace, name)
    return sum(message.source == 0 and message.sent >= begun for message in trace.messages)


def starts(trace, name: str) -> float:
    """When rank 0's span of this name began."""
    return next(span.start for span in trace.spans if span.rank == 0 and span.what == name)


def same_attention(r: Results, ranks: int) -> bool:
    """Output and gradients of every rank at P = `ranks` against its slices at P = 1."""
    from minipar.nn.state import slice_state

    (output, alone), *_ = r.heads[1]
    cuts = attention_cuts(HIDDEN, QUERY_HEADS, KV_HEADS, ranks)
    least = max(gradient.abs().max() for gradient in alone.values()) / 10_000
    for rank, (mine, gradients) in enumerate(r.heads[ranks]):
        expected = slice_state(alone, cuts, rank)
        if not close(mine, output) or not all(close(gradients[name], expected[name], least) for name in expected):
            return False
    return True


def same_loss(r: Results) -> bool:
    """The sliced loss and gradients against torch's on the gathered logits, on every rank."""
    pairs = zip(r.gathered, r.sliced, strict=True)
    return all(close(one, other) for ours, torchs in pairs for one, other in zip(ours, torchs, strict=True))


def close(one, other, least: float = 0.0) -> bool:
    """Equal up to rounding, against the largest number; at least `least`: where 0 is true, rounding is all there is."""
    return one.shape == other.shape and bool((one - other).abs().max() <= NEAR * max(other.abs().max(), least))


def formula(r: Results, sliced=0, gathered=0):
    """The cell's two numbers beside the bytes that were sent."""
    sent = sent_by(r)
    return [
        ("sent a rank, sliced", f"{sliced:,}", f"{sent['sliced'][0]:,}"),
        ("sent a rank, gathered", f"{gathered:,}", f"{sent['gathered'][0]:,}"),
    ]


def mega(size: int) -> str:
    """ "8.2 MB"."""
    return f"{size / 1e6:.1f} MB"


def exact(size: int) -> str:
    """ "4,608 B"."""
    return f"{size:,} B"


def measured_numbers(r: Results) -> str:
    """What each rank put into the collectives, a token."""
    tokens = r.sliced[0][1].shape[0]
    return f"{r.sliced.trace.payload(0) // (4 * tokens)} numbers a token from each rank, {same(same_loss(r))} loss."


def same(equal: bool) -> str:
    return "the same" if equal else "another"


def measured_weights(_: Results) -> str:
    """By plan.slices: the run has four ranks, and eight are only laid out."""
    two, eight = (len(heads_of(QUERY_HEADS, KV_HEADS, ranks).kv[0]) for ranks in (2, 8))
    return f"{two} key/value head a rank at P = 2, {eight} at P = 8."


QUESTIONS = (
    Question(
        name="A",
        text="Each rank computes 8,000 of a token's 32,000 scores. For the exact loss it must contribute, per token…",
        options=(
            Option("8,000 numbers", "The loss is log of a sum minus one score: sums can be summed first."),
            Option("its largest 10", "Near, never exact: all 8,000 stand in the sum."),
            Option("3 numbers", "Right: its largest score, its share of the sum, and the target's score or 0."),
            Option("1 number", "A sum alone: against which maximum? and where is the target's score?"),
        ),
        right=2,
        measured=measured_numbers,
    ),
    Question(
        name="B",
        text="8 query heads, 2 key/value heads. Key/value weights a rank at P = 8, against P = 2?",
        options=(
            Option("a quarter", "Two heads cannot be cut in eight: from 2 ranks on each holds one, then copies."),
            Option("half", "Two heads cannot be cut in eight: from 2 ranks on each holds one, then copies."),
            Option("the same", "Right: one head a rank at P = 2, and at P = 8 still one, four times copied."),
            Option("double", "It stays one head a rank."),
        ),
        right=2,
        measured=measured_weights,
    ),
)

LESSON = Lesson(
    id="09",
    file="09_heads_vocabulary",
    title="Slicing II",
    questions=QUESTIONS,
    see=see,
    facts=facts,
    formula=formula,
    checks=(exercise.check_vocab_loss,),
    hints=exercise.HINTS,
)
