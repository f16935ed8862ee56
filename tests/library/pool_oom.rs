//! Pools when the system has no memory left. In a file of its own: a pool without memory makes other pools trim, which
//! would disturb the exact figures of other tests.

use crate::support::capi::{allocate, clone, elements, pool_of, release, text, zeros};
use std::ptr::NonNull;
use std::sync::Mutex;
use tenure::error::Status;
use tenure::pool::{self, Pool, PoolOptions};
use tenure::sys::os;
use tenure::types::*;
use tenure_harness::test;

const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };

/// Keeps the tests apart, because pools trim each other.
static ALONE: Mutex<()> = Mutex::new(());

/// One of each kind of call.
fn run(pool: &'static Pool, live: &mut Vec<usize>) -> Result<(), Status> {
    let mut keep = |at: NonNull<u8>| live.push(at.as_ptr() as usize);
    keep(pool.allocate(1 << 20, 0, false, 0)?);
    keep(pool.allocate(100, 0, false, 0)?);
    keep(pool.allocate(5000, 0, true, 0)?);
    let at = pool.allocate(1 << 20, 0, false, 0)?;
    let to = pool.reallocate(at.as_ptr() as usize, 3 << 20, 0);
    keep(to.as_ref().map_or(at, |to| to.unwrap()));
    to?;
    // Large enough for huge pages, in the middle; zeros; and grown by moving its pages.
    let at = pool.allocate((9 << 20) + 70_000, 65_536, true, 0)?;
    let to = pool.reallocate(at.as_ptr() as usize, 30 << 20, 0);
    keep(to.as_ref().map_or(at, |to| to.unwrap()));
    to.map(|_| ())
}

/// PO-44, PO-47.
#[test]
fn po_44_47_each_device_call_that_fails_ends_in_a_status() {
    let _alone = ALONE.lock();
    // The thread's record is made before failures are ordered.
    tenure::thread::current();
    let (mut failed, mut mended) = (0, 0);
    for succeed in 0..30 {
        // One call fails, and all from there on.
        for fail in [1, u64::MAX] {
            let mut live = Vec::new();
            os::fail_calls(succeed, fail);
            let made = pool::create(HOST, &PoolOptions { initial_size: 1 << 16, ..PoolOptions::default() });
            let result = made.and_then(|pool| {
                let result = run(pool, &mut live);
                let s = pool.query();
                assert_eq!(s.oom_count > 0, result.is_err());
                assert_eq!(s.reserved_bytes, s.in_use_bytes + s.cached_bytes + s.pending_bytes + s.overhead_bytes);
                assert_eq!(s.live_blocks, live.len() as u64);
                let left = os::fail_calls(0, 0);
                live.iter().for_each(|&at| pool::deallocate(Some(pool), at).unwrap());
                pool.trim(0);
                assert_eq!(pool.query().reserved_bytes, 1 << 16);
                pool.drop_ref();
                // A call that failed once was repeated after memory was returned.
                mended += (result.is_ok() && fail == 1 && left == 0) as u32;
                result
            });
            os::fail_calls(0, 0);
            if let Err(status) = result {
                assert_eq!(status.code(), TN_ERR_NO_HOST_MEMORY);
                failed += 1;
            }
        }
    }
    assert!(failed >= 5 && mended >= 3, "{failed} failed, {mended} mended: the failures were not where the calls are");
}

#[test]
fn po_44_a_pool_that_gets_nothing_has_the_others_give_theirs_back() {
    let _alone = ALONE.lock();
    let make = || pool::create(HOST, &PoolOptions::default()).unwrap();
    let (rich, poor) = (make(), make());
    let at = rich.allocate(8 << 20, 0, false, 0).unwrap().as_ptr() as usize;
    pool::deallocate(None, at).unwrap();
    assert_eq!(rich.query().cached_bytes, 8 << 20);
    let first = poor.allocate(16, 0, false, 0).unwrap().as_ptr() as usize;
    // Bookkeeping is allocated by now: the thread's next two requests to the system are for the block itself.
    os::fail_calls(0, 2);
    let at = poor.allocate(1 << 20, 0, false, 0).unwrap().as_ptr() as usize;
    assert_eq!(os::fail_calls(0, 0), 0);
    assert_eq!((rich.query().cached_bytes, rich.query().trim_count), (0, 1));
    let s = poor.query();
    assert_eq!((s.oom_count, s.device_allocate_count), (0, 4));
    pool::deallocate(None, at).unwrap();
    pool::deallocate(None, first).unwrap();
    rich.drop_ref();
    poor.drop_ref();
}

/// PO-45: a refusal names the limit of the process that explains it.
#[test]
fn po_45_a_limit_of_the_process_is_named() {
    let _alone = ALONE.lock();
    let pool = pool_of(|_| ()).unwrap();
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a limit that lives during the call. Each test is a process of its own.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_DATA, &none) }, 0);
    assert_eq!(allocate(pool, 64 << 20), Err(TN_ERR_NO_HOST_MEMORY));
    let text = text();
    assert!(text.contains("(the process may have 0 bytes of data, see ulimit -d)"), "{text}");
}

/// PO-45: the same where the bookkeeping of handles finds no memory. Nothing changes, and what was made stays good.
#[test]
fn po_45_a_limit_is_named_where_handles_find_no_memory() {
    const STEP: usize = 1 << 20;
    let _alone = ALONE.lock();
    let array = zeros(0, &[4]).unwrap();
    // The handles of guards have memory before.
    assert_eq!(elements(array), [0; 4]);
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let used = pages.split(' ').next().unwrap().parse::<usize>().unwrap() * os::page_bytes();
    let limit = (used + 16 * STEP) as u64;
    let limits = libc::rlimit { rlim_cur: limit, rlim_max: limit };
    // SAFETY: limits that live during the call. Each test is a process of its own.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limits) }, 0);
    let mut clones = Vec::with_capacity(1 << 20);
    let refused = loop {
        match clone(array) {
            Ok(made) if clones.len() < clones.capacity() => clones.push(made),
            Ok(_) => panic!("{} handles fit", clones.len()),
            Err(status) => break status,
        }
    };
    let text = text();
    assert_eq!(refused, TN_ERR_NO_HOST_MEMORY, "{text}");
    assert!(text.contains(&format!("(the process may have {limit} bytes of addresses, see ulimit -v)")), "{text}");
    assert_eq!(elements(array), [0; 4]);
    for made in clones.drain(..) {
        release(made).unwrap();
    }
    release(clone(array).unwrap()).unwrap();
    release(array).unwrap();
}
