//! Room in a list that a lock guards.
//!
//! Contract: memory is asked for and given back under no lock, so that whoever holds one allocates nothing. Any thread.
#![forbid(unsafe_code)]

use crate::thread::QuickLock;

/// Makes room for at least one more entry, which others may be faster to take: the caller looks again under the lock. At first for so many
/// as `least`. Err: there is no memory for that many entries.
pub fn make<T: Copy>(list: &QuickLock<Vec<T>>, least: usize) -> Result<(), usize> {
    let wanted = {
        let list = list.lock();
        if list.len() < list.capacity() {
            return Ok(());
        }
        (2 * list.len()).max(least)
    };
    let mut grown: Vec<T> = Vec::new();
    grown.try_reserve_exact(wanted).map_err(|_| wanted)?;
    let mut list = list.lock();
    if list.len() == list.capacity() && list.len() < grown.capacity() {
        grown.extend_from_slice(&list);
        core::mem::swap(&mut *list, &mut grown);
    }
    // The memory that is not needed goes after the lock.
    drop(list);
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
        assert_eq!(make::<[u8; 1 << 20]>(&QuickLock::new(Vec::new()), usize::MAX >> 20), Err(usize::MAX >> 20));
    }
}
