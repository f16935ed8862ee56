//! `tenure::PoolAllocator` as a program's heap: this test program itself uses it. The library never calls it while it
//! is inside a call, because the pool's bookkeeping needs no heap. In a file of its own, for its global allocator.

mod support {
    pub mod pools;
}

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use tenure::PoolAllocator;
use tenure::pool::{self, Client};
use tenure::types::*;
use tenure_harness::test;

fn main() -> std::process::ExitCode {
    tenure_harness::main()
}

/// Wraps the pool's allocator and counts the heap allocations that happen during one of its calls.
struct Watched;

static NESTED: AtomicU64 = AtomicU64::new(0);
static CALLS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

fn watch<R>(call: impl FnOnce() -> R) -> R {
    CALLS.fetch_add(1, Ordering::Relaxed);
    if INSIDE.replace(true) {
        NESTED.fetch_add(1, Ordering::Relaxed);
    }
    let result = call();
    INSIDE.set(false);
    result
}

// SAFETY: every call is passed on; counting allocates nothing.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's obligation.
        watch(|| unsafe { PoolAllocator.alloc(layout) })
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's obligation.
        watch(|| unsafe { PoolAllocator.alloc_zeroed(layout) })
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller's obligation.
        watch(|| unsafe { PoolAllocator.realloc(at, layout, bytes) })
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's obligation.
        watch(|| unsafe { PoolAllocator.dealloc(at, layout) })
    }
}

#[global_allocator]
static HEAP: Watched = Watched;

/// The statistics are per process: one test at a time.
static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn turn() -> std::sync::MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };

fn rust() -> tn_pool_client {
    let mut found = None;
    pool::default(HOST).unwrap().each_client(|client| {
        if client.client == TN_CLIENT_RUST {
            found = Some(client);
        }
    });
    found.expect("this program runs on it")
}

/// Collections, threads that come and go, failures: AL-1, AL-6, PO-61.
#[test]
fn al_1_a_program_runs_on_the_pool_and_no_call_meets_itself() {
    let _turn = turn();
    let text = "kept by the pool".to_owned();
    let block = pool::locate(text.as_ptr() as usize).expect("a block of the pool");
    assert_eq!((block.client, block.requested), (Client::RUST, text.len()));

    let mut map = std::collections::HashMap::new();
    for i in 0..20_000u64 {
        map.insert(i, vec![i as u8; (i % 700) as usize]);
        if i % 3 == 0 {
            map.remove(&(i / 2));
        }
    }
    assert!(map.iter().all(|(&i, v)| v.iter().all(|&b| b == i as u8)));
    let mut grown: Vec<u64> = Vec::new();
    (0..300_000).for_each(|i| grown.push(i));
    assert!(grown.iter().copied().eq(0..300_000));
    grown.truncate(10);
    grown.shrink_to_fit();
    assert_eq!(grown[9], 9);
    assert!(vec![0u8; 5 << 20].iter().all(|&b| b == 0));
    drop((map, grown));

    let threads: Vec<_> = (0..8)
        .map(|n| {
            std::thread::spawn(move || {
                let mut kept: Vec<String> = (0..2000).map(|i| format!("{n} {i}")).collect();
                kept.sort();
                kept
            })
        })
        .collect();
    // Freed on another thread than the allocating one.
    let all: usize = threads.into_iter().map(|thread| thread.join().unwrap().len()).sum();
    assert_eq!(all, 16_000);

    assert!(Vec::<u8>::new().try_reserve_exact(usize::MAX >> 1).is_err());
    assert!(CALLS.load(Ordering::Relaxed) > 50_000);
    assert_eq!(NESTED.load(Ordering::Relaxed), 0, "calls that met themselves");
    let client = rust();
    assert!(client.failure_count >= 1 && client.misuse_count == 0 && client.mismatch_count == 0, "{client:?}");
    assert!(client.allocation_count > 20_000 && client.peak_bytes >= 5 << 20);
}

/// AL-5: requested alignments, kept by reallocation.
#[test]
fn al_5_alignments_are_kept() {
    let _turn = turn();
    for shift in 0..=22 {
        let layout = Layout::from_size_align(100, 1 << shift).unwrap();
        // SAFETY: of 100 bytes; each block is freed once, with its layout.
        unsafe {
            let at = PoolAllocator.alloc(layout);
            assert!(!at.is_null() && (at as usize).is_multiple_of(1 << shift));
            at.write_bytes(3, 100);
            let at = PoolAllocator.realloc(at, layout, 200_000);
            assert!(!at.is_null() && (at as usize).is_multiple_of(1 << shift) && at.add(99).read() == 3);
            PoolAllocator.dealloc(at, Layout::from_size_align(200_000, 1 << shift).unwrap());
        }
    }
    let more = Layout::from_size_align(8, 8 << 20).unwrap();
    // SAFETY: not of size 0.
    assert!(unsafe { PoolAllocator.alloc(more) }.is_null());
}

/// A thread's last calls come after its own record is gone; memory does not grow with the number of threads.
#[test]
fn threads_that_end_leave_nothing() {
    struct Late(Option<Box<[u8; 333]>>);
    impl Drop for Late {
        fn drop(&mut self) {
            // A thread-local's destructor that frees and allocates.
            drop(self.0.take());
            assert_eq!(vec![1u8; 100].len(), 100);
        }
    }
    thread_local! {
        static LATE: Cell<Late> = const { Cell::new(Late(None)) };
    }
    let _turn = turn();
    let _turn = support::pools::one_at_a_time();
    let run = |threads: usize| {
        for _ in 0..threads {
            let body = || LATE.set(Late(Some(Box::new([1; 333]))));
            std::thread::spawn(body).join().unwrap();
        }
    };
    run(20);
    // The measurement needs memory as well, which the first one maps.
    mapped_bytes();
    let (mapped, live) = (mapped_bytes(), rust().live_blocks);
    run(500);
    let (more, left) = (mapped_bytes() - mapped, rust().live_blocks as i64 - live as i64);
    assert!(left < 200, "{left} blocks for 500 threads");
    assert!(more < 400 << 10, "{more} bytes of mappings for 500 threads");
}

/// Bytes of the process's anonymous mappings.
fn mapped_bytes() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmData:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap() << 10
}
