//! Fuzz entries of files: `.npy` and safetensors, as a file in memory.

use super::{info_of, release, sound, text};
use std::ffi::{CStr, CString};
use std::ptr::{null, null_mut};
use tenure::ffi::{array, borrow, safetensors as tensors};
use tenure::types::*;

/// A file in memory with these bytes.
struct Memory(libc::c_int);

impl Memory {
    fn new(bytes: &[u8]) -> Memory {
        // SAFETY: a terminated name.
        let fd = unsafe { libc::memfd_create(c"fuzz".as_ptr(), libc::MFD_CLOEXEC) };
        assert!(fd >= 0, "no file in memory");
        // SAFETY: the bytes are readable; the descriptor is ours.
        let written = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
        assert_eq!(written, bytes.len() as isize);
        Memory(fd)
    }

    fn path(&self) -> CString {
        CString::new(format!("/proc/self/fd/{}", self.0)).expect("no NUL in it")
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: ours, closed once.
        unsafe { libc::close(self.0) };
    }
}

/// Reads every byte of an array, which must not have more bytes than the file.
fn touch(handle: *mut tn_array, file: usize) -> u64 {
    let info = info_of(handle);
    assert!(info.bytes <= file as u64, "{} bytes of a file of {file}", info.bytes);
    let (mut data, mut guard) = (null(), null_mut());
    // SAFETY: writable outputs.
    let status = unsafe { borrow::tn_array_borrow_read(handle, 0, null_mut(), &mut data, null_mut(), &mut guard) };
    assert_eq!(sound(status), TN_OK);
    // Contiguous in C or F order, as all arrays from files.
    let sum = (0..info.bytes as usize).map(|at| {
        // SAFETY: within the array's bytes, which the guard keeps.
        u64::from(unsafe { data.cast::<u8>().add(at).read_volatile() })
    });
    let sum = sum.sum();
    assert_eq!(sound(borrow::tn_borrow_end(guard, 0, null_mut())), TN_OK);
    sum
}

/// Opens the bytes as a `.npy` file in all modes.
pub fn npy(bytes: &[u8]) {
    let file = Memory::new(bytes);
    for mode in [TN_NPY_READ, TN_NPY_COW, TN_NPY_WRITE, TN_NPY_COPY] {
        let options = tn_npy_options {
            size: size_of::<tn_npy_options>(),
            mode,
            fd: file.0,
            pool: null_mut(),
            max_header_bytes: 0,
        };
        let mut out = null_mut();
        // SAFETY: a struct of its size, a writable output.
        if sound(unsafe { array::tn_array_open_npy(null(), &options, &mut out) }) == TN_OK {
            touch(out, bytes.len());
            release(out);
        } else {
            assert!(out.is_null());
        }
        // From each of the first bytes on, which the data at the start of a file choose.
        let (offset, mut end) = (bytes.first().map_or(0, |first| u64::from(first % 32)), u64::MAX);
        out = null_mut();
        // SAFETY: a struct of its size, writable outputs.
        if sound(unsafe { array::tn_array_open_npy_fd(file.0, offset, &options, &mut end, &mut out) }) == TN_OK {
            assert!(end <= bytes.len() as u64);
            touch(out, bytes.len());
            release(out);
        } else {
            assert!(out.is_null() && end == u64::MAX);
        }
    }
}

/// Opens the bytes as a safetensors file: lists its tensors, maps and reads all.
pub fn safetensors(bytes: &[u8]) {
    const MOST: usize = 64;
    let file = Memory::new(bytes);
    let path = file.path();
    let mut infos = Vec::<tn_safetensors_info>::with_capacity(MOST);
    let mut count = usize::MAX;
    // SAFETY: an output of that capacity, a writable count.
    let status = unsafe {
        tensors::tn_safetensors_query(
            path.as_ptr(),
            size_of::<tn_safetensors_info>(),
            MOST,
            infos.as_mut_ptr(),
            &mut count,
        )
    };
    if sound(status) != TN_OK {
        assert_eq!(count, usize::MAX);
        return;
    }
    // SAFETY: this many items were written.
    unsafe { infos.set_len(count.min(MOST)) };
    let all: u64 = infos.iter().map(|info| info.bytes).sum();
    assert!(all <= bytes.len() as u64);
    // SAFETY: the library ends names with a NUL.
    let name = |info: &tn_safetensors_info| unsafe { CStr::from_ptr(info.name.as_ptr()) }.to_owned();
    // A name that is cut, or that contains a NUL, opens the only tensor that is listed so. Element types that no array
    // can have are 0.
    let opens = infos.iter().filter(|info| {
        let listed = name(info);
        let only = count <= MOST && infos.iter().filter(|other| name(other) == listed).count() == 1;
        info.dtype != 0 && (listed.count_bytes() as u64 == info.name_bytes || only)
    });
    let names: Vec<_> = opens.map(|info| info.name.as_ptr()).collect();
    for flags in [TN_BORROW, TN_REQUIRE_BORROW, 0] {
        let size = size_of::<tn_safetensors_options>();
        let options = tn_safetensors_options { size, pool: null_mut(), flags, reserved: 0 };
        let mut out = vec![null_mut(); names.len()];
        let mut how = vec![0; names.len()];
        // SAFETY: C strings, and as many outputs as names.
        let status = unsafe {
            tensors::tn_array_open_safetensors(
                path.as_ptr(),
                names.len(),
                names.as_ptr(),
                &options,
                out.as_mut_ptr(),
                how.as_mut_ptr(),
            )
        };
        if sound(status) == TN_OK {
            for (handle, how) in out.into_iter().zip(how) {
                assert!(how == TN_ALIASED || how == TN_COPIED && flags != TN_REQUIRE_BORROW);
                touch(handle, bytes.len());
                release(handle);
            }
        } else {
            assert!(status == TN_ERR_WOULD_COPY, "a file that can be listed can be opened: {}", text());
            assert!(out.into_iter().all(|handle| handle.is_null()) && how.into_iter().all(|how| how == 0));
        }
    }
}

/// Headers of all versions with some dictionaries.
pub(crate) fn npy_seeds() -> Vec<Vec<u8>> {
    let dicts = [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }",
        "{'descr': '|b1', 'fortran_order': True, 'shape': (2, 3), }",
        "{'descr': '>c16', 'fortran_order': False, 'shape': (), }",
        "{'shape': (0, 4L), 'descr': u\"<i2\", 'fortran_order': False}",
        "{'descr': [('a', '<i4'), ('b', '|S3', (2,))], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': ((((((((((((((((",
        "{'descr': '",
        "{",
    ];
    let mut seeds = Vec::new();
    for (number, dict) in dicts.into_iter().enumerate() {
        let major = 1 + (number % 3) as u8;
        let prefix = if major == 1 { 10 } else { 12 };
        let padding = (64 - (prefix + dict.len() + 1) % 64) % 64;
        let text = format!("{dict}{:padding$}\n", "");
        let mut file = b"\x93NUMPY".to_vec();
        file.extend([major, 0]);
        match major {
            1 => file.extend((text.len() as u16).to_le_bytes()),
            _ => file.extend((text.len() as u32).to_le_bytes()),
        }
        file.extend(text.bytes());
        file.extend((0..48).map(|byte| byte as u8));
        seeds.push(file);
    }
    seeds
}

/// Valid and invalid headers, with as many data bytes as the valid ones need.
pub(crate) fn safetensors_seeds() -> Vec<Vec<u8>> {
    // A name that is cut in a list.
    let long = format!(r#"{{"{}":{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}}}"#, "\u{e4}".repeat(150));
    let headers = [
        ("{}", 0),
        (r#"{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}"#, 24),
        (
            r#"{"__metadata__":{"k":"v"},"b":{"dtype":"I64","shape":[],"data_offsets":[1,9]},"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}   "#,
            9,
        ),
        (r#"{"\u00e4\n\ud83d\ude00":{"data_offsets":[0,0],"shape":[0,7],"dtype":"BF16"}}"#, 0),
        (r#"{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}"#, 1),
        (r#"{"a":{"dtype":"U8","shape":[18446744073709551615,2],"data_offsets":[0,1]}}"#, 1),
        (
            r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#,
            2,
        ),
        (r#"{"a":[[[[[[[[[[[[[[[["#, 0),
        (r#"{"a":{"dtype":"U8","shape":["#, 0),
        (
            r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a\u0000b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#,
            2,
        ),
        (&long, 1),
    ];
    let file =
        |(text, data): (&str, usize)| [&(text.len() as u64).to_le_bytes(), text.as_bytes(), &vec![7; data]].concat();
    headers.into_iter().map(file).collect()
}
