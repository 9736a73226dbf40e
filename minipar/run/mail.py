"""How do a pipeline's values travel without anyone standing still for them?

    sender     post, go on working ........................ the receiver's next answer proves that it has arrived
    receiver   post the receive ahead, work, ask for it only when an action needs it

On a *tagged* transport (gloo) the next receive of each link is posted before it is due, so a message comes in while
the rank computes, and at most two buffers a link exist. On an *ordered* one (NCCL) a receive is posted where the one
global order says, and asked for when it is needed.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from minipar.plan.actions import Action, Kind, Recv, Send, Value, reads
from minipar.plan.messages import Lowered
from minipar.run.ledger import COMMUNICATION
from minipar.run.recorder import UNKNOWN

FIRST_TAG = 1 << 10
STAMP = 1 << 28  # added to a message's tag: the time at which it was sent, where the link is paced
_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64)
_ROW = 10


def tag(value: Value, microbatches: int) -> int:
    """A number for every value of a step, the same on both ranks."""
    return FIRST_TAG + 2 * (value.stage * microbatches + value.microbatch) + (value.kind is Kind.GRADIENT)


def incoming(action: Action, last_stage: int) -> Value | None:
    """What an action needs from another stage: by the table, less what this stage has kept itself."""
    return next((value for value in reads(action, last_stage) if value.stage != action.stage), None)


class Mail:
    """One rank's messages of one lowered program.

    forms: for each stage, (shape, dtype) of what it makes of each microbatch.
    """

    def __init__(self, w, lowered: Lowered, forms, pacer=None):
        self.w, self.ordered, self.forms = w, lowered.ordered, forms
        self.link = pacer.link if pacer is not None else None
        self.first, self.following = _queues(lowered.programs[w.rank])
        self.proofs = _proofs(lowered, w.rank)
        values = {step.value for step in lowered.programs[w.rank] if isinstance(step, Send | Recv)}
        self.tags = {value: tag(value, lowered.schedule.microbatches) for value in values}
        self.names = {value: name(value) for value in values}
        names = {self.tags[value]: self.names[value] for value in values}
        w.name_tags(lambda number: names.get(number & ~STAMP, ""))
        self.posted: dict[Value, tuple] = {}  # receives under way: value -> (work, buffer, source, stamp)
        self.sent: dict[Value, tuple] = {}  # sends not yet known to have arrived: value -> (work, tensor, stamp)

    def open(self) -> None:
        """Start of a step: post the first receive of every link."""
        if not self.ordered:
            for step in self.first:
                self._post(step)

    def expect(self, step: Recv) -> None:
        """The program has come to this receive: post it, or, if it is posted ahead, the next one of its link."""
        if not self.ordered:
            step = self.following.get(step.value)
        if step is not None:
            self._post(step)

    def collect(self, value: Value) -> Tensor:
        """Wait for a message and hand it over. What it proves to have arrived at its sender is let go."""
        work, buffer, source, stamp = self.posted.pop(value)
        recorder = self.w.recorder
        started = recorder.clock()
        work.wait()
        if stamp is not None:
            stamp[0].wait()
            self.link.wait(source, stamp[1].item(), buffer.nbytes)
        if recorder.keeps_spans:
            ended = recorder.clock()
            recorder.add(Recv(value, source), started, ended)
            recorder.message(source, self.w.rank, buffer.nbytes, UNKNOWN, ended, self.names[value])
        for other in self.proofs.get(value, ()):
            self._arrived(other)
        return buffer

    def send(self, step: Send, tensor: Tensor) -> None:
        """Post a message and go on."""
        value, peer = step
        recorder = self.w.recorder
        if not tensor.is_contiguous():
            compact = tensor.contiguous()
            recorder.memory.hold(compact, COMMUNICATION)
            recorder.memory.release(tensor, COMMUNICATION)
            tensor = compact
        number = self.tags[value]
        if recorder.keeps_spans:
            recorder.message(self.w.rank, peer, tensor.nbytes, recorder.clock(), UNKNOWN, self.names[value])
        stamp = None
        if self.link is not None:
            time = torch.tensor([recorder.clock()], dtype=torch.float64, device=self.w.device)
            stamp = time, None
        work = self.w.post_send(tensor, peer, number)
        if stamp is not None:
            stamp = time, self.w.post_send(time, peer, number + STAMP)
        self.sent[value] = work, tensor, stamp

    def close(self) -> None:
        """End of a step: every message has been taken."""
        for value in list(self.sent):
            self._arrived(value)

    def _post(self, step: Recv) -> None:
        value, source = step
        shape, dtype = self._form(value)
        buffer = torch.empty(shape, dtype=dtype, device=self.w.device)
        self.w.recorder.memory.hold(buffer, COMMUNICATION)
        number = self.tags[value]
        work, stamp = self.w.post_recv(buffer, source, number), None
        if self.link is not None:
            time = torch.empty(1, dtype=torch.float64, device=self.w.device)
            stamp = self.w.post_recv(time, source, number + STAMP), time
        self.posted[value] = work, buffer, source, stamp

    def _form(self, value: Value):
        made_by = value.stage if value.kind is Kind.ACTIVATION else value.stage - 1  # a gradient is shaped as its x
        return self.forms[made_by][value.microbatch]

    def _arrived(self, value: Value) -> None:
        work, tensor, stamp = self.sent.pop(value)
        work.wait()
        if stamp is not None:
            stamp[1].wait()
        self.w.recorder.memory.release(tensor, COMMUNICATION)


def name(value: Value) -> str:
    """How a trace calls a message: "activation 0 m1"."""
    return f"{value.kind.value} {value.stage} m{value.microbatch}"


def _queues(program) -> tuple[list[Recv], dict[Value, Recv]]:
    """The first receive of every link, and after each value the next receive of the same link."""
    latest: dict[tuple, Recv] = {}
    first, following = [], {}
    for step in program:
        if isinstance(step, Recv):
            link = step.peer, step.value.kind, step.value.stage
            if link in latest:
                following[latest[link].value] = step
            else:
                first.append(step)
            latest[link] = step
    return first, following


def _proofs(lowered: Lowered, rank: int) -> dict[Value, tuple[Value, ...]]:
    """For each value received: the sends of this rank that its sender had used before it sent that value."""
    last, found = lowered.schedule.stages - 1, {}
    for peer, program in enumerate(lowered.programs):
        came, used = set(), []
        for step in program if peer != rank else ():
            match step:
                case Recv(value, source) if source == rank:
                    came.add(value)
                case Send(value, target) if target == rank:
                    found[value], used = tuple(used), []
                case Action() if (value := incoming(step, last)) in came:
                    used.append(value)
    return found


def boundary_forms(w, placement, stages, inputs: Iterable[Tensor], microbatches: int) -> dict[int, list[tuple]]:
    """(shape, dtype) of what each stage makes for each microbatch, as far as this rank touches it.

    Each stage is run forward on zeros, nothing kept, and the shape of what comes out walks on to the next stage. Done
    once before the first step, which then finds everything warm.
    """
    found: dict[int, list[tuple]] = {-1: [(tuple(part.shape), part.dtype) for part in inputs]}
    for stage, rank in enumerate(placement[:-1]):
        reader = placement[stage + 1]
        if rank == w.rank:
            found[stage] = _outputs(stages[stage].module, found[stage - 1], w.device)
            if reader != rank:
                w.post_send(_table(found[stage], w.device), reader, FIRST_TAG - 1).wait()
        elif reader == w.rank:
            table = torch.empty(microbatches, _ROW, dtype=torch.int64, device=w.device)
            w.post_recv(table, rank, FIRST_TAG - 1).wait()
            found[stage] = [(tuple(row[2 : 2 + row[1]]), _DTYPES[row[0]]) for row in table.tolist()]
    return found


def _outputs(module, forms, device) -> list[tuple]:
    known, training = {}, module.training
    module.eval()  # a norm that counts batches must not count this one
    with torch.no_grad():
        for shape, dtype in dict.fromkeys(forms):  # in order: ranks that share a layer must meet in it
            y = module(torch.zeros(shape, dtype=dtype, device=device))
            known[shape, dtype] = tuple(y.shape), y.dtype
    module.train(training)
    return [known[form] for form in forms]


def _table(forms, device) -> Tensor:
    rows = [[_DTYPES.index(dtype), len(shape), *shape] for shape, dtype in forms]
    return torch.tensor([row + [0] * (_ROW - len(row)) for row in rows], device=device)
