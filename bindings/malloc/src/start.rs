//! The pool behind the functions, and the environment variables.
//!
//! Contract: the host's default pool, made by the first call of the process, which may come before any constructor. The variables are read
//! then; an invalid value is reported and ignored. Without memory for the pool the call fails, and the next call tries again.

use crate::error::{Text, drafted};
use crate::pool::{self, Pool};
use crate::report::{self, Misuse};
use crate::sys::os;
use crate::types::*;
use crate::{options, thread};
use core::ffi::{CStr, c_char};
use core::fmt::Write;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

static POOL: AtomicPtr<Pool> = AtomicPtr::new(core::ptr::null_mut());

/// The system's number of the thread that is making the pool; 0 if none is.
static MAKER: AtomicU32 = AtomicU32::new(0);

/// The pool, or None if there is no memory for it. The calling thread must have a record.
#[inline]
pub fn pool() -> Option<&'static Pool> {
    // Acquire pairs with the Release in `make`.
    // SAFETY: NULL or a pool; pools are never unmapped.
    unsafe { POOL.load(Ordering::Acquire).as_ref() }.or_else(first)
}

#[cold]
#[inline(never)]
fn first() -> Option<&'static Pool> {
    let own = thread::current().number();
    while MAKER.compare_exchange(0, own, Ordering::Acquire, Ordering::Relaxed).is_err() {
        os::sleep_us(50);
        // SAFETY: as in `pool`.
        if let Some(pool) = unsafe { POOL.load(Ordering::Acquire).as_ref() } {
            return Some(pool);
        }
    }
    read_environment();
    let made = pool::default(tn_device { r#type: TN_CPU, id: 0 }).ok();
    if let Some(pool) = made {
        POOL.store(core::ptr::from_ref(pool).cast_mut(), Ordering::Release);
    }
    MAKER.store(0, Ordering::Release);
    made
}

unsafe extern "C" {
    fn secure_getenv(name: *const c_char) -> *const c_char;
}

/// A variable's value. None if it is not set or empty, or if the program is set-user-ID.
fn variable(name: &CStr) -> Option<&'static str> {
    // SAFETY: a C string; the environment is not changed before the first allocation.
    let value = unsafe { secure_getenv(name.as_ptr()).as_ref() }?;
    // SAFETY: as above.
    let value = unsafe { CStr::from_ptr(value) };
    Some(value.to_str().unwrap_or("?")).filter(|value| !value.is_empty())
}

fn read_environment() {
    if let Some(value) = variable(c"TENURE_MALLOC_MISUSE") {
        match value {
            "report" => report::set(Misuse::Report),
            "abort" => report::set(Misuse::Abort),
            "ignore" => report::set(Misuse::Ignore),
            _ => refuse("TENURE_MALLOC_MISUSE", "report, abort or ignore", value),
        }
    }
    match variable(c"TENURE_MALLOC_STATS") {
        None | Some("0") => {}
        Some("1") => report::print_statistics_at_exit(),
        Some(value) => refuse("TENURE_MALLOC_STATS", "0 or 1", value),
    }
    let mut flags = 0;
    match variable(c"TENURE_MALLOC_STRICT") {
        None | Some("0") => {}
        Some("1") => {
            flags |= TN_POOL_STRICT;
            pool::on_damage(report::damage);
        }
        Some(value) => refuse("TENURE_MALLOC_STRICT", "0 or 1", value),
    }
    let mut text = Text::new();
    if flags != 0 && write!(text, "{flags}").is_ok() && options::set("pool.cpu.flags", text.as_str()).is_err() {
        report::say(format_args!("{}", drafted().as_str()));
    }
    if let Some(value) = variable(c"TENURE_MALLOC_LIMIT")
        && options::set("pool.cpu.max_size", value).is_err()
    {
        refuse("TENURE_MALLOC_LIMIT", "a number of bytes, with KiB, MiB or GiB behind it", value);
    }
}

#[cold]
fn refuse(name: &str, takes: &str, value: &str) {
    report::say(format_args!("{name} must be {takes}, not \"{value}\"; the variable is ignored"));
}
