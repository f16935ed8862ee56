//! Memory that pools return to the system, and its addresses afterwards. Each test runs alone in a process, because
//! another thread could map addresses that a test has just seen go.

use crate::support;
use support::pools::*;
use tenure::pool::{self, Pool, PoolOptions};
use tenure::sys::os;
use tenure::types::*;
use tenure_harness::test;

#[test]
fn po_2_initial_size_is_there_at_once_and_serves_without_device_calls() {
    let _turn = one_at_a_time();
    for bytes in [64usize, 1000, 70_000] {
        let pool = TestPool::new(|o| o.initial_size = 8 << 20);
        let before = pool.stats();
        assert_eq!((before.reserved_bytes, before.device_allocate_count), (8 << 20, 1));
        assert_eq!(before.largest_free_bytes, 8 << 20);
        let blocks: Vec<_> = (0..(6 << 20) / bytes.next_multiple_of(64)).map(|_| pool.get(bytes)).collect();
        let s = pool.stats();
        // Each block of 70000 bytes takes two granules, so these exceed 8 MiB and the rest comes from the device.
        if bytes < 65536 {
            assert_eq!((s.device_allocate_count, s.hit_count), (1, blocks.len() as u64));
        }
        blocks.iter().for_each(|&b| pool.give(b));
        pool.trim(0);
        assert_eq!(pool.stats().reserved_bytes, 8 << 20, "trim stops at initial_size");
    }
    let mut options = PoolOptions { initial_size: 1 << 60, ..PoolOptions::default() };
    assert_eq!(code(pool::create(HOST, &options)), TN_ERR_NO_HOST_MEMORY);
    (options.initial_size, options.flags) = (1 << 20, TN_POOL_PREFAULT);
    let pool = TestPool(pool::create(HOST, &options).unwrap());
    let at = pool.get(1 << 20);
    assert!(is_mapped(at) && is_painted(at, 1 << 20, 0));
    pool.give(at);
}

#[test]
fn po_6_7_a_released_pool_lives_as_long_as_its_blocks() {
    let _turn = one_at_a_time();
    let pool = TestPool::plain();
    let (small, large, cached) = (pool.get(100), pool.get(1 << 20), pool.get(3 << 20));
    paint(large, 1 << 20, 7);
    pool.give(cached);
    let it: &'static Pool = pool.0;
    std::mem::forget(pool);
    it.drop_ref();
    let s = checked(it);
    assert_eq!((s.live_blocks, s.reserved_bytes), (2, GRANULE + (1 << 20)), "cached memory went back at once");
    assert!(!is_mapped(cached));
    assert!(is_painted(large, 1 << 20, 7));
    assert_eq!(code(it.allocate(8, 0, false, 0)), TN_ERR_STALE, "new allocations are impossible");
    assert!(it.is_retired());
    // Found by its address it can be queried, but allocates nothing any more.
    let again = pool::of(large + 5).unwrap();
    assert!(std::ptr::eq(again, it) && code(again.allocate(8, 0, false, 0)) == TN_ERR_STALE);
    again.drop_ref();
    pool::deallocate(None, large).unwrap();
    assert!(!is_mapped(large));
    pool::deallocate(None, small).unwrap();
    assert!(!is_mapped(small));
    assert_eq!(code(pool::deallocate(None, small)), TN_ERR_FOREIGN);
    assert_eq!(it.query().reserved_bytes, 0);
    let mut listed = false;
    pool::each_pool(|other| listed |= std::ptr::eq(other, it));
    assert!(!listed, "a retired pool is not listed");
}

#[test]
fn po_20_a_large_block_moves_by_its_pages() {
    let _turn = one_at_a_time();
    let pool = TestPool::plain();
    let n = 64 << 20;
    let mut at = pool.get_at(n, 1 << 21);
    for page in (0..n).step_by(4096) {
        paint(at + page, 8, (page >> 12) as u8);
    }
    let old = at;
    at = pool.reallocate(at, 2 * n, 0).unwrap().unwrap().as_ptr() as usize;
    assert!(at.is_multiple_of(1 << 21), "the initial alignment is kept");
    assert!((0..n).step_by(4096).all(|page| is_painted(at + page, 8, (page >> 12) as u8)));
    let s = pool.stats();
    assert_eq!((s.live_blocks, s.in_use_bytes, s.reserved_bytes), (1, 2 * n as u64, 2 * n as u64));
    assert_eq!(s.peak_reserved_bytes, 2 * n as u64, "the pages were moved, not copied");
    if old != at {
        assert_eq!(code(pool::usable_size(old)), TN_ERR_FOREIGN);
    }
    pool.give(at);
}

/// PO-24 to PO-27, PO-29. PO-30: the checks have no switch, and are equal in every build.
#[test]
fn po_24_25_26_27_29_misuse_is_a_status_and_changes_nothing() {
    let _turn = one_at_a_time();
    let a = TestPool::new(|o| o.set_name(b"left").unwrap());
    let b = TestPool::new(|o| o.set_name(b"right").unwrap());
    for n in [100usize, 65_536, 1 << 20] {
        let at = a.get(n);
        let store = a.allocate(n, 256, false, 9).unwrap().as_ptr() as usize;
        let before = a.stats();
        // PO-24
        assert_eq!(code(pool::deallocate(Some(b.0), at)), TN_ERR_FOREIGN);
        assert!(text().contains("left") && text().contains("right"), "{}", text());
        assert_eq!(code(b.reallocate(at, 5, 0)), TN_ERR_FOREIGN);
        // PO-26
        for inside in [at + 1, at + 8, at + n - 1] {
            assert_eq!(code(pool::deallocate(None, inside)), TN_ERR_INVALID);
            assert!(text().contains(&format!("{at:#x}")) && text().contains(&n.to_string()), "{}", text());
            assert_eq!(code(a.reallocate(inside, 5, 0)), TN_ERR_INVALID);
            assert_eq!(code(pool::usable_size(inside)), TN_ERR_INVALID);
        }
        // PO-29
        assert_eq!(code(pool::deallocate(None, store)), TN_ERR_SHARED);
        assert_eq!(code(a.reallocate(store, 5, 0)), TN_ERR_SHARED);
        assert!(pool::usable_size(store).is_ok());
        let after = a.stats();
        assert_eq!((before.live_blocks, before.in_use_bytes), (after.live_blocks, after.in_use_bytes));
        assert_eq!(after.misuse_count, before.misuse_count + 8);
        // PO-25
        a.give(at);
        assert_eq!(code(pool::deallocate(None, at)), TN_ERR_STALE);
        assert_eq!(code(pool::deallocate(Some(a.0), at)), TN_ERR_STALE);
        assert_eq!(code(a.reallocate(at, 5, 0)), TN_ERR_STALE);
        assert_eq!(code(pool::usable_size(at)), TN_ERR_STALE);
        let elsewhere = std::thread::spawn(move || code(pool::deallocate(None, at))).join().unwrap();
        assert_eq!(elsewhere, TN_ERR_STALE);
        a.free_store(tenure::thread::current(), store);
        a.trim(0);
        assert_eq!(code(pool::deallocate(None, at)), TN_ERR_FOREIGN, "its span went back to the device");
    }
    // PO-27
    let (local, heap) = (0u64, Box::new(0u64));
    let unmapped = os::map(os::page_bytes(), os::page_bytes()).unwrap();
    // SAFETY: mapped by this test.
    unsafe { os::unmap(unmapped, os::page_bytes()) };
    for address in [1, 8, &local as *const u64 as usize, &*heap as *const u64 as usize, unmapped, usize::MAX] {
        assert_eq!(code(pool::deallocate(None, address)), TN_ERR_FOREIGN);
        assert_eq!(code(pool::deallocate(Some(a.0), address)), TN_ERR_FOREIGN);
        assert_eq!(code(a.reallocate(address, 10, 0)), TN_ERR_FOREIGN);
        assert_eq!(code(pool::usable_size(address)), TN_ERR_FOREIGN);
    }
}

/// PO-40, PO-41
#[test]
fn po_40_41_trim_returns_unused_memory() {
    let _turn = one_at_a_time();
    let pool = TestPool::new(|o| o.release_threshold = TN_POOL_NONE);
    let blocks: Vec<_> = [100usize, 3000, 60_000, 100_000, 1 << 20, 8 << 20].iter().map(|&n| pool.get(n)).collect();
    let live = pool.get(50);
    for &b in &blocks {
        paint(b, 100, 1);
        pool.give(b);
    }
    let s = pool.stats();
    assert_eq!(pool.trim(usize::MAX), 0);
    let released = pool.trim(1 << 20) as u64;
    assert_eq!(pool.stats().reserved_bytes, s.reserved_bytes - released);
    assert!(
        pool.stats().cached_bytes <= 1 << 20 && pool.stats().cached_bytes + GRANULE > (1 << 20),
        "no more than requested"
    );
    pool.trim(0);
    let s = pool.stats();
    assert_eq!(s.reserved_bytes, GRANULE, "only the span of the live block stays");
    assert_eq!((s.trim_count, s.address_bytes), (2, GRANULE));
    assert!(blocks.iter().skip(1).all(|&b| !is_mapped(b)));
    assert!(is_mapped(live));
    pool.give(live);
    assert_eq!(pool.trim(0) as u64, GRANULE);
    assert_eq!(pool.stats().reserved_bytes, 0);
}

#[test]
fn direct_pools_keep_nothing() {
    let _turn = one_at_a_time();
    let pool = TestPool::new(|o| o.flags = TN_POOL_DIRECT);
    for n in [16usize, 70_000] {
        let at = pool.get(n);
        assert_eq!(pool.stats().hit_count, 0);
        pool.give(at);
        assert!(!is_mapped(at));
        assert_eq!(pool.stats().reserved_bytes, 0);
        assert_eq!(code(pool::deallocate(None, at)), TN_ERR_FOREIGN);
    }
}

#[test]
fn strict_pools_quarantine_blocks_and_detect_writes() {
    let _turn = one_at_a_time();
    let pool = TestPool::new(|o| o.flags = TN_POOL_STRICT);
    let first = pool.get(64);
    pool.give(first);
    assert_eq!(code(pool::deallocate(None, first)), TN_ERR_STALE);
    let blocks: Vec<_> = (0..1024).map(|_| pool.get(64)).collect();
    assert!(!blocks.contains(&first));
    blocks.iter().for_each(|&b| pool.give(b));
    assert_eq!(pool.stats().misuse_count, 1);
    assert_eq!(pool.get(64), first, "held back for 1024 frees");
    pool.give(first);
    // A write after free.
    paint(blocks[700], 1, 0);
    pool.trim(0);
    assert_eq!(pool.stats().misuse_count, 2);
    assert_eq!(pool.stats().reserved_bytes, 0);
}

/// PH-25: what the thread keeps for requests of one size serves another size before the pool grows.
#[test]
fn ph_25_kept_blocks_serve_other_sizes_before_the_pool_grows() {
    let _turn = one_at_a_time();
    let pool = TestPool::plain();
    let kept = pool.get(1 << 20);
    let reserved = pool.stats().reserved_bytes;
    pool.give(kept);
    let (first, second) = (pool.get(700 << 10), pool.get(200 << 10));
    assert_eq!(pool.stats().reserved_bytes, reserved);
    pool.give(first);
    pool.give(second);
}
