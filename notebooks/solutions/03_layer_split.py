"""Solutions of lesson 03, and the wrong answers its check knows."""


# %% stub
def split_layers(costs, parts):
    """Try every limit that a run of layers can have, from the smallest, until `parts` suffice."""
    if parts > len(costs):
        raise ValueError(f"{len(costs)} layers cannot fill {parts} parts")

    def fill(limit):
        made, held = [[]], 0
        for layer, cost in enumerate(costs):
            left = len(costs) - layer
            if made[-1] and (held + cost > limit or left <= parts - len(made)):
                made.append([])
                held = 0
            made[-1].append(layer)
            held += cost
        return made

    sums = {sum(costs[a:b]) for a in range(len(costs)) for b in range(a + 1, len(costs) + 1)}
    for limit in sorted(sums):
        made = fill(limit)
        if limit >= max(costs) and len(made) <= parts:
            return made


# %% wrong stub: equal numbers of layers
# says: Equal numbers are not equal work: your slowest part takes 13, 9 is possible (`[2, 3×8, 7]` in 4).
def split_layers(costs, parts):
    edges = [part * len(costs) // parts for part in range(parts + 1)]
    return [list(range(start, end)) for start, end in zip(edges, edges[1:])]


# %% wrong stub: fill up to the average
# says: Good for the first parts, and the rest lands on the last: on `[4, 2×8, 9]` in 4 your slowest part takes 11,
# says: 9 is possible.
def split_layers(costs, parts):
    average, made, held = sum(costs) / parts, [[]], 0
    for layer, cost in enumerate(costs):
        if made[-1] and held + cost > average and len(made) < parts:
            made.append([])
            held = 0
        made[-1].append(layer)
        held += cost
    return made


# %% wrong stub: a cut lost
# says: Layer 6 is in no part.
def split_layers(costs, parts):
    return [[layer for layer in part if layer != 6] for part in minipar.split(costs, parts)]


# %% wrong stub: a cut doubled
# says: Layer 6 is in part 1 and part 2.
def split_layers(costs, parts):
    made = [list(part) for part in minipar.split(costs, parts)]
    made[1].append(made[2][0])
    return made


# %% wrong stub: tries every cut
# says: Right, but 60 layers in 8 parts took longer than 2 s. See hint 1.
def split_layers(costs, parts):
    from itertools import combinations

    if parts > len(costs):
        raise ValueError("more parts than layers")

    def edges(inner):
        return list(zip((0, *inner), (*inner, len(costs))))

    every = combinations(range(1, len(costs)), parts - 1)
    best = min(every, key=lambda inner: max(sum(costs[a:b]) for a, b in edges(inner)))
    return [list(range(a, b)) for a, b in edges(best)]
