//! Temporary host memory.
//!
//! Contract: asking for it may fail, with a status; it is given back when it is dropped. Its bytes start undefined.

use crate::error::{Result, fail};
use crate::types::TN_ERR_NO_HOST_MEMORY;
use std::alloc::{Layout as Request, alloc, dealloc};

/// Alignment in bytes: a cache line, so that no element size straddles one needlessly.
const ALIGN: usize = 64;

/// A temporary block, 64-byte aligned.
pub struct Scratch {
    address: *mut u8,
    request: Request,
}

impl Scratch {
    /// Takes `bytes` bytes, or says TN_ERR_NO_HOST_MEMORY.
    pub fn new(bytes: usize) -> Result<Scratch> {
        let Ok(request) = Request::from_size_align(bytes.max(1), ALIGN) else { return Err(refused(bytes)) };
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
        // SAFETY: made by `alloc` with this very request, and dropped once.
        unsafe { dealloc(self.address, self.request) };
    }
}

#[cold]
fn refused(bytes: usize) -> crate::error::Status {
    fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for a temporary of {bytes} bytes; release something first"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_is_a_status() {
        for bytes in [usize::MAX, isize::MAX as usize, 1 << 60] {
            assert_eq!(Scratch::new(bytes).err().map(|s| s.code()), Some(TN_ERR_NO_HOST_MEMORY));
        }
    }

    #[test]
    fn none_at_all_is_a_block_too() {
        let scratch = Scratch::new(0).unwrap();
        assert_eq!(scratch.address() as usize % ALIGN, 0);
    }
}
