class CallbackMemoryResource:
    def __init__(self, allocate_func, deallocate_func):
        self.allocate, self.deallocate = allocate_func, deallocate_func


_current = None


def set_current_device_resource(mr):
    global _current
    _current = mr


def get_current_device_resource():
    return _current
