"""Which collective stands where, what is drawn of it, and what the same bytes are by formula."""

import subprocess
import sys

import pytest

import minipar
from minipar.plan.slices import Cut, even
from minipar.view.slices import Arrow, By, Chain, Joint, chain, chain_of, in_words, slices, talk

C, R = By.COLUMN, By.ROW
MLP = (256, 1024, 256)


@pytest.mark.parametrize(
    ("cuts", "joints"),
    [
        ((C, R), [("", "all_reduce"), ("", ""), ("all_reduce", "")]),
        ((C, C), [("", "all_reduce"), ("all_gather", "reduce_scatter"), ("all_gather", "")]),
        ((R, C), [("", "all_gather"), ("all_reduce", "all_reduce"), ("all_gather", "")]),
        ((R, R), [("", "all_gather"), ("reduce_scatter", "all_gather"), ("all_reduce", "")]),
    ],
)
def test_where_the_ranks_must_talk(cuts, joints):
    assert talk(cuts) == tuple(Joint(*joint) for joint in joints)


@pytest.mark.parametrize(
    ("cuts", "forward", "backward"),
    [  # worked by hand: 64 tokens of 256 or 1,024 floats on 2 ranks; a sum sends all of it, a join or a cut sum half
        ((C, R), [None, None, 65536], [65536, None, None]),
        ((C, C), [None, 131072, 32768], [65536, 131072, None]),
        ((R, C), [None, 262144, 32768], [32768, 262144, None]),
        ((R, R), [None, 131072, 65536], [32768, 131072, None]),
    ],
)
def test_what_they_send(cuts, forward, backward):
    made = chain(cuts, MLP, tokens=64)
    assert [one and one.bytes for one in made.forward] == forward
    assert [one and one.bytes for one in made.backward] == backward


def test_one_rank_sends_nothing():
    made = chain((C, R), MLP, tokens=64, ranks=1)
    assert made.forward == made.backward == (None, None, None)


class Layer:
    """What the picture asks of a layer: its cuts, and the shapes that it holds."""

    def __init__(self, cuts, shapes, **more):
        self._cuts, self._shapes = cuts, shapes
        self.__dict__.update(more)

    def cuts(self, ranks):
        return self._cuts

    def named_parameters(self):
        return [(name, type("Parameter", (), {"shape": shape})) for name, shape in self._shapes.items()]


def test_a_layer_is_read_through_its_cuts_and_shapes():
    parts = even(1024, 2)
    mlp = Layer(
        {"up.weight": Cut(0, parts), "up.bias": Cut(0, parts), "down.weight": Cut(1, parts)},
        {"up.weight": (512, 256), "up.bias": (512,), "down.weight": (256, 512), "down.bias": (256,)},
    )
    made = chain_of(mlp, 2, 64)
    assert (made.cuts, made.widths, made.names) == ((C, R), MLP, (("up",), ("down",)))
    assert in_words(made) == "forward sum 65,536 B, backward sum 65,536 B"
    assert slices(mlp).title == "Layer on 2 ranks: forward sum 65,536 B, backward sum 65,536 B"


def test_the_layers_of_the_package_say_the_same():
    from minipar.nn.attention import ParallelAttention
    from minipar.nn.linear import ColumnParallelLinear, RowParallelLinear
    from minipar.nn.mlp import ParallelMLP

    assert repr(slices(ParallelMLP(256), ranks=2, tokens=64)) == (
        "Slices(ParallelMLP: forward sum 65,536 B, backward sum 65,536 B)"
    )
    attention = chain_of(ParallelAttention(64, 8), 4, 16)
    assert attention.names == (("query", "key", "value"), ("output",)) and attention.widths == (64, 64, 64)
    assert in_words(chain_of(ColumnParallelLinear(8, 16), 2, 4)) == "forward nothing, backward sum 128 B"
    gathered = chain_of(ColumnParallelLinear(8, 16, gather_output=True), 2, 4)
    assert in_words(gathered) == "forward join 128 B, backward sum 128 B"
    assert in_words(chain_of(RowParallelLinear(8, 16), 2, 4)) == "forward sum 256 B, backward nothing"
    whole = RowParallelLinear(8, 16, input_is_parallel=False)
    assert in_words(chain_of(whole, 2, 4)) == "forward sum 256 B, backward join 64 B"


def test_what_is_no_layer_is_refused_in_words():
    with pytest.raises(ValueError, match="slices draws a layer that says how it is cut .ParallelMLP, …., not a int."):
        slices(7)
    with pytest.raises(ValueError, match="Layer has no matrix that is cut on 2 ranks."):
        slices(Layer({}, {}))


def four(wrong="wrong by 70 %"):
    return {
        "column→row": chain((C, R), MLP, 64, result="equal"),
        "row→column": chain((R, C), MLP, 64, result=wrong, wrong=True),
    }


def test_the_wrong_one_is_hatched_and_says_so_on_its_face():
    drawing = slices(four(), title="Two orders")
    hatched = [shape for shape in drawing.shapes if shape["hatch"]]
    faces = [word for word in drawing.words if word["words"] == "wrong by 70 %"]
    assert len(hatched) == 1 and len(faces) == 1 and faces[0]["plate"]
    assert repr(drawing) == (
        "Slices(column→row: forward sum 65,536 B, backward sum 65,536 B, equal; "
        "row→column: forward sum 262,144 B and join 32,768 B, backward join 32,768 B and sum 262,144 B, wrong by 70 %)"
    )


def test_arrows_stand_only_where_something_is_sent_and_are_as_wide_as_their_bytes():
    drawing = slices(four())
    told = [shape for shape in drawing.shapes if shape["tip"].startswith(("forward", "backward"))]
    assert len(told) == 2 + 4
    widths = {}
    for shape in told:
        ys = [float(point.split(",")[1]) for point in shape["points"].split()]
        widths[shape["tip"].split(", ")[1]] = max(ys) - min(ys) - 8  # the head is 8 wider than the shaft
    big, small = widths["262,144 B sent by each rank"], widths["65,536 B sent by each rank"]
    assert big == pytest.approx(4 * small, rel=0.01)


def test_callouts_stand_once():
    words = [word["words"] for word in slices([*four().values(), *four().values()]).words]
    assert words.count("GELU of a") == 1 and words.count("no sum: GELU") == 1


def test_counted_arrows_may_be_given():
    row = Chain("mine", (C, R), (None, None, Arrow("all_reduce", 8)), (Arrow("all_reduce", 8), None, None))
    assert repr(slices(row)) == "Slices(mine: forward sum 8 B, backward sum 8 B)"


def test_no_torch_is_imported():
    code = "import sys, minipar; minipar.slices; assert not {'torch', 'numpy'} & set(sys.modules) - {'numpy'}"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    assert minipar.slices is slices
