//! Events, as they lie in a slot of the log.
//!
//! Contract: the numbers and fields are those of the file, which docs/event-log.md describes.

use super::store::Slot;
use crate::types::*;

/// What happened. The numbers are those of the file; bit n of a log's kinds stands for kind n.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// A pool allocated a block. Detail: [`OF_ARRAY`] or 0.
    Allocate = 0,
    /// A block was freed. Detail: as `Allocate`.
    Free = 1,
    /// A copy at a border; other: TN_WHY_ bits. Detail: 1 if an alias would have done.
    Copy = 2,
    /// Bytes were copied; other: the destination. Detail: the direction.
    Transfer = 3,
    /// An export began; detail [`ENDED`]: it ended.
    Export = 5,
    /// An array was given; other: the promise.
    Give = 8,
    /// It was taken; subject: the new handle.
    Take = 9,
    /// A guard began, [`READ`] or [`WRITE`]; [`ENDED`]: it ended. Other: the guard.
    Borrow = 10,
    /// A block was resized; other: the old address; subject: the time when the new bytes were there; stream: the old
    /// size.
    Reallocate = 11,
    /// An import began; detail [`ENDED`]: it ended.
    Import = 12,
    /// An array got a name.
    Name = 13,
    /// The rest of a text.
    Text = 64,
    /// The name of a call site.
    Site = 65,
    /// The name of a pool.
    Pool = 66,
}

const _: () = {
    assert!(TN_LOG_ALLOCATE == 1 << Kind::Allocate as u32 && TN_LOG_FREE == 1 << Kind::Free as u32);
    assert!(TN_LOG_COPY == 1 << Kind::Copy as u32 && TN_LOG_TRANSFER == 1 << Kind::Transfer as u32);
    assert!(TN_LOG_EXPORT == 1 << Kind::Export as u32 && TN_LOG_GIVE == 1 << Kind::Give as u32);
    assert!(TN_LOG_TAKE == 1 << Kind::Take as u32 && TN_LOG_BORROW == 1 << Kind::Borrow as u32);
    assert!(TN_LOG_REALLOCATE == 1 << Kind::Reallocate as u32 && TN_LOG_IMPORT == 1 << Kind::Import as u32);
    assert!(TN_LOG_NAME == 1 << Kind::Name as u32);
};

/// Detail of a block: the bytes of an array.
pub const OF_ARRAY: u8 = 1;
/// Details of a guard, an export or an import.
pub const READ: u8 = 0;
/// A write guard.
pub const WRITE: u8 = 1;
/// The end.
pub const ENDED: u8 = 2;

/// An event; see docs/event-log.md for the meaning of each field in each kind.
#[derive(Clone, Copy)]
pub struct Event {
    /// What happened.
    pub kind: Kind,
    /// More about it.
    pub detail: u8,
    /// log2 of the alignment that was asked for; [`NO_ALIGNMENT`]: none.
    pub alignment: u8,
    /// The pool's client.
    pub client: u8,
    /// The handle of the array; 0: none.
    pub subject: u64,
    /// Where the bytes begin.
    pub address: u64,
    /// How many there are.
    pub bytes: u64,
    /// Another address or handle.
    pub other: u64,
    /// The pool's serial number; 0: none.
    pub pool: u64,
    /// The stream's number; 0: none.
    pub stream: u64,
}

pub const NO_ALIGNMENT: u8 = 255;

impl Event {
    /// An event with nothing but its kind.
    pub const fn of(kind: Kind) -> Event {
        Event {
            kind,
            detail: 0,
            alignment: NO_ALIGNMENT,
            client: 0,
            subject: 0,
            address: 0,
            bytes: 0,
            other: 0,
            pool: 0,
            stream: 0,
        }
    }

    /// The slot of the event.
    pub(super) fn slot(&self, ticks: u64, site: u32) -> Slot {
        let what = self.kind as u64 | u64::from(self.detail) << 8 | u64::from(self.alignment) << 16;
        let what = what | u64::from(self.client) << 24 | u64::from(site) << 32;
        [ticks, what, self.subject, self.address, self.bytes, self.other, self.pool, self.stream]
    }
}
