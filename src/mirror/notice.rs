//! What happened to the sides of a mirror since its last call: writes through other handles, and writers that failed.

use super::side::{Facts, Side, facts};
use super::slot::{MirrorRef, Sides};
use super::transfer::{refresh, stream_to};
use crate::error::Result;
use core::ffi::CStr;

/// What a call finds.
pub struct Found {
    /// By [`Side::index`]; None: not allocated.
    pub facts: [Option<Facts>; 2],
    /// The bits of the sides with the present contents.
    pub valid: u32,
    /// Both sides were written.
    pub both_changed: bool,
    /// No valid side has defined contents.
    pub is_poisoned: bool,
}

impl Found {
    /// Looks at both sides. With `unwritten`, TN_ERR_BORROWED_WRITE or TN_ERR_EXPORTED if somebody may be writing one
    /// of them.
    pub fn of(sides: &Sides, unwritten: bool) -> Result<Found> {
        let mut found = Found { facts: [None; 2], valid: sides.valid, both_changed: false, is_poisoned: false };
        let (mut changed, mut poisoned) = (0, 0);
        for side in Side::BOTH {
            let Some(array) = sides.array(side) else { continue };
            let facts = facts(array, unwritten)?;
            changed |= if facts.version == sides.arrays[side.index()].version { 0 } else { side.bit() };
            poisoned |= if facts.is_poisoned { side.bit() } else { 0 };
            found.facts[side.index()] = Some(facts);
        }
        found.both_changed = changed.count_ones() == 2;
        if changed.count_ones() == 1 {
            found.valid = changed;
        }
        found.is_poisoned = found.valid & !poisoned == 0;
        if !found.is_poisoned {
            found.valid &= !poisoned;
        }
        Ok(found)
    }

    /// Whether somebody holds a side that could be refreshed.
    pub fn is_held(&self, side: Side) -> bool {
        self.facts[side.index()].is_some_and(|facts| facts.is_held && !facts.is_constant)
    }
}

/// Takes notice of what happened, and refreshes a stale side that somebody holds. True: no side has defined contents.
pub fn notice(function: &'static CStr, mirror: &MirrorRef) -> Result<bool> {
    let found = Found::of(&mirror.sides(), true)?;
    if mirror.fixed().is_empty {
        return Ok(false);
    }
    if found.both_changed {
        return Err(mirror.both_changed());
    }
    mirror.change(|sides| {
        sides.valid = found.valid;
        for side in Side::BOTH {
            if let Some(facts) = found.facts[side.index()] {
                sides.arrays[side.index()].version = facts.version;
            }
        }
    });
    if !found.is_poisoned {
        for side in Side::BOTH {
            if found.valid & side.bit() == 0 && found.is_held(side) {
                refresh(function, mirror, side, false, &stream_to(side))?;
            }
        }
    }
    Ok(found.is_poisoned)
}
