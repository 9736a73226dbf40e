"""Solutions of lesson 11, and the wrong answers its check knows."""


# %% stub
def moe(w, x, choice, weight, mine):
    """2 ranks, expert e multiplies by e + 1, weights 1; rank 0: x [[1], [2]], choice [[3], [0]] -> [[4], [2]]"""
    wanted = choice.flatten()  # a number for each pair of a token and one of its choices
    pairs = wanted.argsort(stable=True)
    pairs = pairs[wanted[pairs] >= 0]  # by expert, and so by rank; dropped ones are gone
    token = pairs // choice.shape[1]
    counts = torch.bincount(wanted[pairs], minlength=w.ranks * len(mine)).view(w.ranks, -1)
    coming = swap_counts(w, counts)  # [from rank, my expert]
    sends, comes = counts.sum(1).tolist(), coming.sum(1).tolist()
    rows = swap_rows(w, x[token], sends, comes)
    parts = zip([*mine.values()] * w.ranks, rows.split(coming.flatten().tolist()))
    answers = torch.cat([expert(part) for expert, part in parts])
    home = swap_rows(w, answers, comes, sends)
    return torch.zeros_like(x).index_add(0, token, weight.flatten()[pairs, None] * home)


# %% wrong stub: order not restored
# says: All answers came home, in the order of the experts: row 0 holds another token's.
# says: Undo the sort you sent with.
def moe(w, x, choice, weight, mine):
    wanted = choice.flatten()
    pairs = wanted.argsort(stable=True)
    pairs = pairs[wanted[pairs] >= 0]
    token = pairs // choice.shape[1]
    counts = torch.bincount(wanted[pairs], minlength=w.ranks * len(mine)).view(w.ranks, -1)
    coming = swap_counts(w, counts)
    sends, comes = counts.sum(1).tolist(), coming.sum(1).tolist()
    rows = swap_rows(w, x[token], sends, comes)
    parts = zip([*mine.values()] * w.ranks, rows.split(coming.flatten().tolist()))
    answers = torch.cat([expert(part) for expert, part in parts])
    home = swap_rows(w, answers, comes, sends)
    return (weight[..., None] * home.view(*choice.shape, -1)).sum(1)


# %% wrong stub: equal splits
# says: You sent 16 rows to each rank; rank 0's tokens want 36 13 6 9. Exchange the counts first.
def moe(w, x, choice, weight, mine):
    wanted = choice.flatten()
    pairs = wanted.argsort(stable=True)
    token = pairs // choice.shape[1]
    even = [len(pairs) // w.ranks] * w.ranks
    whose = swap_rows(w, wanted[pairs, None], even, even).flatten()
    rows = swap_rows(w, x[token], even, even)
    answers = torch.cat([mine[expert](row[None]) for expert, row in zip(whose.tolist(), rows)])
    home = swap_rows(w, answers, even, even)
    return torch.zeros_like(x).index_add(0, token, weight.flatten()[pairs, None] * home)


# %% wrong stub: weights left out
# says: Both answers are added at full strength; each counts with its weight.
def moe(w, x, choice, weight, mine):
    wanted = choice.flatten()
    pairs = wanted.argsort(stable=True)
    pairs = pairs[wanted[pairs] >= 0]
    token = pairs // choice.shape[1]
    counts = torch.bincount(wanted[pairs], minlength=w.ranks * len(mine)).view(w.ranks, -1)
    coming = swap_counts(w, counts)
    sends, comes = counts.sum(1).tolist(), coming.sum(1).tolist()
    rows = swap_rows(w, x[token], sends, comes)
    parts = zip([*mine.values()] * w.ranks, rows.split(coming.flatten().tolist()))
    answers = torch.cat([expert(part) for expert, part in parts])
    home = swap_rows(w, answers, comes, sends)
    return torch.zeros_like(x).index_add(0, token, home)


# %% wrong stub: a dropped token returns x
# says: A dropped token adds nothing here: the residual already carries it. Yours is counted twice.
def moe(w, x, choice, weight, mine):
    wanted = choice.flatten()
    pairs = wanted.argsort(stable=True)
    pairs = pairs[wanted[pairs] >= 0]
    token = pairs // choice.shape[1]
    counts = torch.bincount(wanted[pairs], minlength=w.ranks * len(mine)).view(w.ranks, -1)
    coming = swap_counts(w, counts)
    sends, comes = counts.sum(1).tolist(), coming.sum(1).tolist()
    rows = swap_rows(w, x[token], sends, comes)
    parts = zip([*mine.values()] * w.ranks, rows.split(coming.flatten().tolist()))
    answers = torch.cat([expert(part) for expert, part in parts])
    home = swap_rows(w, answers, comes, sends)
    out = torch.zeros_like(x).index_add(0, token, weight.flatten()[pairs, None] * home)
    return torch.where((choice < 0).all(1, keepdim=True), x, out)


# %% wrong stub: everything to everybody
# says: The values are right, the route is not: 98,304 bytes out, 50,944 are needed.
# says: Send a row only where its expert lives.
def moe(w, x, choice, weight, mine):
    alike = [len(x)] * w.ranks
    rows = swap_rows(w, x.repeat(w.ranks, 1), alike, alike)
    choices = w.everyone.all_gather(choice)
    answers = torch.zeros(choice.shape[1], *rows.shape, dtype=x.dtype)
    for number, expert in mine.items():
        token, place = (choices == number).nonzero(as_tuple=True)
        answers = answers.index_put((place, token), expert(rows[token]))
    home = [swap_rows(w, one, alike, alike) for one in answers]
    home = torch.stack(home).view(choice.shape[1], w.ranks, len(x), -1).sum(1)
    return (weight.T[..., None] * home).sum(0)
