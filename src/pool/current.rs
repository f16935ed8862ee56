//! The pool that a call without a pool means: a default pool, or the one that the thread set.
//!
//! Contract: a device's initial default pool is made at its first use and never ends. A program can set another pool as
//! the default. A thread has a reference on each pool that it set, and on the default pool that it used last unless
//! that is the initial one. These last until the thread looks again, or ends. So the lookups add no reference, and a
//! default pool that is replaced meanwhile does not end under them.

use crate::error::{Result, fail};
use crate::names::Name;
use crate::pool::options::{self, PoolOptions};
use crate::pool::{Pool, calls, create, thread_heap};
use crate::thread::{self, Area, GPUS, PerThread, Thread, area};
use crate::types::*;
use core::cell::Cell;
use core::ptr::{self, null_mut};
use core::sync::atomic::{AtomicPtr, Ordering};

/// Number of devices that have a current pool: host, pinned memory, managed memory, and the GPUs.
const SLOTS: usize = FIRST_GPU + GPUS;

/// A thread's pools of one device.
#[repr(C)]
struct CurrentPool {
    /// The pool that the thread set. None: the default pool.
    set: Cell<Option<&'static Pool>>,
    /// The default pool at the thread's last lookup.
    used: Cell<Option<&'static Pool>>,
}

/// A thread's current pools, by the slot of their device.
struct CurrentPools([CurrentPool; SLOTS]);

// SAFETY: zeros are no pools; only the thread, or its exit hook, touches them; the area is for this type.
unsafe impl PerThread for CurrentPools {
    const AREA: Area = area::POOL_CURRENT;
}

/// The initial default pools that were made so far.
static INITIAL: [AtomicPtr<Pool>; SLOTS] = [const { AtomicPtr::new(null_mut()) }; SLOTS];

/// The default pools.
static DEFAULTS: [AtomicPtr<Pool>; SLOTS] = [const { AtomicPtr::new(NONE) }; SLOTS];

/// The default pool of a device where none was made. Not NULL, so that it differs from the pool of a thread that has
/// used none.
const NONE: *mut Pool = ptr::dangling_mut();

/// The default pool of a slot, if it was made.
fn default_of(slot: usize) -> Option<&'static Pool> {
    // Acquire pairs with the Release in `default` and `set_default`.
    let pool = DEFAULTS[slot].load(Ordering::Acquire);
    // SAFETY: a pool that is not `NONE`, and pools are never unmapped.
    (pool != NONE).then(|| unsafe { &*pool })
}

/// The initial default pool of a slot, if it was made.
fn initial_of(slot: usize) -> Option<&'static Pool> {
    // SAFETY: NULL, or a pool, and those are never unmapped. Acquire pairs with the Release in `initial`.
    unsafe { INITIAL[slot].load(Ordering::Acquire).as_ref() }
}

fn is_initial(slot: usize, pool: &'static Pool) -> bool {
    ptr::eq(INITIAL[slot].load(Ordering::Acquire), pool)
}

/// The initial default pool of a device, made at first use. It never ends (PO-5).
pub fn initial(device: tn_device) -> Result<&'static Pool> {
    if let Some(pool) = slot_of(device).and_then(initial_of) {
        return Ok(pool);
    }
    let options = default_options(device.r#type);
    // Without a driver, pinned memory may fall back to plain host memory: then it is the host's default pool.
    let actual = options::resolve_device(device, &options);
    if actual != device {
        return initial(actual);
    }
    // Wrong options fail here, and can still be changed.
    let pool = create(device, &options)?;
    if let Some(kind) = kind_of(device.r#type) {
        crate::options::seal_pool_options(kind);
    }
    let this = ptr::from_ref(pool).cast_mut();
    let slot = slot_of(device).unwrap_or(HOST_SLOT);
    // Release pairs with the Acquire in `initial_of`. Acquire: the pool of the thread that was first is seen whole.
    match INITIAL[slot].compare_exchange(null_mut(), this, Ordering::Release, Ordering::Acquire) {
        Ok(_) => Ok(pool),
        Err(first) => {
            pool.drop_ref();
            // SAFETY: set by the thread that was first.
            Ok(unsafe { &*first })
        }
    }
}

/// The default pool of a device: the one that the program set, else the initial one. It lasts until the thread looks
/// again.
pub fn default(device: tn_device) -> Result<&'static Pool> {
    let Some(slot) = slot_of(device) else { return initial(device) };
    let thread = thread::current();
    loop {
        let Some(pool) = default_of(slot) else {
            let initial = initial(device)?;
            if initial.device() != device {
                return default(initial.device());
            }
            // Fails if the program sets another one meanwhile. Release pairs with the Acquire in `default_of`.
            let this = ptr::from_ref(initial).cast_mut();
            let _ = DEFAULTS[slot].compare_exchange(NONE, this, Ordering::Release, Ordering::Relaxed);
            continue;
        };
        if use_default(thread, slot, pool) {
            return Ok(pool);
        }
    }
}

/// Notes the default pool that a thread uses. False: it was replaced meanwhile.
fn use_default(thread: &'static Thread, slot: usize, pool: &'static Pool) -> bool {
    let used = &CurrentPools::of(thread).0[slot].used;
    if used.get().is_some_and(|used| ptr::eq(used, pool)) {
        return true;
    }
    // Dropping the last reference of the previous one could run a callback, or wait for other threads. A thread that is
    // inside needs no reference: `set_default` waits until it leaves.
    if thread.is_inside() || used.get().is_some_and(|used| calls::is_of(thread, used)) {
        return true;
    }
    if !is_initial(slot, pool) {
        thread::on_exit(forget_used);
        if !pool.try_ref() {
            return false;
        }
        // The record may be another pool's by now.
        if !default_of(slot).is_some_and(|now| ptr::eq(now, pool)) {
            pool.drop_ref();
            return false;
        }
    }
    drop_used(slot, used.replace(Some(pool)));
    true
}

fn drop_used(slot: usize, pool: Option<&'static Pool>) {
    if let Some(pool) = pool.filter(|pool| !is_initial(slot, pool)) {
        pool.drop_ref();
    }
}

/// Drops a thread's references on the default pools that it used, when the thread ends.
fn forget_used(thread: &'static Thread) {
    for (slot, current) in CurrentPools::of(thread).0.iter().enumerate() {
        drop_used(slot, current.used.take());
    }
}

/// Sets the default pool of the pool's device. None: the initial default pools of all devices again. TN_ERR_STALE if
/// the pool was released meanwhile; TN_ERR_INVALID in a callback of an upstream.
pub fn set_default(pool: Option<&'static Pool>) -> Result<()> {
    let thread = thread::current();
    if thread.is_inside() || calls::is_any(thread) {
        return Err(fail(
            TN_ERR_INVALID,
            format_args!("a callback of an upstream cannot set the default pool; set it outside of the callback"),
        ));
    }
    match pool {
        Some(pool) => slot_of(pool.device()).map_or(Ok(()), |slot| set_default_of(slot, Some(pool))),
        None => (0..SLOTS).try_for_each(|slot| set_default_of(slot, None)),
    }
}

fn set_default_of(slot: usize, pool: Option<&'static Pool>) -> Result<()> {
    let initial = || INITIAL[slot].load(Ordering::Acquire);
    let pool = pool.filter(|pool| !is_initial(slot, pool));
    if pool.is_none() && default_of(slot).is_none_or(|now| is_initial(slot, now)) {
        return Ok(());
    }
    // The reference of the default.
    pool.map_or(Ok(()), Pool::keep)?;
    let old = thread::stop_the_world(|| {
        let new = pool.map_or_else(initial, |pool| ptr::from_ref(pool).cast_mut());
        // Release pairs with the Acquire in `default_of`.
        let old = DEFAULTS[slot].swap(if new.is_null() { NONE } else { new }, Ordering::AcqRel);
        if slot == HOST_SLOT {
            // The next request of each thread without a pool looks again.
            thread::each_record(thread_heap::forget_current);
        }
        old
    });
    if old != NONE && !ptr::eq(old, initial()) {
        // SAFETY: not `NONE`, so a pool; its reference as the default is dropped here.
        unsafe { &*old }.drop_ref();
    }
    Ok(())
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
    match slot_of(device).and_then(|slot| CurrentPools::of(thread::current()).0[slot].set.get()) {
        Some(pool) if pool.device() == device => Ok(pool),
        _ => default(device),
    }
}

/// The pool for bytes that replace others: the pool of those, or the current one if they have none or it was released.
/// Adds no reference. The other bytes keep their pool.
pub fn like(pool: Option<&'static Pool>, device: tn_device) -> Result<&'static Pool> {
    pool.filter(|pool| !pool.is_retired()).map_or_else(|| current(device), Ok)
}

/// The pool that a thread means for the host when a call names none.
#[inline(always)]
pub fn current_of_host(thread: &'static Thread) -> Result<&'static Pool> {
    let current = &CurrentPools::of(thread).0[HOST_SLOT];
    if let Some(pool) = current.set.get() {
        return Ok(pool);
    }
    let used = current.used.get();
    // Relaxed: if the two are equal, this thread has used the pool before.
    if ptr::eq(
        used.map_or(null_mut(), |pool| ptr::from_ref(pool).cast_mut()),
        DEFAULTS[HOST_SLOT].load(Ordering::Relaxed),
    ) {
        // SAFETY: the default is never NULL.
        return Ok(unsafe { used.unwrap_unchecked() });
    }
    default(tn_device { r#type: TN_CPU, id: 0 })
}

/// Whether a thread means this pool for the host when a call names none.
pub(super) fn is_current_of_host(thread: &'static Thread, pool: &'static Pool) -> bool {
    match CurrentPools::of(thread).0[HOST_SLOT].set.get() {
        Some(set) => ptr::eq(set, pool),
        None => ptr::eq(DEFAULTS[HOST_SLOT].load(Ordering::Relaxed), pool),
    }
}

/// Sets the pool that this thread means for the pool's device when a call names none. None: the default pools of all
/// devices again. The thread keeps a reference until it sets another pool or ends (PO-64, PO-65). TN_ERR_STALE if the
/// pool was released meanwhile.
pub fn set_current(pool: Option<&'static Pool>) -> Result<()> {
    let thread = thread::current();
    let Some(pool) = pool else {
        forget_current(thread);
        return Ok(());
    };
    let Some(slot) = slot_of(pool.device()) else { return Ok(()) };
    // The end of a scope restores the pool that was current before it: a thread with the default pool then follows the
    // default again.
    let set = if default_of(slot).is_some_and(|default| ptr::eq(default, pool)) { None } else { Some(pool) };
    if let Some(pool) = set {
        thread::on_exit(forget_current);
        pool.keep()?;
    }
    let old = CurrentPools::of(thread).0[slot].set.replace(set);
    thread_heap::forget_current(thread);
    if let Some(old) = old {
        old.drop_ref();
    }
    Ok(())
}

/// Drops a thread's references; also called when the thread ends.
fn forget_current(thread: &'static Thread) {
    for current in &CurrentPools::of(thread).0 {
        let old = current.set.take();
        thread_heap::forget_current(thread);
        if let Some(old) = old {
            old.drop_ref();
        }
    }
}

/// Whether the default pool of a device type was made. Its options cannot change any more then.
pub fn default_exists(device_type: tn_device_type) -> bool {
    let made = |id| slot_of(tn_device { r#type: device_type, id });
    (0..SLOTS as i32).filter_map(made).any(|slot| initial_of(slot).is_some())
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
