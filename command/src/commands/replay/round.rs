//! One round of a replay, in the process that was started for it.
//!
//! Contract: the operations are checked before one is executed. Nothing but the allocator under test allocates while it
//! is measured.

use super::heap::{self, Block, Heap};
use crate::{Failure, print};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};
use tenure_event_log::operations::{Action, Operation, Operations};

/// What a round measures.
#[derive(Serialize, Deserialize)]
pub struct Figures {
    /// A run in which each byte of a block is written once.
    pub run_ns: u64,
    /// A run in which no byte is written.
    pub calls_ns: u64,
    /// The most bytes resident in the first run, beside those of before.
    pub peak_resident_bytes: u64,
}

/// Places of the first run where resident memory is read, beside that of the peak of live bytes.
const LOOKS: usize = 256;
/// Each kind of run is repeated for so long, and executed at least once.
const REPEATED: Duration = Duration::from_millis(200);

/// Replays the operations on standard input with the allocator of this name, and prints the figures.
pub fn serve(name: &str) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).map_err(|error| format!("cannot read the operations: {error}"))?;
    let operations = Operations::from_bytes(&bytes).map_err(|error| error.to_string())?;
    // The bytes are kept until the end: malloc would serve the first blocks from freed memory, which is resident
    // already.
    let figures = heap::measure(name, Measured(&operations))?;
    print(&serde_json::to_string(&figures).map_err(|error| error.to_string())?)
}

/// The measurement, for a heap of any type.
pub struct Measured<'a>(&'a Operations);

impl Measured<'_> {
    pub fn on(self, heap: &impl Heap) -> Result<Figures, Failure> {
        let operations = self.0;
        let mut slots = Vec::new();
        slots.resize_with(operations.slots as usize, || None);
        Block::allocate(heap, 64, 0)?.free(); // what an allocator has initially does not count
        let look = Resident::open()?;
        let (base, mut most) = (look.bytes()?, 0);
        let every = operations.list.len() / LOOKS + 1;
        for (number, operation) in operations.list.iter().enumerate() {
            execute(heap, operation, &mut slots, true)?;
            if number as u64 == operations.peak_at || number % every == 0 {
                most = look.bytes()?.max(most);
            }
        }
        let mut least = |writes| -> Result<u64, Failure> {
            let (begin, mut least) = (Instant::now(), Duration::MAX);
            while least == Duration::MAX || begin.elapsed() < REPEATED {
                let start = Instant::now();
                for operation in &operations.list {
                    execute(heap, operation, &mut slots, writes)?;
                }
                least = least.min(start.elapsed());
            }
            Ok(least.as_nanos() as u64)
        };
        Ok(Figures { run_ns: least(true)?, calls_ns: least(false)?, peak_resident_bytes: most.saturating_sub(base) })
    }
}

fn execute<'a, H: Heap>(
    heap: &'a H,
    operation: &Operation,
    slots: &mut [Option<Block<'a, H>>],
    writes: bool,
) -> Result<(), Failure> {
    let slot = &mut slots[operation.slot as usize];
    let bytes = operation.bytes as usize;
    let known = slot.as_ref().map_or(0, Block::bytes);
    match operation.action {
        Action::Allocate => *slot = Some(Block::allocate(heap, bytes, operation.alignment_log2)?),
        Action::Reallocate => slot.as_mut().expect("the operations were checked").reallocate(bytes)?,
        Action::Free => slot.take().expect("the operations were checked").free(),
    }
    if let Some(block) = slot.as_mut().filter(|_| writes) {
        block.write_from(known);
    }
    Ok(())
}

/// Reads the resident bytes of this process that no file backs, without the heap.
struct Resident;

impl Resident {
    const PATH: &str = "/proc/self/smaps_rollup";

    fn open() -> Result<Resident, Failure> {
        Resident.bytes().map(|_| Resident)
    }

    fn bytes(&self) -> Result<u64, Failure> {
        let failed = |why: String| format!("cannot read {}: {why}", Resident::PATH);
        let mut text = [0; 4096];
        let mut file = File::open(Resident::PATH).map_err(|error| failed(error.to_string()))?;
        let (mut length, mut more) = (0, 1);
        while more > 0 && length < text.len() {
            more = file.read(&mut text[length..]).map_err(|error| failed(error.to_string()))?;
            length += more;
        }
        let kib = |line: &[u8]| {
            let line = std::str::from_utf8(line).ok()?;
            let value = line.strip_prefix("Anonymous:").or_else(|| line.strip_prefix("Pss_Shmem:"))?;
            value.trim().strip_suffix(" kB")?.parse::<u64>().ok()
        };
        Ok(text[..length].split(|byte| *byte == b'\n').filter_map(kib).sum::<u64>() * 1024)
    }
}
