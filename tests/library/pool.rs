//! Pools through their Rust interface: PO rows of the specification for pools without special options.

use crate::support;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use support::cuda::{NO_DRIVER, alone};
use support::pools::{GRANULE, HOST, TestPool, checked, code, is_painted, paint, text};
use support::random::Random;
use tenure::pool::{self, Pool, PoolOptions};
use tenure::types::*;
use tenure_harness::test;

#[test]
fn po_1_a_new_pool_has_taken_nothing() {
    let pool = TestPool::plain();
    let s = pool.stats();
    assert_eq!((s.reserved_bytes, s.address_bytes, s.device_allocate_count, s.thread_count), (0, 0, 0, 0));
    assert!(s.metadata_bytes < 65536);
    assert!(pool.name().as_str().starts_with("pool-"));
}

#[test]
fn po_4_and_pn_13_devices_that_are_not_there() {
    alone("po_4_and_pn_13_devices_that_are_not_there", &[NO_DRIVER], || {
        let create = |r#type, id, flags| {
            let options = PoolOptions { host_flags: flags, ..PoolOptions::default() };
            pool::create(tn_device { r#type, id }, &options)
        };
        assert_eq!(code(create(TN_CPU, 1, 0)), TN_ERR_DEVICE);
        assert_eq!(code(create(TN_CPU, -1, 0)), TN_ERR_DEVICE);
        assert_eq!(code(create(5, 0, 0)), TN_ERR_DEVICE);
        for cuda in [TN_CUDA, TN_CUDA_HOST, TN_CUDA_MANAGED] {
            assert_eq!(code(create(cuda, 0, 0)), TN_ERR_UNSUPPORTED);
            assert!(text().contains("libcuda"));
            assert_eq!(code(pool::default(tn_device { r#type: cuda, id: 0 })), TN_ERR_UNSUPPORTED);
        }
        let pinned = create(TN_CUDA_HOST, 0, TN_HOST_BEST_EFFORT).unwrap();
        assert_eq!(pinned.device(), HOST, "nothing claims to be pinned");
        pinned.drop_ref();
    });
}

#[test]
fn po_5_the_default_pool_is_one_also_when_threads_race() {
    let pools: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| pool::default(HOST).unwrap() as *const Pool as usize)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(pools.iter().all(|&p| p == pools[0]));
    assert!(pool::default_exists(TN_CPU) && !pool::default_exists(TN_CUDA));
    assert_eq!(pool::default(HOST).unwrap().name().as_str(), "default");
}

#[test]
fn the_rest_of_the_last_freed_block_merges_again() {
    let pool = TestPool::new(|o| (o.initial_size, o.thread_cache_size) = (8 << 20, TN_POOL_NONE));
    let blocks = [pool.get(1 << 20), pool.get(1 << 20), pool.get(1 << 20)];
    // It stays in place before a free range, and then a smaller block is cut from that range.
    pool.give(blocks[2]);
    let part = pool.get(1 << 19);
    pool.give(part);
    pool.give(blocks[0]);
    pool.give(blocks[1]);
    assert_eq!(pool.stats().largest_free_bytes, 8 << 20);
    let all = pool.get(8 << 20);
    assert_eq!(pool.stats().reserved_bytes, 8 << 20);
    pool.give(all);
}

#[test]
fn the_block_that_came_back_last_does_not_keep_its_neighbours_apart() {
    let pool = TestPool::new(|o| (o.initial_size, o.thread_cache_size) = (8 << 20, TN_POOL_NONE));
    let blocks = [pool.get(1 << 20), pool.get(1 << 20), pool.get(1 << 20)];
    pool.give(blocks[2]);
    // The tail that the second one gives up merges with the third, and the result with the free range after it.
    let same = pool.reallocate(blocks[1], 1 << 18, 0).unwrap().unwrap().as_ptr() as usize;
    assert_eq!(same, blocks[1]);
    assert_eq!(pool.stats().largest_free_bytes, (7 << 20) - (1 << 18));
    let all = pool.get((7 << 20) - (1 << 18));
    assert_eq!(pool.stats().reserved_bytes, 8 << 20);
    [all, same, blocks[0]].iter().for_each(|&at| pool.give(at));
}

#[test]
fn pools_that_are_over_are_used_again() {
    // More than the table keeps; each allocates, frees and ends. Memory does not grow without bound.
    let serials: Vec<u64> = (0..300)
        .map(|_| {
            let pool = TestPool::plain();
            let at = pool.get(1 << 17);
            pool.give(at);
            pool.serial()
        })
        .collect();
    assert!(serials.windows(2).all(|w| w[0] < w[1]));
}

#[test]
fn po_8_live_blocks_are_listed_with_their_sites() {
    let pool = TestPool::new(|o| o.set_name(b"listed").unwrap());
    let raw = pool.allocate_raw(100, 0, false, tenure::thread::stamp(41, 42)).unwrap().as_ptr() as usize;
    let store = pool.allocate(1 << 20, 256, false, 77).unwrap().as_ptr() as usize;
    let gone = pool.get(50);
    pool.give(gone);
    let mut seen = Vec::new();
    pool::each_block(|block| {
        if std::ptr::eq(block.pool, pool.0) {
            seen.push((block.start, block.requested, block.owner, block.thread, block.site, block.alignment));
        }
    });
    seen.sort();
    let mut expected = vec![(raw, 100, 0, 41, 42, 64), (store, 1 << 20, 77, 0, 0, 256)];
    expected.sort();
    assert_eq!(seen, expected);
    let mut pools = Vec::new();
    pool::each_pool(|p| pools.push(p.name().as_str().to_owned()));
    assert!(pools.contains(&"listed".to_owned()));
    pool.give(raw);
    pool.free_store(tenure::thread::current(), store);
}

#[test]
fn po_9_an_address_tells_its_pool() {
    let pool = TestPool::plain();
    for bytes in [1usize, 100, 65536, 1 << 20] {
        let at = pool.get(bytes);
        let usable = pool::usable_size(at).unwrap();
        for inside in [at, at + usable / 2, at + usable - 1] {
            let of = pool::of(inside).unwrap();
            assert!(std::ptr::eq(of, pool.0));
            of.drop_ref();
            let block = pool::locate(inside).unwrap();
            assert_eq!((block.start, block.requested, block.usable, block.owner), (at, bytes, usable, 0));
        }
        pool.give(at);
        assert_eq!(code(pool::of(at)), TN_ERR_FOREIGN, "cached memory");
        assert!(pool::locate(at).is_none());
    }
    let local = 0u8;
    for address in [0, 1, 4096, &local as *const u8 as usize, usize::MAX, 1 << 47, (1 << 48) - 1] {
        assert!(pool::locate(address).is_none());
        assert_eq!(code(pool::of(address)), TN_ERR_FOREIGN);
    }
    assert_eq!(pool.refs(), 1);
}

#[test]
fn first_in_finds_the_lowest_block_of_a_range() {
    let pool = TestPool::plain();
    let mut blocks: Vec<_> = (0..200).map(|i| (pool.get(if i % 7 == 0 { 200_000 } else { 700 }), i)).collect();
    for i in (0..200).rev().filter(|i| i % 3 == 0) {
        pool.give(blocks.remove(i).0);
    }
    let mut ranges: Vec<_> = blocks.iter().map(|&(at, _)| (at, at + pool::usable_size(at).unwrap())).collect();
    ranges.sort();
    let mine = |start: usize, end: usize| {
        let mut from = start;
        // Blocks of other tests are between ours.
        while let Some(found) = pool::first_in(from, end) {
            if std::ptr::eq(found.pool, pool.0) {
                return Some(found.start);
            }
            from = found.start + found.usable;
        }
        None
    };
    for i in 0..ranges.len() - 1 {
        let ((a, a_end), (b, _)) = (ranges[i], ranges[i + 1]);
        assert_eq!(mine(a, a + 1), Some(a));
        assert_eq!(mine(a_end - 1, a_end), Some(a));
        assert_eq!(mine(a_end, b + 1), Some(b));
        assert_eq!(mine(a_end, b), None);
    }
    assert_eq!(mine(0, usize::MAX), Some(ranges[0].0));
    blocks.iter().for_each(|&(at, _)| pool.give(at));
}

/// PO-10 to PO-13, PO-16, PO-17: PO-12 for each power of two and many sizes.
#[test]
fn po_10_11_12_13_16_17_blocks_are_aligned_apart_and_fit() {
    let (a, b) = (TestPool::plain(), TestPool::plain());
    let mut sizes: Vec<usize> = (1..40).collect();
    sizes.extend([
        63,
        64,
        65,
        100,
        255,
        256,
        257,
        1000,
        4095,
        4096,
        4097,
        10_000,
        65_535,
        65_536,
        65_537,
        200_000,
        1 << 20,
    ]);
    let mut live: Vec<(usize, usize, u8)> = Vec::new();
    for shift in 0..=22 {
        let alignment = 1usize << shift;
        for (i, &n) in sizes.iter().enumerate() {
            let pool = if (i + shift) % 2 == 0 { &a } else { &b };
            let at = pool.get_at(n, alignment);
            assert!(at.is_multiple_of(alignment.max(8)));
            let usable = pool::usable_size(at).unwrap();
            let m = n.next_multiple_of(alignment.max(8));
            let most = if m <= 65536 { (m + m / 8).max(m + 15) } else { m.next_multiple_of(4096) };
            assert!(usable >= n && usable <= most.max(4096), "{n} at {alignment}: {usable}");
            if alignment <= 4096 {
                assert!(usable <= most, "{n} at {alignment}: {usable}");
            }
            let value = (i * 31 + shift) as u8;
            paint(at, usable, value);
            live.push((at, usable, value));
        }
    }
    for (at, usable, value) in &live {
        assert!(is_painted(*at, *usable, *value), "something else wrote into {at:#x}");
    }
    live.sort();
    assert!(live.windows(2).all(|w| w[0].0 + w[0].1 <= w[1].0), "no two blocks overlap");
    assert!(a.stats().reserved_bytes > 0 && b.stats().reserved_bytes > 0);
    live.iter().for_each(|block| pool::deallocate(None, block.0).unwrap());
    for wrong in [3, 12, 8 << 20, usize::MAX] {
        assert_eq!(code(a.allocate(8, wrong, false, 0)), TN_ERR_INVALID);
        assert!(text().contains(&wrong.to_string()));
    }
    let at = a.get_at(16, 16);
    assert_eq!(pool::usable_size(at).unwrap(), 16, "an alignment below the pool's is honoured");
    assert!(a.get(1).is_multiple_of(64));
    let b4m = b.get_at(1, 4 << 20);
    assert!(b.stats().in_use_bytes <= 4096, "a large alignment costs addresses, not memory");
    b.give(b4m);
    let mut mine = Vec::new();
    pool::each_block(|block| mine.extend(std::ptr::eq(block.pool, a.0).then_some(block.start)));
    mine.into_iter().for_each(|at| a.give(at));
}

#[test]
fn po_14_zero_bytes_are_a_block_too() {
    let pool = TestPool::plain();
    let (a, b) = (pool.get(0), pool.get(0));
    assert!(a != 0 && a != b);
    assert_eq!((pool.stats().requested_bytes, pool.stats().live_blocks), (0, 2));
    pool.give(a);
    assert_eq!(code(pool::deallocate(Some(pool.0), a)), TN_ERR_STALE);
    pool.give(b);
}

#[test]
fn po_15_sizes_that_no_machine_has() {
    let pool = TestPool::plain();
    let cached = pool.get(1 << 20);
    pool.give(cached);
    for n in [usize::MAX, usize::MAX - 4095, isize::MAX as usize + 1, isize::MAX as usize] {
        assert_eq!(code(pool.allocate(n, 0, false, 0)), TN_ERR_NO_HOST_MEMORY);
        assert_eq!(code(pool.allocate(n, 4 << 20, true, 0)), TN_ERR_NO_HOST_MEMORY);
    }
    let s = pool.stats();
    assert_eq!((s.trim_count, s.cached_bytes, s.failure_count), (0, 1 << 20, 8), "nothing was tried");
}

#[test]
fn po_18_reallocate_of_null_and_to_zero() {
    let pool = TestPool::plain();
    let at = pool.reallocate(0, 100, tenure::thread::stamp(1, 2)).unwrap().unwrap().as_ptr() as usize;
    assert_eq!(pool::locate(at).map(|b| (b.requested, b.thread, b.site)), Some((100, 1, 2)));
    assert_eq!(pool.reallocate(at, 0, 0).unwrap(), None);
    let s = pool.stats();
    assert_eq!((s.allocation_count, s.deallocation_count, s.reallocation_count), (1, 1, 0));
}

#[test]
fn po_19_20_reallocate_in_place_where_it_can() {
    let pool = TestPool::plain();
    let resize = |at: usize, n: usize| pool.reallocate(at, n, 0).unwrap().unwrap().as_ptr() as usize;
    // Within a size class.
    let at = pool.get(1000);
    let usable = pool::usable_size(at).unwrap();
    assert_eq!(resize(at, usable), at);
    assert_eq!(pool.stats().requested_bytes, usable as u64);
    // To another size class: contents and alignment are kept, and the statistics follow.
    paint(at, usable, 5);
    let moved = resize(at, 5000);
    assert!(moved != at && is_painted(moved, usable, 5) && moved.is_multiple_of(64));
    assert_eq!(code(pool::usable_size(at)), TN_ERR_STALE);
    assert_eq!(pool.stats().live_blocks, 1);
    // Small to large and back.
    paint(moved, 5000, 6);
    let large = resize(moved, 300_000);
    assert!(is_painted(large, 5000, 6));
    paint(large, 300_000, 9);
    // A little shorter: the span stays. Less than half: it is split, and the tail is cached.
    let before = pool.stats();
    assert_eq!(resize(large, 200_000), large);
    assert_eq!(pool.stats().reserved_bytes, before.reserved_bytes);
    assert_eq!(resize(large, 70_000), large);
    let after = pool.stats();
    assert_eq!(after.reserved_bytes, before.reserved_bytes);
    assert!(after.cached_bytes >= before.cached_bytes + 2 * GRANULE, "the tail is cached");
    assert_eq!(after.in_use_bytes, 73_728);
    assert!(is_painted(large, 70_000, 9));
    // The tail after it is free: it grows in place.
    assert_eq!(resize(large, 300_000), large);
    assert!(is_painted(large, 70_000, 9));
    assert_eq!(pool.stats().device_allocate_count, after.device_allocate_count);
    pool.give(large);
}

#[test]
fn po_21_a_reallocate_that_fails_changes_nothing() {
    let pool = TestPool::new(|o| o.max_size = 1 << 20);
    for n in [100usize, 200_000] {
        let at = pool.get(n);
        paint(at, n, 3);
        let before = pool.stats();
        assert_eq!(code(pool.reallocate(at, 2 << 20, 0)), TN_ERR_POOL_LIMIT);
        assert_eq!(code(pool.reallocate(at, usize::MAX, 0)), TN_ERR_NO_HOST_MEMORY);
        let after = pool.stats();
        assert!(is_painted(at, n, 3));
        assert_eq!(pool::locate(at).unwrap().requested, n);
        assert_eq!((before.in_use_bytes, before.live_blocks), (after.in_use_bytes, after.live_blocks));
        assert_eq!(after.failure_count, before.failure_count + 2);
        pool.give(at);
    }
}

#[test]
fn po_22_null_is_given_back_for_nothing() {
    let pool = TestPool::plain();
    pool::deallocate(None, 0).unwrap();
    pool::deallocate(Some(pool.0), 0).unwrap();
    assert_eq!(pool.stats().deallocation_count, 0);
}

#[test]
fn po_23_zeroed_blocks_are_zero_and_fresh_ones_are_not_cleared_again() {
    let pool = TestPool::plain();
    for n in [8usize, 1000, 60_000, 70_000, 4 << 20] {
        for round in 0..3u64 {
            let skipped = pool.stats().zero_bytes_skipped;
            let at = pool.allocate(n, 0, true, 0).unwrap().as_ptr() as usize;
            assert!(is_painted(at, n, 0));
            let saved = pool.stats().zero_bytes_skipped - skipped;
            assert!(saved == 0 || saved == n as u64);
            assert!(round == 0 || saved == 0, "a used block is not known to be zero");
            paint(at, pool::usable_size(at).unwrap(), 0xff);
            pool.give(at);
        }
    }
    let fresh = TestPool::plain();
    let at = fresh.allocate(256 << 20, 0, true, 0).unwrap().as_ptr() as usize;
    assert_eq!(fresh.stats().zero_bytes_skipped, 256 << 20);
    fresh.give(at);
}

#[test]
fn po_28_two_threads_free_one_block_once() {
    let pool = TestPool::plain();
    for round in 0..500 {
        let at = pool.get(if round % 2 == 0 { 64 } else { 100_000 });
        let go = AtomicBool::new(false);
        let codes: Vec<_> = std::thread::scope(|scope| {
            let free = || {
                while !go.load(Ordering::Acquire) {
                    std::hint::spin_loop();
                }
                code(pool::deallocate(None, at))
            };
            let threads = [scope.spawn(free), scope.spawn(free)];
            go.store(true, Ordering::Release);
            threads.map(|t| t.join().unwrap()).to_vec()
        });
        let mut sorted = codes.clone();
        sorted.sort();
        assert_eq!(sorted, [TN_OK, TN_ERR_STALE]);
        let (a, b) = (pool.get(64), pool.get(64));
        assert_ne!(a, b);
        pool.give(a);
        pool.give(b);
    }
}

/// A model of a pool's statistics.
#[derive(Default)]
struct Model {
    live: HashMap<usize, (usize, usize)>,
    requested: u64,
    in_use: u64,
    peak_requested: u64,
    peak_in_use: u64,
    counts: [u64; 5],
}

impl Model {
    fn put(&mut self, at: usize, n: usize) {
        let usable = pool::usable_size(at).unwrap();
        assert!(self.live.insert(at, (n, usable)).is_none());
        self.requested += n as u64;
        self.in_use += usable as u64;
        self.peak_requested = self.peak_requested.max(self.requested);
        self.peak_in_use = self.peak_in_use.max(self.in_use);
    }
    fn take(&mut self, at: usize) -> (usize, usize) {
        let (n, usable) = self.live.remove(&at).unwrap();
        self.requested -= n as u64;
        self.in_use -= usable as u64;
        (n, usable)
    }
    /// `keeps`: bytes that a thread may keep, by which peaks may be too low (PO-33).
    fn check(&self, s: &tn_pool_stats, keeps: u64) {
        assert_eq!([self.requested, self.in_use], [s.requested_bytes, s.in_use_bytes]);
        assert_eq!(self.live.len() as u64, s.live_blocks);
        for (ours, theirs) in [(self.peak_requested, s.peak_requested_bytes), (self.peak_in_use, s.peak_in_use_bytes)] {
            assert!(theirs <= ours && ours <= theirs + keeps, "peak {theirs} where the model has {ours}");
        }
        let counts = [s.allocation_count, s.deallocation_count, s.reallocation_count, s.failure_count, s.misuse_count];
        assert_eq!(self.counts, counts);
        assert_eq!((s.pending_bytes, s.shared_out_bytes), (0, 0));
        // Blocks of this model fill no huge page; only a large pool grows in them (PH-11).
        assert!(s.huge_bytes <= s.reserved_bytes && (s.huge_bytes == 0 || s.device_bytes_total >= 32 << 20));
        assert!(s.hit_count <= s.allocation_count && s.thread_hit_count <= s.hit_count);
        assert!(s.thread_count <= u64::from(keeps > 0) && (keeps > 0 || s.thread_hit_count == 0));
    }
}

fn model_run(seed: u64, flags: u32, limit: u64, steps: usize) {
    for keeps in [TN_POOL_NONE, 1 << 16, 1 << 20] {
        model_run_with(seed, flags, limit, keeps, steps);
    }
}

fn model_run_with(seed: u64, flags: u32, limit: u64, keeps: u64, steps: usize) {
    println!("seed {seed} flags {flags} limit {limit} thread_cache_size {keeps}");
    let pool = TestPool::new(|o| (o.flags, o.max_size, o.thread_cache_size) = (flags, limit, keeps));
    let keeps = if keeps == TN_POOL_NONE { 0 } else { keeps };
    let (mut random, mut model) = (Random::new(seed), Model::default());
    let mut order: Vec<(usize, u8)> = Vec::new();
    for step in 0..steps {
        let n = match random.below(4) {
            0 => random.below(100),
            1 => random.below(5000),
            2 => random.below(100_000),
            _ => random.below(1 << 20),
        };
        let value = step as u8;
        match random.below(10) {
            0..4 => {
                let alignment = if random.below(2) == 0 { 0 } else { 1 << random.below(15) };
                let zeroed = random.below(2) == 0;
                match pool.allocate(n, alignment, zeroed, 0) {
                    Ok(at) => {
                        let at = at.as_ptr() as usize;
                        assert!(at.is_multiple_of(if alignment == 0 { 64 } else { alignment }));
                        assert!(!zeroed || is_painted(at, n, 0));
                        model.counts[0] += 1;
                        model.put(at, n);
                        paint(at, n, value);
                        order.push((at, value));
                    }
                    Err(status) => {
                        assert!(limit > 0 && status.code() == TN_ERR_POOL_LIMIT);
                        model.counts[3] += 1;
                    }
                }
            }
            4..7 if !order.is_empty() => {
                let (at, value) = order.swap_remove(random.below(order.len()));
                let (n, _) = model.take(at);
                assert!(is_painted(at, n, value));
                pool.give(at);
                model.counts[1] += 1;
            }
            7 if !order.is_empty() => {
                let i = random.below(order.len());
                let (at, value) = order[i];
                let n = n.max(1);
                match pool.reallocate(at, n, 0) {
                    Ok(to) => {
                        let to = to.unwrap().as_ptr() as usize;
                        let (old, _) = model.take(at);
                        assert!(is_painted(to, old.min(n), value));
                        model.put(to, n);
                        model.counts[2] += 1;
                        paint(to, n, value);
                        order[i] = (to, value);
                    }
                    Err(status) => {
                        assert!(limit > 0 && status.code() == TN_ERR_POOL_LIMIT);
                        let (old, _) = model.live[&at];
                        assert!(is_painted(at, old, value));
                        model.counts[3] += 1;
                    }
                }
            }
            8 if !order.is_empty() => {
                let (at, _) = order[random.below(order.len())];
                if model.live[&at].0 > 1 {
                    assert_eq!(code(pool::deallocate(Some(pool.0), at + 1)), TN_ERR_INVALID);
                    model.counts[3] += 1;
                    model.counts[4] += 1;
                }
            }
            _ => match random.below(4) {
                0 => {
                    let (before, keep) = (pool.stats(), random.below(1 << 22));
                    let released = pool.trim(keep) as u64;
                    assert_eq!(before.reserved_bytes - pool.stats().reserved_bytes, released);
                }
                1 => {
                    pool.reset_peak();
                    (model.peak_requested, model.peak_in_use) = (model.requested, model.in_use);
                    assert_eq!(pool.stats().peak_reserved_bytes, pool.stats().reserved_bytes);
                }
                _ => (),
            },
        }
        model.check(&pool.stats(), keeps);
    }
    for (at, value) in order {
        let (n, _) = model.take(at);
        assert!(is_painted(at, n, value));
        pool.give(at);
        model.counts[1] += 1;
    }
    model.check(&pool.stats(), keeps);
    pool.trim(0);
    let s = pool.stats();
    assert_eq!((s.reserved_bytes, s.address_bytes, s.cached_bytes, s.overhead_bytes), (0, 0, 0, 0));
}

#[test]
fn po_31_every_figure_equals_the_models() {
    for seed in 1..7 {
        model_run(seed, 0, 0, 4000);
    }
}

#[test]
fn po_31_39_the_same_below_a_limit() {
    for seed in 11..15 {
        model_run(seed, 0, 8 << 20, 4000);
    }
}

#[test]
fn po_31_the_same_with_each_flag() {
    for flags in
        [TN_POOL_DIRECT, TN_POOL_ZERO_ON_FREE, TN_POOL_STRICT, TN_POOL_STRICT | TN_POOL_ZERO_ON_FREE | TN_POOL_DIRECT]
    {
        model_run(21, flags, 0, 1500);
    }
    model_run(22, TN_POOL_STRICT, 16 << 20, 3000);
}

/// PO-34, PO-36, PO-37.
#[test]
fn po_34_36_37_peaks_hits_and_queries() {
    let pool = TestPool::plain();
    let sizes = [16usize, 100, 5000, 65536, 100_000, 1 << 20, 64 << 20];
    let pass = || {
        let blocks: Vec<_> = sizes.iter().map(|&n| pool.get(n)).collect();
        blocks.iter().for_each(|&b| pool.give(b));
    };
    pass();
    let first = pool.stats();
    assert_eq!(first.peak_requested_bytes, sizes.iter().sum::<usize>() as u64);
    assert_eq!(first.hit_count, 0, "each size needed the device once");
    for _ in 0..10 {
        pass();
    }
    let s = pool.stats();
    assert_eq!(s.hit_count, 10 * sizes.len() as u64);
    assert_eq!(s.device_allocate_count, first.device_allocate_count);
    pool.reset_peak();
    let s = pool.stats();
    assert_eq!((s.peak_requested_bytes, s.peak_in_use_bytes, s.peak_reserved_bytes), (0, 0, s.reserved_bytes));
    assert_eq!(s.allocation_count, 11 * sizes.len() as u64, "counts are not touched");
}

/// PH-5
#[test]
fn a_block_freed_in_a_loop_comes_from_the_same_address() {
    let pool = TestPool::plain();
    for n in [64usize, 3000, 64 << 20] {
        let at = pool.get(n);
        pool.give(at);
        for _ in 0..100 {
            assert_eq!(pool.get(n), at);
            pool.give(at);
        }
    }
}

#[test]
fn po_39_a_limit_holds_and_never_starves_while_memory_lies_idle() {
    let pool = TestPool::new(|o| (o.max_size, o.initial_size) = (4 << 20, 1 << 20));
    let all = pool.get(4 << 20);
    assert_eq!(code(pool.allocate(1, 0, false, 0)), TN_ERR_POOL_LIMIT);
    pool.give(all);
    // Now 4 MiB are cached as one piece, from which smaller and odd sizes are served.
    let many: Vec<_> = (0..64).map(|_| pool.get(60_000)).collect();
    many.iter().for_each(|&b| pool.give(b));
    let again = pool.get(4 << 20);
    pool.give(again);
    assert!(pool.stats().peak_reserved_bytes <= 4 << 20);
    // A limit below the usual span of small blocks still serves one block.
    let tiny = TestPool::new(|o| o.max_size = 65536);
    let at = tiny.get(60_000);
    assert_eq!(code(tiny.allocate(60_000, 0, false, 0)), TN_ERR_POOL_LIMIT);
    tiny.give(at);
    tiny.give(tiny.get(16));
}

#[test]
fn po_39_a_limit_holds_with_many_threads() {
    let pool = TestPool::new(|o| o.max_size = 4 << 20);
    let it: &'static Pool = pool.0;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stop = &stop;
        let workers: Vec<_> = (0..4)
            .map(|seed| {
                scope.spawn(move || {
                    let mut random = Random::new(seed);
                    let mut served = 0;
                    for _ in 0..3000 {
                        let n = 1 + random.below(1 << 20);
                        if let Ok(at) = it.allocate(n, 0, false, 0) {
                            paint(at.as_ptr() as usize, n.min(100), 1);
                            served += 1;
                            pool::deallocate(None, at.as_ptr() as usize).unwrap();
                        }
                    }
                    served
                })
            })
            .collect();
        let watcher = scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                assert!(checked(it).reserved_bytes <= 4 << 20);
            }
        });
        for worker in workers {
            // Four threads of at most 1 MiB each: apart from granules and one kept span per class, nearly all requests
            // fit.
            assert!(worker.join().unwrap() > 1000);
        }
        stop.store(true, Ordering::Relaxed);
        watcher.join().unwrap();
    });
    assert!(pool.stats().peak_reserved_bytes <= 4 << 20);
}

#[test]
fn the_release_threshold_keeps_a_loop_and_drops_the_rest() {
    let pool = TestPool::new(|o| o.release_threshold = 1 << 20);
    // One block far above the threshold, allocated in a loop: kept.
    let at = pool.get(32 << 20);
    pool.give(at);
    for _ in 0..10 {
        assert_eq!(pool.get(32 << 20), at);
        pool.give(at);
    }
    assert_eq!(pool.stats().device_free_count, 0);
    // Another one: the least recently used memory goes until the threshold holds.
    let blocks: Vec<_> = (0..8).map(|_| pool.get(4 << 20)).collect();
    blocks.iter().for_each(|&b| pool.give(b));
    assert!(pool.stats().cached_bytes <= (32 << 20) + (1 << 20));
    pool.give(pool.get(2 << 20));
    assert!(pool.stats().device_free_count > 0);
}

#[test]
fn release_delay_returns_memory_that_was_long_unused() {
    let pool = TestPool::new(|o| o.release_delay_ms = 20);
    pool.give(pool.get(8 << 20));
    let start = std::time::Instant::now();
    // Slow-path calls continue; the library has no background thread.
    while pool.stats().device_free_count == 0 {
        pool.give(pool.get(100_000));
        assert!(start.elapsed().as_secs() < 600);
    }
    assert!(pool.stats().reserved_bytes < 8 << 20);
}

#[test]
fn po_45_46_out_of_memory_says_all_and_leaves_nothing() {
    let pool = TestPool::new(|o| {
        o.set_name(b"staging").unwrap();
        o.max_size = 8 << 20;
    });
    let store = pool.allocate(5 << 20, 0, false, 1234).unwrap().as_ptr() as usize;
    let small = pool.allocate(1 << 20, 0, false, 77).unwrap().as_ptr() as usize;
    pool.give(pool.get(1 << 20));
    pool::name_holders(|owner| {
        use tenure::names::Name;
        use tenure::sites::Site;
        if owner == 1234 { (Name::head("weights"), Site::at("step.c", 41)) } else { (Name::NONE, Site::NONE) }
    });
    assert_eq!(code(pool.allocate(6 << 20, 4096, false, 0)), TN_ERR_POOL_LIMIT);
    let text = text();
    let mut from = 0;
    let order = [
        "\"staging\"",
        "{cpu, 0}",
        "6 MiB",
        "alignment 4096",
        "6 MiB in use",
        "cached",
        "pending",
        "largest free",
        "limit 8 MiB",
        " free of ",
        "largest holders: \"weights\" 5 MiB at step.c:41; ",
    ];
    for part in order {
        let found = text[from..].find(part).unwrap_or_else(|| panic!("{part} is not in order in: {text}"));
        from += found + part.len();
    }
    assert!(text.len() < tenure::error::TEXT_BYTES, "{text}");
    let s = pool.stats();
    assert_eq!((s.oom_count, s.failure_count), (1, 1));
    pool.free_store(tenure::thread::current(), store);
    // PO-46
    let at = pool.get(6 << 20);
    pool.give(at);
    pool.free_store(tenure::thread::current(), small);
}

#[test]
fn zero_on_free_leaves_no_contents() {
    let pool = TestPool::new(|o| o.flags = TN_POOL_ZERO_ON_FREE);
    for n in [100usize, 100_000] {
        let at = pool.get(n);
        paint(at, pool::usable_size(at).unwrap(), 0xee);
        pool.give(at);
        assert_eq!(pool.get(n), at);
        assert!(is_painted(at, n, 0));
        pool.give(at);
    }
}

/// PO-20: nor do the bytes that a block gave up when it shrank in place.
#[test]
fn zero_on_free_of_a_block_that_shrinks() {
    let pool = TestPool::new(|o| o.flags = TN_POOL_ZERO_ON_FREE);
    // The rest ends within a granule, and at the end of one.
    for small in [100_000, GRANULE as usize] {
        let large = 40 * GRANULE as usize;
        let at = pool.get(large);
        paint(at, large, 0xee);
        assert_eq!(pool.reallocate(at, small, 0).unwrap().unwrap().as_ptr() as usize, at);
        assert!(is_painted(at, small, 0xee));
        let rest = pool.get(large - 4 * GRANULE as usize);
        assert!(rest > at && rest < at + large, "it lies in what was given up");
        assert!(is_painted(rest, large - 4 * GRANULE as usize, 0));
        pool.give(rest);
        pool.give(at);
        // The bytes behind its end go with it.
        let again = pool.get(large);
        assert_eq!(again, at);
        assert!(is_painted(again, large, 0));
        pool.give(again);
    }
}

#[test]
fn po_62_63_64_65_the_current_pool_of_a_thread() {
    assert!(std::ptr::eq(pool::current(HOST).unwrap(), pool::default(HOST).unwrap()));
    let a = TestPool::plain();
    pool::set_current(Some(a.0)).unwrap();
    assert!(std::ptr::eq(pool::current(HOST).unwrap(), a.0));
    assert_eq!(a.refs(), 2);
    pool::set_current(Some(a.0)).unwrap();
    assert_eq!(a.refs(), 2);
    std::thread::spawn(|| assert!(std::ptr::eq(pool::current(HOST).unwrap(), pool::default(HOST).unwrap())))
        .join()
        .unwrap();
    // The thread's reference keeps a released pool; PO-6 applies when the thread ends.
    let b = pool::create(HOST, &PoolOptions::default()).unwrap();
    std::thread::spawn(move || {
        pool::set_current(Some(b)).unwrap();
        b.drop_ref();
        assert!(!b.is_retired());
        let at = pool::current(HOST).unwrap().allocate(10, 0, false, 0).unwrap();
        pool::deallocate(None, at.as_ptr() as usize).unwrap();
    })
    .join()
    .unwrap();
    assert!(b.is_retired());
    pool::set_current(None).unwrap();
    assert_eq!(a.refs(), 1);
    assert!(std::ptr::eq(pool::current(HOST).unwrap(), pool::default(HOST).unwrap()));
    assert_eq!(a.stats().device_allocate_count, 0, "neither call allocates");
}

#[test]
fn po_32_many_threads_share_a_pool_and_pass_blocks_on() {
    let pool = TestPool::plain();
    let it: &'static Pool = pool.0;
    let (send, receive) = std::sync::mpsc::channel::<(usize, usize, u8)>();
    let receive = std::sync::Mutex::new(receive);
    std::thread::scope(|scope| {
        for seed in 0..3 {
            let send = send.clone();
            scope.spawn(move || {
                let mut random = Random::new(seed);
                for i in 0..3000 {
                    let n = 1 + random.below(if i % 10 == 0 { 300_000 } else { 2000 });
                    let at = it.allocate(n, 0, false, 0).unwrap().as_ptr() as usize;
                    paint(at, n, i as u8);
                    send.send((at, n, i as u8)).unwrap();
                }
            });
        }
        drop(send);
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Ok((at, n, value)) = receive.lock().unwrap().recv() else { break };
                    let block = pool::locate(at + n / 2).unwrap();
                    assert_eq!((block.start, block.requested), (at, n));
                    assert!(is_painted(at, n, value));
                    pool::deallocate(None, at).unwrap();
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..300 {
                checked(it);
                it.trim(1 << 20);
                pool::each_block(|block| assert!(block.requested <= block.usable));
            }
        });
    });
    let s = pool.stats();
    assert_eq!((s.live_blocks, s.requested_bytes, s.allocation_count), (0, 0, 9000));
    pool.trim(0);
    assert_eq!(pool.stats().reserved_bytes, 0);
}

#[test]
fn po_58_a_child_of_fork_allocates_and_frees() {
    let pool = TestPool::plain();
    let kept = pool.get(1000);
    paint(kept, 1000, 0x5a);
    let it: &'static Pool = pool.0;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let at = it.allocate(100, 0, false, 0).unwrap();
                pool::deallocate(None, at.as_ptr() as usize).unwrap();
            }
        });
        for _ in 0..20 {
            // SAFETY: the child only uses the pool, and leaves by _exit.
            let child = unsafe { libc::fork() };
            if child == 0 {
                let ok = is_painted(kept, 1000, 0x5a)
                    && (0..100).all(|i| {
                        it.allocate(1 + i * 1000, 0, false, 0)
                            .is_ok_and(|at| pool::deallocate(None, at.as_ptr() as usize).is_ok())
                    })
                    && pool::deallocate(Some(it), kept).is_ok()
                    && it.trim(0) > 0;
                // SAFETY: ends the child without the parent's exit handlers.
                unsafe { libc::_exit(!ok as i32) };
            }
            let mut status = 0;
            // SAFETY: waits for our own child.
            unsafe { libc::waitpid(child, &mut status, 0) };
            assert_eq!(status, 0);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(is_painted(kept, 1000, 0x5a));
    pool.give(kept);
}

#[test]
fn dv_3_a_device_query_includes_memory_of_pools() {
    let pool = TestPool::plain();
    let at = pool.get(32 << 20);
    let info = pool::describe(HOST, TN_QUERY_MEMORY).unwrap();
    assert!(info.pool_bytes >= 32 << 20 && info.pool_free_bytes <= info.pool_bytes);
    assert_eq!(pool::describe(HOST, 0).unwrap().pool_bytes, 0);
    pool.give(at);
}

#[test]
fn held_bytes_are_those_of_stores_without_a_claim() {
    let pool = TestPool::plain();
    pool.add_held(100);
    pool.add_held(-40);
    assert_eq!(pool.stats().held_bytes, 60);
    pool.add_held(-60);
    assert_eq!(pool.stats().held_bytes, 0);
}
