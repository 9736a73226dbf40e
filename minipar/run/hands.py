"""What does one rank have in its hands while a program carries out its list itself, one step after the other?

    for step in lower(schedule).programs[w.rank]:     hands = Hands(w, schedule, model, batch)
        Recv    hands.take(step, w.recv(source=step.peer))
        Send    w.send(hands.give(step), to=step.peer)
        2F0     hands.work(step)

`pipeline.py` posts its messages ahead and waits in no send. A program like this one waits wherever its sends and
receives do: with blocking sends it stands still where two messages meet.
"""

from minipar.plan.actions import Action, Op, Recv, Send, makes
from minipar.plan.layout import Plan
from minipar.plan.mesh import Mesh
from minipar.plan.schedule import Schedule
from minipar.run.mail import incoming
from minipar.run.part import Part, feed


class Hands:
    """What one rank has in its hands while it carries out its list: its stage, and the values that come and go.

    model: as for `minipar.train_step`; batch: inputs and targets, [texts, context] each.
    """

    def __init__(self, w, schedule: Schedule, model, batch):
        plan = Plan(Mesh(pipe=schedule.ranks), schedule)
        self.part, self.held = Part(w, plan, model), {}
        mine = feed(plan, w.rank, batch)
        inputs, targets = (
            whole.to(w.device).tensor_split(schedule.microbatches) if whole is not None else () for whole in mine
        )
        for number, stage in self.part.stages.items():
            stage.feed(inputs if number == 0 else (), targets if number == self.part.last else ())

    def take(self, step: Recv, tensor) -> None:
        """Keep what has been received."""
        self.held[step.value] = tensor

    def give(self, step: Send):
        """What is to be sent; it is out of hand then."""
        return self.held.pop(step.value)

    def work(self, action: Action) -> None:
        """Forward or backward, with what was taken; what it makes is kept until it is given or read here."""
        stage, needed = self.part.stages[action.stage], incoming(action, self.part.last)
        does = stage.forward if action.op is Op.F else stage.backward
        made = does(action.microbatch, self.held.pop(needed) if needed is not None else None)
        at_the_end = action.stage == (self.part.last if action.op is Op.F else 0)  # nobody reads it: a loss, or None
        if not at_the_end:
            self.held[makes(action)[0]] = made

    def gradients(self) -> dict:
        """This rank's gradients by name."""
        return self.part.gradients()
