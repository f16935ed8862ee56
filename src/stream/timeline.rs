//! What of the device work on a store is not finished yet.
//!
//! Contract: a [`Timeline`] belongs to one store and is guarded by its ledger's lock; asking it never waits and never calls a
//! driver under that lock. Host memory has no unfinished work, so here it is always idle; the CUDA device fills it in.
#![forbid(unsafe_code)]

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
