//! The five functions of UMF's provider table for other processes: blocks of a pool with TN_POOL_SHAREABLE.
//!
//! Contract: a handle is plain data, and names a descriptor of the block's memory in the process that made it. It opens
//! as long as that process runs and has the block; access to its descriptors is the system's to refuse. A handle is
//! checked, whoever sent it. What is open stays, whatever becomes of that process. Blocks of other pools are
//! NOT_SUPPORTED.

use super::common::write;
use super::provider_call::{check_block, enter};
use super::record::target;
use super::tables;
use crate::device::shareable;
use crate::error::{Result, Status, fail};
use crate::exchange::ipc;
use crate::grow_unlocked;
use crate::sys::file::{Access, Errno, File, Mapping, Name};
use crate::sys::memory_file;
use crate::sys::process::Process;
use crate::thread::QuickLock;
use crate::types::*;
use core::ffi::c_void;
use core::fmt::Write as _;

const MAGIC: u64 = u64::from_ne_bytes(*b"TNUMFIPC");

/// What one process sends another.
#[repr(C)]
#[derive(Clone, Copy)]
struct Handle {
    magic: u64,
    /// The process that has the block.
    process: [u64; 3],
    /// Its descriptor of the block's memory.
    fd: i64,
    identity: [u64; 2],
    bytes: u64,
}

/// What is open: the first address, the bytes that UMF knows, and the bytes that are mapped.
static OPEN: QuickLock<Vec<(usize, usize, usize)>> = QuickLock::new(Vec::new());

pub(super) extern "C" fn get_ipc_handle_size(provider: *mut c_void, out: *mut usize) -> tables::Result {
    enter(|| {
        check_pool(target(provider)?.live()?.is_shareable())?;
        write(out, size_of::<Handle>())
    })
}

fn check_pool(is_shareable: bool) -> Result<()> {
    if is_shareable {
        return Ok(());
    }
    Err(fail(TN_ERR_UNSUPPORTED, format_args!("the provider's pool shares no memory; make it with TN_POOL_SHAREABLE")))
}

pub(super) extern "C" fn get_ipc_handle(
    provider: *mut c_void,
    ptr: *const c_void,
    bytes: usize,
    out: *mut c_void,
) -> tables::Result {
    enter(|| {
        let target = target(provider)?;
        check_pool(target.live()?.is_shareable())?;
        check_block(&target, ptr, bytes)?;
        let range = shareable::find(ptr as usize).filter(|range| range.is_own && range.start == ptr as usize);
        let Some(range) = range else {
            return Err(fail(TN_ERR_UNSUPPORTED, format_args!("the block at {ptr:p} is a part of one that was split")));
        };
        if range.readonly {
            let text = "its pool has TN_POOL_READONLY_EXPORTS, and what other processes open here they can write";
            return Err(fail(TN_ERR_UNSUPPORTED, format_args!("the block at {ptr:p} is not shared: {text}")));
        }
        let process = Process::this();
        // What is open elsewhere can be written there. It is opened by the descriptor's number.
        shareable::set_untracked(range.start);
        ipc::note_exported(range.start, false);
        let handle = Handle {
            magic: MAGIC,
            process: [process.id.into(), process.started, process.namespace],
            fd: range.fd.into(),
            identity: [range.identity.0, range.identity.1],
            bytes: bytes as u64,
        };
        write_handle(out, handle)
    })
}

fn write_handle(out: *mut c_void, handle: Handle) -> Result<()> {
    if out.is_null() {
        return Err(fail(TN_ERR_NULL, format_args!("the handle is NULL")));
    }
    // SAFETY: not NULL; UMF's room of the size that `get_ipc_handle_size` told, at any alignment.
    unsafe { out.cast::<Handle>().write_unaligned(handle) };
    Ok(())
}

pub(super) extern "C" fn put_ipc_handle(provider: *mut c_void, _handle: *mut c_void) -> tables::Result {
    // A handle holds nothing.
    enter(|| target(provider).map(|_| ()))
}

pub(super) extern "C" fn open_ipc_handle(
    provider: *mut c_void,
    handle: *mut c_void,
    out: *mut *mut c_void,
) -> tables::Result {
    enter(|| {
        check_pool(target(provider)?.live()?.is_shareable())?;
        if handle.is_null() || out.is_null() {
            return Err(fail(TN_ERR_NULL, format_args!("the handle or the output is NULL")));
        }
        // SAFETY: not NULL, and of the size that `get_ipc_handle_size` told; plain data at any alignment.
        let handle = unsafe { handle.cast::<Handle>().read_unaligned() };
        let file = find_file(&handle)?;
        let bytes = check_file(&handle, &file)?;
        let mapping = file.map(bytes, Access::Write).map_err(|errno| {
            fail(TN_ERR_NO_HOST_MEMORY, format_args!("the {bytes} bytes of a handle could not be mapped: {errno}"))
        })?;
        let start = mapping.address as usize;
        let Ok(mut open) = grow_unlocked::lock(&OPEN, 16) else {
            // SAFETY: mapped above, and nobody has the address.
            unsafe { mapping.unmap() };
            return Err(fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for the bookkeeping of one more handle")));
        };
        open.push((start, handle.bytes as usize, bytes));
        drop(open);
        write(out, start as *mut c_void)
    })
}

#[cold]
fn stale(what: core::fmt::Arguments<'_>) -> Status {
    fail(TN_ERR_STALE, format_args!("the handle cannot be opened: {what}"))
}

/// The file of a handle, by the other process's descriptor.
fn find_file(handle: &Handle) -> Result<File> {
    let [id, started, namespace] = handle.process;
    let process = Process { id: id as u32, started, namespace };
    if handle.magic != MAGIC || u64::from(process.id) != id || !(0..=i32::MAX.into()).contains(&handle.fd) {
        return Err(fail(TN_ERR_INVALID, format_args!("the handle is none of tn_umf_provider_ops, or was damaged")));
    }
    if process.is_running() != Some(true) {
        return Err(stale(format_args!("process {id} has ended, or cannot be seen from here")));
    }
    let mut path = Name::default();
    let _ = write!(path, "/proc/{id}/fd/{}", handle.fd);
    let flags = libc::O_RDWR | libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NONBLOCK;
    File::open(None, path.as_cstr(), flags, 0)
        .map_err(|errno| stale(format_args!("descriptor {} of process {id}: {errno}", handle.fd)))
}

/// Checks that the file is the memory that the handle means, and returns its size.
fn check_file(handle: &Handle, file: &File) -> Result<usize> {
    let io = |errno: Errno| stale(format_args!("{errno}"));
    let stat = file.stat().map_err(io)?;
    let is_memory = stat.is_regular() && memory_file::seals(file).is_ok_and(|seals| seals & libc::F_SEAL_SHRINK != 0);
    if [stat.identity.0, stat.identity.1] != handle.identity || !is_memory {
        return Err(stale(format_args!("process {} has freed the block", handle.process[0])));
    }
    match usize::try_from(stat.bytes) {
        Ok(bytes) if handle.bytes > 0 && handle.bytes <= stat.bytes => Ok(bytes),
        _ => {
            let text = format_args!("a handle of {} bytes, whose memory has {}", handle.bytes, stat.bytes);
            Err(fail(TN_ERR_RANGE, text))
        }
    }
}

pub(super) extern "C" fn close_ipc_handle(provider: *mut c_void, ptr: *mut c_void, bytes: usize) -> tables::Result {
    enter(|| {
        target(provider)?;
        let mut open = OPEN.lock();
        let at = open.iter().position(|(start, size, _)| (*start, *size) == (ptr as usize, bytes));
        let closed = at.map(|at| open.swap_remove(at));
        drop(open);
        let Some((_, _, mapped)) = closed else {
            let text = format_args!("{ptr:p} with {bytes} bytes is not what a handle was opened to");
            return Err(fail(TN_ERR_INVALID, text));
        };
        // SAFETY: mapped when the handle was opened; its entry is gone, so it is unmapped once. UMF no longer uses it.
        unsafe { Mapping { address: ptr.cast(), bytes: mapped }.unmap() };
        Ok(())
    })
}
