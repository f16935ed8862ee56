//! Spilling: a pool at its limit writes stores that nobody uses to a file, and gives their pages back.
//!
//! A spilled block keeps its addresses, its span and its ledger; only its pages are gone. So handles, views and layouts
//! stay as they are, and the pool counts the block as in use. The limit counts what is not spilled. Which stores nobody
//! uses, and when one has to come back, is decided by `ledger::spill`, which registers [`Hooks`] here.
//!
//! Contract: one thread at a time reads and writes the files of a pool: it has the pool's [`Turn`]. It is inside a
//! critical section meanwhile, so that a fork waits, and no child meets a store that is half written. Whoever waits for
//! all threads waits too, so a turn is for one block, or for what has to go before one block comes back. A failed write
//! or read changes nothing. Blocks of more than 64 KiB are spilled, in whole pages: the rest of their last page stays.
//!
//! | file | what |
//! |---|---|
//! | `area` | what a pool has for spilling |
//! | `files` | the files, and the places of blocks in them |

pub(super) mod area;

pub(super) mod files;

use crate::arena;
use crate::error::{Result, Status, fail};
use crate::names::Name;
use crate::pool::requests::{Request, StepOutcome};
use crate::pool::span::class;
use crate::pool::{Pool, lookup, messages, thread_heap};
use crate::sys::file::{Errno, File, Outcome};
use crate::sys::{checker, os};
use crate::thread::{self, ColdGuard, Thread};
use crate::types::*;
use area::Area;
use core::ffi::CStr;
use core::fmt;
use core::sync::atomic::Ordering;
pub use files::SpillFile;
use files::{NotWritten, Place};
use std::sync::OnceLock;

/// The smallest block that is spilled, bytes: smaller ones share pages and spans.
const LEAST_BYTES: usize = class::LARGEST_BYTES + 1;
/// A request that has to spill frees the pool's limit divided by this at least, because a search reads all blocks.
const LEAST_PART: usize = 64;
/// Blocks that one search finds.
const FOUND: usize = 128;
/// Searches in a row that free nothing, because other threads were faster, before a request gives up.
const VAIN_SEARCHES: usize = 64;

/// What a pool needs to know of stores. `tag`: the owner of a block.
pub struct Hooks {
    /// When the store was used last, if it may be spilled now.
    pub last_use: fn(tag: u64) -> Option<u64>,
    /// Spills the store by [`Turn::write`], if nobody uses it still. Returns the bytes that this made free.
    pub spill: fn(&Turn<'_>, tag: u64) -> usize,
}

static HOOKS: OnceLock<Hooks> = OnceLock::new();

/// Sets what all pools know of stores. Only the first call counts.
pub fn spill_by(hooks: Hooks) {
    let _ = HOOKS.set(hooks);
}

/// The right to read and write the files of a pool.
pub struct Turn<'a> {
    pool: &'static Pool,
    area: &'static Area,
    /// Stores that stay in memory: the call of this thread needs them.
    keep: &'a [u64],
    _held: ColdGuard<'static, ()>,
}

/// A spilled array in a message.
struct Spilled(Name, usize);

impl fmt::Display for Spilled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.is_none() {
            true => write!(f, "an array of {}", messages::Bytes(self.1 as u64)),
            false => write!(f, "\"{}\" of {}", self.0.as_str(), messages::Bytes(self.1 as u64)),
        }
    }
}

/// The whole pages of a block's requested bytes.
fn pages(start: usize, bytes: usize) -> (usize, usize) {
    (start, bytes / os::page_bytes() * os::page_bytes())
}

impl Pool {
    /// Spills arrays to nameless files in a folder from now on: at most `most` bytes, and only those of at least
    /// `least` bytes. None: nothing more is spilled. What is in files comes back when it is used.
    pub fn set_spill(&'static self, folder: Option<&CStr>, most: u64, least: usize) -> Result<()> {
        let Some(path) = folder else {
            if let Some(area) = self.area() {
                let _turn = area.turn.lock();
                area.stop();
            }
            return Ok(());
        };
        if !self.is_plain_host() {
            return Err(self.refuse_to_spill());
        }
        let name = path.to_str().unwrap_or("its folder");
        let failed = |errno: Errno| {
            fail(
                TN_ERR_IO,
                format_args!(
                    "no file for spilled arrays can be made in {name}: {errno}; pass a folder that this process may write"
                ),
            )
        };
        let folder = File::open(None, path, libc::O_PATH | libc::O_DIRECTORY, 0).map_err(failed)?;
        // Refused now rather than when memory is short.
        files::check(&folder).map_err(failed)?;
        let area = self.make_area()?;
        let _turn = area.turn.lock();
        area.failed.store(0, Ordering::Relaxed);
        area.files.set_folder(Some(folder), most);
        area.least.store(least.max(LEAST_BYTES), Ordering::Relaxed);
        area.on.store(true, Ordering::Relaxed);
        self.special.store(true, Ordering::Relaxed);
        Ok(())
    }

    #[cold]
    fn refuse_to_spill(&'static self) -> Status {
        let name = self.name();
        fail(
            TN_ERR_UNSUPPORTED,
            format_args!(
                "pool \"{}\" cannot spill: its memory is not ordinary memory of the host, or accesses are checked (option check)",
                name.as_str()
            ),
        )
    }

    /// The end of the pool: nothing is in its files any more.
    pub(super) fn end_spill(&'static self) {
        if let Some(area) = self.area() {
            area.stop();
            area.files.close();
        }
    }

    /// Whether a new store of that many bytes may be spilled later.
    pub fn spills(&'static self, bytes: usize) -> bool {
        self.area().is_some_and(|area| area.on.load(Ordering::Relaxed) && bytes >= area.least.load(Ordering::Relaxed))
    }

    /// Spills stores that nobody uses, the least recently used first, until `bytes` bytes are free or none is left.
    /// Returns the bytes that became free.
    pub fn spill(&'static self, bytes: usize) -> usize {
        let mut freed = 0;
        self.spill_until(&mut freed, |freed| freed >= bytes);
        freed
    }

    /// As [`Pool::spill`], until `is_enough` says so of the bytes that became free, or threads gave back what they keep.
    /// False: neither was so, and no store that could be spilled is left.
    fn spill_until(&'static self, freed: &mut usize, is_enough: impl Fn(usize) -> bool) -> bool {
        let (Some(area), Some(hooks)) = (self.area(), HOOKS.get()) else { return false };
        let mut vain = 0;
        // While this thread waits for its turn, others may spill or use all that it found. Releases that are under way
        // give memory back in a moment.
        while area.on.load(Ordering::Relaxed) && vain < VAIN_SEARCHES {
            let (oldest, before) = (Oldest::of(self, area, &[], hooks), *freed);
            for found in oldest.found() {
                if is_enough(*freed) {
                    return true;
                }
                // A turn for each: others wait no longer than for one block.
                *freed += self.turn(&[]).map_or(0, |turn| (hooks.spill)(&turn, found.tag));
            }
            if is_enough(*freed) {
                return true;
            }
            let is_over = oldest.found().is_empty() && area.releases.load(Ordering::Relaxed) == 0;
            if is_over && thread_heap::reclaim_from_threads(self, true) {
                return true;
            }
            vain = if *freed > before { 0 } else { vain + 1 };
            if is_over && vain > 1 || vain > 0 && area.failed.load(Ordering::Relaxed) != 0 {
                break;
            }
            if vain > 0 {
                std::thread::yield_now();
            }
        }
        false
    }

    /// Waits for the right to use the files. The stores `keep` stay in memory meanwhile. None: the pool never spilled.
    pub fn turn<'a>(&'static self, keep: &'a [u64]) -> Option<Turn<'a>> {
        let area = self.area()?;
        Some(Turn { pool: self, area, keep, _held: area.turn.lock() })
    }

    /// Frees the block of a spilled store, and returns as much memory to the device: freed bytes count again.
    pub fn free_spilled(&'static self, thread: &'static Thread, file: SpillFile, start: usize, bytes: usize) {
        let Some(area) = self.area() else { return };
        let (start, whole) = pages(start, bytes);
        area.files.end(file, start, whole);
        area.releases.fetch_add(1, Ordering::Relaxed);
        self.state.lock().figures.spilled_bytes -= whole as u64;
        self.free_store(thread, start);
        if self.state.lock().over_limit(0) {
            thread_heap::give_up_large(self);
        }
        loop {
            let mut state = self.state.lock();
            let above = state.bytes_above_limit(0);
            let Some(piece) = state.evict(above, usize::MAX / 2, None) else { break };
            drop(self.give_back(state, piece));
        }
        area.releases.fetch_sub(1, Ordering::Relaxed);
    }

    /// Why the last array could not be spilled, if one could not.
    pub(super) fn spill_failure(&self) -> Option<NotWritten> {
        NotWritten::of(self.area()?.failed.load(Ordering::Relaxed))
    }

    /// Frees memory for a block that comes back, as the slow path of an allocation does, where [`Turn::make_room`] found too
    /// little. Under no lock and no turn. `heard`: None at first. False: there is nothing left to try.
    pub fn free_for_spilled(&'static self, bytes: usize, heard: &mut Option<usize>) -> bool {
        let Some(heard) = heard else {
            *heard = Some(0);
            // All of them: each may help.
            let helped = [self.free_ring(), thread_heap::reclaim_from_threads(self, true), self.drop_spares()];
            return helped.contains(&true) || self.free_for_spilled(bytes, heard);
        };
        self.call_listeners(bytes, TN_PRESSURE_LIMIT, heard)
    }

    /// The status of a spilled store for whose bytes the limit has no room.
    #[cold]
    pub fn no_room_for_spilled(&'static self, array: Name, bytes: usize) -> Status {
        let (stats, name) = (self.query(), self.name());
        fail(
            TN_ERR_POOL_LIMIT,
            format_args!(
                "{} was spilled, and pool \"{}\" has no room for it: limit {}, {} in memory that is in use or may not be spilled{}; end guards, \
                 exports or expressions of other arrays, use fewer arrays in one call, or raise max_size",
                Spilled(array, bytes),
                name.as_str(),
                messages::Bytes(stats.limit_bytes),
                messages::Bytes(stats.in_use_bytes.saturating_sub(stats.spilled_bytes)),
                messages::Spilling::of(self, &stats)
            ),
        )
    }

    /// The status of a spilled store whose file cannot be read.
    #[cold]
    pub fn not_read_back(&'static self, array: Name, bytes: usize, errno: Errno) -> Status {
        let name = self.name();
        fail(
            TN_ERR_IO,
            format_args!(
                "{} was spilled by pool \"{}\" and cannot be read back: {errno}",
                Spilled(array, bytes),
                name.as_str()
            ),
        )
    }

    fn area(&self) -> Option<&'static Area> {
        // SAFETY: NULL, or set by `make_area` from a reference to an area, and those are never unmapped.
        unsafe { self.spill.load(Ordering::Acquire).as_ref() }
    }

    fn make_area(&'static self) -> Result<&'static Area> {
        if let Some(area) = self.area() {
            return Ok(area);
        }
        let Some(at) = arena::take(size_of::<Area>(), align_of::<Area>()) else {
            return Err(fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for the descriptor of spilled arrays")));
        };
        let at = at.cast::<Area>().as_ptr();
        // SAFETY: memory of the right size and alignment, never unmapped, which no other thread knows.
        unsafe { at.write(Area::new()) };
        // Another thread may have been first. Release pairs with the Acquire in `area`.
        let _ = self.spill.compare_exchange(core::ptr::null_mut(), at, Ordering::Release, Ordering::Relaxed);
        Ok(self.area().expect("there is one now"))
    }
}

impl Turn<'_> {
    /// Writes a block to a file and frees its pages. Nobody uses it meanwhile. Err: it is unchanged.
    ///
    /// # Safety
    /// - `start` is the block of a store of that many bytes, which nobody uses until it was read again.
    pub unsafe fn write(&self, start: usize, bytes: usize) -> core::result::Result<(SpillFile, usize), NotWritten> {
        // SAFETY: the caller's obligation.
        let written = unsafe { self.write_pages(pages(start, bytes)) };
        self.area.failed.store(written.err().map_or(0, NotWritten::code), Ordering::Relaxed);
        let mut state = self.pool.state.lock();
        if let Ok((_, whole)) = written {
            state.figures.spilled_bytes += whole as u64;
            state.figures.spill_count += 1;
        }
        written
    }

    /// # Safety
    /// - As above, for whole pages.
    unsafe fn write_pages(
        &self,
        (start, bytes): (usize, usize),
    ) -> core::result::Result<(SpillFile, usize), NotWritten> {
        let (file, Place { file: open, offset }) = self.area.files.begin(start, bytes)?;
        // The program need not have written all of it.
        // SAFETY: a part of the block, by the caller's obligation.
        let written = checker::without_reports(|| unsafe { open.write_at(start as *const u8, bytes, offset) });
        let outcome = match written {
            // SAFETY: as above; the contents are in the file.
            Ok(()) if unsafe { self.pool.ops().discard(start, bytes, false) } => return Ok((file, bytes)),
            // Some of the pages may be gone.
            // SAFETY: as above.
            Ok(()) => match unsafe { open.read_at(start as *mut u8, bytes, offset) } {
                Ok(read) if read == bytes => NotWritten::Locked,
                // The file has the contents, the memory may not have them.
                _ => return Ok((file, bytes)),
            },
            Err(errno) => NotWritten::System(errno),
        };
        self.area.files.end(file, start, bytes);
        Err(outcome)
    }

    /// Reads a spilled block back. `make_room` counted its bytes as coming, which ends here. Err: it is still spilled.
    ///
    /// # Safety
    /// - As for [`Turn::write`], which returned the file.
    pub unsafe fn read(&self, file: SpillFile, start: usize, bytes: usize) -> Outcome<()> {
        let (start, whole) = pages(start, bytes);
        let Place { file: open, offset } = self.area.files.place(file, start);
        // SAFETY: a part of the block, by the caller's obligation.
        let read = unsafe { open.read_at(start as *mut u8, whole, offset) };
        let outcome = match read {
            Ok(read) if read == whole => Ok(()),
            Ok(_) => Err(Errno(libc::EIO)),
            Err(errno) => Err(errno),
        };
        if outcome.is_err() {
            // SAFETY: as above.
            unsafe { self.pool.ops().discard(start, whole, false) };
        } else {
            self.area.files.end(file, start, whole);
        }
        let mut state = self.pool.state.lock();
        state.coming_bytes -= whole;
        if outcome.is_ok() {
            state.figures.spilled_bytes -= whole as u64;
            state.figures.unspill_count += 1;
        }
        let above = state.bytes_above_limit(0);
        drop(state);
        self.spill_idle(above);
        outcome
    }

    /// Makes room for a block that comes back, below the limit. False: there is none. If files have no room for what would
    /// have to go, the block may come first: its end in the file then makes room for another, and the pool is above its
    /// limit by one block meanwhile.
    pub fn make_room(&self, bytes: usize) -> bool {
        let (_, bytes) = pages(0, bytes);
        loop {
            let mut state = self.pool.state.lock();
            let missing = state.bytes_above_limit(bytes);
            if missing == 0 {
                state.coming_bytes += bytes;
                return true;
            }
            state.dissolve_empty(os::coarse_ms());
            if let Some(piece) = state.evict(missing, usize::MAX / 2, None) {
                drop(self.pool.give_back(state, piece));
                continue;
            }
            drop(state);
            if !thread_heap::give_up_large(self.pool) && self.spill_idle(missing) == 0 {
                break;
            }
        }
        let has_idle = self.area.on.load(Ordering::Relaxed) && self.has_idle();
        let mut state = self.pool.state.lock();
        // One block at a time: the next one has to wait until memory is below the limit again.
        let by_exchange = has_idle && state.bytes_above_limit(0) == 0;
        state.coming_bytes += if by_exchange { bytes } else { 0 };
        by_exchange
    }

    fn has_idle(&self) -> bool {
        HOOKS.get().is_some_and(|hooks| !Oldest::of(self.pool, self.area, self.keep, hooks).found().is_empty())
    }

    /// As [`Pool::spill`], in this turn.
    fn spill_idle(&self, bytes: usize) -> usize {
        let Some(hooks) = HOOKS.get() else { return 0 };
        let mut freed = 0;
        while freed < bytes {
            let before = freed;
            for found in Oldest::of(self.pool, self.area, self.keep, hooks).found() {
                if freed >= bytes {
                    break;
                }
                freed += (hooks.spill)(self, found.tag);
            }
            if freed == before {
                break;
            }
        }
        freed
    }
}

/// A store that may be spilled.
#[derive(Clone, Copy)]
struct Found {
    used: u64,
    tag: u64,
}

/// The least recently used stores of a pool.
struct Oldest {
    /// Sorted.
    found: [Found; FOUND],
    count: usize,
}

impl Oldest {
    /// Those of a pool, without `keep`.
    fn of(pool: &'static Pool, area: &Area, keep: &[u64], hooks: &Hooks) -> Oldest {
        let mut oldest = Oldest { found: [Found { used: 0, tag: 0 }; FOUND], count: 0 };
        let least = area.least.load(Ordering::Relaxed);
        lookup::each_span_with_blocks(pool, |info, blocks| {
            if info.block_bytes < least || info.class.is_some() {
                return;
            }
            blocks.each(|_, block| {
                let may = block.owner != 0 && block.requested >= least && !keep.contains(&block.owner);
                if let Some(used) = may.then(|| (hooks.last_use)(block.owner)).flatten() {
                    oldest.add(Found { used, tag: block.owner });
                }
            });
        });
        oldest
    }

    fn add(&mut self, new: Found) {
        let at = self.found[..self.count].partition_point(|found| found.used < new.used);
        if at == FOUND {
            return;
        }
        self.count = (self.count + 1).min(FOUND);
        self.found[at..self.count].rotate_right(1);
        self.found[at] = new;
    }

    fn found(&self) -> &[Found] {
        &self.found[..self.count]
    }
}

/// While the limit forbids growth: spills stores that nobody uses, where the program allows it.
pub(super) fn spill_idle(pool: &'static Pool, request: &mut Request) -> StepOutcome {
    // The library's own allocations come here too where it replaces malloc.
    if pool.area().is_none_or(|area| !area.on.load(Ordering::Relaxed)) || thread::current().is_inside() {
        return StepOutcome::NoEffect;
    }
    let missing = || {
        let state = pool.state.lock();
        (state.bytes_above_limit(state.least(request.want.span_bytes)), state.settings.limit)
    };
    let (bytes, limit) = missing();
    let (portion, mut freed) = (bytes.max(limit / LEAST_PART), 0);
    // Other threads make room, too, and may take it again before this one does.
    let is_enough = |freed: usize| if freed == 0 { missing().0 == 0 } else { freed >= portion };
    let helped = pool.spill_until(&mut freed, is_enough) || freed > 0;
    if helped {
        // What other threads freed meanwhile may be in their heaps.
        request.progress.thread_reclaims = 0;
    }
    StepOutcome::of(helped)
}
