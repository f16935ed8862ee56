//! Launches of kernels that borrow their arguments: on a GPU, or on the host.
//!
//! Contract: a launch makes all its checks before it starts anything, and borrows all arrays or none. The borrows end
//! after the kernel: in the order of its stream, or on return. A launch that fails leaves no borrow and poisons
//! nothing. No lock is held while a kernel starts, or while one of the host runs. Any thread may call it.
//!
//! | file | contents |
//! |---|---|
//! | `mod` | the checks that need no look at the arrays |
//! | `argument` | the arguments of a launch, and what the kernel gets of them |
//! | `device` | launches on a GPU |
//! | `fast` | the fast path of these |
//! | `host` | kernels of the host |
//!
//! Unsafe: the call of the driver with the kernel's arguments, and the calls of a kernel of the host.

mod argument;

mod device;

mod fast;

mod host;

pub use argument::check_handles;
pub use fast::launch as launch_fast;

use crate::error::{Result, fail};
use crate::gpu::kernel::{Kernel, Shape};
use crate::stream::StreamArg;
use crate::types::*;
use argument::Arguments;
use core::ffi::CStr;

/// What a launch runs.
#[derive(Clone, Copy)]
pub enum Code {
    /// A kernel of a GPU.
    Device(Kernel),
    /// A kernel of the host.
    Host(unsafe extern "C" fn(block: *const tn_host_block, args: *const *mut core::ffi::c_void)),
}

/// Launches a kernel. `args` passed [`check_handles`].
///
/// # Safety
/// - The obligations of `tn_launch`: the function exists, the values of arguments are readable, and the kernel keeps to
///   its arguments.
pub unsafe fn launch(
    function: &'static CStr,
    code: Result<Code>,
    shape: &Shape,
    stream: Result<StreamArg>,
    args: &[tn_arg],
) -> Result<()> {
    let stream = stream?;
    let code = code?;
    check_shape(shape)?;
    let arguments = Arguments::of(args)?;
    arguments.check_states()?;
    match code {
        // SAFETY: the caller's obligation.
        Code::Device(kernel) => unsafe { device::launch(function, kernel, shape, &stream, &arguments) },
        // SAFETY: as above.
        Code::Host(kernel) => unsafe { host::launch(function, kernel, shape, &stream, &arguments) },
    }
}

/// TN_ERR_INVALID for a launch without blocks or threads, or with a negative size.
fn check_shape(shape: &Shape) -> Result<()> {
    for (what, sizes) in [("grid", shape.grid), ("block", shape.block)] {
        if let Some(at) = sizes.iter().position(|size| *size == 0) {
            return Err(fail(TN_ERR_INVALID, format_args!("{what}[{at}] is 0; set unused directions to 1")));
        }
    }
    match shape.block_bytes {
        0.. => Ok(()),
        bytes => Err(fail(TN_ERR_INVALID, format_args!("block_bytes is {bytes}; it is a number of bytes, 0 or more"))),
    }
}
