//! Limits on memory that are not the process's own: strict overcommit, and the memory of a control group.
//!
//! The machine's settings stay as they are. A file over the one in /proc, in a mount namespace of the test's own, has the
//! library believe in strict overcommit, and RLIMIT_DATA stands for the commit limit: both count private mappings that
//! may be written.

use crate::support;
use std::ffi::{CString, c_int};
use std::fs;
use std::path::{Path, PathBuf};
use support::pools::*;
use tenure::pool::{self, PoolOptions};
use tenure::sys::{machine, os};
use tenure::types::*;
use tenure_harness::{skip, test};

const MIB: usize = 1 << 20;

/// Has this process read 2 from vm.overcommit_memory. Skips the test where it may mount nothing.
fn pretend_strict_overcommit() {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("overcommit_{}", std::process::id()));
    fs::write(&file, "2\n").unwrap();
    let text = |path: &Path| CString::new(path.to_str().unwrap()).unwrap();
    let (from, to) = (text(&file), c"/proc/sys/vm/overcommit_memory");
    let none = std::ptr::null();
    // SAFETY: texts. What this thread mounts is seen by no other process, and ends with it.
    let is_mounted = unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()) == 0
            && libc::mount(from.as_ptr(), to.as_ptr(), none, libc::MS_BIND, none.cast()) == 0
    };
    let error = std::io::Error::last_os_error();
    fs::remove_file(&file).unwrap();
    if !is_mounted {
        skip(format!("it cannot mount a file over /proc/sys/vm/overcommit_memory: {error}"));
    }
    assert!(!machine::reserves_freely());
}

/// A field of a file in /proc, in bytes.
fn field(file: &str, key: &str) -> usize {
    let text = fs::read_to_string(file).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() << 10
}

/// Bytes of private mappings that may be written.
fn mapped() -> usize {
    field("/proc/self/status", "VmData:")
}

/// PO-45: without a limit of the process, that of the system is named.
#[test]
fn po_45_the_commit_limit_is_named() {
    pretend_strict_overcommit();
    let pool = TestPool::plain();
    let before = pool.get(100);
    os::fail_calls(0, u64::MAX);
    let refused = pool.allocate(64 * MIB, 0, false, 0);
    os::fail_calls(0, 0);
    assert_eq!(code(refused), TN_ERR_NO_HOST_MEMORY);
    let text = text();
    let limit = field("/proc/meminfo", "CommitLimit:");
    assert!(text.contains("(vm.overcommit_memory is 2: ") && text.contains(&format!(" of {limit} bytes")), "{text}");
    pool.give(before);
}

/// PO-72: what is mapped is what is used, up to the limit, and then there is a status.
#[test]
fn po_72_a_pool_under_strict_overcommit_maps_what_it_needs() {
    const ROOM: usize = 64 * MIB;
    pretend_strict_overcommit();
    let pool = TestPool::plain();
    // Bookkeeping is made before the limit is.
    let first = pool.get(MIB);
    let before = mapped();
    let limit = libc::rlimit { rlim_cur: (mapped() + ROOM) as u64, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: a limit that lives during the call. Each test is a process of its own.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_DATA, &limit) }, 0);
    let mut blocks = Vec::with_capacity(1000);
    let refused = loop {
        match pool.allocate(MIB, 0, false, 0) {
            Ok(at) if blocks.len() < blocks.capacity() => blocks.push(at.as_ptr() as usize),
            outcome => break outcome,
        }
        let (grown, used) = (mapped() - before, blocks.len() * MIB);
        assert!(grown <= used + MIB, "{grown} bytes are mapped for {used}");
    };
    assert_eq!(code(refused), TN_ERR_NO_HOST_MEMORY);
    assert!(text().contains("see ulimit -d"));
    assert!(blocks.len() * MIB >= ROOM * 3 / 4, "{} blocks of 1 MiB fit into 64", blocks.len());
    // All of it can be written.
    blocks.iter().for_each(|&at| paint(at, MIB, 7));
    // What was released serves the next request (PO-46).
    pool.give(blocks.pop().unwrap());
    blocks.push(pool.get(MIB));
    blocks.iter().chain([&first]).for_each(|&at| pool.give(at));
}

/// A control group below this process's own, with a limit on its memory.
struct Group(PathBuf);

impl Group {
    /// Skips the test where there is no such group to be had.
    fn new(bytes: usize) -> Group {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let of = |line: &str| -> Option<(PathBuf, &str)> {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let folder = |root: &str| PathBuf::from(format!("{root}{path}"));
            match controllers {
                "" => Some((folder("/sys/fs/cgroup"), "memory.max")),
                _ if controllers.split(',').any(|name| name == "memory") => {
                    Some((folder("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"))
                }
                _ => None,
            }
        };
        let mut why = "this process is in no control group with a limit on memory".to_owned();
        for (parent, limit) in own.lines().filter_map(of) {
            let group = parent.join(format!("tenure-test-{}", std::process::id()));
            if let Err(error) = fs::create_dir(&group) {
                why = format!("{} cannot be made: {error}", group.display());
                continue;
            }
            let group = Group(group);
            match fs::write(group.0.join(limit), bytes.to_string()) {
                Ok(()) => return group,
                Err(error) => why = format!("{limit} cannot be set: {error}"),
            }
        }
        skip(why)
    }

    /// Runs code in a process in the group. Returns how it ended.
    fn run(&self, code: impl FnOnce()) -> c_int {
        // SAFETY: the child runs the code and ends; this process has one thread.
        match unsafe { libc::fork() } {
            0 => {
                let entered = fs::write(self.0.join("cgroup.procs"), std::process::id().to_string());
                let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    entered.unwrap();
                    code();
                }));
                // SAFETY: ends the child without its parent's exit handlers.
                unsafe { libc::_exit(c_int::from(done.is_err())) }
            }
            child => {
                let mut status = 0;
                // SAFETY: a child of this process, and room for its status.
                assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                status
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that was killed may be in it for another moment.
        let gone = (0..200).any(|_| {
            let removed = fs::remove_dir(&self.0).is_ok();
            if !removed {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            removed
        });
        assert!(gone || std::thread::panicking(), "{} stays", self.0.display());
    }
}

/// PO-73: the limit is told, a pool below it gets a status, and gives what it freed to the next request.
#[test]
fn po_73_a_pool_in_a_control_group_is_limited_by_its_max_size() {
    const LIMIT: usize = 96 * MIB;
    let group = Group::new(LIMIT);
    let ended = group.run(|| {
        let memory = machine::memory();
        assert!(memory.total == LIMIT as u64 && memory.free < LIMIT as u64, "{memory:?}");
        let pool = TestPool::new(|options| options.max_size = memory.free / 2);
        let mut blocks = Vec::new();
        let refused = loop {
            match pool.allocate(4 * MIB, 0, false, 0) {
                Ok(at) if blocks.len() < 24 => blocks.push(at.as_ptr() as usize),
                outcome => break outcome,
            }
            paint(*blocks.last().unwrap(), 4 * MIB, 1);
        };
        assert_eq!(code(refused), TN_ERR_POOL_LIMIT);
        assert!(blocks.len() >= 6, "{} blocks", blocks.len());
        blocks.drain(..).for_each(|at| pool.give(at));
        // Three times the group's memory, one block after the other and of other sizes.
        for mib in 1..24 {
            let at = pool.get(mib * MIB);
            paint(at, mib * MIB, 2);
            pool.give(at);
        }
    });
    assert_eq!(ended, 0);
}

/// PO-73: what the kernel does to a pool without a limit, however its pages are touched.
#[test]
fn po_73_beyond_the_memory_of_its_control_group_linux_kills_a_process() {
    const LIMIT: usize = 48 * MIB;
    let group = Group::new(LIMIT);
    let kills = |touch: &dyn Fn()| {
        let ended = group.run(touch);
        libc::WIFSIGNALED(ended) && libc::WTERMSIG(ended) == libc::SIGKILL
    };
    assert!(kills(&|| {
        let pool = TestPool::plain();
        paint(pool.get(2 * LIMIT), 2 * LIMIT, 1);
    }));
    assert!(kills(&|| {
        let options = PoolOptions { flags: TN_POOL_PREFAULT, initial_size: 2 * LIMIT as u64, ..PoolOptions::default() };
        let _ = pool::create(HOST, &options);
    }));
    // Its mappings alone are no use of memory.
    let ended = group.run(|| {
        let pool = TestPool::plain();
        let at = pool.get(2 * LIMIT);
        paint(at, LIMIT / 4, 1);
        pool.give(at);
    });
    assert_eq!(ended, 0);
}
