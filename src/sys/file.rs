//! Files and mappings.

/// Ends a mapping.
///
/// # Safety
/// - The range is a mapping of this library's, and nobody uses its bytes any more.
pub unsafe fn unmap(address: usize, bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe { libc::munmap(address as *mut libc::c_void, bytes) };
}
