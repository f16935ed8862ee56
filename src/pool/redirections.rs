//! The streams of a pool that other pools serve: see `stream_ordered::private`.
//!
//! Contract: guarded by a lock of its own. A stream that ended has no redirection, also after its record was bound to
//! another CUstream.

use crate::pool::span::stream_uses::Stream;

/// Redirections of one pool at a time.
const MOST: usize = 16;

/// The redirections of a pool to pools of type `P`.
pub(in crate::pool) struct Redirections<P: 'static>([Option<Redirection<P>>; MOST]);

/// A stream that another pool serves.
pub(in crate::pool) struct Redirection<P: 'static> {
    stream: &'static Stream,
    /// Which of the stream's lives.
    life: u64,
    to: &'static P,
}

impl<P> Redirection<P> {
    pub fn new(stream: &'static Stream, to: &'static P) -> Redirection<P> {
        Redirection { stream, life: stream.life(), to }
    }

    fn is_alive(&self) -> bool {
        self.stream.has_use(self.life)
    }

    fn is_of(&self, stream: &'static Stream) -> bool {
        core::ptr::eq(self.stream, stream) && self.is_alive()
    }
}

impl<P> Redirections<P> {
    pub const NONE: Redirections<P> = Redirections([const { None }; MOST]);

    /// The pool that serves a stream.
    pub fn find(&self, stream: &'static Stream) -> Option<&'static P> {
        self.0.iter().flatten().find(|entry| entry.is_of(stream)).map(|entry| entry.to)
    }

    /// Adds one. Returns the pool of a redirection that it replaces because that one's stream ended. None: there is no
    /// room.
    pub fn add(&mut self, entry: Redirection<P>) -> Option<Option<&'static P>> {
        let place = self.0.iter_mut().find(|place| place.as_ref().is_none_or(|there| !there.is_alive()))?;
        Some(place.replace(entry).map(|ended| ended.to))
    }

    /// Removes that of a stream; None: any.
    pub fn take(&mut self, stream: Option<&'static Stream>) -> Option<&'static P> {
        let is = |entry: &Redirection<P>| stream.is_none_or(|stream| entry.is_of(stream));
        let place = self.0.iter_mut().find(|place| place.as_ref().is_some_and(is))?;
        place.take().map(|entry| entry.to)
    }
}
