//! The two sides of a mirror, and what a ledger says about the array of one.

use crate::array;
use crate::borrow;
use crate::error::{Result, fail};
use crate::ledger::{Claim, Locked};
use crate::slots::Id;
use crate::types::*;

/// A side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Memory that the host can access.
    Host,
    /// Memory of the GPU.
    Device,
}

impl Side {
    /// Both, in the order of [`Side::index`].
    pub const BOTH: [Side; 2] = [Side::Host, Side::Device];

    /// The side with this constant. TN_ERR_INVALID.
    pub fn of(raw: tn_side) -> Result<Side> {
        match raw {
            TN_SIDE_HOST => Ok(Side::Host),
            TN_SIDE_DEVICE => Ok(Side::Device),
            _ => Err(fail(
                TN_ERR_INVALID,
                format_args!(
                    "side {raw} is neither TN_SIDE_HOST ({TN_SIDE_HOST}) nor TN_SIDE_DEVICE ({TN_SIDE_DEVICE})"
                ),
            )),
        }
    }

    /// The other side.
    pub fn other(self) -> Side {
        match self {
            Side::Host => Side::Device,
            Side::Device => Side::Host,
        }
    }

    /// The constant of C, which is also the side's bit in masks.
    pub fn bit(self) -> u32 {
        match self {
            Side::Host => TN_SIDE_HOST,
            Side::Device => TN_SIDE_DEVICE,
        }
    }

    /// Its place in lists of two.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The side of a mirror on which the bytes of a device count.
    pub fn with_bytes_on(device: tn_device) -> Side {
        if device.r#type == TN_CUDA { Side::Device } else { Side::Host }
    }
}

/// What the ledger of a side says about its array.
#[derive(Clone, Copy)]
pub struct Facts {
    /// Number of finished writes of the store.
    pub version: u64,
    /// A writer that failed left bytes of it undefined.
    pub is_poisoned: bool,
    /// Somebody else has a claim, an export or a guard on the store.
    pub is_held: bool,
    /// The bytes must not be written: a read-only object was adopted, or the value of a shared variable.
    pub is_constant: bool,
}

/// The facts about an array of a mirror. With `unwritten`, TN_ERR_BORROWED_WRITE or TN_ERR_EXPORTED if somebody may be
/// writing it.
pub fn facts(array: Id, unwritten: bool) -> Result<Facts> {
    array::with(array, |locked, claim| {
        array::check_live(locked, claim)?;
        if unwritten {
            borrow::check_unwritten(locked, claim)?;
        }
        Ok(facts_in(locked, claim))
    })
}

fn facts_in(locked: &Locked, claim: &'static Claim) -> Facts {
    let (body, state) = (locked.get(claim), locked.state(locked.ledger_of(claim)));
    let guards_of_others = state.readers + state.writers > body.readers + body.writers;
    Facts {
        version: state.version,
        is_poisoned: state.poisoned > 0 && borrow::writes_over(locked, claim).1,
        is_held: state.claims > 1 || state.exports() > 0 || guards_of_others,
        is_constant: body.readonly || state.readonly || state.managed > 0,
    }
}
