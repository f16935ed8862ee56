//! Contexts: creating and destroying them, and which one is current on a thread.

use crate::base::args::{put, put_optional};
use crate::base::status::*;
use crate::base::thread::{current_context, pop_context, push_context, set_current_context};
use crate::base::types::Handle;
use crate::entry::call::Call;
use crate::entry::enter::driver;
use crate::memory::region::MemoryKind;
use crate::state::context::Context;
use crate::state::machine::HandleKind;
use crate::state::signals::PROGRESS;
use crate::state::stream::{GREATEST_PRIORITY, LEAST_PRIORITY};
use crate::state::world::World;
use std::ffi::{c_int, c_uint, c_void};

impl World {
    fn create_context(&mut self, device: usize, primary: bool, flags: c_uint) -> Handle {
        let fresh = self.new_handle(HandleKind::Context);
        let former = self.devices[device].former;
        let returns = primary && former != 0 && self.config.same_context.unwrap_or_else(|| self.random.below(2) == 0);
        let handle = if returns { former } else { fresh };
        // The number of a fresh handle was never given out before.
        self.contexts.insert(handle, Context::new(fresh >> 4 & 0xffff_ffff, device, primary, flags));
        handle
    }

    /// Ends the primary context of a device. It stays retained: the next call that retains it gets a new one, perhaps
    /// with its handle.
    fn reset_primary(&mut self, device: usize) {
        let (primary, retained) = (self.devices[device].primary, self.devices[device].retained);
        if primary != 0 {
            self.remove_context(primary);
            (self.devices[device].former, self.devices[device].retained) = (primary, retained);
        }
    }

    /// Removes a context with all that it has: queued work is dropped, memory is freed, handles become invalid.
    fn remove_context(&mut self, handle: Handle) {
        let Some(context) = self.contexts.remove(&handle) else { return };
        let streams: Vec<Handle> =
            self.streams.iter().filter(|(_, stream)| stream.context == handle).map(|(stream, _)| *stream).collect();
        for stream in streams {
            self.remove_stream(stream);
        }
        self.events.retain(|_, event| event.context != handle);
        let regions: Vec<_> = self.space.regions().filter(|region| region.context == handle).cloned().collect();
        for region in regions {
            match region.kind {
                MemoryKind::Device | MemoryKind::Array => self.free_memory(region.base),
                MemoryKind::Managed => self.free_managed(region.base),
                MemoryKind::Pooled => self.free_pooled(region.base),
                _ => {}
            }
        }
        self.free_pinned_of(handle);
        self.modules.remove_context(handle);
        if context.primary {
            self.devices[context.device].primary = 0;
            self.devices[context.device].retained = 0;
        }
        self.arrays.retain(|_, array| array.context != handle);
        PROGRESS.notify_all();
    }
}

impl Call<'_> {
    /// Waits for all work of the current context.
    fn synchronize(&mut self) -> Answer {
        let context = self.context;
        self.wait(|world| world.context_is_idle(context))?;
        self.trim_pools();
        Ok(())
    }
}

fn create(call: &mut Call, out: *mut Handle, flags: c_uint, device: c_int) -> Answer {
    let device = call.ordinal(device)?;
    let context = call.create_context(device, false, flags);
    push_context(context)?;
    put(out, context)
}

/// Destroys a context that a program created, when its work is done.
pub fn destroy_context(call: &mut Call, context: Handle) -> Answer {
    call.check_exists(context)?;
    if call.contexts.get(&context).is_some_and(|context| context.primary) {
        return Err(INVALID_CONTEXT);
    }
    if current_context() == context {
        pop_context()?;
    }
    call.wait(|world| world.context_is_idle(context) || world.check_usable(context).is_err()).ok();
    call.remove_context(context);
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
            1 => call.remove_context(primary),
            more => call.devices[device].retained = more - 1,
        }
        Ok(())
    }

    fn cuDevicePrimaryCtxReset(device: c_int) in Init => |call| {
        let device = call.ordinal(device)?;
        call.reset_primary(device);
        Ok(())
    }

    fn cuDevicePrimaryCtxReset_v2(device: c_int) in Init => |call| {
        let device = call.ordinal(device)?;
        call.reset_primary(device);
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

    fn cuCtxDestroy_v2(context: Handle) in Init => |call| { destroy_context(call, context) }

    fn cuCtxGetCurrent(out: *mut Handle) in Init => |call| { put(out, call.context) }

    fn cuCtxSetCurrent(context: Handle) in Init => |call| {
        if context != 0 {
            call.check_exists(context).map_err(|_| INVALID_CONTEXT)?;
        }
        set_current_context(context)
    }

    fn cuCtxPushCurrent_v2(context: Handle) in Init => |call| {
        call.check_exists(context).map_err(|_| INVALID_CONTEXT)?;
        push_context(context)
    }

    fn cuCtxPopCurrent_v2(out: *mut Handle) in Init => |_| {
        let context = pop_context()?.ok_or(INVALID_CONTEXT)?;
        put_optional(out, context);
        Ok(())
    }

    fn cuCtxGetDevice(device: *mut c_int) in Init => |call| {
        call.check_exists(call.context)?;
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
        call.check_context_or_abort(context)?;
        put(id, call.contexts.get(&context).ok_or(INVALID_CONTEXT)?.id)
    }

    fn cuCtxGetApiVersion(context: Handle, version: *mut c_uint) in Init => |call| {
        let context = if context == 0 { call.context } else { context };
        call.check_exists(context).map_err(|_| INVALID_CONTEXT)?;
        put(version, call.config.version as c_uint)
    }

    fn cuCtxSynchronize() in Context => |call| {
        call.statistics.device_synchronizes += 1;
        let context = call.context;
        call.refuse_device_wait(context)?;
        call.synchronize()
    }

    fn cuCtxSynchronize_v2(context: Handle) in Context => |call| {
        call.statistics.device_synchronizes += 1;
        call.context = if context == 0 { call.context } else { context };
        call.check_exists(call.context)?;
        let context = call.context;
        call.refuse_device_wait(context)?;
        call.synchronize()
    }

    fn cuCtxGetStreamPriorityRange(least: *mut c_int, greatest: *mut c_int) in Context => |_| {
        put_optional(least, LEAST_PRIORITY);
        put_optional(greatest, GREATEST_PRIORITY);
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
