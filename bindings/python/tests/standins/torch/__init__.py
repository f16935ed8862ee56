"""A stand-in for PyTorch."""

from . import cuda

__version__ = "stand-in"


class device:
    def __init__(self, type, index=None):
        self.type, self.index = type, index


def empty(count, device):
    """Elements of 4 bytes."""
    assert device == "cuda"
    return cuda.memory.Tensor(4 * count)
