//! How often each exported function was called. A `Site` is static, one per function, and joins the list at its first call.

use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

pub struct Site {
    pub name: &'static str,
    calls: AtomicU64,
    listed: AtomicBool,
    next: AtomicPtr<Site>,
}

static LIST: AtomicPtr<Site> = AtomicPtr::new(std::ptr::null_mut());

impl Site {
    pub const fn new(name: &'static str) -> Site {
        Site {
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
                // Release: whoever finds the site in the list sees its link.
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

fn each(mut visit: impl FnMut(&Site)) {
    // Acquire pairs with the Release in `count`.
    let mut at = LIST.load(Ordering::Acquire);
    // SAFETY: the list holds statics only, and a link is written before its site is published.
    while let Some(site) = unsafe { at.as_ref() } {
        visit(site);
        at = site.next.load(Ordering::Relaxed);
    }
}

/// The function that a name means, whatever its version and its default stream: cuMemAlloc for cuMemAlloc_v2, cuMemcpy for
/// cuMemcpy_ptds.
pub fn plain(name: &str) -> &str {
    let name = name.strip_suffix("_ptsz").or_else(|| name.strip_suffix("_ptds")).unwrap_or(name);
    match name.rsplit_once("_v") {
        Some((plain, version)) if version.bytes().all(|byte| byte.is_ascii_digit()) => plain,
        _ => name,
    }
}

/// Calls so far of every version of `name`; all functions together for "".
pub fn calls(name: &str) -> u64 {
    let wanted = plain(name);
    let mut sum = 0;
    each(|site| {
        if wanted.is_empty() || plain(site.name) == wanted {
            sum += site.calls.load(Ordering::Relaxed);
        }
    });
    sum
}

/// Every function that was called, with its count.
pub fn list() -> Vec<(&'static str, u64)> {
    let mut all = Vec::new();
    each(|site| all.push((site.name, site.calls.load(Ordering::Relaxed))));
    all.retain(|(_, calls)| *calls > 0);
    all.sort_unstable();
    all
}

pub fn reset() {
    each(|site| site.calls.store(0, Ordering::Relaxed));
}
