//! What can be given back when a device has no memory left: hooks of the layers that keep some for later.
//!
//! Contract: hooks are registered once and stay; they run in that order, under no lock, on the thread that is short of memory, and
//! must not ask for memory of that device themselves. What a hook gives back goes to the device, not to who asks.
#![forbid(unsafe_code)]

use crate::thread::{self, CriticalSection};
use crate::types::tn_device;
use std::sync::OnceLock;

/// Gives back what its layer keeps of a device's memory and does not need.
pub type Hook = fn(device: tn_device);

static HOOKS: [OnceLock<Hook>; 8] = [const { OnceLock::new() }; 8];

/// Registers a hook, once however often it is called.
pub fn register(hook: Hook) {
    // No fork finds a place that is being filled.
    let _inside = CriticalSection::enter(thread::current());
    for place in &HOOKS {
        match place.get() {
            Some(&there) if core::ptr::fn_addr_eq(there, hook) => return,
            Some(_) => {}
            None if place.set(hook).is_ok() => return,
            // Another thread was first, perhaps with the same one.
            None if place.get().is_some_and(|&there| core::ptr::fn_addr_eq(there, hook)) => return,
            None => {}
        }
    }
    debug_assert!(false, "more hooks than places");
}

/// Runs all hooks for a device.
pub fn run(device: tn_device) {
    for hook in HOOKS.iter().map_while(OnceLock::get) {
        hook(device);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI32, Ordering};

    static SEEN: AtomicI32 = AtomicI32::new(0);

    #[test]
    fn a_hook_runs_once_however_often_it_was_registered() {
        fn hook(device: tn_device) {
            SEEN.fetch_add(device.id, Ordering::Relaxed);
        }
        register(hook);
        register(hook);
        run(tn_device { r#type: crate::types::TN_CUDA, id: 7 });
        assert_eq!(SEEN.load(Ordering::Relaxed), 7);
    }
}
