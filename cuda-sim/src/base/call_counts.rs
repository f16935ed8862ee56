//! How often each exported function was called. Each function has one static `Entry`, which joins a list at its first
//! call.

use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

pub struct Entry {
    pub name: &'static str,
    calls: AtomicU64,
    listed: AtomicBool,
    next: AtomicPtr<Entry>,
}

static LIST: AtomicPtr<Entry> = AtomicPtr::new(std::ptr::null_mut());

impl Entry {
    pub const fn new(name: &'static str) -> Entry {
        Entry {
            name,
            calls: AtomicU64::new(0),
            listed: AtomicBool::new(false),
            next: AtomicPtr::new(std::ptr::null_mut()),
        }
    }

    pub fn count(&'static self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if !self.listed.swap(true, Ordering::Relaxed) {
            let mut first = LIST.load(Ordering::Relaxed);
            loop {
                self.next.store(first, Ordering::Relaxed);
                // Release pairs with the Acquire in `each`: a reader that finds the entry sees its link.
                match LIST.compare_exchange_weak(
                    first,
                    std::ptr::from_ref(self).cast_mut(),
                    Ordering::Release,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => return,
                    Err(now) => first = now,
                }
            }
        }
    }
}

fn each(mut visit: impl FnMut(&Entry)) {
    // Acquire pairs with the Release in `count`.
    let mut at = LIST.load(Ordering::Acquire);
    // SAFETY: the list holds statics only, and a link is written before its entry is published.
    while let Some(entry) = unsafe { at.as_ref() } {
        visit(entry);
        at = entry.next.load(Ordering::Relaxed);
    }
}

/// A function's name without its version and stream suffix: cuMemAlloc for cuMemAlloc_v2, cuMemcpy for cuMemcpy_ptds.
pub fn base_name(name: &str) -> &str {
    let name = name.strip_suffix("_ptsz").or_else(|| name.strip_suffix("_ptds")).unwrap_or(name);
    match name.rsplit_once("_v") {
        Some((base, version)) if version.bytes().all(|byte| byte.is_ascii_digit()) => base,
        _ => name,
    }
}

/// The calls so far of all versions of `name`; of all functions for "".
pub fn calls(name: &str) -> u64 {
    let wanted = base_name(name);
    let mut sum = 0;
    each(|entry| {
        if wanted.is_empty() || base_name(entry.name) == wanted {
            sum += entry.calls.load(Ordering::Relaxed);
        }
    });
    sum
}

/// The functions that were called, with their counts, sorted by name.
pub fn list() -> Vec<(&'static str, u64)> {
    let mut all = Vec::new();
    each(|entry| all.push((entry.name, entry.calls.load(Ordering::Relaxed))));
    all.retain(|(_, calls)| *calls > 0);
    all.sort_unstable();
    all
}

pub fn reset() {
    each(|entry| entry.calls.store(0, Ordering::Relaxed));
}
