"""How pipeline messages travel: by tag on gloo, in order and by rendezvous under NCCL's rules."""

import pytest
import torch

from minipar.run.pool import RemoteError, WorkerPool


@pytest.fixture(scope="module")
def ordered():
    with WorkerPool(3, backend="gloo-ordered") as pool:
        yield pool


def swap_tags(w):
    if w.rank == 0:
        works = [w.post_send(torch.full((4,), float(tag)), 1, tag) for tag in (5, 6)]
    elif w.rank == 1:
        buffers = {tag: torch.empty(4) for tag in (6, 5)}  # received in the other order
        works = [w.post_recv(buffer, 0, tag) for tag, buffer in buffers.items()]
    else:
        return None
    for work in works:
        work.wait()
    return {tag: buffer[0].item() for tag, buffer in buffers.items()} if w.rank == 1 else None


def test_gloo_finds_a_message_by_its_tag(pool):
    assert not pool.ordered
    assert pool.run(swap_tags, ranks=3)[1] == {6: 6.0, 5: 5.0}


def test_in_order_means_in_order(ordered):
    assert ordered.ordered
    assert repr(ordered) == "3 workers ready: processes on this CPU, talking through gloo in NCCL's order"
    with pytest.raises(
        RemoteError, match="out of order: this rank receives message 6 .* from rank 0, which sent message 5"
    ):
        ordered.run(swap_tags)


def test_a_receive_posted_ahead_of_a_send_to_the_same_peer_hangs(ordered):
    """On one communicator NCCL runs a pair's operations one after the other; both ranks wait for the other's send."""

    def receive_ahead(w):
        peer = 1 - w.rank
        arriving = w.post_recv(torch.empty(2), peer, 1)
        leaving = w.post_send(torch.ones(2), peer, 1)
        leaving.wait()
        arriving.wait()

    with pytest.raises(RemoteError, match="deadlock: rank 0 waits for rank 1, 1 for 0") as caught:
        ordered.run(receive_ahead, ranks=2)
    assert caught.value.cycle == (0, 1)
    assert ordered.run(lambda w: w.axis().all_reduce(torch.ones(1)).item()) == [3.0] * 3


def test_the_same_program_is_fine_where_tags_count(pool):
    def receive_ahead(w):
        peer, buffer = 1 - w.rank, torch.empty(2)
        arriving = w.post_recv(buffer, peer, 1)
        w.post_send(torch.full((2,), float(w.rank)), peer, 1).wait()
        arriving.wait()
        return buffer.tolist()

    assert pool.run(receive_ahead, ranks=2) == [[1, 1], [0, 0]]


def test_sends_wait_for_their_receiver(ordered):
    def both_send_first(w):
        if w.rank < 2:
            w.send(torch.ones(2), to=1 - w.rank)
            return w.recv(source=1 - w.rank)

    with pytest.raises(RemoteError, match="deadlock: rank 0 waits for rank 1, 1 for 0"):
        ordered.run(both_send_first)

    def exchange(w):
        axis = w.axis()
        return axis.exchange(torch.tensor([w.rank]), to=axis.next, source=axis.previous).item()

    assert ordered.run(exchange) == [2, 0, 1]


def test_in_one_global_order_both_directions_flow(ordered):
    def chain(w):
        got, works = [], []
        for number in range(20):
            if w.rank > 0:
                buffer = torch.empty(3)
                w.post_recv(buffer, w.rank - 1, number).wait()
                got.append(buffer[0].item())
            if w.rank < 2:
                works.append(w.post_send(torch.full((3,), float(number)), w.rank + 1, number))
        for work in works:
            work.wait()
        return got

    assert ordered.run(chain)[2] == [float(number) for number in range(20)]


def test_a_pipeline_message_nobody_receives_is_named(pool, capsys):
    def forgets(w):
        if w.rank == 0:
            w.post_send(torch.ones(2), 1, 7)

    pool.run(forgets)
    assert "rank 0's message (2 float32) to rank 1 was sent and never collected" in capsys.readouterr().out


def test_a_deadlocked_pipeline_message_is_named(pool):
    def waits(w):
        if w.rank < 2:
            w.post_recv(torch.empty(2), 1 - w.rank, 3).wait()

    with pytest.raises(RemoteError, match="deadlock: rank 0 waits for rank 1, 1 for 0"):
        pool.run(waits)


def test_ranks_that_share_a_gpu_go_through_host_memory(pool):
    """The staged transport itself, here with CPU tensors on both sides; on a GPU it was not run by these tests."""

    def staged(w):
        import torch.distributed as dist

        from minipar.run.transport import Staged

        way, buffer = Staged(w.log, dist.group.WORLD._get_backend(torch.device("cpu"))), torch.zeros(3)
        if w.rank == 0:
            way.send(torch.arange(3.0, requires_grad=True), 1, 9).wait()
        elif w.rank == 1:
            way.receive(buffer, 0, 9).wait()
        return buffer.tolist()

    assert pool.run(staged)[1] == [0, 1, 2]


def test_a_deadlocked_message_can_have_a_name(pool):
    def waits(w):
        w.name_tags(lambda tag: f"activation {tag} m1")
        if w.rank < 2:
            w.post_recv(torch.empty(2), 1 - w.rank, 3).wait()

    with pytest.raises(RemoteError, match=r"rank 0: waits for a message from rank 1 \(activation 3 m1\), for"):
        pool.run(waits)
