//! Fuzz entry of descriptors of other processes' arrays. The file beside them is a valid one, of 64 KiB, that nobody
//! writes.

use super::{info_of, release, sound};
use std::ffi::{c_int, c_void};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use tenure::ffi::{array, borrow, ipc, pool};
use tenure::types::*;

const FILE_BYTES: usize = 64 << 10;
const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };

/// A pool whose arrays can be exported.
fn shareable() -> *mut tn_pool {
    let mut options = std::mem::MaybeUninit::<tn_pool_options>::zeroed();
    let mut made = null_mut();
    // SAFETY: a struct of the size it says, all zeros otherwise; a writable output.
    unsafe {
        (*options.as_mut_ptr()).size = size_of::<tn_pool_options>();
        (*options.as_mut_ptr()).flags = TN_POOL_SHAREABLE;
        assert_eq!(sound(pool::tn_pool_create(HOST, options.as_ptr(), &mut made)), TN_OK);
    }
    made
}

/// Exports an array of zeros of this shape. Its memory is gone afterwards, but for the file.
fn exported(dtype: tn_dtype, shape: &[i64], flags: u32) -> (Vec<u8>, c_int) {
    let (pool, mut made, mut hold) = (shareable(), null_mut(), null_mut());
    let mut descriptor = vec![0u8; TN_IPC_DESCRIPTOR_BYTES];
    let (mut bytes, mut fd) = (0, -1);
    let at = descriptor.as_mut_ptr().cast::<c_void>();
    // SAFETY: as many lengths as the count says, a descriptor of the capacity that is passed, writable outputs.
    unsafe {
        let ndim = shape.len() as i32;
        assert_eq!(sound(array::tn_array_zeros(pool, dtype, ndim, shape.as_ptr(), null(), &mut made)), TN_OK);
        let sent = ipc::tn_array_export_ipc(
            made,
            flags,
            TN_IPC_DESCRIPTOR_BYTES,
            at,
            &mut bytes,
            &mut fd,
            &mut hold,
            null_mut(),
        );
        assert_eq!(sound(sent), TN_OK);
        assert_eq!(sound(borrow::tn_borrow_end(hold, 0, null_mut())), TN_OK);
        release(made);
        assert_eq!(sound(self::pool::tn_pool_release(pool)), TN_OK);
    }
    descriptor.truncate(bytes);
    (descriptor, fd)
}

/// The file of all inputs.
fn file() -> c_int {
    static FILE: OnceLock<c_int> = OnceLock::new();
    *FILE.get_or_init(|| {
        let (_, fd) = exported(TN_U8, &[FILE_BYTES as i64], TN_IPC_WRITABLE);
        // The beginning of the file of a process that exports memory of GPUs.
        let magic = b"TNEXPORT";
        // SAFETY: as many bytes as are passed, and a descriptor of ours.
        assert_eq!(unsafe { libc::pwrite(fd, magic.as_ptr().cast(), magic.len(), 0) }, magic.len() as isize);
        fd
    })
}

/// The first byte chooses the flags, the rest is the descriptor (IP-4, IP-8, and the table of checks; IP-20, without a
/// GPU).
pub fn descriptors(input: &[u8]) {
    let Some((first, descriptor)) = input.split_first() else { return };
    let flags =
        [0, TN_IPC_WRITABLE, TN_IPC_TRUSTED, TN_IPC_WRITABLE | TN_IPC_TRUSTED, TN_IPC_GIVE][usize::from(first % 5)];
    let (mut out, at) = (null_mut(), descriptor.as_ptr().cast());
    // SAFETY: a descriptor of the size that is passed, a writable output.
    let status = sound(unsafe { ipc::tn_array_import_ipc(at, descriptor.len(), file(), flags, &mut out, null_mut()) });
    assert_eq!(status == TN_OK, !out.is_null(), "an output that contradicts the status");
    if status != TN_OK {
        return;
    }
    let info = info_of(out);
    let (mut data, mut guard) = (null(), null_mut());
    // SAFETY: writable outputs.
    unsafe {
        assert_eq!(sound(borrow::tn_array_borrow_read(out, 0, null_mut(), &mut data, null_mut(), &mut guard)), TN_OK);
    }
    if info.count > 0 {
        // The first and the last byte of the array are in the file, so reading them does not fault.
        let item = i64::from((info.dtype >> 11) & 0x1f);
        let (mut low, mut high) = (0, item - 1);
        for axis in 0..info.ndim as usize {
            let reach = (info.shape[axis] - 1) * info.strides[axis];
            if reach < 0 { low += reach } else { high += reach }
        }
        // SAFETY: a constant of the system.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        // A page of the library follows the array's memory.
        assert!(high - low < FILE_BYTES as i64 + page, "an array beyond its file");
        // SAFETY: what this checks: the bytes are mapped, readable, and the guard is open.
        unsafe {
            let at = data.cast::<u8>();
            std::hint::black_box(at.offset(low as isize).read_volatile());
            std::hint::black_box(at.offset(high as isize).read_volatile());
        }
    }
    assert_eq!(sound(borrow::tn_borrow_end(guard, 0, null_mut())), TN_OK);
    release(out);
}

/// The descriptor of the same array on a GPU: its kind is 2, and the driver's numbers stand behind the first 11 fields.
fn on_a_gpu(of_host: &[u8]) -> Vec<u8> {
    const FIELDS_BYTES: usize = 8 * 11;
    const DRIVER_BYTES: usize = 16 + 2 * 64;
    let mut made = [&of_host[..FIELDS_BYTES], &[7; DRIVER_BYTES], &of_host[FIELDS_BYTES..]].concat();
    let total = made.len() as u64;
    made[8..16].copy_from_slice(&total.to_ne_bytes());
    made[16..24].copy_from_slice(&2u64.to_ne_bytes());
    made
}

/// Descriptors of arrays that fit into the file, with each choice of flags.
pub fn seeds() -> Vec<Vec<u8>> {
    let shapes: [(tn_dtype, &[i64], u32); 6] = [
        (TN_F64, &[], 0),
        (TN_U8, &[100], TN_IPC_WRITABLE),
        (TN_C128, &[3, 4, 5], 0),
        (TN_F32, &[0, 7], TN_IPC_WRITABLE),
        (TN_U8, &[100], TN_IPC_GIVE),
        (TN_I16, &[1, 2, 1, 2, 1, 2, 1, 2], TN_IPC_WRITABLE),
    ];
    let mut seeds = Vec::new();
    for (choice, (dtype, shape, flags)) in shapes.into_iter().enumerate() {
        let (descriptor, fd) = exported(dtype, shape, flags);
        // SAFETY: the export's own descriptor.
        unsafe { libc::close(fd) };
        seeds.push([&[choice as u8][..], &on_a_gpu(&descriptor)].concat());
        seeds.push([&[choice as u8][..], &descriptor].concat());
    }
    seeds
}
