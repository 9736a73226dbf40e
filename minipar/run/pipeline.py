"""How does a schedule become work?

One rank's program, as `plan.messages.lower` wrote it, is walked from the first step to the last:

    Recv    ask for a value from another rank (the buffer was posted ahead)
    2F0     run stage 2 forward on microbatch 0
    Send    hand what an action made to another rank, and go on
    2B0     run it backward

Nothing here knows GPipe from 1F1B: the order *is* the schedule. What an action needs and makes comes from the one table
in `plan.actions`; here it is only looked up, once, before the first step.
"""

import torch

from minipar.plan.actions import Action, Op, Recv, Send, Value, halves, makes
from minipar.plan.messages import Lowered
from minipar.run.ledger import COMMUNICATION, Ledger
from minipar.run.mail import Mail, incoming
from minipar.run.pacing import Pacer
from minipar.run.stage import Stage


class Pipeline:
    """One rank's part in a schedule, ready to run step after step.

    stages: stage number -> Stage, those of this rank. forms: see `mail.boundary_forms`. pacer: None for full speed.
    """

    def __init__(self, w, lowered: Lowered, stages: dict[int, Stage], forms, pacer: Pacer | None = None):
        self.w, self.stages, self.pacer = w, stages, pacer
        self.mail = Mail(w, lowered, forms, pacer)
        self.values: dict[Value, torch.Tensor] = {}  # made here, not yet sent or read by another stage here
        self.steps = _plan(lowered, w.rank)
        if pacer is not None:
            pacer.pair(step for program in lowered.schedule.programs for step in program)
        for number, stage in stages.items():
            stage.halve(step.microbatch for step in lowered.programs[w.rank]
                        if isinstance(step, Action) and step.op is Op.I and step.stage == number)  # fmt: skip

    def run(self) -> None:
        """Walk the program once. The stages must have been fed. Gradients and losses stay in the stages."""
        mail, values = self.mail, self.values
        mail.open()
        for step, needs, gives in self.steps:
            match step:
                case Recv():
                    mail.expect(step)
                case Send(value, _):
                    mail.send(step, values.pop(value))
                case Action():
                    self._act(step, needs, gives)
        mail.close()

    def _act(self, action: Action, needs: Value | None, gives: Value | None) -> None:
        given, recorder = self._take(needs), self.w.recorder
        stage, start = self.stages[action.stage], recorder.mark()
        match action.op:
            case Op.F:
                made = stage.forward(action.microbatch, given)
            case Op.B:
                made = stage.backward(action.microbatch, given)
            case Op.I:
                made = stage.backward_input(action.microbatch, given)
            case Op.W:
                made = stage.backward_weight(action.microbatch)
        note = self.pacer.finish(action, start) if self.pacer is not None else ""
        recorder.add(action, start, recorder.mark(), note)
        memory = recorder.memory
        if given is not None:
            memory.release(given, COMMUNICATION)
        if gives is not None:
            memory.hold(made, COMMUNICATION)
            self.values[gives] = made
        if self.w.device.type == "cuda" and isinstance(memory, Ledger):
            recorder.allocator.append((recorder.clock(), torch.cuda.memory_allocated(self.w.device)))

    def _take(self, value: Value | None) -> torch.Tensor | None:
        """What another stage made: from this rank's own hands, or out of the mail."""
        if value is None:
            return None
        return self.values.pop(value) if value in self.values else self.mail.collect(value)


def _plan(lowered: Lowered, rank: int) -> list[tuple]:
    """(step, the value it needs from another stage, the value of its own that another stage reads), by the table."""
    last = lowered.schedule.stages - 1
    read = {incoming(half, last) for row in lowered.schedule.programs for step in row for half in halves(step)}
    found = []
    for step in lowered.programs[rank]:
        if isinstance(step, Action):
            gives = next((value for value in makes(step) if value in read), None)
            found.append((step, incoming(step, last), gives))
        else:
            found.append((step, None, None))
    return found
