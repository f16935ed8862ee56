//! Offsets and numbers of the file's format, as docs/event-log.md has them. All numbers are little-endian.

/// The first bytes of a log.
pub const MAGIC: &[u8; 8] = b"TNEVENTS";
pub const VERSION: u32 = 1;
pub const HEADER_BYTES: usize = 4096;

/// Offsets in the file's header.
pub mod header {
    pub const VERSION: usize = 8;
    pub const CHUNK_BYTES: usize = 12;
    pub const KINDS: usize = 16;
    pub const START_TICKS: usize = 24;
    pub const START_UNIX_NS: usize = 32;
    pub const PID: usize = 40;
    pub const DROPPED: usize = 48;
    pub const FLAGS: usize = 56;
    pub const LATER_TICKS: usize = 64;
    pub const LATER_NS: usize = 72;
    pub const LIBRARY_VERSION: usize = 80;
    pub const LIBRARY_VERSION_BYTES: usize = 16;
}

/// The flag of a log whose old chunks were overwritten.
pub const WRAPPED: u64 = 1;

pub const CHUNK_MAGIC: &[u8; 4] = b"TNCK";
pub const CHUNK_BYTES: usize = 65536;
pub const SLOT_BYTES: usize = 64;
/// Slots of a chunk behind its header.
pub const SLOTS: usize = CHUNK_BYTES / SLOT_BYTES - 1;

/// Offsets in the header of a chunk.
pub mod chunk {
    pub const THREAD: usize = 4;
    pub const USED_SLOTS: usize = 8;
    pub const SEQUENCE: usize = 16;
    pub const TICKS: usize = 24;
    pub const NS: usize = 32;
}

/// Kinds of slots that are no events.
pub mod kind {
    pub const TEXT: u8 = 64;
    pub const SITE: u8 = 65;
    pub const POOL: u8 = 66;
}

/// A text has at most so many bytes.
pub const TEXT_BYTES: usize = 63;
/// Bytes of a text in the slot that has it. A `TEXT` slot behind it has the others.
pub const FIRST_TEXT_BYTES: usize = 24;

/// Times end here: 292 years.
pub const MAX_TIME_NS: u64 = i64::MAX as u64;

/// The slots' words.
pub type Slot = [u64; 8];

/// The text, cut to a number of bytes.
pub fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
