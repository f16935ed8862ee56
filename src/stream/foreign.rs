//! The streams of other libraries, which name a CUstream by its value, or name none at all.
//!
//! Contract: a CUstream that was named is remembered, so that what was freed on it is known to come before what is
//! requested on it later. A remembered stream is used only in calls that name it, and its owner may destroy it. Work in
//! unnamed streams has passed only after a wait for the whole device; the legacy stream alone comes after it (AL-7).

use super::api::known_or_adopted;
use super::current::{gpu_of, last_named, legacy, own, permanent, set_last_named, set_stream_of};
use super::state::{LEGACY, Origin, PER_THREAD, Stream};
use super::stream_ref::StreamRef;
use crate::error::{Result, fail};
use crate::gpu::{GPUS, Gpu};
use crate::thread::QuickLock;
use crate::types::*;
use core::sync::atomic::AtomicPtr;

/// Number of streams that are remembered: more than PyTorch makes for one GPU.
const REMEMBERED: usize = 256;

/// The remembered streams, each with a reference.
struct Memory {
    streams: [Option<StreamRef>; REMEMBERED],
    /// The entry after the one that was replaced last.
    next: usize,
}

static MEMORY: QuickLock<Memory> = QuickLock::new(Memory { streams: [const { None }; REMEMBERED], next: 0 });

/// Streams by GPU; each keeps a reference.
type Streams = [AtomicPtr<Stream>; GPUS];

/// The streams that stand for unnamed ones, and for unknown ones.
static UNNAMED: Streams = [const { AtomicPtr::new(core::ptr::null_mut()) }; GPUS];
static UNKNOWN: Streams = [const { AtomicPtr::new(core::ptr::null_mut()) }; GPUS];

/// The stream of another library's CUstream, which exists during this call; 0 means the legacy stream (AL-8).
///
/// TN_ERR_DEVICE: it belongs to another GPU or context; TN_ERR_LIMIT: too many streams have uses that are open;
/// TN_ERR_DRIVER.
pub fn foreign(device: tn_device, native: u64) -> Result<StreamRef> {
    let gpu = gpu_of(device)?;
    gpu.alive()?;
    match native {
        0 | LEGACY => legacy(gpu).map(Stream::new_ref),
        PER_THREAD => own(gpu).map(Stream::new_ref),
        _ => {
            let stream = known_or_adopted(gpu, native)?;
            // One that this library created lives as long as its handles.
            if stream.stream().is_imported() {
                remember(&stream)?;
            }
            Ok(stream)
        }
    }
}

/// What a plug-in does with the stream that it names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It uses a new block on it.
    Begins,
    /// It frees a block there.
    Ends,
}

/// As [`foreign`], for the calls of a plug-in, by few calls of the driver where a thread names one stream again and
/// again: one for a use that begins, which compares the stream's number, and none for as many that end.
///
/// The owner may have destroyed the stream, and a new one may have its value. A block that was freed on the old one must
/// not be reused on the new one, so each use that begins compares the numbers. A use that ends relies on that.
pub fn named(device: tn_device, native: u64, how: Use) -> Result<StreamRef> {
    if matches!(native, 0 | LEGACY | PER_THREAD) {
        return foreign(device, native);
    }
    let gpu = gpu_of(device)?;
    if let Some((stream, checks)) = last_named(gpu, native) {
        let unused = checks.get();
        let is_it = match how {
            Use::Ends if unused > 0 => {
                checks.set(unused - 1);
                true
            }
            _ => stream.stream().has_number(),
        };
        if is_it {
            checks.set(checks.get().saturating_add(u32::from(how == Use::Begins)));
            return Ok(stream);
        }
    }
    let stream = foreign(device, native)?;
    set_last_named(stream.clone(), u32::from(how == Use::Begins));
    Ok(stream)
}

/// The stream of a use that another library ends without naming a stream: the one that the calling thread set as its
/// current one, else the stream that stands for unnamed ones.
pub fn unnamed(device: tn_device) -> Result<&'static Stream> {
    match set_stream_of(gpu_of(device)?) {
        Some(stream) => Ok(stream),
        None => no_stream(device, &UNNAMED, Origin::Unnamed),
    }
}

/// The stream that stands for work in an order that only another library knows: no stream comes after it.
pub fn unknown(device: tn_device) -> Result<&'static Stream> {
    no_stream(device, &UNKNOWN, Origin::Unknown)
}

fn no_stream(device: tn_device, of_gpus: &'static Streams, origin: Origin) -> Result<&'static Stream> {
    let gpu: &'static Gpu = gpu_of(device)?;
    permanent(gpu, &of_gpus[gpu.id() as usize], origin)
}

/// Keeps a reference on a stream. The stream that makes room for it has no open use, and ends after the lock was
/// released.
fn remember(stream: &StreamRef) -> Result<()> {
    let forgotten = MEMORY.lock().add(stream);
    forgotten.map(drop).ok_or_else(|| {
        fail(
            TN_ERR_LIMIT,
            format_args!("{REMEMBERED} streams of other libraries have uses that are open; free blocks that they use"),
        )
    })
}

impl Memory {
    /// Returns the entry that the stream replaces; None: there is no room.
    fn add(&mut self, stream: &StreamRef) -> Option<Option<StreamRef>> {
        if self.streams.iter().flatten().any(|known| known == stream) {
            return Some(None);
        }
        let free = |entry: &Option<StreamRef>| entry.as_ref().is_none_or(|known| !known.stream().has_open_uses());
        let at = (self.next..REMEMBERED).chain(0..self.next).find(|&at| free(&self.streams[at]))?;
        self.next = (at + 1) % REMEMBERED;
        Some(self.streams[at].replace(stream.clone()))
    }
}
