//! Section "ipc": the same bytes in two processes of this machine.
//!
//! The exporter sends a descriptor, which is plain data, and a file descriptor, by whatever transport it likes: a
//! socket with SCM_RIGHTS, inheritance, pidfd_getfd. The memory exists as long as a process has it mapped or has a
//! descriptor: it outlives the exporter. Claims, guards and promises belong to a process: those of one do not keep the
//! other from its bytes. An array is shared, or it is given: then one process at most uses it. Memory of a GPU is
//! otherwise: it exists as long as the process that allocated it, and can be shared, but not given.

use crate::boundary::enter;
use crate::error::fail;
use crate::exchange::ipc::{self, MOST_BYTES};
use crate::ffi::convert::{self, Out};
use crate::types::*;
use core::ffi::c_void;

/// Exports an array to other processes. An array in shareable memory (TN_POOL_SHAREABLE, and TN_POOL_IPC on a GPU) is
/// shared, any other is copied there.
///
/// The importer of an array on a GPU waits on its stream for the work that this process has queued on the array. A GPU
/// cannot keep importers from writing a read-only export. Its memory goes back to the driver when the array has ended,
/// every importer has ended or released it, and `fd` and its copies are closed. When this process ends, the memory
/// ends, and importers get TN_ERR_DRIVER.
///
/// @param array        An array. It may be released while the export lives.
/// @param flags        No flag, TN_BORROW: an array elsewhere is copied; its importers see no later changes.
///                     TN_REQUIRE_BORROW: shared, else an error. No TN_IPC_WRITABLE: read-only for both sides, until
///                     `guard` ends for this one, and for ever for others: the memory is sealed, and later exports with
///                     TN_IPC_WRITABLE need a copy. TN_IPC_WRITABLE: a shared view, which all may write; who writes
///                     when is up to the programs. TN_IPC_GIVE: the array is offered; it is never copied, has no other
///                     handle, and was never exported by this function. Nobody uses it until `guard` ends. Then its
///                     handle is destructed if a process took it, and usable as before if not. Also TN_IPC_PRIVATE,
///                     TN_WAIT.
/// @param capacity     Bytes at `descriptor`; TN_IPC_DESCRIPTOR_BYTES are always enough.
/// @param[out] descriptor  Plain data that any process of this machine can import, any number of times; an offered
///     array: once.
/// @param[out] descriptor_bytes  Its size, about 150 bytes, or 300 for a GPU, and 16 for each axis.
/// @param[out] fd      A descriptor of the memory, or for a GPU of a file by which the two processes know of each
///                     other; the caller's to close. An exec closes it.
/// @param[out] guard   The guard. Ended by `tn_borrow_end`. Until then the array cannot be written here, or with
///                     TN_IPC_WRITABLE not exclusively. The bytes of importers stay in any case. An offer ends so:
///                     TN_ERR_SHARED if the array was taken, and has other handles, promises or expressions here, which
///                     were made meanwhile; `guard` then stays open.
/// @param[out] how     TN_ALIASED or TN_COPIED; may be NULL. On failure all outputs are untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_COUNT
///         for too little capacity; TN_ERR_UNSUPPORTED before Linux 5.1, for a GPU without IPC, and for TN_IPC_GIVE of
///         an array on a GPU; TN_ERR_DEVICE, TN_ERR_DRIVER for a GPU that cannot be used; TN_ERR_POISONED,
///         TN_ERR_READONLY, TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED, TN_ERR_EXPORTED, TN_ERR_SHARED,
///         TN_ERR_IN_EXPRESSION; TN_ERR_FOREIGN, TN_ERR_ALIASED for an offer of shared memory; TN_ERR_PENDING;
///         TN_ERR_WOULD_COPY; TN_ERR_IO without a descriptor; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY,
///         TN_ERR_LIMIT.
/// @note Threads: any. Blocks: on the host with TN_WAIT, until the device's work is done. Allocates: bookkeeping, or
///       the copy.
/// @since 0.1
/// @ingroup ipc
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_export_ipc(
    array: *mut tn_array,
    flags: tn_borrow_flags,
    capacity: usize,
    descriptor: *mut c_void,
    descriptor_bytes: *mut usize,
    fd: *mut i32,
    guard: *mut *mut tn_borrow,
    how: *mut tn_how,
) -> tn_status {
    enter("tn_array_export_ipc", || {
        let id = convert::id(array, "array")?;
        let descriptor = Out::new(descriptor.cast::<u8>(), "descriptor")?;
        let bytes = Out::new(descriptor_bytes, "descriptor_bytes")?;
        let (fd, guard) = (Out::new(fd, "fd")?, Out::new(guard, "guard")?);
        let (exported, sent) = ipc::export(c"tn_array_export_ipc", id, flags, capacity)?;
        // SAFETY: writable by this function's documentation; `capacity` bytes are enough, which `export` checked.
        unsafe {
            core::ptr::copy_nonoverlapping(sent.descriptor.as_ptr(), descriptor.pointer(), sent.bytes);
            bytes.write(sent.bytes);
            fd.write(sent.file.into_fd());
            convert::write_opt(how, exported.how);
            guard.write(convert::handle(exported.guard.publish()));
        }
        Ok(())
    })
}

/// Makes an array of the bytes that another process exported, or this one. Nothing is copied. The call is safe whoever
/// made the descriptor and the file.
///
/// A shared array is FOREIGN: it is never overwritten in place by the library. An array that was given is this
/// process's alone, as if it had been made here. Its memory goes back to no pool. Its name is that of the exported
/// array. An import of an array without a name has the exporter's process id in its name: "(process 5214)". In a
/// process that has the memory already, because it exported or imported it, it is another handle on the same array.
///
/// @param descriptor   The descriptor. It is read during the call only.
/// @param descriptor_bytes  Its size.
/// @param fd           The descriptor of the memory. It stays the caller's, and may be closed after the call.
/// @param flags        No flag: the handle is READONLY, and the memory is mapped so. TN_IPC_WRITABLE: writable, if the
///                     export is. TN_IPC_GIVE: takes an array that is offered. TN_IPC_TRUSTED.
/// @param[out] out     The array. Released by `tn_array_release`. On failure: untouched, and nothing stays mapped.
/// @param[out] how     TN_ALIASED; may be NULL.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for what is no descriptor, and for an fd that is no memory, or could
///         shrink; TN_ERR_UNSUPPORTED for a descriptor of a later version; TN_ERR_DTYPE, TN_ERR_SHAPE, TN_ERR_OVERFLOW,
///         TN_ERR_RANGE, TN_ERR_LAYOUT for an array that does not fit into the memory; TN_ERR_IO for a closed fd;
///         TN_ERR_READONLY; TN_ERR_GIVEN for an offered array without TN_IPC_GIVE, TN_ERR_INVALID for a shared one with
///         it, TN_ERR_DESTRUCTED for one that was taken before, or whose offer has ended. Of an array on a GPU:
///         TN_ERR_DEVICE if this process does not have that GPU, TN_ERR_STALE if the exporter has freed the memory or
///         has ended, TN_ERR_DRIVER, TN_ERR_ALIASED, TN_ERR_UNSUPPORTED for TN_IPC_GIVE. TN_ERR_NO_HOST_MEMORY,
///         TN_ERR_LIMIT.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping, and addresses.
/// @since 0.1
/// @ingroup ipc
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_import_ipc(
    descriptor: *const c_void,
    descriptor_bytes: usize,
    fd: i32,
    flags: tn_borrow_flags,
    out: *mut *mut tn_array,
    how: *mut tn_how,
) -> tn_status {
    enter("tn_array_import_ipc", || {
        convert::id(descriptor, "descriptor")?;
        let out = Out::new(out, "out")?;
        if descriptor_bytes > MOST_BYTES {
            return Err(fail(
                TN_ERR_INVALID,
                format_args!("descriptor_bytes is {descriptor_bytes}, and no descriptor has more than {MOST_BYTES}"),
            ));
        }
        let mut bytes = [0u8; MOST_BYTES];
        // SAFETY: the descriptor has that many bytes, by this function's documentation. They are copied, because others
        // may change them.
        unsafe { core::ptr::copy_nonoverlapping(descriptor.cast::<u8>(), bytes.as_mut_ptr(), descriptor_bytes) };
        let imported = ipc::import(c"tn_array_import_ipc", &bytes[..descriptor_bytes], fd, flags)?;
        // SAFETY: writable by this function's documentation.
        unsafe { convert::write_import(imported, out, how) };
        Ok(())
    })
}
