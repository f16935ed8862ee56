//! What is asked about kernels and libraries beside loading and launching them (`module`): attributes, names, occupancy, globals.
//!
//! A library and its module, a kernel and its function are one handle each. Occupancy is that of a kernel which is held up by nothing but
//! the number of threads and its dynamic shared memory. There are no global variables: nothing is compiled.

use crate::entry::{Call, get, put, put_if};
use crate::module::{set, told};
use crate::status::*;
use crate::types::Handle;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int, c_uint, c_void};

/// CUoccupancyB2DSize: shared bytes for a block of so many threads.
type SharedFor = Option<unsafe extern "C" fn(c_int) -> usize>;

/// Names with their NUL, where a caller may read them for as long as it likes.
static NAMES: Mutex<BTreeMap<String, CString>> = Mutex::new(BTreeMap::new());

fn name(call: &Call, out: *mut *const c_char, function: Handle) -> Answer {
    let name = &call.modules.functions.get(&function).ok_or(INVALID_HANDLE)?.name;
    let mut names = NAMES.lock();
    if !names.contains_key(name) {
        names.insert(name.clone(), CString::new(name.as_str()).map_err(|_| INVALID_VALUE)?);
    }
    put(out, names.get(name).map_or(std::ptr::null(), |text| text.as_ptr()))
}

/// The size of parameter `index`, and where it lies behind the ones before it.
fn parameter(call: &Call, function: Handle, index: usize, offset: *mut usize, size: *mut usize) -> Answer {
    let name = &call.modules.functions.get(&function).ok_or(INVALID_HANDLE)?.name;
    let sizes = &call.modules.kernels.get(name).ok_or(INVALID_HANDLE)?.sizes;
    let own = *sizes.get(index).ok_or(INVALID_VALUE)?;
    let align = |at: usize, size: usize| at.next_multiple_of(size.next_power_of_two().clamp(1, 16));
    let before = sizes[..index].iter().fold(0, |at, size| align(at, *size) + size);
    put_if(offset, align(before, own));
    put_if(size, own);
    Ok(())
}

/// How many blocks of so many threads one multiprocessor holds.
fn active(call: &Call, function: Handle, threads: c_int, shared: usize) -> Answer<c_int> {
    call.modules.functions.get(&function).ok_or(INVALID_HANDLE)?;
    let device = &call.devices[call.device()];
    if threads <= 0 || threads > device.attribute(1)? {
        return Err(INVALID_VALUE);
    }
    let by_threads = device.attribute(39)? / threads;
    let by_shared = match shared {
        0 => c_int::MAX,
        bytes => c_int::try_from(device.attribute(81)? as usize / bytes).unwrap_or(c_int::MAX),
    };
    Ok(by_threads.min(by_shared).min(device.attribute(106)?))
}

/// The largest block, in whole warps, with which most threads are active, and how many of them fill the device.
fn best(
    call: &Call,
    grid: *mut c_int,
    block: *mut c_int,
    function: Handle,
    shared_for: SharedFor,
    shared: usize,
    limit: c_int,
) -> Answer {
    let device = &call.devices[call.device()];
    let most = if limit > 0 { limit.min(device.attribute(1)?) } else { device.attribute(1)? };
    let mut found = (0, 0);
    for threads in (1..=most / 32).rev().map(|warps| warps * 32).chain((most < 32).then_some(most)) {
        // SAFETY: the caller's function, which only computes.
        let bytes = shared_for.map_or(shared, |size| unsafe { size(threads) });
        let blocks = active(call, function, threads, bytes)?;
        if blocks * threads > found.0 * found.1 {
            found = (blocks, threads);
        }
    }
    put(grid, found.0 * device.attribute(16)?)?;
    put(block, found.1)
}

driver! {
    fn cuKernelGetAttribute(value: *mut c_int, attribute: c_int, kernel: Handle, device: c_int) in Context => |call| {
        call.ordinal(device)?;
        told(call, value, attribute, kernel)
    }

    fn cuKernelSetAttribute(attribute: c_int, value: c_int, kernel: Handle, device: c_int) in Context => |call| {
        call.ordinal(device)?;
        set(call, kernel, attribute, value)
    }

    fn cuKernelSetCacheConfig(kernel: Handle, _config: c_uint, device: c_int) in Context => |call| {
        call.ordinal(device)?;
        call.modules.functions.get(&kernel).map(|_| ()).ok_or(INVALID_HANDLE)
    }

    fn cuFuncSetSharedMemConfig(function: Handle, _config: c_uint) in Context => |call| {
        call.modules.functions.get(&function).map(|_| ()).ok_or(INVALID_HANDLE)
    }

    fn cuFuncGetName(out: *mut *const c_char, function: Handle) in Context => |call| { name(call, out, function) }

    fn cuKernelGetName(out: *mut *const c_char, kernel: Handle) in Context => |call| { name(call, out, kernel) }

    fn cuKernelGetLibrary(out: *mut Handle, kernel: Handle) in Context => |call| {
        put(out, call.modules.functions.get(&kernel).ok_or(INVALID_HANDLE)?.module)
    }

    fn cuFuncGetParamInfo(function: Handle, index: usize, offset: *mut usize, size: *mut usize) in Context => |call| {
        parameter(call, function, index, offset, size)
    }

    fn cuKernelGetParamInfo(kernel: Handle, index: usize, offset: *mut usize, size: *mut usize) in Context => |call| {
        parameter(call, kernel, index, offset, size)
    }

    // Nothing is loaded lazily: a kernel is there or not.
    fn cuFuncIsLoaded(state: *mut c_uint, function: Handle) in Context => |call| {
        call.modules.functions.get(&function).ok_or(INVALID_HANDLE)?;
        put(state, 1)
    }

    fn cuFuncLoad(function: Handle) in Context => |call| {
        call.modules.functions.get(&function).map(|_| ()).ok_or(INVALID_HANDLE)
    }

    fn cuLibraryLoadFromFile(
        out: *mut Handle, file: *const c_char, _jit: *mut c_uint, _jit_values: *mut *mut c_void, _jit_count: c_uint,
        _options: *mut c_uint, _values: *mut *mut c_void, _count: c_uint
    ) in Context => |call| {
        get(file)?;
        let context = call.context;
        put(out, call.load(context))
    }

    fn cuLibraryGetGlobal(_address: *mut u64, _size: *mut usize, library: Handle, _name: *const c_char) in Context => |call| {
        call.modules.modules.get(&library).ok_or(INVALID_HANDLE)?;
        Err(NOT_FOUND)
    }

    fn cuLibraryGetManaged(_address: *mut u64, _size: *mut usize, library: Handle, _name: *const c_char) in Context => |call| {
        call.modules.modules.get(&library).ok_or(INVALID_HANDLE)?;
        Err(NOT_FOUND)
    }

    fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
        out: *mut c_int, function: Handle, threads: c_int, shared: usize
    ) in Context => |call| { put(out, active(call, function, threads, shared)?) }

    fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
        out: *mut c_int, function: Handle, threads: c_int, shared: usize, _flags: c_uint
    ) in Context => |call| { put(out, active(call, function, threads, shared)?) }

    fn cuOccupancyMaxPotentialBlockSize(
        grid: *mut c_int, block: *mut c_int, function: Handle, shared_for: SharedFor, shared: usize, limit: c_int
    ) in Context => |call| { best(call, grid, block, function, shared_for, shared, limit) }

    fn cuOccupancyMaxPotentialBlockSizeWithFlags(
        grid: *mut c_int, block: *mut c_int, function: Handle, shared_for: SharedFor, shared: usize, limit: c_int, _flags: c_uint
    ) in Context => |call| { best(call, grid, block, function, shared_for, shared, limit) }

    fn cuOccupancyAvailableDynamicSMemPerBlock(
        out: *mut usize, function: Handle, blocks: c_int, threads: c_int
    ) in Context => |call| {
        if blocks <= 0 || active(call, function, threads, 0)? < blocks {
            return Err(INVALID_VALUE);
        }
        let device = &call.devices[call.device()];
        put(out, (device.attribute(81)? / blocks).min(device.attribute(97)?) as usize)
    }
}
