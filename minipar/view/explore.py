"""Which explorers are there?  One call each, in one cell; nothing runs on the workers unless a button says so.

explore.pipeline(ranks=4, microbatches=8)    schedule, sizes and costs against time, idle share and memory
explore.cap(cap=4)                           GPipe and 1F1B under a cap on activations
explore.memory(batch=8)                      what fills a device
explore.chunks(hop=0.5, chunks=2)            several chunks a rank against 1F1B, over the price of a message
explore.parked(cap=4, microbatches=8)        weight gradients that fill gaps, under a cap on what is held
explore.cards(10_000_000_000)                parameters against a row of real cards
explore.split(costs, parts=4)                where to cut a list of layers
explore.deal(ranks=4, positions=1024)        who computes which part of the causal triangle, and who waits
explore.hands(text)                          a list whose sends wait for their receivers: does it still end?
explore.heads(ranks=4, query=8, kv=2)        heads and words on ranks: from when on are heads copied?
explore.message(machine)                     where a message costs its wait, and where its bytes
explore.slices(hidden=64, tokens=64)         when a sliced MLP is quicker than a whole one
explore.mesh(tensor=2, data=2, pipe=2)       who talks to whom on which axis, and what leaves the box
explore.experts(lean=0.6, top=2, ranks=4)    tokens on their way to experts, and the ranks that wait meanwhile
explore.placement(routing)                   experts moved between ranks and nodes, against the known ways
explore.ping(pool)                           what a message costs here (this one does send, when told to)
"""

from minipar.view.explore_cap import cap, largest_under
from minipar.view.explore_cards import cards
from minipar.view.explore_chunks import chunks, where_it_loses
from minipar.view.explore_deal import deal, slowest_of
from minipar.view.explore_experts import experts, no_bytes_then_twice
from minipar.view.explore_hands import both_ways_pass, hands
from minipar.view.explore_heads import heads, largest_ranks
from minipar.view.explore_memory import memory, two_ways_under_the_cap
from minipar.view.explore_mesh import busiest_inside, mesh
from minipar.view.explore_message import message, twice_its_wait
from minipar.view.explore_parked import no_gap_inside, parked
from minipar.view.explore_ping import ping
from minipar.view.explore_pipeline import idle_below, pipeline
from minipar.view.explore_placement import placement, then_the_fewest
from minipar.view.explore_slices import slices, until_it_pays
from minipar.view.explore_split import best_cut, split
from minipar.view.explorer import Explorer, Task

__all__ = [
    "Explorer",
    "Task",
    "best_cut",
    "both_ways_pass",
    "busiest_inside",
    "cap",
    "cards",
    "chunks",
    "deal",
    "experts",
    "hands",
    "heads",
    "idle_below",
    "largest_ranks",
    "largest_under",
    "memory",
    "mesh",
    "message",
    "no_bytes_then_twice",
    "no_gap_inside",
    "parked",
    "ping",
    "pipeline",
    "placement",
    "slices",
    "slowest_of",
    "split",
    "then_the_fewest",
    "twice_its_wait",
    "two_ways_under_the_cap",
    "until_it_pays",
    "where_it_loses",
]
