//! DLPack's structs as in its header (version 1.1), and the slots of exported structs.

use crate::arena::{Link, Linked};
use crate::ledger::Guard;
use crate::slots::{Head, Kind, Slot};
use crate::stream::StreamRef;
use crate::types::TN_MAX_NDIM;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::sync::atomic::AtomicU32;

/// DLTensor: strides in elements.
#[repr(C)]
pub struct Tensor {
    pub data: *mut c_void,
    pub device_type: crate::types::tn_device_type,
    pub device_id: i32,
    pub ndim: i32,
    pub code: u8,
    pub bits: u8,
    pub lanes: u16,
    pub shape: *mut i64,
    pub strides: *mut i64,
    pub byte_offset: u64,
}

/// DLManagedTensor.
#[repr(C)]
pub struct Legacy {
    pub tensor: Tensor,
    pub manager_ctx: *mut c_void,
    pub deleter: Option<unsafe extern "C" fn(*mut Legacy)>,
}

/// DLManagedTensorVersioned.
#[repr(C)]
pub struct Versioned {
    pub major: u32,
    pub minor: u32,
    pub manager_ctx: *mut c_void,
    pub deleter: Option<unsafe extern "C" fn(*mut Versioned)>,
    pub flags: u64,
    pub tensor: Tensor,
}

/// DLPACK_FLAG_BITMASK_READ_ONLY
pub const READ_ONLY: u64 = 1;
/// DLPACK_FLAG_BITMASK_IS_COPIED
pub const IS_COPIED: u64 = 2;

const _: () = {
    assert!(size_of::<Tensor>() == 48 && align_of::<Tensor>() == 8);
    assert!(core::mem::offset_of!(Tensor, device_type) == 8 && core::mem::offset_of!(Tensor, ndim) == 16);
    assert!(core::mem::offset_of!(Tensor, code) == 20 && core::mem::offset_of!(Tensor, lanes) == 22);
    assert!(core::mem::offset_of!(Tensor, shape) == 24 && core::mem::offset_of!(Tensor, strides) == 32);
    assert!(core::mem::offset_of!(Tensor, byte_offset) == 40);
    assert!(size_of::<Legacy>() == 64 && core::mem::offset_of!(Legacy, deleter) == 56);
    assert!(size_of::<Versioned>() == 80 && core::mem::offset_of!(Versioned, deleter) == 16);
    assert!(core::mem::offset_of!(Versioned, flags) == 24 && core::mem::offset_of!(Versioned, tensor) == 32);
};

/// Who uses the bytes of an export.
#[derive(Debug)]
pub enum Consumer {
    /// The host.
    Host,
    /// A device, in the order of this stream.
    Stream(StreamRef),
    /// A device, in an order that only the consumer knows.
    Unordered,
}

/// The contents of a slot whose struct a consumer has. The consumer sees one of the two structs, and the numbers. The
/// fields are in this order so that most exports touch only the first cache lines.
#[repr(C)]
pub struct ExportedTensor {
    /// The guard of the export. None: the array is empty.
    pub guard: Option<&'static Guard>,
    /// The number of forks before the export. In the child of a fork, an export of the parent holds no bytes.
    pub forks: u32,
    /// Who uses the bytes until it ends the export.
    pub consumer: Consumer,
    pub versioned: Versioned,
    /// Shape and strides, for the largest number of axes. So an export needs no memory once its guard is open or its
    /// bytes are copied.
    pub numbers: [i64; 2 * TN_MAX_NDIM],
    pub legacy: Legacy,
}

/// The slot of an exported struct, in memory that is never unmapped.
#[repr(C, align(64))]
pub struct Export {
    head: Head,
    /// 1 while a consumer has the struct. Exactly one call of the deleter sets it to 0.
    pub live: AtomicU32,
    link: Link<Export>,
    pub tensor: UnsafeCell<ExportedTensor>,
}

// SAFETY: `tensor` is accessed by the call that took the slot, by the one that set `live` to 0, and, in between, by the
// consumer.
unsafe impl Sync for Export {}

impl Linked for Export {
    fn link(&self) -> &Link<Export> {
        &self.link
    }
}

impl Slot for Export {
    const KIND: Kind = Kind::Export;
    fn new(head: Head) -> Export {
        let tensor = || Tensor {
            data: core::ptr::null_mut(),
            device_type: 0,
            device_id: 0,
            ndim: 0,
            code: 0,
            bits: 0,
            lanes: 0,
            shape: core::ptr::null_mut(),
            strides: core::ptr::null_mut(),
            byte_offset: 0,
        };
        let exported = ExportedTensor {
            legacy: Legacy { tensor: tensor(), manager_ctx: core::ptr::null_mut(), deleter: None },
            versioned: Versioned {
                major: 0,
                minor: 0,
                manager_ctx: core::ptr::null_mut(),
                deleter: None,
                flags: 0,
                tensor: tensor(),
            },
            numbers: [0; 2 * TN_MAX_NDIM],
            guard: None,
            forks: 0,
            consumer: Consumer::Host,
        };
        Export { head, live: AtomicU32::new(0), link: Link::new(), tensor: UnsafeCell::new(exported) }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}
