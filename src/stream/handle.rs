//! Handles on streams: `tn_stream`.
//!
//! Contract: a handle has a reference on its stream, so a stream lives as long as a handle, a thread or a scope uses
//! it. A release never waits. A handle on the per-thread stream means that of the calling thread, as the driver's
//! constant does.

use super::slot;
use super::state::Origin;
use super::stream_ref::StreamRef;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::slots::{Id, Kind};

/// The stream of a handle.
#[derive(Clone)]
pub(super) enum Meaning {
    /// The calling thread's per-thread stream of a GPU.
    PerThread(&'static Gpu),
    /// A stream.
    StreamRef(StreamRef),
}

impl slot::Body for Meaning {
    const KIND: Kind = Kind::Stream;
}

impl Meaning {
    /// The meaning of a new handle on a stream that the calling thread uses.
    pub fn of(stream: StreamRef) -> Meaning {
        match stream.stream().origin() {
            Origin::PerThread => Meaning::PerThread(stream.stream().gpu()),
            _ => Meaning::StreamRef(stream),
        }
    }
}

/// Makes a handle.
pub(super) fn make(meaning: Meaning) -> Result<Id> {
    slot::make(meaning)
}

/// The stream of a handle. TN_ERR_STALE, TN_ERR_KIND.
pub(super) fn meaning(id: Id) -> Result<Meaning> {
    slot::with(id, |meaning: &mut Meaning| meaning.clone())
}

/// Releases a handle. The stream lives on while it has other references.
pub fn release(id: Id) -> Result<()> {
    slot::release::<Meaning>(id)
}
