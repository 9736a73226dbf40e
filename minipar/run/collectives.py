"""What does a collective do, message by message?

Each one here is made of `send`, `recv` and `exchange` (both at once) along an axis, and nothing else. n is the bytes
of one rank's whole tensor, P the ranks; "waits" are the messages that must follow one another.

    what            how                      waits        messages       bytes sent by
    all_reduce      ring                     2(P-1)       2(P-1) a rank  each: 2(P-1)/P n
                    through_zero             2(P-1)       2(P-1) in all  rank 0: (P-1) n, others: n
                    everyone_to_everyone     P-1          P-1 a rank     each: (P-1) n
    reduce_scatter  ring                     P-1          P-1 a rank     each: (P-1)/P n
    all_gather      ring, n the joined one   P-1          P-1 a rank     each: (P-1)/P n
    all_to_all      shifted exchanges        P-1          P-1 a rank     each: all but its own part
    broadcast       naive                    P-1          P-1 in all     the source: (P-1) n
                    tree                     ceil(log2 P) P-1 in all     the source: ceil(log2 P) n
                    ring, in P pieces        2(P-1)       P(P-1) in all  each but the last: n
    reduce          naive, tree              as broadcast, with the arrows turned round

They take any `axis` that has rank, size, next, previous, send, recv and exchange, and change no argument. Where the
axis keeps a ledger, `@ours(name)` opens an account there: every byte sent inside is billed to that name. An op is
"sum", "mean", "max", "min" or "product". Messages are letters, as with `w.send`: on GPUs they pass through host memory.
"""

import contextlib
import functools
import inspect

import torch

COMBINE = {"sum": torch.add, "mean": torch.add, "max": torch.maximum, "min": torch.minimum, "product": torch.mul}


def ours(what):
    """Names a collective in the axis's ledger; an outer one keeps its name."""

    def wrap(function):
        form = inspect.signature(function)

        @functools.wraps(function)
        def collective(axis, given, *arguments, **options):
            account = getattr(axis, "account", None)
            said = form.bind(axis, given, *arguments, **options)
            said.apply_defaults()
            how = list(said.arguments.values())[2:]
            with account(what, given, how) if account else contextlib.nullcontext():
                return function(axis, given, *arguments, **options)

        return collective

    return wrap


# ---- in a ring


@ours("all_reduce")
def ring_all_reduce(axis, tensor, op="sum"):
    """The sum over the axis, on every rank: lap one adds up, lap two hands round.

        lap one, step s: send piece r-s, add what comes to piece r-s-1       rank r ends with piece r+1 finished
        lap two, step s: send piece r+1-s, what comes replaces piece r-s

    Pieces: the flat tensor cut in P, which may differ by one element. 2(P-1) messages a rank, 2(P-1)/P n bytes.
    """
    total = _copy(tensor)
    pieces = total.view(-1).tensor_split(axis.size)
    _lap(axis, pieces, first=axis.rank, arrives=COMBINE[op])
    _lap(axis, pieces, first=axis.rank + 1, arrives=_replace)
    return total / axis.size if op == "mean" else total


@ours("reduce_scatter")
def ring_reduce_scatter(axis, tensor, dim=0, op="sum"):
    """This rank's piece, along `dim`, of the sum over the axis: lap one, begun one piece earlier.

        step s: send piece r-1-s, add what comes to piece r-2-s              rank r ends with piece r finished

    P-1 messages a rank; every piece but one's own once, (P-1)/P n bytes where they are equal.
    """
    pieces = [_copy(piece) for piece in tensor.tensor_split(axis.size, dim)]
    _lap(axis, pieces, first=axis.rank - 1, arrives=COMBINE[op])
    mine = pieces[axis.rank]
    return mine / axis.size if op == "mean" else mine


@ours("all_gather")
def ring_all_gather(axis, tensor, dim=0):
    """All ranks' tensors joined along `dim`, on every rank: lap two.

        step s: send piece r-s, what comes is piece r-s-1                    rank r begins with piece r

    P-1 messages a rank of one rank's tensor each: (P-1)/P of the joined one.
    """
    pieces = [torch.empty_like(torch.atleast_1d(tensor)) for _ in range(axis.size)]
    pieces[axis.rank].copy_(tensor)
    _lap(axis, pieces, first=axis.rank, arrives=_replace)
    return torch.cat(pieces, dim)


def _lap(axis, pieces, first, arrives):
    """P-1 steps round the ring: send piece `first`, take in the one before it; then that one is sent, and so on."""
    for piece in range(first, first - axis.size + 1, -1):
        came = axis.exchange(pieces[piece % axis.size], to=axis.next, source=axis.previous)
        mine = pieces[(piece - 1) % axis.size]
        arrives(mine, came, out=mine)


def _replace(mine, came, out):
    out.copy_(came)


# ---- pairs


@ours("all_to_all")
def all_to_all(axis, parts):
    """What each rank has for this one. `parts`: one tensor a rank, of any shapes; a list comes back in rank order.

        step s: send to rank r+s, receive from rank r-s                      step 0 stays at home

    P-1 messages a rank, all parts but its own.
    """
    came = [None] * axis.size
    for step in range(axis.size):
        to, source = (axis.rank + step) % axis.size, (axis.rank - step) % axis.size
        came[source] = axis.exchange(parts[to], to=to, source=source)
    return came


@ours("everyone_to_everyone")
def everyone_to_everyone(axis, tensor, op="sum"):
    """An all-reduce in which each rank sends its whole tensor to each other: P-1 messages and (P-1) n bytes a rank.

    All add in the order of the ranks, so that all have the very same sum.
    """
    whole = [tensor] * axis.size
    for step in range(1, axis.size):
        to, source = (axis.rank + step) % axis.size, (axis.rank - step) % axis.size
        whole[source] = axis.exchange(tensor, to=to, source=source)
    total = _copy(functools.reduce(COMBINE[op], whole))
    return total / axis.size if op == "mean" else total


# ---- from one, to one


@ours("broadcast")
def broadcast_naive(axis, tensor, source=0):
    """The source sends to each in turn: P-1 messages, (P-1) n bytes, all from one rank."""
    if axis.rank != source:
        return axis.recv(source=source)
    for rank in range(axis.size):
        if rank != source:
            axis.send(tensor, to=rank)
    return _copy(tensor)


@ours("broadcast")
def broadcast_tree(axis, tensor, source=0):
    """Whoever has it tells one who has not: 1, 2, 4, 8 ranks know. P-1 messages in ceil(log2 P) waits.

    0 ──► 1          then          0 ──► 2   1 ──► 3          then          0 ──► 4   1 ──► 5   2 ──► 6   3 ──► 7
    """
    tensor, place, know = _copy(tensor), (axis.rank - source) % axis.size, 1
    while know < axis.size:
        if place < know and place + know < axis.size:
            axis.send(tensor, to=(axis.rank + know) % axis.size)
        elif know <= place < 2 * know:
            tensor = axis.recv(source=(axis.rank - know) % axis.size)
        know *= 2
    return tensor


@ours("broadcast")
def broadcast_ring(axis, tensor, source=0):
    """From neighbour to neighbour in P pieces: while one piece travels on, the next follows.

    Each rank but the last sends n bytes in P messages; 2(P-1) waits of n/P bytes.
    """
    whole, place = _copy(tensor), (axis.rank - source) % axis.size
    for piece in whole.view(-1).tensor_split(axis.size):
        if place > 0:
            piece.copy_(axis.recv(source=axis.previous))
        if place < axis.size - 1:
            axis.send(piece, to=axis.next)
    return whole


@ours("reduce")
def reduce_naive(axis, tensor, to=0, op="sum"):
    """Everyone sends to one, which adds up: P-1 messages of n bytes. None on the others."""
    if axis.rank != to:
        return axis.send(tensor, to=to)
    total = _copy(tensor)
    for rank in range(axis.size):
        if rank != to:
            COMBINE[op](total, axis.recv(source=rank), out=total)
    return total / axis.size if op == "mean" else total


@ours("reduce")
def reduce_tree(axis, tensor, to=0, op="sum"):
    """The tree of `broadcast_tree` from its leaves to its root: P-1 messages in ceil(log2 P) waits. None elsewhere."""
    total, place, know = _copy(tensor), (axis.rank - to) % axis.size, 1 << max(0, axis.size - 1).bit_length()
    while know := know // 2:
        if know <= place < 2 * know:
            axis.send(total, to=(axis.rank - know) % axis.size)
        elif place < know and place + know < axis.size:
            COMBINE[op](total, axis.recv(source=(axis.rank + know) % axis.size), out=total)
    if place == 0:
        return total / axis.size if op == "mean" else total
    return None


@ours("through_zero")
def through_zero(axis, tensor, op="sum"):
    """An all-reduce through rank 0: all send to it, it sends the sum to all. Rank 0 sends (P-1) n bytes, others n."""
    total = reduce_naive(axis, tensor, op=op)
    return broadcast_naive(axis, tensor if total is None else total)


def _copy(tensor):
    return tensor.detach().clone(memory_format=torch.contiguous_format)
