//! User objects: values of the program that are destroyed when no graph needs them any more.
//!
//! The destructor runs on a thread of its own: as with the real driver, it may not call the driver.

use crate::base::types::Handle;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::Arc;

pub type Destroy = unsafe extern "C" fn(*mut c_void);

/// Dropping it calls the program's destructor.
pub struct UserObject {
    pub handle: Handle,
    data: usize,
    destroy: Destroy,
}

impl UserObject {
    pub fn new(handle: Handle, data: *mut c_void, destroy: Destroy) -> UserObject {
        UserObject { handle, data: data as usize, destroy }
    }
}

impl Drop for UserObject {
    fn drop(&mut self) {
        let (data, destroy) = (self.data, self.destroy);
        // SAFETY: the caller's function and its argument, once. If no thread can be started, it is not called, which
        // only leaks.
        std::thread::Builder::new().spawn(move || unsafe { destroy(data as *mut c_void) }).ok();
    }
}

/// The references that the program itself holds, each one an `Arc`.
pub type UserObjects = BTreeMap<Handle, Vec<Arc<UserObject>>>;
