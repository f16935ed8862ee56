from .memory import MemPool, use_mem_pool


def current_device() -> int:
    return 0
