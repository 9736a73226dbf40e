"""What does a layer of experts cost beside transformers' Mixtral block, and what does it send beside dense masks?

    python -m benchmarks.experts > benchmarks/experts.txt                       see also --pairs, --tokens, --hidden

    block      one process: 8 experts, top 2, 4,096 tokens, width 2 · hidden, gated, float32, forward and backward, the
               same weights and threads; transformers' MixtralSparseMoeBlock as the faster of its eager and grouped form
    products   the experts alone: our loop against torch's grouped product, for the same rows
    travel     4 ranks, 8 experts, top 1: dispatch and combine against dense masks, where all ranks gather all tokens,
               pick their own, and scatter the sums; bytes as really sent, time forward and backward

The sides take turns, outputs are compared first. transformers is no dependency of minipar: `pip install
'minipar[peers]'`; without it the first part is left out. Never run on a GPU.
"""

import argparse
import statistics
import time

import torch

import minipar
from benchmarks.workload import Taken, forget, time_steps, visits
from minipar.nn.axes import Axes
from minipar.nn.experts import MoE, combine, dispatch
from minipar.nn.products import expert_mlp
from minipar.nn.regions import all_gather, reduce_scatter
from minipar.plan.balance import leaning
from minipar.plan.routing import route

EXPERTS, TOP = 8, 2
AIMS = {256: 1.0, 1024: 1.05}
try:
    from transformers import MixtralConfig
    from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock
except ImportError:
    MixtralSparseMoeBlock = None


def mixtral(hidden: int, form: str, dtype=torch.float32):
    """transformers' block of 8 experts, twice as wide as hidden. form: "eager" or "grouped_mm"."""
    config = MixtralConfig(hidden_size=hidden, intermediate_size=2 * hidden, num_local_experts=EXPERTS,
                           num_experts_per_tok=TOP)  # fmt: skip
    config._experts_implementation = form
    torch.manual_seed(0)
    block = MixtralSparseMoeBlock(config).to(dtype)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return block


def ours(block):
    """Our layer with the weights of a Mixtral block."""
    fused = block.experts.gate_up_proj.detach()
    experts, width, hidden = fused.shape
    layer = MoE(hidden, width // 2, experts, TOP, gated=True).to(fused.dtype)
    gate, up = fused.chunk(2, dim=1)
    with torch.no_grad():
        for mine, theirs in ((layer.router.weight, block.gate.weight), (layer.experts.gate, gate),
                             (layer.experts.up, up), (layer.experts.down, block.experts.down_proj)):  # fmt: skip
            mine.copy_(theirs)
    return layer


def timed(step, held):
    """What one step takes, by the clock and of the processor: the medians of three."""
    taken = time_steps(step, lambda: forget(held), lambda: None, 3)
    return Taken(*map(statistics.median, zip(*taken, strict=True)))


def side(layer, x, pull):
    """(a step, forward and backward, what holds gradients)."""
    own = x.clone().requires_grad_()

    def step():
        y = layer(own)
        (y * pull).sum().backward()
        return y

    return step, [own, *layer.parameters()]


def compared(name, first, second, pairs, aim=None):
    """Prints both medians and the medians of the ratios of pairs, by the clock and of the processor's time."""
    took = visits(lambda: timed(*first), lambda: timed(*second), pairs)
    mine, theirs = (1000 * statistics.median(one.wall for one in side) for side in zip(*took, strict=True))
    ratios = sorted(one.wall / other.wall for one, other in took)
    ratio, worked = statistics.median(ratios), statistics.median(one.processor / other.processor for one, other in took)
    said = "" if aim is None else f"   aim {aim}: {'met' if ratio <= aim else 'MISSED'}"
    print(f"{name:34} {mine:8.1f} ms {theirs:8.1f} ms   ratio {ratio:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}), "
          f"processor {worked:.2f}{said}", flush=True)  # fmt: skip
    return ratio


def blocks(hidden, tokens, pairs):
    """Ours against both forms of transformers' block: the larger ratio is that against the faster form."""
    torch.manual_seed(1)
    x, pull = torch.randn(2, 1, tokens, hidden)
    found = {}
    for form in ("eager", "grouped_mm"):
        block = mixtral(hidden, form)
        mine, theirs = side(ours(block), x, pull), side(block, x, pull)
        apart = (mine[0]() - theirs[0]()).abs().max().item()
        assert apart < 1e-4 and (mine[1][0].grad - theirs[1][0].grad).abs().max() < 1e-4, apart
        found[form] = compared(f"block {hidden}, Mixtral {form}", mine, theirs, pairs, AIMS.get(hidden))
    print(f"{'':34} against the faster form: {max(found.values()):.2f}")


def products(hidden, tokens, pairs):
    """The loop over experts against torch's grouped product."""
    torch.manual_seed(1)
    sizes = [tokens * TOP // EXPERTS] * EXPERTS
    x = torch.randn(sum(sizes), hidden, requires_grad=True)
    gate, up = (torch.randn(EXPERTS, 2 * hidden, hidden, requires_grad=True) for _ in range(2))
    down = torch.randn(EXPERTS, hidden, 2 * hidden, requires_grad=True)
    pull = torch.randn(sum(sizes), hidden)

    def step(grouped):
        (expert_mlp(x, up, down, sizes, gate, grouped=grouped) * pull).sum().backward()

    ways = [(lambda grouped=grouped: step(grouped), [x, gate, up, down]) for grouped in (False, True)]
    compared(f"products {hidden}, loop / torch's", *ways, pairs)


# ---- travel


def masks(axis, x, choice):
    """Dense masks: everybody gets all tokens, adds what its experts say of theirs, and sums go home."""
    whole, chosen = all_gather(axis, x, 0), axis.all_gather(choice)
    mine = (chosen // (EXPERTS // axis.size) == axis.rank).any(1, keepdim=True)
    return reduce_scatter(axis, whole * mine, 0)


def there_and_back(axis, x, choice):
    """Dispatch and combine, with experts that answer what they are asked."""
    rows, way = dispatch(axis, x, choice, EXPERTS)
    return combine(axis, rows, torch.ones(choice.shape), way)


def travelled(w, way, hidden, kept, times):
    """On a rank: its output, and the median seconds of forward and backward."""
    axis, share = w.axis("expert"), len(kept) // w.ranks
    axis = axis if times else axis.ring
    choice = torch.tensor(kept[w.rank * share : (w.rank + 1) * share])
    x = torch.randn(share, hidden, generator=torch.Generator().manual_seed(w.rank)).requires_grad_()
    act, took = {"masks": masks, "dispatch": there_and_back}[way], []
    y = act(axis, x, choice)
    y.sum().backward()
    for _ in range(times):
        axis.barrier()
        start = time.perf_counter()
        act(axis, x, choice).sum().backward()
        took.append(time.perf_counter() - start)
    return y.detach(), statistics.median(took) if took else 0.0


def travel(pool, hidden, tokens, pairs, name, lean):
    """Bytes and time of both ways."""
    mesh, routing = minipar.Mesh(data=4, expert=4), route(leaning(tokens, EXPERTS, lean), EXPERTS, 1, ranks=4)
    sent, outputs = [], []
    for way in ("dispatch", "masks"):
        found = pool.run(travelled, way, hidden, routing.kept, 0, mesh=mesh)
        sent.append(sum(map(sum, found.trace.traffic())))
        outputs.append(torch.cat([y for y, _ in found]))
    assert torch.allclose(*outputs)

    def seconds(way):
        return max(taken for _, taken in pool.run(travelled, way, hidden, routing.kept, 3, mesh=mesh))

    took = visits(lambda: seconds("dispatch"), lambda: seconds("masks"), pairs)
    mine, theirs = (statistics.median(side) * 1000 for side in zip(*took, strict=True))
    ratio = sent[0] / sent[1]
    print(f"travel {hidden}, {name:9} {sent[0]:11,} {sent[1]:11,} bytes   ratio {ratio:.2f}   aim 0.5: "
          f"{'met' if ratio <= 0.5 else 'MISSED'}   as planned: {as_planned(pool, hidden, routing, mesh)}")  # fmt: skip
    print(f"{'':34} {mine:8.1f} ms {theirs:8.1f} ms   ratio {mine / theirs:.2f}", flush=True)


def as_planned(pool, hidden, routing, mesh) -> bool:
    """Whether the bytes of both legs are those of the plan's matrices."""
    trace = pool.run(travelled, "dispatch", hidden, routing.kept, 0, mesh=mesh).trace
    planned = {"dispatch": routing.dispatch(hidden).table, "combine": routing.combine(hidden).table}
    return all(trace.traffic("all_to_all", layer=leg) == table for leg, table in planned.items())


def overlapped(w, hidden, tokens):
    """On a rank: one forward and backward with a shared expert; spans are in the trace."""
    axis = w.axis("expert")
    layer = MoE(hidden, 2 * hidden, EXPERTS, TOP, Axes(expert=axis, group=axis), shared=1)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    for _ in range(2):
        with w.span("step"):
            layer(torch.randn(tokens // w.ranks, hidden).requires_grad_()).sum().backward()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--hidden", type=int, nargs="*", default=[256, 1024])
    given = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; {given.tokens} tokens, {EXPERTS} experts, "
          f"top {TOP}; medians of {given.pairs} pairs: minipar, the other, minipar / the other")  # fmt: skip
    for hidden in given.hidden:
        if MixtralSparseMoeBlock is None:
            print("transformers is not installed: no Mixtral block to compare with")
        else:
            blocks(hidden, given.tokens, given.pairs)
        products(hidden, given.tokens, given.pairs)
    with minipar.WorkerPool(4) as pool:
        for hidden in given.hidden:
            travel(pool, hidden, given.tokens, given.pairs, "balanced", ())
            travel(pool, hidden, given.tokens, given.pairs, "skewed", (0.6, 0.3))
        trace = pool.run(overlapped, 256, given.tokens, mesh=minipar.Mesh(data=4, expert=4)).trace
        hidden_by = [(span.end - span.start) for span in trace.spans if span.what == "shared expert"]
        print(f"overlap: {len(hidden_by)} shared experts worked while rows travelled, "
              f"{1000 * statistics.median(hidden_by):.1f} ms each")  # fmt: skip


if __name__ == "__main__":
    main()
