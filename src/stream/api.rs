//! The functions behind C's functions on streams (ST-1 to ST-6, ST-14).

use super::argument::StreamArg;
use super::current::{current_of, gpu_with_streams, legacy, replace_current};
use super::end;
use super::handle::{self, Meaning};
use super::state::{self, LEGACY, Origin, PER_THREAD, Stream};
use super::stream_ref::{self, StreamRef};
use crate::cuda_driver::{CUcontext, CUstream, driver};
use crate::error::{Result, fail, quietly};
use crate::flags;
use crate::gpu::{self, Gpu, Inside, managed};
use crate::slots::Id;
use crate::types::*;
use core::ffi::c_uint;

/// CU_STREAM_NON_BLOCKING: not ordered with the legacy stream.
const NON_BLOCKING: c_uint = 1;

/// Creates a stream, and returns a handle on it.
pub fn create(device: tn_device, flags: u32, priority: i32) -> Result<Id> {
    flags::check("flags", flags, TN_STREAM_BLOCKING, &flags::STREAM)?;
    let gpu = gpu_with_streams(device)?;
    let inside = gpu.enter()?;
    // Reuse the streams that ended first.
    end::reap();
    let (mut least, mut greatest) = (0, 0);
    // SAFETY: the numbers are ours.
    let number = unsafe { inside.cuCtxGetStreamPriorityRange(&mut least, &mut greatest)? };
    gpu.check(number, "cuCtxGetStreamPriorityRange")?;
    let priority = priority.clamp(greatest.min(least), least.max(greatest));
    handle::make(Meaning::StreamRef(create_native(&inside, flags & TN_STREAM_BLOCKING != 0, priority)?))
}

/// Creates a CUstream, and a stream for it with one reference.
pub(super) fn create_native(inside: &Inside, blocking: bool, priority: i32) -> Result<StreamRef> {
    let gpu = inside.gpu();
    let mut stream = core::ptr::null_mut();
    // SAFETY: the pointer is ours.
    let number =
        unsafe { inside.cuStreamCreateWithPriority(&mut stream, if blocking { 0 } else { NON_BLOCKING }, priority)? };
    gpu.check(number, "cuStreamCreateWithPriority")?;
    Stream::begin(gpu, stream as u64, Origin::Created, blocking).inspect_err(|_| {
        // SAFETY: created above, and not used.
        let _ = unsafe { inside.cuStreamDestroy_v2(stream) };
    })
}

/// Makes a handle on another library's CUstream.
pub fn import(device: tn_device, native: u64) -> Result<Id> {
    let gpu = gpu_with_streams(device)?;
    gpu.alive()?;
    handle::make(match native {
        0 | LEGACY => Meaning::StreamRef(legacy(gpu)?.new_ref()),
        PER_THREAD => Meaning::PerThread(gpu),
        _ => Meaning::StreamRef(known_or_adopted(gpu, native)?),
    })
}

/// The stream of a CUstream with a value of its own.
pub(super) fn known_or_adopted(gpu: &'static Gpu, native: u64) -> Result<StreamRef> {
    known(gpu, native)?.map_or_else(|| adopt(gpu, native), Ok)
}

/// The stream of a CUstream that is known already. The value may belong to a new stream by now, which its number shows.
fn known(gpu: &'static Gpu, native: u64) -> Result<Option<StreamRef>> {
    let Some(found) = stream_ref::find(gpu, native) else { return Ok(None) };
    let stream = found.stream();
    if stream.origin() == Origin::Created || stream.serial() == serial(gpu, native)? {
        return Ok(Some(found));
    }
    stream.lose_stream();
    Ok(None)
}

/// The driver's unique number of a stream; 0 where the driver is too old.
fn serial(gpu: &'static Gpu, native: u64) -> Result<u64> {
    let inside = gpu.enter()?;
    let mut serial = 0;
    // SAFETY: a stream, by the caller's obligation; the number is ours.
    match unsafe { inside.cuStreamGetId(native as CUstream, &mut serial) } {
        Ok(number) => gpu.check(number, "cuStreamGetId").map(|()| serial),
        Err(_) => Ok(0),
    }
}

/// Makes a stream for a CUstream that is not known yet.
fn adopt(gpu: &'static Gpu, native: u64) -> Result<StreamRef> {
    let inside = gpu.enter()?;
    let stream = native as CUstream;
    let mut flags = 0;
    let context = context_of(&inside, stream)?;
    if context != inside.context() {
        return Err(fail(
            TN_ERR_DEVICE,
            format_args!(
                "the CUstream {native:#x} does not belong to the primary context of GPU {}, which this library uses",
                gpu.id()
            ),
        ));
    }
    // SAFETY: as above.
    gpu.check(unsafe { inside.cuStreamGetFlags(stream, &mut flags)? }, "cuStreamGetFlags")?;
    let serial = serial(gpu, native)?;
    let adopted = Stream::begin(gpu, native, Origin::Imported, flags & NON_BLOCKING == 0)?;
    adopted.stream().set_serial(serial);
    Ok(adopted)
}

/// The context of a stream. For a stream of a green context this is the GPU's primary context, where the driver has the
/// second version of the function; the first one gives the green context since CUDA 13.
fn context_of(inside: &Inside, stream: CUstream) -> Result<CUcontext> {
    let (mut context, mut green) = (core::ptr::null_mut(), core::ptr::null_mut());
    // SAFETY: a stream, by the caller's obligation; the pointers are ours.
    let asked = match quietly(|| unsafe { inside.cuStreamGetCtx_v2(stream, &mut context, &mut green) }) {
        Ok(number) => number,
        // SAFETY: as above.
        Err(_) => unsafe { inside.cuStreamGetCtx(stream, &mut context)? },
    };
    inside.gpu().check(asked, "cuStreamGetCtx")?;
    Ok(context)
}

/// The CUstream value; never 0.
pub fn native(stream: &StreamArg) -> Result<u64> {
    match stream {
        StreamArg::Now => Err(fail(TN_ERR_NULL, format_args!("stream is NULL"))),
        StreamArg::Legacy => Ok(LEGACY),
        StreamArg::PerThread => Ok(PER_THREAD),
        StreamArg::Current => Err(fail(
            TN_ERR_KIND,
            format_args!(
                "TN_STREAM_CURRENT means a different stream for each device; get one of them with tn_stream_current"
            ),
        )),
        StreamArg::StreamRef(stream) => {
            driver()?;
            Ok(stream.stream().native())
        }
    }
}

/// Waits for a stream's work; for a constant, of that stream of every GPU that this process uses.
pub fn synchronize(stream: &StreamArg) -> Result<()> {
    match stream {
        StreamArg::Now => Err(fail(TN_ERR_NULL, format_args!("stream is NULL"))),
        StreamArg::StreamRef(stream) => stream.stream().synchronize(),
        constant => {
            driver()?;
            gpu::used().try_for_each(|gpu| constant.stream_on(gpu)?.synchronize())
        }
    }
}

/// Makes a stream the calling thread's current one of a GPU; NULL restores the default.
pub fn set_current(device: tn_device, stream: &StreamArg) -> Result<()> {
    let gpu = gpu_with_streams(device)?;
    gpu.alive()?;
    let stream = match stream {
        StreamArg::Now => None,
        stream => Some(stream.stream_of(gpu)?.new_ref()),
    };
    drop(replace_current(gpu, stream));
    Ok(())
}

/// Makes a handle on the calling thread's current stream of a GPU.
pub fn handle_on_current(device: tn_device) -> Result<Id> {
    let gpu = gpu_with_streams(device)?;
    gpu.alive()?;
    handle::make(Meaning::of(current_of(gpu)?.new_ref()))
}

/// Prefetches a range of managed memory to a device, in the order of a stream that the caller has a reference on.
pub fn prefetch(stream: &'static Stream, start: u64, bytes: usize, device: tn_device) -> Result<()> {
    let inside = stream.enter()?;
    // SAFETY: the CUstream of a stream belongs to its GPU, and exists while the stream has a reference.
    unsafe { managed::prefetch(&inside, stream.raw(), start, bytes, device) }
}

/// Waits for all work on a GPU, also of other libraries. Afterwards every point of its streams has passed (ST-14,
/// PD-8). Only the program asks for this: a wait for the whole device breaks each capture there, whatever its mode.
///
/// TN_ERR_UNSUPPORTED: a stream captures a graph, as far as the library may ask ([`refuse_captures`]).
pub fn synchronize_gpu(gpu: &'static Gpu) -> Result<()> {
    let inside = gpu.enter()?;
    refuse_captures(gpu)?;
    let tick = state::advance_clock();
    // SAFETY: inside.
    gpu.check(unsafe { inside.cuCtxSynchronize()? }, "cuCtxSynchronize")?;
    state::each(|stream| {
        if core::ptr::eq(stream.gpu(), gpu) {
            stream.pass(tick);
        }
    });
    end::reap();
    Ok(())
}

/// TN_ERR_UNSUPPORTED: a stream of the GPU captures a graph, as far as the library may ask. It asks the streams that it
/// created, and the legacy stream, which answers for all blocking ones. It does not ask imported streams, which their
/// owners may have destroyed.
pub fn refuse_captures(gpu: &'static Gpu) -> Result<()> {
    let mut captures = legacy(gpu)?.refuse_capture();
    state::each(|stream| {
        let asks = core::ptr::eq(stream.gpu(), gpu) && !stream.is_foreign();
        if asks && captures.is_ok() {
            captures = stream.refuse_capture();
        }
    });
    captures
}

/// Waits on the host for the work of a GPU's known streams, which breaks no capture. What has no event afterwards stays
/// unfinished: uses of another library's stream that ended within a capture, and of streams that it did not name.
pub fn outlast_streams(gpu: &'static Gpu) {
    state::each(|stream| {
        if core::ptr::eq(stream.gpu(), gpu) {
            quietly(|| stream.outlast());
        }
    });
}

/// A tick after all work that was issued so far, on any stream.
pub fn tick() -> u64 {
    state::advance_clock()
}

/// Whether all work that the library issued on a GPU before a tick is done. Queries the driver, records events, and
/// never waits. Called under no lock. False where the driver cannot tell.
pub fn is_done(gpu: &'static Gpu, tick: u64) -> bool {
    let mut done = true;
    state::each(|stream| {
        if core::ptr::eq(stream.gpu(), gpu) && !stream.is_no_stream() {
            done = done && quietly(|| stream.has_done(tick));
        }
    });
    done
}
