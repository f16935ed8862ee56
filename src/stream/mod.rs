//! Streams: the order of device work, and which of it is done.
//!
//! Each known CUstream has a [`Stream`]. A [`Point`] of a stream stands for all work that was issued there before.
//! Making a point needs no call of the driver. An event is recorded only where another stream or the host has to see
//! the point, and is reused once it has passed.
//!
//! Contract: streams and points can be kept without limit. A point of a stream that ended has passed or not; the answer
//! is never wrong. [`Point::is_passed`], [`Stream::now`] and [`Stream::follows`] call no driver, and may be called
//! under any lock. Functions that call the driver ([`Point::poll`], [`Stream::record_point`], [`Stream::wait_for`]) or
//! wait ([`Point::wait`]) are called under none. No event is recorded on a stream that captures a graph.
//!
//! | file | what |
//! |---|---|
//! | `state` | a CUstream and its work |
//! | `stream_ref` | references on streams |
//! | `end` | a stream without references ends |
//! | `point` | positions in a stream |
//! | `event_pool` | events of the driver, reused |
//! | `known_waits` | what a stream is known to come after |
//! | `foreign` | streams of other libraries, named by their CUstream or not at all |
//! | `current` | the streams of a thread: its own, and its current ones |
//! | `internal_stream` | the library's own streams |
//! | `argument` | stream arguments of C |
//! | `api` | the functions behind C's functions on streams |
//! | `handle`, `event`, `scope` | `tn_stream`, `tn_event`, `tn_scope` of `tn_stream_enter` |
//! | `slot` | the slots of handles and events |
//! | `no_device` | takes the place of all this in the preload library |

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
mod foreign;

#[cfg(not(preload))]
pub mod event;

#[cfg(not(preload))]
mod handle;

#[cfg(not(preload))]
mod stream_ref;

#[cfg(not(preload))]
mod event_pool;

#[cfg(not(preload))]
mod known_waits;

#[cfg(not(preload))]
mod point;

#[cfg(not(preload))]
mod state;

#[cfg(not(preload))]
pub mod scope;

#[cfg(not(preload))]
mod slot;

#[cfg(preload)]
mod no_device;

#[cfg(not(preload))]
pub use self::{
    api::{
        create, handle_on_current, import, is_done, native, outlast_streams, prefetch, refuse_captures, set_current,
        synchronize, synchronize_gpu, tick,
    },
    argument::StreamArg,
    current::current,
    event_pool::EventRef,
    foreign::{Use, foreign, named, unknown, unnamed},
    handle::release,
    internal_stream::{export_stream, internal_stream, undelayed_stream},
    point::Point,
    state::{Stream, progress},
    stream_ref::StreamRef,
};

#[cfg(preload)]
pub use no_device::{Point, Stream, current, internal_stream, progress, undelayed_stream};
