"""Can the trained model write, while it is still cut into parts?

    tokens ──► stage 0 ──► stage 1 ──► … ──► last stage: draw the next token ──► back to stage 0, and again

Every stage runs forward only, one text at a time, so one device works and the others wait: writing is sequential.
Nothing is cached between tokens; the whole text is read again for each one.
"""

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
    result = pool.run(_generate_on_rank, plan, model, list(prompt.encode()), tokens, temperature, seed,
                      ranks=plan.ranks, mesh=plan.mesh)  # fmt: skip
    return bytes(result[plan.schedule.placement[0]]).decode(errors="replace")


def _generate_on_rank(w, plan, model, text, tokens, temperature, seed):
    w.recorder.keeps_spans = False
    kept = w.state.get(KEPT)
    fits = kept is not None and (kept.part.plan, kept.part.model) == (plan, model)
    part = kept.part if fits else Part(w, plan, model)
    first, last = part.placement[0], part.placement[-1]
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _ in range(tokens):
            scores = _forward(w, part, text[-model.context :])
            token = _draw(scores[0, -1].cpu(), temperature, chance) if w.rank == last else None
            if first != last and w.rank == last:
                w.send(torch.tensor([token]), to=first)
            elif first != last and w.rank == first:
                token = int(w.recv(source=last))
            if w.rank == first:
                text.append(token)
    return text


def _forward(w, part: Part, text) -> torch.Tensor | None:
    """One text through all stages; the scores where the last stage is."""
    x = None
    for stage, rank in enumerate(part.placement):
        before = part.placement[stage - 1] if stage else rank
        if rank == w.rank:
            if stage == 0:
                x = torch.tensor([text], device=w.device)
            elif before != rank:
                x = w.recv(source=before)
            x = part.stages[stage].module(x)
        elif before == w.rank and stage:
            w.send(x, to=rank)
    return x


def _draw(scores, temperature: float, chance: torch.Generator) -> int:
    """scores [vocabulary] -> one token, by the model's probabilities sharpened by the temperature."""
    if temperature == 0:
        return int(scores.argmax())
    return int(torch.multinomial(torch.softmax(scores.double() / temperature, dim=-1), 1, generator=chance))
