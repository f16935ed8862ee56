//! The host memory that `tn_host_register` page-locked.
//!
//! Contract: the registered ranges share no byte and are sorted by address. Every copy between host and device calls
//! [`covers`], which costs one load while no range is registered.
//!
//! A registration records the last work of each stream that uses its bytes, whichever array the work was enqueued for.
//! [`unlock`] waits for that work. Only [`lock`] allocates. No allocation and no driver call happens under the lock of
//! this module.

use crate::error::{Result, fail, quietly};
use crate::gpu::{Gpu, REGISTERED_BYTES, page_lock};
use crate::grow_unlocked;
use crate::stream::Point;
use crate::thread::QuickLock;
use crate::types::*;
use core::sync::atomic::Ordering;

/// The number of streams whose last work a registration records.
const STREAMS: usize = 4;

/// The registration of [start, end).
#[derive(Clone, Copy)]
struct Range {
    start: i64,
    end: i64,
    gpu: Option<&'static Gpu>,
    flags: u32,
    /// The address of its first byte for devices. 0: it is not mapped for them.
    device_address: u64,
    /// The last work of some streams.
    uses: [Option<Point>; STREAMS],
}

static RANGES: QuickLock<Vec<Range>> = QuickLock::new(Vec::new());

/// The size of all registered memory.
#[inline]
fn bytes() -> u64 {
    REGISTERED_BYTES.load(Ordering::Relaxed)
}

/// Whether any memory is registered.
#[inline]
pub fn is_any_registered() -> bool {
    bytes() != 0
}

/// Calls `body` with the registration that contains a range. A range that spans several registrations lies in none.
fn within<T>((start, end): (i64, i64), body: impl FnOnce(&mut Range) -> T) -> Option<T> {
    if bytes() == 0 {
        return None;
    }
    let mut ranges = RANGES.lock();
    let at = ranges.partition_point(|range| range.end <= start);
    ranges.get_mut(at).filter(|range| range.start <= start && end <= range.end).map(body)
}

/// Whether one registration contains the whole range.
pub fn covers(range: (i64, i64)) -> bool {
    within(range, |_| ()).is_some()
}

/// The TN_HOST_ flags of the registration that contains a range.
pub fn flags(range: (i64, i64)) -> Option<u32> {
    within(range, |registration| registration.flags)
}

/// The address of a range's first byte for devices; 0: it is not mapped for them. None: no registration contains the
/// range.
pub fn device_address(range: (i64, i64)) -> Option<u64> {
    within(range, |registration| match registration.device_address {
        0 => 0,
        first => first + (range.0 - registration.start) as u64,
    })
}

/// Records that a stream uses a range until `point`. Called under no lock.
pub fn record_use(range: (i64, i64), point: Point) {
    let displaced = within(range, |registration| {
        let is_usable = |entry: &&mut Option<Point>| {
            entry.is_none_or(|p| p.is_passed() || core::ptr::eq(p.stream(), point.stream()))
        };
        match registration.uses.iter_mut().find(is_usable) {
            Some(entry) => {
                // Another thread may have recorded a later point of this stream.
                let later = entry.filter(|p| core::ptr::eq(p.stream(), point.stream()) && p.tick() > point.tick());
                *entry = later.or(Some(point));
                None
            }
            None => registration.uses[0].replace(point),
        }
    });
    // There are more streams than entries: this call waits for the displaced point itself.
    if let Some(displaced) = displaced.flatten() {
        displaced.outlast();
    }
}

/// Page-locks a range.
///
/// # Safety
/// - The range is memory of the library's caller, and stays mapped until [`unlock`].
pub unsafe fn lock(gpu: &'static Gpu, start: i64, end: i64, flags: u32) -> Result<()> {
    insert(start, end, Some(gpu), flags)?;
    // SAFETY: the caller's obligation.
    let locked = unsafe { page_lock::lock(gpu, start as usize, (end - start) as usize, flags) }.and_then(|()| {
        if flags & TN_HOST_MAPPED == 0 {
            return Ok(());
        }
        match page_lock::device_address(gpu, start as usize) {
            Ok(address) => {
                within((start, end), |registration| registration.device_address = address);
                Ok(())
            }
            Err(status) => {
                // SAFETY: locked above, and not used by any copy yet.
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

/// Waits for the work on the range that begins at `start`, and unlocks it. Called under no lock.
pub fn unlock(start: i64) {
    let found = within((start, start), |registration| (registration.gpu, registration.uses));
    let Some((gpu, uses)) = found else { return };
    for point in uses.into_iter().flatten() {
        // A lost device no longer touches the memory.
        point.outlast();
    }
    if let Some(gpu) = gpu {
        // SAFETY: locked by `lock`. Its registration ends once, here, and its work is complete.
        let _ = unsafe { page_lock::unlock(gpu, start as usize) };
    }
    remove(start);
}

/// Inserts a range. TN_ERR_DUPLICATE: some of its bytes are registered already.
fn insert(start: i64, end: i64, gpu: Option<&'static Gpu>, flags: u32) -> Result<()> {
    loop {
        let mut ranges = RANGES.lock();
        let at = ranges.partition_point(|range| range.end <= start);
        if let Some(existing) = ranges.get(at).copied().filter(|range| range.start < end) {
            drop(ranges);
            return Err(fail(
                TN_ERR_DUPLICATE,
                format_args!(
                    "{:#x} to {:#x} is registered already; release the array of that registration first",
                    existing.start, existing.end
                ),
            ));
        }
        if ranges.len() < ranges.capacity() {
            ranges.insert(at, Range { start, end, gpu, flags, device_address: 0, uses: [None; STREAMS] });
            REGISTERED_BYTES.fetch_add((end - start) as u64, Ordering::Relaxed);
            return Ok(());
        }
        drop(ranges);
        // Only now, because the conflict is reported before memory is asked for.
        grow_unlocked::make(&RANGES, 16).map_err(|wanted| {
            fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for the addresses of {wanted} registrations"))
        })?;
    }
}

/// Removes the range that begins at `start`.
fn remove(start: i64) {
    if let Some(range) = grow_unlocked::remove_sorted(&RANGES, start, |range| range.start) {
        REGISTERED_BYTES.fetch_sub((range.end - range.start) as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pn_3_pn_4_pn_12_ranges() {
        let base = 1 << 50;
        let bytes_before = bytes();
        for at in (0..40).rev() {
            insert(base + at * 100, base + at * 100 + 60, None, 0).unwrap();
        }
        assert_eq!(bytes() - bytes_before, 40 * 60);
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
        assert_eq!(bytes(), bytes_before);
        assert!(!covers((base, base + 60)));
    }
}
