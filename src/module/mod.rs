//! Modules: device code that the program gives, as CUDA C++ or as an image, and that each GPU loads when it needs it.
//!
//! Contract: an image is copied, and checked as far as that needs no driver. The first use of a GPU loads it there;
//! other threads that need the module wait. A module that is released is unloaded when the work before its release is
//! done; no call waits for that. No lock of another layer is held during a load. Any thread may call. A child of a fork
//! can release modules only.
//!
//! | file | contents |
//! |---|---|
//! | `mod` | the functions behind those of C |
//! | `image` | images: PTX, cubins, fatbins |
//! | `compile` | how NVRTC is called |
//! | `loaded` | a module on the GPUs that have loaded it |
//! | `slot` | the module behind a handle, and its end |
//!
//! Unsafe: loads and unloads, whose obligations `image` and `slot` meet.

mod compile;

mod image;

mod loaded;

mod slot;

pub use compile::{Options, compile};
pub use slot::each_open;

use crate::counted::{self, Ref};
use crate::error::{Result, fail};
use crate::gpu;
use crate::names::{DeviceName, Name};
use crate::slots::Id;
use crate::types::*;
use core::ffi::{CStr, c_void};
use image::Image;
use slot::Module;

/// Makes a module of an image, and returns its handle. TN_ERR_INVALID: it is none of PTX, cubin and fatbin, or is cut.
pub fn load(image: &[u8], name: Name) -> Result<Id> {
    create(Image::of(image)?, name)
}

fn create(image: Image, name: Name) -> Result<Id> {
    slot::unload_done();
    Ok(Ref::create(Module::new(image, name))?.publish())
}

/// Ends the caller's handle. TN_ERR_STALE, TN_ERR_KIND.
pub fn release(id: Id) -> Result<()> {
    counted::release::<Module>(id)
}

/// A kernel on a GPU, which loads the module first if it has not yet. TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID: no
/// kernel has this name.
pub fn function(id: Id, name: &CStr, device: tn_device) -> Result<*mut c_void> {
    let module = Ref::<Module>::find(id)?;
    if name.is_empty() {
        return Err(fail(TN_ERR_INVALID, format_args!("name is empty; pass the name of a kernel")));
    }
    if device.r#type != TN_CUDA {
        return Err(fail(
            TN_ERR_DEVICE,
            format_args!("device {} is no GPU; pass TN_CUDA and its number", DeviceName(device)),
        ));
    }
    let gpu = gpu::gpu(device.id)?;
    // Before any lock, which another thread may have held when this process was forked.
    gpu.alive()?;
    slot::unload_done();
    module.on_gpus.kernel(gpu, &module.image, name).map_err(|status| module.about(status)).map(|kernel| kernel.raw())
}
