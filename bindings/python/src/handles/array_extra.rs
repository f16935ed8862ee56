//! Data that only few array objects have, on the heap.

use crate::api::{Id, cuda};
use std::sync::{Mutex, PoisonError};

/// Data of an array object that DLPack's exchange table, an array interface or an explicit release needed.
#[derive(Default)]
pub struct ArrayExtra {
    /// Shapes and strides that consumers point to; they live as long as the object.
    numbers: Mutex<Vec<Box<[i64]>>>,
    /// Addresses that readers of `__array_interface__` or `__cuda_array_interface__` know, and the exports that keep
    /// their bytes.
    pub interface_exports: Mutex<Vec<(u64, Id)>>,
    /// What was known of the array when its handle went.
    last: Mutex<Description>,
}

/// What messages say of an array without a handle.
#[derive(Clone, Default)]
pub struct Description {
    pub name: String,
    /// " at " and the line that released the handle; "" where that is not known.
    pub place: String,
}

impl ArrayExtra {
    /// The address of a copy of these numbers, which lives as long as the object. There are as many lists as the array
    /// had layouts.
    pub fn numbers(&self, wanted: &[i64]) -> *const i64 {
        let mut lists = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = lists.iter().find(|list| ***list == *wanted) {
            return list.as_ptr();
        }
        lists.push(wanted.into());
        lists[lists.len() - 1].as_ptr()
    }

    /// Keeps a description for later messages.
    pub fn set_last(&self, description: Description) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = description;
    }

    /// The description that was kept.
    pub fn last(&self) -> Description {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the exports that reading an array interface opened.
    pub fn end_interface_exports(&self) {
        let exports = core::mem::take(&mut *self.interface_exports.lock().unwrap_or_else(PoisonError::into_inner));
        for (_, guard) in exports {
            cuda::end_export(guard);
        }
    }
}

impl Drop for ArrayExtra {
    fn drop(&mut self) {
        self.end_interface_exports();
    }
}
