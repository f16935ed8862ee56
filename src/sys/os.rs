//! The operating system: memory, futexes, threads, forks, libraries, and facts about the machine.
//!
//! Contract: thin, without policy. Nothing here formats text or allocates on the heap. Mappings are anonymous, private,
//! readable and writable, and read 0 until they are written. Tests can make calls for memory fail ([`fail_calls`]), so
//! that each step of each path fails in turn.

use super::cancellation::uncancelled;
use super::machine::{joined, read};
use super::quiet::without_signal;
use core::cell::Cell;
use core::ffi::CStr;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

/// Maps zeroed pages that are not unmapped before the library is unloaded. None: the system has no memory.
pub fn map_forever(bytes: usize) -> Option<NonNull<u8>> {
    if must_fail() {
        return None;
    }
    // SAFETY: an anonymous mapping touches no memory of ours.
    let memory = unsafe {
        libc::mmap(
            core::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if memory == libc::MAP_FAILED {
        return None;
    }
    keep_until_unload(memory as usize, bytes.next_multiple_of(page_bytes()));
    NonNull::new(memory.cast())
}

/// Makes a call that may fail, and preserves `errno`. A free must preserve it, and in the preload library a free leads
/// to such calls.
pub(super) fn keep_errno<R>(call: impl FnOnce() -> R) -> R {
    // SAFETY: the C library's variable of the calling thread.
    let before = unsafe { *libc::__errno_location() };
    let result = call();
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = before };
    result
}

/// Sleeps until the word changes, a wake or the timeout, whichever is first; may return early.
pub fn futex_wait(word: &AtomicU32, value: u32, timeout_us: u32) {
    let timeout = libc::timespec { tv_sec: 0, tv_nsec: i64::from(timeout_us) * 1000 };
    // SAFETY: the word outlives the call; the kernel only compares it.
    keep_errno(|| unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, value, &timeout);
    });
}

/// Wakes one thread that sleeps on the word.
pub fn futex_wake(word: &AtomicU32) {
    // SAFETY: only the address is used.
    keep_errno(|| unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1);
    });
}

/// The system's id of the calling thread.
pub fn thread_number() -> u32 {
    // SAFETY: no arguments.
    unsafe { libc::syscall(libc::SYS_gettid) as u32 }
}

/// Whether the process has a thread with that number.
pub fn thread_exists(number: u32) -> bool {
    // SAFETY: integers only; signal 0 is not sent, only checked.
    keep_errno(|| unsafe {
        libc::syscall(libc::SYS_tgkill, libc::getpid(), number as libc::pid_t, 0) == 0
            || *libc::__errno_location() != libc::ESRCH
    })
}

/// Whether the calling thread is the main thread, whose end usually ends the process.
pub fn is_main_thread() -> bool {
    thread_number() == process_number()
}

/// Sleeps for a number of microseconds.
pub fn sleep_us(us: u32) {
    let time = libc::timespec { tv_sec: 0, tv_nsec: i64::from(us) * 1000 };
    // SAFETY: a timespec of ours; the second pointer may be NULL.
    keep_errno(|| uncancelled(|| unsafe { libc::nanosleep(&time, core::ptr::null_mut()) }));
}

// From linux/membarrier.h.
const MEMBARRIER_CMD_PRIVATE_EXPEDITED: i32 = 1 << 3;
const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED: i32 = 1 << 4;

/// Registers the process for [`membarrier`]. False: the system does not support it.
pub fn register_membarrier() -> bool {
    // SAFETY: integers only.
    unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 }
}

/// Makes every thread of the process pass a full memory barrier.
pub fn membarrier() {
    core::sync::atomic::fence(Ordering::SeqCst);
    // SAFETY: integers only.
    keep_errno(|| unsafe {
        libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    });
}

/// Registers handlers that run before a fork, and after it in parent and child.
pub fn on_fork(before: extern "C" fn(), parent: extern "C" fn(), child: extern "C" fn()) {
    // SAFETY: functions of this library; the C library removes the handlers when this library is unloaded.
    unsafe {
        libc::pthread_atfork(Some(before), Some(parent), Some(child));
    }
}

/// [`WATCHED`] after [`watch_for_exit`], then [`EXITS`] when the process exits, or [`UNLOADS`] when only the library
/// ends.
static END: AtomicU32 = AtomicU32::new(0);
const WATCHED: u32 = 1;
const EXITS: u32 = 2;
const UNLOADS: u32 = 3;

/// Notes from now on that the process exits, for [`begin_unloading`].
pub fn watch_for_exit() {
    extern "C" fn exits() {
        leave_watched(EXITS);
    }
    // Before the handler can run.
    END.store(WATCHED, Ordering::Relaxed);
    // SAFETY: a function of this library; the C library calls it when the process exits, or when this library is
    // unloaded.
    if unsafe { libc::atexit(exits) } != 0 {
        leave_watched(EXITS);
    }
}

fn leave_watched(end: u32) {
    let _ = END.compare_exchange(WATCHED, end, Ordering::Relaxed, Ordering::Relaxed);
}

/// Called by a termination function of the library. When a process exits, such functions run after those of `atexit`;
/// when a library is unloaded, before its own.
pub fn begin_unloading() {
    leave_watched(UNLOADS);
}

/// Whether this library is being unloaded from a process that goes on.
pub fn is_unloading() -> bool {
    END.load(Ordering::Relaxed) == UNLOADS
}

/// Mappings that [`unmap_kept`] unmaps: address and size in bytes, in the order in which they were added.
static KEPT: [[AtomicUsize; 2]; 512] = [const { [const { AtomicUsize::new(0) }; 2] }; 512];
static KEPT_COUNT: AtomicUsize = AtomicUsize::new(0);

/// Notes a mapping that the library keeps until it is unloaded. Mappings beyond the capacity of the list stay.
pub fn keep_until_unload(start: usize, bytes: usize) {
    if let Some([at, size]) = KEPT.get(KEPT_COUNT.fetch_add(1, Ordering::Relaxed)) {
        size.store(bytes, Ordering::Relaxed);
        at.store(start, Ordering::Relaxed);
    }
}

/// Unmaps what [`keep_until_unload`] noted.
///
/// # Safety
/// - the library is being unloaded, and no thread uses these mappings any more.
pub unsafe fn unmap_kept() {
    for [at, size] in &KEPT {
        let start = at.swap(0, Ordering::Relaxed);
        if start != 0 {
            // SAFETY: the caller's obligation.
            unsafe { unmap(start, size.load(Ordering::Relaxed)) };
        }
    }
}

/// The number of the process.
pub fn process_number() -> u32 {
    // SAFETY: no argument, and no failure.
    unsafe { libc::getpid() as u32 }
}

/// The effective user id; None: the user has no number in this user namespace, where all such users look alike.
#[cfg(not(preload))]
pub fn user() -> Option<u32> {
    // SAFETY: no argument, and no failure.
    let user = unsafe { libc::geteuid() };
    let mut text = [0; 16];
    let nobody = read(c"/proc/sys/kernel/overflowuid", &mut text);
    let nobody = nobody.and_then(|text| core::str::from_utf8(text).ok()?.trim().parse().ok()).unwrap_or(65534);
    (user != nobody).then_some(user)
}

/// Passes the value of an environment variable, unless the program runs with more rights than its caller.
#[cfg(not(preload))]
pub fn with_variable<R>(name: &CStr, then: impl FnOnce(&CStr) -> R) -> Option<R> {
    // SAFETY: integers only.
    if unsafe { libc::getauxval(libc::AT_SECURE) } != 0 {
        return None;
    }
    // SAFETY: a text; the value is the environment's, which nobody changes while the library is loaded.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    // SAFETY: NULL is excluded, and the value ends with a NUL.
    (!value.is_null()).then(|| then(unsafe { CStr::from_ptr(value) }))
}

/// Starts a thread that nobody waits for. No signal is delivered to it. EAGAIN: there are as many as may be.
#[cfg(not(preload))]
pub fn start_thread(body: fn()) -> super::file::Outcome<()> {
    extern "C" fn run(body: *mut libc::c_void) -> *mut libc::c_void {
        // SAFETY: the argument of the call below.
        unsafe { core::mem::transmute::<*mut libc::c_void, fn()>(body)() };
        core::ptr::null_mut()
    }
    let mut thread = core::mem::MaybeUninit::<libc::pthread_t>::uninit();
    let (mut all, mut before) = (core::mem::MaybeUninit::<libc::sigset_t>::uninit(), core::mem::MaybeUninit::uninit());
    // SAFETY: sets and a thread's name of ours. The new thread inherits the mask, so there is no moment in which it
    // takes signals.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        let failed = libc::pthread_create(thread.as_mut_ptr(), core::ptr::null(), run, body as *mut libc::c_void);
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), core::ptr::null_mut());
        if failed == 0 {
            libc::pthread_detach(thread.assume_init());
        }
        if failed == 0 { Ok(()) } else { Err(super::file::Errno(failed)) }
    }
}

/// Names the calling thread for tools that list threads; at most 15 bytes are kept.
#[cfg(not(preload))]
pub fn name_thread(name: &CStr) {
    // SAFETY: a text of at least one byte; the kernel copies what it keeps.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Passes the file that the loader mapped at an address, if it knows one.
#[cfg(not(preload))]
pub fn with_file_of(address: usize, then: impl FnOnce(&CStr)) {
    let mut info = core::mem::MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: any address, and room for the answer.
    if unsafe { libc::dladdr(core::ptr::without_provenance(address), info.as_mut_ptr()) } == 0 {
        return;
    }
    // SAFETY: filled by the successful call.
    let name = unsafe { info.assume_init() }.dli_fname;
    if !name.is_null() {
        // SAFETY: the loader's text, which lives as long as the object.
        then(unsafe { CStr::from_ptr(name) });
    }
}

/// The path of the program; returns its length, cut at the room for it, and 0 if the system does not tell.
#[cfg(not(preload))]
pub fn own_path(path: &mut [u8]) -> usize {
    // SAFETY: a text, and room for that many bytes.
    let length =
        keep_errno(|| unsafe { libc::readlink(c"/proc/self/exe".as_ptr(), path.as_mut_ptr().cast(), path.len()) });
    usize::try_from(length).unwrap_or(0)
}

/// The pthread key of [`at_thread_end`], plus 1.
static KEY: AtomicU32 = AtomicU32::new(0);

/// Sets the function that [`at_thread_end`] arranges to be called. Called once, by a library that is never unloaded.
pub fn on_thread_end(end: extern "C" fn(*mut libc::c_void)) {
    let mut key = 0;
    // SAFETY: the key is written before the call returns, and the function stays.
    if unsafe { libc::pthread_key_create(&mut key, Some(end)) } == 0 {
        KEY.store(key + 1, Ordering::Relaxed);
    }
}

/// Calls the function of [`on_thread_end`] once with `value`, which is not 0, when the calling thread ends. If the
/// function calls this again, it is called in the C library's next round of destructors, of which there are 4. A
/// thread-local with a destructor would need memory.
pub fn at_thread_end(value: usize) {
    if let Some(key) = KEY.load(Ordering::Relaxed).checked_sub(1) {
        // SAFETY: the key was created; the C library does not dereference the value.
        unsafe { libc::pthread_setspecific(key, value as *const libc::c_void) };
    }
}

fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct is ours.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A monotonic clock in ns.
pub fn time_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// The wall clock in ns since 1970.
pub fn unix_ns() -> u64 {
    clock_ns(libc::CLOCK_REALTIME)
}

/// The wall clock in ns since the epoch, with the resolution of the kernel's tick. Costs a few ns.
pub fn coarse_time_ns() -> u64 {
    clock_ns(libc::CLOCK_REALTIME_COARSE)
}

/// Keeps the shared object with this code loaded until the process ends. After the first export, foreign code has a
/// pointer to one of its functions, so dlclose must not unload it. Has no effect in a program that links the library
/// statically.
pub fn pin_library() {
    static DONE: AtomicBool = AtomicBool::new(false);
    if DONE.load(Ordering::Relaxed) {
        return;
    }
    let own = pin_library as *const libc::c_void;
    let mut info = core::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: any address is allowed, and the struct is ours.
    if unsafe { libc::dladdr(own, info.as_mut_ptr()) } != 0 {
        // SAFETY: written by the call above, or still zero, which is no address.
        let file = unsafe { info.assume_init() }.dli_fname;
        if !file.is_null() {
            // SAFETY: the loader's own string. NOLOAD: finds only an object that is loaded already.
            uncancelled(|| unsafe { libc::dlopen(file, libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE) });
        }
    }
    DONE.store(true, Ordering::Relaxed);
}

/// The address of a function by its name: from the global scope, or from `library` if that is loaded.
pub fn symbol(library: &CStr, name: &CStr) -> Option<NonNull<core::ffi::c_void>> {
    // SAFETY: the loader's functions, with strings that live during the call.
    unsafe {
        let global = NonNull::new(libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()));
        if global.is_some() {
            return global;
        }
        let handle = uncancelled(|| libc::dlopen(library.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD));
        if handle.is_null() {
            return None;
        }
        let own = NonNull::new(libc::dlsym(handle, name.as_ptr()));
        // Others have loaded the library, and keep it loaded while they use it.
        libc::dlclose(handle);
        own
    }
}

/// A library that was loaded and is never unloaded.
pub struct Library(NonNull<core::ffi::c_void>);

impl Library {
    /// Loads a library by the usual search path. None: writes the loader's reason to `refused`.
    pub fn open(name: &CStr, refused: &mut dyn core::fmt::Write) -> Option<Library> {
        // SAFETY: a string that lives during the call; the library's constructors are trusted.
        let handle = uncancelled(|| unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) });
        let found = NonNull::new(handle).map(Library);
        if found.is_none() {
            // SAFETY: the loader's message of this thread, or NULL.
            let why = unsafe { libc::dlerror() };
            if !why.is_null() {
                // SAFETY: a NUL-terminated string, valid until the thread's next such call.
                let why = unsafe { CStr::from_ptr(why) };
                let _ = refused.write_str(why.to_str().unwrap_or("no reason that can be printed"));
            }
        }
        found
    }

    /// The library of this name, if the process has loaded one already.
    pub fn find_loaded(name: &CStr) -> Option<Library> {
        // SAFETY: a string that lives during the call, which loads nothing.
        let handle = uncancelled(|| unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_NOLOAD) });
        NonNull::new(handle).map(Library)
    }

    /// The address of a function by its name.
    pub fn symbol(&self, name: &CStr) -> Option<NonNull<core::ffi::c_void>> {
        // SAFETY: the library stays loaded, and the string lives during the call.
        NonNull::new(unsafe { libc::dlsym(self.0.as_ptr(), name.as_ptr()) })
    }
}

/// Writes text to standard error, without allocating, for a process that is about to end.
pub fn print_error(parts: &[&str]) {
    for part in parts {
        // SAFETY: the bytes of the text. A failure is ignored: the process ends.
        uncancelled(|| without_signal(|| unsafe { libc::write(2, part.as_ptr().cast(), part.len()) }));
    }
}

/// Whether this process can read and write the 4 bytes at an address, which the call overwrites. The kernel answers, so
/// an address without access is no fault.
///
/// # Safety
/// - the caller has exclusive use of the bytes, if there are any, and their contents are not needed.
pub unsafe fn overwrites(address: usize) -> bool {
    // SAFETY: the caller's obligation; `getcpu` writes 4 bytes, or fails with EFAULT.
    keep_errno(|| unsafe {
        let nothing = core::ptr::null_mut::<libc::c_void>();
        libc::syscall(libc::SYS_getcpu, address as *mut u32, nothing, nothing) == 0
            || *libc::__errno_location() != libc::EFAULT
    })
}

/// No process has memory below this address: the system keeps the first page free, for null pointers.
pub const LOWEST_ADDRESS: i64 = 4096;
/// Nor above this one: half of the largest address space of a processor. AArch64 may have a tag in the highest byte.
pub const ADDRESS_LIMIT: i64 = if cfg!(target_arch = "x86_64") { 1 << 56 } else { i64::MAX };

/// The size of a page.
pub fn page_bytes() -> usize {
    static PAGE: AtomicUsize = AtomicUsize::new(0);
    match PAGE.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: sysconf only reads its argument.
            let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
            let bytes = usize::try_from(bytes).ok().filter(|b| b.is_power_of_two()).unwrap_or(4096);
            PAGE.store(bytes, Ordering::Relaxed);
            bytes
        }
        bytes => bytes,
    }
}

thread_local! {
    // (calls that still succeed, calls that fail after them); `const` and without Drop, so no destructor is registered.
    static INJECTED: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// For tests: lets the next `succeed` calls of this thread for memory (map, remap) succeed, and makes the `fail` calls
/// after them fail. (0, 0) ends this. Returns the number of failures that had not happened yet.
pub fn fail_calls(succeed: u64, fail: u64) -> u64 {
    INJECTED.replace((succeed, fail)).1
}

fn must_fail() -> bool {
    // It has no such tests, and a thread-local of this kind may allocate from the C library, which the preload library
    // replaces.
    if cfg!(preload) {
        return false;
    }
    match INJECTED.get() {
        (_, 0) => false,
        (0, fail) => {
            INJECTED.set((0, fail - 1));
            true
        }
        (succeed, fail) => {
            INJECTED.set((succeed - 1, fail));
            false
        }
    }
}

fn map_anywhere(bytes: usize) -> Option<usize> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address of the system's choice touches no memory that exists.
    let at = unsafe { libc::mmap(core::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    (at != libc::MAP_FAILED).then_some(at as usize)
}

/// Maps `bytes` of zeroed memory, a multiple of the page size, at a multiple of `alignment`, a power of two. None:
/// refused.
pub fn map(bytes: usize, alignment: usize) -> Option<usize> {
    debug_assert!(bytes > 0 && bytes.is_multiple_of(page_bytes()) && alignment.is_power_of_two());
    if must_fail() {
        return None;
    }
    let at = map_anywhere(bytes)?;
    if at.is_multiple_of(alignment) {
        return Some(at);
    }
    // Map more, and unmap the ends. The system places mappings side by side, so later mappings are usually aligned at
    // once.
    // SAFETY: mapped above, and not shared.
    unsafe { unmap(at, bytes) };
    let wide = bytes.checked_add(alignment)?;
    let at = map_anywhere(wide)?;
    let start = at.next_multiple_of(alignment);
    for (from, to) in [(at, start), (start + bytes, at + wide)] {
        if to > from {
            // SAFETY: the ends of the new mapping, outside the returned range.
            unsafe { unmap(from, to - from) };
        }
    }
    Some(start)
}

/// As [`map`], at an address, a multiple of the page size. False: refused, or something is mapped there.
pub fn map_at(start: usize, bytes: usize) -> bool {
    if must_fail() {
        return false;
    }
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: a new mapping, which replaces none.
    let at =
        keep_errno(|| unsafe { libc::mmap(start as *mut _, bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) });
    if at != libc::MAP_FAILED && at as usize != start {
        // Linux before 4.17 takes the address as a wish.
        // SAFETY: mapped a moment ago, and not shared.
        unsafe { unmap(at as usize, bytes) };
    }
    at as usize == start
}

/// Unmaps a range of pages. False: refused, because the process has too many mappings to split one.
///
/// # Safety
/// - the range is in mappings made by [`map`] or [`remap`];
/// - it is not used again.
pub unsafe fn unmap(start: usize, bytes: usize) -> bool {
    // SAFETY: the caller's obligation.
    keep_errno(|| unsafe { libc::munmap(start as *mut _, bytes) == 0 })
}

/// Frees the memory of a range of pages and keeps the addresses, which then read 0. False: refused.
///
/// # Safety
/// - the range is in mappings made by [`map`] or [`remap`];
/// - its contents are not needed.
pub unsafe fn discard(start: usize, bytes: usize) -> bool {
    // SAFETY: the caller's obligation.
    keep_errno(|| unsafe { libc::madvise(start as *mut _, bytes, libc::MADV_DONTNEED) == 0 })
}

/// Remaps the pages of `old_bytes` at `old` to `to`, and replaces the mapping of `new_bytes` there; nothing is copied.
/// True: the old range is unmapped. False: refused, and the old range is unchanged. The mapping at `to` may be gone
/// then, because some systems unmap it before they check the rest, so it must not be used again.
///
/// # Safety
/// - both ranges were made by [`map`] or [`remap`], are whole pages and do not overlap, and `old_bytes <= new_bytes`;
/// - neither range is used during the call.
pub unsafe fn remap(old: usize, old_bytes: usize, to: usize, new_bytes: usize) -> bool {
    if must_fail() {
        return false;
    }
    // SAFETY: the caller's obligation; MREMAP_FIXED replaces the mapping at `to`.
    let at = unsafe {
        libc::mremap(
            old as *mut _,
            old_bytes,
            new_bytes,
            libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED,
            to as *mut libc::c_void,
        )
    };
    at != libc::MAP_FAILED
}

/// Remaps the pages of a range to another one and keeps the old addresses mapped, which then read 0. False: refused;
/// the old range is unchanged, and the mapping at `to` may be gone.
///
/// # Safety
/// - both ranges were made by [`map`] or [`remap`], are whole pages and do not overlap;
/// - neither is used during the call.
pub unsafe fn remap_contents(at: usize, bytes: usize, to: usize) -> bool {
    if must_fail() {
        return false;
    }
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | libc::MREMAP_DONTUNMAP;
    // SAFETY: the caller's obligation; MREMAP_FIXED replaces the mapping at `to`.
    let moved = unsafe { libc::mremap(at as *mut _, bytes, bytes, flags, to as *mut libc::c_void) };
    moved != libc::MAP_FAILED
}

/// Advises the system to use huge pages in a range, or not to. False: it does not support them.
///
/// # Safety
/// - the range was made by [`map`] or [`remap`] and is whole pages.
pub unsafe fn advise_huge(start: usize, bytes: usize, on: bool) -> bool {
    let advice = if on { libc::MADV_HUGEPAGE } else { libc::MADV_NOHUGEPAGE };
    // SAFETY: the caller's obligation; the advice changes no contents.
    keep_errno(|| unsafe { libc::madvise(start as *mut _, bytes, advice) == 0 })
}

/// Replaces a range by huge pages of 2 MiB from the system's reserve. False: the reserve has too few, and the range is
/// unchanged.
///
/// # Safety
/// - the range was made by [`map`], consists of whole aligned huge pages, and is not used during the call.
pub unsafe fn map_huge(start: usize, bytes: usize) -> bool {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let plain = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let huge = plain | libc::MAP_HUGETLB | libc::MAP_HUGE_2MB;
    // Elsewhere first: a refused mapping in place would already have unmapped the old one.
    // SAFETY: a new mapping at an address of the system's choice touches no memory that exists.
    let at = unsafe { libc::mmap(core::ptr::null_mut(), bytes, access, huge, -1, 0) };
    if at == libc::MAP_FAILED {
        return false;
    }
    let move_it = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    // SAFETY: the mapping above is ours; the caller's obligation for the one that is replaced.
    if unsafe { libc::mremap(at, bytes, bytes, move_it, start as *mut libc::c_void) } != libc::MAP_FAILED {
        return true;
    }
    let back = plain | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: ours, and not shared; and a mapping where the old one may be gone, which replaces none.
    unsafe {
        libc::munmap(at, bytes);
        libc::mmap(start as *mut _, bytes, access, back, -1, 0);
    }
    false
}

/// The argument of PAGEMAP_SCAN (Linux 6.7) from linux/fs.h, and a range of its result.
#[repr(C)]
struct Scan {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    result: u64,
    result_length: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}
#[repr(C)]
#[derive(Clone, Copy)]
struct Scanned {
    start: u64,
    end: u64,
    categories: u64,
}
const PAGEMAP_SCAN: libc::Ioctl = 0xc060_6610u32 as libc::Ioctl;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;

/// Access to the page map of this process.
pub struct Pages {
    file: i32,
}

impl Pages {
    /// Opens the page map. None: the system does not allow it.
    pub fn open() -> Option<Pages> {
        // SAFETY: a NUL-terminated path that lives during the call.
        let file =
            uncancelled(|| unsafe { libc::open(c"/proc/self/pagemap".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) });
        (file >= 0).then_some(Pages { file })
    }

    /// Finds the parts of a range of anonymous memory that have pages, resident or swapped; the memory between them
    /// reads 0. Returns their number, and the end of the scanned part: the scan ends when the parts have `enough`
    /// bytes, or when `out` is full.
    pub fn present(&self, start: usize, end: usize, enough: usize, out: &mut [(usize, usize); 16]) -> (usize, usize) {
        let page = page_bytes();
        let mut found = [Scanned { start: 0, end: 0, categories: 0 }; 16];
        let mut scan = Scan {
            size: size_of::<Scan>() as u64,
            flags: 0,
            start: (start / page * page) as u64,
            end: end.next_multiple_of(page) as u64,
            walk_end: 0,
            result: found.as_mut_ptr() as u64,
            result_length: found.len() as u64,
            max_pages: (enough / page).max(1) as u64,
            category_inverted: 0,
            category_mask: 0,
            category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
            return_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
        };
        // SAFETY: the struct and the result live during the call, and have the lengths that it states.
        let count = unsafe { libc::ioctl(self.file, PAGEMAP_SCAN, &mut scan) };
        // Systems before Linux 6.7 do not support this call.
        let Ok(count) = usize::try_from(count) else { return (0, start) };
        for (to, from) in out.iter_mut().zip(&found[..count.min(16)]) {
            *to = (from.start as usize, from.end as usize);
        }
        (count.min(16), (scan.walk_end as usize).min(end))
    }

    /// Whether the page at an address is resident or swapped, as far as the system reports.
    pub fn has(&self, address: usize) -> bool {
        let (count, seen) = self.present(address, address + 1, 1, &mut [(0, 0); 16]);
        count > 0 || seen <= address
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: opened by `open`, closed once.
        uncancelled(|| unsafe { libc::close(self.file) });
    }
}

/// Makes all pages of a range resident and writable, by one call where the system supports it. The contents are kept.
///
/// # Safety
/// - the range is mapped and writable, and is not written during the call.
pub unsafe fn populate(start: usize, bytes: usize) {
    // SAFETY: the caller's obligation; the advice changes no contents.
    if unsafe { libc::madvise(start as *mut _, bytes, libc::MADV_POPULATE_WRITE) } == 0 {
        return;
    }
    for page in (start..start + bytes).step_by(page_bytes()) {
        let at = page as *mut u8;
        // SAFETY: inside the caller's range. Writing back what was read makes the page resident.
        unsafe { at.write_volatile(at.read_volatile()) };
    }
}

/// Prefers NUMA node `node` for the pages of a new range. A failure is ignored.
pub fn prefer_node(start: usize, bytes: usize, node: u32) {
    let Some(mask) = mask_of(node) else { return };
    // SAFETY: mbind changes where pages come from, not what they hold; the mask lives during the call.
    unsafe { libc::syscall(libc::SYS_mbind, start, bytes, MPOL_PREFERRED, mask.as_ptr(), mask.len() * 64, 0) };
}

/// MPOL_PREFERRED: pages come from the node while it has room, and then from others.
const MPOL_PREFERRED: libc::c_long = 1;

/// A set of NUMA nodes, as the system calls take it.
type NodeMask = [u64; 16];

/// The set of one node. None: its number is too large.
fn mask_of(node: u32) -> Option<NodeMask> {
    let mut mask: NodeMask = [0; 16];
    *mask.get_mut(node as usize / 64)? = 1 << (node % 64);
    Some(mask)
}

/// While it lives, new pages of the calling thread come from one NUMA node while that has room, also those that the
/// kernel allocates for it in a driver. The drop restores the thread's policy.
#[cfg(not(preload))]
pub struct NodePreference {
    mode: libc::c_int,
    mask: NodeMask,
    /// Not Send: the policy belongs to a thread.
    own: core::marker::PhantomData<*const ()>,
}

#[cfg(not(preload))]
impl NodePreference {
    /// Prefers a node. None: the system refuses, as some sandboxes do, or numbers no such node.
    pub fn set(node: u32) -> Option<NodePreference> {
        let mask = mask_of(node)?;
        let mut before = NodePreference { mode: 0, mask: [0; 16], own: core::marker::PhantomData };
        let (mode, old, bits) = (&raw mut before.mode, before.mask.as_mut_ptr(), size_of::<NodeMask>() * 8);
        // SAFETY: writes the number and the mask, which are ours.
        let known = unsafe { libc::syscall(libc::SYS_get_mempolicy, mode, old, bits, 0_usize, 0_usize) };
        if known != 0 {
            return None;
        }
        // SAFETY: reads the mask; the policy decides where new pages come from, not what they hold.
        let set = unsafe { libc::syscall(libc::SYS_set_mempolicy, MPOL_PREFERRED, mask.as_ptr(), bits) };
        if set == 0 {
            return Some(before);
        }
        // The policy of the thread is as before, and needs no restoring.
        core::mem::forget(before);
        None
    }
}

#[cfg(not(preload))]
impl Drop for NodePreference {
    fn drop(&mut self) {
        let bits = size_of::<NodeMask>() * 8;
        // SAFETY: reads the mask.
        unsafe { libc::syscall(libc::SYS_set_mempolicy, self.mode, self.mask.as_ptr(), bits) };
    }
}

/// Whether the machine has NUMA node `node`.
pub fn has_node(node: u32) -> bool {
    let mut path = [0u8; 64];
    let Some(path) = joined(&mut path, &[b"/sys/devices/system/node/node", Decimal::new(node).digits()]) else {
        return false;
    };
    // SAFETY: a NUL-terminated path that lives during the call.
    // A system that shows no nodes has one, number 0.
    node == 0 || unsafe { libc::access(path.as_ptr(), libc::F_OK) == 0 }
}

/// The number of processors that are online.
pub fn processors() -> u32 {
    // SAFETY: sysconf only reads its argument.
    u32::try_from(unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }).unwrap_or(1).max(1)
}

/// A monotonic clock in ms, with the resolution of the kernel's tick.
pub fn coarse_ms() -> u64 {
    // SAFETY: all-zero is a valid timespec.
    let mut now: libc::timespec = unsafe { core::mem::zeroed() };
    // SAFETY: writes the struct that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut now) };
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

/// Writes the processor's name to `out`, and returns its length.
pub fn processor_name(out: &mut [u8]) -> usize {
    let mut text = [0u8; 4096];
    let info = read(c"/proc/cpuinfo", &mut text).unwrap_or(b"");
    let line = info.split(|&b| b == b'\n').find(|line| line.starts_with(b"model name"));
    let name =
        line.and_then(|line| line.splitn(2, |&b| b == b':').nth(1)).map_or(&b"host"[..], |name| name.trim_ascii());
    let length = name.len().min(out.len());
    out[..length].copy_from_slice(&name[..length]);
    length
}

/// The NUMA node of the PCI device with this id, such as "0000:3b:00.0". None: the system names no node for it.
#[cfg(not(preload))]
pub fn node_of_pci_device(id: &[u8]) -> Option<u32> {
    super::machine::number_in(&[b"/sys/bus/pci/devices/", id, b"/numa_node"]).and_then(|node| u32::try_from(node).ok())
}

/// A number's decimal digits, without the heap.
struct Decimal {
    text: [u8; 10],
    from: usize,
}

impl Decimal {
    fn new(mut value: u32) -> Decimal {
        let mut decimal = Decimal { text: [b'0'; 10], from: 10 };
        loop {
            decimal.from -= 1;
            decimal.text[decimal.from] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                return decimal;
            }
        }
    }
    fn digits(&self) -> &[u8] {
        &self.text[self.from..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_aligned_zero_and_can_be_moved() {
        let (page, big) = (page_bytes(), 4 << 20);
        let at = map(4 * page, big).unwrap();
        assert!(at.is_multiple_of(big));
        let to = map(8 * page, big).unwrap();
        // SAFETY: our own mappings, used by this test only.
        unsafe {
            assert_eq!(*(at as *const u64), 0);
            *(at as *mut u64) = 42;
            assert!(remap(at, 4 * page, to, 8 * page));
            assert_eq!(*(to as *const u64), 42);
            populate(to, 8 * page);
            assert_eq!(*(to as *const u64), 42);
            assert!(discard(to, 8 * page));
            assert_eq!(*(to as *const u64), 0);
            assert!(unmap(to, 8 * page));
        }
    }

    #[test]
    fn what_was_never_written_has_no_pages() {
        let (page, n) = (page_bytes(), 1000);
        let at = map(n * page, 2 << 20).unwrap();
        // SAFETY: our own mapping, used by this test only.
        unsafe {
            advise_huge(at, n * page, false);
            for touched in [3, 4, 700] {
                *((at + touched * page) as *mut u8) = 1;
            }
            let mut parts = [(0, 0); 16];
            let pages = Pages::open().expect("a system that shows its processes");
            let (count, seen) = pages.present(at, at + n * page, usize::MAX, &mut parts);
            // Systems without the call scan nothing.
            if seen > at {
                let at = |i: usize| at + i * page;
                assert_eq!((&parts[..count], seen), (&[(at(3), at(5)), (at(700), at(701))][..], at(n)));
                let (count, seen) = pages.present(at(0), at(n), page, &mut parts);
                assert_eq!((count, parts[0], seen), (1, (at(3), at(4)), at(4)), "enough is enough");
                assert!(pages.has(at(4)) && pages.has(at(5) - 1) && !pages.has(at(5)));
            }
            assert!(unmap(at, n * page));
        }
    }

    #[test]
    fn contents_move_and_leave_zeros() {
        let page = page_bytes();
        let (at, to) = (map(2 * page, page).unwrap(), map(2 * page, page).unwrap());
        // SAFETY: our own mappings, used by this test only.
        unsafe {
            *(at as *mut u64) = 42;
            if remap_contents(at, 2 * page, to) {
                assert_eq!((*(at as *const u64), *(to as *const u64)), (0, 42));
                unmap(to, 2 * page);
            }
            assert!(unmap(at, 2 * page));
        }
    }

    #[test]
    fn injected_failures_come_in_order() {
        let page = page_bytes();
        fail_calls(1, 2);
        let at = map(page, page).unwrap();
        assert!(map(page, page).is_none());
        assert!(map(page, page).is_none());
        let last = map(page, page).unwrap();
        assert_eq!(fail_calls(0, 0), 0);
        // SAFETY: our own mappings.
        unsafe { assert!(unmap(at, page) && unmap(last, page)) };
    }

    #[test]
    fn nodes_and_names_are_plausible() {
        assert!(processors() >= 1);
        assert!(has_node(0) && !has_node(4000));
        let mut name = [0u8; 128];
        assert!(processor_name(&mut name) > 0);
    }

    #[test]
    fn a_node_is_preferred_until_the_preference_drops() {
        let policy = || {
            let (mut mode, mut mask): (libc::c_int, NodeMask) = (0, [0; 16]);
            let (out, bits) = (mask.as_mut_ptr(), size_of::<NodeMask>() * 8);
            // SAFETY: writes the number and the mask, which are ours.
            unsafe { libc::syscall(libc::SYS_get_mempolicy, &mut mode, out, bits, 0_usize, 0_usize) };
            (mode, mask)
        };
        let before = policy();
        if let Some(preference) = NodePreference::set(0) {
            assert_eq!((policy().0, policy().1[0]), (MPOL_PREFERRED as libc::c_int, 1));
            drop(preference);
        }
        assert!(NodePreference::set(5000).is_none());
        assert_eq!(policy(), before);
        assert!(node_of_pci_device(b"no such device").is_none());
    }

    #[test]
    fn decimal_digits() {
        assert_eq!(Decimal::new(0).digits(), b"0");
        assert_eq!(Decimal::new(4_294_967_295).digits(), b"4294967295");
    }
}
