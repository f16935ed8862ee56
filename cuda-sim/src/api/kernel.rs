//! Queries about kernels and libraries: attributes, names, parameters, occupancy, globals.
//!
//! A kernel of a library is no function: launches and occupancy take both, what asks about functions refuses kernels,
//! and the other way round. Occupancy is limited only by the number
//! of threads and the dynamic shared memory. There are no global variables, because nothing is compiled.

use super::module::{active_blocks, get_attribute, set_attribute};
use crate::base::args::{get, put, put_optional};
use crate::base::status::*;
use crate::base::types::Handle;
use crate::entry::call::Call;
use crate::entry::enter::driver;
use crate::state::device::{
    MAX_THREADS_PER_BLOCK, MULTIPROCESSORS, SHARED_BYTES_PER_BLOCK_OPT_IN, SHARED_BYTES_PER_MULTIPROCESSOR,
};
use crate::state::module::Function;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int, c_uint, c_void};

/// CUoccupancyB2DSize: the shared bytes of a block with this many threads.
type SharedBytesFor = Option<unsafe extern "C" fn(c_int) -> usize>;

/// Names with their NUL. They are never freed: a caller may keep the pointer.
static NAMES: Mutex<BTreeMap<String, CString>> = Mutex::new(BTreeMap::new());

fn put_name(name: &String, out: *mut *const c_char) -> Answer {
    let mut names = NAMES.lock();
    if !names.contains_key(name) {
        names.insert(name.clone(), CString::new(name.as_str()).map_err(|_| INVALID_VALUE)?);
    }
    put(out, names.get(name).map_or(std::ptr::null(), |text| text.as_ptr()))
}

/// Writes the size of parameter `index` and its offset behind the ones before it.
fn put_parameter(call: &Call, function: Handle, index: usize, offset: *mut usize, size: *mut usize) -> Answer {
    let Function { name, module, .. } = call.modules.functions.get(&function).ok_or(INVALID_HANDLE)?;
    let sizes = &call.modules.kernel(*module, name).ok_or(INVALID_HANDLE)?.sizes;
    let own = *sizes.get(index).ok_or(INVALID_VALUE)?;
    let align = |at: usize, size: usize| at.next_multiple_of(size.next_power_of_two().clamp(1, 16));
    let before = sizes[..index].iter().fold(0, |at, size| align(at, *size) + size);
    put_optional(offset, align(before, own));
    put_optional(size, own);
    Ok(())
}

/// Writes the block size, in whole warps, with which the most threads are active, and the number of blocks that fill
/// the device.
fn put_best_block_size(
    call: &Call,
    grid: *mut c_int,
    block: *mut c_int,
    function: Handle,
    shared_for: SharedBytesFor,
    shared: usize,
    limit: c_int,
) -> Answer {
    let device = &call.devices[call.device()];
    let most = if limit > 0 {
        limit.min(device.attribute(MAX_THREADS_PER_BLOCK)?)
    } else {
        device.attribute(MAX_THREADS_PER_BLOCK)?
    };
    let mut found = (0, 0);
    for threads in (1..=most / 32).rev().map(|warps| warps * 32).chain((most < 32).then_some(most)) {
        // SAFETY: the caller's function, which only computes.
        let bytes = shared_for.map_or(shared, |size| unsafe { size(threads) });
        let blocks = active_blocks(call, function, threads, bytes)?;
        if blocks * threads > found.0 * found.1 {
            found = (blocks, threads);
        }
    }
    put(grid, found.0 * device.attribute(MULTIPROCESSORS)?)?;
    put(block, found.1)
}

driver! {
    fn cuKernelGetAttribute(value: *mut c_int, attribute: c_int, kernel: Handle, device: c_int) in Context => |call| {
        call.ordinal(device)?;
        let context = call.context;
        let function = call.function_of(kernel, context)?;
        get_attribute(call, value, attribute, function)
    }

    fn cuKernelSetAttribute(attribute: c_int, value: c_int, kernel: Handle, device: c_int) in Context => |call| {
        call.ordinal(device)?;
        let context = call.context;
        let function = call.function_of(kernel, context)?;
        set_attribute(call, function, attribute, value)
    }

    fn cuKernelSetCacheConfig(kernel: Handle, _config: c_uint, device: c_int) in Context => |call| {
        call.ordinal(device)?;
        call.modules.library_kernels.get(&kernel).map(|_| ()).ok_or(INVALID_HANDLE)
    }

    fn cuFuncSetSharedMemConfig(function: Handle, _config: c_uint) in Context => |call| {
        call.modules.functions.get(&function).map(|_| ()).ok_or(INVALID_HANDLE)
    }

    fn cuFuncGetName(out: *mut *const c_char, function: Handle) in Context => |call| {
        put_name(&call.modules.functions.get(&function).ok_or(INVALID_HANDLE)?.name, out)
    }

    fn cuKernelGetName(out: *mut *const c_char, kernel: Handle) in Context => |call| {
        put_name(&call.modules.library_kernels.get(&kernel).ok_or(INVALID_HANDLE)?.name, out)
    }

    fn cuKernelGetLibrary(out: *mut Handle, kernel: Handle) in Context => |call| {
        put(out, call.modules.library_kernels.get(&kernel).ok_or(INVALID_HANDLE)?.library)
    }

    fn cuFuncGetParamInfo(function: Handle, index: usize, offset: *mut usize, size: *mut usize) in Context => |call| {
        put_parameter(call, function, index, offset, size)
    }

    fn cuKernelGetParamInfo(kernel: Handle, index: usize, offset: *mut usize, size: *mut usize) in Context => |call| {
        let context = call.context;
        let function = call.function_of(kernel, context)?;
        put_parameter(call, function, index, offset, size)
    }

    // No kernel is loaded lazily.
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
        put(out, call.load_library(context, std::ptr::null())?)
    }

    fn cuLibraryGetGlobal(_address: *mut u64, _size: *mut usize, library: Handle, _name: *const c_char) in Context => |call| {
        call.modules.libraries.get(&library).ok_or(INVALID_HANDLE)?;
        Err(NOT_FOUND)
    }

    fn cuLibraryGetManaged(_address: *mut u64, _size: *mut usize, library: Handle, _name: *const c_char) in Context => |call| {
        call.modules.libraries.get(&library).ok_or(INVALID_HANDLE)?;
        Err(NOT_FOUND)
    }

    fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
        out: *mut c_int, function: Handle, threads: c_int, shared: usize
    ) in Context => |call| { put(out, active_blocks(call, function, threads, shared)?) }

    fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
        out: *mut c_int, function: Handle, threads: c_int, shared: usize, _flags: c_uint
    ) in Context => |call| { put(out, active_blocks(call, function, threads, shared)?) }

    fn cuOccupancyMaxPotentialBlockSize(
        grid: *mut c_int, block: *mut c_int, function: Handle, shared_for: SharedBytesFor, shared: usize, limit: c_int
    ) in Context => |call| { put_best_block_size(call, grid, block, function, shared_for, shared, limit) }

    fn cuOccupancyMaxPotentialBlockSizeWithFlags(
        grid: *mut c_int, block: *mut c_int, function: Handle, shared_for: SharedBytesFor, shared: usize, limit: c_int, _flags: c_uint
    ) in Context => |call| { put_best_block_size(call, grid, block, function, shared_for, shared, limit) }

    fn cuOccupancyAvailableDynamicSMemPerBlock(
        out: *mut usize, function: Handle, blocks: c_int, threads: c_int
    ) in Context => |call| {
        if blocks <= 0 || active_blocks(call, function, threads, 0)? < blocks {
            return Err(INVALID_VALUE);
        }
        let device = &call.devices[call.device()];
        put(out, (device.attribute(SHARED_BYTES_PER_MULTIPROCESSOR)? / blocks).min(device.attribute(SHARED_BYTES_PER_BLOCK_OPT_IN)?) as usize)
    }
}
