"""Can the trained model write, while it is still cut into parts?

    tokens ──► stage 0 ──► stage 1 ──► … ──► last stage: draw the next token ──► back to stage 0, and again

Every stage runs forward only, one text at a time, so one device works and the others wait: writing is sequential.
Nothing is cached between tokens; the whole text is read again for each one.

On a mesh every replica writes the same text. Tensor ranks each have the scores of their own words, and put them
together; context ranks each have some positions, and the one that has the text's last hands its scores round. Where
positions are cut the text is filled up at its end, to a length that divides: nobody looks into the future.
"""

import contextlib

import torch

from minipar.plan.layout import Plan
from minipar.run.on_rank import KEPT
from minipar.run.part import Part


def generate(
    pool, plan: Plan, model, prompt: str = "The ", tokens: int = 100, temperature: float = 0.8, seed: int = 0
) -> str:
    """`prompt` and `tokens` more bytes of text, drawn from the model that `train` left in the workers.

    Without a training of this plan and model in the workers the model has its first weights, and writes noise.
    temperature: 0 takes the likeliest byte each time. The same seed gives the same text.
    """
    if not prompt:
        raise ValueError("the prompt is empty: the model needs at least one byte to go on from")
    window = _window(plan, model.context)
    result = pool.run(_generate_on_rank, plan, model, list(prompt.encode()), tokens, temperature, seed, window,
                      ranks=plan.ranks, mesh=plan.mesh_for(model))  # fmt: skip
    return bytes(result[plan.pipelines[0][plan.schedule.placement[0]]]).decode(errors="replace")


def _generate_on_rank(w, plan, model, text, tokens, temperature, seed, window):
    w.recorder.keeps_spans = False
    kept = w.state.get(KEPT)
    if kept is not None and (kept.part.plan, kept.part.model) == (plan, model):
        part = kept.part
        part.attach(w)
    else:
        part = Part(w, plan, model)
    first, last = part.placement[0], part.placement[-1]
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad(), _at_rest(part):
        for _ in range(tokens):
            seen = text[-window:]
            scores = _last_scores(part, _forward(w, part, seen), len(seen))
            token = _draw(scores, temperature, chance) if w.rank == last else None
            if first != last and w.rank == last:
                w.send(torch.tensor([token]), to=first)
            elif first != last and w.rank == first:
                token = int(w.recv(source=last))
            text.append(token if w.rank == first else 0)  # the others need only its length
    return text


@contextlib.contextmanager
def _at_rest(part: Part):
    """Nothing is dropped while the model writes."""
    modules = [stage.module for stage in part.stages.values()]
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        for module in modules:
            module.train()


def _grain(plan: Plan) -> int:
    """Texts of a multiple of this length can be cut by position."""
    context = plan.size("context")
    return (2 * context if context > 1 else 1) * (plan.size("tensor") if plan.sequence_parallel else 1)


def _window(plan: Plan, context: int) -> int:
    """The most tokens the model can read at once."""
    window = context - context % _grain(plan)
    if not window:
        raise ValueError(f"a context of {context} positions cannot be cut on {plan.mesh!r}: it takes {_grain(plan)}")
    return window


def _forward(w, part: Part, text) -> torch.Tensor | None:
    """One text through all stages; the scores where the last stage is: [1, my positions, my words]."""
    filled = torch.tensor([text + [0] * (-len(text) % _grain(part.plan))], device=w.device)
    x = None
    for stage, rank in enumerate(part.placement):
        before = part.placement[stage - 1] if stage else rank
        if rank == w.rank:
            if stage == 0:
                x = _dealt(part.plan, w.rank, filled)
            elif before != rank:
                x = w.recv(source=before)
            x = part.stages[stage].module(x)
        elif before == w.rank and stage:
            w.send(x, to=rank)
    return x


def _dealt(plan: Plan, rank: int, tokens: torch.Tensor) -> torch.Tensor:
    if plan.size("context") == 1:
        return tokens
    return tokens[:, list(plan.positions_of(rank, tokens.shape[1]))]


def _last_scores(part: Part, scores: torch.Tensor | None, length: int) -> torch.Tensor | None:
    """All words' scores after the text's last token, [vocabulary], on every rank that has a last stage."""
    plan, w = part.plan, part.w
    if w.rank != part.placement[-1]:
        return None
    at, owner = length - 1, 0
    if part.context is not None:
        filled = scores.shape[1] * part.context.size
        hands = [plan.positions_of(rank, filled) for rank in plan.mesh.group("context", w.rank)]
        owner = next(number for number, hand in enumerate(hands) if at in hand)
        at = hands[owner].index(at) if owner == part.context.rank else 0
    found = scores[0, at]
    if part.tensor is not None:
        found = part.model.whole_logits(found, part.axes)
    if part.context is not None:
        found = part.context.broadcast(found, source=owner)
    return found.cpu()


def _draw(scores, temperature: float, chance: torch.Generator) -> int:
    """scores [vocabulary] -> one token, by the model's probabilities sharpened by the temperature."""
    if temperature == 0:
        return int(scores.argmax())
    return int(torch.multinomial(torch.softmax(scores.double() / temperature, dim=-1), 1, generator=chance))
