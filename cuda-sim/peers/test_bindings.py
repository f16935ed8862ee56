"""NVIDIA's cuda.bindings on the simulated driver: each kind of memory, copies, streams, events, memory pools, virtual memory, errors."""

import ctypes
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

driver = pytest.importorskip("cuda.bindings.driver")
Result = driver.CUresult


def ok(returned):
    """The values of a call that must succeed."""
    code, *values = returned
    if code != Result.CUDA_SUCCESS:
        raise AssertionError(f"{code!r}: {driver.cuGetErrorString(code)[1]}")
    return values[0] if len(values) == 1 else tuple(values)


@pytest.fixture(scope="module")
def device():
    ok(driver.cuInit(0))
    return ok(driver.cuDeviceGet(0))


@pytest.fixture(autouse=True)
def context(device):
    context = ok(driver.cuDevicePrimaryCtxRetain(device))
    ok(driver.cuCtxSetCurrent(context))
    yield context
    ok(driver.cuCtxSynchronize())
    ok(driver.cuCtxSetCurrent(driver.CUcontext(0)))
    ok(driver.cuDevicePrimaryCtxRelease(device))


@pytest.fixture
def stream():
    stream = ok(driver.cuStreamCreate(driver.CUstream_flags.CU_STREAM_NON_BLOCKING))
    yield stream
    ok(driver.cuStreamDestroy(stream))


def read(address, count, dtype):
    out = np.empty(count, dtype)
    ok(driver.cuMemcpyDtoH(out.ctypes.data, address, out.nbytes))
    return out


def test_the_name_says_simulated(device):
    assert b"simulated" in ok(driver.cuDeviceGetName(100, device))
    assert ok(driver.cuDeviceGetCount()) >= 1
    assert ok(driver.cuDriverGetVersion()) >= 12000
    assert ok(driver.cuDeviceTotalMem(device)) >= 1 << 20
    assert len(ok(driver.cuDeviceGetUuid(device)).bytes) == 16


def test_attributes(device):
    attribute = driver.CUdevice_attribute
    for name in ("UNIFIED_ADDRESSING", "CAN_MAP_HOST_MEMORY", "MANAGED_MEMORY"):
        assert ok(driver.cuDeviceGetAttribute(getattr(attribute, f"CU_DEVICE_ATTRIBUTE_{name}"), device)) == 1
    assert ok(driver.cuDeviceGetAttribute(attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device)) >= 5
    assert driver.cuDeviceGet(99)[0] == Result.CUDA_ERROR_INVALID_DEVICE


def test_error_names():
    assert ok(driver.cuGetErrorName(Result.CUDA_ERROR_OUT_OF_MEMORY)) == b"CUDA_ERROR_OUT_OF_MEMORY"
    assert ok(driver.cuGetErrorString(Result.CUDA_ERROR_OUT_OF_MEMORY)) == b"out of memory"


def test_copies_to_the_device_and_back():
    free = ok(driver.cuMemGetInfo())[0]
    source = np.arange(1000, dtype=np.float32)
    address = ok(driver.cuMemAlloc(source.nbytes))
    ok(driver.cuMemcpyHtoD(address, source.ctypes.data, source.nbytes))
    base, size = ok(driver.cuMemGetAddressRange(driver.CUdeviceptr(int(address) + 100)))
    assert (int(base), size) == (int(address), source.nbytes)
    assert (read(address, 1000, np.float32) == source).all()
    assert ok(driver.cuMemGetInfo())[0] < free
    ok(driver.cuMemFree(address))
    assert ok(driver.cuMemGetInfo())[0] == free
    assert driver.cuMemFree(address)[0] == Result.CUDA_ERROR_INVALID_VALUE


def test_out_of_memory():
    total = ok(driver.cuMemGetInfo())[1]
    assert driver.cuMemAlloc(2 * total)[0] == Result.CUDA_ERROR_OUT_OF_MEMORY
    assert driver.cuMemAlloc(0)[0] == Result.CUDA_ERROR_INVALID_VALUE


def test_memset_of_each_width(stream):
    address = ok(driver.cuMemAlloc(64))
    for width, function, value in (
        (np.uint8, driver.cuMemsetD8, 0xAB),
        (np.uint16, driver.cuMemsetD16, 0xABCD),
        (np.uint32, driver.cuMemsetD32, 0xABCDEF01),
    ):
        count = 64 // np.dtype(width).itemsize
        ok(function(address, value, count))
        assert (read(address, count, width) == value).all()
    ok(driver.cuMemsetD8Async(address, 7, 32, stream))
    ok(driver.cuStreamSynchronize(stream))
    assert (read(address, 32, np.uint8) == 7).all()
    pitched, pitch = ok(driver.cuMemAllocPitch(10, 3, 4))
    assert pitch >= 10
    ok(driver.cuMemsetD2D8(pitched, pitch, 9, 10, 3))
    rows = read(pitched, 2 * pitch + 10, np.uint8)
    assert all((rows[row * pitch : row * pitch + 10] == 9).all() for row in range(3))
    ok(driver.cuMemFree(pitched))
    ok(driver.cuMemFree(address))


def test_asynchronous_copies_in_order(stream):
    count = 1 << 16
    host = ok(driver.cuMemHostAlloc(4 * count, 0))
    pinned = np.ctypeslib.as_array((ctypes.c_uint32 * count).from_address(int(host)))
    pinned[:] = np.arange(count)
    address = ok(driver.cuMemAlloc(4 * count))
    second = ok(driver.cuMemAlloc(4 * count))
    ok(driver.cuMemcpyHtoDAsync(address, host, 4 * count, stream))
    ok(driver.cuMemcpyDtoDAsync(second, address, 4 * count, stream))
    ok(driver.cuMemsetD32Async(address, 5, count, stream))
    ok(driver.cuStreamSynchronize(stream))
    assert (read(second, count, np.uint32) == np.arange(count)).all()
    assert (read(address, count, np.uint32) == 5).all()
    ok(driver.cuMemcpyDtoHAsync(host, address, 4 * count, stream))
    ok(driver.cuStreamSynchronize(stream))
    assert (pinned == 5).all()
    for freed in (address, second):
        ok(driver.cuMemFree(freed))
    ok(driver.cuMemFreeHost(host))


def test_copies_of_rectangles():
    host = np.arange(48, dtype=np.uint8).reshape(6, 8)
    address, pitch = ok(driver.cuMemAllocPitch(4, 3, 4))
    copy = driver.CUDA_MEMCPY2D()
    copy.srcMemoryType = driver.CUmemorytype.CU_MEMORYTYPE_HOST
    copy.srcHost, copy.srcPitch, copy.srcXInBytes, copy.srcY = host.ctypes.data, 8, 2, 1
    copy.dstMemoryType = driver.CUmemorytype.CU_MEMORYTYPE_DEVICE
    copy.dstDevice, copy.dstPitch = address, pitch
    copy.WidthInBytes, copy.Height = 4, 3
    ok(driver.cuMemcpy2D(copy))
    rows = read(address, 2 * pitch + 4, np.uint8)
    assert [rows[row * pitch : row * pitch + 4].tolist() for row in range(3)] == host[1:4, 2:6].tolist()
    ok(driver.cuMemFree(address))


def test_arrays():
    source = np.arange(4 * 6 * 8, dtype=np.float32).reshape(4, 6, 8)
    description = driver.CUDA_ARRAY3D_DESCRIPTOR()
    description.Width, description.Height, description.Depth, description.NumChannels = 8, 6, 4, 1
    description.Format = driver.CUarray_format.CU_AD_FORMAT_FLOAT
    array = ok(driver.cuArray3DCreate(description))
    there = ok(driver.cuArray3DGetDescriptor(array))
    assert (there.Width, there.Height, there.Depth) == (8, 6, 4)

    def copy(**values):
        description = driver.CUDA_MEMCPY3D()
        for name, value in values.items():
            setattr(description, name, value)
        return driver.cuMemcpy3D(description)

    kind = driver.CUmemorytype
    host = dict(srcMemoryType=kind.CU_MEMORYTYPE_HOST, srcHost=source.ctypes.data, srcPitch=32, srcHeight=6)
    into = dict(dstMemoryType=kind.CU_MEMORYTYPE_ARRAY, dstArray=array)
    ok(copy(**host, **into, WidthInBytes=32, Height=6, Depth=4))
    # Reads from the middle: the second plane's third row, from the second element on.
    out = np.zeros((2, 3), np.float32)
    part = dict(srcMemoryType=kind.CU_MEMORYTYPE_ARRAY, srcArray=array, srcXInBytes=4, srcY=2, srcZ=1)
    target = dict(dstMemoryType=kind.CU_MEMORYTYPE_HOST, dstHost=out.ctypes.data, dstPitch=12, dstHeight=2)
    ok(copy(**part, **target, WidthInBytes=12, Height=2, Depth=1))
    assert (out == source[1, 2:4, 1:4]).all()
    beyond = copy(**part, **target, WidthInBytes=12, Height=5, Depth=1)[0]
    assert beyond == Result.CUDA_ERROR_INVALID_VALUE
    ok(driver.cuArrayDestroy(array))
    assert driver.cuArrayDestroy(array)[0] == Result.CUDA_ERROR_INVALID_HANDLE


def test_mapped_pinned_memory_has_a_device_address():
    host = ok(driver.cuMemHostAlloc(256, driver.CU_MEMHOSTALLOC_DEVICEMAP | driver.CU_MEMHOSTALLOC_PORTABLE))
    address = ok(driver.cuMemHostGetDevicePointer(host, 0))
    ok(driver.cuMemsetD8(address, 3, 256))
    ok(driver.cuCtxSynchronize())
    assert ctypes.string_at(int(host), 256) == b"\3" * 256
    flags = ok(driver.cuMemHostGetFlags(host))
    assert flags & driver.CU_MEMHOSTALLOC_DEVICEMAP and flags & driver.CU_MEMHOSTALLOC_PORTABLE
    ok(driver.cuMemFreeHost(host))


def test_registered_memory():
    block = np.zeros(3 * 4096, np.uint8)
    start = -(-block.ctypes.data // 4096) * 4096
    ok(driver.cuMemHostRegister(start, 4096, driver.CU_MEMHOSTREGISTER_DEVICEMAP))
    again = driver.cuMemHostRegister(start, 4096, 0)[0]
    assert again == Result.CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED
    address = ok(driver.cuMemHostGetDevicePointer(start, 0))
    ok(driver.cuMemsetD8(address, 1, 4096))
    ok(driver.cuCtxSynchronize())
    assert block.sum() == 4096
    ok(driver.cuMemHostUnregister(start))
    assert driver.cuMemHostUnregister(start)[0] == Result.CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED


def test_managed_memory(device):
    address = ok(driver.cuMemAllocManaged(4096, driver.CUmemAttach_flags.CU_MEM_ATTACH_GLOBAL.value))
    kind = driver.CUpointer_attribute
    assert ok(driver.cuPointerGetAttribute(kind.CU_POINTER_ATTRIBUTE_IS_MANAGED, address))
    ok(driver.cuMemsetD8(address, 2, 4096))
    ok(driver.cuCtxSynchronize())
    assert ctypes.string_at(int(address), 4096) == b"\2" * 4096
    ctypes.memset(int(address), 4, 4096)
    assert (read(address, 4096, np.uint8) == 4).all()
    ok(driver.cuMemFree(address))


def test_pointer_attributes(context):
    kind = driver.CUpointer_attribute
    address = ok(driver.cuMemAlloc(512))
    inside = driver.CUdeviceptr(int(address) + 8)
    assert ok(driver.cuPointerGetAttribute(kind.CU_POINTER_ATTRIBUTE_MEMORY_TYPE, inside)) == 2
    assert ok(driver.cuPointerGetAttribute(kind.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, inside)) == 0
    assert int(ok(driver.cuPointerGetAttribute(kind.CU_POINTER_ATTRIBUTE_CONTEXT, inside))) == int(context)
    assert int(ok(driver.cuPointerGetAttribute(kind.CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, inside))) == int(address)
    ok(driver.cuMemFree(address))
    outside = np.zeros(8)
    answer = driver.cuPointerGetAttribute(kind.CU_POINTER_ATTRIBUTE_MEMORY_TYPE, outside.ctypes.data)
    assert answer[0] == Result.CUDA_ERROR_INVALID_VALUE


def test_events_and_their_time(stream):
    first, last = ok(driver.cuEventCreate(0)), ok(driver.cuEventCreate(0))
    address = ok(driver.cuMemAlloc(1 << 20))
    ok(driver.cuEventRecord(first, stream))
    ok(driver.cuMemsetD8Async(address, 1, 1 << 20, stream))
    ok(driver.cuEventRecord(last, stream))
    ok(driver.cuEventSynchronize(last))
    assert driver.cuEventQuery(last)[0] == Result.CUDA_SUCCESS
    assert ok(driver.cuEventElapsedTime(first, last)) >= 0
    untimed = ok(driver.cuEventCreate(driver.CUevent_flags.CU_EVENT_DISABLE_TIMING))
    ok(driver.cuEventRecord(untimed, stream))
    assert driver.cuEventElapsedTime(first, untimed)[0] == Result.CUDA_ERROR_INVALID_HANDLE
    for event in (first, last, untimed):
        ok(driver.cuEventDestroy(event))
    ok(driver.cuMemFree(address))


def test_a_stream_waits_for_another(stream):
    other = ok(driver.cuStreamCreate(driver.CUstream_flags.CU_STREAM_NON_BLOCKING))
    event = ok(driver.cuEventCreate(driver.CUevent_flags.CU_EVENT_DISABLE_TIMING))
    size = 1 << 16
    first, second = ok(driver.cuMemAlloc(size)), ok(driver.cuMemAlloc(size))
    for round in range(20):
        ok(driver.cuMemsetD8Async(first, round, size, stream))
        ok(driver.cuEventRecord(event, stream))
        ok(driver.cuStreamWaitEvent(other, event, 0))
        ok(driver.cuMemcpyDtoDAsync(second, first, size, other))
        ok(driver.cuStreamSynchronize(other))
        assert (read(second, size, np.uint8) == round).all()
    ok(driver.cuMemFree(first))
    ok(driver.cuMemFree(second))
    ok(driver.cuEventDestroy(event))
    ok(driver.cuStreamDestroy(other))


def test_a_host_function_runs_in_stream_order(stream):
    done = threading.Event()
    told = []

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    def callback(data):
        told.append(data)
        done.set()

    function = driver.CUhostFn(_ptr=ctypes.addressof(ctypes.c_void_p(ctypes.cast(callback, ctypes.c_void_p).value)))
    ok(driver.cuLaunchHostFunc(stream, function, 17))
    ok(driver.cuStreamSynchronize(stream))
    assert done.is_set() and told == [17]


def test_stream_ordered_memory(device, stream):
    pool = ok(driver.cuDeviceGetDefaultMemPool(device))
    attribute = driver.CUmemPool_attribute
    ok(driver.cuMemPoolSetAttribute(pool, attribute.CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, driver.cuuint64_t(1 << 20)))
    assert int(ok(driver.cuMemPoolGetAttribute(pool, attribute.CU_MEMPOOL_ATTR_RELEASE_THRESHOLD))) == 1 << 20
    address = ok(driver.cuMemAllocAsync(1000, stream))
    ok(driver.cuMemsetD8Async(address, 6, 1000, stream))
    out = np.zeros(1000, np.uint8)
    ok(driver.cuMemcpyDtoHAsync(out.ctypes.data, address, 1000, stream))
    ok(driver.cuMemFreeAsync(address, stream))
    ok(driver.cuStreamSynchronize(stream))
    assert (out == 6).all()
    ok(driver.cuMemPoolTrimTo(pool, 0))


def test_a_created_memory_pool(device, stream):
    properties = driver.CUmemPoolProps()
    properties.allocType = driver.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
    properties.location.type = driver.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
    properties.location.id = int(device)
    pool = ok(driver.cuMemPoolCreate(properties))
    address = ok(driver.cuMemAllocFromPoolAsync(1 << 12, pool, stream))
    assert int(ok(driver.cuMemPoolGetAttribute(pool, driver.CUmemPool_attribute.CU_MEMPOOL_ATTR_USED_MEM_CURRENT))) >= 1 << 12
    ok(driver.cuMemFreeAsync(address, stream))
    ok(driver.cuStreamSynchronize(stream))
    ok(driver.cuMemPoolDestroy(pool))


def test_virtual_memory(device):
    properties = driver.CUmemAllocationProp()
    properties.type = driver.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
    properties.location.type = driver.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
    properties.location.id = int(device)
    minimum = driver.CUmemAllocationGranularity_flags.CU_MEM_ALLOC_GRANULARITY_MINIMUM
    granule = ok(driver.cuMemGetAllocationGranularity(properties, minimum))
    start = ok(driver.cuMemAddressReserve(2 * granule, 0, 0, 0))
    handle = ok(driver.cuMemCreate(granule, properties, 0))
    second = driver.CUdeviceptr(int(start) + granule)
    ok(driver.cuMemMap(start, granule, 0, handle, 0))
    ok(driver.cuMemMap(second, granule, 0, handle, 0))
    access = driver.CUmemAccessDesc()
    access.location = properties.location
    access.flags = driver.CUmemAccess_flags.CU_MEM_ACCESS_FLAGS_PROT_READWRITE
    ok(driver.cuMemSetAccess(start, 2 * granule, [access], 1))
    ok(driver.cuMemsetD8(start, 8, 100))
    assert (read(second, 100, np.uint8) == 8).all()  # the same granule, mapped twice
    ok(driver.cuMemUnmap(start, 2 * granule))
    ok(driver.cuMemRelease(handle))
    ok(driver.cuMemAddressFree(start, 2 * granule))


def test_graph_capture_of_copies(stream):
    address = ok(driver.cuMemAlloc(256))
    ok(driver.cuMemsetD8(address, 0, 256))
    ok(driver.cuStreamBeginCapture(stream, driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED))
    status = ok(driver.cuStreamIsCapturing(stream))
    assert status == driver.CUstreamCaptureStatus.CU_STREAM_CAPTURE_STATUS_ACTIVE
    ok(driver.cuMemsetD8Async(address, 9, 256, stream))
    graph = ok(driver.cuStreamEndCapture(stream))
    assert (read(address, 256, np.uint8) == 0).all()
    ready = ok(driver.cuGraphInstantiate(graph, 0))
    ok(driver.cuGraphLaunch(ready, stream))
    ok(driver.cuStreamSynchronize(stream))
    assert (read(address, 256, np.uint8) == 9).all()
    ok(driver.cuGraphExecDestroy(ready))
    ok(driver.cuGraphDestroy(graph))
    ok(driver.cuMemFree(address))


def test_a_user_object_lives_as_long_as_a_graph_needs_it(stream):
    destroyed = []

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    def destroy(data):
        destroyed.append(data)

    function = driver.CUhostFn(_ptr=ctypes.addressof(ctypes.c_void_p(ctypes.cast(destroy, ctypes.c_void_p).value)))
    no_sync = driver.CUuserObject_flags.CU_USER_OBJECT_NO_DESTRUCTOR_SYNC
    move = driver.CUuserObjectRetain_flags.CU_GRAPH_USER_OBJECT_MOVE
    thing = ok(driver.cuUserObjectCreate(23, function, 1, no_sync))
    graph = ok(driver.cuGraphCreate(0))
    ok(driver.cuGraphRetainUserObject(graph, thing, 1, move))
    assert driver.cuUserObjectRelease(thing, 1)[0] == Result.CUDA_ERROR_INVALID_VALUE  # the graph has the reference now
    ready = ok(driver.cuGraphInstantiate(graph, 0))
    ok(driver.cuGraphDestroy(graph))
    ok(driver.cuGraphLaunch(ready, stream))
    ok(driver.cuStreamSynchronize(stream))
    assert destroyed == []
    ok(driver.cuGraphExecDestroy(ready))
    until = time.monotonic() + 10
    while not destroyed and time.monotonic() < until:
        time.sleep(0.001)
    assert destroyed == [23]


def test_each_thread_has_a_stack_of_contexts(context):
    seen = []

    def elsewhere():
        seen.append(int(ok(driver.cuCtxGetCurrent())))
        ok(driver.cuCtxPushCurrent(context))
        seen.append(int(ok(driver.cuCtxGetCurrent())))
        seen.append(int(ok(driver.cuCtxPopCurrent())))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [0, int(context), int(context)]


def test_a_created_context(device, context):
    own = ok(driver.cuCtxCreate(None, 0, device))
    assert int(ok(driver.cuCtxGetCurrent())) == int(own) != int(context)
    address = ok(driver.cuMemAlloc(64))
    ok(driver.cuCtxDestroy(own))
    assert int(ok(driver.cuCtxGetCurrent())) == int(context)
    # Its memory is freed with it.
    assert driver.cuMemFree(address)[0] == Result.CUDA_ERROR_INVALID_VALUE


def test_no_context(context):
    ok(driver.cuCtxSetCurrent(driver.CUcontext(0)))
    assert driver.cuMemAlloc(16)[0] == Result.CUDA_ERROR_INVALID_CONTEXT
    ok(driver.cuCtxSetCurrent(context))


def test_a_function_that_the_driver_lacks():
    code, address, status = driver.cuGetProcAddress(b"cuNoSuchFunction", 13000, 0)
    assert (int(code), int(address)) == (0, 0)
    assert status == driver.CUdriverProcAddressQueryResult.CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND
    assert int(ok(driver.cuGetProcAddress(b"cuMemAlloc", 13000, 0))[0]) != 0


OLD_DRIVER = """
import ctypes, os
library = ctypes.CDLL("libcuda.so.1")
assert library.cuMemAllocAsync and library.cuMemAdvise
for later in "cuGetProcAddress_v2 cuCtxCreate_v4 cuMemAdvise_v2 cuLibraryLoadData".split():
    assert not hasattr(library, later), later
version = ctypes.c_int()
assert library.cuDriverGetVersion(ctypes.byref(version)) == 0 and version.value == 11040
address = ctypes.c_void_p()
assert library.cuGetProcAddress(b"cuMemAdvise", ctypes.byref(address), 13000, ctypes.c_uint64(0)) == 0
assert address.value == ctypes.cast(library.cuMemAdvise, ctypes.c_void_p).value
assert library.cuGetProcAddress(b"cuLibraryLoadData", ctypes.byref(address), 13000, ctypes.c_uint64(0)) == 500
"""


def test_an_old_driver_lacks_later_functions(monkeypatch):
    monkeypatch.setenv("TENURE_SIM_VERSION", "11040")
    subprocess.run([sys.executable, "-c", OLD_DRIVER], check=True)


def test_a_caller_built_for_an_old_driver_gets_its_functions():
    new, old = (ok(driver.cuGetProcAddress(b"cuMemAdvise", version, 0)) for version in (13000, 11000))
    assert int(new[0]) != int(old[0]) and 0 not in (int(new[0]), int(old[0]))
    _, status = ok(driver.cuGetProcAddress(b"cuLibraryLoadData", 11000, 0))
    assert status == driver.CUdriverProcAddressQueryResult.CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
