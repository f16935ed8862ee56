//! Registry of pool records. A record is never unmapped and never leaves the list of all records. The record of a
//! pool that is over is quarantined, then reused.

use crate::arena::{Arena, Link, Linked, Quarantine};
use crate::device::Source;
use crate::device::upstream::Upstream;
use crate::names::Name;
use crate::pool::lock::Lock;
use crate::pool::redirections::Redirections;
use crate::pool::span::free_protocol::AtomicStack;
use crate::pool::state::PoolState;
use crate::pool::{Pool, options};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Every record ever made. Records are pushed and never removed.
static ALL: AtomicPtr<Pool> = AtomicPtr::new(core::ptr::null_mut());

/// The number of records ever made.
static COUNT: AtomicUsize = AtomicUsize::new(0);

static RECORDS: Arena<Pool> = Arena::new();

/// Records of pools that are over. A record is reused after [`QUARANTINED_RECORDS`] others were retired. So a thread
/// that found a pool by its handle, and locks it after the handle was released, does not meet another pool there.
static QUARANTINE: Lock<Quarantine<Pool>> = Lock::new(Quarantine::new());

const QUARANTINED_RECORDS: usize = 64;

impl Linked for Pool {
    fn link(&self) -> &Link<Pool> {
        &self.quarantine_link
    }
}

/// Puts the record of a pool that is over into the quarantine.
pub(super) fn retire(pool: &'static Pool) {
    QUARANTINE.lock().put(pool);
}

/// A record for a new pool, with no valid state yet. None: no memory.
pub(super) fn take_record() -> Option<&'static Pool> {
    let retired = QUARANTINE.lock().take_beyond(QUARANTINED_RECORDS);
    if retired.is_some() {
        return retired;
    }
    let pool = RECORDS.get(blank)?;
    pool.number.store(COUNT.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    let this = core::ptr::from_ref(pool).cast_mut();
    let mut head = ALL.load(Ordering::Relaxed);
    loop {
        pool.next.store(head, Ordering::Relaxed);
        // Release pairs with the Acquire in `each_pool`.
        match ALL.compare_exchange_weak(head, this, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return Some(pool),
            Err(now) => head = now,
        }
    }
}

/// The record of no pool.
fn blank() -> Pool {
    let mut state = PoolState::new(options::NOTHING, Name::NONE, None, None, size_of::<Pool>());
    (state.refs, state.retired, state.quarantined) = (0, true, true);
    Pool {
        state: Lock::new(state),
        device_type: AtomicU32::new(0),
        device_id: AtomicI32::new(0),
        alignment: AtomicUsize::new(0),
        page: AtomicUsize::new(0),
        flags: AtomicU32::new(0),
        serial: AtomicU64::new(0),
        held_bytes: AtomicI64::new(0),
        lost_bytes: AtomicU64::new(0),
        lowest_address: AtomicUsize::new(usize::MAX),
        end_address: AtomicUsize::new(0),
        peak_updates: AtomicUsize::new(0),
        heaps: AtomicBool::new(false),
        idle_check_ms: AtomicU64::new(0),
        decaying: AtomicBool::new(false),
        touch: AtomicBool::new(false),
        stream_ordered: AtomicBool::new(false),
        special: AtomicBool::new(false),
        forks: AtomicU32::new(0),
        host_flags: AtomicU32::new(0),
        source: AtomicUsize::new(Source::HOST.bits()),
        upstream: Upstream::none(),
        number: AtomicUsize::new(0),
        returned: AtomicStack::new(),
        plugin: AtomicPtr::new(core::ptr::null_mut()),
        #[cfg(not(preload))]
        spill: AtomicPtr::new(core::ptr::null_mut()),
        redirections: Lock::new(Redirections::NONE),
        redirection_count: AtomicU32::new(0),
        serves: AtomicU64::new(0),
        has_dead: AtomicBool::new(false),
        next: AtomicPtr::new(core::ptr::null_mut()),
        quarantine_link: Link::new(),
    }
}

/// Calls `f` with every pool that is not over: it has a reference or a live block. Takes no lock around `f`.
pub fn each_pool(mut f: impl FnMut(&'static Pool)) {
    // SAFETY: NULL or a record, and so are the links. Acquire pairs with the Release in `take_record`.
    let mut next = unsafe { ALL.load(Ordering::Acquire).as_ref() };
    while let Some(pool) = next {
        let over = pool.state.lock().is_over();
        if !over {
            f(pool);
        }
        // SAFETY: as above; a link is set before the pool can be reached, and never changes.
        next = unsafe { pool.next.load(Ordering::Relaxed).as_ref() };
    }
}
