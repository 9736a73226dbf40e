"""Does the board hold what it is given, and is its plain form the same?"""

from minipar.view.placement import Board, figure

BOARD = Board(
    slots=[[0, 1], [2, 3]], loads=[6.0, 3.0, 2.0, 1.0], paints=[["#0072B2", "#FFFFFF"]] * 4, nodes=2, room=2, top=10.0,
    lines=[[6.0, "mean 6"]],
)  # fmt: skip


def test_the_plain_form_has_stacks_nodes_and_lines():
    words = [note.text for note in figure(BOARD, "Busiest 9").layout.annotations]
    assert words == ["node 0", "expert 0: 6", "expert 1: 3", "rank 0", "<b>9 rows</b>", "node 1", "expert 2: 2",
                     "expert 3: 1", "rank 1", "<b>3 rows</b>", "mean 6"]  # fmt: skip


def test_the_live_form_carries_its_looks():
    assert ".minipar-piece" in str(BOARD._css) and ".minipar-explorer" in str(BOARD._css)
