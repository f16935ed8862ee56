//! Blocks: which one an address is, and all that is done to one on the long way, under its pool's lock.
//!
//! Contract: looks and decisions happen under the pool's lock; getting memory, moving pages, copying, clearing and
//! texts happen without it, on blocks and spans that nobody else can reach meanwhile. A request that fails changes
//! nothing but counts.
//!
//! | file | what |
//! |---|---|
//! | `request` | what is asked for: checked, rounded, cleared |
//! | `obtain` | where its memory comes from, and what is done when there is none |
//! | `free` | blocks that come back |
//! | `resize` | blocks that change their size |

mod allocate;

mod free;

pub(super) mod policy;

mod resize;

mod slow_path;

mod split;

mod steps;

pub(super) use allocate::creation;
pub(super) use free::PATTERN;
pub use free::{deallocate, deallocate_for};
pub(super) use slow_path::{Growth, Request, StepOutcome};

use crate::error::{Result, Status, fail};
use crate::options;
use crate::pool::Pool;
use crate::pool::client::Client;
use crate::pool::lock::Guard;
use crate::pool::messages::Misuse;
use crate::pool::span::block_state::{Block, BlockState};
use crate::pool::span::{Span, table};
use crate::pool::state::{Found, PoolState};
use crate::sys::checker::{self, Watched};
use crate::sys::os;
use crate::thread;
use crate::types::*;
use core::sync::atomic::Ordering;

/// The state of a pool, locked.
pub(super) type Open = Guard<'static, PoolState>;

/// The pool that has the address, locked, and its span. None: no pool has it.
pub(super) fn owner(address: usize) -> Option<(&'static Pool, Open, &'static Span)> {
    loop {
        let span = table::find(address)?;
        let pool = span.pool()?;
        let state = pool.state.lock();
        // Entries and spans of a pool change under its lock only: if both still say so, they go on saying so.
        let same = table::find(address).is_some_and(|now| now.is(span));
        if same && span.pool().is_some_and(|now| core::ptr::eq(now, pool)) {
            return Some((pool, state, span));
        }
    }
}

/// The live raw block that starts at the address, for one that changes or ends it. `through`: the pool that was passed,
/// `client`: who passed it, and whose a mistake is.
pub(super) fn claim(
    address: usize,
    through: Option<&'static Pool>,
    client: Client,
) -> Result<(&'static Pool, Open, &'static Span, usize)> {
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
    let misuse = match state.look(span, address) {
        Found::Never => Misuse::Foreign,
        Found::Gone => Misuse::Stale { pool: name },
        Found::Block { start, block, .. } if start != address => {
            Misuse::Inside { start, bytes: block.requested, pool: name }
        }
        Found::Block { block, .. } if block.state == BlockState::Store => {
            Misuse::Store { bytes: block.requested, pool: name }
        }
        Found::Block { .. } if through.is_some_and(|through| !core::ptr::eq(through, pool)) => {
            drop(state);
            let passed = through.map_or(name, Pool::name);
            return Err(refuse(Some(pool), Misuse::Other { owner: name, passed }));
        }
        Found::Block { index, .. } => return Ok((pool, state, span, index)),
    };
    drop(state);
    Err(refuse(Some(pool), misuse))
}

/// The option `abort_on_misuse`: the process ends here, with the text of the refusal.
#[cold]
fn stop() -> ! {
    os::print_error(&["tenure: ", crate::error::drafted().as_str(), "\n"]);
    std::process::abort();
}

/// A request to a pool whose last hold went (PO-6).
#[cold]
pub(super) fn refuse_retired(mut state: Open, block: Block) -> Status {
    state.count_failure(block);
    let name = state.name;
    drop(state);
    fail(TN_ERR_STALE, format_args!("pool \"{}\" was released and hands out nothing any more", name.as_str()))
}

/// Usable bytes of the live block, raw or an array's, that starts at the address.
pub fn usable_size(address: usize) -> Result<usize> {
    let misuse = match owner(address) {
        None => Misuse::Foreign,
        Some((pool, state, _)) if pool.is_calling(thread::current()) => {
            drop(state);
            return Err(pool.refuse_callback());
        }
        Some((_, state, span)) => match state.look(span, address) {
            Found::Never => Misuse::Foreign,
            Found::Gone => Misuse::Stale { pool: state.name },
            Found::Block { start, .. } if start == address => return Ok(span.block_bytes.get()),
            Found::Block { start, block, .. } => Misuse::Inside { start, bytes: block.requested, pool: state.name },
        },
    };
    Err(misuse.status(address))
}

/// The pool of the live block that contains the address, with one more hold, the caller's (PO-9).
pub fn of(address: usize) -> Result<&'static Pool> {
    if let Some((pool, mut state, span)) = owner(address) {
        if pool.is_calling(thread::current()) {
            drop(state);
            return Err(pool.refuse_callback());
        }
        if let Found::Block { .. } = state.look(span, address) {
            state.refs += 1;
            return Ok(pool);
        }
    }
    Err(Misuse::Foreign.status(address))
}

impl Pool {
    /// What a memory checker is told of a block; None: there is no checker, or the memory is not the host's.
    pub(super) fn watched(&self, address: usize, bytes: usize) -> Option<Watched> {
        let told = checker::watches() && self.touch.load(Ordering::Relaxed) && !self.is_stream_ordered();
        told.then(|| Watched { address, bytes, outermost: !self.is_imported() })
    }

    #[cold]
    fn untouchable(&'static self, why: &str) -> Status {
        let name = self.name();
        fail(TN_ERR_UNSUPPORTED, format_args!("memory of pool \"{}\" is {why}; do so on its device", name.as_str()))
    }
}
