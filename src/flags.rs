//! Checks the flags that a C caller passes.
//!
//! Contract: the error message shows the unknown bits and names every flag that the call takes. Any thread.
#![forbid(unsafe_code)]

use crate::error::{Result, fail};
use crate::types::*;
use core::fmt;

/// The flags of one numbering, by name.
pub struct Family(&'static [(u32, &'static str)]);

macro_rules! family {
    ($(#[$about:meta])* $name:ident: $($bit:ident)*) => {
        $(#[$about])*
        pub static $name: Family = Family(&[$(($bit, stringify!($bit))),*]);
    };
}

family! {
    /// What crosses a border of the library: imports and exports, values of variables, inputs and outputs of functions.
    CROSSING: TN_BORROW TN_REQUIRE_BORROW TN_RAW TN_MAY_OVERWRITE TN_TAKE_OWNERSHIP TN_RELEASE_QUEUED TN_STRICT TN_REUSE TN_IMPORT_READONLY
        TN_IMPORT_WRITABLE TN_EXPORT_WRITABLE TN_EXPORT_EXCLUSIVE TN_EXPORT_CONSUMER_READS TN_EXPORT_NONNEGATIVE TN_UNORDERED
        TN_CUDAMAT_TRANSPOSED TN_IPC_PRIVATE TN_IPC_WRITABLE TN_IPC_TRUSTED TN_IPC_GIVE TN_EXPORT_C_CONTIGUOUS
        TN_WAIT
}
family! {
    /// Write modes, and flags of reads.
    USE: TN_WRITE_UNIQUE TN_WRITE_COW TN_WRITE_DISCARD TN_FROZEN TN_REQUIRE_ASYNC TN_INTERPROCESS TN_WAIT
}
family! {
    /// Ending a guard.
    END: TN_END_FAILED
}
family! {
    /// Creating a stream.
    STREAM: TN_STREAM_BLOCKING
}
family! {
    /// Launching a kernel.
    LAUNCH: TN_LAUNCH_COOPERATIVE TN_LAUNCH_OVERLAP
}
family! {
    /// Creating an event.
    EVENT: TN_EVENT_TIMING
}
family! {
    /// Entering a stream.
    SCOPE: TN_AUTO_SYNCHRONIZE
}
family! {
    /// Describing a device.
    QUERY: TN_QUERY_MEMORY
}
family! {
    /// The memory of an upstream.
    UPSTREAM: TN_UPSTREAM_ZEROED TN_UPSTREAM_THREAD_SAFE TN_UPSTREAM_PARTIAL_FREE
}
family! {
    /// Creating a pool.
    POOL: TN_POOL_PREFAULT TN_POOL_DIRECT TN_POOL_STRICT TN_POOL_ZERO_ON_FREE TN_POOL_SHAREABLE TN_POOL_IPC
        TN_POOL_READONLY_EXPORTS
}
family! {
    /// Saving files.
    SAVE: TN_IO_SYNC TN_IO_EXCLUSIVE
}
family! {
    /// Computing an expression.
    COMPUTE: TN_KEEP_ON_FAIL
}
family! {
    /// Page-locking.
    HOST: TN_HOST_PORTABLE TN_HOST_MAPPED TN_HOST_READ_ONLY TN_HOST_BEST_EFFORT
}

/// The flags that a call takes, as a list of names.
struct Taken<'a>(&'a Family, u32);

impl fmt::Display for Taken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "it takes ";
        for (_, name) in self.0.0.iter().filter(|(bit, _)| bit & self.1 != 0) {
            write!(f, "{before}{name}")?;
            before = ", ";
        }
        if self.1 == 0 { f.write_str("it takes 0 only") } else { Ok(()) }
    }
}

/// TN_ERR_INVALID for bits other than `known`; `what` is the parameter's name.
#[inline]
pub fn check(what: &str, bits: u32, known: u32, family: &Family) -> Result<()> {
    if bits & !known == 0 { Ok(()) } else { refuse(what, bits, known, family) }
}

#[cold]
#[inline(never)]
fn refuse(what: &str, bits: u32, known: u32, family: &Family) -> Result<()> {
    let wrong = bits & !known;
    Err(fail(
        TN_ERR_INVALID,
        format_args!("{what} {bits:#x} has bits that this call does not take: {wrong:#x}; {}", Taken(family, known)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_what_could_stand_there() {
        assert!(check("flags", TN_BORROW, TN_BORROW | TN_WAIT, &CROSSING).is_ok());
        assert!(check("flags", TN_BORROW | 1 << 30, TN_BORROW | TN_WAIT, &CROSSING).is_err());
        let wanted = "flags 0x40000001 has bits that this call does not take: 0x40000000; it takes TN_BORROW, TN_WAIT";
        assert_eq!(crate::error::drafted().as_str(), wanted);
        assert!(check("mode", TN_FROZEN, TN_WRITE_COW, &USE).is_err());
        let wanted = "mode 0x8 has bits that this call does not take: 0x8; it takes TN_WRITE_COW";
        assert_eq!(crate::error::drafted().as_str(), wanted);
        assert!(check("flags", 1, 0, &CROSSING).is_err());
        assert!(crate::error::drafted().as_str().ends_with(": 0x1; it takes 0 only"));
    }
}
