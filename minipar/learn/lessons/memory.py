"""01 Memory: what fills a device?

    parameter ████   gradient ████   optimizer ████████   activation ██████ …      4 + 4 + 8 = 16 bytes a parameter,
                                                                                  and what grows with the batch

Two small functions are built: ``training_bytes(parameters, optimizer)``, compared with exact arithmetic on models the
learner has not seen; and ``forecast(measure, batch)``, where ``measure`` really trains a step on a worker.
"""

from __future__ import annotations

from dataclasses import replace

from minipar.learn.lesson import Lesson, Option, Question
from minipar.learn.safely import Trouble
from minipar.learn.verdict import Verdict, call, not_yet, right
from minipar.learn.workers import workers

PER_PARAMETER = {"AdamW": 16, "momentum": 12, "SGD": 8}
KINDS = ("parameter", "gradient", "optimizer", "activation")
NEAR = 0.03  # a forecast may be this far off


# -- the run -----------------------------------------------------------------------------------------------------


def highest(trace, rank: int = 0) -> dict[str, int]:
    """Each kind's own highest point in a step, in bytes."""
    held = dict.fromkeys(KINDS, 0)
    for sample in trace.ledger[rank]:
        if sample.kind in held:
            held[sample.kind] = max(held[sample.kind], sample.bytes)
    return held


def see(r):
    """Two stacked bars, and under them one step over time."""
    from minipar.view.memory import memory, memory_bars

    cases = {"batch 4": highest(r.small), "batch 8": highest(r.large)}
    bars = memory_bars(cases, title="Twice the batch: only the activations double")
    four = tuple(tuple(sample for sample in row if sample.kind in KINDS) for row in r.large.ledger)
    title = "One step at batch 8: activations climb, then gradients take their place"
    return [bars, memory(replace(r.large, ledger=four), title=title, callouts=callouts(r.large))]


def callouts(trace):
    """Three places to look at, for the first picture of memory over time."""
    forward, backward = trace.actions(0)
    half = (backward.start + backward.end) / 2
    return [
        (0, forward.end, "highest: the forward has saved all", "memory"),
        (0, half, "the backward frees them", "memory"),
        (0, backward.end, "the gradients are complete", "memory"),
    ]


def facts(r):
    small, large = highest(r.small), highest(r.large)
    return [
        ("gradients = parameters", small["gradient"] == small["parameter"]),
        ("optimizer / parameters", f"{small['optimizer'] / small['parameter']:.2f}"),
        ("activations at 8 / at 4", f"{large['activation'] / small['activation']:.2f}"),
        ("parameters unchanged", small["parameter"] == large["parameter"]),
        ("all four layers at 4 / parameters", f"{sum(small.values()) / small['parameter']:.1f}"),
    ]


def formula(r, parameters=0, bytes_each=16):
    small = highest(r.small)
    states = small["parameter"] + small["gradient"] + small["optimizer"]
    return [
        ("bytes a parameter", f"{bytes_each}", f"{states / (small['parameter'] / 4):.2f}"),
        ("all but activations, MB", f"{bytes_each * parameters / 1e6:.2f}", f"{states / 1e6:.2f}"),
    ]


QUESTION = Question(
    text="The batch goes from 4 texts to 8. Which of the four layers doubles?",
    options=(
        Option("all four", "The model is the same at both batches, and so are its gradients and its averages."),
        Option(
            "gradients and activations",
            "There is one gradient a parameter, whatever the batch: the shares of all texts are added into it.",
        ),
        Option("activations only", "Each text leaves its own activations behind, and nothing else."),
        Option("none, the model is the same", "The model is, and yet each text leaves its own activations behind."),
    ),
    right=2,
    measured=lambda r: ", ".join(
        f"{kind}s × {highest(r.large)[kind] / highest(r.small)[kind]:.2f}" for kind in KINDS
    ).replace("optimizers", "optimizer"),
)


# -- first exercise: bytes a parameter -----------------------------------------------------------------------------


def check_bytes(training_bytes) -> Verdict:
    from minipar.nn.gpt import GPT

    hidden_models = (GPT(), GPT(layers=3, hidden=96, heads=6), GPT(layers=12, hidden=32, context=128))
    counts = (1_000_000, *(model.parameter_bytes() // 4 for model in hidden_models))
    for count in counts:
        for optimizer, each in PER_PARAMETER.items():
            got = call(training_bytes, count, optimizer)
            if not isinstance(got, int | float) or got != each * count:
                return not_yet(
                    cause_of_bytes(got, count, optimizer),
                    tried=f'training_bytes({count:,}, "{optimizer}")',
                    expected=f"{each * count:,}",
                    got=f"{got:,}" if isinstance(got, int | float) else repr(got),
                )
    return right("4 of weight, 4 of gradient, and 0, 4 or 8 of averages: 8, 12 or 16 bytes a parameter.")


def cause_of_bytes(got, count: int, optimizer: str) -> str:
    """The sentence for a known slip; empty for an unknown one."""
    if not isinstance(got, int | float):
        return ""
    if optimizer == "AdamW" and got == 4 * count:
        return "4 bytes: that is the weights alone. Training with AdamW also holds 4 of gradient and 8 of averages: 16."
    if optimizer == "AdamW" and got == 12 * count:
        return "12 bytes: AdamW keeps two averages a parameter, not one."
    if optimizer == "AdamW" and got == 8 * count:
        return "8 bytes: weights and gradients. AdamW also keeps two averages a parameter."
    if optimizer != "AdamW" and got == 16 * count:
        kept = "one average a parameter" if optimizer == "momentum" else "no average at all"
        return f"16 bytes: that is AdamW's. {optimizer} keeps {kept}."
    return ""


# -- second exercise: a forecast -----------------------------------------------------------------------------------


class Measure:
    """``measure(batch)``: the bytes of one real AdamW step at this batch. Two calls are allowed, of smaller batches."""

    def __init__(self, real, asked: int):
        self.real = real
        self.asked = asked
        self.calls: dict[int, int] = {}
        self.count = 0

    def __call__(self, batch: int) -> int:
        self.count += 1
        if self.count > 2:
            raise Trouble("You measured three times. Two are enough: what lies between them is a straight line.")
        if not isinstance(batch, int) or batch < 1:
            raise Trouble(f"measure({batch!r}) cannot be run: a batch is a whole number of texts, from 1.")
        if batch >= self.asked:
            raise Trouble(f"measure({batch}) is no forecast of batch {self.asked}: measure smaller batches.")
        self.calls[batch] = self.real(batch)
        return self.calls[batch]

    def __deepcopy__(self, memo):
        return self


def check_forecast(forecast, real=None, batches=(12, 20)) -> Verdict:
    real = real or one_step(model_to_forecast())
    points = []
    for batch in batches:
        measure = Measure(real, batch)
        got = call(forecast, measure, batch, limit=60.0)
        if not isinstance(got, int | float):
            return not_yet(tried=f"forecast(measure, {batch})", expected="a number of bytes", got=repr(got))
        truth = real(batch)
        if abs(got - truth) > NEAR * truth:
            return not_yet(
                cause_of_forecast(got, truth, measure, batch),
                tried=f"forecast(measure, {batch})",
                expected=f"{truth:,}, give or take 3 %",
                got=f"{got:,.0f}",
            )
        points.append((batch, got, truth, measure.calls))
    off = max(abs(got - truth) / truth for _, got, truth, _ in points)
    said = " and ".join(str(batch) for batch in batches)
    return right(
        f"Batches {said} forecast within {max(off, 0.001):.1%} of what was then measured.".replace("%", " %"),
        picture=lambda: picture(points),
    )


def cause_of_forecast(got: float, truth: int, measure: Measure, batch: int) -> str:
    """How far off, and why where that is known."""
    percent = round(100 * abs(got - truth) / truth)
    told = f"At batch {batch} you forecast {percent} % too {'much' if got > truth else 'little'}"
    for tried, size in measure.calls.items():
        if abs(got - size * batch / tried) <= 0.001 * got:
            return f"{told}: you multiplied the weights too. What does not grow?"
    return f"{told}."


def model_to_forecast():
    """A model that the lesson has not shown, small and with long texts, so that most of it grows with the batch."""
    from minipar.nn.gpt import GPT

    return GPT(layers=4, hidden=48, context=128)


def one_step(model):
    """batch -> bytes of one AdamW step of ``model`` on one worker: each kind at its highest, added up. Really run."""
    from functools import cache

    @cache
    def real(batch: int) -> int:
        return sum(highest(train_once(workers(1), model, batch)).values())

    return real


def train_once(pool, model, batch: int):
    """The trace of one AdamW step at this batch, on one worker."""
    import minipar

    plan = minipar.Plan(mesh=minipar.Mesh(pipe=1), schedule=minipar.naive(1))
    texts = minipar.text_batch(batch, model.context)
    return minipar.train_step(pool, plan, model, texts, optimizer="AdamW").trace


def picture(points):
    """Measured and forecast bytes over the batch; what stays and what each text adds is written in."""
    import plotly.graph_objects as go

    from minipar.view.theme import PALETTE

    tried = {batch: size / 1e6 for *_, calls in points for batch, size in calls.items()}
    ahead = [(batch, got / 1e6, truth / 1e6) for batch, got, truth, _ in points]
    stays = straight(ahead, tried)
    blue, orange = PALETTE.memory["activation"].fill, PALETTE.memory["optimizer"].fill
    chart = go.Figure()
    line = {"mode": "lines", "line": {"dash": "dot", "color": PALETTE.ink}}
    chart.add_scatter(x=[0, ahead[-1][0]], y=[stays, ahead[-1][1]], name="your forecast", **line)
    for name, colour, dots in (
        ("you measured", blue, tried),
        ("measured afterwards", orange, {batch: truth for batch, _, truth in ahead}),
    ):
        marker = {"size": 12, "color": colour, "line": {"color": PALETTE.ink, "width": 1}}
        chart.add_scatter(x=list(dots), y=list(dots.values()), name=name, mode="markers", marker=marker)
    each = (ahead[-1][1] - stays) / ahead[-1][0]
    note = f"stays: {stays:.1f} MB, and {each:.1f} MB more for each text"
    chart.add_annotation(x=0, y=stays, text=note, xanchor="left", ax=40, ay=-150, arrowhead=2, bgcolor=PALETTE.paper)
    axis = {"rangemode": "tozero", "gridcolor": "#DDDDDD", "linecolor": PALETTE.ink, "showline": True}
    chart.update_layout(
        title={"text": "<b>Your forecast: a part that stays, and a part for each text</b>", "font": {"size": 15}},
        xaxis={**axis, "title": "texts in the batch"},
        yaxis={**axis, "title": "MB"},
        font={"family": PALETTE.font, "size": 13, "color": PALETTE.ink},
        paper_bgcolor=PALETTE.paper,
        plot_bgcolor=PALETTE.paper,
        height=360,
        width=760,
    )
    return chart


def straight(ahead, tried) -> float:
    """Where the line through the forecasts meets batch 0: the bytes that do not grow."""
    (b0, y0, _), (b1, y1, _) = ahead[0], ahead[-1]
    return y0 - (y1 - y0) / (b1 - b0) * b0 if b1 != b0 else min(tried.values())


HINTS = (
    "For `training_bytes`: 4 bytes of weight, 4 of gradient, and 4 for each average that the optimizer keeps: "
    "AdamW two, momentum one, SGD none.",
    "For `forecast`: measure batch 1 and batch 2. What is the difference made of? What is left of batch 1 without it?",
    "`grows = measure(2) - measure(1)`, `stays = measure(1) - grows`; but call `measure` only once for each.",
)

LESSON = Lesson(
    id="01",
    file="01_memory",
    title="Memory",
    questions=(QUESTION,),
    see=see,
    facts=facts,
    formula=formula,
    checks=(check_bytes, check_forecast),
    hints=HINTS,
)
