//! The record of each thread: its number, its call site, what the layers above keep per thread, and whether it is in a
//! critical section.
//!
//! Contract: [`current`] returns the calling thread's record, which is made at its first call and never unmapped.
//! `Cell`s in a record belong to that thread. Another thread touches them only when the owner is gone: at its end, or
//! in the child of a fork. Nothing runs at load. A destructor of a thread-local or of a pthread key may call after the
//! thread has left its record. The thread then gets another one, which a later thread takes back.
//!
//! Fork: a child must not inherit a lock whose holder no longer exists, nor state that was being changed. So a thread
//! that holds a lock of the library is in a [`CriticalSection`], and the handler before the fork waits until no thread
//! is. Entering costs a store and a load of the thread's own memory; `membarrier` on the side of the fork orders the
//! two. In a short call the load is one that it needs anyway (`gate`). [`stop_the_world`] waits likewise, without a fork.
//!
//! In the preload library (`cfg(preload)`, bindings/malloc) threads also call after their thread-locals are gone. It
//! uses [`current_if_registered`], and [`visit`] gives a thread a record for one call. Nothing here may allocate from
//! the C library, which that library replaces.
//!
//! | file | what |
//! |---|---|
//! | `area` | the bytes of each record that the layers above use |
//! | `per_thread` | what they keep there, by type |
//! | `record` | the record |
//! | `gate` | how short calls reach what the layers above keep |
//! | `gates` | where gates lead, and when they are closed |
//! | `records` | the list of all records, and how a thread finds its own |
//! | `critical` | critical sections, which forks wait for |
//! | `fork` | what happens before and after a fork |
//! | `register` | a thread gets its record, and leaves it at its end |
//! | `leave` | exit hooks, and how a record becomes another thread's |
//! | `start` | threads of the library's own |
//! | `locks` | data behind locks whose holders are in a critical section |
//! | `model` | what takes the place of `records` in the model checker |

pub mod area;

mod critical;

mod fork;

mod gate;

mod gates;

mod leave;

mod locks;

#[cfg(loom)]
mod model;

mod per_thread;

mod record;

mod records;

mod register;

#[cfg(not(preload))]
mod start;

pub use area::{Area, GPUS};
pub use critical::{CriticalSection, FastEntry, outside};
pub use fork::{
    are_devices_in_doubt, children, forks, is_driver_loaded, on_fork_child, set_devices_in_doubt, set_driver_loaded,
    set_due, set_recording, stop_the_world,
};
pub use gate::BehindGate;
pub use gates::{lead, leads_to};
pub use leave::{ExitHook, on_exit};
pub use locks::{ColdGuard, ColdLock, QuickGuard, QuickLock};
pub use per_thread::PerThread;
pub use record::{STAMP_END, STAMP_SHIFT, Thread, stamp, stamp_parts};
pub use records::{current_fast, current_if_registered, each_record};
#[cfg(not(loom))]
pub use register::visit;
#[cfg(not(any(loom, preload)))]
pub use register::visit_at_unload;
pub use register::{current, try_current};
#[cfg(not(preload))]
pub use start::start;
