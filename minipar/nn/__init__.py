"""Which layers does the model consist of, what does each of them compute, and how do ranks share it?

Each module has a layer twice: whole, from scratch, on one device; and sliced, each rank holding its part. The sliced
one is tested equal to its whole twin, forward and backward (tests/nn/oracle.py).

    regions.py   the doors between "the same on all ranks" and "a part on each"          axes.py   where a rank stands
    linear.py    columns and rows          attention.py   heads           mlp.py         columns, then rows
    embedding.py words, at both ends       loss.py        without whole scores           dropout.py  by place
    context.py   keys round a ring         sequence.py    norms on slices of the text    state.py  whole <-> slices
    router.py    which expert              dispatch.py    there and home again           experts.py   products.py
    postponed.py weight gradients for later (the W of a split backward)

`gpt.py` describes the one model of all lessons; `text.py` is what it reads. No sliced layer, expert or split backward
has been run on a GPU by us: tensors stay on the rank's device throughout, and the tests ran on CPUs.
"""
