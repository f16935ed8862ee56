//! Tells the layers above that a GPU's primary context was reset.
//!
//! Contract: each layer registers one function, once. It is called under no lock, on the thread that found out, after
//! the new context was retained: streams first, so that the others find their work passed.

use core::sync::atomic::{AtomicPtr, Ordering};

/// Who is told, in this order.
#[derive(Clone, Copy)]
pub enum Layer {
    /// Streams and events are gone, and their work has passed.
    Streams = 0,
    /// Memory of pools is gone.
    Pools = 1,
    /// Page-locked chunks of copies are gone.
    Copies = 2,
}

/// Gets the GPU's ordinal.
type Hook = fn(i32);

static HOOKS: [AtomicPtr<()>; 3] = [const { AtomicPtr::new(core::ptr::null_mut()) }; 3];

/// Registers a layer's function.
pub fn on_reset(layer: Layer, hook: Hook) {
    // Release pairs with the Acquire in `tell`.
    HOOKS[layer as usize].store(hook as *mut (), Ordering::Release);
}

/// Calls the functions for a GPU.
pub(super) fn tell(gpu: i32) {
    for hook in &HOOKS {
        let hook = hook.load(Ordering::Acquire);
        if !hook.is_null() {
            // SAFETY: stored by `on_reset` from a function of this type.
            let hook = unsafe { core::mem::transmute::<*mut (), Hook>(hook) };
            hook(gpu);
        }
    }
}
