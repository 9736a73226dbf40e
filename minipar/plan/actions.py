"""What can a rank do in a pipeline step, and what does each action need and make?

    action  reads                                                         makes
    ------  ------------------------------------------------------------  ---------------------------------
    sFm     activation(s-1, m), unless s is the first stage               activation(s, m)
    sBm     activation(s, m); gradient(s+1, m), unless s is the last      gradient(s, m), weight gradient(s, m)
    sIm     as B                                                          gradient(s, m)
    sWm     activation(s, m), gradient(s, m)                              weight gradient(s, m)
    (F;B)OVERLAP_F_B  what both read                                      what both make

That table is the whole logic of the domain. Validity, deadlock, messages, simulated time and memory are all derived
from :func:`reads` and :func:`makes`; no other place in minipar knows what a forward or a backward depends on.

The letters are torch's: ``F`` forward, ``B`` whole backward, ``I`` gradient of the input, ``W`` gradient of the
weights. (Papers on zero bubble write B for what is called I here.)
"""

import enum
import re
from typing import NamedTuple


class Op(enum.Enum):
    """The kind of an action. A member is also its constructor: ``F(2, 0)`` is stage 2, forward, microbatch 0."""

    F = "F"
    B = "B"
    I = "I"  # torch's alphabet
    W = "W"

    def __call__(self, stage: int, microbatch: int) -> "Action":
        return Action(stage, self, microbatch)

    def __repr__(self) -> str:
        return self.name

    __hash__ = object.__hash__  # a member is itself; Enum's own hash costs a Python call per look-up


F, B, I, W = Op

_WORD = re.compile(r"(\d+)([FBIW])(\d+)")


class Action(NamedTuple):
    """One piece of work: this stage does this to that microbatch. Prints and parses as ``2F0``."""

    stage: int
    op: Op
    microbatch: int

    def __str__(self) -> str:
        return f"{self.stage}{self.op.name}{self.microbatch}"

    __repr__ = __str__

    @classmethod
    def parse(cls, word: str) -> "Action":
        """The action written as ``word``; ValueError names the word when it is none (``2F0x``, ``F1``)."""
        found = _WORD.fullmatch(word, 0) if word.isascii() else None
        if not found:
            raise ValueError(
                f"'{word}' is no action: write stage, letter, microbatch, as in 2F0 (letters F, B, I or W)"
            )
        stage, letter, microbatch = found.groups()
        return cls(int(stage), Op[letter], int(microbatch))


class Overlap(NamedTuple):
    """A forward and a backward of two microbatches that run at once (DualPipe, arXiv:2412.19437).

    The one computes while the other's messages are under way. Prints and parses as torch writes it:
    ``(7F4;0B0)OVERLAP_F_B``.
    """

    forward: Action
    backward: Action

    def __str__(self) -> str:
        return f"({self.forward};{self.backward})OVERLAP_F_B"

    __repr__ = __str__


_OVERLAP = re.compile(r"\(([^;]*);([^;]*)\)OVERLAP_F_B")


def parse(word: str) -> "Action | Overlap":
    """The step written as ``word``: an action or a pair that overlaps. ValueError names the word when it is neither."""
    pair = _OVERLAP.fullmatch(word)
    if not pair:
        return Action.parse(word)
    forward, backward = map(Action.parse, pair.groups())
    if (forward.op, backward.op) != (F, B):
        raise ValueError(f"'{word}' pairs {forward} with {backward}: what overlaps is an F and a B, in this order")
    return Overlap(forward, backward)


def halves(step: "Action | Overlap") -> tuple[Action, ...]:
    """The actions of one step of a schedule: itself, or the two that overlap."""
    return step if type(step) is Overlap else (step,)


class Kind(enum.Enum):
    """What a value is."""

    ACTIVATION = "activation"
    GRADIENT = "gradient"
    WEIGHT_GRADIENT = "weight gradient"

    __hash__ = object.__hash__


ACTIVATION, GRADIENT, WEIGHT_GRADIENT = Kind  # a name of the module is found ten times faster than a member


class Value(NamedTuple):
    """Something an action makes and another needs: the activation of stage 2 for microbatch 0, for example."""

    kind: Kind
    stage: int
    microbatch: int

    def __str__(self) -> str:
        return f"the {self.kind.value} of stage {self.stage}, microbatch {self.microbatch}"


class Send(NamedTuple):
    """Hand a value to another rank. Never written by hand: ``messages.lower`` makes it."""

    value: Value
    peer: int


class Recv(NamedTuple):
    """Take a value from another rank. Never written by hand: ``messages.lower`` makes it."""

    value: Value
    peer: int


Step = Action | Overlap | Send | Recv


def reads(action: Action | Overlap, last_stage: int) -> tuple[Value, ...]:
    """The values that must exist before ``action`` can start, in a pipeline whose last stage is ``last_stage``."""
    if type(action) is Overlap:
        return reads(action.forward, last_stage) + reads(action.backward, last_stage)
    stage, op, microbatch = action
    if op is F:
        return (Value(ACTIVATION, stage - 1, microbatch),) if stage else ()
    own = Value(ACTIVATION, stage, microbatch)
    if op is W:
        return (own, Value(GRADIENT, stage, microbatch))
    if stage == last_stage:
        return (own,)
    return (own, Value(GRADIENT, stage + 1, microbatch))


def makes(action: Action | Overlap) -> tuple[Value, ...]:
    """The values that exist once ``action`` has ended."""
    if type(action) is Overlap:
        return makes(action.forward) + makes(action.backward)
    stage, op, microbatch = action
    if op is F:
        return (Value(ACTIVATION, stage, microbatch),)
    if op is I:
        return (Value(GRADIENT, stage, microbatch),)
    if op is W:
        return (Value(WEIGHT_GRADIENT, stage, microbatch),)
    return (Value(GRADIENT, stage, microbatch), Value(WEIGHT_GRADIENT, stage, microbatch))


def keeps(action: Action) -> int:
    """How ``action`` changes the activations held on its rank: F keeps one, B and W let it go, I frees nothing."""
    return {F: 1, B: -1, I: 0, W: -1}[action.op]
