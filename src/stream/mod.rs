//! Streams as the layers above see them: orders of device work, and what of it is finished.
//!
//! The one idea: each CUstream that is known has a [`Queue`], and a [`Point`] of it stands for all work that was issued there before. A point
//! is had without asking the driver; an event is recorded only where somebody elsewhere has to see it, and is used again once it has passed.
//!
//! Contract: queues and points are safe to keep for ever: a point of a queue that ended has passed, or says that it has not, never
//! anything wrong. [`Point::is_passed`], [`Queue::now`] and [`Queue::follows`] look at memory only and may be asked under any lock; what
//! asks the driver ([`Point::poll`], [`Queue::mark`], [`Queue::wait_for`]) or waits ([`Point::wait`]) is called under none. No event is
//! recorded on a stream that captures a graph.
//!
//! | file | what |
//! |---|---|
//! | `queue` | a CUstream's order of work |
//! | `held` | holds on a queue |
//! | `point` | points in it |
//! | `mark` | events of the driver, recycled |
//! | `order` | which queues are known to come after what |
//! | `end` | what becomes of a queue that nobody holds any more |
//! | `current` | the streams of a thread: its own, and its current ones |
//! | `internal_stream` | the library's own one |
//! | `argument` | what a stream argument of C means |
//! | `handle`, `event`, `scope` | tn_stream, tn_event, tn_scope of tn_stream_enter |
//! | `slot` | what handles and events lie in |
//! | `calls` | what the C functions on streams do |
//! | `none` | all that programs' malloc knows of it |

#[cfg(not(preload))]
mod argument;

#[cfg(not(preload))]
mod internal_stream;

#[cfg(not(preload))]
mod api;

#[cfg(not(preload))]
mod current;

#[cfg(not(preload))]
mod end;

#[cfg(not(preload))]
pub mod event;

#[cfg(not(preload))]
mod handle;

#[cfg(not(preload))]
mod queue_ref;

#[cfg(not(preload))]
mod event_pool;

#[cfg(not(preload))]
mod known_waits;

#[cfg(not(preload))]
mod point;

#[cfg(not(preload))]
mod queue;

#[cfg(not(preload))]
pub mod scope;

#[cfg(not(preload))]
mod slot;

#[cfg(preload)]
mod no_device;

#[cfg(not(preload))]
pub use self::{
    api::{create, handle_on_current, import, native, set_current, synchronize, synchronize_gpu},
    argument::Stream,
    current::current,
    handle::release,
    internal_stream::internal_stream,
    point::Point,
    queue::Queue,
    queue_ref::QueueRef,
};

#[cfg(preload)]
pub use no_device::{Point, Queue, current, internal_stream};
