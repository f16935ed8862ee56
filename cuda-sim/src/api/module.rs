//! Modules and launches. A kernel is a host function that the program registered under the kernel's name.
//!
//! Any image is accepted as a module, except PTX without a number behind `.version`, and every module has all
//! registered kernels; a library has a module in each context that uses it. The driver must be new enough for PTX. PTX
//! that declares kernels of the library Tenure also has those, which the simulator implements
//! itself (`strided`); the device must be new enough for it. Arguments are copied at the launch,
//! by the registered sizes, so the caller may reuse its variables at once.

use super::strided;
use crate::base::args::{get, get_text, put, put_optional};
use crate::base::status::*;
use crate::base::thread::as_callback;
use crate::base::types::Handle;
use crate::entry::call::Call;
use crate::entry::enter::driver;
use crate::state::device::{
    BLOCKS_PER_MULTIPROCESSOR, CLUSTER_LAUNCH, COMPUTE_CAPABILITY_MAJOR, COMPUTE_CAPABILITY_MINOR, COOPERATIVE_LAUNCH,
    MAX_BLOCK_X, MAX_GRID_X, MAX_THREADS_PER_BLOCK, MAX_THREADS_PER_MULTIPROCESSOR, MULTIPROCESSORS,
    SHARED_BYTES_PER_BLOCK_OPT_IN, SHARED_BYTES_PER_MULTIPROCESSOR,
};
use crate::state::machine::{HandleKind, Machine};
use crate::state::module::{Function, Kernel, Launch, Library, LibraryKernel, Module, Registered, Run};
use crate::state::work::Work;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::Arc;

impl Machine {
    /// Loads an image; NULL: of unknown contents.
    pub fn load_module(&mut self, context: Handle, image: *const c_void) -> Answer<Handle> {
        let own = self.compile(context, image)?;
        let handle = self.new_handle(HandleKind::Module);
        self.modules.modules.insert(handle, Module { context, own });
        Ok(handle)
    }

    /// As [`Machine::load_module`], for code that belongs to no context. The simulator compiles it at once.
    pub fn load_library(&mut self, context: Handle, image: *const c_void) -> Answer<Handle> {
        let own = self.compile(context, image)?;
        let handle = self.new_handle(HandleKind::Module);
        self.modules.libraries.insert(handle, Library { own, modules: BTreeMap::new() });
        Ok(handle)
    }

    fn compile(&self, context: Handle, image: *const c_void) -> Answer<BTreeMap<String, Registered>> {
        match ptx_of(image) {
            Some(text) if error_of(&text).is_some() => Err(INVALID_PTX),
            Some(text) if number(&text, ".version").is_some_and(|version| version > self.config.newest_ptx()) => {
                Err(UNSUPPORTED_PTX_VERSION)
            }
            Some(text) => self.own_kernels(context, &text),
            None => Ok(BTreeMap::new()),
        }
    }

    /// The module of a library in a context.
    fn module_of(&mut self, library: Handle, context: Handle) -> Answer<Handle> {
        let known = self.modules.libraries.get(&library).ok_or(INVALID_HANDLE)?;
        if let Some(module) = known.modules.get(&context) {
            return Ok(*module);
        }
        let own = known.own.clone();
        let module = self.new_handle(HandleKind::Module);
        self.modules.modules.insert(module, Module { context, own });
        self.modules.libraries.get_mut(&library).ok_or(INVALID_HANDLE)?.modules.insert(context, module);
        Ok(module)
    }

    /// The function of a library's kernel in a context.
    pub fn function_of(&mut self, kernel: Handle, context: Handle) -> Answer<Handle> {
        let LibraryKernel { name, library } = self.modules.library_kernels.get(&kernel).ok_or(INVALID_HANDLE)?;
        let (name, library) = (name.clone(), *library);
        let module = self.module_of(library, context)?;
        self.find_named(module, name)
    }

    /// The function that a handle means where a driver takes both functions and kernels.
    pub fn function_or_kernel(&mut self, handle: Handle, context: Handle) -> Answer<Handle> {
        if self.modules.functions.contains_key(&handle) { Ok(handle) } else { self.function_of(handle, context) }
    }

    fn find_kernel(&mut self, library: Handle, name: *const c_char) -> Answer<Handle> {
        let name = get_text(name)?.to_string_lossy().into_owned();
        let known = self.modules.libraries.get(&library).ok_or(INVALID_HANDLE)?;
        if !known.own.contains_key(&name) && !self.modules.kernels.contains_key(&name) {
            return Err(NOT_FOUND);
        }
        let is_it = |kernel: &LibraryKernel| kernel.library == library && kernel.name == name;
        if let Some((handle, _)) = self.modules.library_kernels.iter().find(|(_, kernel)| is_it(kernel)) {
            return Ok(*handle);
        }
        let handle = self.new_handle(HandleKind::Function);
        self.modules.library_kernels.insert(handle, LibraryKernel { name, library });
        Ok(handle)
    }

    fn unload_library(&mut self, library: Handle) -> Answer {
        let known = self.modules.libraries.remove(&library).ok_or(INVALID_HANDLE)?;
        self.modules.library_kernels.retain(|_, kernel| kernel.library != library);
        known.modules.into_values().try_for_each(|module| self.unload_module(module))
    }

    /// The kernels of PTX that the simulator implements.
    fn own_kernels(&self, context: Handle, text: &str) -> Answer<BTreeMap<String, Registered>> {
        let names = text.split(".entry ").skip(1).filter_map(|rest| rest.split(['(', ' ', '\n']).next());
        let own: BTreeMap<String, Registered> = names
            .filter_map(|name| {
                let run = Run::Own(strided::find(name)?);
                let sizes = vec![strided::PARAMETER_BYTES];
                Some((name.to_owned(), Registered { run, sizes, waits: false, attributes: BTreeMap::new() }))
            })
            .collect();
        if own.is_empty() {
            return Ok(own);
        }
        let target = number(text, "\n.target sm_").ok_or(INVALID_PTX)?;
        let device = &self.devices[self.contexts.get(&context).ok_or(INVALID_CONTEXT)?.device];
        let capability =
            10 * device.attribute(COMPUTE_CAPABILITY_MAJOR)? + device.attribute(COMPUTE_CAPABILITY_MINOR)?;
        if target > capability { Err(INVALID_PTX) } else { Ok(own) }
    }

    fn unload_module(&mut self, module: Handle) -> Answer {
        self.modules.modules.remove(&module).ok_or(INVALID_HANDLE)?;
        self.modules.functions.retain(|_, function| function.module != module);
        Ok(())
    }

    fn find_function(&mut self, module: Handle, name: *const c_char) -> Answer<Handle> {
        let name = get_text(name)?.to_string_lossy().into_owned();
        self.find_named(module, name)
    }

    fn find_named(&mut self, module: Handle, name: String) -> Answer<Handle> {
        if !self.modules.modules.contains_key(&module) {
            return Err(INVALID_HANDLE);
        }
        if self.modules.kernel(module, &name).is_none() {
            return Err(NOT_FOUND);
        }
        let known =
            self.modules.functions.iter().find(|(_, function)| function.module == module && function.name == name);
        if let Some((handle, _)) = known {
            return Ok(*handle);
        }
        let handle = self.new_handle(HandleKind::Function);
        self.modules.functions.insert(handle, Function { name, module, attributes: BTreeMap::new() });
        Ok(handle)
    }
}

/// The text of an image that is PTX. Other images are binary; none begins with a printable character.
fn ptx_of(image: *const c_void) -> Option<String> {
    let first = get(image.cast::<u8>()).ok()?;
    let is_text = first.is_ascii_graphic() || first.is_ascii_whitespace();
    Some(get_text(image.cast()).ok().filter(|_| is_text)?.to_string_lossy().into_owned())
}

/// What the compiler says about PTX whose version is no number; the compiler here reads no further.
fn error_of(text: &str) -> Option<&'static str> {
    let rest = text.split_once(".version")?.1;
    let is_number = rest.trim_start_matches(' ').starts_with(|c: char| c.is_ascii_digit());
    (!is_number)
        .then_some("ptxas application ptx input, line 1; fatal   : Parsing error near '.version': syntax error\0")
}

/// The number behind a directive of PTX, without its point.
fn number(text: &str, directive: &str) -> Option<c_int> {
    let rest = text.split_once(directive)?.1.trim_start_matches(' ');
    let digits: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    digits.replace('.', "").parse::<c_int>().ok()
}

/// CU_LAUNCH_PARAM_*, in the `extra` of a launch.
const END: usize = 0;
const BUFFER: usize = 1;
const BUFFER_SIZE: usize = 2;

/// Copies the arguments, from the list of pointers or from the packed buffer in `extra`.
fn copy_arguments(sizes: &[usize], pointers: *mut *mut c_void, extra: *mut *mut c_void) -> Answer<Vec<Vec<u8>>> {
    let copy = |from: *const u8, size: usize| {
        if from.is_null() {
            return Err(INVALID_VALUE);
        }
        // SAFETY: the caller's argument of the registered size.
        Ok(unsafe { std::slice::from_raw_parts(from, size) }.to_vec())
    };
    if sizes.is_empty() {
        return Ok(Vec::new());
    }
    if !pointers.is_null() {
        return sizes
            .iter()
            .enumerate()
            .map(|(at, size)| copy(get(pointers.wrapping_add(at))?.cast(), *size))
            .collect();
    }
    let (mut buffer, mut length) = (std::ptr::null::<u8>(), 0);
    for pair in (0..).step_by(2) {
        let value = |at| get(extra.wrapping_add(at));
        match value(pair)? as usize {
            END => break,
            BUFFER => buffer = value(pair + 1)?.cast(),
            BUFFER_SIZE => length = get(value(pair + 1)?.cast::<usize>())?,
            _ => return Err(INVALID_VALUE),
        }
    }
    let mut at = 0_usize;
    let mut copies = Vec::new();
    for size in sizes {
        at = at.next_multiple_of(size.next_power_of_two().clamp(1, 16));
        if at + size > length {
            return Err(INVALID_VALUE);
        }
        copies.push(copy(buffer.wrapping_add(at), *size)?);
        at += size;
    }
    Ok(copies)
}

// CUjit_option.
const INFO_LOG: c_uint = 3;
const INFO_LOG_SIZE: c_uint = 4;
const ERROR_LOG: c_uint = 5;
const ERROR_LOG_SIZE: c_uint = 6;

/// Writes the empty logs of a compiler. Callers print the logs that they request, so these must be texts with sizes.
pub fn put_empty_logs(count: c_uint, options: *const c_uint, values: *mut *mut c_void) -> Answer {
    put_logs(count, options, values, "\0")
}

/// As [`put_empty_logs`], with the errors of an image, which ends with a NUL. They are cut to the size that the caller
/// gives before or behind its buffer.
fn put_logs(count: c_uint, options: *const c_uint, values: *mut *mut c_void, errors: &str) -> Answer {
    let mut room = 1;
    for at in 0..count as usize {
        if get(options.wrapping_add(at))? == ERROR_LOG_SIZE {
            room = get(values.wrapping_add(at))? as usize;
        }
    }
    let fitting = errors.len().min(room);
    for at in 0..count as usize {
        let value = values.wrapping_add(at);
        match get(options.wrapping_add(at))? {
            ERROR_LOG => {
                let log: *mut u8 = get(value)?.cast();
                for (at, byte) in errors.bytes().take(fitting).enumerate() {
                    put_optional(log.wrapping_add(at), if at + 1 == fitting { 0 } else { byte });
                }
            }
            INFO_LOG => put_optional(get(value)?.cast::<u8>(), 0),
            INFO_LOG_SIZE => put(value, std::ptr::null_mut())?,
            ERROR_LOG_SIZE => put(value, fitting.saturating_sub(1) as *mut c_void)?,
            _ => {}
        }
    }
    Ok(())
}

thread_local! {
    /// The machine, while a kernel runs under the lock on this thread.
    static KERNEL_MACHINE: Cell<*const Machine> = const { Cell::new(std::ptr::null()) };
}

/// Gives the machine to a kernel that runs under the lock, and so cannot lock it; None: no such kernel runs on this
/// thread.
pub fn inside_kernel<R>(ask: impl FnOnce(&Machine) -> R) -> Option<R> {
    let machine = KERNEL_MACHINE.try_with(Cell::get).ok()?;
    // SAFETY: set by `launch` for as long as the kernel runs, by the thread that holds the lock.
    unsafe { machine.as_ref() }.map(ask)
}

fn call_kernel(kernel: Kernel, launch: &Launch, arguments: &[Vec<u8>]) -> Answer {
    let mut pointers: Vec<*mut c_void> = arguments.iter().map(|bytes| bytes.as_ptr().cast_mut().cast()).collect();
    // SAFETY: the registered function, with its parameters as registered.
    match unsafe { kernel(launch, pointers.as_mut_ptr()) } {
        SUCCESS => Ok(()),
        code => Err(code),
    }
}

/// INVALID_VALUE for a launch that the function or its device cannot run.
fn check_limits(call: &Call, function: Handle, launch: &Launch) -> Answer {
    let device = &call.devices[launch.device as usize];
    let fits = |sizes: [c_uint; 3], first: c_int| -> Answer<bool> {
        let limits = [device.attribute(first)?, device.attribute(first + 1)?, device.attribute(first + 2)?];
        Ok(sizes.into_iter().zip(limits).all(|(size, limit)| size > 0 && u64::from(size) <= limit as u64))
    };
    let threads = launch.block.iter().map(|size| u64::from(*size)).product::<u64>();
    let is_right = fits(launch.block, MAX_BLOCK_X)?
        && fits(launch.grid, MAX_GRID_X)?
        && threads <= attribute(call, function, MAX_THREADS)? as u64
        && u64::from(launch.shared_bytes) <= attribute(call, function, MAX_DYNAMIC_SHARED_BYTES)? as u64;
    if is_right { Ok(()) } else { Err(INVALID_VALUE) }
}

fn launch(
    call: &mut Call,
    function: Handle,
    mut launch: Launch,
    stream: Handle,
    pointers: *mut *mut c_void,
    extra: *mut *mut c_void,
) -> Answer {
    let stream = call.stream(stream)?;
    let owner = call.streams.get(&stream).ok_or(INVALID_HANDLE)?.context;
    let function = call.function_or_kernel(function, owner)?;
    let Function { name, module, .. } = call.modules.functions.get(&function).ok_or(INVALID_HANDLE)?;
    if call.modules.modules.get(module).ok_or(INVALID_HANDLE)?.context != owner {
        return Err(INVALID_HANDLE);
    }
    let module = *module;
    let Registered { run, sizes, waits, .. } = call.modules.kernel(module, name).ok_or(INVALID_HANDLE)?.clone();
    launch.device = call.contexts.get(&owner).map_or(0, |context| context.device) as c_int;
    check_limits(call, function, &launch)?;
    let arguments = copy_arguments(&sizes, pointers, extra)?;
    let work = match run {
        Run::Own(own) => {
            Work::Inside(Arc::new(move |machine, context| strided::run(machine, context, &launch, own, &arguments[0])))
        }
        Run::Registered(run) if waits => {
            Work::Outside(Arc::new(
                move |status| if status == SUCCESS { call_kernel(run, &launch, &arguments) } else { Ok(()) },
            ))
        }
        Run::Registered(run) => Work::Inside(Arc::new(move |machine, _| {
            if !machine.modules.modules.contains_key(&module) {
                return Err(INVALID_PC);
            }
            KERNEL_MACHINE.set(machine);
            let answer = as_callback(|| call_kernel(run, &launch, &arguments));
            KERNEL_MACHINE.set(std::ptr::null());
            answer
        })),
    };
    call.enqueue(stream, "kernel", Vec::new(), work).map(|_| ())
}

/// How many blocks of `threads` threads one multiprocessor holds.
pub fn active_blocks(call: &Call, function: Handle, threads: c_int, shared: usize) -> Answer<c_int> {
    if !call.modules.functions.contains_key(&function) && !call.modules.library_kernels.contains_key(&function) {
        return Err(INVALID_HANDLE);
    }
    let device = &call.devices[call.device()];
    if threads <= 0 || threads > device.attribute(MAX_THREADS_PER_BLOCK)? {
        return Err(INVALID_VALUE);
    }
    let by_threads = device.attribute(MAX_THREADS_PER_MULTIPROCESSOR)? / threads;
    let by_shared = match shared {
        0 => c_int::MAX,
        bytes => {
            c_int::try_from(device.attribute(SHARED_BYTES_PER_MULTIPROCESSOR)? as usize / bytes).unwrap_or(c_int::MAX)
        }
    };
    Ok(by_threads.min(by_shared).min(device.attribute(BLOCKS_PER_MULTIPROCESSOR)?))
}

/// CUlaunchConfig.
#[repr(C)]
#[derive(Clone, Copy)]
struct LaunchConfig {
    grid: [c_uint; 3],
    block: [c_uint; 3],
    shared_bytes: c_uint,
    stream: Handle,
    attributes: *const LaunchAttribute,
    count: c_uint,
}

/// CUlaunchAttribute, as far as it is known here.
#[repr(C)]
#[derive(Clone, Copy)]
struct LaunchAttribute {
    id: c_uint,
    pad: c_uint,
    value: [c_uint; 16],
}

// CUlaunchAttributeID.
const COOPERATIVE: c_uint = 2;
const CLUSTER_DIMENSION: c_uint = 4;

/// Refuses a cooperative launch whose blocks cannot all run at the same time, and clusters that the device cannot run.
/// Other attributes change nothing.
fn check_attributes(call: &mut Call, config: &LaunchConfig, function: Handle) -> Answer {
    const LARGEST_CLUSTER: c_uint = 8;
    let mut seen = 0;
    for at in 0..config.count as usize {
        let LaunchAttribute { id, value, .. } = get(config.attributes.wrapping_add(at))?;
        seen |= 1 << (id & 63);
        let device = &call.devices[call.device()];
        match id {
            COOPERATIVE if value[0] != 0 => {
                if device.attribute(COOPERATIVE_LAUNCH)? == 0 {
                    return Err(NOT_SUPPORTED);
                }
                let threads = config.block.iter().product::<c_uint>() as c_int;
                let active = active_blocks(call, function, threads, config.shared_bytes as usize)?;
                let most = u64::from((active * device.attribute(MULTIPROCESSORS)?) as c_uint);
                if config.grid.iter().map(|blocks| u64::from(*blocks)).product::<u64>() > most {
                    return Err(COOPERATIVE_LAUNCH_TOO_LARGE);
                }
            }
            CLUSTER_DIMENSION => {
                let whole = (0..3).all(|axis| value[axis] > 0 && config.grid[axis].is_multiple_of(value[axis]));
                if device.attribute(CLUSTER_LAUNCH)? == 0
                    || !whole
                    || value[..3].iter().product::<c_uint>() > LARGEST_CLUSTER
                {
                    return Err(INVALID_CLUSTER_SIZE);
                }
            }
            _ => {}
        }
    }
    call.statistics.launch_attributes = seen;
    Ok(())
}

// CUfunction_attribute. The attributes before MAX_DYNAMIC_SHARED_BYTES cannot be set.
const MAX_THREADS: c_int = 0;
const STATIC_SHARED_BYTES: c_int = 1;
const MAX_DYNAMIC_SHARED_BYTES: c_int = 8;

/// The attribute of a function: what the program set, what a test set for the kernel, or the default.
fn attribute(call: &Call, function: Handle, attribute: c_int) -> Answer<c_int> {
    let Function { name, module, attributes } = call.modules.functions.get(&function).ok_or(INVALID_HANDLE)?;
    let kernel = call.modules.kernel(*module, name).ok_or(INVALID_HANDLE)?;
    if let Some(value) = attributes.get(&attribute).or(kernel.attributes.get(&attribute)) {
        return Ok(*value);
    }
    // Threads per block, static shared, constant and local bytes, registers, versions, caching.
    const DEFAULTS: [c_int; 8] = [1024, 0, 0, 0, 32, 90, 90, 0];
    let static_bytes = kernel.attributes.get(&STATIC_SHARED_BYTES).copied().unwrap_or(0);
    let at = usize::try_from(attribute).map_err(|_| INVALID_VALUE)?;
    Ok(match attribute {
        MAX_DYNAMIC_SHARED_BYTES => (48 << 10) - static_bytes,
        _ => DEFAULTS.get(at).copied().unwrap_or(0),
    })
}

pub fn get_attribute(call: &mut Call, value: *mut c_int, wanted: c_int, function: Handle) -> Answer {
    put(value, attribute(call, function, wanted)?)
}

pub fn set_attribute(call: &mut Call, function: Handle, wanted: c_int, value: c_int) -> Answer {
    let limit = call.devices[call.device()].attribute(SHARED_BYTES_PER_BLOCK_OPT_IN)?;
    let static_bytes = attribute(call, function, STATIC_SHARED_BYTES)?;
    let over_limit = wanted == MAX_DYNAMIC_SHARED_BYTES && !(0..=limit - static_bytes).contains(&value);
    if wanted < MAX_DYNAMIC_SHARED_BYTES || over_limit {
        return Err(INVALID_VALUE);
    }
    let function = call.world.modules.functions.get_mut(&function).ok_or(INVALID_HANDLE)?;
    function.attributes.insert(wanted, value);
    Ok(())
}

driver! {
    fn cuModuleLoad(out: *mut Handle, _file: *const c_char) in Context => |call| {
        call.refuse_in_capture()?;
        let context = call.context;
        put(out, call.load_module(context, std::ptr::null())?)
    }

    fn cuModuleLoadData(out: *mut Handle, image: *const c_void) in Context => |call| {
        if image.is_null() {
            return Err(INVALID_VALUE);
        }
        call.refuse_in_capture()?;
        let context = call.context;
        if call.config.load_waits {
            call.wait(|world| world.context_is_idle(context))?;
        }
        put(out, call.load_module(context, image)?)
    }

    fn cuModuleLoadDataEx(
        out: *mut Handle, image: *const c_void, count: c_uint, options: *mut c_uint, values: *mut *mut c_void
    ) in Context => |call| {
        if image.is_null() {
            return Err(INVALID_VALUE);
        }
        put_logs(count, options, values, ptx_of(image).and_then(|text| error_of(&text)).unwrap_or("\0"))?;
        call.refuse_in_capture()?;
        let context = call.context;
        if call.config.load_waits {
            call.wait(|world| world.context_is_idle(context))?;
        }
        put(out, call.load_module(context, image)?)
    }

    fn cuModuleLoadFatBinary(out: *mut Handle, image: *const c_void) in Context => |call| {
        if image.is_null() {
            return Err(INVALID_VALUE);
        }
        let context = call.context;
        put(out, call.load_module(context, std::ptr::null())?)
    }

    fn cuModuleUnload(module: Handle) in Context => |call| { call.unload_module(module) }

    fn cuModuleGetFunction(out: *mut Handle, module: Handle, name: *const c_char) in Context => |call| {
        put(out, call.find_function(module, name)?)
    }

    fn cuModuleGetLoadingMode(mode: *mut c_uint) in Init => |_| { put(mode, 1) }

    fn cuModuleGetGlobal_v2(_address: *mut u64, _size: *mut usize, module: Handle, _name: *const c_char) in Context => |call| {
        call.modules.modules.get(&module).ok_or(INVALID_HANDLE)?;
        Err(NOT_FOUND)
    }

    fn cuLibraryLoadData(
        out: *mut Handle, image: *const c_void, jit: *mut c_uint, jit_values: *mut *mut c_void, jit_count: c_uint,
        _options: *mut c_uint, _values: *mut *mut c_void, _count: c_uint
    ) in Context => |call| {
        if image.is_null() {
            return Err(INVALID_VALUE);
        }
        put_empty_logs(jit_count, jit, jit_values)?;
        let context = call.context;
        put(out, call.load_library(context, image)?)
    }

    fn cuLibraryUnload(library: Handle) in Context => |call| { call.unload_library(library) }

    fn cuLibraryGetKernel(out: *mut Handle, library: Handle, name: *const c_char) in Context => |call| {
        put(out, call.find_kernel(library, name)?)
    }

    fn cuLibraryGetModule(out: *mut Handle, library: Handle) in Context => |call| {
        let context = call.context;
        put(out, call.module_of(library, context)?)
    }

    fn cuKernelGetFunction(out: *mut Handle, kernel: Handle) in Context => |call| {
        let context = call.context;
        put(out, call.function_of(kernel, context)?)
    }

    fn cuFuncGetModule(out: *mut Handle, function: Handle) in Context => |call| {
        put(out, call.modules.functions.get(&function).ok_or(INVALID_HANDLE)?.module)
    }

    fn cuFuncGetAttribute(value: *mut c_int, attribute: c_int, function: Handle) in Context => |call| { get_attribute(call, value, attribute, function) }

    fn cuFuncSetAttribute(function: Handle, attribute: c_int, value: c_int) in Context => |call| { set_attribute(call, function, attribute, value) }

    fn cuFuncSetCacheConfig(function: Handle, _config: c_uint) in Context => |call| {
        call.modules.functions.get(&function).map(|_| ()).ok_or(INVALID_HANDLE)
    }

    fn cuLaunchKernel(
        function: Handle, grid_x: c_uint, grid_y: c_uint, grid_z: c_uint, block_x: c_uint, block_y: c_uint, block_z: c_uint,
        shared_bytes: c_uint, stream: Handle, pointers: *mut *mut c_void, extra: *mut *mut c_void
    ) | cuLaunchKernel_ptsz in Context => |call| {
        let shape = Launch { grid: [grid_x, grid_y, grid_z], block: [block_x, block_y, block_z], shared_bytes, device: 0 };
        launch(call, function, shape, stream, pointers, extra)
    }

    fn cuLaunchKernelEx(
        config: *const LaunchConfig, function: Handle, pointers: *mut *mut c_void, extra: *mut *mut c_void
    ) | cuLaunchKernelEx_ptsz in Context => |call| {
        let config = get(config)?;
        let shape = Launch { grid: config.grid, block: config.block, shared_bytes: config.shared_bytes, device: 0 };
        check_attributes(call, &config, function)?;
        launch(call, function, shape, config.stream, pointers, extra)
    }
}
