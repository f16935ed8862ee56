//! Uses of blocks by streams, and frees while work is pending.
//!
//! Contract: a free makes no driver query and never waits. It records an event only on streams that need one early:
//! imported and per-thread ones.

use crate::error::{Result, fail, quietly};
use crate::pool::client::Client;
use crate::pool::requests::LockedState;
use crate::pool::span::PATTERN;
use crate::pool::span::block_state::BlockState;
use crate::pool::span::stream_uses::{FreeListKind, Point, Stream, Use};
use crate::pool::span::{Span, StreamMark, UpstreamPiece, table};
use crate::pool::{HOST, Pool, log, requests};
use crate::stream;
use crate::sys::os;
use crate::types::*;
use core::sync::atomic::Ordering;

/// Result of an attempt to clear a span.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cleared {
    /// The clearing is queued, and recorded as the span's use.
    Yes,
    /// Nothing was done.
    No,
    /// A captured graph may contain the clearing, and would clear the span at each launch.
    Captured,
}

impl Cleared {
    /// Sets the span's mark accordingly.
    fn apply_to(self, span: &'static Span) {
        match self {
            Cleared::Captured => span.set_mark(StreamMark::Captured),
            Cleared::No => span.set_mark(StreamMark::NeedsClearing),
            Cleared::Yes => span.set_mark(StreamMark::None),
        }
    }
}

impl Pool {
    /// Records that work up to a point uses the block, so that its bytes are not reused before (PD-6). The caller has
    /// the block. A host pool waits for the point instead, because its blocks can be reused at once. False: the use
    /// can be neither recorded nor waited for, and the block must not be freed.
    pub fn record_use(&'static self, address: usize, point: Point) -> bool {
        if point.is_passed() {
            return true;
        }
        if !self.is_stream_ordered() {
            return point.outlast();
        }
        self.ensure_stream_list(point.stream());
        let mut node = None;
        let (state, span) = loop {
            let Some((_, state, span)) = requests::owner(address) else {
                debug_assert!(false, "{address:#x} is in no pool");
                return true;
            };
            if node.is_some() || span.uses.can_add_use(point.stream()) {
                break (state, span);
            }
            drop(state);
            node = Use::create();
            if node.is_none() {
                let Some((_, state, span)) = requests::owner(address) else { return true };
                break (state, span);
            }
        };
        match span.uses.add(point, node) {
            Ok(rest) => {
                drop(state);
                rest.into_iter().for_each(Use::release);
                true
            }
            Err(()) => self.replace_uses(state, span, point),
        }
    }

    /// Without memory for one more use: one of the block's streams waits for it on the device, or else the host waits.
    /// False: neither can.
    #[cold]
    fn replace_uses(&'static self, state: LockedState, span: &'static Span, point: Point) -> bool {
        let mut first = None;
        // The caller vouches for none of the imported streams here.
        span.uses.each(|other| first = first.or(Some(other).filter(|other| !other.stream().needs_early_events())));
        drop(state);
        let waits = first.filter(|other| other.stream().wait_for(point).is_ok());
        match waits {
            Some(other) => {
                let _state = self.state.lock();
                let noted = span.uses.add(other.stream().now(), None);
                debug_assert!(noted.is_ok(), "a stream with a use needs no node");
                true
            }
            None => point.outlast(),
        }
    }

    /// Frees a raw block in the order of a stream; None: on the host, now. Otherwise as `deallocate_for`.
    pub(in crate::pool) fn deallocate_ordered(
        &'static self,
        client: Client,
        through: Option<&'static Pool>,
        address: usize,
        bytes: Option<usize>,
        stream: Option<&'static Stream>,
    ) -> Result<()> {
        log::free(through, address, BlockState::Raw, || self.free_ordered(client, through, address, bytes, stream))
    }

    /// As `deallocate_ordered`, without an event. Returns the bytes that were requested.
    pub(super) fn free_ordered(
        &'static self,
        client: Client,
        through: Option<&'static Pool>,
        address: usize,
        bytes: Option<usize>,
        stream: Option<&'static Stream>,
    ) -> Result<usize> {
        let (mut node, mut tried) = (None, false);
        let point = stream.map(Stream::end_of_use);
        loop {
            let claimed = requests::lock_block(address, through, client);
            let (pool, mut state, span, index) = match claimed {
                Ok(claimed) => claimed,
                Err(status) => {
                    node.into_iter().for_each(Use::release);
                    return Err(status);
                }
            };
            if let Some((other, opened)) = span.uses.open_use_to_record() {
                // The event behind the use is recorded under no lock.
                drop(state);
                // A stream that ended has recorded it.
                let end = if other.has_ended() { Point::new(other, 0) } else { other.end_of_use() };
                if let Ok((_, _state, span, _)) = requests::lock_block(address, through, client) {
                    span.uses.close_at(opened, end);
                }
                continue;
            }
            if let (Some(stream), Some(point)) = (stream, point) {
                if !tried && (!state.has_stream_list(stream) || !span.uses.can_add_use(stream)) {
                    // What is missing is made under no lock, once.
                    drop(state);
                    self.ensure_stream_list(stream);
                    (node, tried) = (Use::create(), true);
                    continue;
                }
                match span.uses.add(point, node) {
                    Ok(rest) => node = rest,
                    Err(()) => {
                        if !self.replace_uses(state, span, point) {
                            return Err(fail(
                                TN_ERR_NO_HOST_MEMORY,
                                format_args!(
                                    "no memory to record the last use of the block, which stays live; free some memory and try again"
                                ),
                            ));
                        }
                        return self.free_ordered(client, through, address, bytes, None);
                    }
                }
            }
            let block = span.block(index);
            if bytes.is_some_and(|bytes| bytes != block.requested) {
                state.account(block).mismatches += 1;
            }
            if pool.free(state, span, index, BlockState::Raw) {
                node.into_iter().for_each(Use::release);
                return Ok(block.requested);
            }
        }
    }

    /// Returns the memory of a block that was just freed to a device that takes it back in the order of streams
    /// (PD-17). What is only a part of a piece stays, and what no stream can take now, as in a capture. The lock is
    /// released meanwhile.
    pub(in crate::pool) fn give_back_in_order(&'static self, mut state: LockedState, address: usize) -> LockedState {
        let Some(span) = state.take_whole_piece(self, address) else { return state };
        let (mut state, stream) = self.unlocked(state, || quietly(|| self.stream_behind(span)).ok());
        let Some(stream) = stream.and_then(|stream| Some((stream, stream.try_ref()?))) else {
            state.set_free_ordered(span, os::coarse_ms());
            return state;
        };
        let piece = state.drop_whole(span);
        let (stream, _held) = stream;
        let free = || {
            // SAFETY: the piece left the state, so that no thread can reach it. The stream comes after all its uses,
            // and has a reference.
            if !unsafe { self.ops().free_on(stream, piece.start, piece.bytes) } {
                self.lost_bytes.fetch_add(piece.bytes as u64, Ordering::Relaxed);
            }
            piece.record.into_iter().for_each(UpstreamPiece::release);
        };
        self.unlocked(state, free).0
    }

    /// A stream that comes after all uses of a span in no list: the only one that used it, or one of the library's own.
    /// TN_ERR_UNSUPPORTED: the stream captures a graph.
    fn stream_behind(&'static self, span: &'static Span) -> Result<&'static Stream> {
        let kind = span.uses.free_list_kind();
        if let FreeListKind::On(point) = kind
            // Nobody vouches for other libraries' streams here.
            && !point.stream().needs_early_events()
            && !point.stream().is_no_stream()
            && let Some(_held) = point.stream().try_ref()
        {
            return match point.stream().is_capturing()? {
                false => Ok(point.stream()),
                true => Err(fail(TN_ERR_UNSUPPORTED, format_args!("the stream captures a graph"))),
            };
        }
        let stream = match kind {
            FreeListKind::Finished => stream::undelayed_stream(self.device())?,
            _ => stream::internal_stream(self.device())?,
        };
        let mut waits = Ok(());
        span.uses.each(|point| {
            if waits.is_ok() {
                waits = stream.wait_for(point);
            }
        });
        waits.map(|()| stream)
    }

    /// Frees a client's raw block in the order of a stream. Without one, on the host now, or on the thread's current
    /// stream where the host cannot touch the memory.
    pub(in crate::pool) fn free_in_order(
        &'static self,
        client: Client,
        stream: Option<&'static Stream>,
        address: usize,
    ) -> Result<()> {
        let stream = self.stream_of(stream)?;
        self.deallocate_ordered(client, Some(self), address, None, stream)
    }

    /// As `free_ordered` without a stream: on the host now, or on the thread's current stream where the host cannot
    /// touch the memory. A lost device is no error.
    pub(in crate::pool) fn free_now(
        &'static self,
        client: Client,
        through: Option<&'static Pool>,
        address: usize,
        bytes: Option<usize>,
    ) -> Result<usize> {
        // A lost device, or one of the parent process, orders nothing any more.
        let stream = self.stream_of(None).ok().flatten();
        self.free_ordered(client, through, address, bytes, stream)
    }

    /// Records that a stream uses a raw block until it is freed (PD-6).
    fn record_open_use(
        &'static self,
        client: Client,
        through: Option<&'static Pool>,
        address: usize,
        stream: &'static Stream,
    ) -> Result<()> {
        self.ensure_stream_list(stream);
        let node = Use::create();
        let release = |node: Option<&'static Use>| node.into_iter().for_each(Use::release);
        let (_, state, span, _) = requests::lock_block(address, through, client).inspect_err(|_| release(node))?;
        let added = span.uses.add_open(stream, node);
        drop(state);
        let full =
            |()| fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory to record one more stream; free some memory"));
        added.map(release).map_err(full)
    }

    /// Fills a freed block with strict mode's pattern or clears it, as the flags say. The span's mark says afterwards
    /// whether it has the pattern, or still must be cleared.
    pub(in crate::pool) fn erase_in_order(&'static self, span: &'static Span, _: usize, flags: u32) {
        self.erase_or_note(span, flags);
        if !span.needs_clearing() {
            self.clear_pending(1);
        }
    }

    fn erase_or_note(&'static self, span: &'static Span, flags: u32) {
        span.set_mark(StreamMark::None);
        if self.ops().is_gone() {
            return;
        }
        if self.touch.load(Ordering::Relaxed) {
            let idle = matches!(span.uses.free_list_kind(), FreeListKind::Finished)
                || span.uses.all(|point| point.is_passed());
            // Else the host clears it when it is allocated again or goes back to the device.
            if idle {
                let strict = flags & TN_POOL_STRICT != 0;
                let value = if strict { PATTERN } else { 0 };
                // SAFETY: the block is in limbo: its holder freed it, and no device works on it any more.
                unsafe { self.ops().fill(span.start.get(), span.block_bytes.get(), value) };
                span.set_mark(if strict { StreamMark::Pattern } else { StreamMark::None });
            }
            return;
        }
        if flags & TN_POOL_ZERO_ON_FREE != 0 {
            // A free while another error is reported keeps that error's message.
            quietly(|| match self.clear_first(span) {
                Cleared::No => self.clear_on(stream::internal_stream(self.device()), span),
                cleared => cleared,
            })
            .apply_to(span);
        }
    }

    /// Clears a span on the stream on which it was freed, so that no other has to wait, if that is one of the library's.
    /// Else on the thread's current one, which for most threads is the legacy stream, a barrier for all blocking streams.
    fn clear_first(&'static self, span: &'static Span) -> Cleared {
        let cleared = match span.uses.free_list_kind() {
            FreeListKind::On(point) => point.stream().while_held(|stream| self.clear_on(Ok(stream), span)),
            _ => None,
        };
        cleared.unwrap_or_else(|| self.clear_on(stream::current(self.device()), span))
    }

    /// Clears a span on a stream, behind all its uses. The caller alone has the span.
    fn clear_on(&'static self, stream: Result<&'static Stream>, span: &'static Span) -> Cleared {
        let Ok(stream) = stream else { return Cleared::No };
        // The uses are replaced below, and these must stay until they have passed.
        if span.uses.has_unknown_work() {
            return Cleared::No;
        }
        // Work that is captured runs at each launch of the graph instead of now.
        if !matches!(stream.is_capturing(), Ok(false)) {
            return Cleared::No;
        }
        let mut waits = true;
        span.uses.each(|point| waits = waits && stream.wait_for(point).is_ok());
        // The whole span: its last block may have left bytes beyond its own end when it shrank.
        // SAFETY: no other thread has the span, and the stream comes after all its uses.
        if !waits || unsafe { self.ops().fill_on(stream, span.start.get(), span.bytes.get(), 0) }.is_err() {
            return Cleared::No;
        }
        // Another thread may have begun a capture meanwhile, which nothing can prevent.
        if stream.can_be_captured() && matches!(stream.is_capturing(), Ok(true)) {
            return Cleared::Captured;
        }
        self.ensure_stream_list(stream);
        span.uses.set(stream.end_of_use());
        Cleared::Yes
    }

    /// Tries again to clear up to `most` spans that could not be cleared when they were freed. Cleared spans are
    /// pending then. False: none was cleared. Called under no lock.
    pub(in crate::pool) fn clear_pending(&'static self, most: usize) -> bool {
        let mut left = self.state.lock().needs_clearing_count().min(most);
        let mut any = false;
        while left > 0 {
            left -= 1;
            let mut state = self.state.lock();
            let Some(span) = state.take_needs_clearing() else { break };
            state.busy += 1;
            drop(state);
            // Memory of a lost device cannot be read.
            let gone = self.ops().is_gone();
            let cleared = if gone {
                Cleared::Yes
            } else {
                quietly(|| self.clear_on(stream::internal_stream(self.device()), span))
            };
            cleared.apply_to(span);
            any |= cleared == Cleared::Yes;
            let mut state = self.state.lock();
            if gone {
                span.uses.clear();
            }
            state.busy -= 1;
            state.set_free_ordered(span, os::coarse_ms());
        }
        any
    }

    /// Clears a range before it goes back to the device, in pools where the host clears. All device work on it has
    /// finished.
    pub(in crate::pool) fn clear_leaving(&'static self, start: usize, bytes: usize) {
        if self.host_clears() && !self.ops().is_gone() && !self.is_dead(start) {
            // SAFETY: it left the pool's state, which returns only memory without pending uses; no thread can reach
            // it.
            unsafe { self.ops().fill(start, bytes, 0) };
        }
    }

    /// Whether the host clears blocks when they are allocated.
    pub(super) fn host_clears(&self) -> bool {
        self.is_stream_ordered()
            && self.flags.load(Ordering::Relaxed) & TN_POOL_ZERO_ON_FREE != 0
            && self.touch.load(Ordering::Relaxed)
    }
}

/// Records that a raw block is used on the stream that `stream` returns, until it is freed. `client`: the caller, whose
/// misuse is counted.
pub fn record_use_on(
    client: Client,
    through: Option<&'static Pool>,
    address: usize,
    stream: impl FnOnce(tn_device) -> Result<Option<&'static Stream>>,
) -> Result<()> {
    let pool = owner_of(through, address);
    let stream = stream(pool.map_or(HOST, Pool::device))?;
    let stream = match pool {
        Some(pool) => pool.stream_of(stream)?,
        None => None,
    };
    match (pool, stream) {
        (Some(pool), Some(stream)) => pool.record_open_use(client, through, address, stream),
        _ => requests::lock_block(address, through, client).map(drop),
    }
}

/// The stream-ordered pool that has the address; else the pool that was passed, if it is stream-ordered.
pub(in crate::pool) fn owner_of(through: Option<&'static Pool>, address: usize) -> Option<&'static Pool> {
    let owner = table::find(address).and_then(Span::pool);
    owner.or(through).filter(|pool| pool.is_stream_ordered() && address != 0)
}
