//! A module on the GPUs that have loaded it, and its kernels there.
//!
//! Contract: one load at a time. What a reset of the context has ended is forgotten, and loaded again. A failure is not
//! remembered.

use super::image::Image;
use crate::error::Result;
use crate::gpu::image::{ImageKernel, LoadedImage};
use crate::gpu::{Gpu, Inside};
use crate::lists;
use crate::sys::lock::Mutex;
use core::ffi::CStr;
use smallvec::SmallVec;

/// The GPUs that have loaded a module.
pub struct OnGpus(Mutex<Loads>);

/// The loads, in the order in which they were made.
pub type Loads = SmallVec<[Loaded; 1]>;

/// A module in the context of a GPU.
pub struct Loaded {
    gpu: &'static Gpu,
    /// The context.
    epoch: u32,
    image: LoadedImage,
    kernels: Kernels,
}

/// The kernels that were found.
#[derive(Default)]
struct Kernels {
    /// The names, one after the other.
    names: Vec<u8>,
    /// The end of each name, and the kernel.
    found: Vec<(usize, ImageKernel)>,
}

impl Kernels {
    fn find(&self, name: &[u8]) -> Option<ImageKernel> {
        let mut start = 0;
        self.found.iter().find_map(|(end, kernel)| {
            let known = &self.names[start..*end];
            start = *end;
            (known == name).then_some(*kernel)
        })
    }

    /// Adds a kernel. Without memory the next call asks the driver again.
    fn add(&mut self, name: &[u8], kernel: ImageKernel) {
        if self.names.try_reserve(name.len()).is_ok() && self.found.try_reserve(1).is_ok() {
            self.names.extend_from_slice(name);
            self.found.push((self.names.len(), kernel));
        }
    }
}

impl OnGpus {
    /// No GPU.
    pub fn none() -> OnGpus {
        OnGpus(Mutex::new(SmallVec::new()))
    }

    /// The loads of a module that nobody uses any more.
    pub fn loads(&mut self) -> &mut Loads {
        self.0.get_mut()
    }

    /// A kernel on a GPU, which loads the image first if it has not yet. The GPU is alive.
    pub fn kernel(&self, gpu: &'static Gpu, image: &Image, name: &CStr) -> Result<ImageKernel> {
        let mut loads = self.0.lock();
        // Finds out about a reset, also where the kernel is known.
        let inside = gpu.enter()?;
        let here = |loaded: &Loaded| core::ptr::eq(loaded.gpu, gpu) && loaded.epoch == gpu.epoch();
        if let Some(kernel) = loads.iter().find(|load| here(load)).and_then(|load| load.kernels.find(name.to_bytes())) {
            return Ok(kernel);
        }
        loads.retain(|load| !load.is_gone());
        let at = match loads.iter().position(here) {
            Some(at) => at,
            None => {
                lists::reserve(&mut loads, 1)?;
                loads.push(Loaded::load(&inside, image)?);
                loads.len() - 1
            }
        };
        let kernel = loads[at].image.kernel(&inside, name)?;
        loads[at].kernels.add(name.to_bytes(), kernel);
        Ok(kernel)
    }
}

impl Loaded {
    fn load(inside: &Inside, image: &Image) -> Result<Loaded> {
        // SAFETY: what an `Image` is.
        let loaded = unsafe { LoadedImage::load(inside, image.bytes())? };
        Ok(Loaded { gpu: inside.gpu(), epoch: inside.gpu().epoch(), image: loaded, kernels: Kernels::default() })
    }

    /// The GPU.
    pub fn gpu(&self) -> &'static Gpu {
        self.gpu
    }

    /// Whether the context that has it does not exist any more, or cannot be used by this process.
    pub fn is_gone(&self) -> bool {
        self.epoch != self.gpu.epoch() || crate::error::quietly(|| self.gpu.alive()).is_err()
    }

    /// Unloads it.
    ///
    /// # Safety
    /// - No kernel of it runs, and none is used again.
    pub unsafe fn unload(self) {
        let Ok(inside) = self.gpu.enter() else { return };
        // Entering finds out about a reset.
        if !self.is_gone() {
            // SAFETY: the caller's obligation. The context is that which loaded the image.
            unsafe { self.image.unload(&inside) }
        }
    }
}
