//! The fast path of a launch on a GPU: a few plain arrays of that GPU, which nobody else uses, in the order of a
//! stream.
//!
//! Contract: either does all of the launch, or changes nothing and says so. The slow path then knows every case and
//! every status. An array that has unfinished work of the stream itself is the common case.

use crate::borrow::{self, Mode, Use, kernel_view};
use crate::error::Result;
use crate::gpu::kernel::{Kernel, Shape};
use crate::layout::Layout;
use crate::ledger::{self, InternalGuard};
use crate::slots::Id;
use crate::stream::{Stream, StreamArg};
use crate::thread::{self, Thread};
use crate::types::*;
use core::ffi::c_void;
use smallvec::SmallVec;

/// Most arguments.
const MAX_ARGS: usize = 16;
/// Most words of all views together.
const MAX_WORDS: usize = 128;

/// Launches a kernel on the stream that C's argument with these bits means. None: the caller takes the slow path, after
/// [`super::check_handles`].
///
/// # Safety
/// - The obligations of [`super::launch`].
pub unsafe fn launch(kernel: Kernel, shape: &Shape, stream: u64, args: &[tn_arg]) -> Option<Result<()>> {
    let is_shape = shape.grid.iter().chain(&shape.block).all(|size| *size > 0) && shape.block_bytes >= 0;
    if stream == 0 || args.len() > MAX_ARGS || !is_shape {
        return None;
    }
    let argument = StreamArg::of(stream).ok()?;
    let stream = argument.of_only_gpu()?;
    let thread = thread::current();
    let mut launch = Launch::new(thread, stream);
    args.iter().try_for_each(|arg| launch.add(arg))?;
    // SAFETY: the caller's obligation.
    let launched = unsafe { launch.start(kernel, shape, args) };
    Some(launched.map(|()| launch.end()))
}

/// A launch in progress. Its drop abandons the guards.
struct Launch {
    thread: &'static Thread,
    stream: &'static Stream,
    guards: SmallVec<[InternalGuard; MAX_ARGS]>,
    /// The views and addresses of the arrays, one after the other.
    words: SmallVec<[i64; MAX_WORDS]>,
    sizes: SmallVec<[usize; MAX_ARGS]>,
}

impl Launch {
    #[inline(always)]
    fn new(thread: &'static Thread, stream: &'static Stream) -> Launch {
        Launch { thread, stream, guards: SmallVec::new(), words: SmallVec::new(), sizes: SmallVec::new() }
    }

    /// Adds an argument, and opens its guard.
    #[inline(always)]
    fn add(&mut self, arg: &tn_arg) -> Option<()> {
        const READ: Use = Use::Read { frozen: false };
        const UPDATE: Use = Use::Write { mode: Mode::Aliased, discard: false };
        const OVERWRITE: Use = Use::Write { mode: Mode::Aliased, discard: true };
        let size = match arg.kind {
            _ if arg.reserved != 0 => return None,
            TN_ARG_VALUE if arg.bytes > 0 && !arg.what.is_null() => {
                self.sizes.push(arg.bytes);
                return Some(());
            }
            TN_ARG_POINTER => size_of::<*const c_void>(),
            TN_ARG_ARRAY if kernel_view::MAX_VIEW_NDIM as u32 >= arg.ndim as u32 => borrow::KernelView::bytes(arg.ndim),
            _ => return None,
        };
        let wanted = match arg.access {
            TN_READ => READ,
            TN_WRITE => OVERWRITE,
            TN_READ_WRITE => UPDATE,
            _ => return None,
        };
        let (stream, words) = (self.stream, &mut self.words);
        let see = |layout: &Layout, device| stream.has_gpu_of(device) && append(words, layout, arg);
        let guard = borrow::open_on_stream_fast(self.thread, Id::from_bits(arg.what as u64), wanted, stream, see)?;
        self.guards.push(guard);
        self.sizes.push(size);
        Some(())
    }

    /// # Safety
    /// - The obligations of [`super::launch`]; all arguments were added.
    #[inline(always)]
    unsafe fn start(&mut self, kernel: Kernel, shape: &Shape, args: &[tn_arg]) -> Result<()> {
        let mut pointers: SmallVec<[*mut c_void; MAX_ARGS]> = SmallVec::new();
        let mut words = self.words.as_mut_ptr();
        for (arg, size) in args.iter().zip(&self.sizes) {
            if arg.kind == TN_ARG_VALUE {
                pointers.push(arg.what.cast_mut());
            } else {
                pointers.push(words.cast());
                words = words.wrapping_byte_add(*size);
            }
        }
        let inside = self.stream.enter_unrelaxed()?;
        // SAFETY: the caller's obligation. The stream has a reference, and the guards are open until a point behind the
        // launch.
        unsafe { kernel.launch(&inside, self.stream.raw(), shape, &self.sizes, &mut pointers) }
    }

    /// Ends the guards behind the kernel.
    #[inline(always)]
    fn end(mut self) {
        let point = self.stream.end_of_launch();
        for guard in self.guards.drain(..) {
            guard.end_on_stream(self.thread, point);
        }
        ledger::poll_deferred(ledger::POLLED_PER_CALL);
    }
}

impl Drop for Launch {
    #[inline(always)]
    fn drop(&mut self) {
        if !self.guards.is_empty() {
            borrow::abandon_all(self.guards.drain(..));
        }
    }
}

/// Appends what the kernel gets of an array. False: the array does not fit, or there is no room.
#[inline(always)]
fn append(words: &mut SmallVec<[i64; MAX_WORDS]>, layout: &Layout, arg: &tn_arg) -> bool {
    let ndim = layout.ndim();
    if ndim == 0 || layout.is_empty() || !layout.is_aligned_to(layout.item()) || words.len() + 1 + 2 * ndim > MAX_WORDS
    {
        return false;
    }
    if arg.kind == TN_ARG_POINTER {
        words.push(layout.offset());
        return layout.is_c();
    }
    words.push(layout.offset());
    words.extend(layout.shape().iter().copied());
    words.extend(layout.strides().iter().copied());
    arg.ndim as usize == ndim
}
