//! Collections on a pool (AL-93).
#![cfg(feature = "allocator-api2")]

use allocator_api2::alloc::{Allocator, Layout};
use allocator_api2::boxed::Box;
use allocator_api2::vec::Vec;
use hashbrown::HashMap;
use std::ptr::NonNull;
use tenure_rs::{Pool, PoolAllocator, Status};

fn live(pool: &Pool) -> u64 {
    pool.stats().unwrap().live_blocks
}

#[test]
fn al_93_vectors_boxes_and_maps_are_blocks_of_the_pool() {
    let pool = Pool::configure().name("collections").build().unwrap();
    let allocator = pool.allocator().unwrap();
    let mut numbers = Vec::new_in(allocator);
    numbers.extend(0..10_000u64);
    let boxed = Box::new_in([7u8; 100], allocator);
    let mut map = HashMap::new_in(allocator);
    for n in 0..1000u32 {
        map.insert(n, n * n);
    }
    assert_eq!(live(&pool), 3);
    assert!(numbers.iter().copied().eq(0..10_000) && *boxed == [7; 100] && map[&31] == 961);
    numbers.truncate(3);
    numbers.shrink_to_fit();
    assert_eq!(numbers, [0, 1, 2]);
    drop((numbers, boxed, map));
    assert_eq!(live(&pool), 0);
}

#[test]
fn al_93_a_full_pool_is_an_error_and_changes_nothing() {
    let pool = Pool::configure().max_size(1 << 20).build().unwrap();
    let mut bytes = Vec::<u8, PoolAllocator<'_>>::new_in(pool.allocator().unwrap());
    bytes.extend([1, 2, 3]);
    assert!(bytes.try_reserve(8 << 20).is_err());
    assert_eq!(bytes, [1, 2, 3]);
}

#[test]
fn al_93_memory_of_gpus_is_refused() {
    let Ok(gpu) = tenure_rs::CudaMemoryPool::configure().build() else { return };
    assert_eq!(gpu.allocator().unwrap_err().status(), Status::DEVICE);
}

/// Every pair of sizes and alignments, by each of the functions, with its bytes compared.
#[test]
fn al_93_sizes_and_alignments() {
    let pool = Pool::configure().build().unwrap();
    let allocator = pool.allocator().unwrap();
    let layouts: std::vec::Vec<Layout> = [0, 1, 24, 4096, 200_000]
        .into_iter()
        .flat_map(|size| [1, 16, 64, 8192].map(|align| Layout::from_size_align(size, align).unwrap()))
        .collect();
    let fits = |block: NonNull<[u8]>, layout: &Layout| {
        block.len() >= layout.size() && block.cast::<u8>().as_ptr().addr().is_multiple_of(layout.align())
    };
    for old in &layouts {
        for new in &layouts {
            let block = allocator.allocate_zeroed(*old).unwrap();
            assert!(fits(block, old));
            let start = block.cast::<u8>();
            // SAFETY: a live block of that layout; then the one that it becomes.
            unsafe {
                let bytes = std::slice::from_raw_parts_mut(start.as_ptr(), old.size());
                assert!(bytes.iter().all(|&byte| byte == 0));
                bytes.fill(5);
                let grows = new.size() >= old.size();
                let moved = if grows { allocator.grow(start, *old, *new) } else { allocator.shrink(start, *old, *new) };
                let moved = moved.unwrap();
                assert!(fits(moved, new), "{old:?} {new:?}");
                let kept = std::slice::from_raw_parts(moved.cast::<u8>().as_ptr(), old.size().min(new.size()));
                assert!(kept.iter().all(|&byte| byte == 5));
                allocator.deallocate(moved.cast(), *new);
            }
        }
    }
    assert_eq!(live(&pool), 0);
}
