"""What does a token do with what it has read?

    whole     [hidden] ── up ──► [4 hidden] ── GELU ──► [4 hidden] ── down ──► [hidden]

    sliced    x ──copy── my columns of up ── GELU ── my rows of down ──reduce──► y + bias

Each position on its own. GELU works number by number, so it may work on a rank's columns alone; on a partial sum it
may not. That is why the columns come first.
"""

from torch import Tensor, nn
from torch.nn.functional import gelu

from minipar.nn.axes import ALONE, Axes, size
from minipar.nn.linear import ColumnParallelLinear, Linear, RowParallelLinear
from minipar.nn.state import take
from minipar.plan.slices import Cut, mlp_cuts


class MLP(nn.Module):
    """Two linear layers with a GELU between them; the middle is `expansion` times wider than the ends."""

    def __init__(self, hidden: int, expansion: int = 4):
        super().__init__()
        self.up = Linear(hidden, expansion * hidden)
        self.down = Linear(expansion * hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, seq, hidden] -> [batch, seq, hidden]."""
        return self.down(gelu(self.up(x)))


class ParallelMLP(nn.Module):
    """The same, with this rank's part of the middle. ValueError when the middle does not divide by the ranks."""

    def __init__(self, hidden: int, axes: Axes = ALONE, expansion: int = 4):
        super().__init__()
        self.axes, self.billed_as, self.hidden, self.expansion = axes, "mlp", hidden, expansion
        axis, sequence_parallel, middle = axes.tensor, axes.sequence_parallel, expansion * hidden
        parts = self.cuts(size(axis))["up.weight"].parts
        self.up = ColumnParallelLinear(
            hidden, middle, axis, overlap=axes.overlap, sequence_parallel=sequence_parallel, parts=parts
        )
        self.down = RowParallelLinear(middle, hidden, axis, sequence_parallel=sequence_parallel)

    @classmethod
    def from_whole(cls, whole: MLP, axes: Axes) -> "ParallelMLP":
        """This rank's part of a whole layer, with its weights."""
        middle, hidden = whole.up.weight.shape
        return take(cls(hidden, axes, middle // hidden), whole, axes.tensor, axes.sequence_parallel)

    def cuts(self, ranks: int) -> dict[str, Cut]:
        """Which part of each parameter each of `ranks` ranks holds."""
        return mlp_cuts(self.hidden, self.expansion, ranks)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, seq, hidden] -> the same; with sequence parallel, of this rank's slice of the sequence."""
        with self.axes.billed(self.billed_as):
            return self.down(gelu(self.up(x)))
