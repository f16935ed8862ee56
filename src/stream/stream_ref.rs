//! References on streams. A CUstream lives as long as its stream has one.
//!
//! Handles, scopes, the threads whose current stream it is, and running calls have references. The last one ends the
//! stream.

use super::end;
use super::state::{Origin, Stream, each};
use crate::error::Result;
use crate::gpu::Gpu;
use core::sync::atomic::Ordering;

/// A reference on a stream.
#[derive(Debug, PartialEq)]
#[repr(transparent)]
pub struct StreamRef(&'static Stream);

impl StreamRef {
    /// The stream.
    pub fn stream(&self) -> &'static Stream {
        self.0
    }
}

impl Stream {
    /// A stream for a CUstream, with one reference.
    pub(super) fn begin(gpu: &'static Gpu, native: u64, origin: Origin, blocking: bool) -> Result<StreamRef> {
        Stream::start(gpu, native, origin, blocking).map(StreamRef)
    }

    /// One more reference on a stream that the caller knows to have one.
    pub fn new_ref(&'static self) -> StreamRef {
        let before = self.refs.fetch_add(1, Ordering::Relaxed);
        debug_assert!(before > 0, "the caller knows that the stream has a reference");
        StreamRef(self)
    }

    /// Runs `work` with a reference on the stream. None: it has ended, is another library's, or another thread's.
    pub fn while_held<R>(&'static self, work: impl FnOnce(&'static Stream) -> R) -> Option<R> {
        let _held = self.try_ref().filter(|_| !self.is_foreign() && self.is_nameable())?;
        Some(work(self))
    }

    /// A reference, if the stream has one already.
    pub fn try_ref(&'static self) -> Option<StreamRef> {
        let more = |refs: u32| (refs > 0).then_some(refs + 1);
        self.refs.fetch_update(Ordering::Acquire, Ordering::Relaxed, more).ok().map(|_| StreamRef(self))
    }
}

impl Clone for StreamRef {
    fn clone(&self) -> StreamRef {
        self.0.new_ref()
    }
}

impl Drop for StreamRef {
    fn drop(&mut self) {
        // AcqRel: the end comes after all uses.
        if self.0.refs.fetch_sub(1, Ordering::AcqRel) == 1 {
            end::end(self.0);
        }
    }
}

/// The stream of a CUstream with a value of its own, if it is known.
pub(super) fn find(gpu: &'static Gpu, native: u64) -> Option<StreamRef> {
    let mut found = None;
    each(|stream| {
        if found.is_none() && stream.is_of(gpu, native) {
            // The stream may have ended a moment ago, and stand for another CUstream now.
            found = stream.try_ref().filter(|found| found.stream().is_of(gpu, native));
        }
    });
    found
}
