//! A thread inside of a GPU.
//!
//! Contract: while an [`Inside`] lives, the GPU's primary context is the thread's current one; when it drops, the caller's is, which may be
//! none, the same or a foreign one (DV-6). They nest, and drop in the order of their nesting as values of Rust do.

use super::Gpu;
use crate::error::Result;
use crate::sys::cuda::{CUcontext, Driver, SUCCESS};
use core::marker::PhantomData;
use core::ops::Deref;

/// The driver's number for a thread that may do what would disturb a capture, if it took part in one.
const CAPTURE_MODE_RELAXED: u32 = 2;

/// The calling thread, inside; gives the driver's functions.
pub struct Inside {
    driver: &'static Driver,
    gpu: &'static Gpu,
    /// What was current before; None: the same.
    before: Option<CUcontext>,
    /// The current context is a thread's.
    own: PhantomData<*const ()>,
}

impl Inside {
    pub(super) fn new(gpu: &'static Gpu, driver: &'static Driver) -> Result<Inside> {
        let context = gpu.context(driver)?;
        let mut before = core::ptr::null_mut();
        // SAFETY: the pointer is ours.
        gpu.check(unsafe { driver.cuCtxGetCurrent(&mut before)? }, "cuCtxGetCurrent")?;
        let mut inside = Inside { driver, gpu, before: None, own: PhantomData };
        if before != context {
            // SAFETY: a context that stays.
            gpu.check(unsafe { driver.cuCtxSetCurrent(context)? }, "cuCtxSetCurrent")?;
            inside.before = Some(before);
        }
        Ok(inside)
    }

    /// Which one.
    pub fn gpu(&self) -> &'static Gpu {
        self.gpu
    }

    /// The GPU's primary context.
    pub fn context(&self) -> CUcontext {
        self.gpu.context.load(core::sync::atomic::Ordering::Acquire)
    }

    /// Until the value drops, this thread's calls disturb no capture of a graph that another thread makes (PD-15). Without it a capture in
    /// global mode forbids all threads to allocate, to page-lock and to ask events, and breaks where they do (PyTorch's caching allocators
    /// and its watchdog of NCCL do the same, for the same reason).
    pub fn relaxed(&self) -> Relaxed<'_> {
        let mut mode = CAPTURE_MODE_RELAXED;
        // SAFETY: the number is ours. A driver without it knows no such captures.
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
            // SAFETY: it was current before, and whoever made it keeps it that long.
            let _ = unsafe { self.driver.cuCtxSetCurrent(before) };
        }
    }
}

/// See [`Inside::relaxed`].
pub struct Relaxed<'a> {
    inside: &'a Inside,
    /// None: nothing to put back.
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
