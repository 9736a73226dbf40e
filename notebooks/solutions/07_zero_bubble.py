"""Solutions of lesson 07, and the wrong answers its check knows."""

# %% stub
def input_gradient(saved, g):
    x, weight, z = saved
    g = g * slope(z)
    return g @ weight, (x, g)


def weight_gradient(parked, dW, db):
    x, g = parked
    dW += g.T @ x
    db += g.sum(0)


# %% stub-2
@minipar.schedule
def mine(rank, ranks, microbatches):
    """P - r forwards, then I and F in turn; more than r waiting: the oldest W."""
    waiting, warmup = [], min(ranks - rank, microbatches)
    yield from (F(rank, m) for m in range(warmup))
    for m in range(microbatches):
        yield I(rank, m)
        waiting.append(m)
        if len(waiting) > rank:
            yield W(rank, waiting.pop(0))
        if m + warmup < microbatches:
            yield F(rank, m + warmup)
    yield from (W(rank, m) for m in waiting)


# %% wrong stub: dW is made inside I
# says: Right numbers, but your I made 2 products and W none: nothing was postponed.
def input_gradient(saved, g):
    x, weight, z = saved
    g = g * slope(z)
    return g @ weight, (g.T @ x, g.sum(0))


def weight_gradient(parked, dW, db):
    dW += parked[0]
    db += parked[1]


# %% wrong stub: GELU's slope is left out
# says: dx is off wherever the GELU bends: multiply g by its slope before the product.
def input_gradient(saved, g):
    x, weight, z = saved
    return g @ weight, (x, g)


def weight_gradient(parked, dW, db):
    x, g = parked
    dW += g.T @ x
    db += g.sum(0)


# %% wrong stub: parks g from before the slope
# says: dx is right, dW is not: W needs the same sloped gradient that I used. Park that one.
def input_gradient(saved, g):
    x, weight, z = saved
    return (g * slope(z)) @ weight, (x, g)


def weight_gradient(parked, dW, db):
    x, g = parked
    dW += g.T @ x
    db += g.sum(0)


# %% wrong stub: x transposed times g
# says: dW is 2 × 1, W is 1 × 2: gᵀ x.
def input_gradient(saved, g):
    x, weight, z = saved
    g = g * slope(z)
    return g @ weight, (x, g)


def weight_gradient(parked, dW, db):
    x, g = parked
    dW += x.T @ g
    db += g.sum(0)


# %% wrong stub: the second microbatch takes the place of the first
# says: After two microbatches dW holds the second alone. Add.
def input_gradient(saved, g):
    x, weight, z = saved
    g = g * slope(z)
    return g @ weight, (x, g)


def weight_gradient(parked, dW, db):
    x, g = parked
    dW[:] = g.T @ x
    db += g.sum(0)


# %% wrong stub: dW is another tensor from now on
# says: dW is as it was before: `dW = …` gives the name to another tensor. Add to the one you were given: +=.
def input_gradient(saved, g):
    x, weight, z = saved
    g = g * slope(z)
    return g @ weight, (x, g)


def weight_gradient(parked, dW, db):
    x, g = parked
    dW = g.T @ x  # noqa: F841
    db += g.sum(0)


# %% wrong stub-2: W before its I
# says: 3W0 stands before 3I0: W needs the gradient that comes with I.
@minipar.schedule
def mine(rank, ranks, microbatches):
    warmup = min(ranks - rank, microbatches)
    yield from (F(rank, m) for m in range(warmup))
    for m in range(microbatches):
        yield W(rank, m)
        yield I(rank, m)
        if m + warmup < microbatches:
            yield F(rank, m + warmup)


# %% wrong stub-2: each W right behind its I
# says: Legal, 30 slots: the cut alone. Par is 27: let r of them wait on rank r.
@minipar.schedule
def mine(rank, ranks, microbatches):
    warmup = min(ranks - rank, microbatches)
    yield from (F(rank, m) for m in range(warmup))
    for m in range(microbatches):
        yield I(rank, m)
        yield W(rank, m)
        if m + warmup < microbatches:
            yield F(rank, m + warmup)


# %% wrong stub-2: all W at the end
# says: 30 slots and peaks 8 8 8 8, the cap is 4: parked W keep their inputs.
@minipar.schedule
def mine(rank, ranks, microbatches):
    warmup = min(ranks - rank, microbatches)
    yield from (F(rank, m) for m in range(warmup))
    for m in range(microbatches):
        yield I(rank, m)
        if m + warmup < microbatches:
            yield F(rank, m + warmup)
    yield from (W(rank, m) for m in range(microbatches))


# %% wrong stub-2: the first rank parks most
# says: 33 slots, nothing gained, and peaks 7 5 3 1: rank 3 is the one that must hurry its I, so let 3 wait there and
# says: none on rank 0.
@minipar.schedule
def mine(rank, ranks, microbatches):
    waiting, warmup = [], min(ranks - rank, microbatches)
    yield from (F(rank, m) for m in range(warmup))
    for m in range(microbatches):
        yield I(rank, m)
        waiting.append(m)
        if len(waiting) > ranks - 1 - rank:
            yield W(rank, waiting.pop(0))
        if m + warmup < microbatches:
            yield F(rank, m + warmup)
    yield from (W(rank, m) for m in waiting)


# %% wrong stub-2: one more waits everywhere
# says: 27 slots, par, but peaks 5 5 5 5: the cap is 4.
@minipar.schedule
def mine(rank, ranks, microbatches):
    waiting, warmup = [], min(ranks - rank, microbatches)
    yield from (F(rank, m) for m in range(warmup))
    for m in range(microbatches):
        yield I(rank, m)
        waiting.append(m)
        if len(waiting) > rank + 1:
            yield W(rank, waiting.pop(0))
        if m + warmup < microbatches:
            yield F(rank, m + warmup)
    yield from (W(rank, m) for m in waiting)
