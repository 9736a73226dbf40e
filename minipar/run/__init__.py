"""How does a plan become something that happens?

    pool.py      the notebook's side: start worker processes, run a function on each, bring results and faults home
    launch.py    start the processes, and leave none behind
    child.py     the worker's side: wait for a call, run it, report
    worker.py    the handle `w` that a rank's program receives; axis.py: its neighbours along one mesh axis
    transport.py how a message travels: gloo, gloo with NCCL's rules, NCCL, one GPU shared
    oplog.py     every operation in a light log, so that a fault can be explained; story.py explains it

Nothing here is imported by `import minipar` alone: torch and the processes come with the first pool.
"""
