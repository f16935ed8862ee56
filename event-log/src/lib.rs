//! Tenure's event log as values: read, written, and converted for other tools.
//!
//! Contract: a file may come from anybody. Any bytes give a [`Log`] or an [`Error`] that names the offset and what to
//! do; nothing panics, and memory stays in proportion to the bytes. This crate knows the file's format and not the
//! library that records it.
//!
//! | module | what |
//! |---|---|
//! | `layout` | offsets and numbers of the file's format, as docs/event-log.md has them |
//! | `read` | bytes into a log |
//! | `write` | a log into bytes |
//! | `format` | the formats that can be written, and which one a file's name means |
//! | `blocks` | blocks of memory, from their allocation to their end |
//! | `rmm` | logs of RMM, both ways |
//! | `perfetto` | the trace for ui.perfetto.dev and chrome://tracing |
//! | `torch` | the snapshot for pytorch.org/memory_viz |
//! | `operations` | a log into what an allocator must do to serve the program again |
#![forbid(unsafe_code)]

pub mod blocks;
mod error;
pub mod format;
mod layout;
pub mod operations;
pub mod perfetto;
mod read;
pub mod rmm;
pub mod torch;
mod write;

pub use error::Error;
pub use format::Format;
pub use read::{from_bytes, read};
pub use write::{to_bytes, write};

use std::collections::BTreeMap;

/// A whole log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// When the log began, in nanoseconds since 1970 (UTC); 0: not known.
    pub start_unix_ns: u64,
    /// The process that was recorded; 0: not known.
    pub pid: u64,
    /// Bit n is set if events of kind n were recorded.
    pub kinds: u64,
    /// Events that found no room.
    pub dropped: u64,
    /// Older events were overwritten, so the log has only the newest ones.
    pub wrapped: bool,
    /// The version of the library that recorded it.
    pub version: String,
    /// In the order of their times. Events with equal times are in the order of their threads' numbers; those of one
    /// thread keep the order in which the thread recorded them.
    pub events: Vec<Event>,
    /// Call sites, "file:line", by their numbers.
    pub sites: BTreeMap<u32, String>,
    /// Names of pools by their serial numbers.
    pub pools: BTreeMap<u64, String>,
}

impl Log {
    /// Puts the events into the order that [`Log::events`] promises.
    pub fn sort(&mut self) {
        self.events.sort_by_key(|event| (event.time_ns, event.thread));
    }

    /// Whether events of this kind were recorded.
    pub fn has(&self, kind: Kind) -> bool {
        self.kinds >> kind as u32 & 1 == 1
    }

    /// The pool as people know it: its number and its name.
    fn pool_label(&self, pool: u64) -> String {
        match self.pools.get(&pool) {
            Some(name) if !name.is_empty() => format!("pool {pool} \"{name}\""),
            _ if pool == 0 => "unknown pool".to_owned(),
            _ => format!("pool {pool}"),
        }
    }
}

/// One event. A field that its kind does not have is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds since the log began; at most `i64::MAX`.
    pub time_ns: u64,
    /// The system's number of the thread. The system may give it to a later thread again.
    pub thread: u32,
    /// What happened.
    pub kind: Kind,
    /// What happened exactly, as [`detail`] numbers it for each kind.
    pub detail: u8,
    /// Logarithm to the base 2 of the requested alignment; 255: the pool's own. See [`Event::alignment_bytes`].
    pub alignment_log2: u8,
    /// Who allocated it; [`client_name`] has the names.
    pub client: u8,
    /// The call site's number in [`Log::sites`]; 0: not known.
    pub site: u32,
    /// The handle of the array; 0: none.
    pub subject: u64,
    /// The address. An allocation at address 0 failed.
    pub address: u64,
    /// The size in bytes. Freed bytes are 0 if they are not known.
    pub bytes: u64,
    /// The second address, promise or guard that the kind has.
    pub other: u64,
    /// The pool's serial number; 0: not known.
    pub pool: u64,
    /// The stream; 0: none. Of a reallocation, the old size; its subject is the counter when the new bytes were there.
    pub stream: u64,
    /// The name that an array got: of [`Kind::Name`] only, at most 63 bytes.
    pub text: Option<Box<str>>,
}

impl Event {
    /// An event of a kind, with all else 0.
    pub fn new(time_ns: u64, thread: u32, kind: Kind) -> Event {
        Event {
            time_ns,
            thread,
            kind,
            detail: 0,
            alignment_log2: 0,
            client: 0,
            site: 0,
            subject: 0,
            address: 0,
            bytes: 0,
            other: 0,
            pool: 0,
            stream: 0,
            text: None,
        }
    }

    /// The requested alignment in bytes; `None`: the pool's own.
    pub fn alignment_bytes(&self) -> Option<u64> {
        1u64.checked_shl(self.alignment_log2.into())
    }
}

/// What an event says. The numbers are those of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Memory was allocated.
    Allocate = 0,
    /// Memory was freed.
    Free = 1,
    /// An import, an export or a write copied; `other` has the reasons ([`why_names`]).
    Copy = 2,
    /// Bytes were copied or moved between arrays or devices: from `address` to `other`.
    Transfer = 3,
    /// Another library got the array, or returned it.
    Export = 5,
    /// `subject` was given; `other` is the promise.
    Give = 8,
    /// `subject` was taken from the promise `other`.
    Take = 9,
    /// A borrow began or ended; `other` is the guard.
    Borrow = 10,
    /// The block at `other` is now at `address`, with `bytes`.
    Reallocate = 11,
    /// An array of another library came in, or was returned.
    Import = 12,
    /// `subject` got the name `text`.
    Name = 13,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Kind; 11] = [
        Kind::Allocate,
        Kind::Free,
        Kind::Copy,
        Kind::Transfer,
        Kind::Export,
        Kind::Give,
        Kind::Take,
        Kind::Borrow,
        Kind::Reallocate,
        Kind::Import,
        Kind::Name,
    ];

    fn of(number: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// "allocate" and the like.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Allocate => "allocate",
            Kind::Free => "free",
            Kind::Copy => "copy",
            Kind::Transfer => "transfer",
            Kind::Export => "export",
            Kind::Give => "give",
            Kind::Take => "take",
            Kind::Borrow => "borrow",
            Kind::Reallocate => "reallocate",
            Kind::Import => "import",
            Kind::Name => "name",
        }
    }
}

/// Values of [`Event::detail`].
pub mod detail {
    /// Allocate, free: a block of raw memory.
    pub const RAW_BLOCK: u8 = 0;
    /// Allocate, free: the bytes of an array.
    pub const ARRAY: u8 = 1;
    /// Transfer: within the host's memory.
    pub const HOST_TO_HOST: u8 = 0;
    /// Transfer: to a device.
    pub const HOST_TO_DEVICE: u8 = 1;
    /// Transfer: from a device.
    pub const DEVICE_TO_HOST: u8 = 2;
    /// Transfer: between devices, or within one.
    pub const DEVICE_TO_DEVICE: u8 = 3;
    /// Borrow, export, import: it began; the bytes are read only.
    pub const READ_BEGUN: u8 = 0;
    /// Borrow, export: it began; the bytes may be written.
    pub const WRITE_BEGUN: u8 = 1;
    /// Borrow, export, import: it ended.
    pub const ENDED: u8 = 2;
    /// Copy: the caller would have accepted an alias.
    pub const FORCED: u8 = 1;
}

/// The reasons of a copy, the bits TN_WHY_, in words.
pub fn why_names(bits: u64) -> impl Iterator<Item = &'static str> {
    const NAMES: [&str; 12] = [
        "given",
        "shared",
        "in expression",
        "exported",
        "borrowed",
        "readonly",
        "foreign",
        "poisoned",
        "layout",
        "device",
        "waste",
        "not aliasable",
    ];
    NAMES.into_iter().enumerate().filter(move |(bit, _)| bits >> bit & 1 == 1).map(|(_, name)| name)
}

/// The name of [`Event::client`]: the library that allocated, as the report names it.
pub fn client_name(client: u8) -> &'static str {
    const NAMES: [&str; 12] =
        ["arrays", "raw", "numpy", "torch", "cupy", "numba", "rmm", "umf", "cpp", "rust", "malloc", "other"];
    NAMES.get(usize::from(client)).unwrap_or(&"other")
}
