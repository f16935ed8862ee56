//! What uses blocks, and blocks that come back before it is done.
//!
//! Contract: giving back asks no driver and waits for nothing.

use crate::error::{Result, fail, quietly};
use crate::pool::client::Client;
use crate::pool::requests::Open;
use crate::pool::requests::PATTERN;
use crate::pool::span::block_state::BlockState;
use crate::pool::span::stream_uses::{FreeListKind, Point, Queue, Use};
use crate::pool::span::{Span, StreamMark, table};
use crate::pool::{HOST, Pool, requests};
use crate::stream;
use crate::sys::os;
use crate::types::*;
use core::sync::atomic::Ordering;

/// What became of an attempt to clear a span.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cleared {
    /// It is cleared behind what is noted as its use.
    Yes,
    /// It is as it was.
    No,
    /// A graph may have got that, and would clear whatever lies there each time it is launched.
    Captured,
}

impl Cleared {
    /// The span knows it.
    fn note(self, span: &'static Span) {
        match self {
            Cleared::Captured => span.set_mark(StreamMark::Captured),
            Cleared::No => span.set_mark(StreamMark::NeedsClearing),
            Cleared::Yes => span.set_mark(StreamMark::None),
        }
    }
}

impl Pool {
    /// Work up to a point uses the block, which is not free before (PD-6). For who has the block. Of a pool that knows nothing of devices the
    /// host waits for it, because its blocks can be had at once. False: there is no memory to note it, and nobody can wait for it, so that the
    /// block may not be given back.
    pub fn record_use(&'static self, address: usize, point: Point) -> bool {
        if point.is_passed() {
            return true;
        }
        if !self.is_stream_ordered() {
            return point.outlast();
        }
        self.ensure_stream_list(point.queue());
        let mut node = None;
        let (state, span) = loop {
            let Some((_, state, span)) = requests::owner(address) else {
                debug_assert!(false, "{address:#x} is in no pool");
                return true;
            };
            if node.is_some() || span.uses.has_room_for(point.queue()) {
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

    /// There is no memory to note one more use of a block: one of its queues waits for it on the device, or else the host does. False: nobody
    /// can.
    #[cold]
    fn replace_uses(&'static self, state: Open, span: &'static Span, point: Point) -> bool {
        let mut first = None;
        span.uses.each(|other| first = first.or(Some(other)));
        drop(state);
        let waits = first.filter(|other| other.queue().wait_for(point).is_ok());
        match waits {
            Some(other) => {
                let _books = self.state.lock();
                let noted = span.uses.add(other.queue().now(), None);
                debug_assert!(noted.is_ok(), "a queue that is noted needs no more memory");
                true
            }
            None => point.outlast(),
        }
    }

    /// Gives a raw block back in the order of a queue; None: on the host, now. As `deallocate_for` otherwise.
    pub(super) fn deallocate_ordered(
        &'static self,
        client: Client,
        through: Option<&'static Pool>,
        address: usize,
        bytes: Option<usize>,
        queue: Option<&'static Queue>,
    ) -> Result<()> {
        let (mut node, mut tried) = (None, false);
        loop {
            let claimed = requests::claim(address, through, client);
            let (pool, mut state, span, index) = match claimed {
                Ok(claimed) => claimed,
                Err(status) => {
                    node.into_iter().for_each(Use::release);
                    return Err(status);
                }
            };
            if let Some(queue) = queue {
                if !tried && (!state.has_stream_list(queue) || !span.uses.has_room_for(queue)) {
                    // What is missing is made under no lock, once.
                    drop(state);
                    self.ensure_stream_list(queue);
                    (node, tried) = (Use::create(), true);
                    continue;
                }
                match span.uses.add(queue.now(), node) {
                    Ok(rest) => node = rest,
                    Err(()) => {
                        if !self.replace_uses(state, span, queue.now()) {
                            return Err(fail(
                                TN_ERR_NO_HOST_MEMORY,
                                format_args!(
                                    "no memory to note what uses the block, which stays live; free some and give it back again"
                                ),
                            ));
                        }
                        return self.deallocate_ordered(client, through, address, bytes, None);
                    }
                }
            }
            let block = span.block(index);
            if bytes.is_some_and(|bytes| bytes != block.requested) {
                state.account(block).mismatches += 1;
            }
            if pool.free(state, span, index, BlockState::Raw) {
                node.into_iter().for_each(Use::release);
                return Ok(());
            }
        }
    }

    /// Frees a client's raw block in the order of a queue; without one, of the calling thread's current stream where the host cannot.
    pub(in crate::pool) fn free_in_order(
        &'static self,
        client: Client,
        queue: Option<&'static Queue>,
        address: usize,
    ) -> Result<()> {
        let queue = self.queue_of(queue)?;
        self.deallocate_ordered(client, Some(self), address, None, queue)
    }

    /// The same in the order of what the calling thread means by no stream.
    pub(in crate::pool) fn deallocate_now(
        &'static self,
        client: Client,
        through: Option<&'static Pool>,
        address: usize,
        bytes: Option<usize>,
    ) -> Result<()> {
        // A device that is lost, or a parent's, orders nothing any more.
        let queue = self.queue_of(None).ok().flatten();
        self.deallocate_ordered(client, through, address, bytes, queue)
    }

    /// The block is used on a queue from now on, until it is given back (PD-6): for raw blocks.
    fn record_open_use(
        &'static self,
        through: Option<&'static Pool>,
        address: usize,
        queue: &'static Queue,
    ) -> Result<()> {
        self.ensure_stream_list(queue);
        let node = Use::create();
        let release = |node: Option<&'static Use>| node.into_iter().for_each(Use::release);
        let (_, state, span, _) = requests::claim(address, through, Client::RAW).inspect_err(|_| release(node))?;
        let added = span.uses.add_open(queue, node);
        drop(state);
        let full = |()| fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory to note one more stream; free some"));
        added.map(release).map_err(full)
    }

    /// What must happen to a block that comes back before anybody else may have it, in strict mode and where blocks are cleared: the span
    /// knows afterwards whether it was filled with strict mode's pattern, or still has to be cleared.
    pub(in crate::pool) fn erase_in_order(&'static self, span: &'static Span, _: usize, flags: u32) {
        self.erase_or_note(span, flags);
        if !span.needs_clearing() {
            self.clear_left(1);
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
            // Else the host clears it when it hands the block out, or gives it back to the device.
            if idle {
                let strict = flags & TN_POOL_STRICT != 0;
                let value = if strict { PATTERN } else { 0 };
                // SAFETY: the block is in limbo: its holder gave it back, and no device works on it any more.
                unsafe { self.ops().fill(span.start.get(), span.block_bytes.get(), value) };
                span.set_mark(if strict { StreamMark::Pattern } else { StreamMark::None });
            }
            return;
        }
        if flags & TN_POOL_ZERO_ON_FREE != 0 {
            // Who gives back on the way out of a failure keeps its text.
            quietly(|| match self.clear_on(stream::current(self.device()), span) {
                Cleared::No => self.clear_on(stream::internal_stream(self.device()), span),
                cleared => cleared,
            })
            .note(span);
        }
    }

    /// Clears a span that is the caller's alone, on a queue, behind all that uses it.
    fn clear_on(&'static self, queue: Result<&'static Queue>, span: &'static Span) -> Cleared {
        let Ok(queue) = queue else { return Cleared::No };
        // What is captured would be done when the graph is launched, and each time.
        if !matches!(queue.is_capturing(), Ok(false)) {
            return Cleared::No;
        }
        let mut waits = true;
        span.uses.each(|point| waits = waits && queue.wait_for(point).is_ok());
        // Also what its last block left beyond its own end, when it became smaller.
        // SAFETY: nobody else has the span, and the queue comes after all who use it.
        if !waits || unsafe { self.ops().fill_on(queue, span.start.get(), span.bytes.get(), 0) }.is_err() {
            return Cleared::No;
        }
        // Another thread may have begun a capture since, and nothing could keep it from that.
        if queue.can_be_captured() && matches!(queue.is_capturing(), Ok(true)) {
            return Cleared::Captured;
        }
        self.ensure_stream_list(queue);
        span.uses.set(queue.now());
        Cleared::Yes
    }

    /// Tries again to clear what could not be cleared when it came back, at most so many spans; those that were are pending from then on. False:
    /// none was. Under no lock.
    pub(in crate::pool) fn clear_left(&'static self, most: usize) -> bool {
        let mut left = self.state.lock().needs_clearing_count().min(most);
        let mut any = false;
        while left > 0 {
            left -= 1;
            let mut state = self.state.lock();
            let Some(span) = state.take_needs_clearing() else { break };
            state.busy += 1;
            drop(state);
            // What is gone nobody can read.
            let gone = self.ops().is_gone();
            let cleared = if gone {
                Cleared::Yes
            } else {
                quietly(|| self.clear_on(stream::internal_stream(self.device()), span))
            };
            cleared.note(span);
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

    /// Clears a range that the host has to clear before it leaves: it was used by nobody but devices since, and they are done.
    pub(in crate::pool) fn clear_leaving(&'static self, start: usize, bytes: usize) {
        if self.host_clears() && !self.ops().is_gone() {
            // SAFETY: it left the state, which give away only what is finished; nobody can reach it any more.
            unsafe { self.ops().fill(start, bytes, 0) };
        }
    }

    /// Whether blocks are cleared by the host, when they are handed out.
    pub(super) fn host_clears(&self) -> bool {
        self.is_stream_ordered()
            && self.flags.load(Ordering::Relaxed) & TN_POOL_ZERO_ON_FREE != 0
            && self.touch.load(Ordering::Relaxed)
    }
}

/// As [`requests::deallocate`], in the order of a queue that `stream` finds for the device of the block; None: on the host, now, or where the
/// host cannot, on the thread's current one.
pub fn deallocate_on(
    through: Option<&'static Pool>,
    address: usize,
    stream: impl FnOnce(tn_device) -> Result<Option<&'static Queue>>,
) -> Result<()> {
    let Some(pool) = owner_of(through, address) else {
        stream(HOST)?;
        return requests::deallocate(through, address);
    };
    match stream(pool.device())? {
        None => pool.deallocate_now(Client::RAW, through, address, None),
        queue => pool.deallocate_ordered(Client::RAW, through, address, None, queue),
    }
}

/// BlockMetadata that a raw block is used on the queue that `stream` finds, up to the moment when it is given back.
pub fn record_use_on(
    through: Option<&'static Pool>,
    address: usize,
    stream: impl FnOnce(tn_device) -> Result<Option<&'static Queue>>,
) -> Result<()> {
    let pool = owner_of(through, address);
    let queue = stream(pool.map_or(HOST, Pool::device))?;
    let queue = match pool {
        Some(pool) => pool.queue_of(queue)?,
        None => None,
    };
    match (pool, queue) {
        (Some(pool), Some(queue)) => pool.record_open_use(through, address, queue),
        _ => requests::claim(address, through, Client::RAW).map(drop),
    }
}

/// The pool that has the address if devices work on its blocks, else the one that was passed if they work on that.
pub(in crate::pool) fn owner_of(through: Option<&'static Pool>, address: usize) -> Option<&'static Pool> {
    let owner = table::find(address).and_then(Span::pool);
    owner.or(through).filter(|pool| pool.is_stream_ordered() && address != 0)
}
