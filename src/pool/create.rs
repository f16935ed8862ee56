//! Creation of pools: over a device, or over a caller's upstream.
//!
//! Contract: a creation that fails leaves nothing behind (PO-1 to PO-4).

use crate::arena;
use crate::device::Source;
use crate::device::upstream;
use crate::error::{Result, fail};
use crate::events;
use crate::names::Name;
use crate::pool::backing::trim::trim_all;
use crate::pool::options::{APART, PoolOptions, Settings};
use crate::pool::registry::{retire, take_record};
use crate::pool::state::stream_lists::StreamLists;
use crate::pool::state::{PoolState, Ring};
use crate::pool::{HOST, Pool, messages, options, requests, stream_ordered};
use crate::sys::file::Errno;
use crate::sys::{checker, os};
use crate::thread;
use crate::types::*;
use core::sync::atomic::{AtomicU64, Ordering};

/// Number of pools made so far, for their names.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// Creates a pool on a device, with one reference, the caller's. TN_ERR_DEVICE, TN_ERR_INVALID, TN_ERR_RANGE,
/// TN_ERR_UNSUPPORTED, TN_ERR_NO_HOST_MEMORY (PO-1 to PO-4).
pub fn create(device: tn_device, options: &PoolOptions) -> Result<&'static Pool> {
    let resolved = options::resolve_device(device, options);
    let settings = options::check(device, options, os::has_node)?;
    let source = Source::of(resolved, options.host_flags)?;
    options::check_possible(resolved, options)?;
    let (settings, source) = match checked_source(source, options) {
        // Its blocks are memory of their own, and inaccessible once they are freed.
        Some(checked) => {
            let own = options.flags & !(TN_POOL_STRICT | TN_POOL_ZERO_ON_FREE) | TN_POOL_DIRECT;
            let each = PoolOptions { flags: own, initial_size: 0, huge_pages: TN_HUGE_NEVER, ..*options };
            (options::check(device, &each, os::has_node)?, checked)
        }
        None => (settings, source),
    };
    let settings = match source.device().terms().ordered {
        true => options::on_device(resolved, settings, options, can_prefer_node)?,
        false => settings,
    };
    let source = backing_source(source, resolved, &settings, options)?;
    let terms = source.device().terms();
    crate::reclaim::register(trim_all);
    if terms.ordered {
        // Work on pools that were released earlier may be finished by now.
        stream_ordered::collect();
    }
    let floor = settings.floor.next_multiple_of(terms.granule);
    make(resolved, Settings { terms, floor, ..settings }, options.name, source, None)
}

/// The source for a pool of the host's own memory whose accesses are checked. None: they are not.
fn checked_source(found: Source, options: &PoolOptions) -> Option<Source> {
    (found == Source::HOST && options.flags & TN_POOL_SHAREABLE == 0).then(Source::checked).flatten()
}

/// The source of a pool's memory: a pool of the driver (PD-17), or granules that are mapped, with TN_BACKEND_AUTO where
/// the GPU supports that (PD-10), else what was found.
fn backing_source(found: Source, device: tn_device, settings: &Settings, options: &PoolOptions) -> Result<Source> {
    if options.flags & TN_POOL_SHAREABLE != 0 {
        return Source::shareable(options.flags & TN_POOL_READONLY_EXPORTS != 0)
            .ok_or_else(|| fail(TN_ERR_UNSUPPORTED, format_args!("this library shares no memory between processes")));
    }
    if options.flags & TN_POOL_IPC != 0 {
        return Source::exported(device);
    }
    if device.r#type == TN_CUDA && options.backend == TN_BACKEND_DRIVER_POOL {
        let waits = options.flags & TN_POOL_STRICT == 0;
        return Source::driver_pool(device, settings.threshold as u64, waits, options.peers);
    }
    let is_wanted = device.r#type == TN_CUDA && options.backend == TN_BACKEND_AUTO;
    // A block of its own from the device for each request would take a whole granule.
    let direct = options.flags & TN_POOL_DIRECT != 0;
    let mapped = if is_wanted && !direct { Source::mapped(device, options.peers)? } else { None };
    match mapped {
        None if options.peers != 0 => Err(fail(
            TN_ERR_UNSUPPORTED,
            format_args!(
                "option peers is {:#x}, which needs TN_BACKEND_DRIVER_POOL, or mapped memory: TN_BACKEND_AUTO without TN_POOL_DIRECT, and a \
                 driver and a GPU that support virtual memory management",
                options.peers
            ),
        )),
        mapped => Ok(mapped.unwrap_or(found)),
    }
}

/// Whether the system lets the calling thread prefer a NUMA node.
#[cfg(not(preload))]
fn can_prefer_node(node: u32) -> bool {
    os::NodePreference::set(node).is_some()
}

#[cfg(preload)]
fn can_prefer_node(_: u32) -> bool {
    false
}

/// Creates a pool over a caller's upstream, with one reference, the caller's. Its memory counts as `device`'s. Fails
/// as `create` does, and with TN_ERR_FAILED if the upstream misbehaved when `initial_size` was requested. The caller
/// keeps the upstream until [`Pool::accept`].
pub fn import(device: tn_device, upstream: &tn_upstream, options: &PoolOptions) -> Result<&'static Pool> {
    let settings = options::check(device, options, os::has_node)?;
    let terms = upstream::check(device, upstream)?;
    options::check_possible(HOST, options)?;
    let settings = options::over_upstream(settings, options, terms)?;
    make(device, settings, options.name, Source::HOST, Some(upstream))
}

fn make(
    device: tn_device,
    settings: Settings,
    name: Name,
    source: Source,
    upstream: Option<&tn_upstream>,
) -> Result<&'static Pool> {
    let Settings { terms, .. } = settings;
    let no_memory = || {
        let reason = Errno::NO_MEMORY;
        fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for the descriptor of a pool: {reason}; free some memory"))
    };
    let Some(pool) = take_record() else {
        source.end();
        return Err(no_memory());
    };
    let ring = match settings.flags & TN_POOL_STRICT {
        0 => None,
        _ => match arena::take(size_of::<Ring>(), align_of::<Ring>()) {
            // SAFETY: zeroed memory of the right size and alignment, never unmapped; zero is a valid, empty ring.
            Some(at) => Some(unsafe { at.cast::<Ring>().as_ref() }),
            None => {
                source.end();
                retire(pool);
                return Err(no_memory());
            }
        },
    };
    let ordered = if terms.ordered { StreamLists::create() } else { None };
    if terms.ordered {
        stream_ordered::watch_resets();
    }
    if terms.ordered && ordered.is_none() {
        source.end();
        retire(pool);
        return Err(no_memory());
    }
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed) + 1;
    let name = if name.is_none() { numbered(serial) } else { name };
    pool.set_constants(device, &settings, source, serial);
    if let Some(upstream) = upstream {
        // SAFETY: the record is this call's alone.
        unsafe { pool.upstream.set(upstream, terms) };
    }
    let mut state = PoolState::new(settings, name, ring, Some(&pool.peak_updates), size_of::<Pool>());
    state.stream_lists = ordered;
    state.parts = if terms.keeps { Some(source.device()) } else { None };
    state.figures.metadata_bytes += ordered.map_or(0, |_| size_of::<StreamLists>() as u64);
    *pool.state.lock() = state;
    events::define_pool(serial, name.as_str());
    if settings.floor == 0 {
        return Ok(pool);
    }
    let status = match pool.commit_at_creation(&settings) {
        Ok(true) => return Ok(pool),
        Ok(false) => messages::out_of_memory(pool, terms.refusal, &requests::creation(settings.floor)),
        Err(status) => status,
    };
    pool.drop_ref();
    Err(status)
}

#[cfg(not(any(loom, preload)))]
use crate::sys::race_detector::is_present as is_race_detected;

#[cfg(any(loom, preload))]
fn is_race_detected() -> bool {
    false
}

/// "pool-7".
fn numbered(serial: u64) -> Name {
    let mut text = crate::error::Text::new();
    let _ = core::fmt::write(&mut text, format_args!("pool-{serial}"));
    Name::head(text.as_str())
}

impl Pool {
    /// Sets what does not change while the pool lives and is read without the lock.
    fn set_constants(&self, device: tn_device, settings: &Settings, source: Source, serial: u64) {
        let terms = &settings.terms;
        self.device_type.store(device.r#type, Ordering::Relaxed);
        self.device_id.store(device.id, Ordering::Relaxed);
        self.alignment.store(settings.alignment, Ordering::Relaxed);
        self.page.store(terms.page, Ordering::Relaxed);
        self.touch.store(terms.touch, Ordering::Relaxed);
        self.stream_ordered.store(terms.ordered, Ordering::Relaxed);
        self.special.store(terms.ordered || source.is_checked(), Ordering::Relaxed);
        self.forks.store(thread::forks(), Ordering::Relaxed);
        self.host_flags.store(settings.host_flags, Ordering::Relaxed);
        self.source.store(source.bits(), Ordering::Relaxed);
        self.flags.store(settings.flags, Ordering::Relaxed);
        self.serial.store(serial, Ordering::Relaxed);
        self.held_bytes.store(0, Ordering::Relaxed);
        self.lost_bytes.store(0, Ordering::Relaxed);
        self.lowest_address.store(usize::MAX, Ordering::Relaxed);
        self.end_address.store(0, Ordering::Relaxed);
        let plain = settings.flags & (APART | TN_POOL_STRICT | TN_POOL_ZERO_ON_FREE) != 0;
        // Threads of loom's models end before pools do. Memory checkers and race detectors see calls on the slow path
        // only.
        let is_checked = checker::watches() || is_race_detected();
        let heaps = !plain && terms.touch && !terms.ordered && settings.thread_cache > 0 && !cfg!(loom) && !is_checked;
        self.heaps.store(heaps, Ordering::Relaxed);
        self.idle_check_ms.store(0, Ordering::Relaxed);
        self.plugin.store(core::ptr::null_mut(), Ordering::Relaxed);
        self.has_dead.store(false, Ordering::Relaxed);
        self.serves.store(0, Ordering::Relaxed);
    }
}
