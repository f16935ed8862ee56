//! Contexts: the primary one of each device, those of a program's own, and which one is current on a thread.

use crate::entry::{Call, put, put_if};
use crate::space::What;
use crate::status::*;
use crate::types::{Handle, Location};
use crate::world::{Kind, World};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{c_int, c_uint, c_void};
use std::mem::ManuallyDrop;

pub struct Context {
    pub device: usize,
    pub primary: bool,
    pub flags: c_uint,
    /// The sticky error.
    pub lost: Option<u32>,
    /// Its streams 1 and 2; the second is one per thread. Made when they are used.
    pub legacy: Handle,
    pub per_thread: BTreeMap<u64, Handle>,
    /// Devices whose memory work in this context may use.
    pub peers: BTreeSet<usize>,
    pub limits: BTreeMap<c_uint, usize>,
    pub cache: c_uint,
    /// How often `cuCtxAttach` asked that it lives on.
    pub attached: u32,
}

impl Context {
    fn new(device: usize, primary: bool, flags: c_uint) -> Context {
        Context {
            device,
            primary,
            flags,
            lost: None,
            legacy: 0,
            per_thread: BTreeMap::new(),
            peers: BTreeSet::new(),
            limits: BTreeMap::new(),
            cache: 0,
            attached: 0,
        }
    }
}

thread_local! {
    // Without a destructor: a thread that is ending, and its other thread-locals, may still call the driver, as with the real one. What a
    // thread leaves in it is a few words.
    static STACK: RefCell<ManuallyDrop<Vec<Handle>>> = const { RefCell::new(ManuallyDrop::new(Vec::new())) };
}

/// The current context of this thread, 0 if there is none; also on a thread that is ending.
pub fn current() -> Handle {
    STACK.try_with(|stack| stack.borrow().last().copied().unwrap_or(0)).unwrap_or(0)
}

fn with_stack<R>(change: impl FnOnce(&mut Vec<Handle>) -> R) -> Answer<R> {
    STACK.try_with(|stack| change(&mut stack.borrow_mut())).map_err(|_| DEINITIALIZED)
}

/// Puts `context` in place of the current one; 0 takes it away.
fn set_current(context: Handle) -> Answer {
    with_stack(|stack| {
        stack.pop();
        if context != 0 {
            stack.push(context);
        }
    })
}

impl World {
    fn create_context(&mut self, device: usize, primary: bool, flags: c_uint) -> Handle {
        let handle = self.handle(Kind::Context);
        self.contexts.insert(handle, Context::new(device, primary, flags));
        handle
    }

    /// The context ends with all that it has: queued work is dropped, memory and handles are gone.
    fn destroy_context(&mut self, handle: Handle) {
        let Some(context) = self.contexts.remove(&handle) else { return };
        let streams: Vec<Handle> =
            self.streams.iter().filter(|(_, stream)| stream.context == handle).map(|(stream, _)| *stream).collect();
        for stream in streams {
            self.forget_stream(stream);
        }
        self.events.retain(|_, event| event.context != handle);
        let owned: Vec<_> = self.space.regions().filter(|region| region.context == handle).cloned().collect();
        for region in owned {
            match region.what {
                What::Device | What::Array => self.release_memory(region.base),
                What::Managed => self.release_managed(region.base),
                What::Pooled => self.release_pooled(region.base),
                _ => {}
            }
        }
        self.release_host_of(handle);
        self.modules.forget(handle);
        if context.primary {
            self.devices[context.device].primary = 0;
            self.devices[context.device].retained = 0;
        }
        self.arrays.retain(|_, array| array.context != handle);
        crate::world::WAKE.notify_all();
    }

    /// Whether every stream of the context is through.
    pub fn idle(&self, context: Handle) -> bool {
        !self.streams.values().any(|stream| stream.context == context && !stream.is_idle())
    }
}

impl Call<'_> {
    /// Waits for all work of the current context.
    pub fn synchronize(&mut self) -> Answer {
        let context = self.context;
        self.wait(|world| world.idle(context))?;
        self.release_unused();
        Ok(())
    }
}

fn create(call: &mut Call, out: *mut Handle, flags: c_uint, device: c_int) -> Answer {
    let device = call.ordinal(device)?;
    let context = call.create_context(device, false, flags);
    with_stack(|stack| stack.push(context))?;
    put(out, context)
}

/// Ends a context of a program's own, when its work is done.
pub fn destroy(call: &mut Call, context: Handle) -> Answer {
    call.living(context)?;
    if call.contexts.get(&context).is_some_and(|context| context.primary) {
        return Err(INVALID_CONTEXT);
    }
    if current() == context {
        with_stack(|stack| stack.pop())?;
    }
    call.wait(|world| world.idle(context) || world.sound(context).is_err()).ok();
    call.destroy_context(context);
    Ok(())
}

driver! {
    fn cuDevicePrimaryCtxRetain(out: *mut Handle, device: c_int) in Init => |call| {
        let device = call.ordinal(device)?;
        if call.devices[device].primary == 0 {
            let flags = call.devices[device].primary_flags;
            call.devices[device].primary = call.create_context(device, true, flags);
        }
        call.devices[device].retained += 1;
        put(out, call.devices[device].primary)
    }

    fn cuDevicePrimaryCtxRelease_v2(device: c_int) in Init => |call| {
        let device = call.ordinal(device)?;
        let primary = call.devices[device].primary;
        match call.devices[device].retained {
            0 => return Err(INVALID_CONTEXT),
            1 => call.destroy_context(primary),
            more => call.devices[device].retained = more - 1,
        }
        Ok(())
    }

    fn cuDevicePrimaryCtxReset_v2(device: c_int) in Init => |call| {
        let device = call.ordinal(device)?;
        let primary = call.devices[device].primary;
        call.destroy_context(primary);
        Ok(())
    }

    fn cuDevicePrimaryCtxSetFlags_v2(device: c_int, flags: c_uint) in Init => |call| {
        let device = call.ordinal(device)?;
        call.devices[device].primary_flags = flags;
        Ok(())
    }

    fn cuDevicePrimaryCtxGetState(device: c_int, flags: *mut c_uint, active: *mut c_int) in Init => |call| {
        let device = call.ordinal(device)?;
        put(flags, call.devices[device].primary_flags)?;
        put(active, c_int::from(call.devices[device].primary != 0))
    }

    fn cuCtxCreate_v2(out: *mut Handle, flags: c_uint, device: c_int) in Init => |call| { create(call, out, flags, device) }

    fn cuCtxCreate_v3(out: *mut Handle, _affinity: *mut c_void, _count: c_int, flags: c_uint, device: c_int) in Init => |call| {
        create(call, out, flags, device)
    }

    fn cuCtxCreate_v4(out: *mut Handle, _params: *mut c_void, flags: c_uint, device: c_int) in Init => |call| {
        create(call, out, flags, device)
    }

    fn cuCtxDestroy_v2(context: Handle) in Init => |call| { destroy(call, context) }

    fn cuCtxGetCurrent(out: *mut Handle) in Init => |call| { put(out, call.context) }

    fn cuCtxSetCurrent(context: Handle) in Init => |call| {
        if context != 0 {
            call.living(context).map_err(|_| INVALID_CONTEXT)?;
        }
        set_current(context)
    }

    fn cuCtxPushCurrent_v2(context: Handle) in Init => |call| {
        call.living(context).map_err(|_| INVALID_CONTEXT)?;
        with_stack(|stack| stack.push(context))
    }

    fn cuCtxPopCurrent_v2(out: *mut Handle) in Init => |_| {
        let context = with_stack(|stack| stack.pop())?.ok_or(INVALID_CONTEXT)?;
        put_if(out, context);
        Ok(())
    }

    fn cuCtxGetDevice(device: *mut c_int) in Init => |call| {
        call.living(call.context)?;
        put(device, call.device() as c_int)
    }

    fn cuCtxGetDevice_v2(device: *mut c_int, context: Handle) in Init => |call| {
        let context = if context == 0 { call.context } else { context };
        put(device, call.contexts.get(&context).ok_or(INVALID_CONTEXT)?.device as c_int)
    }

    fn cuCtxGetFlags(flags: *mut c_uint) in Init => |call| {
        put(flags, call.contexts.get(&call.context).ok_or(INVALID_CONTEXT)?.flags)
    }

    fn cuCtxSetFlags(flags: c_uint) in Init => |call| {
        let context = call.context;
        call.contexts.get_mut(&context).ok_or(INVALID_CONTEXT)?.flags = flags;
        Ok(())
    }

    fn cuCtxGetId(context: Handle, id: *mut u64) in Init => |call| {
        let context = if context == 0 { call.context } else { context };
        call.living(context)?;
        put(id, context)
    }

    fn cuCtxGetApiVersion(context: Handle, version: *mut c_uint) in Init => |call| {
        let context = if context == 0 { call.context } else { context };
        call.living(context).map_err(|_| INVALID_CONTEXT)?;
        put(version, call.config.version as c_uint)
    }

    fn cuCtxSynchronize() in Context => |call| {
        call.uncaptured()?;
        call.notes.device_synchronizes += 1;
        call.synchronize()
    }

    fn cuCtxSynchronize_v2(context: Handle) in Context => |call| {
        call.uncaptured()?;
        call.notes.device_synchronizes += 1;
        call.context = if context == 0 { call.context } else { context };
        call.living(call.context)?;
        call.synchronize()
    }

    fn cuCtxGetStreamPriorityRange(least: *mut c_int, greatest: *mut c_int) in Context => |_| {
        put_if(least, crate::stream::LEAST_PRIORITY);
        put_if(greatest, crate::stream::GREATEST_PRIORITY);
        Ok(())
    }

    fn cuCtxGetLimit(value: *mut usize, limit: c_uint) in Context => |call| {
        // Stack, printf buffer, heap, sync depth, pending launches, L2 granularity, persisting L2.
        const DEFAULTS: [usize; 7] = [1024, 1 << 20, 8 << 20, 2, 2048, 64, 0];
        let standard = *DEFAULTS.get(limit as usize).ok_or(UNSUPPORTED_LIMIT)?;
        let set = call.contexts.get(&call.context).and_then(|context| context.limits.get(&limit).copied());
        put(value, set.unwrap_or(standard))
    }

    fn cuCtxSetLimit(limit: c_uint, value: usize) in Context => |call| {
        if limit > 6 {
            return Err(UNSUPPORTED_LIMIT);
        }
        let context = call.context;
        call.contexts.get_mut(&context).ok_or(INVALID_CONTEXT)?.limits.insert(limit, value);
        Ok(())
    }

    fn cuCtxGetCacheConfig(config: *mut c_uint) in Context => |call| {
        put(config, call.contexts.get(&call.context).ok_or(INVALID_CONTEXT)?.cache)
    }

    fn cuCtxSetCacheConfig(config: c_uint) in Context => |call| {
        let context = call.context;
        call.contexts.get_mut(&context).ok_or(INVALID_CONTEXT)?.cache = config;
        Ok(())
    }

    fn cuCtxEnablePeerAccess(peer: Handle, flags: c_uint) in Context => |call| {
        if flags != 0 {
            return Err(INVALID_VALUE);
        }
        let device = call.contexts.get(&peer).ok_or(INVALID_CONTEXT)?.device;
        if device == call.device() || !call.config.peers {
            return Err(PEER_ACCESS_UNSUPPORTED);
        }
        let context = call.context;
        let changed = call.contexts.get_mut(&context).ok_or(INVALID_CONTEXT)?.peers.insert(device);
        if changed { Ok(()) } else { Err(PEER_ACCESS_ALREADY_ENABLED) }
    }

    fn cuCtxDisablePeerAccess(peer: Handle) in Context => |call| {
        let device = call.contexts.get(&peer).ok_or(INVALID_CONTEXT)?.device;
        let context = call.context;
        let changed = call.contexts.get_mut(&context).ok_or(INVALID_CONTEXT)?.peers.remove(&device);
        if changed { Ok(()) } else { Err(PEER_ACCESS_NOT_ENABLED) }
    }
}

/// The device that a location means, None for the host.
pub fn located(call: &Call, location: Location) -> Answer<Option<usize>> {
    match location.kind {
        crate::types::LOCATION_DEVICE => call.ordinal(location.id).map(Some),
        crate::types::LOCATION_HOST..=4 => Ok(None),
        _ => Err(INVALID_VALUE),
    }
}
