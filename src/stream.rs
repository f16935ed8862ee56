//! Streams as the layers above see them: an order of device work, and what of it is not finished yet.
//!
//! Contract: a [`Timeline`] belongs to one store and is guarded by its ledger's lock; asking it never waits and never calls a
//! driver under that lock. Host memory has no unfinished work, so here it is always idle; the CUDA device fills it in.
#![forbid(unsafe_code)]

use crate::error::{Result, fail};
use crate::types::*;

/// Work recorded on a stream that has touched some bytes.
pub trait Work: Sync {
    /// Whether it is known to be finished; never waits.
    fn is_done(&self) -> bool;
    /// Whether it wrote.
    fn wrote(&self) -> bool;
    /// The next work of the same timeline.
    fn next(&self) -> Option<&'static dyn Work>;
}

/// The unfinished work on a store.
#[derive(Default)]
pub struct Timeline {
    first: Option<&'static dyn Work>,
}

impl Timeline {
    /// No work.
    pub const IDLE: Timeline = Timeline { first: None };

    /// Whether work that excludes the host is unfinished: any for a writer, writers for a reader.
    pub fn is_pending(&self, writing: bool) -> bool {
        let mut at = self.first;
        while let Some(work) = at {
            if (writing || work.wrote()) && !work.is_done() {
                return true;
            }
            at = work.next();
        }
        false
    }
}

/// What a stream argument means: its bits as C passes them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stream(u64);

impl Stream {
    /// NULL or one of the three constants.
    #[inline]
    pub fn is_now(bits: u64) -> bool {
        bits <= 3
    }
    /// NULL and, on host memory, the three constants: "the host, now". Anything else is no stream: none can be made yet.
    pub fn of(bits: u64) -> Result<Stream> {
        match bits {
            _ if Stream::is_now(bits) => Ok(Stream(bits)),
            _ => Err(fail(
                TN_ERR_KIND,
                format_args!("{bits:#x} is no tn_stream; pass NULL or one of the stream constants"),
            )),
        }
    }
}
