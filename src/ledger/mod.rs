//! Ledgers: one for each store. A ledger records the claims, guards, exports, promises and imports of its store, its
//! poisoned regions, its unfinished device work and the origin of its bytes, and returns the bytes when the last use
//! has ended.
//!
//! Contract: a ledger's lock guards all of this. [`lock`] locks the ledger of one handle; [`lock_all`] locks several in
//! ascending order, which excludes deadlocks. Both return [`Locked`], through which the state is read and changed.
//! Callbacks and frees are not allowed under the lock: `Locked` collects them, and its drop runs them after unlocking.
//!
//! A slot names the ledger whose lock guards it. Ledgers are type-stable: locking one that was recycled meanwhile does
//! no harm, because the lookup checks again under the lock and retries.
//!
//! This module keeps counts and lists consistent. What they permit is decided by `array`, `borrow` and `promise`, which
//! get no pointer to bytes except [`crate::blit::HostView`]. Any thread may call it.
//!
//! | file | contents |
//! |---|---|
//! | `state` | the state of a store, and the slots that its lock guards |
//! | `class`, `operation`, `origin`, `release` | plain data in these slots |
//! | `transitions` | the changes of claims, guards, promises and leases that the fast and the slow path share |
//! | `locked` | the lock, and the lookup of handles |
//! | `deferred_work` | what a locked section leaves for the time after unlocking |
//! | `by_address` | the store that has given addresses |
//! | `claim` | claims and the roots of views |
//! | `node` | claims of expression nodes |
//! | `access` | what the processor allows, if accesses are checked |
//! | `guard`, `guard_list` | guards; the guard of a borrow_all |
//! | `internal_guard`, `export` | guards of the library itself; exports |
//! | `record`, `points` | poisoned regions and unfinished device work that ended guards leave |
//! | `promise` | promises |
//! | `variable` | claims of shared variables; claims that rest while a call lends their bytes |
//! | `mirror` | claims and writers of mirrors |
//! | `weak`, `upgrade` | weak handles, and claims made from them |
//! | `lease`, `release_queue`, `deferred_release` | imports; releases that the caller runs; stores that wait for device work |
//! | `spill`, `residence` | bytes that go to a file of their pool and come back; where they are |
//! | `new_store`, `store_end` | creation and end of stores |
//! | `scope` | lists of handles that end together |
//! | `reach` | memory that the host can access |
//! | `log` | what the event log is told |
//! | `fast_path`, `fast_enter` | the fast path for one handle, and for entering a scope with a few |
//! | `stream_use` | the fast path for uses in the order of a stream |

mod access;

mod by_address;

mod claim;

mod class;

mod deferred_release;

mod deferred_work;

mod export;

mod fast_enter;

mod fast_path;

#[cfg(any(feature = "managed", loom))]
mod fast_variable;

mod guard;

mod guard_list;

mod internal_guard;

mod lease;

mod locked;

mod log;

#[cfg(feature = "managed")]
mod mirror;

mod new_store;

#[cfg(feature = "managed")]
mod node;

mod operation;

mod origin;

mod points;

mod promise;

mod reach;

mod record;

mod release;

mod release_queue;

mod residence;

mod scope;

mod spill;

mod state;

mod store_end;

mod stream_use;

mod transitions;

mod upgrade;

mod variable;

mod weak;

pub use by_address::{Found, find_by_address};
pub use claim::{SpareClaim, SpareRoot};
pub use class::{Class, Completion, GuardParams};
pub use deferred_release::{POLLED_PER_CALL, poll_deferred};
pub use fast_enter::enter_fast;
pub use fast_path::LockedSlot;
pub use guard::SpareGuard;
pub use guard_list::{GuardList, end_guard_list, origin_of_head};
pub use internal_guard::InternalGuard;
pub use lease::SpareLease;
pub use locked::{Locked, each_store, find, is_spent, ledger_of, lock, lock_all, lock_tag, visit_open_guard};
pub use new_store::{NewStore, SpareLedger, StoreParams, StoreSource, create, lend};
#[cfg(feature = "managed")]
pub use node::{ledger_of_claim, lock_claims};
pub use operation::{NodeTag, Operation};
pub use origin::Origin;
pub use points::{Points, UseTime, end_point, point_behind};
pub use promise::SparePromise;
pub use reach::is_reachable;
pub use release::Release;
pub use release_queue::{each_lingering, each_queued, queued, run_releases};
pub use scope::{LockedScope, Scope, SpareScope, each_scope, lock_scope};
pub use spill::bring_back;
pub use state::{
    Backing, Claim, ClaimBody, Group, Guard, GuardBody, Guarded, GuardedSlot, Lease, Ledger, LedgerState, Promise,
    PromiseBody, Root, TakenBy,
};
pub use weak::{SpareWeak, Weak, WeakBody};
