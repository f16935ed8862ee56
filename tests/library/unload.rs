//! Several copies of the library in one process: none takes a handle of another one. A copy may be unloaded until
//! foreign code holds one of its functions; then it stays loaded. Neither an unloaded copy nor a thread that calls the
//! library in its last destructors leaves memory.

use crate::support;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use support::tools::{compiler, library, output};
use tenure::ffi::pool::{tn_pool_allocate, tn_pool_deallocate};
use tenure_harness::{require, test};

// Each test runs in a process of its own: some measure the memory of the process.
/// A copy of the library under another file name, which the loader treats as a different library.
struct Copy {
    handle: *mut c_void,
    file: String,
}

// SAFETY: the library's functions may be called from any thread, and the loader's too.
unsafe impl Sync for Copy {}

impl Copy {
    fn load(name: &str) -> Copy {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::copy(library(), &file).unwrap();
        Copy::open(file.to_str().unwrap().to_owned())
    }

    fn open(file: String) -> Copy {
        let path = CString::new(file.as_str()).unwrap();
        // SAFETY: a path; the object's initialisation only reads the environment.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        assert!(!handle.is_null());
        Copy { handle, file }
    }

    fn function(&self, name: &str) -> *mut c_void {
        let name = CString::new(name).unwrap();
        // SAFETY: a handle of ours and a text.
        let function = unsafe { libc::dlsym(self.handle, name.as_ptr()) };
        assert!(!function.is_null(), "{name:?}");
        function
    }

    /// The message of this thread's last failed call.
    fn last_error(&self) -> String {
        // SAFETY: the function's own type; it returns a text that lives until the thread's next call.
        unsafe {
            let last_error: extern "C" fn() -> *const c_char = std::mem::transmute(self.function("tn_last_error"));
            CStr::from_ptr(last_error()).to_str().unwrap().to_owned()
        }
    }

    fn report(&self) -> String {
        // SAFETY: the function's own type.
        let report: extern "C" fn(u32, usize, *mut u8, *mut usize) -> u32 =
            unsafe { std::mem::transmute(self.function("tn_report_json")) };
        let (mut text, mut length) = (vec![0; 1 << 16], 0);
        assert_eq!(report(0, text.len(), text.as_mut_ptr(), &mut length), 0);
        text.truncate(length);
        String::from_utf8(text).unwrap()
    }

    fn close(&self) -> bool {
        // SAFETY: opened above, closed once.
        assert_eq!(unsafe { libc::dlclose(self.handle) }, 0);
        std::fs::read_to_string("/proc/self/maps").unwrap().contains(&self.file)
    }

    /// Makes an array of two f64 and passes it to `then`, on a thread of its own, because the library may react to a
    /// thread's end.
    fn with_array(&self, then: impl Fn(&Copy, *mut c_void) + Send) {
        std::thread::scope(|scope| {
            scope
                .spawn(move || {
                    // SAFETY: the functions' own types.
                    let empty: extern "C" fn(
                        *mut c_void,
                        u32,
                        i32,
                        *const i64,
                        *const c_void,
                        *mut *mut c_void,
                    ) -> c_int = unsafe { std::mem::transmute(self.function("tn_array_empty")) };
                    // SAFETY: as above.
                    let release: extern "C" fn(*mut c_void) -> c_int =
                        unsafe { std::mem::transmute(self.function("tn_array_release")) };
                    let mut array = std::ptr::null_mut();
                    assert_eq!(
                        empty(std::ptr::null_mut(), 0x0001_4002, 1, [2i64].as_ptr(), std::ptr::null(), &mut array),
                        0
                    );
                    then(self, array);
                    assert_eq!(release(array), 0);
                })
                // The end of the scope alone does not wait for the thread-locals' destructors.
                .join()
                .unwrap();
        });
    }
}

#[test]
fn it_is_unmapped_without_foreign_holders() {
    let copy = Copy::load("libunload_free.so");
    copy.with_array(|_, _| ());
    assert!(!copy.close(), "still mapped");
}

#[test]
fn a_handle_of_another_copy_is_stale() {
    let (one, other) = (Copy::load("libunload_one.so"), Copy::load("libunload_other.so"));
    one.with_array(|_, array_of_one| {
        let id_of_one = array_of_one.addr();
        other.with_array(|other, array_of_other| {
            assert_ne!(id_of_one, array_of_other.addr());
            // SAFETY: the function's own type.
            let release: extern "C" fn(*mut c_void) -> u32 =
                unsafe { std::mem::transmute(other.function("tn_array_release")) };
            assert_eq!(release(std::ptr::without_provenance_mut(id_of_one)), 2, "TN_ERR_STALE");
            let text = other.last_error();
            assert!(text.contains("another copy of this library") && text.contains(&one.file), "{text}");
        });
        let text = other.last_error();
        assert_eq!(text, "", "the other thread's message");
        // Only a live handle has an owner.
        // SAFETY: the function's own type.
        let release: extern "C" fn(*mut c_void) -> u32 =
            unsafe { std::mem::transmute(other.function("tn_array_release")) };
        assert_eq!(release(std::ptr::without_provenance_mut(id_of_one + (1 << 24))), 2, "TN_ERR_STALE");
        assert!(other.last_error().contains("was released already"), "{}", other.last_error());
    });
}

/// PO-38: the copies in shared libraries, the one in this program, and those that are gone.
#[test]
fn the_report_names_every_copy() {
    let one = Copy::load("libunload_named.so");
    let program = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    let listed = |report: &str, path: &str, used: bool, this: bool| {
        let generation = if used { "\"0x" } else { "null" };
        let start = format!("{{\"path\":\"{path}\",\"version\":[0,1,0],\"first_generation\":{generation}");
        let at = report.find(&start).unwrap_or_else(|| panic!("{start} in {report}"));
        let entry = &report[at..at + report[at..].find('}').unwrap()];
        assert!(entry.ends_with(&format!("\"this\":{this}")), "{entry}");
    };
    listed(&one.report(), &one.file, false, true);
    one.with_array(|one, _| {
        let report = one.report();
        listed(&report, &one.file, true, true);
        listed(&report, &program, false, false);
        let mut n = 0;
        // SAFETY: the number is ours. The call makes this program a copy too, whose library is linked statically.
        assert_eq!(unsafe { tenure::ffi::report::tn_leaks(0, 0, std::ptr::null_mut(), &mut n) }, 0);
        let other = Copy::load("libunload_second.so");
        listed(&one.report(), &other.file, false, false);
        other.with_array(|other, _| {
            listed(&one.report(), &other.file, true, false);
            listed(&other.report(), &one.file, true, false);
        });
        let file = other.file.clone();
        assert!(!other.close());
        assert!(!one.report().contains(&file));
    });
}

/// A stale handle makes one copy ask all others, also one that is being unloaded.
#[test]
fn a_stale_handle_while_another_copy_is_unloaded() {
    let one = Copy::load("libunload_asks.so");
    let unloaded = Copy::load("libunload_asked.so").file;
    let over = AtomicBool::new(false);
    one.with_array(|one, array| {
        // SAFETY: the function's own type.
        let release: extern "C" fn(*mut c_void) -> u32 =
            unsafe { std::mem::transmute(one.function("tn_array_release")) };
        let stale = array.addr() + (1 << 24);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(release(std::ptr::without_provenance_mut(stale)), 2, "TN_ERR_STALE");
                }
            });
            for _ in 0..100 {
                let copy = Copy::open(unloaded.clone());
                copy.with_array(|_, _| ());
                copy.close();
            }
            over.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn a_forked_child_reports_its_own_copy() {
    let one = Copy::load("libunload_forked.so");
    one.with_array(|one, _| {
        // SAFETY: the child only reports and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let report = one.report();
            let own = format!("\"libraries\":[{{\"path\":\"{}\"", one.file);
            // SAFETY: ends the child without its parent's handlers.
            unsafe { libc::_exit(i32::from(!report.contains(&own))) };
        }
        let mut status = 0;
        // SAFETY: our child, and room for its status.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0);
    });
}

/// AL-10: NumPy holds the handler's functions.
#[test]
fn al_10_a_plug_in_keeps_the_library() {
    let copy = Copy::load("libunload_plugin.so");
    // SAFETY: the function's own type.
    let handler: extern "C" fn(*mut c_void, *mut *mut c_void) -> c_int =
        unsafe { std::mem::transmute(copy.function("tn_numpy_handler")) };
    let mut out = std::ptr::null_mut();
    assert_eq!(handler(std::ptr::null_mut(), &mut out), 0);
    assert!(copy.close(), "unmapped under NumPy");
}

/// AL-10: a library that loaded the functions of a GPU allocator may call them at any time, also if none worked yet.
#[test]
fn al_10_an_allocator_of_gpus_keeps_the_library() {
    let copy = Copy::load("libunload_gpu.so");
    // SAFETY: the function's own type.
    let allocate: extern "C" fn(isize, c_int, *mut c_void) -> *mut c_void =
        unsafe { std::mem::transmute(copy.function("tn_torch_alloc")) };
    assert!(allocate(8, 1000, std::ptr::null_mut()).is_null());
    assert!(copy.close(), "unmapped under PyTorch");
}

/// The head of a DLManagedTensorVersioned.
#[repr(C)]
struct Head {
    version: [u32; 2],
    context: *mut c_void,
    deleter: extern "C" fn(*mut Head),
}

#[repr(C)]
struct Options {
    size: usize,
    flags: u32,
    rest: [u32; 5],
    consumer: *const c_char,
}

#[test]
fn an_export_that_outlives_dlclose_still_ends() {
    let copy = Copy::load("libunload_export.so");
    let exported = std::sync::Mutex::new(0usize);
    copy.with_array(|copy, array| {
        // SAFETY: the function's own type.
        let export: extern "C" fn(*mut c_void, *const Options, *mut *mut Head, *mut u32) -> c_int =
            unsafe { std::mem::transmute(copy.function("tn_array_export_dlpack_versioned")) };
        let options = Options { size: size_of::<Options>(), flags: 1, rest: [0; 5], consumer: std::ptr::null() };
        let mut tensor = std::ptr::null_mut();
        assert_eq!(export(array, &options, &mut tensor, std::ptr::null_mut()), 0);
        *exported.lock().unwrap() = tensor as usize;
    });
    assert!(copy.close(), "unmapped under a consumer");
    let tensor = exported.into_inner().unwrap() as *mut Head;
    // SAFETY: the struct is still exported, and the library is loaded.
    unsafe { ((*tensor).deleter)(tensor) };
}

/// An object that contains the library, and calls it in a destructor.
const OBJECT: &str = r#"
#include "tenure.h"
static tn_array *array;
static tn_status (*release_of_other)(tn_array *);
static tn_array *stale;
static tn_status *results;
void begin(tn_status (*release)(tn_array *), tn_array *handle, tn_status *out);
void begin(tn_status (*release)(tn_array *), tn_array *handle, tn_status *out)
{
    release_of_other = release;
    stale = handle;
    results = out;
    out[0] = tn_array_zeros(NULL, TN_F64, 0, NULL, NULL, &array);
}
__attribute__((destructor)) static void at_unload(void)
{
    results[1] = tn_array_release(array);
    results[2] = release_of_other(stale);
}
"#;

/// The loader runs the destructor when it unloads the object. In it, another copy also asks the object's library for
/// the owner of a handle.
#[test]
fn a_destructor_of_an_object_with_the_library_calls_it() {
    require(&["gcc"]);
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libunload_static.so");
    let source = file.with_extension("c");
    std::fs::write(&source, OBJECT).unwrap();
    let mut compile = compiler("c11");
    compile.args(["-fPIC", "-shared", "-Wl,-Bsymbolic"]).arg(source);
    compile.arg(library().with_extension("a")).args(["-lgcc_s", "-lm", "-lrt", "-lpthread", "-ldl"]);
    output(compile.arg("-o").arg(&file)).unwrap();
    let other = Copy::load("libunload_beside.so");
    let stale = std::sync::Mutex::new(0);
    other.with_array(|_, array| *stale.lock().unwrap() = array.addr());
    let object = Copy::open(file.to_str().unwrap().to_owned());
    let mut results = [99; 3];
    let to = (&raw mut results[0]).expose_provenance();
    std::thread::scope(|scope| {
        let call = || {
            type Begin = extern "C" fn(*const c_void, *const c_void, *mut u32);
            // SAFETY: the function's own type.
            let begin: Begin = unsafe { std::mem::transmute(object.function("begin")) };
            let stale = std::ptr::without_provenance(*stale.lock().unwrap());
            begin(other.function("tn_array_release"), stale, std::ptr::with_exposed_provenance_mut(to));
        };
        scope.spawn(call).join().unwrap();
    });
    // In a thread of its own, because its end must not call the unloaded object.
    let is_mapped = std::thread::scope(|scope| scope.spawn(|| object.close()).join().unwrap());
    assert!(!is_mapped, "still mapped");
    assert_eq!(results, [0, 0, 2], "TN_OK, TN_OK, TN_ERR_STALE");
}

/// A figure of this process in KiB, by its name in /proc/self/status.
fn status_kib(name: &str) -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Loads a copy, uses it in a thread that ends, and unloads it. Live blocks would stay mapped, so there are none.
fn use_and_unload(name: &str) {
    let copy = Copy::load(name);
    copy.with_array(|copy, _| {
        type Allocate = extern "C" fn(*mut c_void, usize, usize, *mut c_void, *mut *mut u8) -> c_int;
        type Deallocate = extern "C" fn(*mut c_void, *mut u8, *mut c_void) -> c_int;
        // SAFETY: the function's own type.
        let allocate: Allocate = unsafe { std::mem::transmute(copy.function("tn_pool_allocate")) };
        // SAFETY: as above.
        let deallocate: Deallocate = unsafe { std::mem::transmute(copy.function("tn_pool_deallocate")) };
        let null = std::ptr::null_mut();
        for bytes in [100, 5000, 1 << 20] {
            let mut block = std::ptr::null_mut();
            assert_eq!(allocate(null, bytes, 0, null, &mut block), 0);
            // SAFETY: the block has that many bytes.
            unsafe { block.write_bytes(1, bytes) };
            assert_eq!(deallocate(null, block, null), 0);
        }
    });
    assert!(!copy.close(), "still mapped");
}

#[test]
fn copies_that_come_and_go_leave_no_memory() {
    (0..10).for_each(|_| use_and_unload("libunload_turns.so"));
    let (size, resident) = (status_kib("VmSize:"), status_kib("VmRSS:"));
    (0..50).for_each(|_| use_and_unload("libunload_turns.so"));
    let more = (status_kib("VmSize:") - size, status_kib("VmRSS:") - resident);
    // The C library's own bookkeeping, and what other tests of this process use.
    assert!(more.0 < 20_000 && more.1 < 1_000, "50 turns left {more:?} KiB of addresses and of memory");
}

/// Calls the library in a destructor of a pthread key, and again in each of the C library's next rounds. By then the
/// thread-locals of the library have ended.
fn end_late(key: libc::pthread_key_t) {
    let mut block = std::ptr::null_mut();
    // SAFETY: calls of the library with variables of this function; NULL is the default pool, and no stream.
    unsafe {
        assert_eq!(tn_pool_allocate(std::ptr::null_mut(), 1000, 0, std::ptr::null_mut(), &mut block), 0);
        assert_eq!(tn_pool_deallocate(std::ptr::null_mut(), block, std::ptr::null_mut()), 0);
        assert_eq!(libc::pthread_setspecific(key, std::ptr::dangling()), 0);
    }
}

static KEY: std::sync::OnceLock<libc::pthread_key_t> = std::sync::OnceLock::new();

extern "C" fn at_end(_: *mut c_void) {
    end_late(*KEY.get().unwrap());
}

/// Runs threads, one after the other, that call the library in their last destructors.
fn run_late_callers(count: usize) {
    KEY.get_or_init(|| {
        let mut key = 0;
        // SAFETY: the key is ours, and the function stays.
        assert_eq!(unsafe { libc::pthread_key_create(&mut key, Some(at_end)) }, 0);
        key
    });
    (0..count).for_each(|_| std::thread::spawn(|| end_late(*KEY.get().unwrap())).join().unwrap());
}

#[test]
fn threads_that_call_in_their_last_destructors_leave_no_memory() {
    run_late_callers(50);
    let resident = status_kib("VmRSS:");
    run_late_callers(1000);
    // A record of the thread has 8 KiB.
    let more = status_kib("VmRSS:") - resident;
    assert!(more < 1_000, "1000 threads left {more} KiB");
}

/// No thread takes the record of another one that is still in its last destructors.
#[test]
fn threads_call_in_their_last_destructors_at_once() {
    std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(|| run_late_callers(400)))));
}
