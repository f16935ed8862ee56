//! The CSV logs of RMM's `logging_resource_adaptor`, which its replay benchmark reads.
//!
//! Contract: a line is `Thread,Time,Action,Pointer,Size,Stream`. The actions are allocate, allocate failure, and free.
//! RMM logs the time of day, so a log without a date begins on 1970-01-01. The lines' order is kept, also where their
//! times are equal.

use crate::blocks::Blocks;
use crate::{Error, Event, Kind, Log};
use std::collections::HashMap;
use std::io::{self, Write};

/// The first line of RMM's logs.
pub const HEADER: &str = "Thread,Time,Action,Pointer,Size,Stream";

/// The serial number of the one pool that RMM's logs know.
const POOL: u64 = 1;
/// The pool's own alignment: RMM does not log it.
const POOLS_ALIGNMENT: u8 = u8::MAX;
/// The number of the client "rmm".
const CLIENT: u8 = 6;

const DAY_NS: u64 = 24 * 3600 * 1_000_000_000;
const REMEDY: &str = "name a log of RMM's logging_resource_adaptor";

/// Reads a log of RMM.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Log, Error> {
    let mut log = Log {
        kinds: 1 << Kind::Allocate as u32 | 1 << Kind::Free as u32,
        pools: [(POOL, "rmm".to_owned())].into(),
        ..Log::default()
    };
    let (mut clock, mut threads) = (Clock::default(), HashMap::new());
    let mut offset = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let begin = offset;
        offset += line.len();
        let is_whole = line.ends_with(b"\n");
        let line = line.trim_ascii();
        if begin == 0 || line.is_empty() {
            continue;
        }
        let fields = std::str::from_utf8(line).ok().and_then(Fields::of);
        let Some(fields) = fields else {
            // A process that is killed leaves a part of a line.
            if !is_whole {
                break;
            }
            let line = String::from_utf8_lossy(&line[..line.len().min(80)]);
            return Err(Error::at(begin, format!("the line {line:?}, which is not {HEADER}, is"), REMEDY));
        };
        let time_ns = clock.next(fields.time_ns);
        let thread = thread(fields.thread, &mut threads);
        log.events.push(Event {
            alignment_log2: POOLS_ALIGNMENT,
            client: CLIENT,
            address: fields.address,
            bytes: fields.bytes,
            pool: POOL,
            stream: fields.stream,
            ..Event::new(time_ns, thread, fields.kind)
        });
    }
    log.start_unix_ns = clock.start_ns;
    Ok(log)
}

/// The system's number of a thread. RMM's documentation also has addresses: these get numbers from the top.
fn thread(number: u64, large: &mut HashMap<u64, u32>) -> u32 {
    let next = u32::MAX - large.len() as u32;
    u32::try_from(number).unwrap_or_else(|_| *large.entry(number).or_insert(next))
}

/// One line.
struct Fields {
    thread: u64,
    time_ns: u64,
    kind: Kind,
    /// 0 if the allocation failed.
    address: u64,
    bytes: u64,
    stream: u64,
}

impl Fields {
    fn of(line: &str) -> Option<Fields> {
        let mut fields = line.split(',').map(str::trim);
        let [thread, time, action, pointer, bytes, stream] = std::array::from_fn(|_| fields.next().unwrap_or_default());
        let (kind, failed) = match action {
            "allocate" => (Kind::Allocate, false),
            "allocate failure" => (Kind::Allocate, true),
            "free" | "deallocate" => (Kind::Free, false),
            _ => return None,
        };
        let is_end = fields.next().is_none();
        is_end.then_some(Fields {
            thread: thread.parse().ok()?,
            time_ns: time_ns(time)?,
            kind,
            address: if failed { 0 } else { hexadecimal(pointer)? },
            bytes: bytes.parse().ok()?,
            stream: hexadecimal(stream)?,
        })
    }
}

/// A pointer as C's and C++'s streams print it.
fn hexadecimal(text: &str) -> Option<u64> {
    match text {
        "(nil)" => Some(0),
        _ => u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok(),
    }
}

/// "12:34:56.123456", in older logs "12:34:56:123456"; or seconds since 1970.
fn time_ns(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').or_else(|| text.rsplit_once(':')).unwrap_or((text, ""));
    let seconds = whole.split(':').try_fold(0u64, |sum, part| sum.checked_mul(60)?.checked_add(part.parse().ok()?))?;
    let digits = fraction.get(..fraction.len().min(9))?;
    let fraction = if digits.is_empty() { 0 } else { digits.parse::<u64>().ok()? * 10u64.pow(9 - digits.len() as u32) };
    seconds.checked_mul(1_000_000_000)?.checked_add(fraction).filter(|time| *time < i64::MAX as u64)
}

/// Makes times since the beginning, each later than the one before, from times of day.
#[derive(Default)]
struct Clock {
    start_ns: u64,
    /// The last line's time of day and the days before it.
    last_ns: u64,
    days_ns: u64,
    /// What the next line gets at least.
    next_ns: Option<u64>,
}

impl Clock {
    fn next(&mut self, line_ns: u64) -> u64 {
        let Some(at_least) = self.next_ns else {
            (self.start_ns, self.last_ns, self.next_ns) = (line_ns, line_ns, Some(1));
            return 0;
        };
        if line_ns + DAY_NS / 2 < self.last_ns {
            self.days_ns = self.days_ns.saturating_add(DAY_NS);
        }
        self.last_ns = line_ns;
        let time =
            self.days_ns.saturating_add(line_ns).saturating_sub(self.start_ns).max(at_least).min(i64::MAX as u64);
        self.next_ns = Some(time + 1);
        time
    }
}

/// Writes the allocations of a log as RMM would. Frees of blocks that are older than the log are left out: a replay
/// cannot free them.
pub fn write(log: &Log, out: impl Write) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    writeln!(out, "{HEADER}")?;
    let blocks = Blocks::of(log);
    let mut changes = blocks.changes.iter().peekable();
    for (index, event) in log.events.iter().enumerate() {
        let mut line = |action: &str, address: u64, bytes: u64, stream: u64| {
            let time_ns = log.start_unix_ns.saturating_add(event.time_ns) % DAY_NS;
            let (seconds, micros) = (time_ns / 1_000_000_000, time_ns / 1000 % 1_000_000);
            let [hours, minutes, seconds] = [seconds / 3600, seconds / 60 % 60, seconds % 60];
            write!(out, "{},{hours:02}:{minutes:02}:{seconds:02}.{micros:06},", event.thread)?;
            writeln!(out, "{action},{address:#x},{bytes},{stream:#x}")
        };
        if event.kind == Kind::Allocate && event.address == 0 {
            line("allocate failure", 0, event.bytes, event.stream)?;
        }
        while let Some(change) = changes.next_if(|change| change.event == index) {
            let block = &blocks.blocks[change.block];
            match change.begins {
                true => line("allocate", block.address, block.bytes, block.stream)?,
                false if block.begin.is_some() => {
                    // A free names the stream on which the bytes may be used again.
                    let stream = if event.kind == Kind::Free { event.stream } else { block.stream };
                    line("free", block.address, block.bytes, stream)?;
                }
                false => (),
            }
        }
    }
    out.flush()
}
