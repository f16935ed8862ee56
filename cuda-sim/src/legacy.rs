//! What programs still link with, and what no simulated device can do: the first way to launch kernels, texture and surface references,
//! the linker, the profiler.
//!
//! Contract: each answers as a driver that has the function and not the facility: PyCUDA and other programs of long ago start, and are
//! told when they come to it. The refusals look at no argument and are declared without any: by the calling convention the caller
//! clears them away.

use crate::entry::put;
use crate::status::*;
use crate::types::Handle;
use std::ffi::{c_uint, c_void};

/// Functions that always answer the same code.
macro_rules! refused {
    ($code:ident: $($name:ident)*) => {
        driver! { $(fn $name() in Init => |_| { Err($code) })* }
    };
}

// No kernel is launched this way: cuLaunchKernel takes its arguments.
refused! { NOT_SUPPORTED:
    cuFuncSetBlockShape cuFuncSetSharedSize cuParamSetSize cuParamSeti cuParamSetf cuParamSetv cuParamSetTexRef
    cuLaunch cuLaunchGrid cuLaunchGridAsync
}

// Compilers have made none of these since CUDA 12.
refused! { NOT_SUPPORTED:
    cuTexRefCreate cuTexRefDestroy cuTexRefSetArray cuTexRefSetMipmappedArray cuTexRefSetAddress_v2 cuTexRefSetAddress2D_v3
    cuTexRefSetFormat cuTexRefSetAddressMode cuTexRefSetFilterMode cuTexRefSetFlags cuTexRefGetAddress_v2 cuTexRefGetArray
    cuTexRefGetAddressMode cuTexRefGetFilterMode cuTexRefGetFormat cuTexRefGetFlags cuSurfRefSetArray cuSurfRefGetArray
}
refused! { NOT_FOUND: cuModuleGetTexRef cuModuleGetSurfRef }

// There is no compiler in this driver, and nothing to link.
driver! {
    fn cuLinkCreate_v2(count: c_uint, options: *const c_uint, values: *mut *mut c_void, _out: *mut Handle) in Context => |_| {
        crate::module::empty_logs(count, options, values)?;
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
            Some(_) => crate::context::destroy(call, handle),
        }
    }
}
