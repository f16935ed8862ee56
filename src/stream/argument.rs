//! Stream arguments of C.
//!
//! Contract: [`StreamArg::of`] looks at the handle alone, and keeps a reference on its stream. [`StreamArg::on`]
//! resolves the argument for a device. NULL and the constants need no driver until a GPU is meant.

use super::current::{current_of, gpu_of, legacy, own};
use super::handle::{self, Meaning};
use super::state::Stream;
use super::stream_ref::StreamRef;
use crate::error::{Result, fail, quietly};
use crate::gpu::{self, Gpu};
use crate::slots::Id;
use crate::types::*;

/// A stream argument.
#[derive(Debug)]
pub enum StreamArg {
    /// NULL: the host, now.
    Now,
    /// TN_STREAM_LEGACY, of the device of the call.
    Legacy,
    /// TN_STREAM_PER_THREAD, likewise.
    PerThread,
    /// TN_STREAM_CURRENT, likewise.
    Current,
    /// A handle.
    StreamRef(StreamRef),
}

impl StreamArg {
    /// The bits of TN_STREAM_LEGACY.
    pub const LEGACY: u64 = 1;
    /// The bits of TN_STREAM_PER_THREAD.
    pub const PER_THREAD: u64 = 2;
    /// The bits of TN_STREAM_CURRENT.
    pub const CURRENT: u64 = 3;

    /// Whether the argument is NULL or one of the three constants. On host memory all of them mean "the host, now".
    #[inline(always)]
    pub fn is_now(bits: u64) -> bool {
        bits <= StreamArg::CURRENT
    }

    /// Whether the argument is NULL: the host, now, whatever the memory.
    pub fn is_null(&self) -> bool {
        matches!(self, StreamArg::Now)
    }

    /// The argument with the bits that C passes. TN_ERR_STALE, TN_ERR_KIND.
    #[inline]
    pub fn of(bits: u64) -> Result<StreamArg> {
        match bits {
            0 => Ok(StreamArg::Now),
            StreamArg::LEGACY => Ok(StreamArg::Legacy),
            StreamArg::PER_THREAD => Ok(StreamArg::PerThread),
            StreamArg::CURRENT => Ok(StreamArg::Current),
            _ => StreamArg::of_handle(Id::from_bits(bits)),
        }
    }

    /// The stream of a handle, for fast paths. None: NULL, a constant, or no handle of a stream, for the slow path to
    /// judge.
    #[inline]
    pub fn of_handle_alone(bits: u64) -> Option<StreamRef> {
        match StreamArg::of(bits) {
            Ok(StreamArg::StreamRef(stream_ref)) => Some(stream_ref),
            _ => None,
        }
    }

    #[inline(never)]
    fn of_handle(id: Id) -> Result<StreamArg> {
        Ok(StreamArg::StreamRef(match handle::meaning(id)? {
            Meaning::PerThread(gpu) => own(gpu)?.new_ref(),
            Meaning::StreamRef(stream) => stream,
        }))
    }

    /// The stream; for a constant that of `gpu`. TN_ERR_NULL for NULL.
    pub(super) fn stream_on(&self, gpu: &'static Gpu) -> Result<&'static Stream> {
        match self {
            StreamArg::Now => Err(fail(TN_ERR_NULL, format_args!("stream is NULL"))),
            StreamArg::Legacy => legacy(gpu),
            StreamArg::PerThread => own(gpu),
            StreamArg::Current => current_of(gpu),
            StreamArg::StreamRef(stream_ref) => Ok(stream_ref.stream()),
        }
    }

    /// The stream of a handle; for a constant that of the GPU, if there is only one. None for NULL.
    #[inline]
    pub fn of_only_gpu(&self) -> Option<&'static Stream> {
        match self {
            StreamArg::Now => None,
            StreamArg::StreamRef(stream_ref) => Some(stream_ref.stream()),
            constant => quietly(|| constant.stream_on(gpu::only()?)).ok(),
        }
    }

    /// The stream, which must be of `gpu`: TN_ERR_DEVICE if not. TN_ERR_NULL for NULL.
    pub(super) fn stream_of(&self, gpu: &'static Gpu) -> Result<&'static Stream> {
        let stream = self.stream_on(gpu)?;
        if core::ptr::eq(stream.gpu(), gpu) {
            return Ok(stream);
        }
        Err(fail(
            TN_ERR_DEVICE,
            format_args!(
                "the stream belongs to GPU {}, and this call needs one of GPU {}",
                stream.gpu().id(),
                gpu.id()
            ),
        ))
    }

    /// The stream for memory of a device; None: the host, now. TN_ERR_DEVICE: a stream of another device;
    /// TN_ERR_UNSUPPORTED: no driver.
    pub fn on(&self, device: tn_device) -> Result<Option<&'static Stream>> {
        match (device.r#type, self) {
            (_, StreamArg::Now) => Ok(None),
            (TN_CPU, StreamArg::StreamRef(stream_ref)) => Err(fail(
                TN_ERR_DEVICE,
                format_args!(
                    "a stream of GPU {} cannot order work on host memory; pass NULL or a constant",
                    stream_ref.stream().gpu().id()
                ),
            )),
            (TN_CPU, _) => Ok(None),
            (TN_CUDA, StreamArg::StreamRef(stream_ref)) if stream_ref.stream().gpu().id() != device.id => Err(fail(
                TN_ERR_DEVICE,
                format_args!(
                    "the stream belongs to GPU {}, and the memory is on GPU {}; pass a stream of that GPU",
                    stream_ref.stream().gpu().id(),
                    device.id
                ),
            )),
            (_, StreamArg::StreamRef(stream_ref)) => Ok(Some(stream_ref.stream())),
            _ => self.stream_on(gpu_of(device)?).map(Some),
        }
    }
}
