//! A log as operations on blocks: what an allocator must do to serve the recorded program again.
//!
//! Contract: pure. Operations are in the order of the events, so also in that of each thread. A free and a reallocation
//! are of a block that is live. At the end all blocks are freed. No address is left: a block is known by its slot, and
//! a freed slot is used again.
//!
//! # The file of operations
//!
//! `benches/pool/replay.c` reads this file too. Numbers are little-endian.
//!
//! | offset | type | what |
//! |---|---|---|
//! | 0 | 8 bytes | "TNREPLAY" |
//! | 8 | u64 | version: 1 |
//! | 16 | u64 | number of operations |
//! | 24 | u64 | number of slots |
//! | 32 | u64 | most live bytes at a time |
//! | 40 | u64 | the operation, counted from 0, after which so many bytes are live for the first time |
//! | 48 | 16 bytes | 0 |
//! | 64 | 16 bytes each | operations: u8 action (0 allocate, 1 free, 2 reallocate), u8 logarithm of the alignment (0: none requested), u16 0, u32 slot, u64 bytes (0 for a free) |

use crate::{Error, Event, Kind, Log};
use std::collections::{BTreeSet, HashMap};

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Action {
    /// A block is allocated into an empty slot.
    Allocate = 0,
    /// The block of a slot is freed.
    Free = 1,
    /// The block of a slot gets another size.
    Reallocate = 2,
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What it does.
    pub action: Action,
    /// Logarithm to the base 2 of the requested alignment; 0: none was requested.
    pub alignment_log2: u8,
    /// The slot of the block.
    pub slot: u32,
    /// The size, at least 1; 0 for a free.
    pub bytes: u64,
}

/// All operations of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// In the order of the log; the last ones free what the program had not freed.
    pub list: Vec<Operation>,
    /// Slots are numbered from 0 to below this number.
    pub slots: u32,
    /// Most live bytes at a time, as they were requested.
    pub peak_bytes: u64,
    /// The operation after which so many bytes are live for the first time.
    pub peak_at: u64,
}

/// What a log had, and what of it cannot be replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Blocks that are allocated, also by a reallocation of a block from before the log.
    pub allocations: u64,
    /// Blocks that get another size.
    pub reallocations: u64,
    /// Frees of blocks from before the log, which are left out.
    pub begun_before: u64,
    /// Blocks that live at the end of the log. They are freed then.
    pub never_freed: u64,
    /// Allocations and reallocations that failed, which are left out.
    pub failed: u64,
    /// Blocks of 0 bytes, which are left out.
    pub empty: u64,
    /// Allocations at the address of a live block, whose free the log lacks. That block is freed first.
    pub lost_frees: u64,
    /// Allocations in the order of a stream. They are replayed as blocks of the host.
    pub stream_ordered: u64,
    /// Threads that allocated or freed.
    pub threads: u64,
}

impl Notes {
    /// Requests of memory: allocations and reallocations.
    pub fn requests(&self) -> u64 {
        self.allocations + self.reallocations
    }

    /// What is not replayed as the program did it: a line for each, "3 threads, ..".
    pub fn remarks(&self) -> Vec<String> {
        let threads = if self.threads > 1 { self.threads } else { 0 };
        let all = [
            (self.begun_before, "free", " without an allocation in the log: left out"),
            (self.never_freed, "block", " not freed in the log: freed at the end"),
            (self.failed, "request", " that failed: left out"),
            (self.empty, "block", " of 0 bytes: left out"),
            (self.lost_frees, "free", " missing in the log: done when the address is allocated again"),
            (self.stream_ordered, "allocation", " in the order of a stream: replayed on the host"),
            (threads, "thread", ": replayed on one, in the order of their times"),
        ];
        let line = |(count, noun, what): &(u64, &str, &str)| {
            let plural = if *count == 1 { "" } else { "s" };
            format!("{count} {noun}{plural}{what}")
        };
        all.iter().filter(|(count, ..)| *count > 0).map(line).collect()
    }
}

/// A larger alignment is taken as this one, 4 MiB, the largest of Tenure's pools.
const MAX_ALIGNMENT_LOG2: u8 = 22;

const MAGIC: &[u8; 8] = b"TNREPLAY";
const VERSION: u64 = 1;
const HEADER_BYTES: usize = 64;
const OPERATION_BYTES: usize = 16;

impl Operations {
    /// The operations of a log.
    pub fn of(log: &Log) -> (Operations, Notes) {
        let mut blocks = LiveBlocks::default();
        let mut operations = Operations::default();
        for event in &log.events {
            blocks.take(event, &mut |operation| operations.list.push(operation));
        }
        blocks.end(&mut |operation| operations.list.push(operation));
        operations.measure().expect("the live blocks keep the slots in order, and all are freed");
        (operations, blocks.notes())
    }

    /// The operations in the bytes of their file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Operations, Error> {
        let remedy = "write the operations again";
        let Some(rest) = bytes.strip_prefix(MAGIC).filter(|_| bytes.len() >= HEADER_BYTES) else {
            return Err(Error::at(0, "no file of operations begins", remedy));
        };
        let (head, _) = rest.as_chunks::<8>();
        let (list, cut) = bytes[HEADER_BYTES..].as_chunks::<OPERATION_BYTES>();
        if u64::from_le_bytes(head[0]) != VERSION || u64::from_le_bytes(head[1]) != list.len() as u64 || !cut.is_empty()
        {
            return Err(Error::at(8, "another version or another number of operations is named", remedy));
        }
        let mut operations = Operations { list: Vec::with_capacity(list.len()), ..Operations::default() };
        for (number, bytes) in list.iter().enumerate() {
            let operation = operation_of(bytes)
                .ok_or_else(|| Error::at(HEADER_BYTES + number * OPERATION_BYTES, "no operation is", remedy))?;
            operations.list.push(operation);
        }
        operations.measure()?;
        if operations.to_bytes()[..HEADER_BYTES] != bytes[..HEADER_BYTES] {
            return Err(Error::at(24, "numbers that are not those of the operations are", remedy));
        }
        Ok(operations)
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.list.len() * OPERATION_BYTES);
        bytes.extend(MAGIC);
        for number in [VERSION, self.list.len() as u64, self.slots.into(), self.peak_bytes, self.peak_at, 0, 0] {
            bytes.extend(number.to_le_bytes());
        }
        for operation in &self.list {
            bytes.extend([operation.action as u8, operation.alignment_log2, 0, 0]);
            bytes.extend(operation.slot.to_le_bytes());
            bytes.extend(operation.bytes.to_le_bytes());
        }
        bytes
    }

    /// Sets the numbers from the list. Fails if an operation is of a slot that is not as the operation needs it, or a
    /// block is left.
    fn measure(&mut self) -> Result<(), Error> {
        let mut sizes: Vec<u64> = Vec::new();
        let (mut live, mut left) = (0u64, 0u64);
        (self.slots, self.peak_bytes, self.peak_at) = (0, 0, 0);
        for (number, operation) in self.list.iter().enumerate() {
            let wrong = || {
                let offset = HEADER_BYTES + number * OPERATION_BYTES;
                Error::at(offset, "an operation on a slot that is not ready for it is", "write the operations again")
            };
            let slot = operation.slot as usize;
            if slot == sizes.len() {
                sizes.push(0); // slots are used in order for the first time
            }
            let size = sizes.get_mut(slot).ok_or_else(wrong)?;
            if (*size != 0) != (operation.action != Action::Allocate) {
                return Err(wrong());
            }
            match operation.action {
                Action::Allocate => left += 1,
                Action::Free => left -= 1,
                Action::Reallocate => (),
            }
            live = live.saturating_sub(*size).saturating_add(operation.bytes);
            *size = operation.bytes;
            if live > self.peak_bytes {
                (self.peak_bytes, self.peak_at) = (live, number as u64);
            }
        }
        self.slots = sizes.len() as u32;
        if left > 0 {
            let problem = format!("a list that does not free {left} of its blocks ends");
            return Err(Error::at(
                HEADER_BYTES + self.list.len() * OPERATION_BYTES,
                problem,
                "write the operations again",
            ));
        }
        Ok(())
    }
}

/// The log with nothing but sizes: allocations, frees and reallocations up to a number of operations. Its addresses are
/// the numbers of slots, its times and threads are counted, and it has no name, no call site and no size of what was
/// left out. It has the operations of the whole log, if they are no more than `limit`.
pub fn sizes_only(log: &Log, limit: usize) -> Log {
    let mut blocks = LiveBlocks::default();
    let mut threads: HashMap<u32, u32> = HashMap::new();
    let mut events: Vec<Event> = Vec::new();
    for event in &log.events {
        if events.len() >= limit {
            break;
        }
        blocks.take(event, &mut |operation| {
            let next = threads.len() as u32 + 1;
            let thread = *threads.entry(event.thread).or_insert(next);
            let kind = match operation.action {
                Action::Allocate => Kind::Allocate,
                Action::Free => Kind::Free,
                Action::Reallocate => Kind::Reallocate,
            };
            let address = (u64::from(operation.slot) + 1) * 16;
            events.push(Event {
                address,
                bytes: operation.bytes,
                other: if kind == Kind::Reallocate { address } else { 0 },
                alignment_log2: if operation.alignment_log2 == 0 { 255 } else { operation.alignment_log2 },
                ..Event::new(events.len() as u64, thread, kind)
            });
        });
    }
    events.truncate(limit);
    let kinds = [Kind::Allocate, Kind::Free, Kind::Reallocate].iter().fold(0, |bits, kind| bits | 1 << *kind as u32);
    Log { kinds, version: log.version.clone(), events, ..Log::default() }
}

fn operation_of(bytes: &[u8; OPERATION_BYTES]) -> Option<Operation> {
    let (words, _) = bytes.as_chunks::<4>();
    let (long, _) = bytes.as_chunks::<8>();
    let [action, alignment_log2, 0, 0] = words[0] else { return None };
    let action = [Action::Allocate, Action::Free, Action::Reallocate].into_iter().find(|of| *of as u8 == action)?;
    let operation =
        Operation { action, alignment_log2, slot: u32::from_le_bytes(words[1]), bytes: u64::from_le_bytes(long[1]) };
    let fits = (operation.bytes == 0) == (action == Action::Free) && alignment_log2 <= MAX_ALIGNMENT_LOG2;
    fits.then_some(operation)
}

/// Where a block is.
#[derive(Clone, Copy)]
enum Place {
    Slot(u32),
    /// A block of 0 bytes, which has no slot.
    Empty,
}

/// The live blocks while a log is read.
#[derive(Default)]
struct LiveBlocks {
    live: HashMap<u64, Place>,
    /// Slots that were freed, the last one last.
    free: Vec<u32>,
    slots: u32,
    threads: BTreeSet<u32>,
    notes: Notes,
}

impl LiveBlocks {
    /// Turns an event into operations.
    fn take(&mut self, event: &Event, put: &mut impl FnMut(Operation)) {
        match event.kind {
            Kind::Allocate => self.allocate(event, put),
            Kind::Free => self.free(event.address, put),
            Kind::Reallocate => self.reallocate(event, put),
            _ => return,
        }
        self.threads.insert(event.thread);
    }

    fn allocate(&mut self, event: &Event, put: &mut impl FnMut(Operation)) {
        if event.address == 0 {
            self.notes.failed += u64::from(event.bytes > 0);
            self.notes.empty += u64::from(event.bytes == 0);
            return;
        }
        if self.live.contains_key(&event.address) {
            self.notes.lost_frees += 1;
            self.free(event.address, put);
        }
        if event.bytes == 0 {
            self.notes.empty += 1;
            self.live.insert(event.address, Place::Empty);
            return;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        self.live.insert(event.address, Place::Slot(slot));
        self.notes.allocations += 1;
        self.notes.stream_ordered += u64::from(event.stream != 0);
        let alignment_log2 = if event.alignment_log2 < 64 { event.alignment_log2.min(MAX_ALIGNMENT_LOG2) } else { 0 };
        put(Operation { action: Action::Allocate, alignment_log2, slot, bytes: event.bytes });
    }

    fn free(&mut self, address: u64, put: &mut impl FnMut(Operation)) {
        match self.live.remove(&address) {
            Some(Place::Slot(slot)) => {
                self.free.push(slot);
                put(Operation { action: Action::Free, alignment_log2: 0, slot, bytes: 0 });
            }
            Some(Place::Empty) => (),
            None => self.notes.begun_before += u64::from(address != 0),
        }
    }

    fn reallocate(&mut self, event: &Event, put: &mut impl FnMut(Operation)) {
        let (old, new) = (event.other, event.address);
        if event.bytes == 0 {
            self.free(old, put); // as C does; the new block, if there is one, is empty
            if new != 0 {
                self.allocate(event, put);
            }
            return;
        }
        if new == 0 {
            self.notes.failed += 1; // the old block stays
            return;
        }
        match self.live.get(&old) {
            Some(&Place::Slot(slot)) => {
                if new != old && self.live.contains_key(&new) {
                    self.notes.lost_frees += 1;
                    self.free(new, put);
                }
                self.live.remove(&old);
                self.live.insert(new, Place::Slot(slot));
                self.notes.reallocations += 1;
                put(Operation { action: Action::Reallocate, alignment_log2: 0, slot, bytes: event.bytes });
            }
            // It was empty, or from before the log: its new bytes are all that is known of it.
            _ => {
                self.live.remove(&old);
                self.allocate(event, put);
            }
        }
    }

    /// Frees what is live, in the order of the slots.
    fn end(&mut self, put: &mut impl FnMut(Operation)) {
        let mut left: Vec<u32> = self
            .live
            .values()
            .filter_map(|place| match place {
                Place::Slot(slot) => Some(*slot),
                Place::Empty => None,
            })
            .collect();
        left.sort_unstable();
        self.notes.never_freed = left.len() as u64;
        for slot in left {
            put(Operation { action: Action::Free, alignment_log2: 0, slot, bytes: 0 });
        }
    }

    fn notes(&self) -> Notes {
        Notes { threads: self.threads.len() as u64, ..self.notes }
    }
}
