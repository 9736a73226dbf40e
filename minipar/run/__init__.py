"""How does a plan become something that happens?

    the notebook's side                              a worker's side
    pool.py       WorkerPool: run, start, stop       entry.py, child.py   wait for a call, run it, report
    call.py       one call, and how it ends          worker.py, axis.py   the handle `w`, neighbours on an axis
    keeper.py     workers and their process group    transport.py         how a pipeline message travels
    crew.py       processes and pipes                oplog.py, watch.py   every operation in a light log
    result.py     what comes home                    board.py             do all mean the same collective?
    story.py      what happened, in words            budget.py, held.py   a memory limit; bytes held
    waits.py      who waits for whom                 recorder.py, ledger.py   spans, messages, memory by kind
    place.py      CPU or GPU, gloo or NCCL           stage.py, pipeline.py, mail.py   one program, interpreted
    parcel.py     what travels, and how              part.py, on_rank.py   one rank's part of a training step
    spmd.py       the same under torchrun            pacing.py, pace.py   actions as long as they are declared
    calibrate.py  how quick is this machine?         collectives.py   ours, of sends and receives; pairs.py   two ranks

    training.py, generate.py     the learner's calls: train_step, train, generate

Nothing here is imported by `import minipar` alone: torch and the processes come with the first pool.
"""
