//! The memory snapshots of PyTorch: what `torch.cuda.memory._snapshot()` returns, as a pickle for
//! pytorch.org/memory_viz.
//!
//! Contract: each pool is a device of the snapshot, in the order of the serial numbers. A frame has the call site, with
//! the array's name or the allocating library as its function; the frame below it names the pool. The log does not have
//! the memory that pools reserved, so segments are the ranges of whole huge pages that blocks touched. Such a segment
//! begins with its first block and never ends.

use crate::blocks::{Block, Blocks};
use crate::{Kind, Log, client_name};
use serde::ser::{Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Segments begin and end at multiples of this.
const HUGE_PAGE_BYTES: u64 = 2 << 20;
/// Blocks beyond this address are no memory: user space ends far below it, and all sizes fit into the viewer's signed
/// numbers.
const END_OF_MEMORY: u64 = 1 << 62;

/// Writes the snapshot.
pub fn write(log: &Log, out: impl Write) -> io::Result<()> {
    let blocks = Blocks::of(log);
    let devices = devices(log, &blocks);
    let snapshot = Snapshot {
        segments: Segments { log, blocks: &blocks, devices: &devices },
        device_traces: devices.iter().map(|device| Trace { log, blocks: &blocks, device }).collect(),
        allocator_settings: BTreeMap::new(),
        external_annotations: [],
    };
    let mut out = io::BufWriter::new(out);
    serde_pickle::to_writer(&mut out, &snapshot, serde_pickle::SerOptions::new()).map_err(io::Error::other)?;
    out.flush()
}

/// One pool.
#[derive(Default)]
struct Device {
    /// In the order of their addresses, without overlaps.
    segments: Vec<Segment>,
    steps: Vec<Step>,
    /// Indices of the blocks that are live at the end, in the order of their addresses.
    live: Vec<usize>,
}

struct Segment {
    address: u64,
    end: u64,
    /// When its first block began, as an event; `None`: before the log.
    begin: Option<usize>,
}

/// What happened, with the index of the event.
enum Step {
    Segment(usize, usize),
    Allocated(usize, usize),
    Freed(usize, usize),
    Failed(usize),
}

fn devices(log: &Log, blocks: &Blocks) -> Vec<Device> {
    let mut devices: BTreeMap<u64, Device> = BTreeMap::new();
    let is_memory = |block: &Block| block.address < END_OF_MEMORY && block.bytes < END_OF_MEMORY - block.address;
    for block in blocks.blocks.iter().filter(|block| is_memory(block)) {
        let end = block.address + block.bytes.max(1);
        devices.entry(block.pool).or_default().segments.push(Segment {
            address: block.address / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES,
            end: end.next_multiple_of(HUGE_PAGE_BYTES),
            begin: block.begin,
        });
    }
    devices.values_mut().for_each(|device| device.segments = merged(std::mem::take(&mut device.segments)));
    let mut changes = blocks.changes.iter().peekable();
    for (index, event) in log.events.iter().enumerate() {
        if event.kind == Kind::Allocate && event.address == 0 {
            devices.entry(event.pool).or_default().steps.push(Step::Failed(index));
        }
        while let Some(change) = changes.next_if(|change| change.event == index) {
            let block = &blocks.blocks[change.block];
            if !is_memory(block) {
                continue;
            }
            let device = devices.entry(block.pool).or_default();
            if !change.begins {
                device.steps.push(Step::Freed(index, change.block));
                continue;
            }
            let segment = device.segments.partition_point(|segment| segment.end <= block.address);
            if device.segments[segment].begin == Some(index) {
                device.steps.push(Step::Segment(index, segment));
            }
            device.steps.push(Step::Allocated(index, change.block));
        }
    }
    for block in blocks.live.values().filter(|block| is_memory(&blocks.blocks[**block])) {
        devices.entry(blocks.blocks[*block].pool).or_default().live.push(*block);
    }
    devices.into_values().collect()
}

/// Joins segments that overlap or touch.
fn merged(mut segments: Vec<Segment>) -> Vec<Segment> {
    segments.sort_by_key(|segment| segment.address);
    segments.dedup_by(|next, segment| {
        let joined = next.address <= segment.end;
        if joined {
            segment.end = segment.end.max(next.end);
            segment.begin = segment.begin.min(next.begin);
        }
        joined
    });
    segments
}

#[derive(serde::Serialize)]
struct Snapshot<'a> {
    segments: Segments<'a>,
    device_traces: Vec<Trace<'a>>,
    allocator_settings: BTreeMap<String, String>,
    external_annotations: [(); 0],
}

struct Segments<'a> {
    log: &'a Log,
    blocks: &'a Blocks<'a>,
    devices: &'a [Device],
}

/// The viewer takes unsigned numbers of 64 bits for numbers of another type: all numbers are signed.
#[derive(serde::Serialize)]
struct SegmentState<'a> {
    device: i64,
    address: i64,
    total_size: i64,
    allocated_size: i64,
    active_size: i64,
    requested_size: i64,
    stream: i64,
    segment_type: &'static str,
    segment_pool_id: (i64, i64),
    is_expandable: bool,
    frames: Vec<Frame<'a>>,
    blocks: Vec<BlockState<'a>>,
}

#[derive(serde::Serialize)]
struct BlockState<'a> {
    address: i64,
    size: i64,
    requested_size: i64,
    state: &'static str,
    frames: Vec<Frame<'a>>,
}

#[derive(serde::Serialize)]
struct Frame<'a> {
    filename: &'a str,
    line: i64,
    name: Cow<'a, str>,
}

impl Serialize for Segments<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.devices.iter().enumerate().flat_map(|(number, device)| {
            let mut live = device.live.iter().map(|block| &self.blocks.blocks[*block]).peekable();
            device.segments.iter().map(move |segment| {
                let mut blocks = Vec::new();
                let mut end = segment.address;
                let mut allocated = 0;
                while let Some(block) = live.next_if(|block| block.address < segment.end) {
                    blocks.extend(gap(end, block.address));
                    end = block.address + block.bytes;
                    allocated += block.bytes as i64;
                    blocks.push(BlockState {
                        address: block.address as i64,
                        size: block.bytes as i64,
                        requested_size: block.bytes as i64,
                        state: "active_allocated",
                        frames: frames(self.log, block),
                    });
                }
                blocks.extend(gap(end, segment.end));
                SegmentState {
                    device: number as i64,
                    address: segment.address as i64,
                    total_size: (segment.end - segment.address) as i64,
                    allocated_size: allocated,
                    active_size: allocated,
                    requested_size: allocated,
                    stream: 0,
                    segment_type: "large",
                    segment_pool_id: (0, 0),
                    is_expandable: false,
                    frames: Vec::new(),
                    blocks,
                }
            })
        }))
    }
}

/// The free memory between two blocks.
fn gap(from: u64, to: u64) -> Option<BlockState<'static>> {
    let size = to.saturating_sub(from) as i64;
    (size > 0).then(|| BlockState {
        address: from as i64,
        size,
        requested_size: 0,
        state: "inactive",
        frames: Vec::new(),
    })
}

struct Trace<'a> {
    log: &'a Log,
    blocks: &'a Blocks<'a>,
    device: &'a Device,
}

#[derive(serde::Serialize)]
struct Entry<'a> {
    action: &'static str,
    addr: i64,
    size: i64,
    stream: i64,
    time_us: i64,
    /// Of a failed allocation: memory that the device had. The log does not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_free: Option<i64>,
    frames: Vec<Frame<'a>>,
}

impl Serialize for Trace<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.device.steps.iter().flat_map(|step| self.entries(step)))
    }
}

impl<'a> Trace<'a> {
    fn entries(&self, step: &Step) -> impl Iterator<Item = Entry<'a>> {
        let (first, second) = match *step {
            Step::Segment(event, segment) => {
                let segment = &self.device.segments[segment];
                let size = segment.end - segment.address;
                let frames = Vec::new();
                (Entry { frames, ..self.entry("segment_alloc", event, segment.address, size) }, None)
            }
            Step::Allocated(event, block) => (self.block_entry("alloc", event, block), None),
            Step::Freed(event, block) => (
                self.block_entry("free_requested", event, block),
                Some(self.block_entry("free_completed", event, block)),
            ),
            Step::Failed(index) => {
                let event = &self.log.events[index];
                let frames = frames_of(self.log, event.site, client_name(event.client), event.pool);
                let entry = self.entry("oom", index, 0, event.bytes.min(END_OF_MEMORY));
                (Entry { device_free: Some(0), frames, stream: event.stream as i64, ..entry }, None)
            }
        };
        std::iter::once(first).chain(second)
    }

    fn block_entry(&self, action: &'static str, event: usize, block: usize) -> Entry<'a> {
        let block = &self.blocks.blocks[block];
        let entry = self.entry(action, event, block.address, block.bytes);
        Entry { stream: block.stream as i64, frames: frames(self.log, block), ..entry }
    }

    fn entry(&self, action: &'static str, event: usize, address: u64, bytes: u64) -> Entry<'a> {
        let time_ns = self.log.start_unix_ns.saturating_add(self.log.events[event].time_ns);
        Entry {
            action,
            addr: address as i64,
            size: bytes as i64,
            stream: 0,
            time_us: (time_ns / 1000) as i64,
            device_free: None,
            frames: Vec::new(),
        }
    }
}

fn frames<'a>(log: &'a Log, block: &Block<'a>) -> Vec<Frame<'a>> {
    let client = block.begin.map_or("(older than the log)", |_| client_name(block.client));
    frames_of(log, block.site, block.name.unwrap_or(client), block.pool)
}

fn frames_of<'a>(log: &'a Log, site: u32, name: &'a str, pool: u64) -> Vec<Frame<'a>> {
    let site = log.sites.get(&site).map_or("(no call site)", String::as_str);
    let numbered = site.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse::<u32>().ok()?)));
    let (filename, line) = numbered.unwrap_or((site, 0));
    vec![
        Frame { filename, line: line.into(), name: name.into() },
        Frame { filename: "pool", line: 0, name: log.pool_label(pool).into() },
    ]
}
