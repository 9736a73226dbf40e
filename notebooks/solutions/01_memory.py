"""Solutions of lesson 01. Each block replaces the stub cell whose id it names."""


# %% stub
def training_bytes(parameters, optimizer):
    """1_000_000, "AdamW" -> 16_000_000"""
    averages = {"SGD": 0, "momentum": 1, "AdamW": 2}[optimizer]
    return parameters * 4 * (1 + 1 + averages)


def forecast(measure, batch):
    """measure(1) = 30, measure(2) = 50, batch = 4 -> 90"""
    one, two = measure(1), measure(2)
    return one + (two - one) * (batch - 1)
