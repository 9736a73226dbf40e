"""Where does a worker process begin?

Here, and nothing heavy stands in this file: the notebook must be able to name the function without loading torch.
"""


def worker_main(rank, control, output, settings):
    """The first function a worker process runs."""
    from minipar.run.child import main

    main(rank, control, output, settings)
