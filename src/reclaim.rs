//! Hooks that free cached device memory when a device has none left.
//!
//! Contract: a hook is registered once and stays. Hooks run in the order of registration, under no lock, on the thread
//! whose allocation failed. A hook must not allocate memory of that device. It frees memory to the device; the caller
//! then tries its allocation again.
#![forbid(unsafe_code)]

use crate::thread::{self, CriticalSection};
use crate::types::tn_device;
use std::sync::OnceLock;

/// Frees the unused device memory that a layer caches.
pub type Hook = fn(device: tn_device);

static HOOKS: [OnceLock<Hook>; 8] = [const { OnceLock::new() }; 8];

/// Registers a hook. Repeated calls register it once.
pub fn register(hook: Hook) {
    // A fork cannot happen while an entry is half written.
    let _inside = CriticalSection::enter(thread::current());
    for entry in &HOOKS {
        match entry.get() {
            Some(&registered) if core::ptr::fn_addr_eq(registered, hook) => return,
            Some(_) => {}
            None if entry.set(hook).is_ok() => return,
            // Another thread was first, perhaps with this hook.
            None if entry.get().is_some_and(|&registered| core::ptr::fn_addr_eq(registered, hook)) => return,
            None => {}
        }
    }
    debug_assert!(false, "more hooks than entries");
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
