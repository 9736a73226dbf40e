"""Who waits for whom, and can any of them go on?

    rank 0 ──recv──► rank 3 ──recv──► rank 2 ──recv──► rank 1 ──recv──► rank 0        a cycle: nobody can

Each rank's account says which operation it is blocked in and how many of each kind it has posted. The k-th receive
from a peer is on its way if that peer has posted its k-th send; a collective is complete when every member has come
to it. A rank is stuck when one of those it waits for is stuck too, or has finished. Pure functions on plain data.
"""


def missing(rank, operation, accounts):
    """The peers that have not done their part of `operation`, in which `rank` is blocked; () when it can go on."""
    kind, peer, tag, number = operation
    if kind in ("send", "recv"):
        there = accounts.get(peer)
        if there is None or any(key[0] == "recv_anysource" for key in there["counts"]):
            return ()
        other = "recv" if kind == "send" else "send"
        return () if there["counts"].get((other, rank, tag), 0) >= number else (peer,)
    if isinstance(peer, tuple):  # a collective: (name, ranks, group, number)
        known = [member for member in peer if member in accounts]
        return tuple(member for member in known if accounts[member]["groups"].get(tag, (peer, 0, 0))[1] < number)
    return ()


def stuck(accounts, finished):
    """rank -> the peers it waits for in vain. `accounts`: what each one reported; `finished`: who is over."""
    waits = {}
    for rank, account in accounts.items():
        if rank not in finished and account["now"] is not None:
            waits[rank] = missing(rank, account["now"][0], accounts)
    changed = True
    while changed:
        hopeless = {
            rank: tuple(peer for peer in peers if peer in waits or peer in finished) for rank, peers in waits.items()
        }
        hopeless = {rank: peers for rank, peers in hopeless.items() if peers}
        changed = len(hopeless) < len(waits)
        waits = hopeless
    return waits


def chain(waits):
    """The cycle among stuck ranks, from its smallest rank on; where there is none, the way to a finished rank."""
    longest = ()
    for start in sorted(waits):
        path = [start]
        while path[-1] in waits:
            following = next((peer for peer in waits[path[-1]] if peer in waits), waits[path[-1]][0])
            if following in path:
                cycle = path[path.index(following) :]
                first = cycle.index(min(cycle))
                return tuple(cycle[first:] + cycle[:first])
            path.append(following)
        longest = max(longest, tuple(path), key=len)
    return longest


def sentence(path, waits):
    """ "rank 0 waits for rank 3, 3 for 2, 2 for 1, 1 for 0"."""
    if not path:
        return ""
    closed = path[-1] in waits
    pairs = list(zip(path, path[1:] + (path[:1] if closed else ()), strict=False))
    words = [f"rank {pairs[0][0]} waits for rank {pairs[0][1]}"] + [f"{rank} for {peer}" for rank, peer in pairs[1:]]
    return ", ".join(words) + ("" if closed else ", which has finished")


def unmatched(accounts):
    """Messages of a finished call with one end only: [(source, target, tag, sends, receives)]."""
    found = []
    if any(key[0] == "recv_anysource" for account in accounts.values() for key in account["counts"]):
        return found
    for rank, account in accounts.items():
        for (kind, peer, tag), number in account["counts"].items():
            other = accounts[peer]["counts"] if peer in accounts else {}
            if kind == "send" and other.get(("recv", rank, tag), 0) < number:
                found.append((rank, peer, tag, number, other.get(("recv", rank, tag), 0)))
            elif kind == "recv" and other.get(("send", rank, tag), 0) < number:
                found.append((peer, rank, tag, other.get(("send", rank, tag), 0), number))
    return found


def uneven(accounts):
    """Two ranks of a group that did not call the same collectives: (rank, number, rank, number), or None."""
    for rank, account in sorted(accounts.items()):
        for group, (members, number, check) in account["groups"].items():
            for peer in members:
                if peer in accounts:
                    _, its_number, its_check = accounts[peer]["groups"].get(group, (members, 0, 0))
                    if (number, check) != (its_number, its_check):
                        return rank, number, peer, its_number
    return None
