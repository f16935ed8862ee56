//! The background thread: memory goes back while nobody calls (PH-23). Each test is a process of its own.

use crate::support;
use std::ffi::CStr;
use std::fs::{DirEntry, read_dir, read_to_string};
use std::time::{Duration, Instant};
use support::decay::*;
use support::pools::*;
use tenure::ffi::library::{tn_option_get, tn_option_set};
use tenure::types::*;
use tenure_harness::{again, test};

/// Names the part that a process started by a test plays.
const PART: &str = "TENURE_TEST_PART";

fn set_background(value: &CStr) {
    // SAFETY: two texts.
    assert_eq!(unsafe { tn_option_set(c"background".as_ptr(), value.as_ptr()) }, TN_OK);
}

fn is_background_set() -> bool {
    let (mut text, mut length) = ([0u8; 8], 0);
    // SAFETY: a text, and room for another.
    let status = unsafe { tn_option_get(c"background".as_ptr(), 8, text.as_mut_ptr().cast(), &mut length) };
    assert_eq!((status, length), (TN_OK, 1));
    text[0] == b'1'
}

/// The number of this process's threads with the name of the background thread.
fn background_threads() -> usize {
    let name = |task: std::io::Result<DirEntry>| read_to_string(task.ok()?.path().join("comm")).ok();
    let tasks = read_dir("/proc/self/task").unwrap();
    tasks.filter_map(name).filter(|name| name.trim_end() == "tenure-memory").count()
}

/// Waits until there are so many. The thread names itself, some time after it was started.
fn wait_for_background_threads(count: usize) {
    let start = Instant::now();
    while background_threads() != count {
        assert!(start.elapsed() < Duration::from_secs(60), "there are {}", background_threads());
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn ph_23_memory_goes_back_while_nobody_calls() {
    assert!(!is_background_set() && background_threads() == 0);
    let (first, second) = (TestPool::plain(), TestPool::plain());
    set_background(c"1");
    set_background(c"1");
    rise_and_fall(&first, 16);
    rise_and_fall(&second, 12);
    // Neither an allocation nor a free: statistics give nothing back.
    calls_until(&first, MAY_STAY, || ());
    calls_until(&second, MAY_STAY, || ());
    assert!(first.stats().reserved_bytes >= MAY_STAY - 4 * MIB, "no more than has to go back does");
    assert_eq!(background_threads(), 1);
    set_background(c"0");
    wait_for_background_threads(0);
    // Off and on again at once: there is one thread, the old one or a new one.
    for _ in 0..100 {
        set_background(c"1");
        set_background(c"0");
    }
    set_background(c"1");
    rise_and_fall(&first, 16);
    calls_until(&first, MAY_STAY, || ());
    wait_for_background_threads(1);
}

#[test]
fn ph_23_the_variable_sets_the_option() {
    if std::env::var_os(PART).is_some() {
        wait_for_background_threads(is_background_set().into());
        println!("set {}", is_background_set());
        return;
    }
    for (value, set) in [("1", true), ("on", true), ("true", true), ("0", false), ("", false), ("2", false)] {
        let mut part = again("ph_23_the_variable_sets_the_option");
        let output = part.env(PART, "1").env("TENURE_BACKGROUND", value).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(&format!("set {set}")), "{value:?}: {text}");
    }
}

#[test]
fn ph_23_the_child_of_a_fork_has_no_background_thread() {
    if std::env::var_os(PART).is_some() {
        set_background(c"1");
        wait_for_background_threads(1);
        // SAFETY: the child calls the library and functions that it needs itself.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let quiet = !is_background_set() && background_threads() == 0;
            set_background(c"1");
            wait_for_background_threads(1);
            println!("quiet {quiet}");
            // SAFETY: ends the process.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: waits for the child.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        println!("parent {}", is_background_set() && background_threads() == 1);
        return;
    }
    let output = again("ph_23_the_child_of_a_fork_has_no_background_thread").env(PART, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("quiet true") && text.contains("parent true"), "{text}");
}

/// PH-23, CO-1: without a thread the option is a status that says which limits there are, and stays off.
#[test]
fn ph_23_the_system_refuses_a_thread() {
    // No limit of processes holds for root.
    const NOBODY: libc::uid_t = 65_533;
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: numbers, and a limit that lives during the call. This process has one thread, and ends with the test.
    unsafe {
        if libc::getuid() == 0 {
            assert_eq!(libc::setresuid(NOBODY, NOBODY, NOBODY), 0);
        }
        assert_eq!(libc::setrlimit(libc::RLIMIT_NPROC, &none), 0);
    }
    for name in [c"background", c"listen"] {
        // SAFETY: two texts.
        assert_eq!(unsafe { tn_option_set(name.as_ptr(), c"1".as_ptr()) }, TN_ERR_NO_HOST_MEMORY);
        let text = support::capi::text();
        assert!(text.contains("started no thread") && text.contains("ulimit -u"), "{text}");
    }
    assert!(!is_background_set());
}
