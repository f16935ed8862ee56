//! What a stream argument of C means.
//!
//! Contract: [`Stream::of`] looks at the handle alone and holds what it names while the value lives; [`Stream::on`] says what that is for a
//! device. No driver is needed for NULL and the constants until a GPU is meant.

use super::current::{current_of, gpu_of, legacy, own};
use super::handle;
use super::queue::Queue;
use super::queue_ref::QueueRef;
use crate::error::{Result, fail};
use crate::gpu::Gpu;
use crate::slots::Id;
use crate::types::*;

/// The constants' bits.
pub(super) const CONSTANTS: core::ops::RangeInclusive<u64> = 1..=3;

/// A stream argument.
#[derive(Debug)]
pub enum Stream {
    /// NULL: the host, now.
    Now,
    /// TN_STREAM_LEGACY, of the device that the call is about.
    Legacy,
    /// TN_STREAM_PER_THREAD, likewise.
    PerThread,
    /// TN_STREAM_CURRENT, likewise.
    Current,
    /// A handle.
    QueueRef(QueueRef),
}

impl Stream {
    /// NULL or one of the three constants: on host memory all of them are "the host, now".
    #[inline(always)]
    pub fn is_now(bits: u64) -> bool {
        bits <= *CONSTANTS.end()
    }

    /// Whether it is NULL: the host, now, whatever the memory.
    pub fn is_null(&self) -> bool {
        matches!(self, Stream::Now)
    }

    /// From the bits that C passes. TN_ERR_STALE, TN_ERR_KIND.
    #[inline]
    pub fn of(bits: u64) -> Result<Stream> {
        match bits {
            0 => Ok(Stream::Now),
            1 => Ok(Stream::Legacy),
            2 => Ok(Stream::PerThread),
            3 => Ok(Stream::Current),
            _ => handle::find(Id::from_bits(bits)),
        }
    }

    /// The queue that it means where streams of GPUs are meant, those of `gpu` by the constants. TN_ERR_NULL for NULL.
    pub(super) fn queue_on(&self, gpu: &'static Gpu) -> Result<&'static Queue> {
        match self {
            Stream::Now => Err(fail(TN_ERR_NULL, format_args!("stream is NULL"))),
            Stream::Legacy => legacy(gpu),
            Stream::PerThread => own(gpu),
            Stream::Current => current_of(gpu),
            Stream::QueueRef(held) => Ok(held.queue()),
        }
    }

    /// The same, of that GPU. TN_ERR_DEVICE: it is a stream of another one.
    pub(super) fn queue_of(&self, gpu: &'static Gpu) -> Result<&'static Queue> {
        let queue = self.queue_on(gpu)?;
        if core::ptr::eq(queue.gpu(), gpu) {
            return Ok(queue);
        }
        Err(fail(
            TN_ERR_DEVICE,
            format_args!("the stream is one of GPU {}, and GPU {} is meant", queue.gpu().id(), gpu.id()),
        ))
    }

    /// The order that it means on a device; None: the host, now. TN_ERR_DEVICE: it is a stream of another device; TN_ERR_UNSUPPORTED:
    /// there is no driver.
    pub fn on(&self, device: tn_device) -> Result<Option<&'static Queue>> {
        match (device.r#type, self) {
            (_, Stream::Now) => Ok(None),
            (TN_CPU, Stream::QueueRef(held)) => Err(fail(
                TN_ERR_DEVICE,
                format_args!(
                    "a stream of GPU {} orders nothing on host memory; pass NULL or a constant",
                    held.queue().gpu().id()
                ),
            )),
            (TN_CPU, _) => Ok(None),
            (TN_CUDA, Stream::QueueRef(held)) if held.queue().gpu().id() != device.id => Err(fail(
                TN_ERR_DEVICE,
                format_args!(
                    "the stream is one of GPU {}, and the memory is on GPU {}; pass a stream of that one",
                    held.queue().gpu().id(),
                    device.id
                ),
            )),
            (_, Stream::QueueRef(held)) => Ok(Some(held.queue())),
            _ => self.queue_on(gpu_of(device)?).map(Some),
        }
    }
}
