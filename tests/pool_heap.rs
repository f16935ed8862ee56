//! Pools never allocate from the program's heap, so a preload library may replace it. In a file of its own, for its
//! global allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use tenure::pool::{self, PoolOptions};
use tenure::types::*;

struct Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's obligation.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's obligation.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static HEAP: Counting = Counting;

#[test]
fn no_pool_call_uses_the_heap_also_when_it_fails() {
    let host = tn_device { r#type: TN_CPU, id: 0 };
    tenure::thread::current();
    let before = CALLS.get();
    let options = PoolOptions { max_size: 8 << 20, ..PoolOptions::default() };
    let pool = pool::create(host, &options).unwrap();
    let handle = pool::open(pool).unwrap();
    let mut live = [0usize; 64];
    for round in 0..3000usize {
        let place = &mut live[round * 7 % 64];
        if *place != 0 {
            pool::deallocate(None, *place).unwrap();
            assert!(pool::deallocate(None, *place).is_err());
        }
        *place = match pool.allocate(round * 997 % 300_000, 0, round % 3 == 0, 0) {
            Ok(at) => at.as_ptr() as usize,
            Err(_) => 0,
        };
        if *place != 0 && round % 5 == 0 {
            let to = pool.reallocate(*place, 1 + round * 31 % 400_000, 0);
            *place = to.map_or(*place, |to| to.unwrap().as_ptr() as usize);
        }
        if round % 100 == 0 {
            pool.trim(1 << 20);
            assert!(pool::locate(live[0]).is_some() || live[0] == 0);
            // PO-35, PO-36: queries allocate nothing.
            let mut blocks = 0;
            pool.each_class(|class| blocks += class.live_blocks);
            assert_eq!(blocks, pool.query().live_blocks);
        }
    }
    assert!(pool.query().oom_count > 0, "the limit was met too");
    live.iter().for_each(|&at| pool::deallocate(None, at).unwrap());
    pool::close(handle).unwrap();
    assert_eq!(CALLS.get(), before);
}
