//! Kernels of the host: functions of the program that run one block at a call.
//!
//! Contract: the function is called once for each block of the grid, on the calling thread's runner if it has one. The
//! launch returns when all blocks are done. Blocks that run at the same time have memory of their own.

use super::argument::Arguments;
use super::device::end_mirrors;
use crate::array::Checked;
use crate::borrow::{self, BorrowContext, KernelView};
use crate::error::{FirstError, Kept, Result, fail};
use crate::gpu::kernel::Shape;
use crate::ledger::{Claim, Locked, UseTime};
use crate::mirror::Side;
use crate::runner;
use crate::stream::StreamArg;
use crate::types::*;
use core::ffi::{CStr, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU64, Ordering};

type Function = unsafe extern "C" fn(block: *const tn_host_block, args: *const *mut c_void);

/// The unit and the alignment of block memory.
#[derive(Clone, Copy)]
#[repr(align(128))]
struct Line(#[allow(dead_code)] [u8; 128]);

/// # Safety
/// - The obligations of [`super::launch`].
pub unsafe fn launch(
    function: &'static CStr,
    kernel: Function,
    shape: &Shape,
    stream: &StreamArg,
    arguments: &Arguments<'_>,
) -> Result<()> {
    let stream = check_stream(stream).map_err(Kept::new);
    let check_shapes = |locked: &Locked, claims: &[&'static Claim]| -> Checked<()> {
        let mut first = FirstError::default();
        arguments.check_layouts(locked, claims, &mut first);
        let _ = stream.as_ref().map_err(|kept| first.see(kept.report()));
        first.into_status().map_or(Ok(()), |status| Err(status.into()))
    };
    // Lack of memory is found out before the guards open, and reported after conflicts.
    let blocks = Blocks::of(shape).map_err(Kept::new);
    let check_last = || blocks.as_ref().map(drop).map_err(Kept::report);
    let call = BorrowContext {
        check_shapes: Some(&check_shapes),
        check_last: Some(&check_last),
        ..BorrowContext::by_host(function)
    };
    let mut values = arguments.values()?;
    let guards = arguments.acquire(call, |waits| UseTime::HOST.waiting(waits))?;
    let blocks = blocks.map_err(|kept| kept.report())?;
    let mirrors = match arguments.borrow_mirrors(function, Side::Host, &StreamArg::Now) {
        Ok(mirrors) => mirrors,
        Err(status) => {
            borrow::abandon_all(guards.into_iter());
            return Err(status);
        }
    };
    let pointers = values.fill(arguments, &guards, &mirrors, |guard| Ok(KernelView::of(guard.layout())))?;
    // SAFETY: the caller's obligation. The guards are open, and end after the last block.
    unsafe { blocks.run(kernel, pointers) };
    guards.into_iter().for_each(|guard| guard.end(false));
    end_mirrors(function, mirrors, false, &StreamArg::Now, None)
}

/// TN_ERR_DEVICE for a stream of a GPU.
fn check_stream(stream: &StreamArg) -> Result<()> {
    match stream {
        StreamArg::StreamRef(stream) => Err(fail(
            TN_ERR_DEVICE,
            format_args!(
                "a stream of GPU {} runs no kernels of the host; pass NULL or a constant",
                stream.stream().device().id
            ),
        )),
        _ => Ok(()),
    }
}

/// The blocks of a launch, with their memory.
struct Blocks<'a> {
    shape: &'a Shape,
    count: u64,
    /// The number of threads that run blocks at the same time, at most.
    tasks: usize,
    /// The memory of all tasks.
    lines: Vec<Line>,
    lines_per_task: usize,
}

impl Blocks<'_> {
    /// TN_ERR_NO_HOST_MEMORY; TN_ERR_LIMIT: their number does not fit into 64 bits.
    fn of(shape: &Shape) -> Result<Blocks<'_>> {
        let [x, y, z] = shape.grid.map(u64::from);
        let Some(count) = (x * y).checked_mul(z) else {
            let text = format_args!("a grid of {x} x {y} x {z} blocks; the host runs fewer than 2^64");
            return Err(fail(TN_ERR_LIMIT, text));
        };
        let tasks = runner::threads().min(usize::try_from(count).unwrap_or(usize::MAX));
        let lines_per_task = (shape.block_bytes as u64).div_ceil(size_of::<Line>() as u64) as usize;
        let mut lines = Vec::new();
        let reserved = lines_per_task.checked_mul(tasks).and_then(|n| lines.try_reserve_exact(n).ok());
        reserved.ok_or_else(|| {
            let text = format_args!("no memory for {} bytes of each of {tasks} blocks at a time", shape.block_bytes);
            fail(TN_ERR_NO_HOST_MEMORY, text)
        })?;
        Ok(Blocks { shape, count, tasks, lines, lines_per_task })
    }

    /// Runs all of them.
    ///
    /// # Safety
    /// - The obligations of [`super::launch`]; `arguments` point to the values of the kernel's parameters.
    unsafe fn run(mut self, kernel: Function, arguments: &[*mut c_void]) {
        let memory = if self.lines_per_task == 0 { null_mut() } else { self.lines.as_mut_ptr() };
        let work = Work { kernel, blocks: &self, arguments, next: AtomicU64::new(0), memory };
        // SAFETY: the caller's obligation, for each block.
        runner::each(self.tasks, &|task| unsafe { work.run_blocks(task) });
    }
}

/// A launch in progress, shared by the threads that run its blocks.
struct Work<'a> {
    kernel: Function,
    blocks: &'a Blocks<'a>,
    arguments: &'a [*mut c_void],
    /// The first block that no task has taken.
    next: AtomicU64,
    /// NULL: the launch asks for none.
    memory: *mut Line,
}

// SAFETY: the pointers are those of a launch, whose arguments and memory outlive the tasks. Each task uses its own part
// of the memory.
unsafe impl Sync for Work<'_> {}

impl Work<'_> {
    /// Runs blocks until none is left.
    ///
    /// # Safety
    /// - The obligations of [`Blocks::run`]; no other thread runs this task.
    unsafe fn run_blocks(&self, task: usize) {
        let Shape { grid, block, block_bytes, .. } = *self.blocks.shape;
        let memory = match self.memory.is_null() {
            true => null_mut(),
            false => self.memory.wrapping_add(task * self.blocks.lines_per_task).cast(),
        };
        let [x, y, _] = grid.map(u64::from);
        loop {
            // Relaxed: it only hands out numbers.
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.blocks.count {
                return;
            }
            let block = tn_host_block {
                size: size_of::<tn_host_block>(),
                grid,
                block,
                index: [(number % x) as u32, (number / x % y) as u32, (number / x / y) as u32],
                reserved: 0,
                memory,
                memory_bytes: block_bytes as usize,
            };
            // SAFETY: the caller's obligation.
            unsafe { (self.kernel)(&block, self.arguments.as_ptr()) };
        }
    }
}
