"""Solutions of lesson 08, and the wrong answers its check knows."""


# %% stub
class Copy(Door):  # x is whole on every rank, and so should its gradient be
    def forward(tensor, x):
        return x
    def backward(tensor, gradient):
        return tensor.all_reduce(gradient)


class Reduce(Door):  # each rank has a partial sum, and y should be whole on every rank
    def forward(tensor, x):
        return tensor.all_reduce(x)
    def backward(tensor, gradient):
        return gradient


# %% stub-2
def mlp(tensor, x, up, up_bias, down, down_bias):
    """P = 2, x = [[1, 2]], all weights 1, up_bias 0, down_bias 10: [[21.98, 21.98]] on both ranks."""
    half = gelu(Copy(tensor, x) @ up.T + up_bias)
    return Reduce(tensor, half @ down.T) + down_bias


# %% wrong stub-2: bias before the sum
# says: 31.98, expected 21.98: the bias 10 was added on each of 2 ranks. Add it after the sum.
def mlp(tensor, x, up, up_bias, down, down_bias):
    half = gelu(Copy(tensor, x) @ up.T + up_bias)
    return Reduce(tensor, half @ down.T + down_bias)


# %% wrong stub: no sum in Copy's backward
# says: The output is right, the gradient of x is not: 4.05, expected 8.10. Each rank saw its own half of `up`.
class Copy(Door):
    def forward(tensor, x):
        return x
    def backward(tensor, gradient):
        return gradient


class Reduce(Door):
    def forward(tensor, x):
        return tensor.all_reduce(x)
    def backward(tensor, gradient):
        return gradient


# %% wrong stub: Reduce's backward sums too
# says: Gradients of `down` are 5.99, expected 3.00: twice too large on 2 ranks.
# says: The gradient of a sum is handed on as it is.
class Copy(Door):
    def forward(tensor, x):
        return x
    def backward(tensor, gradient):
        return tensor.all_reduce(gradient)


class Reduce(Door):
    def forward(tensor, x):
        return tensor.all_reduce(x)
    def backward(tensor, gradient):
        return tensor.all_reduce(gradient)


# %% wrong stub-2: gathers after GELU
# says: Right values, 2 collectives forward, 1 suffices. `down`'s slice wants exactly the part you already hold.
def mlp(tensor, x, up, up_bias, down, down_bias):
    whole = tensor.all_gather(gelu(Copy(tensor, x) @ up.T + up_bias), dim=-1)
    half = whole.chunk(tensor.size, dim=-1)[tensor.rank]
    return Reduce(tensor, half @ down.T) + down_bias


# %% wrong stub: averages instead of sums
# says: 15.99, expected 21.98: you divided by 2. The ranks hold parts of one product, not copies of it.
class Copy(Door):
    def forward(tensor, x):
        return x
    def backward(tensor, gradient):
        return tensor.all_reduce(gradient)


class Reduce(Door):
    def forward(tensor, x):
        return tensor.all_reduce(x, op="mean")
    def backward(tensor, gradient):
        return gradient


# %% wrong stub-2: no sum at all
# says: 15.99, expected 21.98: nothing was summed, each rank returned its own part of the product.
def mlp(tensor, x, up, up_bias, down, down_bias):
    return gelu(Copy(tensor, x) @ up.T + up_bias) @ down.T + down_bias


# %% wrong stub-2: an all_reduce instead of Reduce
# says: The output is right, and `down` got no gradient: an all_reduce alone ends the graph. Use Reduce.
def mlp(tensor, x, up, up_bias, down, down_bias):
    half = gelu(Copy(tensor, x) @ up.T + up_bias)
    return tensor.all_reduce(half @ down.T) + down_bias


# %% wrong stub-2: x does not walk through Copy
# says: The output is right, the gradient of x is not: 4.05, expected 8.10. Each rank saw its own half of `up`.
def mlp(tensor, x, up, up_bias, down, down_bias):
    return Reduce(tensor, gelu(x @ up.T + up_bias) @ down.T) + down_bias


# %% wrong stub-2: half of the bias on each of two ranks
# says: The output is right, the gradient of `down_bias` is not: 0.50, expected 1.00.
# says: Add the bias once, after the sum.
def mlp(tensor, x, up, up_bias, down, down_bias):
    half = gelu(Copy(tensor, x) @ up.T + up_bias)
    return Reduce(tensor, half @ down.T + down_bias / 2)
