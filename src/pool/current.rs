//! The pool that a call without a pool means: a default pool, or the one that the thread set.
//!
//! Contract: a default pool is made at its first use and never ends. A thread has a reference on each pool that it
//! set. Both last until the thread sets another pool, so the lookups here add no reference.

use crate::error::Result;
use crate::names::Name;
use crate::pool::options::{self, PoolOptions};
use crate::pool::{Pool, create, thread_heap};
use crate::thread::{self, Area, GPUS, PerThread, Thread, area};
use crate::types::*;
use core::cell::Cell;
use core::sync::atomic::{AtomicPtr, Ordering};

/// Number of devices that have a current pool: host, pinned memory, managed memory, and the GPUs.
const SLOTS: usize = FIRST_GPU + GPUS;

/// A thread's current pools, by the slot of their device. None: the default pool.
struct CurrentPools([Cell<Option<&'static Pool>>; SLOTS]);

// SAFETY: zeros are no pools; only the thread, or its exit hook, touches them; the area is for this type.
unsafe impl PerThread for CurrentPools {
    const AREA: Area = area::POOL_CURRENT;
}

/// The default pools that were used so far.
static DEFAULTS: [AtomicPtr<Pool>; SLOTS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; SLOTS];

/// The default pool of a device, made at first use. Adds no reference (PO-5).
pub fn default(device: tn_device) -> Result<&'static Pool> {
    let made = &DEFAULTS[slot_of(device).unwrap_or(HOST_SLOT)];
    if slot_of(device).is_some() {
        // Acquire pairs with the Release below.
        // SAFETY: NULL, or a pool, and those are never unmapped.
        if let Some(pool) = unsafe { made.load(Ordering::Acquire).as_ref() } {
            return Ok(pool);
        }
    }
    let options = default_options(device.r#type);
    // Without a driver, pinned memory may fall back to plain host memory: then it is the host's default pool.
    let slot = options::resolve_device(device, &options);
    if slot != device {
        return default(slot);
    }
    // Wrong options fail here, and can still be changed.
    let pool = create(device, &options)?;
    if let Some(kind) = kind_of(device.r#type) {
        crate::options::seal_pool_options(kind);
    }
    let this = core::ptr::from_ref(pool).cast_mut();
    // Release pairs with the Acquire above. Acquire: the pool of the thread that was first is seen whole.
    match made.compare_exchange(core::ptr::null_mut(), this, Ordering::Release, Ordering::Acquire) {
        Ok(_) => Ok(pool),
        Err(first) => {
            pool.drop_ref();
            // SAFETY: set by the thread that was first.
            Ok(unsafe { &*first })
        }
    }
}

/// Device types, in the order of the library's options for default pools.
const KINDS: [tn_device_type; 4] = [TN_CPU, TN_CUDA, TN_CUDA_HOST, TN_CUDA_MANAGED];
/// Slots of devices: the host, pinned memory, managed memory, then the GPUs.
const HOST_SLOT: usize = 0;
const FIRST_GPU: usize = 3;

fn kind_of(device_type: tn_device_type) -> Option<usize> {
    KINDS.iter().position(|&known| known == device_type)
}

/// The slot of a device's pool. None: no such device can exist.
fn slot_of(device: tn_device) -> Option<usize> {
    let id = usize::try_from(device.id).ok()?;
    match device.r#type {
        TN_CPU if id == 0 => Some(HOST_SLOT),
        TN_CUDA_HOST if id == 0 => Some(1),
        TN_CUDA_MANAGED if id == 0 => Some(2),
        TN_CUDA => (FIRST_GPU..SLOTS).nth(id),
        _ => None,
    }
}

/// The pool that this thread means for a device when a call names none: the one it set, else the default pool. Adds
/// no reference. The reference of the thread, or of the library, lasts until the thread sets another pool (PO-62).
pub fn current(device: tn_device) -> Result<&'static Pool> {
    match slot_of(device).and_then(|slot| CurrentPools::of(thread::current()).0[slot].get()) {
        Some(pool) if pool.device() == device => Ok(pool),
        _ => default(device),
    }
}

/// The pool that a thread means for the host when a call names none.
#[inline(always)]
pub fn current_of_host(thread: &'static Thread) -> Result<&'static Pool> {
    if let Some(pool) = CurrentPools::of(thread).0[HOST_SLOT].get() {
        return Ok(pool);
    }
    // SAFETY: as in `default`; the host is one device.
    match unsafe { DEFAULTS[HOST_SLOT].load(Ordering::Acquire).as_ref() } {
        Some(pool) => Ok(pool),
        None => default(tn_device { r#type: TN_CPU, id: 0 }),
    }
}

/// Whether a thread means this pool for the host when a call names none.
pub(super) fn is_current_of_host(thread: &'static Thread, pool: &'static Pool) -> bool {
    match CurrentPools::of(thread).0[HOST_SLOT].get() {
        Some(set) => core::ptr::eq(set, pool),
        None => core::ptr::eq(DEFAULTS[HOST_SLOT].load(Ordering::Relaxed), pool),
    }
}

/// Sets the pool that this thread means for the pool's device when a call names none. None: the default pools of all
/// devices again. The thread keeps a reference until it sets another pool or ends (PO-64, PO-65). The caller has a
/// reference on the pool.
pub fn set_current(pool: Option<&'static Pool>) {
    let thread = thread::current();
    let Some(pool) = pool else { return forget_current(thread) };
    let Some(slot) = slot_of(pool.device()) else { return };
    thread::on_exit(forget_current);
    pool.add_ref();
    let old = CurrentPools::of(thread).0[slot].replace(Some(pool));
    thread_heap::set_current(thread, None);
    if let Some(old) = old {
        old.drop_ref();
    }
}

/// Drops a thread's references; also called when the thread ends.
fn forget_current(thread: &'static Thread) {
    for slot in &CurrentPools::of(thread).0 {
        let old = slot.take();
        thread_heap::set_current(thread, None);
        if let Some(old) = old {
            old.drop_ref();
        }
    }
}

/// Whether the default pool of a device type was made. Its options cannot change any more then.
pub fn default_exists(device_type: tn_device_type) -> bool {
    let made = |id| slot_of(tn_device { r#type: device_type, id });
    (0..SLOTS as i32).filter_map(made).any(|slot| !DEFAULTS[slot].load(Ordering::Acquire).is_null())
}

/// The options of a device type's default pool, as `tn_option_set` left them.
fn default_options(device_type: tn_device_type) -> PoolOptions {
    let mut options = PoolOptions { name: Name::head("default"), ..PoolOptions::default() };
    let Some(kind) = kind_of(device_type) else { return options };
    let values = crate::options::pool_options(kind);
    for (field, value) in crate::options::POOL_FIELDS.iter().zip(values) {
        match *field {
            "initial_size" => options.initial_size = value,
            "growth_factor" => options.growth_factor = f64::from_bits(value),
            "max_growth" => options.max_growth = value,
            "max_size" => options.max_size = value,
            "alignment" => options.alignment = value,
            "thread_cache_size" => options.thread_cache_size = value,
            "release_threshold" => options.release_threshold = value,
            "release_delay_ms" => options.release_delay_ms = value,
            // A value that does not fit its field becomes one that `create` refuses as out of range.
            "huge_pages" => options.huge_pages = u32::try_from(value).unwrap_or(u32::MAX),
            "backend" => options.backend = u32::try_from(value).unwrap_or(u32::MAX),
            "numa_node" => options.numa_node = i32::try_from(value).unwrap_or(-1),
            "host_flags" => options.host_flags = u32::try_from(value).unwrap_or(u32::MAX),
            "flags" => options.flags = u32::try_from(value).unwrap_or(u32::MAX),
            _ => debug_assert!(false, "option {field} of pools is unknown here"),
        }
    }
    options
}
