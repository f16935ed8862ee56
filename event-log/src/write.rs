//! A log into bytes, for logs that other tools made or shortened.
//!
//! Contract: reading what was written gives an equal log, if its events are in order and its texts have at most 63
//! bytes.

use crate::layout::{self, CHUNK_BYTES, CHUNK_MAGIC, FIRST_TEXT_BYTES, HEADER_BYTES, SLOT_BYTES, SLOTS, Slot, chunk};
use crate::layout::{cut, header};
use crate::{Error, Event, Format, Kind, Log, format};
use std::collections::HashMap;
use std::path::Path;

/// The ticks of time 0. With it no slot is all 0.
const START_TICKS: u64 = 1;

/// Writes a log; packed by gzip if the name ends with ".gz".
pub fn write(path: impl AsRef<Path>, log: &Log) -> Result<(), Error> {
    let path = path.as_ref();
    let file = std::fs::File::create(path)?;
    Ok(Format::Log.write(log, format::is_packed(path), file)?)
}

/// The bytes of a log's file. Longer texts are cut, as the recorder cuts them.
pub fn to_bytes(log: &Log) -> Vec<u8> {
    let mut file = File { bytes: head(log), open: HashMap::new(), chunks: 0, used_bytes: HEADER_BYTES };
    let first = log.events.first().map_or((0, 0), |event| (event.thread, event.time_ns));
    for (number, site) in &log.sites {
        file.put_text(first, layout::kind::SITE.into(), [u64::from(*number), 0], site);
    }
    for (number, pool) in &log.pools {
        file.put_text(first, layout::kind::POOL.into(), [*number, 0], pool);
    }
    log.events.iter().for_each(|event| file.put_event(event));
    file.bytes.truncate(file.used_bytes);
    file.bytes
}

fn head(log: &Log) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes[..layout::MAGIC.len()].copy_from_slice(layout::MAGIC);
    set_u32(&mut bytes, header::VERSION, layout::VERSION);
    set_u32(&mut bytes, header::CHUNK_BYTES, CHUNK_BYTES as u32);
    for (offset, value) in [
        (header::KINDS, log.kinds),
        (header::START_TICKS, START_TICKS),
        (header::START_UNIX_NS, log.start_unix_ns),
        (header::PID, log.pid),
        (header::DROPPED, log.dropped),
        (header::FLAGS, if log.wrapped { layout::WRAPPED } else { 0 }),
    ] {
        set_u64(&mut bytes, offset, value);
    }
    let version = cut(&log.version, header::LIBRARY_VERSION_BYTES).as_bytes();
    bytes[header::LIBRARY_VERSION..][..version.len()].copy_from_slice(version);
    bytes
}

/// A file that grows by chunks.
struct File {
    bytes: Vec<u8>,
    /// The chunk of each thread that has room: its offset, and the slots used.
    open: HashMap<u32, (usize, usize)>,
    chunks: u64,
    /// Where the last chunk's used slots end.
    used_bytes: usize,
}

impl File {
    fn put_event(&mut self, event: &Event) {
        let Event { time_ns, thread, kind, subject, address, .. } = *event;
        let [detail, alignment, client] = [event.detail, event.alignment_log2, event.client].map(u64::from);
        let head = kind as u64 | detail << 8 | alignment << 16 | client << 24 | u64::from(event.site) << 32;
        if kind == Kind::Name {
            let name = event.text.as_deref().unwrap_or_default();
            return self.put_text((thread, time_ns), head, [subject, address], name);
        }
        let words = [head, subject, address, event.bytes, event.other, event.pool, event.stream];
        self.put((thread, time_ns), words);
    }

    fn put_text(&mut self, at: (u32, u64), head: u64, [subject, address]: [u64; 2], text: &str) {
        let text = cut(text, layout::TEXT_BYTES);
        let mut bytes = [0; FIRST_TEXT_BYTES + SLOT_BYTES];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        let word = |number: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[number * 8 + byte]));
        self.put(at, [head, subject, address, text.len() as u64, word(0), word(1), word(2)]);
        if text.len() > FIRST_TEXT_BYTES {
            self.put(at, [layout::kind::TEXT.into(), word(3), word(4), word(5), word(6), word(7), word(8)]);
        }
    }

    /// Puts a slot behind the thread's last one. `words`: those behind the ticks.
    fn put(&mut self, (thread, time_ns): (u32, u64), words: [u64; 7]) {
        let ticks = time_ns.min(layout::MAX_TIME_NS) + START_TICKS;
        let (chunk, used) = match self.open.get(&thread) {
            Some(&(chunk, used)) if used < SLOTS => (chunk, used),
            _ => (self.add_chunk(thread, ticks), 0),
        };
        let mut slot: Slot = [ticks; 8];
        slot[1..].copy_from_slice(&words);
        let offset = chunk + (1 + used) * SLOT_BYTES;
        for (number, word) in slot.into_iter().enumerate() {
            set_u64(&mut self.bytes, offset + number * 8, word);
        }
        set_u64(&mut self.bytes, chunk + chunk::USED_SLOTS, used as u64 + 1);
        self.open.insert(thread, (chunk, used + 1));
        self.used_bytes = self.used_bytes.max(offset + SLOT_BYTES);
    }

    /// Adds a chunk for a thread, and returns its offset.
    fn add_chunk(&mut self, thread: u32, ticks: u64) -> usize {
        self.chunks += 1;
        let offset = self.bytes.len();
        self.bytes.resize(offset + CHUNK_BYTES, 0);
        self.bytes[offset..][..CHUNK_MAGIC.len()].copy_from_slice(CHUNK_MAGIC);
        set_u32(&mut self.bytes, offset + chunk::THREAD, thread);
        set_u64(&mut self.bytes, offset + chunk::SEQUENCE, self.chunks);
        set_u64(&mut self.bytes, offset + chunk::TICKS, ticks);
        set_u64(&mut self.bytes, offset + chunk::NS, ticks - START_TICKS);
        offset
    }
}

fn set_u32(bytes: &mut [u8], offset: usize, value: u32) {
    bytes[offset..][..4].copy_from_slice(&value.to_le_bytes());
}

fn set_u64(bytes: &mut [u8], offset: usize, value: u64) {
    bytes[offset..][..8].copy_from_slice(&value.to_le_bytes());
}
