"""Solutions of lesson 11b, and the wrong answers its check knows."""


# %% stub
def place_experts(loads, ranks):
    """Largest first, each to the emptiest rank that has room."""
    room, held, sums = len(loads) // ranks, [[] for _ in range(ranks)], [0] * ranks
    for expert in sorted(range(len(loads)), key=lambda expert: -loads[expert]):
        rank = min((rank for rank in range(ranks) if len(held[rank]) < room), key=lambda rank: sums[rank])
        held[rank].append(expert)
        sums[rank] += loads[expert]
    return held


# %% stub-2
def choose(scores, bias, top):
    """Chosen by score + bias, weighed with the score."""
    choice = (scores + bias).topk(top).indices
    return choice, scores.gather(1, choice)


def update_bias(bias, loads, rate):
    """Up below the mean, down above it."""
    return bias + rate * torch.sign(loads.mean() - loads)


# %% wrong stub: in order
# says: Busiest rank 64, 42 is possible: the two largest stand together.
def place_experts(loads, ranks):
    each = len(loads) // ranks
    return [list(range(rank * each, (rank + 1) * each)) for rank in range(ranks)]


# %% wrong stub: round robin
# says: Busiest rank 52, 42 is possible: 40 and 12 on rank 0. Largest first, each to the emptiest rank that has room.
def place_experts(loads, ranks):
    return [list(range(rank, len(loads), ranks)) for rank in range(ranks)]


# %% wrong stub: no limit
# says: Busiest 40, but ranks hold 1 2 3 2 experts: two each, memory is the same everywhere.
def place_experts(loads, ranks):
    held, sums = [[] for _ in range(ranks)], [0] * ranks
    for expert in sorted(range(len(loads)), key=lambda expert: -loads[expert]):
        rank = sums.index(min(sums))
        held[rank].append(expert)
        sums[rank] += loads[expert]
    return held


# %% wrong stub-2: sign turned
# says: By step 20 every token takes experts 0 and 1: 128 128 0 0 0 0 0 0. Busy experts must become less attractive.
def choose(scores, bias, top):
    choice = (scores + bias).topk(top).indices
    return choice, scores.gather(1, choice)


def update_bias(bias, loads, rate):
    return bias + rate * torch.sign(loads - loads.mean())


# %% wrong stub-2: rate ten times too large
# says: It overshoots: 1.78 after 40 steps, 1.16 is possible with 0.02. The bias jumps over the scores' differences.
def choose(scores, bias, top):
    choice = (scores + bias).topk(top).indices
    return choice, scores.gather(1, choice)


def update_bias(bias, loads, rate):
    return bias + 0.2 * torch.sign(loads.mean() - loads)


# %% wrong stub-2: bias added to the weights
# says: Loads are even, outputs are not the twin's: weigh with the scores, choose with score + bias.
def choose(scores, bias, top):
    weight, choice = (scores + bias).topk(top)
    return choice, weight


def update_bias(bias, loads, rate):
    return bias + rate * torch.sign(loads.mean() - loads)
