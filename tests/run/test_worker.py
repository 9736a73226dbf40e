"""The handle `w`: letters between ranks, what is refused and in which words, spans, state."""

import pytest
import torch

from minipar.plan.mesh import Mesh
from minipar.run.pool import RemoteError


def ring(w, x):
    if w.rank == 0:
        w.send(x + 1, to=1 % w.ranks)
        return w.recv(source=w.ranks - 1)
    w.send(w.recv(source=w.rank - 1) + 1, to=(w.rank + 1) % w.ranks)


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_a_ring_comes_home_and_the_trace_has_its_route(pool, ranks):
    out = pool.run(ring, torch.full((3, 5), 10.0), ranks=ranks)
    assert torch.equal(out[0], torch.full((3, 5), 10.0 + ranks))
    route = [(m.source, m.target, m.bytes) for m in sorted(out.trace.messages, key=lambda m: m.sent)]
    assert route == [(rank, (rank + 1) % ranks, 60) for rank in range(ranks)]
    assert all(message.sent <= message.received for message in out.trace.messages)


SHAPES = [(), (1,), (0,), (3, 0, 2), (2, 3, 4)]
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool, torch.complex64]


def test_every_shape_and_dtype_arrives(pool):
    def echo(w, tensors):
        if w.rank == 0:
            for tensor in tensors:
                w.send(tensor, to=1)
        return [w.recv(source=0) for _ in tensors] if w.rank == 1 else None

    tensors = [torch.ones(shape).to(dtype) for shape in SHAPES for dtype in DTYPES] + [
        torch.arange(6.0).reshape(2, 3).T
    ]
    for sent, came in zip(tensors, pool.run(echo, tensors)[1], strict=True):
        assert came.dtype == sent.dtype
        assert torch.equal(came, sent)


def test_a_send_is_a_copy_and_waits_for_nobody(pool):
    def everyone_sends_first(w):
        x = torch.tensor([float(w.rank)])
        w.send(x, to=(w.rank + 1) % w.ranks)
        x += 100
        return w.recv(source=(w.rank - 1) % w.ranks).item()

    assert pool.run(everyone_sends_first) == [3.0, 0.0, 1.0, 2.0]


def test_at_most_64_letters_lie_at_one_door(pool):
    def many(w, count):
        if w.rank == 0:
            for number in range(count):
                w.send(torch.tensor(number), to=1)
        elif w.rank == 1:
            return [w.recv(source=0).item() for _ in range(count)]

    assert pool.run(many, 300)[1] == list(range(300))

    def nobody_collects(w, count):
        if w.rank == 0:
            for number in range(count):
                w.send(torch.tensor(number), to=1)

    assert len(pool.run(nobody_collects, 64).uncollected) == 1
    with pytest.raises(RemoteError, match="deadlock: rank 0 waits for rank 1, which has finished"):
        pool.run(nobody_collects, 65)


def test_copies_of_collected_letters_are_dropped(pool):
    def megabytes(w):
        if w.rank == 0:
            for _ in range(20):
                w.send(torch.zeros(250_000), to=1)
                w.recv(source=1)
            return None
        for _ in range(20 * (w.rank == 1)):
            w.recv(source=0)
            w.send(torch.zeros(1), to=0)

    before = [row["bytes"] for row in pool.snapshot()]
    pool.run(megabytes)
    after = [row["bytes"] for row in pool.snapshot()]
    assert after[1:] == before[1:]


REFUSALS = [
    (lambda w: w.send(torch.ones(2), to=4), "rank 0 sent to rank 4, but the 4 ranks are numbered 0 to 3"),
    (lambda w: w.send(torch.ones(2), to=-1), "rank 0 sent to rank -1, but the 4 ranks are numbered 0 to 3"),
    (lambda w: w.send(torch.ones(2), to=0), "rank 0 sent to itself: what is here need not be sent"),
    (lambda w: w.send(torch.ones(2), to=1.0), "rank 0 sent to 1.0: a rank is a whole number from 0 to 3"),
    (
        lambda w: w.send(3.5, to=1),
        "w.send takes a tensor, and rank 0 gave it a float: wrap it first, as in torch.tensor(3.5)",
    ),
    (lambda w: w.recv(source=4), "rank 0 waits for a message from rank 4, but the 4 ranks are numbered 0 to 3"),
    (lambda w: w.recv(source=0), "rank 0 waits for a message from itself: what is here need not be sent"),
    (lambda w: w.axis("pipe"), "there is no axis 'pipe': call pool.run(..., mesh=minipar.Mesh(pipe=4))"),
]


@pytest.mark.parametrize(("program", "says"), REFUSALS, ids=[says for _, says in REFUSALS])
def test_refusals_are_one_sentence_and_end_at_the_learners_line(pool, program, says):
    def only_rank_0(w):
        if w.rank == 0:
            program(w)

    with pytest.raises(RemoteError) as caught:
        pool.run(only_rank_0)
    assert caught.value.cause == says
    assert str(caught.value).startswith(says + "\n")
    assert (caught.value.kind, caught.value.rank, caught.value.type) == ("raised", 0, "ValueError")
    assert "run/worker.py" not in str(caught.value)
    assert "lambda w" in str(caught.value)


def test_like_refuses_another_shape_or_dtype(pool):
    def wrong(w, like):
        if w.rank == 0:
            w.send(torch.ones(3, 5), to=1)
        elif w.rank == 1:
            return w.recv(source=0, like=like)

    assert pool.run(wrong, torch.empty(3, 5))[1].shape == (3, 5)
    with pytest.raises(RemoteError, match=r"rank 1 expected \[3, 5\] float64 from rank 0 and got \[3, 5\] float32"):
        pool.run(wrong, torch.empty(3, 5, dtype=torch.float64))


def test_spans_and_progress(pool):
    def works(w):
        with w.span("optimizer"):
            w.progress(step=3, loss=0.5)
        w.axis().all_reduce(torch.ones(2))

    run = pool.start(works)
    out = run.result(30)
    assert run.done
    assert run.progress == {"step": 3, "loss": 0.5}
    assert out.trace.ranks == 4
    names = [span.what for span in out.trace.spans if span.rank == 1]
    assert names == ["optimizer", "all_reduce"]
    assert (out.trace.source, out.trace.unit, out.trace.device) == (
        "measured",
        "s",
        "processes on this CPU, talking through gloo",
    )


def test_axes_of_a_mesh(pool):
    def neighbours(w):
        pipe, data = w.axis("pipe"), w.axis("data")
        total = pipe.all_reduce(torch.tensor([float(w.rank)]))
        return (
            pipe.ranks,
            pipe.rank,
            pipe.next,
            data.ranks,
            total.item(),
            data.all_gather(torch.tensor([w.rank])).tolist(),
        )

    out = pool.run(neighbours, mesh=Mesh(data=2, pipe=2))
    assert out[3] == ((2, 3), 1, 0, (1, 3), 5.0, [1, 3])
    assert out[0] == ((0, 1), 0, 1, (0, 2), 1.0, [0, 2])


def test_torch_functions_work_as_they_are(pool):
    def plain(w):
        import torch.distributed as dist

        value = torch.tensor([float(dist.get_rank())])
        dist.all_reduce(value)
        return value.item(), dist.get_world_size()

    assert pool.run(plain) == [(6.0, 4)] * 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool, torch.bfloat16, torch.complex128, torch.int8])
def test_letters_of_every_length_and_shape(pool, dtype):
    def program(w):
        shapes = [(), (0, 3), (1,), (3, 5), (1024,), (1025,), (40, 41)]
        tensors = [(torch.arange(torch.Size(shape).numel()) % 7).reshape(shape).to(dtype) for shape in shapes]
        if w.rank == 0:
            for tensor in tensors:
                w.send(tensor.T if tensor.dim() == 2 else tensor, to=1)
            return True
        came = [w.recv(source=0) for _ in tensors]
        return all(torch.equal(one, other.T if other.dim() == 2 else other) and one.is_contiguous()
                   for one, other in zip(came, tensors, strict=True))  # fmt: skip

    out = pool.run(program, ranks=2)
    assert out == [True, True]
    elements = [0, 0, 1, 1, 15, 1024, 1025, 1640]
    assert sorted(message.bytes for message in out.trace.messages) == [
        count * torch.empty((), dtype=dtype).element_size() for count in elements[1:]]  # fmt: skip
