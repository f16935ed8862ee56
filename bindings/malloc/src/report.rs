//! Messages on the standard error: invalid frees and statistics.
//!
//! Contract: a line is one write of at most 500 bytes, built on the stack; it needs no memory and no lock. An invalid free has changed
//! nothing before it is reported.

use crate::error::{Text, drafted};
use crate::pool::Pool;
use crate::sys::os;
use crate::types::tn_pool_stats;
use crate::{start, thread};
use core::ffi::{CStr, c_char};
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// The effect of an invalid free; every one is counted too.
#[derive(Clone, Copy, PartialEq)]
#[repr(u8)]
pub enum Misuse {
    /// The first one is reported.
    Report = 0,
    /// It is reported, and the process ends.
    Abort = 1,
    /// Nothing more.
    Ignore = 2,
}

static MISUSE: AtomicU8 = AtomicU8::new(Misuse::Report as u8);
static IS_REPORTED: AtomicBool = AtomicBool::new(false);
static PRINTS_STATISTICS: AtomicBool = AtomicBool::new(false);

/// Chooses what an invalid free does.
pub fn set(misuse: Misuse) {
    MISUSE.store(misuse as u8, Ordering::Relaxed);
}

/// Has the statistics printed when the process ends.
pub fn print_statistics_at_exit() {
    PRINTS_STATISTICS.store(true, Ordering::Relaxed);
}

unsafe extern "C" {
    static program_invocation_short_name: *const c_char;
}

/// Prints a line that starts with the library's and the program's name.
#[cold]
pub fn say(text: fmt::Arguments<'_>) {
    let mut line = Text::new();
    // SAFETY: the C library's variable: NULL until it is set, then a C string.
    let program = unsafe { program_invocation_short_name.as_ref().map(|name| CStr::from_ptr(name)) };
    let program = program.and_then(|name| name.to_str().ok()).unwrap_or("?");
    let whole = writeln!(line, "tenure_malloc: {program}[{}]: {text}", std::process::id()).is_ok();
    // A message that is too long is cut and still ends the line.
    os::print_error(&[line.as_str(), if whole { "" } else { "\n" }]);
}

/// Reports that `function` was passed no live block; the pool has drafted the reason.
#[cold]
pub fn misuse(function: &str) {
    let mode = MISUSE.load(Ordering::Relaxed);
    if mode == Misuse::Abort as u8 {
        say(format_args!("{function}: {}", drafted().as_str()));
        std::process::abort();
    }
    if mode == Misuse::Report as u8 && !IS_REPORTED.swap(true, Ordering::Relaxed) {
        let rest = "nothing was changed; further ones are counted only (TENURE_MALLOC_MISUSE=abort stops here)";
        say(format_args!("{function}: {}; {rest}", drafted().as_str()));
    }
}

/// Reports a write to freed memory, which a strict pool found.
#[cold]
pub fn damage(what: fmt::Arguments<'_>) {
    let mode = MISUSE.load(Ordering::Relaxed);
    if mode == Misuse::Abort as u8 {
        say(what);
        std::process::abort();
    }
    if mode == Misuse::Report as u8 && !IS_REPORTED.swap(true, Ordering::Relaxed) {
        say(format_args!("{what}; further misuses are counted only (TENURE_MALLOC_MISUSE=abort stops here)"));
    }
}

/// Prints the pool's statistics.
pub fn statistics(pool: &'static Pool) {
    let s: tn_pool_stats = pool.query();
    say(format_args!(
        "in use {} bytes (peak {}), reserved {} (peak {}), cached {}, calls {} allocations {} frees, served by threads {}, \
         from the system {}, failures {}, misuses {}",
        s.in_use_bytes,
        s.peak_in_use_bytes,
        s.reserved_bytes,
        s.peak_reserved_bytes,
        s.cached_bytes,
        s.allocation_count,
        s.deallocation_count,
        s.thread_hit_count,
        s.device_allocate_count,
        s.failure_count,
        s.misuse_count,
    ));
}

/// Runs when the process ends by `exit`, after the program's own handlers.
extern "C" fn at_exit() {
    if PRINTS_STATISTICS.load(Ordering::Relaxed)
        && thread::current_if_registered().is_some()
        && let Some(pool) = start::pool()
    {
        statistics(pool);
    }
}

#[used]
#[unsafe(link_section = ".fini_array")]
static AT_EXIT: extern "C" fn() = at_exit;
