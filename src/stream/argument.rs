//! Stream arguments of C.
//!
//! Contract: [`Stream::of`] looks at the handle alone, and keeps a reference on its queue. [`Stream::on`] resolves the argument for a
//! device. NULL and the constants need no driver until a GPU is meant.

use super::current::{current_of, gpu_of, legacy, own};
use super::handle::{self, Meaning};
use super::queue::Queue;
use super::queue_ref::QueueRef;
use crate::error::{Result, fail};
use crate::gpu::Gpu;
use crate::slots::Id;
use crate::types::*;

/// A stream argument.
#[derive(Debug)]
pub enum Stream {
    /// NULL: the host, now.
    Now,
    /// TN_STREAM_LEGACY, of the device of the call.
    Legacy,
    /// TN_STREAM_PER_THREAD, likewise.
    PerThread,
    /// TN_STREAM_CURRENT, likewise.
    Current,
    /// A handle.
    QueueRef(QueueRef),
}

impl Stream {
    /// The bits of TN_STREAM_LEGACY.
    pub const LEGACY: u64 = 1;
    /// The bits of TN_STREAM_PER_THREAD.
    pub const PER_THREAD: u64 = 2;
    /// The bits of TN_STREAM_CURRENT.
    pub const CURRENT: u64 = 3;

    /// Whether the argument is NULL or one of the three constants. On host memory all of them mean "the host, now".
    #[inline(always)]
    pub fn is_now(bits: u64) -> bool {
        bits <= Stream::CURRENT
    }

    /// Whether the argument is NULL: the host, now, whatever the memory.
    pub fn is_null(&self) -> bool {
        matches!(self, Stream::Now)
    }

    /// The argument with the bits that C passes. TN_ERR_STALE, TN_ERR_KIND.
    #[inline]
    pub fn of(bits: u64) -> Result<Stream> {
        match bits {
            0 => Ok(Stream::Now),
            Stream::LEGACY => Ok(Stream::Legacy),
            Stream::PER_THREAD => Ok(Stream::PerThread),
            Stream::CURRENT => Ok(Stream::Current),
            _ => Stream::of_handle(Id::from_bits(bits)),
        }
    }

    #[inline(never)]
    fn of_handle(id: Id) -> Result<Stream> {
        Ok(Stream::QueueRef(match handle::meaning(id)? {
            Meaning::PerThread(gpu) => own(gpu)?.new_ref(),
            Meaning::QueueRef(queue) => queue,
        }))
    }

    /// The queue; for a constant that of `gpu`. TN_ERR_NULL for NULL.
    pub(super) fn queue_on(&self, gpu: &'static Gpu) -> Result<&'static Queue> {
        match self {
            Stream::Now => Err(fail(TN_ERR_NULL, format_args!("stream is NULL"))),
            Stream::Legacy => legacy(gpu),
            Stream::PerThread => own(gpu),
            Stream::Current => current_of(gpu),
            Stream::QueueRef(queue_ref) => Ok(queue_ref.queue()),
        }
    }

    /// The queue, which must be of `gpu`: TN_ERR_DEVICE if not. TN_ERR_NULL for NULL.
    pub(super) fn queue_of(&self, gpu: &'static Gpu) -> Result<&'static Queue> {
        let queue = self.queue_on(gpu)?;
        if core::ptr::eq(queue.gpu(), gpu) {
            return Ok(queue);
        }
        Err(fail(
            TN_ERR_DEVICE,
            format_args!("the stream belongs to GPU {}, and this call needs one of GPU {}", queue.gpu().id(), gpu.id()),
        ))
    }

    /// The queue for memory of a device; None: the host, now. TN_ERR_DEVICE: a stream of another device; TN_ERR_UNSUPPORTED: no driver.
    pub fn on(&self, device: tn_device) -> Result<Option<&'static Queue>> {
        match (device.r#type, self) {
            (_, Stream::Now) => Ok(None),
            (TN_CPU, Stream::QueueRef(queue_ref)) => Err(fail(
                TN_ERR_DEVICE,
                format_args!(
                    "a stream of GPU {} cannot order work on host memory; pass NULL or a constant",
                    queue_ref.queue().gpu().id()
                ),
            )),
            (TN_CPU, _) => Ok(None),
            (TN_CUDA, Stream::QueueRef(queue_ref)) if queue_ref.queue().gpu().id() != device.id => Err(fail(
                TN_ERR_DEVICE,
                format_args!(
                    "the stream belongs to GPU {}, and the memory is on GPU {}; pass a stream of that GPU",
                    queue_ref.queue().gpu().id(),
                    device.id
                ),
            )),
            (_, Stream::QueueRef(queue_ref)) => Ok(Some(queue_ref.queue())),
            _ => self.queue_on(gpu_of(device)?).map(Some),
        }
    }
}
