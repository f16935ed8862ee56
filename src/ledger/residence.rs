//! Where the bytes of a store are.

use crate::pool::SpillFile;

/// Where the bytes of a store are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Residence {
    /// In memory, and they stay there. No use is noted.
    Fixed,
    /// In memory, used last at this time. The pool may spill them.
    Memory(u64),
    /// On the way to a file, or from one.
    Moving,
    /// In a file.
    File(SpillFile),
}

impl Residence {
    /// Whether the bytes are not in memory, or on their way.
    pub fn is_away(self) -> bool {
        matches!(self, Residence::Moving | Residence::File(_))
    }

    /// What the count of a store's records has beside the records: 1 if each use is noted.
    pub fn tracked(self) -> u32 {
        u32::from(self != Residence::Fixed)
    }
}
