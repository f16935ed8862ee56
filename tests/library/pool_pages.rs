//! Pages and addresses of pools: early growth, huge pages, memory that is known to read 0, blocks that move by their
//! pages. Each test runs alone in a process, because resident memory and the next addresses belong to the whole
//! process.

use crate::support;
use std::sync::Mutex;
use support::pools::*;
use support::random::Random;
use tenure::pool::{self, LARGEST_ALIGNMENT, Pool};
use tenure::sys::os;
use tenure::types::*;
use tenure_harness::test;

const MIB: usize = 1 << 20;
const UNIT: usize = 2 * MIB;

/// Page faults of this thread so far.
fn page_faults() -> i64 {
    // SAFETY: plain data, which the call writes.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_THREAD, &mut usage) }, 0);
    usage.ru_minflt + usage.ru_majflt
}

fn touch(at: usize, bytes: usize) {
    (at..at + bytes).step_by(4096).for_each(|page| paint(page, 1, 1));
}

fn zeroed(pool: &'static Pool, bytes: usize) -> usize {
    pool.allocate(bytes, 0, true, 0).unwrap().as_ptr() as usize
}

/// The flags of the mapping that has the address, as the system reports them: "hg" huge pages wanted, "nh" not wanted,
/// "ht" from the reserve.
fn has_flag(address: usize, flag: &str) -> bool {
    let text = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut inside = false;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or("");
        if let Some((from, to)) = first.split_once('-') {
            let number = |text| usize::from_str_radix(text, 16).ok();
            if let (Some(from), Some(to)) = (number(from), number(to)) {
                inside = (from..to).contains(&address);
            }
        } else if inside && first == "VmFlags:" {
            return words.any(|word| word == flag);
        }
    }
    panic!("{address:#x} is in no mapping");
}

/// Whether the system accepts advice for huge pages. Found by trying: its settings may be hidden.
fn takes_wishes() -> bool {
    let at = os::map(UNIT, UNIT).unwrap();
    // SAFETY: mapped by this test, and used by nothing else.
    unsafe {
        let takes = libc::madvise(at as *mut _, UNIT, libc::MADV_HUGEPAGE) == 0;
        os::unmap(at, UNIT);
        takes
    }
}

#[test]
fn growth_reserves_addresses_in_steps_and_commits_used_pages() {
    let _turn = one_at_a_time();
    // Each step doubles what is committed.
    let pool = TestPool::new(|o| o.huge_pages = TN_HUGE_NEVER);
    let mut blocks = Vec::new();
    let mut most = 0;
    for i in 1..=64 {
        blocks.push(pool.get(MIB));
        let s = pool.stats();
        assert_eq!((s.reserved_bytes, s.in_use_bytes), (i * MIB as u64, i * MIB as u64), "committed is what is used");
        assert_eq!(s.device_allocate_count, i);
        assert!(s.address_bytes <= 2 * s.reserved_bytes + UNIT as u64);
        most = most.max(s.address_bytes - s.reserved_bytes);
    }
    assert!(most >= 16 * MIB as u64, "it never reserved ahead");
    // Neighbours in one range merge when they are free.
    blocks.iter().for_each(|&b| pool.give(b));
    assert_eq!(pool.trim(0), 64 * MIB);
    let s = pool.stats();
    assert_eq!((s.reserved_bytes, s.address_bytes), (0, 0), "trim gives addresses back too");

    let exact = TestPool::new(|o| (o.growth_factor, o.huge_pages) = (1.0, TN_HUGE_NEVER));
    let small = TestPool::new(|o| (o.max_growth, o.huge_pages) = (4 * MIB as u64, TN_HUGE_NEVER));
    let mut blocks = Vec::new();
    for _ in 0..20 {
        blocks.push((exact.get(MIB), small.get(MIB)));
        assert_eq!(exact.stats().address_bytes, exact.stats().reserved_bytes, "a factor of 1 asks for what is needed");
        let s = small.stats();
        assert!(s.address_bytes - s.reserved_bytes < 4 * MIB as u64);
    }
    let large = small.get(64 * MIB);
    assert_eq!(small.stats().reserved_bytes, 84 * MIB as u64, "a larger request is served all the same");
    small.give(large);
    for (a, b) in blocks {
        exact.give(a);
        small.give(b);
    }

    // Addresses do not count against the limit, and a refused growth step is no failure.
    let pool = TestPool::new(|o| o.max_size = 3 * MIB as u64);
    let a = pool.get(MIB);
    os::fail_calls(0, 1);
    let b = pool.get(MIB);
    os::fail_calls(0, 0);
    let c = pool.get(MIB);
    assert_eq!(pool.stats().reserved_bytes, 3 * MIB as u64);
    assert_eq!(code(pool.allocate(1, 0, false, 0)), TN_ERR_POOL_LIMIT);
    [a, b, c].iter().for_each(|&at| pool.give(at));
}

/// PO-12: alignments up to 4 MiB cost addresses, not memory.
#[test]
fn po_12_large_alignments_cost_addresses_only() {
    let _turn = one_at_a_time();
    let pool = TestPool::plain();
    let mut blocks = Vec::new();
    for (i, alignment) in [MIB, 2 * MIB, LARGEST_ALIGNMENT, LARGEST_ALIGNMENT, MIB].into_iter().enumerate() {
        let at = pool.get_at(100_000, alignment);
        assert!(at.is_multiple_of(alignment));
        blocks.push(at);
        assert_eq!(pool.stats().reserved_bytes, (i as u64 + 1) * 2 * GRANULE);
    }
    blocks.iter().for_each(|&b| pool.give(b));
}

/// PH-11
#[test]
fn ph_11_huge_pages_are_requested_if_a_block_fills_them() {
    let _turn = one_at_a_time();
    let pool = TestPool::plain();
    let at = pool.get(9 * MIB + 5);
    assert!(at.is_multiple_of(UNIT), "large blocks begin where a huge page does");
    let huge = if takes_wishes() { 4 * UNIT as u64 } else { 0 };
    assert_eq!(pool.stats().huge_bytes, huge);
    if takes_wishes() {
        assert!(has_flag(at, "hg") && has_flag(at + 4 * UNIT - 1, "hg"));
        assert!(!has_flag(at + 4 * UNIT, "hg"), "the last unit is not the block's alone");
    }
    // A pool smaller than a huge page never requests one.
    let small: Vec<_> = (0..100).map(|i| pool.get(1000 * i)).collect();
    assert_eq!(pool.stats().huge_bytes, huge);
    // When a part of a huge page is returned, by whatever call, it is huge no more.
    pool.give(at);
    assert_eq!(pool.stats().huge_bytes, huge);
    pool.trim(5 * MIB);
    let s = pool.stats();
    assert!(s.huge_bytes < huge.max(1) && s.huge_bytes <= s.reserved_bytes);
    small.iter().for_each(|&b| pool.give(b));
    pool.trim(0);
    assert_eq!(pool.stats().huge_bytes, 0);

    let never = TestPool::new(|o| o.huge_pages = TN_HUGE_NEVER);
    let at = never.get(9 * MIB);
    assert!(never.stats().huge_bytes == 0 && !has_flag(at, "hg"));
    assert!(!takes_wishes() || has_flag(at, "nh"), "also where the system gives them unasked");
    never.give(at);
}

/// PH-11: half of a huge page is in use soon where a large pool grows.
#[test]
fn ph_11_a_large_pool_grows_in_whole_huge_pages() {
    let _turn = one_at_a_time();
    let fill = |pool: &TestPool, mib: usize| (0..mib).map(|_| pool.get(MIB)).collect::<Vec<_>>();
    let pool = TestPool::plain();
    let mut blocks = fill(&pool, 32);
    assert_eq!(pool.stats().huge_bytes, 0, "blocks of 1 MiB fill no huge page");
    blocks.extend(fill(&pool, 9));
    let s = pool.stats();
    let grown = s.reserved_bytes - 32 * MIB as u64;
    assert!(grown.is_multiple_of(UNIT as u64) && grown == 10 * MIB as u64, "{grown}");
    if takes_wishes() {
        assert_eq!(s.huge_bytes, grown);
        assert!(blocks[32..].iter().all(|&at| has_flag(at, "hg") && has_flag(at + MIB - 1, "hg")));
    }
    // Small blocks come from such pages as well, and what returns is huge no more.
    let small: Vec<_> = (0..40).map(|_| pool.get(100_000)).collect();
    assert!(!takes_wishes() || has_flag(*small.last().unwrap(), "hg"));
    blocks.drain(..).chain(small).for_each(|at| pool.give(at));
    pool.trim(0);
    assert_eq!((pool.stats().huge_bytes, pool.stats().reserved_bytes), (0, 0));

    // Neither where no huge pages are wanted, nor where each free gives its memory back, nor beyond the limit.
    let never = TestPool::new(|o| o.huge_pages = TN_HUGE_NEVER);
    let direct = TestPool::new(|o| o.flags |= TN_POOL_DIRECT);
    let limited = TestPool::new(|o| o.max_size = 33 * MIB as u64);
    for pool in [never, direct, limited] {
        let blocks = fill(&pool, 33);
        assert_eq!((pool.stats().huge_bytes, pool.stats().reserved_bytes), (0, 33 * MIB as u64));
        blocks.into_iter().for_each(|at| pool.give(at));
    }
}

#[test]
fn ph_11_explicit_huge_pages_come_from_the_reserve_or_not_at_all() {
    let _turn = one_at_a_time();
    let reserve = "/proc/sys/vm/nr_hugepages";
    // The reserve belongs to the machine: another process of this test waits.
    let turn = std::fs::File::open(reserve);
    let _turn = turn.as_ref().map(|file| file.lock());
    let is_free = |pages: usize| {
        let free = std::fs::read_to_string("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
        free.is_ok_and(|free| free.trim().parse::<usize>().is_ok_and(|free| free >= pages))
    };
    let before = std::fs::read_to_string(reserve).unwrap_or_default();
    for wanted in ["0", "16"] {
        // With the privilege, and if no reserve is set, this sets one; otherwise the existing one must do.
        if before.trim() == "0" {
            let _ = std::fs::write(reserve, wanted);
        }
        let pool = TestPool::new(|o| o.huge_pages = TN_HUGE_EXPLICIT);
        let n = 4 * UNIT + 300_000;
        let there = is_free(16);
        let at = pool.get(n);
        touch(at, n);
        assert!(has_flag(at, "ht") || !there, "the reserve has them");
        pool.give(at);
        // Cut into blocks of all sizes, its pages are returned whole or not at all.
        let blocks: Vec<_> = (0..60).map(|i| pool.get(1000 * i * i / 4)).collect();
        blocks.iter().for_each(|&b| touch(b, 1));
        pool.trim(0);
        for (i, &b) in blocks.iter().enumerate() {
            assert!(is_mapped(b));
            if i % 2 == 0 {
                pool.give(b);
                pool.trim(0);
            }
        }
        blocks.iter().skip(1).step_by(2).for_each(|&b| pool.give(b));
        // It grows by copying if pages cannot be moved.
        let at = pool.get(2 * UNIT);
        paint(at, 2 * UNIT, 9);
        let to = pool.reallocate(at, 5 * UNIT, 0).unwrap().unwrap().as_ptr() as usize;
        assert!(is_painted(to, 2 * UNIT, 9));
        pool.give(to);
        pool.trim(0);
        let s = pool.stats();
        assert_eq!((s.reserved_bytes, s.address_bytes, s.huge_bytes), (0, 0, 0));
    }
    if before.trim() == "0" {
        let _ = std::fs::write(reserve, "0");
    }
}

/// PH-14, T10
#[test]
fn ph_14_zeros_of_fresh_memory_touch_nothing() {
    let _turn = one_at_a_time();
    let pool = TestPool::plain();
    let n = 256 * MIB;
    let (before, faults) = (resident(), page_faults());
    let mut at = zeroed(pool.0, n);
    // The faults of the library's own code and data are a few; 128 huge pages would be the whole block.
    let faults = page_faults() - faults;
    assert!(faults < 100, "{faults} pages were touched");
    assert!(resident() < before + MIB, "no page was touched");
    assert_eq!(pool.stats().zero_bytes_skipped, n as u64);
    assert!(is_painted(at, 4096, 0) && is_painted(at + n - 4096, 4096, 0));
    // Freed untouched, or nearly so, it is not cleared the next time either: only resident pages are.
    touch(at + 100 * MIB, 8192);
    pool.give(at);
    let again = zeroed(pool.0, n);
    assert_eq!(again, at);
    let skipped = pool.stats().zero_bytes_skipped - n as u64;
    assert!(is_painted(at + 100 * MIB, MIB, 0));
    if skipped > 0 {
        assert!(skipped >= (n - 16 * MIB) as u64, "{skipped} skipped of what was hardly touched");
        assert!(resident() < before + 16 * MIB);
    }
    // This holds for any pattern of writes.
    let patterns: [&dyn Fn(usize) -> bool; 5] =
        [&|mib| mib == 0, &|mib| mib < 128, &|mib| mib >= 200, &|mib| mib % 8 < 5, &|mib| mib % 2 == 0];
    for (i, wrote) in patterns.into_iter().enumerate() {
        pool.give(at);
        pool.trim(0);
        at = pool.get(n);
        (0..256).filter(|&mib| wrote(mib)).for_each(|mib| paint(at + mib * MIB + 5000, MIB - 5000, 0xff));
        pool.give(at);
        let before = pool.stats().zero_bytes_skipped;
        let again = zeroed(pool.0, n);
        assert_eq!(again, at);
        assert!(is_painted(at, n, 0), "pattern {i}");
        let skipped = (pool.stats().zero_bytes_skipped - before) as usize / MIB;
        let absent = (0..128).filter(|&unit| !wrote(2 * unit) && !wrote(2 * unit + 1)).count() * 2;
        // Whole huge pages come at a touch.
        assert!(skipped == 0 || skipped + 4 >= absent && skipped <= 256, "pattern {i}: {skipped} of {absent} MiB");
    }
    // A block that was written everywhere is cleared fully.
    paint(at, n, 0xff);
    pool.give(at);
    let again = zeroed(pool.0, n);
    assert_eq!(again, at);
    assert!(is_painted(at, n, 0));
    pool.give(at);
}

/// PO-23, PH-14: of a free range that was never allocated to its end, only the used part is cleared.
#[test]
fn po_23_known_zeros_survive_cuts_and_merges() {
    let _turn = one_at_a_time();
    let pool = TestPool::new(|o| (o.initial_size, o.thread_cache_size) = (8 * MIB as u64, TN_POOL_NONE));
    let dirty = pool.get(MIB);
    paint(dirty, MIB, 0xff);
    let mut small = Vec::new();
    for n in [100, 5000, 60_000] {
        let at = pool.get(n);
        paint(at, n, 0xff);
        small.push(at);
    }
    small.iter().for_each(|&at| pool.give(at));
    pool.give(dirty);
    let before = pool.stats();
    assert_eq!(before.device_allocate_count, 1);
    // The whole range again: only the used part is cleared.
    pool.trim(0);
    let at = zeroed(pool.0, 8 * MIB);
    assert!(is_painted(at, 8 * MIB, 0));
    let s = pool.stats();
    assert_eq!(s.device_allocate_count, 1);
    let skipped = (s.zero_bytes_skipped - before.zero_bytes_skipped) as usize;
    assert!((5 * MIB..7 * MIB).contains(&skipped), "{skipped} bytes were known to be zero");
    // Shrunk and grown in place, a block's old bytes do not count as fresh.
    paint(at, 8 * MIB, 0xee);
    assert_eq!(pool.reallocate(at, MIB, 0).unwrap().unwrap().as_ptr() as usize, at);
    let rest = zeroed(pool.0, 7 * MIB);
    assert!(is_painted(rest, 7 * MIB, 0));
    pool.give(rest);
    assert_eq!(pool.reallocate(at, 3 * MIB, 0).unwrap().unwrap().as_ptr() as usize, at);
    paint(at, 3 * MIB, 0xee);
    pool.give(at);
    let at = zeroed(pool.0, 8 * MIB);
    assert!(is_painted(at, 8 * MIB, 0));
    pool.give(at);
}

/// PO-20: a block whose edges and middle are separate mappings moves by its pages all the same. If the system refuses
/// to move a part, nothing is lost.
#[test]
fn po_20_21_blocks_with_huge_pages_move_whole_or_stay() {
    let _turn = one_at_a_time();
    let paint_all = |at: usize, n: usize| (0..n).step_by(4096).for_each(|p| paint(at + p, 8, (p >> 12) as u8));
    let is_there = |at: usize, n: usize| (0..n).step_by(4096).all(|p| is_painted(at + p, 8, (p >> 12) as u8));
    for refused in 0..6 {
        let pool = TestPool::plain();
        // Not at a multiple of 2 MiB: three parts.
        let n = 9 * MIB + 100_000;
        let (first, at) = (pool.get(3 * MIB), pool.get_at(n, 65536));
        let behind = pool.get(100_000);
        paint_all(at, n);
        let before = pool.stats();
        os::fail_calls(refused, 1);
        let to = pool.reallocate(at, 3 * n, 0).map(|to| to.unwrap().as_ptr() as usize);
        os::fail_calls(0, 0);
        let to = to.unwrap_or(at);
        assert!(is_there(to, n));
        let s = pool.stats();
        assert_eq!(s.live_blocks, before.live_blocks);
        if refused == 5 {
            assert!(to != at && !is_mapped(at), "nothing was refused");
            assert_eq!(s.peak_reserved_bytes, s.reserved_bytes, "never were both there");
        }
        [first, behind, to].iter().for_each(|&at| pool.give(at));
        pool.trim(0);
        let s = pool.stats();
        assert_eq!((s.reserved_bytes, s.huge_bytes), (0, 0));
    }
}

/// PO-20: 1 GiB -> 2 GiB costs a small fraction of a copy, which would touch 512 huge pages, or 262,144 others.
#[test]
fn po_20_a_gigabyte_moves_and_is_not_touched() {
    let _turn = one_at_a_time();
    let pool = TestPool::plain();
    let n = 1 << 30;
    let at = pool.get(n);
    // Prevents growth in place.
    let behind = pool.get(n / 4);
    touch(at, n);
    let (before, there) = (page_faults(), resident());
    let to = pool.reallocate(at, 2 * n, 0).unwrap().unwrap().as_ptr() as usize;
    let faults = page_faults() - before;
    assert!(faults < 200, "{faults} pages were touched");
    assert!(resident().abs_diff(there) < MIB, "the same pages, and no others");
    assert!(to != at && !is_mapped(at) && (to..to + n).step_by(4096).all(|page| is_painted(page, 1, 1)));
    pool.give(to);
    pool.give(behind);
    pool.trim(0);
}

/// PO-19, PO-20
#[test]
fn po_19_20_large_blocks_shrink_and_grow_where_they_are() {
    let _turn = one_at_a_time();
    let pool = TestPool::new(|o| (o.initial_size, o.thread_cache_size) = (32 * MIB as u64, TN_POOL_NONE));
    let at = pool.get(16 * MIB);
    paint(at, 16 * MIB, 5);
    let resize = |at: usize, n: usize| pool.reallocate(at, n, 0).unwrap().unwrap().as_ptr() as usize;
    // To more than half: nothing is split off.
    assert_eq!(resize(at, 9 * MIB), at);
    assert_eq!(pool.stats().in_use_bytes, 16 * MIB as u64);
    // To less: the tail is cached, and serves others.
    assert_eq!(resize(at, 3 * MIB), at);
    let s = pool.stats();
    assert_eq!((s.in_use_bytes, s.cached_bytes), (3 * MIB as u64, 29 * MIB as u64));
    let other = pool.get(29 * MIB);
    assert_eq!(pool.stats().device_allocate_count, 1);
    pool.give(other);
    // The span after it is free: it grows in place.
    assert_eq!(resize(at, 30 * MIB), at);
    assert_eq!((pool.stats().device_allocate_count, pool.stats().in_use_bytes), (1, 30 * MIB as u64));
    assert!(is_painted(at, 3 * MIB, 5));
    paint(at, 30 * MIB, 6);
    pool.give(at);
    assert_eq!(pool.stats().cached_bytes, 32 * MIB as u64);
    let moved = pool.get_at(100, 64);
    pool.give(moved);
    assert_eq!(code(pool::deallocate(None, moved)), TN_ERR_STALE);
}

/// PREFAULT: memory that is committed at creation is resident at once; without the flag none is (PH-12).
#[test]
fn ph_12_pages_come_at_first_touch_or_with_prefault_at_creation() {
    let _turn = one_at_a_time();
    for (flags, there) in [(0, false), (TN_POOL_PREFAULT, true)] {
        let before = resident();
        let pool = TestPool::new(|o| (o.initial_size, o.flags) = (64 * MIB as u64, flags));
        let more = resident().saturating_sub(before);
        assert_eq!(more >= 60 * MIB, there, "{more} bytes are resident");
        assert!(there || more < MIB);
        let at = zeroed(pool.0, 64 * MIB);
        assert!(is_painted(at, 64 * MIB, 0));
        assert_eq!(pool.stats().zero_bytes_skipped, 64 * MIB as u64);
        pool.give(at);
    }
}

/// PO-41, PO-42, T6: spans with a live block stay, and their unused pages are returned.
#[test]
fn po_41_42_trim_gives_back_pages_between_live_blocks() {
    let _turn = one_at_a_time();
    for keeps in [0, TN_POOL_NONE] {
        let pool = TestPool::new(|o| o.thread_cache_size = keeps);
        let before = resident();
        let blocks: Vec<_> = (0..20_000usize).map(|i| (pool.get(1500 + i % 1000), i)).collect();
        blocks.iter().for_each(|&(at, i)| paint(at, 1500 + i % 1000, i as u8));
        let full = resident() - before;
        let (kept, gone): (Vec<_>, Vec<_>) = blocks.into_iter().partition(|(_, i)| i % 40 == 0);
        gone.iter().for_each(|&(at, _)| pool.give(at));
        let s = pool.stats();
        pool.trim(0);
        let left = resident().saturating_sub(before);
        assert!(left * 4 < full, "{left} of {full} bytes stay resident for a fortieth of the blocks");
        let t = pool.stats();
        assert_eq!((s.live_blocks, s.in_use_bytes), (t.live_blocks, t.in_use_bytes));
        assert!(kept.iter().all(|&(at, i)| is_painted(at, 1500 + i % 1000, i as u8)));
        // Returned pages are used again without the device.
        let again: Vec<_> = (0..15_000usize).map(|i| (pool.allocate(1500, 64, i % 2 == 0, 0).unwrap(), i)).collect();
        for &(at, i) in &again {
            let at = at.as_ptr() as usize;
            assert!(i % 2 == 1 || is_painted(at, 1500, 0));
            paint(at, 1500, i as u8);
        }
        assert_eq!(pool.stats().misuse_count, 0);
        assert!(again.iter().all(|&(at, i)| is_painted(at.as_ptr() as usize, 1500, i as u8)));
        assert!(kept.iter().all(|&(at, i)| is_painted(at, 1500 + i % 1000, i as u8)));
        again.iter().for_each(|&(at, _)| pool.give(at.as_ptr() as usize));
        kept.iter().for_each(|&(at, _)| pool.give(at));
        pool.trim(0);
        assert_eq!(pool.stats().reserved_bytes, 0);
    }
}

/// PO-32, PO-41: threads allocate, pass on and free while one trims.
#[test]
fn po_41_a_trim_among_busy_threads_takes_nothing_that_is_live() {
    let _turn = one_at_a_time();
    for keeps in [0, TN_POOL_NONE] {
        let pool = TestPool::new(|o| o.thread_cache_size = keeps);
        let passed: Mutex<Vec<(usize, usize)>> = Mutex::default();
        std::thread::scope(|scope| {
            let (pool, passed) = (pool.0, &passed);
            for seed in 1..4u64 {
                scope.spawn(move || {
                    let (mut own, mut random) = (Vec::new(), Random::new(seed));
                    for step in 0..6000usize {
                        let (size, pick) = (1 + random.below(9000), random.below(1 << 24));
                        let at = pool.allocate(size, 0, false, 0).unwrap().as_ptr() as usize;
                        paint(at, size, size as u8);
                        own.push((at, size));
                        if step % 3 == 0 {
                            let mut passed = passed.lock().unwrap();
                            passed.push(own.swap_remove(pick % own.len()));
                            if passed.len() > 200 {
                                let other = pick % passed.len();
                                own.push(passed.swap_remove(other));
                            }
                        }
                        if own.len() > 300 {
                            let (at, size) = own.swap_remove(pick % own.len());
                            assert!(is_painted(at, size, size as u8));
                            pool::deallocate(None, at).unwrap();
                        }
                    }
                    passed.lock().unwrap().append(&mut own);
                });
            }
            scope.spawn(move || {
                for _ in 0..60 {
                    pool.trim(0);
                    checked(pool);
                }
            });
        });
        for (at, size) in passed.into_inner().unwrap() {
            assert!(is_painted(at, size, size as u8));
            pool.give(at);
        }
        pool.trim(0);
        let s = pool.stats();
        assert_eq!((s.reserved_bytes, s.misuse_count), (0, 0));
    }
}

/// PH-13: one call for each contiguous free range, however many blocks it was.
#[test]
fn ph_13_a_free_range_goes_back_in_one_call() {
    let _turn = one_at_a_time();
    let pool = TestPool::new(|o| (o.release_threshold, o.thread_cache_size) = (TN_POOL_NONE, TN_POOL_NONE));
    let all = pool.get(64 * MIB);
    pool.give(all);
    let blocks: Vec<_> = (0..64).map(|_| pool.get(MIB)).collect();
    assert!(blocks.iter().all(|at| (all..all + 64 * MIB).contains(at)));
    blocks.iter().for_each(|&at| touch(at, MIB));
    let (gap, rest) = blocks.split_last().unwrap();
    rest.iter().for_each(|&at| pool.give(at));
    let (before, there) = (pool.stats(), resident());
    assert_eq!(pool.trim(0), 63 * MIB);
    let after = pool.stats();
    // The last block lies somewhere in it, with at most one range on either side.
    assert!(after.device_free_count - before.device_free_count <= 2);
    assert!(there - resident() >= 62 * MIB, "it is gone when the call returns");
    pool.give(*gap);
}

/// PH-16: reused memory keeps its contents, except in pools with other options.
#[test]
fn ph_16_a_reused_block_is_not_touched() {
    let _turn = one_at_a_time();
    for (flags, keeps) in [(0, 0), (0, TN_POOL_NONE), (TN_POOL_ZERO_ON_FREE, 0)] {
        let pool = TestPool::new(|o| (o.flags, o.thread_cache_size) = (flags, keeps));
        for n in [64, 5000, MIB, 20 * MIB] {
            let at = pool.get(n);
            paint(at, n, 0xa7);
            pool.give(at);
            assert_eq!(pool.get(n), at);
            assert!(is_painted(at, n, if flags == 0 { 0xa7 } else { 0 }));
            pool.give(at);
        }
    }
}

/// PH-6: a loop at the end of a span stays in the thread's heap.
#[test]
fn ph_6_a_loop_at_the_end_of_a_span_stays_in_the_thread() {
    let _turn = one_at_a_time();
    let pool = TestPool::plain();
    for n in [64usize, 4096, 40_000] {
        let mut held = vec![pool.get(n)];
        // Up to where one more block needs another span.
        loop {
            let before = pool.stats().thread_hit_count;
            let at = pool.get(n);
            if pool.stats().thread_hit_count == before {
                pool.give(at);
                break;
            }
            held.push(at);
        }
        let before = pool.stats();
        for _ in 0..1000 {
            pool.give(pool.get(n));
        }
        let after = pool.stats();
        assert_eq!(after.thread_hit_count - before.thread_hit_count, 1000, "blocks of {n}");
        assert_eq!(after.device_allocate_count, before.device_allocate_count);
        held.iter().for_each(|&at| pool.give(at));
    }
}

/// PH-7: the last freed large block is reused unchanged, and merges with its neighbours for a larger request.
#[test]
fn ph_7_the_last_large_block_waits_for_its_like() {
    let _turn = one_at_a_time();
    let pool = TestPool::new(|o| (o.initial_size, o.thread_cache_size) = (24 * MIB as u64, TN_POOL_NONE));
    let blocks: Vec<_> = (0..3).map(|_| pool.get(8 * MIB)).collect();
    // Between free neighbours, a loop gets the same block: nothing is split or merged.
    pool.give(blocks[0]);
    pool.give(blocks[2]);
    pool.give(blocks[1]);
    let spans = |pool: &TestPool| {
        let mut spans = 0;
        pool.each_segment(|segment| spans += segment.spans);
        spans
    };
    let metadata = pool.stats().metadata_bytes;
    for _ in 0..10 {
        assert_eq!(pool.get(8 * MIB), blocks[1]);
        pool.give(blocks[1]);
        assert_eq!((pool.stats().largest_free_bytes, spans(&pool)), (24 * MIB as u64, 3));
    }
    assert_eq!(pool.stats().metadata_bytes, metadata);
    // A larger request gets the merged range, without the device.
    let all = pool.get(24 * MIB);
    assert_eq!((pool.stats().device_allocate_count, spans(&pool)), (1, 1));
    pool.give(all);
    let (a, b) = (pool.get(8 * MIB), pool.get(8 * MIB));
    pool.give(b);
    assert_eq!(pool.reallocate(a, 20 * MIB, 0).unwrap().unwrap().as_ptr() as usize, a, "it grows over it");
    assert_eq!(pool.stats().device_allocate_count, 1);
    pool.give(a);
}

/// PO-19 to PO-23, PO-41: several threads grow, shrink and zero blocks with huge pages while one trims.
#[test]
fn po_20_23_41_large_blocks_among_busy_threads() {
    let _turn = one_at_a_time();
    for limit in [0, 200 * MIB as u64] {
        let pool = TestPool::new(|o| (o.release_threshold, o.max_size) = (16 * MIB as u64, limit));
        let it = pool.0;
        // The first and last bytes of each page carry the mark, so that debug builds are not slow.
        let mark = |at: usize, n: usize, value: u8| (0..n).step_by(4096).for_each(|page| paint(at + page, 1, value));
        let is_marked =
            |at: usize, n: usize, value: u8| (0..n).step_by(4096).all(|page| is_painted(at + page, 1, value));
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (1..4u64)
                .map(|seed| {
                    scope.spawn(move || {
                        let (mut own, mut random) = (Vec::<(usize, usize, u8)>::new(), Random::new(seed));
                        for step in 0..400usize {
                            let (size, pick, value) =
                                (70_000 + random.below(7 * MIB), random.below(1 << 24), 1 + (step % 250) as u8);
                            match step % 4 {
                                0 | 1 => {
                                    let Ok(at) = it.allocate(size, 0, step % 4 == 1, 0) else { continue };
                                    let at = at.as_ptr() as usize;
                                    assert!(step % 4 == 0 || is_marked(at, size, 0), "zeros");
                                    mark(at, size, value);
                                    own.push((at, size, value));
                                }
                                2 if !own.is_empty() => {
                                    let (at, old, value) = own.swap_remove(pick % own.len());
                                    let (at, n) = match it.reallocate(at, size, 0) {
                                        Ok(to) => (to.unwrap().as_ptr() as usize, size),
                                        Err(_) => (at, old),
                                    };
                                    assert!(is_marked(at, n.min(old), value), "kept");
                                    mark(at, n, value);
                                    own.push((at, n, value));
                                }
                                _ if own.len() > 4 => {
                                    let (at, n, value) = own.swap_remove(pick % own.len());
                                    assert!(is_marked(at, n, value));
                                    pool::deallocate(None, at).unwrap();
                                }
                                _ => (),
                            }
                        }
                        for (at, n, value) in own {
                            assert!(is_marked(at, n, value));
                            pool::deallocate(None, at).unwrap();
                        }
                    })
                })
                .collect();
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    it.trim(8 * MIB);
                    let s = checked(it);
                    assert!(s.huge_bytes <= s.reserved_bytes);
                    std::thread::yield_now();
                }
            });
            let ends: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            ends.into_iter().for_each(|end| end.unwrap());
        });
        pool.trim(0);
        let s = pool.stats();
        assert_eq!((s.reserved_bytes, s.huge_bytes, s.misuse_count, s.live_blocks), (0, 0, 0, 0));
    }
}
