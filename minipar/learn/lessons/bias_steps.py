"""Does the learner's bias choose without weighing, and does it even out the load, step by step?

    choose        the experts with the highest score + bias, each with its score as weight
    update_bias   60 steps of fresh tokens under the learner's rule at rate 0.02, then single steps

    busiest / mean   2.84 at step 0    2.16 at 10    1.38 at 20    1.16 at 40    about 1.30 from there on
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from minipar.learn.safely import Trouble
from minipar.learn.verdict import Verdict, call, not_yet, right
from minipar.plan import balance

TOKENS, EXPERTS, TOP, RATE = 128, 8, 2, 0.02
STEPS, LOOK = 60, 40  # steps that are run; the step at which the load has to be even
ONE_STEP = (  # bias, loads, rate
    ([0.0, 0.0, 0.0], [6, 3, 3], 0.1),
    ([0.5, -0.2, 0.1, 0.0], [4, 4, 7, 1], 0.05),  # two experts have the mean exactly
    ([0.3, 0.3], [5, 5], 0.1),
)


# -- choosing ----------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """Scores by token, a bias by expert, how many are chosen."""

    scores: Sequence[Sequence[float]]
    bias: Sequence[float]
    top: int

    @property
    def tried(self) -> str:
        if len(self.scores) > 1:
            return f"{len(self.scores)} tokens, {len(self.bias)} experts, top={self.top}"
        return f"scores {self.scores[0]}, bias {self.bias}, top={self.top}"


def cases() -> list[Case]:
    """The example, then seeded tokens: top 2, top 1, top 3, no bias at all."""
    example = Case([[0.5, 0.3, 0.1]], [-0.3, 0.0, 0.3], 2)
    lean = [-0.5, -0.25, 0.1, 0.0, 0.05, 0.2, -0.1, 0.15]
    seeded = (Case(balance.leaning(16, 8, seed=top), lean, top) for top in (2, 1, 3))
    return [example, *seeded, Case(balance.leaning(16, 8, seed=4), [0.0] * 8, 2)]


def check_choose(choose: Callable) -> Verdict:
    """The right experts by score + bias, weighed with their scores alone."""
    for case in cases():
        try:
            choice, weight = chosen(choose, case)
        except Trouble as trouble:
            return not_yet(str(trouble), tried=case.tried)
        wrong = wrong_choice(choice, case) or wrong_weight(choice, weight, case)
        if wrong:
            shown = len(case.scores) == 1
            got = f"{choice[0]} with weights {rounded(weight[0])}" if shown else ""
            return not_yet(wrong, tried=case.tried, expected="[2, 1] with weights [0.1, 0.3]" if shown else "", got=got)
    return right("Chosen by score + bias, weighed with the score alone.")


def chosen(choose: Callable, case: Case) -> tuple[list, list]:
    """What the learner returned, as lists. Trouble in a sentence where it is something else."""
    import torch

    got = call(choose, torch.tensor(case.scores, dtype=torch.float64), torch.tensor(case.bias, dtype=torch.float64),
               case.top)  # fmt: skip
    if not isinstance(got, tuple | list) or len(got) != 2 or not all(torch.is_tensor(one) for one in got):
        was = "nothing" if got is None else f"a {type(got).__name__}"
        raise Trouble(f"choose returned {was}; return two tensors: the experts, and their weights.")
    shape = [len(case.scores), case.top]
    for one, name in zip(got, ("experts", "weights"), strict=True):
        if list(one.shape) != shape:
            raise Trouble(f"The {name} have shape {list(one.shape)}, expected {shape}: tokens × top.")
    return got[0].long().tolist(), got[1].detach().double().tolist()


def wrong_choice(choice: list, case: Case) -> str:
    want = balance.chosen(case.scores, case.top, case.bias)
    plain = balance.chosen(case.scores, case.top)
    if all(set(got) == set(row) for got, row in zip(choice, want, strict=True)):
        return ""
    if all(set(got) == set(row) for got, row in zip(choice, plain, strict=True)):
        return "Chosen by the scores alone: so the bias can teach nothing. Choose by score + bias."
    token = next(at for at, (got, row) in enumerate(zip(choice, want, strict=True)) if set(got) != set(row))
    return f"Token {token} takes experts {told(choice[token])}; by score + bias it takes {told(want[token])}."


def wrong_weight(choice: list, weight: list, case: Case) -> str:
    for row, mine, scores in zip(choice, weight, case.scores, strict=True):
        if all(abs(got - scores[expert]) < 1e-9 for expert, got in zip(row, mine, strict=True)):
            continue
        if all(abs(got - scores[e] - case.bias[e]) < 1e-9 for e, got in zip(row, mine, strict=True)):
            return "Loads are even, outputs are not the twin's: weigh with the scores, choose with score + bias."
        return (f"Experts {told(row)} weigh {rounded(mine)}; their scores are {rounded(scores[e] for e in row)}, "
                "and a weight is the score as it was.")  # fmt: skip
    return ""


def told(numbers) -> str:
    return " and ".join(map(str, numbers))


def rounded(numbers) -> list[float]:
    return [round(one, 4) for one in numbers]


# -- teaching ----------------------------------------------------------------------------------------------------


def check_update(update: Callable) -> Verdict:
    """60 steps of fresh tokens: the load must have become even by step 40. Then exact single steps."""
    try:
        seen = taught(update)
        told_ = wrong_way(seen)
        if told_:
            return not_yet(told_, tried=f"{LOOK} steps of {TOKENS} fresh tokens, rate {RATE}")
        wrong = next(filter(None, (one_step(update, *case) for case in ONE_STEP)), None)
    except Trouble as trouble:
        return not_yet(str(trouble))
    if wrong:
        return wrong
    at = {step: uneven(seen[step]) for step in (0, 10, 20, LOOK)}
    mean = sum(map(uneven, seen[LOOK:])) / (STEPS - LOOK)
    return right(
        f"Busiest expert / mean: {at[0]:.2f} at first, {at[10]:.2f} after 10 steps, {at[20]:.2f} after 20, "
        f"{at[LOOK]:.2f} after {LOOK}. Then it wobbles, {mean:.2f} on average: {TOKENS} tokens are few.",
        picture=lambda: picture(seen),
    )


def taught(update: Callable) -> list[tuple[int, ...]]:
    """The load of each expert at each step under the learner's rule, from fresh seeded tokens."""
    bias, seen = [0.0] * EXPERTS, []
    for _, scores in zip(range(STEPS), balance.streams(TOKENS, EXPERTS), strict=False):
        seen.append(balance.counted(balance.chosen(scores, TOP, bias), EXPERTS))
        bias = updated(update, bias, seen[-1], RATE)
    return seen


def updated(update: Callable, bias: Sequence[float], loads: Sequence[float], rate: float) -> list[float]:
    """The learner's next bias, as numbers. Trouble in a sentence where it is something else."""
    import torch

    got = call(update, torch.tensor(bias, dtype=torch.float64), torch.tensor(loads, dtype=torch.float64), rate)
    if not torch.is_tensor(got) or list(got.shape) != [len(bias)]:
        was = "nothing" if got is None else f"shape {list(got.shape)}" if torch.is_tensor(got) else type(got).__name__
        raise Trouble(f"update_bias returned {was}; return the new bias: a number an expert, {len(bias)} here.")
    if not got.isfinite().all():
        raise Trouble("The new bias is not a number (nan or inf) somewhere: was something divided by 0?")
    return got.detach().double().tolist()


def uneven(load: Sequence[int]) -> float:
    return balance.max_over_mean(load)


def wrong_way(seen: Sequence[Sequence[int]]) -> str:
    """The cause, where the load has not become even by step 40."""
    after = uneven(seen[LOOK])
    possible = uneven(balance.taught(LOOK + 1, RATE)[LOOK].load)
    if sum(map(bool, seen[20])) == TOP:
        return (f"By step 20 every token takes experts {told(e for e in range(EXPERTS) if seen[20][e])}: "
                f"{' '.join(map(str, seen[20]))}. Busy experts must become less attractive.")  # fmt: skip
    if after <= 1.25 * possible:
        return ""
    largest = [load.index(max(load)) for load in seen[1 : LOOK + 1]]
    if largest.count(0) > LOOK / 2:  # expert 0 still leads, as in the beginning
        return f"Busiest / mean {after:.2f} after {LOOK} steps, as at first: the bias hardly moves."
    return (f"It overshoots: {after:.2f} after {LOOK} steps, {possible:.2f} is possible with {RATE}. "
            "The bias jumps over the scores' differences.")  # fmt: skip


def one_step(update: Callable, bias: Sequence[float], loads: Sequence[int], rate: float) -> Verdict | None:
    got, want = updated(update, bias, loads, rate), balance.update_bias(bias, loads, rate)
    if all(abs(one - other) < 1e-9 for one, other in zip(got, want, strict=True)):
        return None
    moved = [one - before for one, before in zip(got, bias, strict=True)]
    even = [move for move, load in zip(moved, loads, strict=True) if load * len(loads) == sum(loads)]
    cause = "It is even in the end, but a step is not the rule's: the rate as it is, up or down, however far the load."
    if any(abs(move) > 1e-9 for move in even):
        cause = "An expert with the mean load exactly is neither busy nor idle: its bias stays."
    return not_yet(cause, tried=f"bias {list(bias)}, loads {list(loads)}, rate {rate}", expected=rounded(want),
                   got=rounded(got))  # fmt: skip


def picture(seen):
    """The learner's own steps."""
    from minipar.view.load import loads

    return loads(seen[: LOOK + 1])
