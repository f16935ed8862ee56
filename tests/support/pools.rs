//! Helpers of the tests of pools.
#![allow(dead_code)] // each file uses some of it

use std::fs::File;
use std::path::Path;
use tenure::error::Status;
use tenure::pool::{self, Pool, PoolOptions};
use tenure::types::*;

pub const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };
pub const GRANULE: u64 = 65536;

/// A pool of a test, in which nothing may be left at the end.
pub struct TestPool(pub &'static Pool);

impl TestPool {
    pub fn new(change: impl FnOnce(&mut PoolOptions)) -> TestPool {
        let mut options = PoolOptions::default();
        change(&mut options);
        TestPool(pool::create(HOST, &options).unwrap())
    }
    pub fn plain() -> TestPool {
        TestPool::new(|_| ())
    }
    pub fn get(&self, bytes: usize) -> usize {
        self.0.allocate(bytes, 0, false, 0).unwrap().as_ptr() as usize
    }
    pub fn get_at(&self, bytes: usize, alignment: usize) -> usize {
        self.0.allocate(bytes, alignment, false, 0).unwrap().as_ptr() as usize
    }
    pub fn give(&self, address: usize) {
        pool::deallocate(Some(self.0), address).unwrap();
    }
    pub fn stats(&self) -> tn_pool_stats {
        checked(self.0)
    }
}

impl std::ops::Deref for TestPool {
    type Target = &'static Pool;
    fn deref(&self) -> &&'static Pool {
        &self.0
    }
}

impl Drop for TestPool {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(checked(self.0).live_blocks, 0, "a test left blocks");
        }
        self.0.drop_ref();
    }
}

/// The statistics, after their identities were checked.
pub fn checked(pool: &Pool) -> tn_pool_stats {
    let s = pool.query();
    assert_eq!(s.reserved_bytes, s.in_use_bytes + s.cached_bytes + s.pending_bytes + s.overhead_bytes);
    assert_eq!(s.live_blocks, s.allocation_count - s.deallocation_count);
    assert!(s.address_bytes >= s.reserved_bytes && s.requested_bytes <= s.in_use_bytes);
    assert!(s.peak_reserved_bytes >= s.reserved_bytes && s.peak_in_use_bytes >= s.in_use_bytes);
    assert!(s.limit_bytes == 0 || s.peak_reserved_bytes <= s.limit_bytes);
    s
}

pub fn code<T>(result: Result<T, Status>) -> tn_status {
    result.err().map_or(TN_OK, Status::code)
}

pub fn text() -> String {
    // Messages are published at the boundary only; the draft is the message of a failing call.
    tenure::error::publish("t");
    // SAFETY: a NUL-terminated text of this thread.
    unsafe { std::ffi::CStr::from_ptr(tenure::error::published()) }.to_str().unwrap().to_owned()
}

/// Writes all bytes of a block.
pub fn paint(address: usize, bytes: usize, value: u8) {
    // SAFETY: the tests pass live blocks of theirs only.
    unsafe { (address as *mut u8).write_bytes(value, bytes) };
}

pub fn is_painted(address: usize, bytes: usize, value: u8) -> bool {
    // SAFETY: as in `paint`.
    let all = unsafe { std::slice::from_raw_parts(address as *const u8, bytes) };
    // The first byte is right and each equals the one before it: a memory comparison, which is fast also without
    // optimisation.
    all.first().is_none_or(|&first| first == value) && all.get(1..).is_none_or(|rest| rest == &all[..bytes - 1])
}

pub fn is_mapped(address: usize) -> bool {
    let mut out = 0u8;
    // SAFETY: queries a page and reads none of it.
    unsafe { libc::mincore(address as *mut _, 1, &mut out) == 0 }
}

/// Anonymous memory of the process in bytes, resident or swapped out. Read from the page tables: the counters in
/// `statm` lag by some pages per processor, and include the program's code.
pub fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").expect("Linux 4.14 has it");
    let kib = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap()
    };
    (kib("Anonymous:") + kib("Swap:")) << 10
}

/// The lock of a test that needs much memory.
pub struct Turn(#[expect(dead_code, reason = "the lock goes with the file")] File);

/// Waits until no other test, also of other programs, holds the lock. The file lock ends with the process.
pub fn one_at_a_time() -> Turn {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("one-at-a-time");
    let file = File::create(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    file.lock().unwrap();
    Turn(file)
}

/// A block, its size, and the byte that fills it.
pub type Parcel = (usize, usize, u8);

/// Other threads would wait forever for one that failed, so the process ends here.
pub struct Ends;

impl Drop for Ends {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::exit(101);
        }
    }
}
