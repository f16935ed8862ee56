//! Functions that old programs such as PyCUDA still link with, though the simulator cannot do what they are for: the
//! first way to launch kernels, texture and surface references, the linker, the profiler.
//!
//! Contract: the symbols exist, so that these programs start; a call returns the code of a driver without the facility.
//! The refusals use no argument and are declared without any: in the C calling convention the caller removes its
//! arguments.

use super::context::destroy_context;
use super::module::put_empty_logs;
use crate::base::args::put;
use crate::base::status::*;
use crate::base::types::Handle;
use crate::entry::enter::driver;
use std::ffi::{c_int, c_uint, c_void};

/// Exports functions that always return one code.
macro_rules! refused {
    ($code:ident: $($name:ident)*) => {
        driver! { $(fn $name() in Init => |_| { Err($code) })* }
    };
}

// Kernels are launched by cuLaunchKernel alone.
refused! { NOT_SUPPORTED:
    cuFuncSetSharedSize cuParamSetSize cuParamSeti cuParamSetf cuParamSetv cuParamSetTexRef
    cuLaunch cuLaunchGrid cuLaunchGridAsync
}

driver! {
    // Of use to cuLaunchGrid alone. PyCUDA calls it before each launch.
    fn cuFuncSetBlockShape(function: Handle, x: c_int, y: c_int, z: c_int) in Context => |call| {
        call.modules.functions.get(&function).ok_or(INVALID_HANDLE)?;
        if [x, y, z].iter().any(|threads| *threads < 1) { Err(INVALID_VALUE) } else { Ok(()) }
    }
}

// CUDA 12 removed texture and surface references from the compilers.
refused! { NOT_SUPPORTED:
    cuTexRefCreate cuTexRefDestroy cuTexRefSetArray cuTexRefSetMipmappedArray cuTexRefSetAddress_v2 cuTexRefSetAddress2D_v3
    cuTexRefSetFormat cuTexRefSetAddressMode cuTexRefSetFilterMode cuTexRefSetFlags cuTexRefGetAddress_v2 cuTexRefGetArray
    cuTexRefGetAddressMode cuTexRefGetFilterMode cuTexRefGetFormat cuTexRefGetFlags cuSurfRefSetArray cuSurfRefGetArray
}
refused! { NOT_FOUND: cuModuleGetTexRef cuModuleGetSurfRef }

// There is no compiler, so nothing to link.
driver! {
    fn cuLinkCreate_v2(count: c_uint, options: *const c_uint, values: *mut *mut c_void, _out: *mut Handle) in Context => |_| {
        put_empty_logs(count, options, values)?;
        Err(JIT_COMPILER_NOT_FOUND)
    }
}
refused! { INVALID_HANDLE: cuLinkAddData_v2 cuLinkAddFile_v2 cuLinkComplete cuLinkDestroy }

refused! { NOT_SUPPORTED: cuProfilerInitialize }
driver! {
    fn cuProfilerStart() in Context => |_| { Ok(()) }

    fn cuProfilerStop() in Context => |_| { Ok(()) }

    fn cuCtxGetSharedMemConfig(config: *mut c_uint) in Context => |_| { put(config, 0) }

    fn cuCtxSetSharedMemConfig(_config: c_uint) in Context => |_| { Ok(()) }

    fn cuCtxResetPersistingL2Cache() in Context => |_| { Ok(()) }

    fn cuCtxAttach(out: *mut Handle, flags: c_uint) in Context => |call| {
        if flags != 0 {
            return Err(INVALID_VALUE);
        }
        let handle = call.context;
        if let Some(context) = call.contexts.get_mut(&handle) {
            context.attached += 1;
        }
        put(out, handle)
    }

    fn cuCtxDetach(handle: Handle) in Init => |call| {
        match call.contexts.get_mut(&handle) {
            None => Err(INVALID_CONTEXT),
            Some(context) if context.attached > 0 => {
                context.attached -= 1;
                Ok(())
            }
            Some(_) => destroy_context(call, handle),
        }
    }
}
