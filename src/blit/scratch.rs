//! Temporary host memory.
//!
//! Contract: an allocation may fail with a status. The drop frees it. Its bytes are uninitialised.

use crate::error::{Result, fail};
use crate::sys::file::Errno;
use crate::types::TN_ERR_NO_HOST_MEMORY;
use std::alloc::{Layout as Request, alloc, dealloc};

/// The alignment of a cache line, so that elements do not straddle lines needlessly.
const ALIGNMENT_BYTES: usize = 64;

/// A temporary block of host memory, aligned to 64 bytes.
pub struct Scratch {
    address: *mut u8,
    request: Request,
}

impl Scratch {
    /// Allocates `bytes` bytes. Fails with TN_ERR_NO_HOST_MEMORY.
    pub fn new(bytes: usize) -> Result<Scratch> {
        let Ok(request) = Request::from_size_align(bytes.max(1), ALIGNMENT_BYTES) else { return Err(refused(bytes)) };
        // SAFETY: the size is not 0.
        let address = unsafe { alloc(request) };
        if address.is_null() { Err(refused(bytes)) } else { Ok(Scratch { address, request }) }
    }

    /// The first byte.
    pub fn address(&self) -> *mut u8 {
        self.address
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: allocated by `alloc` with this request, and dropped once.
        unsafe { dealloc(self.address, self.request) };
    }
}

#[cold]
fn refused(bytes: usize) -> crate::error::Status {
    let reason = Errno::NO_MEMORY;
    fail(
        TN_ERR_NO_HOST_MEMORY,
        format_args!("no memory for a temporary of {bytes} bytes: {reason}; release something first"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocation_that_is_too_large_fails_with_a_status() {
        for bytes in [usize::MAX, isize::MAX as usize, 1 << 60] {
            assert_eq!(Scratch::new(bytes).err().map(|s| s.code()), Some(TN_ERR_NO_HOST_MEMORY));
        }
    }

    #[test]
    fn an_empty_block_is_aligned_too() {
        let scratch = Scratch::new(0).unwrap();
        assert_eq!(scratch.address() as usize % ALIGNMENT_BYTES, 0);
    }
}
