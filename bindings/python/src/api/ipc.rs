//! The C functions for arrays of other processes.

use super::{Id, Result, check, made};
use crate::sys::*;
use core::ffi::c_int;
use core::ptr::null_mut;

/// An export: the descriptor, the file descriptor, which is the caller's, and the guard.
pub struct Sent {
    pub descriptor: Vec<u8>,
    pub fd: c_int,
    pub hold: Id,
}

/// Exports an array to other processes.
pub fn export(array: Id, flags: u32) -> Result<Sent> {
    let mut descriptor = vec![0u8; TN_IPC_DESCRIPTOR_BYTES];
    let (mut bytes, mut fd) = (0, -1);
    let at = descriptor.as_mut_ptr().cast();
    // SAFETY: a checked id; the descriptor has the size that is passed, and the outputs are writable.
    let hold = made(|hold| unsafe {
        tn_array_export_ipc(array.raw(), flags, TN_IPC_DESCRIPTOR_BYTES, at, &mut bytes, &mut fd, hold, null_mut())
    })?;
    descriptor.truncate(bytes);
    Ok(Sent { descriptor, fd, hold })
}

/// An array of another process. The file descriptor stays the caller's.
pub fn import(descriptor: &[u8], fd: c_int, flags: u32) -> Result<Id> {
    let at = descriptor.as_ptr().cast();
    // SAFETY: the descriptor has the size that is passed; `out` is writable.
    made(|out| unsafe { tn_array_import_ipc(at, descriptor.len(), fd, flags, out, null_mut()) })
}

/// Ends the guard of an export.
pub fn end(hold: Id) -> Result<()> {
    // SAFETY: a checked id; no stream.
    check(unsafe { tn_borrow_end(hold.raw(), 0, null_mut()) })
}
