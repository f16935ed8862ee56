//! HEAD

use crate::api::{self, Id};
use std::sync::{Mutex, PoisonError};

/// What an array object has only if somebody asked for it, on the heap.
#[derive(Default)]
pub struct ArrayExtra {
    /// Shapes and strides that were lent out; they live as long as the object.
    numbers: Mutex<Vec<Box<[i64]>>>,
    /// Addresses that somebody may know, and the exports that keep their bytes.
    pub marks: Mutex<Vec<(u64, Id)>>,
}

impl ArrayExtra {
    /// These numbers at a place that lives as long as the object. There are as many lists as the array had layouts.
    pub fn numbers(&self, wanted: &[i64]) -> *const i64 {
        let mut lists = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = lists.iter().find(|list| ***list == *wanted) {
            return list.as_ptr();
        }
        lists.push(wanted.into());
        lists[lists.len() - 1].as_ptr()
    }

    /// Ends the exports behind the marks.
    pub fn end_marks(&self) {
        let marks = core::mem::take(&mut *self.marks.lock().unwrap_or_else(PoisonError::into_inner));
        for (_, guard) in marks {
            // An export that is open can always be ended; there would be nobody to tell.
            let _ = api::borrow_end(guard, 0);
        }
    }
}

impl Drop for ArrayExtra {
    fn drop(&mut self) {
        self.end_marks();
    }
}
