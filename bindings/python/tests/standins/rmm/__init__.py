"""A stand-in for RMM."""

from . import mr

__version__ = "stand-in"


class DeviceBuffer:
    def __init__(self, size=0, stream=None):
        self.resource, self.size = mr.get_current_device_resource(), size
        self.stream = Stream(0) if stream is None else stream
        self.ptr = self.resource.allocate(size, self.stream)

    def __del__(self):
        if hasattr(self, "ptr"):
            self.resource.deallocate(self.ptr, self.size, self.stream)


class Stream:
    def __init__(self, value):
        self._value = value

    def __cuda_stream__(self):
        return (0, self._value)
