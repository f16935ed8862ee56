from .memory import alloc, get_allocator, set_allocator
from .pinned_memory import alloc_pinned_memory, set_pinned_memory_allocator


class Stream:
    """A stream; the current one in a `with` block."""

    def __init__(self, ptr):
        self.ptr = ptr

    def __enter__(self):
        _streams.append(self)

    def __exit__(self, *_):
        _streams.pop()


Stream.null = Stream(0)
_streams = [Stream.null]


def get_current_stream(device_id=-1):
    return _streams[-1]
