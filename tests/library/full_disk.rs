//! A full disk: a file system of 1 MiB, in a mount namespace of the test's own. Each call that writes a file gets a
//! status whose message names the file and the reason. What was there before stays, and an event log drops events.

use crate::support;
use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use support::capi::*;
use tenure::ffi::report;
use tenure::types::*;
use tenure_harness::{skip, test};

/// Bytes of the file system.
const DISK: u64 = 1 << 20;

/// An empty file system. Skips the test where the process may not mount one.
fn disk() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("full_disk_{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = c(&folder);
    let options = CString::new(format!("size={DISK}")).unwrap();
    let (tmpfs, none) = (c"tmpfs".as_ptr(), std::ptr::null());
    // SAFETY: texts. What this thread mounts is seen by no other process, and ends with it.
    let is_mounted = unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()) == 0
            && libc::mount(tmpfs, path.as_ptr(), tmpfs, 0, options.as_ptr().cast()) == 0
    };
    if !is_mounted {
        let _ = fs::remove_dir(&folder);
        skip(format!("it cannot mount a small file system: {}", std::io::Error::last_os_error()));
    }
    folder
}

fn c(path: &Path) -> CString {
    CString::new(path.to_str().unwrap()).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Bytes that the disk still has room for.
fn room(folder: &Path) -> u64 {
    let used: u64 = names(folder).iter().map(|name| fs::metadata(folder.join(name)).unwrap().blocks() * 512).sum();
    DISK - used
}

/// Leaves room for so many bytes.
fn fill(folder: &Path, left: u64) {
    let bytes = room(folder) - left;
    fs::write(folder.join("filler"), vec![1; bytes as usize]).unwrap();
}

/// The call fails, and its message names the file and the reason.
fn is_refused(done: Done, path: &CStr) {
    let text = text();
    assert_eq!(done, Err(TN_ERR_IO), "{text}");
    assert!(text.contains(path.to_str().unwrap()) && text.contains("No space left on device"), "{text}");
}

fn log_start(path: Option<&CStr>) -> Done {
    let path = path.map_or(std::ptr::null(), CStr::as_ptr);
    let options = tn_log_options { size: size_of::<tn_log_options>(), kinds: 0, reserved: 0, path, capacity: 0 };
    // SAFETY: a struct of its size, and a text.
    done(|| unsafe { report::tn_log_start(&options) })
}

fn log_stop() {
    done(|| report::tn_log_stop()).unwrap();
}

fn record(events: usize) {
    for _ in 0..events / 2 {
        deallocate(allocate(0, 100).unwrap()).unwrap();
    }
}

/// IO-11, PO-66, EV-4: each writes a new file beside the old one.
#[test]
fn io_11_a_full_disk_changes_no_file() {
    let folder = disk();
    let (small, large) = (numbers(0, &[1 << 14]), zeros(0, &[1 << 18]).unwrap());
    let path = |name: &str| c(&folder.join(name));
    save_npy(small, &path("old.npy")).unwrap();
    let before = fs::read(folder.join("old.npy")).unwrap();
    let all = room(&folder);
    is_refused(save_npy(large, &path("old.npy")), &path("old.npy"));
    is_refused(save_npy(large, &path("new.npy")), &path("new.npy"));
    assert_eq!((names(&folder), room(&folder)), (vec!["old.npy".to_string()], all));

    fill(&folder, 0);
    let after = names(&folder);
    let (page, log) = (path("page.html"), path("memory.events"));
    // SAFETY: texts.
    is_refused(done(|| unsafe { report::tn_report_html(0, page.as_ptr()) }), &page);
    log_start(None).unwrap();
    record(100);
    // SAFETY: a text.
    is_refused(done(|| unsafe { report::tn_log_save(log.as_ptr()) }), &log);
    log_stop();
    assert_eq!((names(&folder), room(&folder)), (after, 0));

    // A file that is mapped for writing has its blocks, so a full disk is no matter.
    let mapped = open_npy(&path("old.npy"), TN_NPY_WRITE, 0).unwrap();
    assert_eq!(elements(mapped), (0..1 << 14).collect::<Vec<i64>>());
    support::capi::fill(mapped, -1, 0).unwrap();
    release(mapped).unwrap();
    let written = fs::read(folder.join("old.npy")).unwrap();
    assert!(written.len() == before.len() && written.ends_with(&[0xff; 8]) && written != before);
    for array in [small, large] {
        release(array).unwrap();
    }
}

/// EV-22
#[test]
fn ev_22_a_full_disk_drops_events() {
    let folder = disk();
    let path = c(&folder.join("a.events"));
    fill(&folder, 0);
    is_refused(log_start(Some(&path)), &path);
    assert_eq!(names(&folder), ["filler"]);
    fs::remove_file(folder.join("filler")).unwrap();
    fill(&folder, 300 << 10);
    log_start(Some(&path)).unwrap();
    record(100_000);
    // What did not fit in whole is free for others.
    assert!(room(&folder) >= 32 << 10, "{} bytes are left", room(&folder));
    // SAFETY: plain data.
    let mut stats: tn_log_stats = unsafe { std::mem::zeroed() };
    stats.size = size_of::<tn_log_stats>();
    // SAFETY: a struct of its size.
    done(|| unsafe { report::tn_log_query(&mut stats) }).unwrap();
    assert!(stats.dropped > 90_000 && stats.events > 1000, "{} dropped, {} kept", stats.dropped, stats.events);
    assert!(stats.dropped + stats.events >= 100_000);
    log_stop();
    assert_eq!(names(&folder), ["a.events", "filler"]);
}

/// SP-7: what cannot be written stays in memory, what is in files comes back in exchange for it.
#[test]
fn sp_7_a_full_disk_keeps_arrays_in_memory() {
    const BYTES: i64 = 128 << 10;
    let folder = disk();
    let path = c(&folder);
    let pool = pool_of(|options| options.max_size = 4 * BYTES as u64).unwrap();
    let spill = tn_spill_options {
        size: size_of::<tn_spill_options>(),
        folder: path.as_ptr(),
        max_bytes: 0,
        min_array_bytes: 0,
    };
    // SAFETY: a struct of its size with a text.
    done(|| unsafe { tenure::ffi::pool::tn_pool_set_spill(pool as *mut tn_pool, &spill) }).unwrap();
    let mut arrays = Vec::new();
    let refused = loop {
        match full(pool, &[BYTES / 8], arrays.len() as i64) {
            Ok(array) => arrays.push(array),
            Err(status) => break status,
        }
    };
    assert_eq!(refused, TN_ERR_POOL_LIMIT);
    assert!(text().contains("nothing more can be spilled: No space left on device"), "{}", text());
    let spilled = stats(pool).spilled_bytes;
    assert!((DISK / 2..=DISK).contains(&spilled) && arrays.len() >= 8, "{spilled} {}", arrays.len());
    assert!(names(&folder).is_empty());
    for _ in 0..2 {
        for (value, array) in arrays.iter().enumerate() {
            assert_eq!(elements(*array), vec![value as i64; BYTES as usize / 8]);
        }
        let now = stats(pool);
        assert!(now.reserved_bytes - now.spilled_bytes <= 4 * BYTES as u64);
    }
    for array in arrays {
        release(array).unwrap();
    }
    pool_release(pool).unwrap();
}
