//! What a pool has for spilling.

use super::files::Files;
use crate::thread::ColdLock;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};

/// What a pool has for spilling. Made once for each record of a pool.
pub struct Area {
    /// Taken while files are read and written.
    pub(super) turn: ColdLock<()>,
    pub(super) files: Files,
    /// Whether new stores may be spilled.
    pub(super) on: AtomicBool,
    /// The smallest block.
    pub(super) least: AtomicUsize,
    /// Releases of spilled blocks that are under way.
    pub(super) releases: AtomicUsize,
    /// Why the last write failed; 0: it did not.
    pub(super) failed: AtomicI32,
}

impl Area {
    pub(super) const fn new() -> Area {
        Area {
            turn: ColdLock::new(()),
            files: Files::new(),
            on: AtomicBool::new(false),
            least: AtomicUsize::new(0),
            releases: AtomicUsize::new(0),
            failed: AtomicI32::new(0),
        }
    }

    /// Nothing more is spilled. Nobody writes files meanwhile.
    pub(super) fn stop(&self) {
        self.on.store(false, Ordering::Relaxed);
        self.failed.store(0, Ordering::Relaxed);
        self.files.set_folder(None, 0);
    }
}
