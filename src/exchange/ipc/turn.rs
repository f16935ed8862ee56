//! Turns of the threads that import one file: the first one maps it, and the others find the mapping.
//!
//! Contract: one thread of a process at a time imports a file. No lock is held meanwhile, so the import may map memory
//! and take locks.
#![forbid(unsafe_code)]

use crate::error::{Result, fail};
use crate::grow_unlocked;
use crate::thread::{self, QuickLock};
use crate::types::*;

/// The file's identity, and the number of forks: threads of the parent are in no turn in its child.
type Key = ((u64, u64), u32);

static TAKEN: QuickLock<Vec<Key>> = QuickLock::new(Vec::new());

/// The turn of this thread; it ends with its drop.
pub(super) struct Turn(Key);

impl Turn {
    /// Waits for the turn. TN_ERR_NO_HOST_MEMORY.
    pub fn take(identity: (u64, u64)) -> Result<Turn> {
        let key = (identity, thread::forks());
        loop {
            let mut taken = grow_unlocked::lock(&TAKEN, 16).map_err(|entries| {
                fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for a list of {entries} imports"))
            })?;
            taken.retain(|other| other.1 == key.1);
            if !taken.contains(&key) {
                taken.push(key);
                return Ok(Turn(key));
            }
            drop(taken);
            std::thread::yield_now();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TAKEN.lock().retain(|other| *other != self.0);
    }
}
