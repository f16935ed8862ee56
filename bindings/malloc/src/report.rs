//! What the library says on the standard error: wrong frees, and figures.
//!
//! Contract: a line is one write of at most 500 bytes, built in place; needs no memory and no lock. A wrong free has changed nothing before
//! it comes here.

use crate::error::{Text, drafted};
use crate::pool::Pool;
use crate::sys::os;
use crate::types::tn_pool_stats;
use crate::{start, thread};
use core::ffi::{CStr, c_char};
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// What becomes of a wrong free.
#[derive(Clone, Copy, PartialEq)]
#[repr(u8)]
pub enum Misuse {
    /// The first is told, all are counted.
    Report = 0,
    /// Told, and the process ends.
    Abort = 1,
    /// Counted.
    Ignore = 2,
}

static MISUSE: AtomicU8 = AtomicU8::new(Misuse::Report as u8);
static TOLD: AtomicBool = AtomicBool::new(false);
static FIGURES: AtomicBool = AtomicBool::new(false);

/// Chooses what becomes of a wrong free.
pub fn set(misuse: Misuse) {
    MISUSE.store(misuse as u8, Ordering::Relaxed);
}

/// The figures are printed when the process ends.
pub fn ask_for_figures() {
    FIGURES.store(true, Ordering::Relaxed);
}

unsafe extern "C" {
    static program_invocation_short_name: *const c_char;
}

/// Prints a line behind the library's and the program's name.
#[cold]
pub fn say(text: fmt::Arguments<'_>) {
    let mut line = Text::new();
    // SAFETY: the C library's; NULL before it is set, else a text with its NUL.
    let program = unsafe { program_invocation_short_name.as_ref().map(|name| CStr::from_ptr(name)) };
    let program = program.and_then(|name| name.to_str().ok()).unwrap_or("?");
    let whole = writeln!(line, "tenure_malloc: {program}[{}]: {text}", std::process::id()).is_ok();
    // What does not fit is cut.
    os::print_error(&[line.as_str(), if whole { "" } else { "\n" }]);
}

/// A function was passed what is no live block, for the reason that the pool drafted.
#[cold]
pub fn misuse(function: &str) {
    let told = MISUSE.load(Ordering::Relaxed);
    if told == Misuse::Abort as u8 {
        say(format_args!("{function}: {}", drafted().as_str()));
        std::process::abort();
    }
    if told == Misuse::Report as u8 && !TOLD.swap(true, Ordering::Relaxed) {
        let rest = "nothing was changed; further ones are counted only (TENURE_MALLOC_MISUSE=abort stops here)";
        say(format_args!("{function}: {}; {rest}", drafted().as_str()));
    }
}

/// A strict pool found that somebody wrote to what was freed.
#[cold]
pub fn damage(what: fmt::Arguments<'_>) {
    let told = MISUSE.load(Ordering::Relaxed);
    if told == Misuse::Abort as u8 {
        say(what);
        std::process::abort();
    }
    if told == Misuse::Report as u8 && !TOLD.swap(true, Ordering::Relaxed) {
        say(format_args!("{what}; further misuses are counted only (TENURE_MALLOC_MISUSE=abort stops here)"));
    }
}

/// Prints the pool's figures.
pub fn figures(pool: &'static Pool) {
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
extern "C" fn at_end() {
    if FIGURES.load(Ordering::Relaxed)
        && thread::current_if_registered().is_some()
        && let Some(pool) = start::pool()
    {
        figures(pool);
    }
}

#[used]
#[unsafe(link_section = ".fini_array")]
static AT_END: extern "C" fn() = at_end;
