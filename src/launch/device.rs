//! Launches on a GPU.
//!
//! Contract: the stream is made to wait for unfinished work on the arrays. The kernel can reach every array, or nothing
//! is launched. The driver reads the arguments during the call.

use super::argument::{Arguments, PerArgument};
use crate::array::{self, Checked};
use crate::borrow::{self, BorrowContext, KernelView, kernel_view};
use crate::error::{FirstError, Kept, Result, fail, quietly};
use crate::gpu;
use crate::gpu::kernel::{Answers, Kernel, Shape};
use crate::ledger::{self, Claim, InternalGuard, Locked, UseTime};
use crate::lists;
use crate::mirror::{Borrowed, Side};
use crate::names::DeviceName;
use crate::stream::{self, Point, Stream, StreamArg};
use crate::types::*;
use core::ffi::{CStr, c_void};

/// Where a kernel runs.
#[derive(Clone, Copy)]
struct Target {
    stream: &'static Stream,
    /// The call waits until the kernel is done.
    is_synchronous: bool,
}

impl Target {
    /// The stream of a launch. A constant, or NULL, means one of the GPU of the first array that is memory of a GPU, or
    /// else of the first mirror, or else of the thread's current context.
    fn of(stream: &StreamArg, devices: &[tn_device], of_mirrors: Option<tn_device>) -> Result<Target> {
        let of_arrays = devices.iter().copied().find(|device| device.r#type == TN_CUDA);
        let device = match (stream, of_arrays.or(of_mirrors)) {
            (StreamArg::StreamRef(stream), _) => stream.stream().device(),
            (_, Some(device)) => device,
            (_, None) => gpu::home()?.device(),
        };
        if let Some(stream) = stream.on(device)? {
            return Ok(Target { stream, is_synchronous: false });
        }
        let stream = stream::current(device)?;
        if stream.is_capturing()? {
            return Err(fail(
                TN_ERR_UNSUPPORTED,
                format_args!(
                    "the thread's current stream is capturing a graph, and stream NULL waits; pass that stream"
                ),
            ));
        }
        Ok(Target { stream, is_synchronous: true })
    }

    /// TN_ERR_DEVICE for memory that the kernel cannot reach.
    fn check_reach(self, device: tn_device) -> Result<()> {
        let gpu = self.stream.device().id;
        let advice = match device.r#type {
            TN_CUDA if device.id != gpu => "copy the array to that GPU with tn_array_to_device",
            TN_CPU => "copy the array with tn_array_to_device, or use memory of a pool with TN_HOST_MAPPED",
            _ => return Ok(()),
        };
        let text = format_args!("device {} is out of reach of a kernel of GPU {gpu}; {advice}", DeviceName(device));
        Err(fail(TN_ERR_DEVICE, text))
    }
}

/// # Safety
/// - The obligations of [`super::launch`].
pub unsafe fn launch(
    function: &'static CStr,
    kernel: Kernel,
    shape: &Shape,
    stream: &StreamArg,
    arguments: &Arguments<'_>,
) -> Result<()> {
    let sizes = arguments.sizes()?;
    let devices = devices(arguments)?;
    let target = Target::of(stream, &devices, arguments.device_of_mirrors()).map_err(Kept::new);
    let unmapped = check_mapped(arguments, &devices);
    let answers = match &target {
        Ok(target) if !kernel.is_confirmed(target.stream.gpu(), shape, &sizes) => match target.stream.enter() {
            Ok(inside) => kernel.ask(&inside, shape, &sizes),
            Err(status) => Answers { shape: Err(Kept::new(status)), ..Answers::CONFIRMED },
        },
        _ => Answers::CONFIRMED,
    };
    let check_shapes = |locked: &Locked, claims: &[&'static Claim]| -> Checked<()> {
        let mut first = FirstError::default();
        let _ = answers.parameters.as_ref().map_err(|kept| first.see(kept.report()));
        arguments.check_layouts(locked, claims, &mut first);
        match &target {
            Ok(target) => {
                for (array, device) in arguments.arrays().iter().zip(&devices) {
                    let _ = target.check_reach(*device).map_err(|status| first.see(array.about(status)));
                }
            }
            Err(kept) => first.see(kept.report()),
        }
        let _ = unmapped.as_ref().map_err(|kept| first.see(kept.report()));
        first.into_status().map_or(Ok(()), |status| Err(status.into()))
    };
    let check_last = || answers.shape.as_ref().copied().map_err(Kept::report);
    let when =
        |waits| UseTime { stream: target.as_ref().ok().map(|target| target.stream), ..UseTime::HOST.waiting(waits) };
    let call = BorrowContext {
        check_shapes: Some(&check_shapes),
        check_last: Some(&check_last),
        ..BorrowContext::new(function)
    };
    let mut values = arguments.values()?;
    let guards = arguments.acquire(call, when)?;
    let target = target.map_err(|kept| kept.report())?;
    let mirrors = match arguments.borrow_mirrors(function, Side::Device, &target.argument()) {
        Ok(mirrors) => mirrors,
        Err(status) => {
            borrow::abandon_all(guards.into_iter());
            return Err(status);
        }
    };
    let see = |guard: &InternalGuard| KernelView::of(guard.layout()).for_devices(guard.device());
    let launched = values.fill(arguments, &guards, &mirrors, see).and_then(|pointers| {
        // SAFETY: the caller's obligation. The guards are open, and end with a point behind the launch.
        unsafe { start(kernel, target.stream, shape, &sizes, pointers) }
    });
    match launched {
        Ok(()) => target.end(function, guards, mirrors),
        Err(status) => {
            borrow::abandon_all(guards.into_iter());
            quietly(|| mirrors.into_iter().for_each(Borrowed::abandon));
            Err(status)
        }
    }
}

/// # Safety
/// - The obligations of [`Kernel::launch`] beside those on the stream, which has a reference.
unsafe fn start(
    kernel: Kernel,
    stream: &'static Stream,
    shape: &Shape,
    sizes: &[usize],
    arguments: &mut [*mut c_void],
) -> Result<()> {
    let inside = stream.enter()?;
    // SAFETY: the caller's obligation.
    unsafe { kernel.launch(&inside, stream.raw(), shape, sizes, arguments) }
}

impl Target {
    /// The stream as an argument.
    fn argument(self) -> StreamArg {
        StreamArg::StreamRef(self.stream.new_ref())
    }

    /// Ends the guards behind the kernel. An error of a mirror is that of a transfer to its host side, which somebody
    /// holds.
    fn end(
        self,
        function: &'static CStr,
        guards: PerArgument<InternalGuard>,
        mirrors: PerArgument<Borrowed>,
    ) -> Result<()> {
        if self.is_synchronous {
            let outcome = self.stream.synchronize();
            let end = |guard: InternalGuard| match outcome {
                Ok(()) => guard.end(false),
                // The kernel may have written some of the elements, and may still write.
                Err(_) => guard.end_at(true, self.stream.end_of_use()),
            };
            quietly(|| guards.into_iter().for_each(end));
            let ended = end_mirrors(function, mirrors, outcome.is_err(), &StreamArg::Now, None);
            return outcome.and(ended);
        }
        let point = self.stream.end_of_launch();
        guards.into_iter().for_each(|guard| guard.end_at(false, point));
        let ended = end_mirrors(function, mirrors, false, &self.argument(), Some(point));
        // A call that records new work also polls what waits for earlier work.
        ledger::poll_deferred(ledger::POLLED_PER_CALL);
        ended
    }
}

/// Ends the borrows of mirrors, and returns the first error.
pub(super) fn end_mirrors(
    function: &'static CStr,
    mirrors: PerArgument<Borrowed>,
    failed: bool,
    stream: &StreamArg,
    until: Option<Point>,
) -> Result<()> {
    let mut first = FirstError::default();
    for mirror in mirrors {
        let _ = mirror.end(function, failed, stream, until).map_err(|status| first.see(status));
    }
    first.into_status().map_or(Ok(()), Err)
}

/// The devices of the arrays.
fn devices(arguments: &Arguments<'_>) -> Result<PerArgument<tn_device>> {
    let mut devices = PerArgument::new();
    lists::reserve(&mut devices, arguments.arrays().len())?;
    for array in arguments.arrays() {
        devices.push(array::device(array.id)?);
    }
    Ok(devices)
}

/// TN_ERR_DEVICE for page-locked memory that is not mapped for devices.
fn check_mapped(arguments: &Arguments<'_>, devices: &[tn_device]) -> core::result::Result<(), Kept> {
    let page_locked = arguments.arrays().iter().zip(devices).filter(|(_, device)| device.r#type == TN_CUDA_HOST);
    for (array, device) in page_locked {
        let address = array::snapshot(array.id).map(|layout| layout.extent().map_or(0, |_| layout.offset() as u64));
        address
            .and_then(|address| kernel_view::device_address(address, *device).map(drop))
            .map_err(|status| Kept::new(array.about(status)))?;
    }
    Ok(())
}
