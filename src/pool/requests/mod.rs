//! Requests that no thread heap serves: allocations, frees and resizes under the pool's lock, and refusals.
//!
//! Contract: decisions are made under the pool's lock. Getting memory, moving pages, copying, clearing and messages
//! happen without it, on blocks and spans that no other thread can reach meanwhile. A request that fails changes
//! counts only.
//!
//! | file | what |
//! |---|---|
//! | `allocate` | requests: checked, rounded, cleared |
//! | `slow_path`, `request` | the driver that frees memory step by step, and its request |
//! | `policy` | the order of the steps for host pools and stream-ordered pools |
//! | `steps` | the steps of host pools |
//! | `free` | frees |
//! | `resize` | blocks that change their size |
//! | `split` | one block becomes two, or two become one |

mod allocate;

mod free;

pub(super) mod policy;

mod request;

mod resize;

mod slow_path;

mod split;

pub(super) mod steps;

pub(super) use allocate::creation;
pub(super) use free::free_for;
pub use free::{deallocate, deallocate_finished, deallocate_for, deallocate_on};
pub(super) use request::{Request, StepOutcome};

use crate::device::host::GRANULE;
use crate::error::{Result, Status, fail};
use crate::options;
use crate::pool::Pool;
use crate::pool::client::Client;
use crate::pool::lock::Locked;
use crate::pool::messages::Misuse;
use crate::pool::span::block_state::{Block, BlockState};
use crate::pool::span::{Span, table};
use crate::pool::state::{Found, PoolState};
use crate::sys::checker::{self, Watched};
use crate::sys::os;
use crate::thread;
use crate::types::*;
use core::sync::atomic::Ordering;

/// The locked state of a pool.
pub(super) type LockedState = Locked<'static, PoolState>;

/// The pool that has the address, locked, and the span that contains it. None: no pool has it.
pub(super) fn owner(address: usize) -> Option<(&'static Pool, LockedState, &'static Span)> {
    loop {
        let span = table::find(address)?;
        let pool = span.pool()?;
        let state = pool.state.lock();
        // Table entries and spans of a pool change only under its lock. If both are unchanged now, they stay so.
        let same = table::find(address).is_some_and(|now| now.is(span));
        if same && span.pool().is_some_and(|now| core::ptr::eq(now, pool)) {
            return Some((pool, state, span));
        }
    }
}

/// The live raw block that starts at the address, with its pool locked. `through`: the pool that was passed.
/// `client`: the caller, whose misuse is counted.
pub(super) fn lock_block(
    address: usize,
    through: Option<&'static Pool>,
    client: Client,
) -> Result<(&'static Pool, LockedState, &'static Span, usize)> {
    let refuse = |pool: Option<&'static Pool>, misuse: Misuse| {
        if let Some(pool) = through.or(pool) {
            let mut state = pool.state.lock();
            state.figures.misuse_count += 1;
            state.figures.failure_count += 1;
            let account = &mut state.clients[client.index()];
            account.misuses += 1;
            account.failures += 1;
        }
        let status = misuse.status(address);
        if options::abort_on_misuse() {
            stop();
        }
        status
    };
    let Some((pool, state, span)) = owner(address) else { return Err(refuse(None, Misuse::Foreign)) };
    if pool.is_calling(thread::current()) {
        drop(state);
        return Err(pool.refuse_callback());
    }
    let name = state.name;
    let misuse = match state.classify(span, address) {
        Found::Never => Misuse::Foreign,
        Found::Gone => Misuse::Stale { pool: name },
        Found::Block { start, block, .. } if start != address => {
            Misuse::Inside { start, bytes: block.requested, pool: name }
        }
        Found::Block { block, .. } if block.state == BlockState::Store => {
            Misuse::Store { bytes: block.requested, pool: name }
        }
        Found::Block { .. }
            if through.is_some_and(|through| !core::ptr::eq(through, pool) && !pool.serves(through)) =>
        {
            drop(state);
            let passed = through.map_or(name, Pool::name);
            return Err(refuse(Some(pool), Misuse::Other { owner: name, passed }));
        }
        Found::Block { index, .. } => return Ok((pool, state, span, index)),
    };
    drop(state);
    Err(refuse(Some(pool), misuse))
}

/// The option `abort_on_misuse`: ends the process with the message of the refusal.
#[cold]
fn stop() -> ! {
    os::print_error(&["tenure: ", crate::error::drafted().as_str(), "\n"]);
    std::process::abort();
}

/// Refuses a request to a retired pool (PO-6).
#[cold]
pub(super) fn refuse_retired(mut state: LockedState, block: Block) -> Status {
    state.count_failure(block);
    let name = state.name;
    drop(state);
    fail(TN_ERR_STALE, format_args!("pool \"{}\" was released and allocates nothing any more", name.as_str()))
}

/// Usable bytes of the live block that starts at the address, raw or of an array.
pub fn usable_size(address: usize) -> Result<usize> {
    let misuse = match owner(address) {
        None => Misuse::Foreign,
        Some((pool, state, _)) if pool.is_calling(thread::current()) => {
            drop(state);
            return Err(pool.refuse_callback());
        }
        Some((pool, state, span)) => match state.classify(span, address) {
            Found::Never => Misuse::Foreign,
            Found::Gone => Misuse::Stale { pool: state.name },
            // A memory checker reports accesses beyond the requested bytes.
            Found::Block { start, block, .. } if start == address && pool.is_watched() => return Ok(block.requested),
            Found::Block { start, .. } if start == address => return Ok(span.block_bytes.get()),
            Found::Block { start, block, .. } => Misuse::Inside { start, bytes: block.requested, pool: state.name },
        },
    };
    Err(misuse.status(address))
}

/// The pool of the live block that contains the address, with one more reference, the caller's (PO-9).
pub fn of(address: usize) -> Result<&'static Pool> {
    if let Some((pool, mut state, span)) = owner(address) {
        if pool.is_calling(thread::current()) {
            drop(state);
            return Err(pool.refuse_callback());
        }
        if let Found::Block { .. } = state.classify(span, address) {
            state.refs += 1;
            return Ok(pool);
        }
    }
    Err(Misuse::Foreign.status(address))
}

impl Pool {
    /// Whether a memory checker is told of the pool's blocks: there is one, and the memory is the host's.
    pub(super) fn is_watched(&self) -> bool {
        checker::watches() && self.touch.load(Ordering::Relaxed) && !self.is_stream_ordered()
    }

    /// What a memory checker is told of a block of `bytes` requested bytes. None: it is told nothing.
    pub(super) fn watched(&self, address: usize, bytes: usize, extent: usize) -> Option<Watched> {
        self.is_watched().then(|| Watched { address, bytes, extent, outermost: !self.is_imported() })
    }

    /// Clears what earlier blocks left behind the requested bytes of a block. The caller holds the block, and nobody
    /// changes its size.
    pub fn clear_behind(&'static self, start: usize, requested: usize) {
        let _state = self.state.lock();
        let Some(span) = table::find(start) else { return };
        let (end, bytes) = (start + requested, (span.end() - span.clean.get()).saturating_sub(start + requested));
        let watched = self.is_watched();
        if watched {
            checker::open(end, bytes);
        }
        // SAFETY: committed as a part of the block's span, and no bytes of any block.
        unsafe { self.ops().fill(end, bytes, 0) };
        if watched {
            checker::shut(end, bytes);
        }
    }

    /// Bytes behind a block that stay unused for a memory checker. Other allocators divide blocks with the alignment of
    /// a granule, and join neighbours, so these have none. An upstream gets requests of the sizes that it gets without
    /// a checker.
    pub(super) fn red_zone_bytes(&self, alignment: usize) -> usize {
        let has_red_zones = alignment < GRANULE && self.is_watched() && !self.is_imported();
        if has_red_zones { checker::red_zone_bytes() } else { 0 }
    }

    #[cold]
    fn untouchable(&'static self, why: &str) -> Status {
        let name = self.name();
        fail(TN_ERR_UNSUPPORTED, format_args!("the block of pool \"{}\" {why} on its device", name.as_str()))
    }
}
