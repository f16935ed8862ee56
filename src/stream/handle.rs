//! Handles on streams: what `tn_stream` is.
//!
//! Contract: a handle holds its queue, so the stream lives as long as any handle, thread or scope has it; releasing one never waits. A handle
//! on the per-thread stream means that of whoever uses it, as the driver's value does.

use super::argument::Stream;
use super::current::own;
use super::queue::Origin;
use super::queue_ref::QueueRef;
use super::slot;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::slots::{Id, Kind};

/// What a handle is on.
#[derive(Clone)]
pub(super) enum Meaning {
    /// The per-thread stream of that GPU.
    PerThread(&'static Gpu),
    /// A queue.
    QueueRef(QueueRef),
}

impl slot::Body for Meaning {
    const KIND: Kind = Kind::Stream;
}

impl Meaning {
    /// What a handle on a stream that the calling thread uses is on.
    pub fn of(held: QueueRef) -> Meaning {
        match held.queue().origin() {
            Origin::PerThread => Meaning::PerThread(held.queue().gpu()),
            _ => Meaning::QueueRef(held),
        }
    }
}

/// A new handle.
pub(super) fn make(meaning: Meaning) -> Result<Id> {
    slot::make(meaning)
}

/// What a handle is on. TN_ERR_STALE, TN_ERR_KIND.
pub(super) fn meaning(id: Id) -> Result<Meaning> {
    slot::with(id, |meaning: &mut Meaning| meaning.clone())
}

/// The same as an argument.
#[inline(never)]
pub(super) fn find(id: Id) -> Result<Stream> {
    Ok(match meaning(id)? {
        Meaning::PerThread(gpu) => Stream::QueueRef(own(gpu)?.held()),
        Meaning::QueueRef(held) => Stream::QueueRef(held),
    })
}

/// Releases a handle; the stream itself lives on as long as somebody holds it.
pub fn release(id: Id) -> Result<()> {
    slot::release::<Meaning>(id)
}
