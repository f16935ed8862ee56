//! Bytes into a log.
//!
//! Contract: reads the file of a running or killed process as far as it was written. Slots of unknown kinds are
//! skipped. The time of a thread never goes back, although the processor's counter may.

use crate::layout::{self, CHUNK_BYTES, CHUNK_MAGIC, HEADER_BYTES, MAGIC, SLOT_BYTES, SLOTS, Slot, chunk, header};
use crate::{Error, Event, Kind, Log, rmm};
use flate2::read::MultiGzDecoder;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// A packed log may have so many bytes when it is unpacked.
const UNPACKED_LIMIT_BYTES: u64 = 4 << 30;

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

/// Reads a log of Tenure or of RMM, packed by gzip or not.
pub fn read(path: impl AsRef<Path>) -> Result<Log, Error> {
    from_bytes(&std::fs::read(path)?)
}

/// The log in the bytes of a file of Tenure or of RMM, packed by gzip or not.
pub fn from_bytes(bytes: &[u8]) -> Result<Log, Error> {
    if bytes.starts_with(GZIP_MAGIC) {
        return from_unpacked(&unpacked(bytes)?);
    }
    from_unpacked(bytes)
}

fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut unpacked = Vec::new();
    let read = MultiGzDecoder::new(bytes).take(UNPACKED_LIMIT_BYTES + 1).read_to_end(&mut unpacked);
    let end = unpacked.len();
    match read {
        Err(error) => Err(Error::at(end, format!("gzip cannot unpack the log ({error})"), "save it again")),
        Ok(count) if count as u64 > UNPACKED_LIMIT_BYTES => {
            Err(Error::at(end, "the unpacked log is too long", "unpack it with gzip -d, and use that file"))
        }
        Ok(_) => Ok(unpacked),
    }
}

fn from_unpacked(bytes: &[u8]) -> Result<Log, Error> {
    if bytes.starts_with(rmm::HEADER.as_bytes()) {
        return rmm::from_bytes(bytes);
    }
    if !bytes.starts_with(MAGIC) {
        return Err(Error::at(0, "no event log begins", "name a file that Tenure or RMM's logging adaptor recorded"));
    }
    if bytes.len() < HEADER_BYTES {
        return Err(Error::at(bytes.len(), "the header ends", "copy the whole file; its header has 4096 bytes"));
    }
    let version = u32_at(bytes, header::VERSION);
    if version != layout::VERSION {
        let problem = format!("version {version} of the format, not {}, is named", layout::VERSION);
        return Err(Error::at(header::VERSION, problem, "use the tenure command of the library that recorded it"));
    }
    let chunk_bytes = u32_at(bytes, header::CHUNK_BYTES);
    if chunk_bytes as usize != CHUNK_BYTES {
        let problem = format!("chunks of {chunk_bytes} bytes, not {CHUNK_BYTES}, are named");
        return Err(Error::at(header::CHUNK_BYTES, problem, "the file is damaged: record it again"));
    }
    let version = &bytes[header::LIBRARY_VERSION..][..header::LIBRARY_VERSION_BYTES];
    let mut log = Log {
        start_unix_ns: u64_at(bytes, header::START_UNIX_NS),
        pid: u64_at(bytes, header::PID),
        kinds: u64_at(bytes, header::KINDS),
        dropped: u64_at(bytes, header::DROPPED),
        wrapped: u64_at(bytes, header::FLAGS) & layout::WRAPPED != 0,
        version: text(version.split(|byte| *byte == 0).next().unwrap_or_default(), version.len()),
        ..Log::default()
    };
    let clock = Clock::of(bytes);
    let threads = Chunk::by_thread(bytes)?;
    let slots: usize = threads.values().flatten().map(|chunk| chunk.slots.len()).sum();
    let needed = Error::Memory { bytes: (slots * size_of::<Event>()) as u64 };
    log.events.try_reserve_exact(slots).map_err(|_| needed)?;
    for (thread, chunks) in threads {
        let slots = chunks.iter().flat_map(|chunk| chunk.slots).map(slot);
        add_thread(&mut log, thread, slots, &clock);
    }
    log.sort();
    Ok(log)
}

/// What a thread wrote into one chunk.
struct Chunk<'a> {
    sequence: u64,
    slots: &'a [[u8; SLOT_BYTES]],
}

impl Chunk<'_> {
    /// The chunks of each thread, in the order in which it wrote them.
    fn by_thread(bytes: &[u8]) -> Result<BTreeMap<u32, Vec<Chunk<'_>>>, Error> {
        let mut threads: BTreeMap<u32, Vec<Chunk>> = BTreeMap::new();
        for (number, bytes) in bytes[HEADER_BYTES..].chunks(CHUNK_BYTES).enumerate() {
            let offset = HEADER_BYTES + number * CHUNK_BYTES;
            let (slots, _) = bytes.as_chunks::<SLOT_BYTES>();
            // A chunk that nobody opened, or of which the file lacks even the header.
            let Some((head, slots)) = slots.split_first().filter(|(head, _)| u64_at(*head, chunk::SEQUENCE) != 0)
            else {
                continue;
            };
            if !head.starts_with(CHUNK_MAGIC) {
                return Err(Error::at(offset, "a chunk without its mark is", "the file is damaged: record it again"));
            }
            let used = u64_at(head, chunk::USED_SLOTS);
            if used > SLOTS as u64 {
                let problem = format!("a chunk with {used} of {SLOTS} slots is");
                return Err(Error::at(offset, problem, "the file is damaged: record it again"));
            }
            let slots = &slots[..slots.len().min(used as usize)];
            let chunk = Chunk { sequence: u64_at(head, chunk::SEQUENCE), slots };
            threads.entry(u32_at(head, chunk::THREAD)).or_default().push(chunk);
        }
        threads.values_mut().for_each(|chunks| chunks.sort_by_key(|chunk| chunk.sequence));
        Ok(threads)
    }
}

/// Adds what a thread recorded.
fn add_thread(log: &mut Log, thread: u32, slots: impl Iterator<Item = Slot>, clock: &Clock) {
    let mut slots = slots.peekable();
    let mut time_ns = 0;
    while let Some(slot) = slots.next() {
        let kind = slot[1] as u8;
        match (Kind::of(kind), kind) {
            (Some(kind), _) => {
                time_ns = clock.time_ns(slot[0]).max(time_ns);
                let named = (kind == Kind::Name).then(|| whole_text(&slot, &mut slots).into());
                log.events.push(event(time_ns, thread, kind, &slot, named));
            }
            (_, layout::kind::SITE) => {
                let site = whole_text(&slot, &mut slots);
                log.sites.insert(slot[2] as u32, site);
            }
            (_, layout::kind::POOL) => {
                let pool = whole_text(&slot, &mut slots);
                log.pools.insert(slot[2], pool);
            }
            _ => (),
        }
    }
}

fn event(time_ns: u64, thread: u32, kind: Kind, slot: &Slot, text: Option<Box<str>>) -> Event {
    let [_, head, subject, address, ..] = *slot;
    // In a slot with text, its length and its bytes stand where the others have these words.
    let [bytes, other, pool, stream] = if text.is_some() { [0; 4] } else { [slot[4], slot[5], slot[6], slot[7]] };
    let [_, detail, alignment_log2, client, ..] = head.to_le_bytes();
    let site = (head >> 32) as u32;
    Event {
        time_ns,
        thread,
        kind,
        detail,
        alignment_log2,
        client,
        site,
        subject,
        address,
        bytes,
        other,
        pool,
        stream,
        text,
    }
}

/// The text of a slot, and of the slot behind it if it has the rest.
fn whole_text(slot: &Slot, slots: &mut std::iter::Peekable<impl Iterator<Item = Slot>>) -> String {
    let length = usize::try_from(slot[4]).unwrap_or(usize::MAX).min(layout::TEXT_BYTES);
    let mut bytes: Vec<u8> = slot[5..].iter().flat_map(|word| word.to_le_bytes()).collect();
    if length > bytes.len()
        && let Some(rest) = slots.next_if(|slot| slot[1] as u8 == layout::kind::TEXT)
    {
        bytes.extend(rest[2..].iter().flat_map(|word| word.to_le_bytes()));
    }
    bytes.truncate(length);
    text(&bytes, layout::TEXT_BYTES)
}

fn text(bytes: &[u8], limit: usize) -> String {
    layout::cut(&String::from_utf8_lossy(bytes), limit).to_owned()
}

/// Turns the processor's ticks into time.
struct Clock {
    start_ticks: u64,
    /// So many nanoseconds take so many ticks.
    ns: u64,
    ticks: u64,
}

impl Clock {
    fn of(bytes: &[u8]) -> Clock {
        let start_ticks = u64_at(bytes, header::START_TICKS);
        let ticks = u64_at(bytes, header::LATER_TICKS).saturating_sub(start_ticks);
        match u64_at(bytes, header::LATER_NS) {
            ns if ns > 0 && ticks > 0 => Clock { start_ticks, ns, ticks },
            _ => Clock { start_ticks, ns: 1, ticks: 1 },
        }
    }

    fn time_ns(&self, ticks: u64) -> u64 {
        let ticks = u128::from(ticks.saturating_sub(self.start_ticks));
        (ticks * u128::from(self.ns) / u128::from(self.ticks)).min(layout::MAX_TIME_NS.into()) as u64
    }
}

fn slot(bytes: &[u8; SLOT_BYTES]) -> Slot {
    std::array::from_fn(|word| u64_at(bytes, word * 8))
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let (words, _) = bytes[offset..].as_chunks();
    u32::from_le_bytes(words[0])
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let (words, _) = bytes[offset..].as_chunks();
    u64::from_le_bytes(words[0])
}
