//! Which host memory is page-locked by `tn_host_register`.
//!
//! Contract: ranges that share no byte, by address. [`covers`] is asked on every copy between host and device, and costs one load while
//! nothing is registered. A registration knows the last work of each queue that was put there, by whatever name the bytes went: [`unlock`]
//! waits for it. Growing needs memory, which is asked for under no lock; removing needs none. The driver is called under no lock.

use crate::error::{Result, fail, quietly};
use crate::gpu::{Gpu, REGISTERED_BYTES, page_lock};
use crate::grow_unlocked;
use crate::stream::Point;
use crate::thread::QuickLock;
use crate::types::*;
use core::sync::atomic::Ordering;

/// Queues whose work a registration remembers.
const QUEUES: usize = 4;

/// One registration: [start, end).
#[derive(Clone, Copy)]
struct Range {
    start: i64,
    end: i64,
    gpu: Option<&'static Gpu>,
    flags: u32,
    /// Where devices see it; 0: they do not.
    seen: u64,
    /// The last work of some queues.
    uses: [Option<Point>; QUEUES],
}

static RANGES: QuickLock<Vec<Range>> = QuickLock::new(Vec::new());

/// Bytes that are registered now.
fn bytes() -> u64 {
    REGISTERED_BYTES.load(Ordering::Relaxed)
}

/// Calls `body` with the registration in which a range lies; in several ones side by side it lies in none.
fn within<T>((start, end): (i64, i64), body: impl FnOnce(&mut Range) -> T) -> Option<T> {
    if bytes() == 0 {
        return None;
    }
    let mut ranges = RANGES.lock();
    let at = ranges.partition_point(|range| range.end <= start);
    ranges.get_mut(at).filter(|range| range.start <= start && end <= range.end).map(body)
}

/// Whether a range lies wholly in registered memory.
pub fn covers(range: (i64, i64)) -> bool {
    within(range, |_| ()).is_some()
}

/// TN_HOST_ flags of the registration in which a range lies.
pub fn flags(range: (i64, i64)) -> Option<u32> {
    within(range, |there| there.flags)
}

/// Where devices see the first byte of a range; 0: they do not.
pub fn seen(range: (i64, i64)) -> u64 {
    within(range, |there| if there.seen == 0 { 0 } else { there.seen + (range.0 - there.start) as u64 }).unwrap_or(0)
}

/// Work on a range was put into a queue, up to `point`. Under no lock.
pub fn note_use(range: (i64, i64), point: Point) {
    let full = within(range, |there| {
        let same =
            |place: &&mut Option<Point>| place.is_none_or(|p| p.is_passed() || core::ptr::eq(p.queue(), point.queue()));
        match there.uses.iter_mut().find(same) {
            Some(place) => {
                // Another thread may have been faster with a later one.
                let later = place.filter(|p| core::ptr::eq(p.queue(), point.queue()) && p.tick() > point.tick());
                *place = later.or(Some(point));
                None
            }
            None => there.uses[0].replace(point),
        }
    });
    // More queues than are remembered: this one is waited for now.
    if let Some(oldest) = full.flatten() {
        oldest.outlast();
    }
}

/// Page-locks a range.
///
/// # Safety
/// - It is memory of the caller's of the library, and stays mapped until [`unlock`].
pub unsafe fn lock(gpu: &'static Gpu, start: i64, end: i64, flags: u32) -> Result<()> {
    insert(start, end, Some(gpu), flags)?;
    // SAFETY: the caller's promise.
    let locked = unsafe { page_lock::lock(gpu, start as usize, (end - start) as usize, flags) }.and_then(|()| {
        if flags & TN_HOST_MAPPED == 0 {
            return Ok(());
        }
        match page_lock::seen_at(gpu, start as usize) {
            Ok(seen) => {
                within((start, end), |there| there.seen = seen);
                Ok(())
            }
            Err(status) => {
                // SAFETY: locked just now, and nobody was told.
                let _ = quietly(|| unsafe { page_lock::unlock(gpu, start as usize) });
                Err(status)
            }
        }
    });
    if locked.is_err() {
        remove(start);
    }
    locked
}

/// Waits for the work on the range that begins at `start`, and unlocks it. Under no lock.
pub fn unlock(start: i64) {
    let mut found = None;
    within((start, start), |there| found = Some((there.gpu, there.uses)));
    let Some((gpu, uses)) = found else { return };
    for point in uses.into_iter().flatten() {
        // A device that is lost touches nothing any more.
        point.outlast();
    }
    if let Some(gpu) = gpu {
        // SAFETY: locked by `lock`, whose registration ends here, once; its work is done.
        let _ = unsafe { page_lock::unlock(gpu, start as usize) };
    }
    remove(start);
}

/// Enters a range. TN_ERR_DUPLICATE: some of it is there already.
fn insert(start: i64, end: i64, gpu: Option<&'static Gpu>, flags: u32) -> Result<()> {
    loop {
        let mut ranges = RANGES.lock();
        let at = ranges.partition_point(|range| range.end <= start);
        if let Some(there) = ranges.get(at).copied().filter(|range| range.start < end) {
            drop(ranges);
            return Err(fail(
                TN_ERR_DUPLICATE,
                format_args!(
                    "{:#x} to {:#x} is registered already; release the array of that registration first",
                    there.start, there.end
                ),
            ));
        }
        if ranges.len() < ranges.capacity() {
            ranges.insert(at, Range { start, end, gpu, flags, seen: 0, uses: [None; QUEUES] });
            REGISTERED_BYTES.fetch_add((end - start) as u64, Ordering::Relaxed);
            return Ok(());
        }
        drop(ranges);
        grow_unlocked::make(&RANGES, 16).map_err(|wanted| {
            fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for the addresses of {wanted} registrations"))
        })?;
    }
}

/// Takes the range that begins at `start` out.
fn remove(start: i64) {
    let mut ranges = RANGES.lock();
    let at = ranges.partition_point(|range| range.start < start);
    if ranges.get(at).is_some_and(|range| range.start == start) {
        let range = ranges.remove(at);
        REGISTERED_BYTES.fetch_sub((range.end - range.start) as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pn_3_pn_4_pn_12_ranges() {
        let base = 1 << 50;
        let there = bytes();
        for at in (0..40).rev() {
            insert(base + at * 100, base + at * 100 + 60, None, 0).unwrap();
        }
        assert_eq!(bytes() - there, 40 * 60);
        assert!(covers((base, base + 60)) && covers((base + 110, base + 111)) && covers((base + 159, base + 160)));
        assert!(!covers((base, base + 61)) && !covers((base + 60, base + 70)) && !covers((base - 1, base + 10)));
        for (start, end) in [(0, 60), (-5, 1), (59, 61), (60, 101), (3900, 5000)] {
            assert_eq!(insert(base + start, base + end, None, 0).unwrap_err().code(), TN_ERR_DUPLICATE);
        }
        insert(base + 60, base + 100, None, TN_HOST_MAPPED).unwrap();
        assert_eq!((flags((base + 60, base + 70)), flags((base, base + 1))), (Some(TN_HOST_MAPPED), Some(0)));
        remove(base + 60);
        remove(base + 61);
        for at in 0..40 {
            remove(base + at * 100);
        }
        assert_eq!(bytes(), there);
        assert!(!covers((base, base + 60)));
    }
}
