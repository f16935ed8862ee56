//! Lists that a lock guards: they grow without it, and some are sorted.
//!
//! Contract: memory is allocated and freed under no lock, so that the holder of the lock never allocates. Any thread.
#![forbid(unsafe_code)]

use crate::thread::{QuickGuard, QuickLock};

/// Locks a list that has capacity for one more entry; the first allocation has at least `least`. Err: the number of
/// entries for which there was no memory.
pub fn lock<T: Copy>(list: &QuickLock<Vec<T>>, least: usize) -> Result<QuickGuard<'_, Vec<T>>, usize> {
    loop {
        let locked = list.lock();
        if locked.len() < locked.capacity() {
            return Ok(locked);
        }
        drop(locked);
        make(list, least)?;
    }
}

/// Inserts an entry into a list that is sorted by `key`; otherwise as [`lock`].
pub fn insert_sorted<T: Copy, K: Ord>(
    list: &QuickLock<Vec<T>>,
    least: usize,
    entry: T,
    key: impl Fn(&T) -> K,
) -> Result<(), usize> {
    let mut locked = lock(list, least)?;
    let at = locked.partition_point(|other| key(other) < key(&entry));
    locked.insert(at, entry);
    Ok(())
}

/// Removes the entry that has a key from a list that is sorted by `key`.
pub fn remove_sorted<T: Copy, K: Ord>(list: &QuickLock<Vec<T>>, wanted: K, key: impl Fn(&T) -> K) -> Option<T> {
    let mut locked = list.lock();
    let at = locked.partition_point(|entry| key(entry) < wanted);
    if locked.get(at).is_some_and(|entry| key(entry) == wanted) { Some(locked.remove(at)) } else { None }
}

/// Ensures capacity for one more entry; the first allocation has at least `least`. Another thread may use the capacity
/// first, so the caller checks again under the lock. Err: the number of entries for which there was no memory.
pub fn make<T: Copy>(list: &QuickLock<Vec<T>>, least: usize) -> Result<(), usize> {
    make_in(list, |list| list, least)
}

/// As [`make`], for a list that is a part of what the lock guards.
pub fn make_in<L, T: Copy>(
    lock: &QuickLock<L>,
    list_of: impl Fn(&mut L) -> &mut Vec<T>,
    least: usize,
) -> Result<(), usize> {
    let wanted = {
        let mut locked = lock.lock();
        let list = list_of(&mut locked);
        if list.len() < list.capacity() {
            return Ok(());
        }
        (2 * list.len()).max(least)
    };
    let mut grown: Vec<T> = Vec::new();
    grown.try_reserve_exact(wanted).map_err(|_| wanted)?;
    let mut locked = lock.lock();
    let list = list_of(&mut locked);
    if list.len() == list.capacity() && list.len() < grown.capacity() {
        grown.extend_from_slice(list);
        core::mem::swap(list, &mut grown);
    }
    // The old memory, or the new one if it was not needed, is freed after the unlock.
    drop(locked);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stay_and_one_more_fits() {
        static LIST: QuickLock<Vec<u32>> = QuickLock::new(Vec::new());
        for entry in 0..1000 {
            make(&LIST, 16).unwrap();
            let mut list = LIST.lock();
            assert!(list.len() < list.capacity());
            list.push(entry);
        }
        assert!(LIST.lock().iter().copied().eq(0..1000));
        assert!((0..1000).rev().all(|entry| remove_sorted(&LIST, entry, |other| *other) == Some(entry)));
        for entry in [3, 1, 2] {
            insert_sorted(&LIST, 16, entry, |other| *other).unwrap();
        }
        assert_eq!((remove_sorted(&LIST, 4, |other| *other), &**LIST.lock()), (None, &[1, 2, 3][..]));
        assert_eq!(make::<[u8; 1 << 20]>(&QuickLock::new(Vec::new()), usize::MAX >> 20), Err(usize::MAX >> 20));
    }
}
