"""What does a learner need to say?  The whole vocabulary of minipar, each word found when it is first used.

``import minipar`` loads nothing heavy: planning, checking and simulating never import torch, pictures never do either.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("minipar")
except PackageNotFoundError:  # a clone that was never installed
    __version__ = "0+clone"

_HOME = {
    "minipar.plan.actions": "Action B F I Op Overlap W",
    "minipar.plan.schedule": "Schedule schedule",
    "minipar.plan.schedules": (
        "dualpipe_v gpipe interleaved_1f1b interleaved_zero_bubble looped_bfs naive one_f_one_b v_half v_min "
        "zb_h1 zb_h2 zb_v"
    ),
    "minipar.plan.search": "search",
    "minipar.plan.check": "Problem problems",
    "minipar.plan.order": "Deadlock walk",
    "minipar.plan.messages": "lower",
    "minipar.plan.simulate": "Cost predict",
    "minipar.plan.trace": "Span Trace",
    "minipar.plan.split": "split",
    "minipar.plan.mesh": "Mesh",
    "minipar.plan.placement": "Placement place_experts",
    "minipar.plan.routing": "route",
    "minipar.plan.layout": "Plan",
    "minipar.run.pool": "RemoteError RemoteInterrupt WorkerPool",
    "minipar.run.training": "same_gradients train train_step",
    "minipar.run.generate": "generate",
    "minipar.run.calibrate": "calibrate",
    "minipar.nn.gpt": "GPT",
    "minipar.nn.state": "gather_state slice_state",
    "minipar.nn.text": "text_batch",
    "minipar.view.timeline": "compare timeline timelines",
    "minipar.view.memory": "memory memory_bars",
    "minipar.view.curves": "curves idle_sweep peak_sweep",
    "minipar.view.slices": "slices",
    "minipar.view.flow": "flow",
    "minipar.view.load": "loads stragglers",
    "minipar.view.resident": "resident",
    "minipar.view.byte_tables": "byte_tables",
    "minipar.view.strip": "strip",
    "minipar.view.traffic": "traffic",
    "minipar.view.edit": "edit",
    "minipar.view.board": "board",
    "minipar.learn.levels": "puzzle",
}
_WHERE = {word: module for module, words in _HOME.items() for word in words.split()}
_FLOORS = {
    "plan": "minipar.plan",
    "run": "minipar.run",
    "nn": "minipar.nn",
    "view": "minipar.view",
    "cost": "minipar.cost",
    "learn": "minipar.learn",
    "explore": "minipar.view.explore",
    "export": "minipar.plan.export",
}

__all__ = sorted([*_WHERE, "explore", "export", "learn"])


def __getattr__(name: str):
    if name in _WHERE:
        found = getattr(import_module(_WHERE[name]), name)
    elif name in _FLOORS:
        found = import_module(_FLOORS[name])
    else:
        raise AttributeError(f"minipar has no {name!r}; it has {', '.join(__all__)}")
    globals()[name] = found
    return found


def __dir__():
    return sorted([*globals(), *__all__, *_FLOORS])
