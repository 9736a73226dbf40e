"""Solutions of lesson 01, and the wrong answers its check knows."""


# %% stub
def training_bytes(parameters, optimizer):
    """1_000_000, "AdamW" -> 16_000_000"""
    averages = {"SGD": 0, "momentum": 1, "AdamW": 2}[optimizer]
    return parameters * 4 * (1 + 1 + averages)


def forecast(measure, batch):
    """measure(1) = 30, measure(2) = 50, batch = 4 -> 90"""
    one, two = measure(1), measure(2)
    return one + (two - one) * (batch - 1)


# %% wrong stub: 4 bytes a parameter
# says: 4 bytes: that is the weights alone. Training with AdamW also holds 4 of gradient and 8 of averages: 16.
def training_bytes(parameters, optimizer):
    return 4 * parameters


def forecast(measure, batch):
    return measure(2) + (measure(2) - measure(1)) * (batch - 2)


# %% wrong stub: 12 bytes for AdamW
# says: 12 bytes: AdamW keeps two averages a parameter, not one.
def training_bytes(parameters, optimizer):
    return 12 * parameters


def forecast(measure, batch):
    return measure(1)


# %% wrong stub: measure(1) * batch
# says: At batch 12 you forecast {number} % too much: you multiplied the weights too. What does not grow?
def training_bytes(parameters, optimizer):
    return parameters * {"SGD": 8, "momentum": 12, "AdamW": 16}[optimizer]


def forecast(measure, batch):
    return measure(1) * batch
