//! Makes a GPU's primary context current for the calling thread.
//!
//! Contract: while an [`Inside`] lives, the GPU's primary context is current; its drop restores the caller's context,
//! which may be none, the primary one or a foreign one (DV-6). Values nest, and drop in reverse order. To enter a context
//! that the thread is inside of already takes no call of the driver, so a call with many parts enters once around them.
//!
//! The thread's capture mode is relaxed meanwhile, so that no call of the library breaks a graph capture (PD-15).
//! Otherwise a capture in global mode forbids every thread to allocate, to page-lock memory and to query events, and
//! one in thread-local mode forbids it to its own thread; a violation breaks the capture. PyTorch's caching allocators
//! and its NCCL watchdog relax the mode for the same reason.

use super::table::Gpu;
use crate::cuda_driver::{CUcontext, Driver, SUCCESS};
use crate::error::Result;
use crate::thread::{self, Area, PerThread, area};
use core::cell::Cell;
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
    /// The capture mode to restore; None: it is that already, or the driver is older than capture modes.
    mode: Option<u32>,
    /// What the thread was inside of before.
    outer: u64,
    /// Not Send: the current context belongs to a thread.
    own: PhantomData<*const ()>,
}

impl Gpu {
    /// Makes the primary context current until the value drops. TN_ERR_DRIVER: the device is lost; the message names
    /// the error.
    pub fn enter(&'static self) -> Result<Inside> {
        self.enter_as(true)
    }

    /// As [`Gpu::enter`], for calls that no capture forbids: the capture mode stays, which spares two calls of the
    /// driver.
    #[inline]
    pub fn enter_unrelaxed(&'static self) -> Result<Inside> {
        self.enter_as(false)
    }

    #[inline]
    fn enter_as(&'static self, relaxes: bool) -> Result<Inside> {
        let driver = self.alive()?;
        let entered = Entered::of(thread::current());
        let outer = entered.0.get();
        let mut inside = Inside { driver, gpu: self, before: None, mode: None, outer, own: PhantomData };
        if outer == self.key(true) || !relaxes && outer == self.key(false) {
            return Ok(inside);
        }
        inside.mode = if relaxes { exchange_mode(driver, CAPTURE_MODE_RELAXED) } else { None };
        let mut context = self.retained_context(driver)?;
        // A launch leaves the comparison, which takes three calls now and then, to other calls.
        let is_there = if relaxes { self.is_retained(driver) } else { self.is_active(driver) };
        if !is_there && self.renew_if_reset(driver) {
            context = self.context();
        }
        let mut before = core::ptr::null_mut();
        // SAFETY: the pointer is ours.
        self.check(unsafe { driver.cuCtxGetCurrent(&mut before)? }, "cuCtxGetCurrent")?;
        if before != context {
            // SAFETY: a context that is never released.
            self.check(unsafe { driver.cuCtxSetCurrent(context)? }, "cuCtxSetCurrent")?;
            inside.before = Some(before);
        }
        entered.0.set(self.key(relaxes));
        Ok(inside)
    }

    /// What [`Entered`] has while a thread is inside the GPU's context of now.
    #[inline]
    fn key(&self, relaxed: bool) -> u64 {
        u64::from(self.epoch()) << 32 | (self.id() as u64 + 1) << 1 | u64::from(relaxed)
    }
}

/// What the thread is inside of: 0: nothing, else [`Gpu::key`]. Entering it again takes no call of the driver.
struct Entered(Cell<u64>);

// SAFETY: zero is valid; only the thread accesses it; the area is for this type.
unsafe impl PerThread for Entered {
    const AREA: Area = area::ENTERED;
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
}

/// Sets the thread's capture mode, and returns the one before. A driver without this function has no such captures.
fn exchange_mode(driver: &Driver, mut mode: u32) -> Option<u32> {
    // SAFETY: the number is ours.
    let exchanged = unsafe { driver.cuThreadExchangeStreamCaptureMode(&mut mode) };
    matches!(exchanged, Ok(SUCCESS)).then_some(mode)
}

impl Deref for Inside {
    type Target = Driver;
    fn deref(&self) -> &Driver {
        self.driver
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        Entered::of(thread::current()).0.set(self.outer);
        if let Some(before) = self.before {
            // SAFETY: it was current before, and its owner keeps it that long.
            let _ = unsafe { self.driver.cuCtxSetCurrent(before) };
        }
        if let Some(mode) = self.mode {
            exchange_mode(self.driver, mode);
        }
    }
}
