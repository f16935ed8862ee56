//! The event log: what happened to memory, recorded while the program runs.
//!
//! Contract: without a log, the layers above pay one load of a constant word where something is recorded, and the fast
//! paths of pools nothing: those are off while a log runs (`thread::set_recording`), so that every event passes through
//! a place that records it. To record takes no lock and allocates nothing; a thread writes into a chunk of its own, and
//! every 1023 events it takes the next one. Memory is bounded. An event that finds no room is counted and dropped. A
//! thread records only inside of a critical section, so a log begins, ends and is copied while the world is stopped.
//! The child of a fork has no log. Any thread.
//!
//! | file | what |
//! |---|---|
//! | `event` | what an event says, as a slot |
//! | `record` | events are recorded |
//! | `texts` | names of arrays, call sites and pools |
//! | `cursor` | where a thread writes: its chunk |
//! | `store` | the memory of the log: chunks in memory, or in a mapped file |
//! | `control` | a log begins and ends |
//! | `read` | a log in memory is copied, or looked at |
//!
//! The format is that of docs/event-log.md, in memory too. A log that goes to a file is written in place, through a
//! shared mapping. So it is complete up to the last event, however the process ends.
//!
//! # Where the ideas come from
//!
//! Buffers that one thread writes and nobody else, exchanged when they are full, are those of LTTng ("Lockless
//! Multi-Core High-Throughput Buffering Scheme for Kernel Tracing", Desnoyers and Dagenais).

mod control;

mod cursor;

mod event;

mod read;

mod record;

mod store;

mod texts;

pub use control::{Destination, Stats, start, stats, stop};
pub use event::{ENDED, Event, Kind, OF_ARRAY, READ, WRITE};
pub use read::{Copied, View, copy, view};
pub use record::{define_pool, name, now, record, record_since, records};
