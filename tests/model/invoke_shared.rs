//! The calls on shared variables, except those with a callback.
//!
//! Contract: as `invoke`.

use super::api::*;
use super::callback::untouched_crossing;
use super::calls::Call;
use super::handle::Ref;
use super::invoke::Got;
use super::library::{HOST, Library, must};
use core::mem::size_of;
use core::ptr::{null, null_mut};
use tenure::types::*;

/// A variable as the library describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DescribedVariable {
    pub dtype: u32,
    pub shape: Vec<i64>,
    pub flags: u32,
    pub bytes: u64,
    pub is_poisoned: bool,
    pub version: u64,
    pub detach_count: u64,
}

impl Library {
    pub fn shared(&self, shared: Ref) -> *mut tn_shared {
        self.bits(shared) as *mut tn_shared
    }

    /// `out` is NULL on purpose, or writable.
    pub fn shared_call(&self, call: &Call, out: *mut usize, got: &mut Got) -> tn_status {
        let mut how = untouched_crossing();
        // SAFETY: (all calls of this function) handles are checked ids; `out` is as said, and everything else is
        // writable.
        let status = match *call {
            Call::SharedCreate { value, flags, pool } => {
                let options = tn_shared_options {
                    size: size_of::<tn_shared_options>(),
                    device: tn_device { r#type: 0, id: 0 },
                    pool: self.bits(pool) as *mut tn_pool,
                    name: null(),
                };
                let options = if pool == Ref::Null { null() } else { &raw const options };
                // SAFETY: as above.
                unsafe { tn_shared_create(self.array(value), flags, options, out.cast(), &mut how) }
            }
            // SAFETY: as above.
            Call::SharedGet { shared, flags } => unsafe {
                tn_shared_get(self.shared(shared), flags, out.cast(), &mut how)
            },
            // SAFETY: as above.
            Call::SharedSet { shared, value, flags } => unsafe {
                tn_shared_set(self.shared(shared), self.array(value), flags, &mut how)
            },
            // SAFETY: as above.
            Call::UpdateBegin { shared, flags } => unsafe {
                tn_shared_update_begin(self.shared(shared), flags, out.cast(), &mut how)
            },
            Call::UpdateEnd { shared, flags } => return tn_shared_update_end(self.shared(shared), flags),
            Call::SharedRelease { shared } => return tn_shared_release(self.shared(shared)),
            _ => unreachable!("a call on variables"),
        };
        got.keep_crossing(status, how);
        status
    }

    pub fn describe_variable(&self, shared: Ref) -> DescribedVariable {
        // SAFETY: plain data, all zero is a value of it.
        let mut info: tn_shared_info = unsafe { core::mem::zeroed() };
        info.size = size_of::<tn_shared_info>();
        // SAFETY: `info` is writable and says its size.
        must(unsafe { tn_shared_query(self.shared(shared), &mut info) }, "tn_shared_query");
        assert_eq!((info.device, info.home), (HOST, HOST));
        DescribedVariable {
            dtype: info.dtype,
            shape: info.shape[..info.ndim as usize].to_vec(),
            flags: info.flags,
            bytes: info.bytes,
            is_poisoned: info.is_poisoned != 0,
            version: info.version,
            detach_count: info.detach_count,
        }
    }

    /// The address of a variable's value, which can be read.
    pub fn probe_variable(&self, shared: Ref) -> usize {
        let mut array = null_mut();
        // SAFETY: handles are checked ids; the output is writable.
        must(unsafe { tn_shared_get(self.shared(shared), TN_RAW | TN_BORROW, &mut array, null_mut()) }, "probe");
        let data = self.data(array);
        must(tn_array_release(array), "probe");
        data
    }
}
