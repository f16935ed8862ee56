//! Makes a GPU's primary context current for the calling thread.
//!
//! Contract: while an [`Inside`] lives, the GPU's primary context is current; its drop restores the caller's context, which may be none,
//! the primary one or a foreign one (DV-6). Values nest, and drop in reverse order.

use super::table::Gpu;
use crate::cuda_driver::{CUcontext, Driver, SUCCESS};
use crate::error::Result;
use core::marker::PhantomData;
use core::ops::Deref;

/// CU_STREAM_CAPTURE_MODE_RELAXED: calls that are unsafe during a capture are allowed.
const CAPTURE_MODE_RELAXED: u32 = 2;

/// Proof that a GPU's context is current on the calling thread; dereferences to the driver's functions.
pub struct Inside {
    driver: &'static Driver,
    gpu: &'static Gpu,
    /// The context to restore; None: it was current already.
    before: Option<CUcontext>,
    /// Not Send: the current context belongs to a thread.
    own: PhantomData<*const ()>,
}

impl Gpu {
    /// Makes the primary context current until the value drops. TN_ERR_DRIVER: the device is lost; the message names the error.
    pub fn enter(&'static self) -> Result<Inside> {
        let driver = self.alive()?;
        let context = self.retained_context(driver)?;
        let mut before = core::ptr::null_mut();
        // SAFETY: the pointer is ours.
        self.check(unsafe { driver.cuCtxGetCurrent(&mut before)? }, "cuCtxGetCurrent")?;
        let mut inside = Inside { driver, gpu: self, before: None, own: PhantomData };
        if before != context {
            // SAFETY: a context that is never released.
            self.check(unsafe { driver.cuCtxSetCurrent(context)? }, "cuCtxSetCurrent")?;
            inside.before = Some(before);
        }
        Ok(inside)
    }
}

impl Inside {
    /// The GPU whose context is current.
    pub fn gpu(&self) -> &'static Gpu {
        self.gpu
    }

    /// The GPU's primary context.
    pub fn context(&self) -> CUcontext {
        self.gpu.context()
    }

    /// Until the value drops, this thread's calls disturb no graph capture of another thread (PD-15). Without it, a capture in global mode
    /// forbids every thread to allocate, to page-lock memory and to query events; a violation breaks the capture. PyTorch's caching
    /// allocators and its NCCL watchdog do this for the same reason.
    pub fn relaxed(&self) -> Relaxed<'_> {
        let mut mode = CAPTURE_MODE_RELAXED;
        // SAFETY: the number is ours. A driver without this function has no such captures.
        let exchanged = unsafe { self.driver.cuThreadExchangeStreamCaptureMode(&mut mode) };
        Relaxed { inside: self, before: matches!(exchanged, Ok(SUCCESS)).then_some(mode) }
    }
}

impl Deref for Inside {
    type Target = Driver;
    fn deref(&self) -> &Driver {
        self.driver
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            // SAFETY: it was current before, and its owner keeps it that long.
            let _ = unsafe { self.driver.cuCtxSetCurrent(before) };
        }
    }
}

/// See [`Inside::relaxed`].
pub struct Relaxed<'a> {
    inside: &'a Inside,
    /// The mode to restore, if one was replaced.
    before: Option<u32>,
}

impl Drop for Relaxed<'_> {
    fn drop(&mut self) {
        if let Some(mut mode) = self.before {
            // SAFETY: the number is ours.
            let _ = unsafe { self.inside.driver.cuThreadExchangeStreamCaptureMode(&mut mode) };
        }
    }
}
