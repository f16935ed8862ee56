//! Mapped memory of a GPU: each pool has address ranges of its own, of the GPU's total size, into which granules are
//! mapped.
//!
//! Contract: that of every [`Device`]. A range that is handed out consists of whole granules. Any part of it can go
//! back in whole granules, as [`Device::whole_part`] finds them, and ranges that touch can be merged. The granules of a
//! part that goes back by [`Device::keep`] stay the pool's: the next range is made of them, at other addresses. No lock
//! is held while the driver is called.
//!
//! Granules have two sizes, because each costs the driver a few calls, whatever its size: 2 MiB, and 32 MiB wherever as
//! much of a range is left. A large granule goes back as a whole. So a pool whose granules are mapped elsewhere, because
//! its free memory is scattered, makes no more large ones, and breaks up those that it has: until nothing is mapped.
//!
//! A range belongs to the context in which it was reserved. Whether the driver keeps its granules when that context is
//! reset is not documented, so nothing in it is used again: the memory is lost to the process if the driver kept it.
//!
//! Single granules, which small blocks are cut from, are mapped at the end of a range, and larger ones from its
//! beginning. So small blocks do not break the addresses up that large ones need.
//!
//! Comparison: PyTorch's expandable segments also reserve addresses for the whole GPU and map granules there (2 MiB for
//! small blocks, 20 MiB for large ones; pytorch/pytorch#96995 has the time that each takes). GMLake maps free granules of 2 MiB to a new contiguous range, as `keep` does
//! here.

use super::cuda;
use super::interface::{Device, PeerAccess, Terms};
use crate::arena::{self, Link, Linked, Quarantine};
use crate::error::{Result, fail, quietly};
use crate::gpu::virtual_memory::{self, GRANULE_BYTES, Granule, Maker};
use crate::gpu::{Gpu, Inside, gpu};
use crate::stream::Stream;
use crate::sys::os;
use crate::thread::QuickLock;
use crate::types::*;
use core::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

/// The mapped memory of one pool; type-stable.
pub struct Mapped {
    gpu: AtomicI32,
    /// GPUs that may access the memory too, by the bits of their ordinals.
    peers: AtomicU64,
    ranges: QuickLock<Ranges>,
    link: Link<Mapped>,
}

impl Linked for Mapped {
    fn link(&self) -> &Link<Mapped> {
        &self.link
    }
}

/// What the lock guards.
struct Ranges {
    first: Option<&'static AddressRange>,
    /// Addresses that are handed out, in units of [`GRANULE_BYTES`].
    mapped: usize,
    /// Granules without an address, of each size.
    kept: [usize; 2],
    /// Granules went to other addresses since the pool had none: its memory is fragmented, and large granules would make
    /// that worse.
    is_fragmented: bool,
}

/// The sizes of granules, in units of [`GRANULE_BYTES`].
const SIZES: [usize; 2] = [1, virtual_memory::LARGE_GRANULE_BYTES / GRANULE_BYTES];
const SMALL: usize = 0;
const LARGE: usize = 1;

/// Reserved addresses, in units of [`GRANULE_BYTES`]. The record lies in front of its tables, in memory of its own. The
/// tables change under the lock.
struct AddressRange {
    start: usize,
    granules: usize,
    /// Which of the GPU's contexts it was reserved in.
    epoch: u32,
    next: Option<&'static AddressRange>,
    /// A bit for each unit: it is handed out.
    used: &'static [AtomicU64],
    /// A bit for each unit: a large granule is mapped from it on.
    large: &'static [AtomicU64],
    /// The granule that is mapped from a unit on.
    handles: &'static [AtomicU64],
    /// Granules without an address, of each size.
    kept: [Stack; 2],
}

/// Granules without an address.
struct Stack {
    count: AtomicUsize,
    granules: &'static [AtomicU64],
}

impl Stack {
    fn pop(&self) -> Option<Granule> {
        let count = self.count.load(Ordering::Relaxed).checked_sub(1)?;
        self.count.store(count, Ordering::Relaxed);
        Some(self.granules[count].load(Ordering::Relaxed))
    }

    /// False: it is full.
    fn push(&self, granule: Granule) -> bool {
        let count = self.count.load(Ordering::Relaxed);
        let Some(place) = self.granules.get(count) else { return false };
        place.store(granule, Ordering::Relaxed);
        self.count.store(count + 1, Ordering::Relaxed);
        true
    }
}

/// Some units of addresses: range, index of the first, number.
#[derive(Clone, Copy)]
struct Hole {
    range: &'static AddressRange,
    first: usize,
    count: usize,
}

fn bit(bits: &[AtomicU64], at: usize) -> bool {
    bits[at / 64].load(Ordering::Relaxed) & 1 << (at % 64) != 0
}

fn set_bit(bits: &[AtomicU64], at: usize, on: bool) {
    let word = bits[at / 64].load(Ordering::Relaxed);
    let mask = 1 << (at % 64);
    bits[at / 64].store(if on { word | mask } else { word & !mask }, Ordering::Relaxed);
}

/// The first unit of a range at or behind an address.
fn from_unit(range: &AddressRange, address: usize) -> usize {
    (address.saturating_sub(range.start) / GRANULE_BYTES).min(range.granules)
}

/// The first bit in [from, end) that is `on`.
fn next_bit(bits: &[AtomicU64], from: usize, end: usize, on: bool) -> Option<usize> {
    let mut at = from;
    while at < end {
        let word = bits[at / 64].load(Ordering::Relaxed);
        let rest = (if on { word } else { !word }) >> (at % 64);
        if rest != 0 {
            return Some(at + rest.trailing_zeros() as usize).filter(|&at| at < end);
        }
        at = (at / 64 + 1) * 64;
    }
    None
}

impl AddressRange {
    /// Entries of the tables: `used`, `large`, `handles`, and what is kept of each size.
    fn table_sizes(granules: usize) -> [usize; 5] {
        let words = granules.div_ceil(64);
        [words, words, granules, granules, granules / SIZES[LARGE]]
    }

    /// Bytes of the record and its tables.
    fn record_bytes(granules: usize) -> usize {
        let entries: usize = AddressRange::table_sizes(granules).iter().sum();
        (size_of::<AddressRange>() + entries * 8).next_multiple_of(os::page_bytes())
    }

    /// A record for reserved addresses. None: no memory.
    fn create(start: usize, granules: usize, epoch: u32) -> Option<&'static mut AddressRange> {
        let at = os::map(AddressRange::record_bytes(granules), os::page_bytes())?;
        let mut next = (at + size_of::<AddressRange>()) as *const AtomicU64;
        // SAFETY: the mapping is zeroed, has room for the record and behind it for the tables, and is unmapped in
        // `Mapped::end`, when no other thread uses them.
        unsafe {
            let [used, large, handles, small_kept, large_kept] = AddressRange::table_sizes(granules).map(|count| {
                let table = core::slice::from_raw_parts(next, count);
                next = next.add(count);
                table
            });
            let kept = [small_kept, large_kept].map(|granules| Stack { count: AtomicUsize::new(0), granules });
            let record = at as *mut AddressRange;
            record.write(AddressRange { start, granules, epoch, next: None, used, large, handles, kept });
            Some(&mut *record)
        }
    }

    fn bytes(&self) -> usize {
        self.granules * GRANULE_BYTES
    }

    /// The first of `count` unused granules at a multiple of `step`, or the last single one.
    fn find(&self, count: usize, step: usize) -> Option<usize> {
        if (count, step) == (1, 1) {
            return (0..self.used.len()).rev().find_map(|word| {
                let valid = u64::MAX >> (64 - (self.granules - word * 64).min(64));
                let free = !self.used[word].load(Ordering::Relaxed) & valid;
                (free != 0).then(|| word * 64 + free.ilog2() as usize)
            });
        }
        let mut at = 0;
        loop {
            at = next_bit(self.used, at, self.granules, false)?.next_multiple_of(step);
            match next_bit(self.used, at, self.granules.min(at + count), true) {
                _ if at + count > self.granules => return None,
                None => return Some(at),
                Some(used) => at = used,
            }
        }
    }

    /// The size of the granule that is mapped from a unit on.
    fn size_at(&self, at: usize) -> usize {
        SIZES[usize::from(bit(self.large, at))]
    }

    /// The first unit at or behind this one from which a granule is mapped.
    fn boundary(&self, at: usize) -> usize {
        let first = (at + 1).saturating_sub(SIZES[LARGE]);
        let inside = (first..at).rev().find(|&before| bit(self.large, before));
        inside.map_or(at, |before| before + SIZES[LARGE])
    }

    /// Records the granule that is mapped from a unit on.
    fn set_granule(&self, at: usize, size: usize, granule: Granule) {
        set_bit(self.large, at, size == LARGE);
        self.handles[at].store(granule, Ordering::Relaxed);
    }
}

impl Ranges {
    fn all(&self) -> impl Iterator<Item = &'static AddressRange> {
        core::iter::successors(self.first, |range| range.next)
    }

    /// The ranges of a context.
    fn of(&self, epoch: u32) -> impl Iterator<Item = &'static AddressRange> {
        self.all().filter(move |range| range.epoch == epoch)
    }

    /// Takes unused addresses.
    fn take(&mut self, count: usize, step: usize, epoch: u32) -> Option<Hole> {
        let hole = self.of(epoch).find_map(|range| Some(Hole { range, first: range.find(count, step)?, count }))?;
        (hole.first..hole.first + count).for_each(|at| set_bit(hole.range.used, at, true));
        self.mapped += count;
        Some(hole)
    }

    fn give_back(&mut self, hole: Hole) {
        for at in hole.first..hole.first + hole.count {
            set_bit(hole.range.used, at, false);
            set_bit(hole.range.large, at, false);
        }
        self.mapped -= hole.count;
        self.is_fragmented = self.is_fragmented && self.mapped > 0;
    }

    /// A granule without an address.
    fn take_kept(&mut self, epoch: u32, size: usize) -> Option<Granule> {
        if self.kept[size] == 0 {
            return None;
        }
        let granule = self.of(epoch).find_map(|range| range.kept[size].pop());
        self.kept[size] -= usize::from(granule.is_some());
        granule
    }

    /// The part of a range at an address.
    fn hole(&self, start: usize, bytes: usize) -> Option<Hole> {
        let range = self.all().find(|range| start.wrapping_sub(range.start) < range.bytes())?;
        Some(Hole { range, first: (start - range.start) / GRANULE_BYTES, count: bytes / GRANULE_BYTES })
    }
}

impl Hole {
    fn start(&self) -> usize {
        self.range.start + self.first * GRANULE_BYTES
    }
    fn bytes(&self) -> usize {
        self.count * GRANULE_BYTES
    }

    /// The granules that are mapped in its first units: the unit, the size, and the granule.
    fn granules(&self, units: usize) -> impl Iterator<Item = (usize, usize, Granule)> {
        let (range, mut at, end) = (self.range, self.first, self.first + units);
        core::iter::from_fn(move || {
            let here = at;
            (here < end).then(|| {
                let size = usize::from(bit(range.large, here));
                at += SIZES[size];
                (here, size, range.handles[here].load(Ordering::Relaxed))
            })
        })
    }
}

/// Records without a pool.
static FREE: QuickLock<Quarantine<Mapped>> = QuickLock::new(Quarantine::new());

impl Mapped {
    /// The memory of a new pool; nothing is reserved yet. `peers`: GPUs that may access it too. TN_ERR_DEVICE: a peer
    /// does not exist or cannot access it; TN_ERR_NO_HOST_MEMORY.
    pub fn create(owner: &'static Gpu, peers: u64) -> Result<&'static Mapped> {
        virtual_memory::check_peers(owner, peers)?;
        let unused = FREE.lock().take_beyond(0);
        let mapped = unused.or_else(|| {
            let at = arena::take(size_of::<Mapped>(), align_of::<Mapped>())?.cast::<Mapped>();
            let ranges = QuickLock::new(Ranges { first: None, mapped: 0, kept: [0; 2], is_fragmented: false });
            let record = Mapped { gpu: AtomicI32::new(0), peers: AtomicU64::new(0), ranges, link: Link::new() };
            // SAFETY: fresh memory of the right size and alignment, which is never unmapped.
            unsafe {
                at.write(record);
                Some(at.as_ref())
            }
        });
        let Some(mapped) = mapped else {
            return Err(fail(
                TN_ERR_NO_HOST_MEMORY,
                format_args!("no memory for the descriptor of a pool; free some memory"),
            ));
        };
        mapped.gpu.store(owner.id(), Ordering::Relaxed);
        mapped.peers.store(peers, Ordering::Relaxed);
        Ok(mapped)
    }

    fn gpu(&self) -> Result<&'static Gpu> {
        gpu(self.gpu.load(Ordering::Relaxed))
    }

    /// Reserves addresses for `bytes` at least. False: there are none, or no memory for their record.
    fn add_range(&self, inside: &Inside, bytes: usize) -> Result<bool> {
        let (_, total) = inside.gpu().memory()?;
        let bytes = (total as usize).max(bytes).next_multiple_of(2 * GRANULE_BYTES);
        let Some(start) = virtual_memory::reserve(inside, bytes)? else { return Ok(false) };
        let Some(range) = AddressRange::create(start, bytes / GRANULE_BYTES, inside.gpu().epoch()) else {
            // SAFETY: just reserved, and nothing is mapped there.
            let _ = unsafe { virtual_memory::release_addresses(inside, start, bytes) };
            return Ok(false);
        };
        if !cuda::note_addresses(inside.gpu(), start, bytes) {
            // SAFETY: just reserved, and nothing is mapped there; no other thread knows the record.
            unsafe {
                let _ = virtual_memory::release_addresses(inside, start, bytes);
                os::unmap(core::ptr::from_mut(range) as usize, AddressRange::record_bytes(range.granules));
            }
            return Ok(false);
        }
        let mut ranges = self.ranges.lock();
        range.next = ranges.first;
        ranges.first = Some(range);
        Ok(true)
    }

    /// Maps granules into a hole. The second value says how many units were mapped. Ok(false): the GPU has no memory
    /// left.
    fn fill_hole(&self, inside: &Inside, hole: Hole) -> (Result<bool>, usize) {
        let maker = Maker::new(inside.gpu());
        let mut done = 0;
        while done < hole.count {
            let (size, granule) = match self.granule_for(inside, &maker, hole, hole.count - done) {
                Ok(Some(found)) => found,
                Ok(None) => return (Ok(false), done),
                Err(status) => return (Err(status), done),
            };
            let start = hole.start() + done * GRANULE_BYTES;
            // SAFETY: the addresses were just taken, so nothing is mapped there; the granule has that size.
            let is_mapped = unsafe { virtual_memory::map(inside, start, SIZES[size] * GRANULE_BYTES, granule) };
            if !matches!(is_mapped, Ok(true)) {
                // SAFETY: not mapped.
                unsafe { virtual_memory::release(inside, granule) };
                return (is_mapped, done);
            }
            let ranges = self.ranges.lock();
            hole.range.set_granule(hole.first + done, size, granule);
            drop(ranges);
            done += SIZES[size];
        }
        loop {
            let peers = self.peers.load(Ordering::SeqCst);
            let allowed = virtual_memory::allow(inside, hole.start(), hole.bytes(), peers);
            // Another thread may have added a peer meanwhile, and does not know of the hole.
            if !matches!(allowed, Ok(true)) || peers == self.peers.load(Ordering::SeqCst) {
                return (allowed, done);
            }
        }
    }

    /// A granule for a hole of which `left` units are not filled: a large one where it fits. None: the GPU has no memory
    /// left.
    fn granule_for(&self, inside: &Inside, maker: &Maker, hole: Hole, left: usize) -> Result<Option<(usize, Granule)>> {
        loop {
            let mut ranges = self.ranges.lock();
            let fits = left >= SIZES[LARGE] && !ranges.is_fragmented;
            let mut kept = |size: usize| ranges.take_kept(hole.range.epoch, size).map(|granule| (size, granule));
            let found = if fits { kept(LARGE).or_else(|| kept(SMALL)) } else { kept(SMALL) };
            drop(ranges);
            if found.is_some() {
                return Ok(found);
            }
            // A large granule that was kept has the memory that small ones need.
            let broken = self.ranges.lock().take_kept(hole.range.epoch, LARGE);
            if let Some(granule) = broken {
                // SAFETY: it has no address, and is in no list.
                unsafe { virtual_memory::release(inside, granule) };
            }
            let sizes: &[usize] = if fits { &[LARGE, SMALL] } else { &[SMALL] };
            for &size in sizes {
                if let Some(granule) = maker.create(inside, SIZES[size] * GRANULE_BYTES)? {
                    return Ok(Some((size, granule)));
                }
            }
            if broken.is_none() {
                return Ok(None);
            }
        }
    }

    /// Unmaps the granules in the first units of a hole, and frees them. False: the driver refused.
    ///
    /// # Safety
    /// - all work on them is done, and they are not used again.
    unsafe fn empty_hole(&self, inside: &Inside, hole: Hole, mapped: usize) -> bool {
        // SAFETY: the caller's obligation.
        if mapped > 0 && !unsafe { virtual_memory::unmap(inside, hole.start(), mapped * GRANULE_BYTES) } {
            return false;
        }
        for (_, _, granule) in hole.granules(mapped) {
            // SAFETY: unmapped, and in no list.
            unsafe { virtual_memory::release(inside, granule) };
        }
        true
    }

    /// Lets another GPU access all that is mapped, and all that will be. Fails where the driver does; what it refuses it
    /// copies through host memory.
    fn open_all(&self, peer: i32) -> Result<()> {
        let inside = self.gpu()?.enter()?;
        let peers = self.peers.fetch_or(1 << peer, Ordering::SeqCst) | 1 << peer;
        let mut from = 0;
        loop {
            // The first run of units that are handed out, at an address behind the last one.
            let ranges = self.ranges.lock();
            let run = ranges.of(inside.gpu().epoch()).filter_map(|range| {
                let first = next_bit(range.used, from_unit(range, from), range.granules, true)?;
                let end = next_bit(range.used, first, range.granules, false).unwrap_or(range.granules);
                Some(Hole { range, first, count: end - first })
            });
            let next = run.min_by_key(Hole::start);
            drop(ranges);
            let Some(hole) = next else { return Ok(()) };
            from = hole.start() + hole.bytes();
            // A part that another thread fills at this moment is not mapped yet, and gets its access there.
            if virtual_memory::allow(&inside, hole.start(), hole.bytes(), peers).is_err() {
                for (at, size, _) in hole.granules(hole.count) {
                    let start = hole.range.start + at * GRANULE_BYTES;
                    let _ = quietly(|| virtual_memory::allow(&inside, start, SIZES[size] * GRANULE_BYTES, peers));
                }
            }
        }
    }

    /// The part of a range that goes back, and the GPU's context. Err: no driver call may be made; true: the memory is
    /// gone already.
    fn leaving(&self, start: usize, bytes: usize) -> core::result::Result<(Inside, Hole), bool> {
        let hole = self.ranges.lock().hole(start, bytes).ok_or(false)?;
        let inside = self.gpu().and_then(Gpu::enter).map_err(|_| true)?;
        if hole.range.epoch == inside.gpu().epoch() { Ok((inside, hole)) } else { Err(true) }
    }

    /// Frees all addresses and the record: the pool has ended, and nothing is mapped.
    pub fn end(&'static self) {
        self.release_kept();
        let mut next = self.ranges.lock().first.take();
        let inside = quietly(|| self.gpu().and_then(Gpu::enter)).ok();
        while let Some(range) = next {
            next = range.next;
            cuda::forget_addresses(range.start);
            if let Some(inside) = &inside {
                // SAFETY: the pool has ended, so no granule is mapped there.
                let _ = quietly(|| unsafe { virtual_memory::release_addresses(inside, range.start, range.bytes()) });
            }
            // SAFETY: from `create`; no pool has this record any more.
            unsafe { os::unmap(core::ptr::from_ref(range) as usize, AddressRange::record_bytes(range.granules)) };
        }
        let mut ranges = self.ranges.lock();
        (ranges.mapped, ranges.kept, ranges.is_fragmented) = (0, [0; 2], false);
        drop(ranges);
        FREE.lock().put(self);
    }
}

impl Device for Mapped {
    fn terms(&self) -> Terms {
        Terms {
            granule: GRANULE_BYTES,
            page: cuda::PAGE_BYTES,
            refusal: TN_ERR_NO_DEVICE_MEMORY,
            joins: true,
            splits: true,
            moves: false,
            keeps: true,
            whole: false,
            zeroed: false,
            touch: false,
            ordered: true,
            in_order: false,
        }
    }

    fn reserve(&self, bytes: usize, alignment: usize, _node: u32) -> Result<Option<usize>> {
        let (count, step) = (bytes / GRANULE_BYTES, alignment.div_ceil(GRANULE_BYTES));
        let inside = self.gpu()?.enter()?;
        let epoch = inside.gpu().epoch();
        let taken = self.ranges.lock().take(count, step, epoch);
        let hole = match taken {
            Some(hole) => hole,
            None if self.add_range(&inside, bytes)? => match self.ranges.lock().take(count, step, epoch) {
                Some(hole) => hole,
                None => return Ok(None),
            },
            None => return Ok(None),
        };
        let (filled, mapped) = self.fill_hole(&inside, hole);
        if let Ok(true) = filled {
            return Ok(Some(hole.start()));
        }
        // SAFETY: no other thread knows the addresses. Addresses that the driver does not unmap are never used again.
        if unsafe { self.empty_hole(&inside, hole, mapped) } {
            self.ranges.lock().give_back(hole);
        }
        filled.map(|_| None)
    }

    unsafe fn free(&self, start: usize, bytes: usize) -> bool {
        let (inside, hole) = match self.leaving(start, bytes) {
            Ok(leaving) => leaving,
            Err(done) => return done,
        };
        // SAFETY: the caller's obligation.
        let freed = unsafe { self.empty_hole(&inside, hole, hole.count) };
        if freed {
            self.ranges.lock().give_back(hole);
        }
        freed
    }

    unsafe fn keep(&self, start: usize, bytes: usize) -> bool {
        let (inside, hole) = match self.leaving(start, bytes) {
            Ok(leaving) => leaving,
            Err(done) => return done,
        };
        // SAFETY: the caller's obligation.
        if !unsafe { virtual_memory::unmap(&inside, start, bytes) } {
            return false;
        }
        for (_, size, granule) in hole.granules(hole.count) {
            let mut ranges = self.ranges.lock();
            let kept = ranges.of(hole.range.epoch).any(|range| range.kept[size].push(granule));
            ranges.kept[size] += usize::from(kept);
            drop(ranges);
            if !kept {
                // SAFETY: it has no address, and is in no list.
                unsafe { virtual_memory::release(&inside, granule) };
            }
        }
        let mut ranges = self.ranges.lock();
        ranges.is_fragmented = true;
        ranges.give_back(hole);
        true
    }

    fn whole_part(&self, start: usize, end: usize, wanted: usize, most: usize) -> Option<(usize, usize)> {
        let hole = self.ranges.lock().hole(start, end - start)?;
        let (range, last) = (hole.range, hole.first + hole.count);
        let mut from = range.boundary(hole.first);
        while from < last {
            let mut to = from;
            while to < last && (to - from) * GRANULE_BYTES < wanted {
                let next = to + range.size_at(to);
                if next > last || (next - from) * GRANULE_BYTES > most {
                    break;
                }
                to = next;
            }
            if to > from {
                return Some((range.start + from * GRANULE_BYTES, range.start + to * GRANULE_BYTES));
            }
            from += range.size_at(from);
        }
        None
    }

    fn open_to(&self, peer: i32) -> PeerAccess {
        let is_open = self.peers.load(Ordering::Relaxed) & 1 << peer != 0 || quietly(|| self.open_all(peer)).is_ok();
        if is_open { PeerAccess::Open } else { PeerAccess::Closed }
    }

    fn release_kept(&self) {
        if self.ranges.lock().kept == [0; 2] {
            return;
        }
        let Ok(inside) = quietly(|| self.gpu().and_then(Gpu::enter)) else { return };
        loop {
            let mut ranges = self.ranges.lock();
            let epoch = inside.gpu().epoch();
            let kept = ranges.take_kept(epoch, SMALL).or_else(|| ranges.take_kept(epoch, LARGE));
            drop(ranges);
            let Some(granule) = kept else { return };
            // SAFETY: it has no address, and is in no list.
            unsafe { virtual_memory::release(&inside, granule) };
        }
    }

    fn ahead(&self) -> (usize, usize) {
        let ranges = self.ranges.lock();
        let all = ranges.all().fold((0, 0), |(addresses, records), range| {
            (addresses + range.bytes(), records + AddressRange::record_bytes(range.granules))
        });
        (all.0 - ranges.mapped * GRANULE_BYTES, all.1)
    }

    cuda::on_streams!();

    fn is_gone(&self) -> bool {
        self.gpu().map_or(true, Gpu::is_lost)
    }

    fn memory(&self) -> Option<(u64, u64)> {
        let (free, total) = quietly(|| self.gpu().and_then(Gpu::memory)).ok()?;
        Some((total, free))
    }
}
