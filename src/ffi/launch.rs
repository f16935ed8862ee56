//! Section "launch": kernels that borrow the arrays that they get.

use crate::boundary::enter;
use crate::error::{Result, fail};
use crate::ffi::convert;
use crate::flags;
use crate::gpu::kernel::{Kernel, Shape};
use crate::launch::{self, Code};
use crate::types::*;

impl convert::VersionedStruct for tn_launch_config {
    const FIRST: usize = size_of::<tn_launch_config>();
    const NAME: &'static str = "tn_launch_config";
    fn defaults() -> tn_launch_config {
        tn_launch_config {
            size: 0,
            function: core::ptr::null_mut(),
            grid: [0; 3],
            block: [0; 3],
            block_bytes: 0,
            stream: core::ptr::null_mut(),
            host_function: None,
            flags: 0,
            cluster: [0; 3],
        }
    }
}

/// Launches a kernel, which borrows the arrays among its arguments as their access says.
///
/// The call checks all arguments first. If one fails, nothing is launched and nothing stays borrowed. The stream is
/// made to wait for unfinished work on the arrays. The borrows end on the stream, behind the kernel: arrays may be
/// released at once, later uses on other streams wait, and the host gets TN_ERR_PENDING until the kernel is done. An
/// array is never copied, except by TN_WRITE_COW. It must be memory that the kernel can reach: of the stream's GPU,
/// managed, or page-locked with TN_HOST_MAPPED. If the driver refuses the launch at last, a handle with TN_WRITE_COW
/// may have moved to its copy.
///
/// Two arguments may not overlap if one of them is written, nor be one handle then. With TN_ALLOW_ALIAS an argument may
/// overlap one that is written in mode TN_WRITE_ALIASED, if it is read, or written in that mode itself.
///
/// A kernel of the host (`host_function`) is called once for each block. With a runner (`tn_runner_set_current`) the
/// blocks are spread over its threads, else they run one after the other, with index[0] fastest. The call returns when
/// all blocks are done. The arrays must be memory that the host can reach. Until the call returns they are borrowed,
/// also for the kernel, which may call the library.
///
/// A launch on a stream that captures a graph becomes part of the graph. The borrows end then as those of other
/// captured work do.
///
/// @param config   What to launch: exactly one of `function` and `host_function`. `function` is a CUfunction of the
///                 primary context of the stream's GPU, with its module loaded until the kernel is done.
/// @param n_args   Number of arguments: that of the kernel's parameters.
/// @param args     The arguments, in the order of the parameters. They are read during the call only, values too. NULL
///                 only with n_args 0.
/// @return TN_OK; TN_ERR_NULL, also if there is neither function; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a wrong
///         size, for two functions, unknown flags, flags or a cluster with a kernel of the host, a cluster of which the
///         grid is no multiple, a grid or block with a 0, negative block_bytes, an unknown kind or access, an ndim
///         outside 0..8, a value of 0 bytes; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_COUNT, TN_ERR_INVALID if the
///         kernel has another number of parameters, or one of another size, where the driver can tell (from 12.4 on);
///         TN_ERR_SHAPE for an array of another ndim; TN_ERR_LAYOUT for elements that are not at multiples of their
///         size, and for TN_ARG_POINTER with an array that is not C-contiguous; TN_ERR_DEVICE for memory out of reach,
///         and for a stream of a GPU with a kernel of the host; TN_ERR_UNSUPPORTED without a driver, for stream NULL
///         while the current stream captures a graph, and for a captured stream that would have to wait for work
///         outside of the capture, and for flags or a cluster that the GPU or the driver does not have; the statuses of `tn_borrow_all` for what others do with the arrays; TN_ERR_ALIASED;
///         TN_ERR_NO_HOST_MEMORY; TN_ERR_DRIVER if the driver refuses the launch, or the kernel failed and stream is
///         NULL; TN_ERR_LIMIT for a launch above the limits of the GPU or of the kernel, and for more blocks than can run at
///         the same time with TN_LAUNCH_COOPERATIVE.
/// @note Threads: any. Blocks: with stream NULL, until the kernel is done; a kernel of the host, until all blocks are
///       done, and with TN_WAIT until the device's work on the arrays is done. Holds no lock meanwhile. Allocates:
///       bookkeeping; for the host, block memory of each thread that runs blocks; the copies of TN_WRITE_COW.
/// @since 0.1
/// @ingroup launch
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_launch(config: *const tn_launch_config, n_args: usize, args: *const tn_arg) -> tn_status {
    enter("tn_launch", || {
        if config.is_null() {
            return Err(convert::null("config"));
        }
        // SAFETY: a struct of the size it says, by this function's documentation.
        let config = unsafe { convert::sized(config) }.map(|config| config.expect("not NULL"));
        convert::callback(&config, |of| !of.function.is_null() || of.host_function.is_some(), "function")?;
        // SAFETY: an array of that length, by this function's documentation.
        let args = unsafe { convert::slice(n_args, args, "args")? };
        // SAFETY: by this function's documentation.
        if let Some(outcome) = unsafe { launch_fast(&config, args) } {
            return outcome;
        }
        launch::check_handles(args)?;
        let config = config?;
        let stream = convert::stream(config.stream);
        // SAFETY: as above.
        unsafe { launch::launch(c"tn_launch", code(&config), &shape(&config), stream, args) }
    })
}

/// # Safety
/// - The obligations of [`tn_launch`].
#[inline(always)]
unsafe fn launch_fast(config: &convert::Noted<tn_launch_config>, args: &[tn_arg]) -> Option<Result<()>> {
    let is_plain = |config: &&tn_launch_config| config.flags == 0 && config.cluster == [0; 3];
    let config = config.as_ref().ok().filter(|config| config.host_function.is_none()).filter(is_plain)?;
    // SAFETY: the caller's obligation.
    unsafe { launch::launch_fast(Kernel::new(config.function), &shape(config), config.stream as u64, args) }
}

fn shape(config: &tn_launch_config) -> Shape {
    let tn_launch_config { grid, block, block_bytes, flags, cluster, .. } = *config;
    Shape { grid, block, block_bytes, flags, cluster }
}

/// The function of a launch that has one. TN_ERR_INVALID: it has two.
fn code(config: &tn_launch_config) -> Result<Code> {
    flags::check("flags", config.flags, TN_LAUNCH_COOPERATIVE | TN_LAUNCH_OVERLAP, &flags::LAUNCH)?;
    match config.host_function {
        Some(_) if config.flags != 0 || config.cluster != [0; 3] => Err(fail(
            TN_ERR_INVALID,
            format_args!("flags and cluster are for kernels of a GPU; leave them 0 with host_function"),
        )),
        None => Ok(Code::Device(Kernel::new(config.function))),
        Some(function) if config.function.is_null() => Ok(Code::Host(function)),
        Some(_) => {
            Err(fail(TN_ERR_INVALID, format_args!("function and host_function are both there; pass one of them")))
        }
    }
}
