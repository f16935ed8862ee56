//! Several copies of the library in one process: none takes a handle of another one. A copy may be unloaded until foreign code holds one of
//! its functions; then it stays loaded.

mod support {
    pub mod tools;
}

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;

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
        std::fs::copy(support::tools::library(), &file).unwrap();
        let file = file.to_str().unwrap().to_owned();
        let path = CString::new(file.as_str()).unwrap();
        // SAFETY: a path; the object has no constructors.
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

    fn close(self) -> bool {
        // SAFETY: opened above, closed once.
        assert_eq!(unsafe { libc::dlclose(self.handle) }, 0);
        std::fs::read_to_string("/proc/self/maps").unwrap().contains(&self.file)
    }

    /// Makes an array of two f64 and passes it to `then`, on a thread of its own, because the library may react to a thread's end.
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
        assert!(other.last_error().ends_with("was released already"), "{}", other.last_error());
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
