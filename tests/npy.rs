//! `.npy` files: IO-1 to IO-11, NP-1. The parser's own tests cover headers; the Python package's tests cover files that
//! NumPy wrote.

mod support {
    pub mod random;
}

use std::alloc::{GlobalAlloc, Layout as Request, System};
use std::cell::Cell;
use std::ffi::{CStr, CString, c_int};
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use support::random::Random;
use tenure::blit::HostView;
use tenure::dtype::Dtype;
use tenure::error;
use tenure::exchange::npy::{self, Head, Opened, Origin};
use tenure::layout::{Layout, Order};
use tenure::types::*;
use tenure_harness::{skip, test};

fn main() -> std::process::ExitCode {
    tenure_harness::main()
}

thread_local! {
    /// Bytes that this thread may still allocate.
    static ALLOWANCE: Cell<usize> = const { Cell::new(usize::MAX) };
}

struct Rationed;

// SAFETY: passes on to the system's allocator, or fails.
unsafe impl GlobalAlloc for Rationed {
    unsafe fn alloc(&self, request: Request) -> *mut u8 {
        let Some(left) = ALLOWANCE.get().checked_sub(request.size()) else { return core::ptr::null_mut() };
        if ALLOWANCE.get() != usize::MAX {
            ALLOWANCE.set(left);
        }
        // SAFETY: the caller's obligation.
        unsafe { System.alloc(request) }
    }
    unsafe fn dealloc(&self, address: *mut u8, request: Request) {
        // SAFETY: the caller's obligation.
        unsafe { System.dealloc(address, request) }
    }
}

#[global_allocator]
static ALLOCATOR: Rationed = Rationed;

/// Runs `body` while this thread may allocate at most `bytes` bytes in all.
fn rationed<T>(bytes: usize, body: impl FnOnce() -> T) -> T {
    ALLOWANCE.set(bytes);
    let result = body();
    ALLOWANCE.set(usize::MAX);
    result
}

/// A folder of the test's own, removed at its end. By then no file in it may be open or mapped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("npy-{}-{number}", std::process::id()));
        // An earlier process with this number may have been killed and left the folder.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
    fn write(&self, name: &str, bytes: &[u8]) -> CString {
        fs::write(self.path(name), bytes).unwrap();
        self.c(name)
    }
    fn c(&self, name: &str) -> CString {
        CString::new(self.path(name).to_str().unwrap()).unwrap()
    }
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
    /// Checks that this process has no descriptor or mapping of a file in the folder.
    fn assert_closed(&self) {
        let inside = &format!("{}/", self.0.display());
        for entry in fs::read_dir("/proc/self/fd").unwrap() {
            let open = fs::read_link(entry.unwrap().path()).unwrap_or_default();
            assert!(!open.to_string_lossy().contains(inside), "still open: {}", open.display());
        }
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        assert!(!maps.contains(inside), "still mapped");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.assert_closed();
        }
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open(path: &CStr, mode: u32) -> error::Result<Opened<'_>> {
    npy::open(Origin::Path(path), mode, 0)
}

/// The status, and the message as the boundary would publish it.
fn refusal<T>(result: error::Result<T>) -> (tn_status, String) {
    let Err(status) = result else { return (TN_OK, String::new()) };
    error::publish("tn_array_open_npy");
    // SAFETY: NUL-terminated, valid until this thread's next failure.
    (status.code(), unsafe { CStr::from_ptr(error::published()) }.to_str().unwrap().to_owned())
}

/// The bytes of the data, copied.
fn contents(opened: &Opened) -> Vec<u8> {
    let mut bytes = vec![0xEE; opened.header().data_bytes as usize];
    // SAFETY: as long as the data.
    unsafe { opened.read_into(bytes.as_mut_ptr()) }.unwrap();
    bytes
}

/// The bytes of the data as they are mapped.
fn mapped(opened: &Opened) -> Vec<u8> {
    let Some(data) = opened.data() else { return Vec::new() };
    // SAFETY: this many bytes are mapped there.
    (0..opened.header().data_bytes as usize).map(|at| unsafe { data.add(at).read() }).collect()
}

/// A file with these data, written by the library.
fn file(raw: u32, order: Order, shape: &[i64], data: &[u8]) -> Vec<u8> {
    [Head::new(Dtype::of(raw).unwrap(), order, shape).unwrap().as_bytes(), data].concat()
}

/// A file with this text as its header; the data follow directly.
fn framed(text: &str, data: &[u8]) -> Vec<u8> {
    [&b"\x93NUMPY\x01\x00"[..], &(text.len() as u16).to_le_bytes(), text.as_bytes(), data].concat()
}

fn save(path: &CStr, place: &HostView, flags: u32) -> tn_status {
    npy::save_view(path, place, flags).map_or_else(|status| status.code(), |()| TN_OK)
}

fn host_view(layout: &Layout) -> HostView<'_> {
    // SAFETY: every layout in this file lies inside a live vector or mapping of its test.
    unsafe { HostView::new(layout) }
}

fn dense(raw: u32, shape: &[i64], bytes: &[u8]) -> Layout {
    Layout::contiguous(Dtype::of(raw).unwrap(), shape, Order::C, bytes.as_ptr().expose_provenance() as i64).unwrap()
}

#[test]
fn io_1_a_mapping_outlives_descriptor_and_name() {
    let folder = Folder::new();
    let data: Vec<u8> = (0..48).collect();
    let path = folder.write("a.npy", &file(TN_F64, Order::C, &[2, 3], &data));
    let opened = open(&path, TN_NPY_READ).unwrap();
    assert_eq!(mapped(&opened), data);
    assert_eq!(opened.data().unwrap() as usize % 64, 0);
    fs::rename(folder.path("a.npy"), folder.path("b.npy")).unwrap();
    fs::remove_file(folder.path("b.npy")).unwrap();
    let data_at = opened.data().unwrap();
    let mapping = opened.into_mapping().unwrap();
    // SAFETY: still mapped.
    assert_eq!(unsafe { data_at.add(47).read() }, 47);
    // SAFETY: ended once, and not used after.
    unsafe { mapping.unmap() };
    folder.assert_closed();
}

/// Page faults of this thread so far.
fn page_faults() -> i64 {
    // SAFETY: plain data, which the call writes.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_THREAD, &mut usage) }, 0);
    usage.ru_minflt + usage.ru_majflt
}

#[test]
fn io_1_a_huge_file_opens_at_once() {
    let folder = Folder::new();
    let head = file(TN_F64, Order::C, &[1 << 37], &[]);
    let path = folder.write("huge.npy", &head);
    // Not every file system allows 1 TiB; then the largest size that works.
    let sparse = fs::OpenOptions::new().write(true).open(folder.path("huge.npy")).unwrap();
    let mut length = 1u64 << 40;
    while sparse.set_len(head.len() as u64 + length).is_err() {
        length /= 2;
    }
    assert!(length >= 1 << 33, "not even a sparse file of 8 GiB is possible here");
    sparse.write_all_at(&file(TN_F64, Order::C, &[(length / 8) as i64], &[]), 0).unwrap();
    // Counted without a clock: mapping touches only the pages of the header. All pages would be more than a million.
    let before = page_faults();
    let opened = open(&path, TN_NPY_READ).unwrap();
    assert_eq!(opened.header().data_bytes, length);
    drop(opened);
    let faults = page_faults() - before;
    assert!(faults < 500, "{faults} pages were touched");
}

#[test]
fn io_2_cow_keeps_the_file_and_write_changes_it() {
    let folder = Folder::new();
    let path = folder.write("a.npy", &file(TN_U8, Order::C, &[4], &[1, 2, 3, 4]));
    let read = || fs::read(folder.path("a.npy")).unwrap()[128..].to_vec();
    let cow = open(&path, TN_NPY_COW).unwrap();
    // SAFETY: mapped writable.
    unsafe { cow.data().unwrap().write(9) };
    assert_eq!((mapped(&cow), read()), (vec![9, 2, 3, 4], vec![1, 2, 3, 4]));
    let write = open(&path, TN_NPY_WRITE).unwrap();
    // SAFETY: as above.
    unsafe { write.data().unwrap().add(3).write(7) };
    drop(write);
    assert_eq!(read(), [1, 2, 3, 7]);
    let copy = open(&path, TN_NPY_COPY).unwrap();
    assert!(copy.data().is_none());
    assert_eq!(contents(&copy), [1, 2, 3, 7]);
    assert!(copy.into_mapping().is_none());
}

#[test]
fn io_2_write_needs_permission() {
    let folder = Folder::new();
    folder.write("a.npy", &file(TN_U8, Order::C, &[4], &[1, 2, 3, 4]));
    let lent = fs::File::open(folder.path("a.npy")).unwrap();
    let (status, text) = refusal(npy::open(Origin::Descriptor { fd: lent.as_raw_fd(), offset: 0 }, TN_NPY_WRITE, 0));
    assert_eq!(status, TN_ERR_IO);
    assert!(text.contains("Permission denied"), "{text}");
    assert!(npy::open(Origin::Descriptor { fd: lent.as_raw_fd(), offset: 0 }, TN_NPY_COW, 0).is_ok());
    // No mode at all.
    assert_eq!(refusal(open(&folder.c("a.npy"), 4)).0, TN_ERR_INVALID);
}

#[test]
fn io_3_empty_scalar_and_trailing_bytes() {
    let folder = Folder::new();
    let scalar = folder.write("scalar.npy", &file(TN_F64, Order::C, &[], &[5; 8]));
    let empty = folder.write("empty.npy", &file(TN_F64, Order::F, &[3, 0], &[]));
    let more = folder.write("more.npy", &file(TN_U8, Order::C, &[2], &[1, 2, 3, 4]));
    for mode in [TN_NPY_READ, TN_NPY_COW, TN_NPY_WRITE] {
        assert_eq!(mapped(&open(&scalar, mode).unwrap()), [5; 8]);
        let opened = open(&empty, mode).unwrap();
        assert_eq!((opened.header().shape(), opened.header().order), (&[3, 0][..], Order::F));
        assert!(opened.data().is_none() && opened.into_mapping().is_none());
        assert_eq!(mapped(&open(&more, mode).unwrap()), [1, 2]);
    }
    assert_eq!(contents(&open(&scalar, TN_NPY_COPY).unwrap()), [5; 8]);
    assert_eq!(contents(&open(&empty, TN_NPY_COPY).unwrap()), []);
    assert_eq!(contents(&open(&more, TN_NPY_COPY).unwrap()), [1, 2]);
}

#[test]
fn io_4_data_off_their_alignment_are_read_and_not_mapped() {
    let folder = Folder::new();
    for (descr, align) in [("|u1", 1), ("<i2", 2), ("<f4", 4), ("<f8", 8), ("<c8", 4), ("<c16", 8)] {
        let item = if descr.starts_with("<c") { 2 * align } else { align };
        for spaces in 0..8 {
            let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (1,)}}{}\n", " ".repeat(spaces));
            let data: Vec<u8> = (1..=item as u8).collect();
            let path = folder.write("a.npy", &framed(&text, &data));
            let aligned = (10 + text.len()) % align == 0;
            for mode in [TN_NPY_READ, TN_NPY_COW, TN_NPY_WRITE] {
                let (status, text) = refusal(open(&path, mode));
                assert_eq!(status, if aligned { TN_OK } else { TN_ERR_WOULD_COPY }, "{text}");
            }
            assert_eq!(contents(&open(&path, TN_NPY_COPY).unwrap()), data);
        }
    }
}

#[test]
fn io_5_big_endian_is_swapped_or_refused() {
    let folder = Folder::new();
    let data: Vec<u8> = (0..96).collect();
    for (descr, component, item) in
        [(">i2", 2, 2), (">f2", 2, 2), (">u4", 4, 4), (">f8", 8, 8), (">c8", 4, 8), (">c16", 8, 16)]
    {
        let count = 96 / item;
        let text = format!("{{'descr': '{descr}', 'fortran_order': True, 'shape': ({count},)}}");
        let path = folder.write("a.npy", &framed(&text, &data));
        for mode in [TN_NPY_READ, TN_NPY_COW, TN_NPY_WRITE] {
            assert_eq!(refusal(open(&path, mode)).0, TN_ERR_WOULD_COPY);
        }
        let swapped: Vec<u8> = data.chunks(component).flat_map(|part| part.iter().rev().copied()).collect();
        assert_eq!(contents(&open(&path, TN_NPY_COPY).unwrap()), swapped);
        // Without elements there is nothing to swap.
        let none = folder.write("b.npy", &framed(&text.replace(&format!("({count},)"), "(0,)"), &[]));
        assert!(open(&none, TN_NPY_READ).unwrap().data().is_none());
    }
    // Elements of one byte have no byte order.
    let path = folder.write("a.npy", &framed("{'descr': '>u1', 'fortran_order': False, 'shape': (96,)}", &data));
    assert_eq!(mapped(&open(&path, TN_NPY_READ).unwrap()), data);
    // More data than the conversion's buffer.
    let long: Vec<u8> = (0..1 << 20).map(|at: u32| (at * 7) as u8).collect();
    let path = folder.write("a.npy", &framed("{'descr': '>f8', 'fortran_order': False, 'shape': (131072,)}", &long));
    let swapped: Vec<u8> = long.chunks(8).flat_map(|part| part.iter().rev().copied()).collect();
    assert!(contents(&open(&path, TN_NPY_COPY).unwrap()) == swapped);
}

#[test]
fn io_6_bad_files_are_io_with_path_and_reason() {
    let folder = Folder::new();
    let good = file(TN_F64, Order::C, &[3], &[0; 24]);
    let mut past = good.clone();
    past[8..10].copy_from_slice(&[0xFF, 0xFF]);
    let cases: [(&str, Vec<u8>, &str); 8] = [
        ("empty", Vec::new(), "0 bytes"),
        ("short", good[..9].to_vec(), "9 bytes"),
        ("magic", b"PK\x03\x04 something else altogether".to_vec(), "NUMPY"),
        ("version", [b"\x93NUMPY\x04\x00", &good[8..]].concat(), "4.0"),
        ("past", past, "65545"),
        ("dictionary", framed("[1, 2, 3]", &[0; 24]), "dictionary"),
        ("negative", framed("{'descr': '<f8', 'fortran_order': False, 'shape': (-3,)}", &[0; 24]), "negative"),
        ("truncated", good[..good.len() - 1].to_vec(), "23 bytes of data"),
    ];
    for (name, bytes, reason) in cases {
        let path = folder.write(name, &bytes);
        for mode in [TN_NPY_READ, TN_NPY_COW, TN_NPY_WRITE, TN_NPY_COPY] {
            let (status, text) = refusal(open(&path, mode));
            assert_eq!(status, TN_ERR_IO, "{name}: {text}");
            assert!(text.contains(&format!("{name}\"")) && text.contains(reason), "{name}: {text}");
        }
    }
    let (status, text) = refusal(open(&folder.c("missing"), TN_NPY_READ));
    assert!(status == TN_ERR_IO && text.contains("missing\" cannot be opened: No such file"), "{text}");
    let (status, text) = refusal(open(&folder.c(""), TN_NPY_READ));
    assert!(status == TN_ERR_IO && text.contains("a folder"), "{text}");
    let (status, text) = refusal(open(c"/dev/zero", TN_NPY_READ));
    assert!(status == TN_ERR_IO && text.contains("device"), "{text}");
    let (status, text) = refusal(npy::open(Origin::Descriptor { fd: -1, offset: 0 }, TN_NPY_READ, 0));
    assert!(status == TN_ERR_IO && text.contains("descriptor -1"), "{text}");
    // A pipe without a writer does not block.
    let pipe = folder.c("pipe");
    // SAFETY: a path.
    assert_eq!(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) }, 0);
    assert_eq!(refusal(open(&pipe, TN_NPY_READ)).0, TN_ERR_IO);
}

#[test]
fn io_6_a_long_path_stays_within_the_text() {
    let long = CString::new(format!("/{}/x.npy", "y".repeat(4000))).unwrap();
    let (status, text) = refusal(open(&long, TN_NPY_READ));
    assert_eq!(status, TN_ERR_IO);
    assert!(text.ends_with("y/x.npy\" cannot be opened: File name too long"), "{text}");
}

#[test]
fn io_7_a_long_header_is_refused_before_it_is_read() {
    let folder = Folder::new();
    let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': (1,)}}{}\n", " ".repeat(100_000));
    let bytes = [b"\x93NUMPY\x02\x00", &(text.len() as u32).to_le_bytes()[..], text.as_bytes(), &[42]].concat();
    let path = folder.write("a.npy", &bytes);
    // The error itself needs no memory.
    let (status, text) = refusal(rationed(0, || open(&path, TN_NPY_READ)));
    assert_eq!(status, TN_ERR_LIMIT);
    assert!(text.contains("65536 are allowed"), "{text}");
    let allowed = npy::open(Origin::Path(&path), TN_NPY_READ, 200_000).unwrap();
    assert_eq!(mapped(&allowed), [42]);
    // NP-13: a length that is only claimed reserves no memory.
    let claim = folder.write("b.npy", b"\x93NUMPY\x02\x00\xFF\xFF\xFF\xFF{}");
    assert_eq!(refusal(rationed(0, || npy::open(Origin::Path(&claim), TN_NPY_READ, u64::MAX))).0, TN_ERR_IO);
    // Out of memory is a status, and no file stays open.
    assert_eq!(
        refusal(rationed(100, || npy::open(Origin::Path(&path), TN_NPY_READ, 200_000))).0,
        TN_ERR_NO_HOST_MEMORY
    );
}

#[test]
fn io_8_booleans_are_0_and_1_in_a_copy() {
    let folder = Folder::new();
    let path = folder.write("a.npy", &file(TN_BOOL, Order::C, &[5], &[0, 1, 2, 255, 128]));
    assert_eq!(contents(&open(&path, TN_NPY_COPY).unwrap()), [0, 1, 1, 1, 1]);
    assert_eq!(mapped(&open(&path, TN_NPY_READ).unwrap()), [0, 1, 2, 255, 128]);
    let bytes = folder.write("a.npy", &file(TN_U8, Order::C, &[2], &[2, 255]));
    assert_eq!(contents(&open(&bytes, TN_NPY_COPY).unwrap()), [2, 255]);
}

#[test]
fn io_9_a_file_cut_short_after_it_was_opened() {
    let folder = Folder::new();
    let path = folder.write("a.npy", &file(TN_F64, Order::C, &[3], &[1; 24]));
    let opened = open(&path, TN_NPY_COPY).unwrap();
    fs::OpenOptions::new().write(true).open(folder.path("a.npy")).unwrap().set_len(128 + 20).unwrap();
    let mut bytes = [0; 24];
    // SAFETY: as long as the data.
    let (status, text) = refusal(unsafe { opened.read_into(bytes.as_mut_ptr()) });
    assert_eq!(status, TN_ERR_IO);
    assert!(text.contains("20 bytes of data, and its shape and type say 24"), "{text}");
}

#[test]
fn io_13_a_lent_descriptor_is_the_callers() {
    let folder = Folder::new();
    folder.write("a.npy", &file(TN_U8, Order::C, &[2], &[1, 2]));
    let lent = fs::File::open(folder.path("a.npy")).unwrap();
    let fd: c_int = lent.as_raw_fd();
    // SAFETY: moves the file position, which no other code uses.
    assert_eq!(unsafe { libc::lseek(fd, 7, libc::SEEK_SET) }, 7);
    let opened = npy::open(Origin::Descriptor { fd, offset: 0 }, TN_NPY_READ, 0).unwrap();
    assert_eq!(contents(&npy::open(Origin::Descriptor { fd, offset: 0 }, TN_NPY_COPY, 0).unwrap()), [1, 2]);
    // SAFETY: asks for the position.
    assert_eq!(unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) }, 7);
    drop(lent);
    assert_eq!(mapped(&opened), [1, 2]);
}

#[test]
fn ar_62_an_array_that_begins_anywhere_in_a_file() {
    let folder = Folder::new();
    let (first, second) = (file(TN_U8, Order::C, &[5], &[1, 2, 3, 4, 5]), file(TN_F64, Order::C, &[2], &[7; 16]));
    for prefix in [0, 1, 3, 8, 4096, 10_000] {
        let bytes = [&vec![0xAA; prefix][..], &first, &second].concat();
        folder.write("a.npy", &bytes);
        let lent = fs::OpenOptions::new().read(true).write(true).open(folder.path("a.npy")).unwrap();
        let at = |offset: u64, mode: u32| npy::open(Origin::Descriptor { fd: lent.as_raw_fd(), offset }, mode, 0);
        for mode in [TN_NPY_READ, TN_NPY_COW, TN_NPY_WRITE, TN_NPY_COPY] {
            let opened = at(prefix as u64, mode).unwrap();
            assert_eq!(opened.end(), (prefix + first.len()) as u64);
            let read = if mode == TN_NPY_COPY { contents(&opened) } else { mapped(&opened).to_vec() };
            assert_eq!(read, [1, 2, 3, 4, 5], "{prefix} {mode}");
            // The next one begins where this one ends, and is mapped only if it is aligned there.
            let next = at(opened.end(), mode);
            if mode == TN_NPY_COPY {
                let next = next.unwrap();
                assert_eq!((contents(&next), next.end()), (vec![7; 16], bytes.len() as u64));
            } else if (prefix + first.len()).is_multiple_of(8) {
                assert_eq!(mapped(&next.unwrap()), [7; 16]);
            } else {
                let (status, text) = refusal(next);
                assert_eq!(status, TN_ERR_WOULD_COPY);
                assert!(text.contains(&format!("from byte {} on", opened.end())), "{text}");
            }
        }
        // Nothing begins elsewhere, also behind the end.
        for offset in [prefix + 1, bytes.len() - 3, bytes.len(), bytes.len() + 1, usize::MAX] {
            assert_eq!(refusal(at(offset as u64, TN_NPY_COPY)).0, TN_ERR_IO, "{offset}");
        }
        // A file that is cut short.
        lent.set_len(bytes.len() as u64 - 1).unwrap();
        assert_eq!(refusal(at((prefix + first.len()) as u64, TN_NPY_COPY)).0, TN_ERR_IO);
    }
}

/// Byte offsets of all elements, last axis fastest.
fn elements(shape: &[i64], strides: &[i64]) -> Vec<i64> {
    let mut all = vec![0];
    for (length, stride) in shape.iter().zip(strides) {
        all = all.iter().flat_map(|start| (0..*length).map(move |at| start + at * stride)).collect();
    }
    all
}

#[test]
fn io_10_io_12_saved_files_can_be_opened() {
    let folder = Folder::new();
    let path = folder.c("a.npy");
    let types: Vec<Dtype> = Dtype::ALL.into_iter().filter(|dtype| dtype.raw() != TN_BF16).collect();
    for seed in 1..=1500 {
        let mut random = Random::new(seed * 0x9E37_79B9);
        let dtype = types[random.below_i64(14) as usize];
        let item = dtype.item();
        let ndim = random.below_i64(7);
        let lengths: Vec<i64> =
            (0..ndim).map(|_| if random.below_i64(15) == 0 { 0 } else { 1 + random.below_i64(4) }).collect();
        // Views: some axes transposed, stepped or repeated, in C or F order.
        let mut strides = vec![0; lengths.len()];
        let (mut end, mut offset) = (item, 0);
        let forward = random.below_i64(2) == 0;
        let plain = random.below_i64(2) == 0;
        for at in 0..lengths.len() {
            let axis = if forward { lengths.len() - 1 - at } else { at };
            let gap = if plain { 0 } else { random.below_i64(3) * item };
            strides[axis] = end + gap;
            let reach = strides[axis] * (lengths[axis] - 1).max(0);
            match if plain { 0 } else { random.below_i64(6) } {
                1 => {
                    offset += reach;
                    strides[axis] = -strides[axis];
                    end += reach;
                }
                2 => strides[axis] = 0,
                _ => end += reach,
            }
        }
        let bytes: Vec<u8> =
            (0..end).map(|_| random.below_i64(if dtype == Dtype::BOOL { 2 } else { 256 }) as u8).collect();
        let base = bytes.as_ptr().expose_provenance() as i64;
        let layout = Layout::strided(dtype, &lengths, &strides, base + offset).unwrap();
        assert_eq!(save(&path, &host_view(&layout), 0), TN_OK);
        let element = |at: &i64| bytes[(offset + at) as usize..(offset + at + item) as usize].to_vec();
        let wanted: Vec<Vec<u8>> = elements(&lengths, &strides).iter().map(element).collect();
        for mode in [TN_NPY_READ, TN_NPY_COW, TN_NPY_WRITE, TN_NPY_COPY] {
            let opened = open(&path, mode).unwrap();
            let header = *opened.header();
            assert_eq!((header.dtype, header.shape(), header.data_offset % 64), (dtype, &lengths[..], 0));
            assert_eq!(header.order == Order::F, layout.is_f() && !layout.is_c(), "seed {seed}");
            let data = if mode == TN_NPY_COPY { contents(&opened) } else { mapped(&opened) };
            let there = header.layout(0).unwrap();
            let found = elements(&lengths, there.strides());
            let found: Vec<Vec<u8>> =
                found.iter().map(|&at| data[at as usize..(at + item) as usize].to_vec()).collect();
            assert!(found == wanted, "seed {seed}: {lengths:?} {strides:?} {dtype:?}");
        }
    }
    assert_eq!(folder.names(), ["a.npy"]);
}

#[test]
fn io_10_memory_beyond_the_array_is_one_staging_chunk() {
    let folder = Folder::new();
    let path = folder.c("a.npy");
    let bytes: Vec<u8> = (0..8 << 20).map(|at: u32| (at ^ at >> 8) as u8).collect();
    let base = bytes.as_ptr().expose_provenance() as i64;
    let f64s = Dtype::of(TN_F64).unwrap();
    // Every other row of 8 KiB; a transposed view that is neither C nor F; one long axis of single elements; a row
    // repeated.
    let cases: [(&[i64], &[i64]); 4] = [
        (&[512, 1024], &[16384, 8]),
        (&[64, 128, 128], &[8, 65536, 512]),
        (&[1 << 19], &[16]),
        (&[3, 1 << 18], &[0, 8]),
    ];
    for (shape, strides) in cases {
        let layout = Layout::strided(f64s, shape, strides, base).unwrap();
        assert_eq!(rationed((1 << 20) + 4096, || save(&path, &host_view(&layout), 0)), TN_OK);
        let opened = open(&path, TN_NPY_READ).unwrap();
        let data = mapped(&opened);
        let wanted = elements(shape, strides);
        assert_eq!(data.len(), 8 * wanted.len());
        let same = wanted.iter().zip(data.chunks(8)).all(|(&at, found)| bytes[at as usize..at as usize + 8] == *found);
        assert!(same, "{shape:?} {strides:?}");
        // Out of memory is a status, and the old file stays.
        assert_eq!(rationed(1000, || save(&path, &host_view(&layout), 0)), TN_ERR_NO_HOST_MEMORY);
        assert!(mapped(&open(&path, TN_NPY_READ).unwrap()) == data);
    }
    // Contiguous ones need none.
    let layout = dense(TN_F64, &[1 << 20], &bytes);
    assert_eq!(rationed(0, || save(&path, &host_view(&layout), 0)), TN_OK);
    assert!(mapped(&open(&path, TN_NPY_READ).unwrap()) == bytes);
    assert_eq!(folder.names(), ["a.npy"]);
}

#[test]
fn io_11_flags_targets_and_permissions() {
    let folder = Folder::new();
    let path = folder.c("a.npy");
    let first = [1u8, 2, 3];
    let second = [4u8, 5, 6];
    let (first, second) = (dense(TN_U8, &[3], &first), dense(TN_U8, &[3], &second));
    let read = |name: &str| mapped(&open(&folder.c(name), TN_NPY_READ).unwrap());
    assert_eq!(save(&path, &host_view(&first), TN_IO_EXCLUSIVE | TN_IO_SYNC), TN_OK);
    let (status, text) = refusal(npy::save_view(&path, &host_view(&second), TN_IO_EXCLUSIVE));
    assert!(status == TN_ERR_IO && text.contains("a.npy\" cannot be saved to: File exists"), "{text}");
    assert_eq!(read("a.npy"), [1, 2, 3]);
    assert_eq!(save(&path, &host_view(&second), 8), TN_ERR_INVALID);
    let bf16 = dense(TN_BF16, &[1], &[0, 0]);
    assert_eq!(save(&path, &host_view(&bf16), 0), TN_ERR_DTYPE);
    assert_eq!(read("a.npy"), [1, 2, 3]);
    // The permissions are those of the replaced file; a link still leads to it.
    fs::set_permissions(folder.path("a.npy"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("a.npy", folder.path("link.npy")).unwrap();
    assert_eq!(save(&folder.c("link.npy"), &host_view(&second), TN_IO_SYNC), TN_OK);
    assert_eq!(read("a.npy"), [4, 5, 6]);
    assert!(fs::symlink_metadata(folder.path("link.npy")).unwrap().is_symlink());
    assert_eq!(fs::metadata(folder.path("a.npy")).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(save(&folder.c("link.npy"), &host_view(&first), TN_IO_EXCLUSIVE), TN_ERR_IO);
    // A path that is no regular file is left alone.
    symlink("nowhere", folder.path("dangling.npy")).unwrap();
    fs::create_dir(folder.path("folder.npy")).unwrap();
    for (target, reason) in [
        (folder.c("folder.npy"), "folder"),
        (folder.c(""), "names no file"),
        (folder.c("no/a.npy"), "No such file"),
        (folder.c("a.npy/a.npy"), "Not a directory"),
        (folder.c("dangling.npy"), "leads to no file"),
        (c"/dev/null".to_owned(), "device"),
        (c"".to_owned(), "names no file"),
        (CString::new("x".repeat(300)).unwrap(), "File name too long"),
        (CString::new("x/".repeat(4000) + "x").unwrap(), "File name too long"),
    ] {
        let (status, text) = refusal(npy::save_view(&target, &host_view(&first), 0));
        assert!(status == TN_ERR_IO && text.contains(reason), "{target:?}: {text}");
    }
    assert_eq!(folder.names(), ["a.npy", "dangling.npy", "folder.npy", "link.npy"]);
}

#[test]
fn io_11_a_failure_half_way_keeps_the_old_file() {
    let folder = Folder::new();
    let path = folder.c("a.npy");
    let old = [1u8, 2, 3];
    assert_eq!(save(&path, &host_view(&dense(TN_U8, &[3], &old)), 0), TN_OK);
    let failed = npy::save(&path, Dtype::F64, Order::C, &[2], 0, |sink| {
        // SAFETY: 8 bytes of a static.
        unsafe { sink.write(b"12345678".as_ptr(), 8)? };
        Err(error::fail(TN_ERR_FAILED, format_args!("the source is gone")))
    });
    assert_eq!(refusal(failed).0, TN_ERR_FAILED);
    // A panic is a bug, and leaves no file either.
    let panicked = std::panic::catch_unwind(|| npy::save(&path, Dtype::F64, Order::C, &[2], 0, |_| Ok(())));
    assert!(panicked.is_err());
    assert_eq!(mapped(&open(&path, TN_NPY_READ).unwrap()), old);
    assert_eq!(folder.names(), ["a.npy"]);
}

#[test]
fn io_11_saving_over_the_file_that_is_mapped() {
    let folder = Folder::new();
    let path = folder.write("a.npy", &file(TN_U8, Order::C, &[4], &[1, 2, 3, 4]));
    let opened = open(&path, TN_NPY_READ).unwrap();
    let reversed =
        Layout::strided(Dtype::U8, &[4], &[-1], opened.data().unwrap().expose_provenance() as i64 + 3).unwrap();
    assert_eq!(save(&path, &host_view(&reversed), 0), TN_OK);
    assert_eq!(mapped(&opened), [1, 2, 3, 4]);
    assert_eq!(mapped(&open(&path, TN_NPY_READ).unwrap()), [4, 3, 2, 1]);
}

/// Runs one of the ignored tests below in a process of its own, in a folder with an old file.
fn in_a_process(test: &str) -> (Folder, std::process::Output) {
    let folder = Folder::new();
    folder.write("a.npy", &file(TN_U8, Order::C, &[3], &[1, 2, 3]));
    let output = tenure_harness::again(test).env("TENURE_TEST_FOLDER", &folder.0).output().unwrap();
    (folder, output)
}

#[test]
fn io_11_a_full_disk_keeps_the_old_file() {
    let (folder, output) = in_a_process("child_writes_more_than_it_may");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    assert_eq!(folder.names(), ["a.npy"]);
    assert_eq!(mapped(&open(&folder.c("a.npy"), TN_NPY_READ).unwrap()), [1, 2, 3]);
}

#[test]
#[ignore = "run by io_11_a_full_disk_keeps_the_old_file"]
fn child_writes_more_than_it_may() {
    let folder = std::env::var_os("TENURE_TEST_FOLDER")
        .unwrap_or_else(|| skip("it needs the folder of the test that starts it"));
    let path = CString::new(Path::new(&folder).join("a.npy").to_str().unwrap()).unwrap();
    let limit = libc::rlimit { rlim_cur: 64 << 10, rlim_max: 64 << 10 };
    // SAFETY: this process belongs to the test.
    unsafe {
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
    }
    let bytes = vec![7; 1 << 20];
    let (status, text) = refusal(npy::save_view(&path, &host_view(&dense(TN_U8, &[1 << 20], &bytes)), 0));
    assert!(
        status == TN_ERR_IO
            && text.contains("File too large (the process may have 65536 bytes of a file, see ulimit -f)"),
        "{text}"
    );
}

#[test]
fn io_11_a_killed_process_keeps_the_old_file() {
    use std::os::unix::process::ExitStatusExt;
    let (folder, output) = in_a_process("child_is_killed_while_it_saves");
    assert_eq!(output.status.signal(), Some(libc::SIGKILL));
    assert_eq!(mapped(&open(&folder.c("a.npy"), TN_NPY_READ).unwrap()), [1, 2, 3]);
    let left: Vec<String> = folder.names().into_iter().filter(|name| name != "a.npy").collect();
    // If the file system has files without a name, nothing is left; otherwise a killed process cannot remove the file.
    let nameless = fs::OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open(&folder.0);
    assert!(left.is_empty() || nameless.is_err(), "{left:?}");
}

#[test]
#[ignore = "run by io_11_a_killed_process_keeps_the_old_file"]
fn child_is_killed_while_it_saves() {
    let folder = std::env::var_os("TENURE_TEST_FOLDER")
        .unwrap_or_else(|| skip("it needs the folder of the test that starts it"));
    let path = CString::new(Path::new(&folder).join("a.npy").to_str().unwrap()).unwrap();
    let _ = npy::save(&path, Dtype::U8, Order::C, &[2], 0, |sink| {
        // SAFETY: one byte of a static; then the process ends itself.
        unsafe {
            sink.write(b"1".as_ptr(), 1)?;
            libc::kill(libc::getpid(), libc::SIGKILL);
        }
        Ok(())
    });
}
