//! The exported functions.
//!
//! Contract: the rules of C and POSIX, and of the GNU C library where those leave a choice. Every block is aligned to 16 bytes, and a block
//! of 0 bytes is a block of its own. `realloc` to 0 bytes frees. A failure is NULL with `errno` ENOMEM; `free` preserves `errno`. A pointer
//! to no live block goes to `report` and changes nothing.

use crate::pool::{self, Client, Pool};
use crate::thread::{self, Thread};
use crate::types::*;
use crate::{report, start};
use core::ffi::{c_int, c_void};
use core::ptr::null_mut;

/// Minimal alignment of a block, which compilers assume of malloc.
const ALIGNMENT_BYTES: usize = 16;

fn errno() -> c_int {
    // SAFETY: the C library returns the calling thread's variable.
    unsafe { *libc::__errno_location() }
}

fn set_errno(value: c_int) {
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = value };
}

#[cold]
fn no_memory() -> *mut c_void {
    set_errno(libc::ENOMEM);
    null_mut()
}

/// The pool must not call malloc, which would be itself.
#[inline]
fn check_outside() {
    debug_assert!(
        thread::current_if_registered().is_none_or(|thread| !thread.is_inside()),
        "the pool allocated from itself"
    );
}

/// Runs `work` with the pool and the thread's record. None if there is no memory for one of them.
fn enter<R>(work: impl FnOnce(&'static Pool, &'static Thread) -> R) -> Option<R> {
    check_outside();
    let inside = || Some(work(start::pool()?, thread::current()));
    match thread::current_if_registered() {
        Some(_) => inside(),
        None => thread::visit(inside)?,
    }
}

/// The fast path: the thread's heap has a free block.
#[inline(always)]
fn allocate(bytes: usize, alignment: usize) -> *mut c_void {
    check_outside();
    let Some(block) = pool::allocate_fast(0, bytes, alignment) else {
        return allocate_slow(bytes, alignment, false);
    };
    let address = block.address();
    block.finish(address as *mut c_void)
}

// `extern "C"` never unwinds, so the fast path can end in a jump to it.
#[inline(never)]
extern "C" fn allocate_slow(bytes: usize, alignment: usize, zeroed: bool) -> *mut c_void {
    // What the thread keeps was not cleared.
    if !zeroed && let Some(block) = pool::allocate_cached(0, bytes, alignment) {
        return block as *mut c_void;
    }
    let block = enter(|pool, thread| {
        let block = pool.allocate_for(Client::MALLOC, bytes, alignment, zeroed, thread.stamp());
        pool::remember(None, pool);
        block.map_or(null_mut(), |block| block.as_ptr().cast::<c_void>())
    });
    match block {
        Some(block) if !block.is_null() => block,
        _ => no_memory(),
    }
}

/// A function that frees.
trait Free {
    const NAME: &str;
}

/// The pool's view of a function that frees: the call on its slow path.
struct FastFree<F>(F);

impl<F: Free> pool::Deallocate for FastFree<F> {
    type Status = ();
    const DONE: () = ();

    #[inline(never)]
    extern "C" fn slow(_: u64, address: usize, _: u64) {
        give_back_slow(F::NAME, address as *mut c_void, None);
    }
}

#[inline(always)]
fn give_back<F: Free>(block: *mut c_void) {
    check_outside();
    pool::deallocate_fast::<FastFree<F>>(0, block as usize, 0);
}

/// `bytes`: the block's size according to the caller, if it passed one.
fn give_back_slow(function: &str, block: *mut c_void, bytes: Option<usize>) {
    if block.is_null() {
        return;
    }
    let before = errno();
    let done = enter(|pool, _| {
        let done = if bytes.is_none() && pool::deallocate_anywhere(block as usize) {
            Ok(())
        } else {
            pool::deallocate_for(Client::MALLOC, Some(pool), block as usize, bytes)
        };
        // A thread that only frees needs a heap too, which counts the frees.
        pool::remember(None, pool);
        done
    });
    if let Some(Err(_)) = done {
        report::misuse(function);
    }
    set_errno(before);
}

fn is_alignment(alignment: usize) -> bool {
    alignment.is_power_of_two()
}

fn aligned(alignment: usize, bytes: usize) -> *mut c_void {
    if !is_alignment(alignment) {
        set_errno(libc::EINVAL);
        return null_mut();
    }
    if alignment > pool::LARGEST_ALIGNMENT {
        return no_memory();
    }
    allocate(bytes, alignment.max(ALIGNMENT_BYTES))
}

fn resize<F: Free>(block: *mut c_void, bytes: usize) -> *mut c_void {
    if block.is_null() {
        return allocate(bytes, ALIGNMENT_BYTES);
    }
    if bytes == 0 {
        give_back::<F>(block);
        return null_mut();
    }
    check_outside();
    match pool::reallocate_fast(0, block as usize, bytes) {
        Some(moved) => moved as *mut c_void,
        None => resize_slow(F::NAME, block, bytes),
    }
}

#[inline(never)]
fn resize_slow(function: &str, block: *mut c_void, bytes: usize) -> *mut c_void {
    match enter(|pool, _| pool.reallocate_for(Client::MALLOC, block as usize, bytes)) {
        Some(Ok(moved)) => moved.as_ptr().cast(),
        Some(Err(status)) if ![TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT].contains(&status.code()) => {
            report::misuse(function);
            set_errno(libc::EINVAL);
            null_mut()
        }
        _ => no_memory(),
    }
}

/// Types for the functions that free, with their names for messages.
macro_rules! free {
    ($($name:ident $text:literal)*) => {
        $(
            struct $name;

            impl Free for $name {
                const NAME: &str = $text;
            }
        )*
    };
}

free! { Plain "free" Old "cfree" Realloc "realloc" ReallocArray "reallocarray" }

#[unsafe(no_mangle)]
extern "C" fn malloc(bytes: usize) -> *mut c_void {
    allocate(bytes, ALIGNMENT_BYTES)
}

/// Up to this size, clearing is cheaper than finding out whether the block needs it.
const ALWAYS_CLEARED_BYTES: usize = 1024;

#[unsafe(no_mangle)]
extern "C" fn calloc(count: usize, item: usize) -> *mut c_void {
    let Some(bytes) = count.checked_mul(item) else { return no_memory() };
    if bytes > ALWAYS_CLEARED_BYTES {
        return allocate_slow(bytes, ALIGNMENT_BYTES, true);
    }
    let block = allocate(bytes, ALIGNMENT_BYTES);
    if !block.is_null() {
        // SAFETY: the block has `bytes` bytes, and only this function has its address.
        unsafe { block.cast::<u8>().write_bytes(0, bytes) };
    }
    block
}

#[unsafe(no_mangle)]
extern "C" fn free(block: *mut c_void) {
    give_back::<Plain>(block);
}

/// C23. A wrong size is counted as a misuse; the block is freed all the same.
#[unsafe(no_mangle)]
extern "C" fn free_sized(block: *mut c_void, bytes: usize) {
    give_back_slow("free_sized", block, Some(bytes));
}

/// C23; sizes as in `free_sized`.
#[unsafe(no_mangle)]
extern "C" fn free_aligned_sized(block: *mut c_void, _alignment: usize, bytes: usize) {
    give_back_slow("free_aligned_sized", block, Some(bytes));
}

/// An old name of `free`.
#[unsafe(no_mangle)]
extern "C" fn cfree(block: *mut c_void) {
    give_back::<Old>(block);
}

#[unsafe(no_mangle)]
extern "C" fn realloc(block: *mut c_void, bytes: usize) -> *mut c_void {
    resize::<Realloc>(block, bytes)
}

#[unsafe(no_mangle)]
extern "C" fn reallocarray(block: *mut c_void, count: usize, item: usize) -> *mut c_void {
    match count.checked_mul(item) {
        Some(bytes) => resize::<ReallocArray>(block, bytes),
        None => no_memory(),
    }
}

/// An alignment that is no power of two is rounded up to one, as the C library does.
#[unsafe(no_mangle)]
extern "C" fn memalign(alignment: usize, bytes: usize) -> *mut c_void {
    aligned(alignment.checked_next_power_of_two().unwrap_or(0), bytes)
}

#[unsafe(no_mangle)]
extern "C" fn aligned_alloc(alignment: usize, bytes: usize) -> *mut c_void {
    aligned(alignment, bytes)
}

/// # Safety
/// - `out` can be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(out: *mut *mut c_void, alignment: usize, bytes: usize) -> c_int {
    if !is_alignment(alignment) || !alignment.is_multiple_of(size_of::<*mut c_void>()) {
        return libc::EINVAL;
    }
    let before = errno();
    let block = aligned(alignment, bytes);
    // This function returns its error and leaves `errno` alone.
    set_errno(before);
    if block.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller's obligation.
    unsafe { *out = block };
    0
}

#[unsafe(no_mangle)]
extern "C" fn valloc(bytes: usize) -> *mut c_void {
    aligned(crate::sys::os::page_bytes(), bytes)
}

#[unsafe(no_mangle)]
extern "C" fn pvalloc(bytes: usize) -> *mut c_void {
    let page = crate::sys::os::page_bytes();
    match bytes.max(1).checked_next_multiple_of(page) {
        Some(bytes) => aligned(page, bytes),
        None => no_memory(),
    }
}

/// The bytes that may be used; 0 if `block` is no live block.
#[unsafe(no_mangle)]
extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    let located = pool::locate(block as usize).filter(|located| located.start == block as usize);
    located.map_or(0, |located| located.usable)
}

/// 1 if memory went back to the system.
#[unsafe(no_mangle)]
extern "C" fn malloc_trim(keep: usize) -> c_int {
    let before = errno();
    let released = enter(|pool, _| pool.trim(keep)).unwrap_or(0);
    set_errno(before);
    c_int::from(released > 0)
}

/// The C library's statistics, where the pool has a counterpart; else 0.
#[unsafe(no_mangle)]
extern "C" fn mallinfo2() -> libc::mallinfo2 {
    // SAFETY: plain numbers.
    let mut info: libc::mallinfo2 = unsafe { core::mem::zeroed() };
    if let Some(stats) = enter(|pool, _| pool.query()) {
        info.arena = stats.reserved_bytes as usize;
        info.uordblks = stats.in_use_bytes as usize;
        info.fordblks = stats.cached_bytes as usize;
        info.keepcost = stats.cached_bytes as usize;
    }
    info
}

/// `mallinfo2` with numbers capped at 2 GiB.
#[unsafe(no_mangle)]
extern "C" fn mallinfo() -> libc::mallinfo {
    let all = mallinfo2();
    let number = |value: usize| c_int::try_from(value).unwrap_or(c_int::MAX);
    // SAFETY: plain numbers.
    let mut info: libc::mallinfo = unsafe { core::mem::zeroed() };
    info.arena = number(all.arena);
    info.uordblks = number(all.uordblks);
    info.fordblks = number(all.fordblks);
    info.keepcost = number(all.keepcost);
    info
}

/// Prints what `TENURE_MALLOC_STATS` prints when the process ends.
#[unsafe(no_mangle)]
extern "C" fn malloc_stats() {
    enter(|pool, _| report::statistics(pool));
}
