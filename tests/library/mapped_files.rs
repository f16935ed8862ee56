//! Files that others replace or truncate while an array has them mapped: `.npy` files and safetensors (IO-1, IO-9,
//! NP-11). A replaced file keeps its old bytes for the array. An access behind the end of a truncated one raises
//! SIGBUS. Calls that touch no such byte still work.

use crate::support;
use std::ffi::{CStr, CString};
use std::fs;
use std::path::PathBuf;
use support::capi::*;
use tenure::ffi::{library, safetensors};
use tenure::types::*;
use tenure_harness::test;

/// So many that they fill several pages.
const ELEMENTS: i64 = 1 << 15;
const MODES: [tn_npy_mode; 3] = [TN_NPY_READ, TN_NPY_COW, TN_NPY_WRITE];

/// A file of the test, by the format that its name ends with: int64 numbers that begin with `first`.
fn file(name: &str, first: i64) -> CString {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let path = CString::new(path.to_str().unwrap()).unwrap();
    let values: Vec<i64> = (first..first + ELEMENTS).collect();
    if name.ends_with(".npy") {
        let array = zeros(0, &[ELEMENTS]).unwrap();
        let guard = write(array, 0).unwrap();
        // SAFETY: an open guard on as many elements.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), guard.data as *mut i64, values.len()) };
        end(guard.id, 0).unwrap();
        save_npy(array, &path).unwrap();
        release(array).unwrap();
    } else {
        let header = format!(r#"{{"a":{{"dtype":"I64","shape":[{ELEMENTS}],"data_offsets":[0,{}]}}}}"#, 8 * ELEMENTS);
        let header = format!("{header:<64}");
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        let head = (header.len() as u64).to_le_bytes().into_iter().chain(header.bytes());
        fs::write(path.to_str().unwrap(), head.chain(bytes).collect::<Vec<u8>>()).unwrap();
    }
    path
}

/// The tensor of a safetensors file, on its mapping.
fn map_tensor(path: &CStr) -> Handle {
    let options = tn_safetensors_options {
        size: size_of::<tn_safetensors_options>(),
        pool: std::ptr::null_mut(),
        flags: TN_REQUIRE_BORROW,
        reserved: 0,
    };
    let (names, mut out, mut how) = ([c"a".as_ptr()], [std::ptr::null_mut()], [0]);
    // SAFETY: texts, and as many outputs as names.
    let status = unsafe {
        let (names, out, how) = (names.as_ptr(), out.as_mut_ptr(), how.as_mut_ptr());
        safetensors::tn_array_open_safetensors(path.as_ptr(), 1, names, &options, out, how)
    };
    assert_eq!((status, how[0]), (TN_OK, TN_ALIASED), "{}", text());
    out[0] as Handle
}

/// All ways to map a file, each with a name.
fn mappings(name: &str) -> Vec<(CString, Handle)> {
    let mut all: Vec<_> = MODES
        .iter()
        .map(|&mode| {
            let path = file(&format!("{name}_{mode}.npy"), 0);
            let array = open_npy(&path, mode, 0).unwrap();
            (path, array)
        })
        .collect();
    let path = file(&format!("{name}.safetensors"), 0);
    let array = map_tensor(&path);
    all.push((path, array));
    all
}

fn holds(array: Handle, first: i64) {
    assert_eq!(elements(array), (first..first + ELEMENTS).collect::<Vec<_>>());
}

#[test]
fn io_1_a_file_that_is_replaced_keeps_its_bytes_for_the_array() {
    for (path, array) in mappings("replaced") {
        let name = path.to_str().unwrap();
        let new = file(if name.ends_with(".npy") { "new.npy" } else { "new.safetensors" }, 7);
        fs::rename(new.to_str().unwrap(), name).unwrap();
        holds(array, 0);
        let second = if name.ends_with(".npy") { open_npy(&path, TN_NPY_READ, 0).unwrap() } else { map_tensor(&path) };
        holds(second, 7);
        // A write to the old file does not reach the new one.
        match fill(array, -1, TN_WRITE_ALIASED) {
            Ok(()) => assert_eq!(elements(array), vec![-1; ELEMENTS as usize]),
            Err(status) => assert_eq!(status, TN_ERR_READONLY),
        }
        holds(second, 7);
        release(second).unwrap();
        fs::remove_file(name).unwrap();
        let copy = copy(array, 0).unwrap();
        release(array).unwrap();
        assert_eq!(elements(copy).len(), ELEMENTS as usize);
        release(copy).unwrap();
    }
    assert_eq!(leak_count(), 0);
}

/// How a child ends that runs `body`, as `waitpid` has it.
fn in_child(body: impl FnOnce()) -> i32 {
    // SAFETY: the child uses the library, and ends without running anything of the parent's.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: no core is written, and the process ends.
        unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) };
        body();
        // SAFETY: as above.
        unsafe { libc::_exit(0) };
    }
    assert!(child > 0, "fork failed");
    let mut status = 0;
    // SAFETY: waits for our own child.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    status
}

/// Truncates each mapped file to its first page.
fn truncated(file_name: &str) {
    // SAFETY: a constant of the system.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64;
    for (path, array) in mappings(file_name) {
        let name = path.to_str().unwrap();
        fs::File::options().write(true).open(name).unwrap().set_len(page).unwrap();
        let guard = read(array, 0).unwrap();
        let at = |i: i64| {
            // SAFETY: inside the guard's bytes; volatile, so that the read happens.
            unsafe { (guard.data as *const i64).add(i as usize).read_volatile() }
        };
        // The first page is there.
        assert_eq!([at(0), at(300)], [0, 300], "{name}");
        // Behind it the access itself, or the library's, raises the signal.
        let uses: [(&str, &dyn Fn()); 3] = [
            ("read", &|| _ = std::hint::black_box(at(ELEMENTS - 1))),
            ("copy", &|| _ = copy(array, 0)),
            ("elements", &|| drop(elements(array))),
        ];
        for (what, body) in uses {
            let status = in_child(body);
            let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
            assert_eq!(signal, Some(libc::SIGBUS), "{what} of {name}: {status:#x}");
        }
        // In this process everything else works.
        let part = slice(array, 0, 300, 1).unwrap();
        assert_eq!(elements(part), (0..300).collect::<Vec<_>>());
        release(part).unwrap();
        end(guard.id, 0).unwrap();
        if name.ends_with(".npy") {
            assert_eq!(open_npy(&path, TN_NPY_COPY, 0), Err(TN_ERR_IO));
            assert_eq!(open_npy(&path, TN_NPY_READ, 0), Err(TN_ERR_IO));
        } else {
            assert_eq!(open_safetensors(&path, &[c"a"], 0, 0), Err(TN_ERR_IO));
        }
        release(array).unwrap();
        fs::remove_file(name).unwrap();
    }
    assert_eq!(leak_count(), 0);
}

#[test]
fn io_9_a_truncated_file_raises_sigbus_behind_its_end() {
    truncated("truncated");
}

/// CK-5: the library's own handler passes the signal on.
#[test]
fn io_9_ck_5_a_truncated_file_raises_sigbus_with_the_option_check_too() {
    // SAFETY: texts.
    assert_eq!(unsafe { library::tn_option_set(c"check".as_ptr(), c"1".as_ptr()) }, TN_OK);
    truncated("truncated_checked");
}
