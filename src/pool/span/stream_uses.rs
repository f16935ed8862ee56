//! The stream positions that must pass before a span's bytes can be reused.
//!
//! Contract: only read and written under the pool's lock. A span has one use in its record, and more in a chain of
//! nodes that were allocated before the lock was taken. Only the latest point of each stream counts. Nothing here asks
//! a driver.
//!
//! An *open* use covers work up to the moment when the block is freed (PD-6). Closing it takes the stream's point at
//! that moment, or the end of the stream if that came first.

use crate::pool::recycler::{Recycled, Recycler};
pub(in crate::pool) use crate::stream::{Point, Stream};
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// Bit of an open use's tick; the other bits are the stream's number for that use. Greater than any tick of a closed
/// use.
const OPEN: u64 = 1 << 63;

/// A node: one more use of a span.
#[derive(Debug, Default)]
pub(in crate::pool) struct Use {
    stream: AtomicPtr<Stream>,
    tick: AtomicU64,
    next: AtomicPtr<Use>,
    recycled: AtomicPtr<Use>,
}

// SAFETY: zero is valid for every field, and `recycled` serves the list only.
unsafe impl Recycled for Use {
    fn link(&self) -> &AtomicPtr<Use> {
        &self.recycled
    }
}

static USES: Recycler<Use> = Recycler::new();

impl Use {
    /// A node. None: no memory.
    pub fn create() -> Option<&'static Use> {
        USES.get()
    }
    /// Returns the node to the free list.
    pub fn release(&'static self) {
        USES.put(self);
    }
}

/// The uses of a span. All zero: none.
#[derive(Debug, Default)]
pub(in crate::pool) struct Uses {
    stream: AtomicPtr<Stream>,
    tick: AtomicU64,
    more: AtomicPtr<Use>,
}

/// The list that a free span belongs in.
#[derive(Clone, Copy)]
pub(in crate::pool) enum FreeListKind {
    /// No use is pending: any request may have it.
    Finished,
    /// One stream uses it.
    On(Point),
    /// Several streams use it.
    MultiStream,
}

fn pointer<T>(to: Option<&'static T>) -> *mut T {
    to.map_or(core::ptr::null_mut(), |to| core::ptr::from_ref(to).cast_mut())
}

impl Uses {
    fn stream(&self) -> Option<&'static Stream> {
        // SAFETY: NULL or set from a reference to a stream, and those are never unmapped.
        unsafe { self.stream.load(Ordering::Relaxed).as_ref() }
    }

    fn first_more(&self) -> Option<&'static Use> {
        // SAFETY: NULL or set from a reference to a node, and those are never unmapped.
        unsafe { self.more.load(Ordering::Relaxed).as_ref() }
    }

    /// The tick of the first use; 0 without a use.
    pub fn first_tick(&self) -> u64 {
        if self.is_empty() { 0 } else { self.tick.load(Ordering::Relaxed) }
    }

    /// The stream of the first use.
    pub fn first_stream(&self) -> Option<&'static Stream> {
        self.stream()
    }

    pub fn is_empty(&self) -> bool {
        self.stream.load(Ordering::Relaxed).is_null()
    }

    /// Visits all uses: stream and tick.
    fn each_place(&self, mut visit: impl FnMut(&'static Stream, &AtomicU64)) {
        if let Some(stream) = self.stream() {
            visit(stream, &self.tick);
        }
        let mut next = self.first_more();
        while let Some(node) = next {
            // SAFETY: as in `stream` and `first_more`.
            let (stream, after) =
                unsafe { (node.stream.load(Ordering::Relaxed).as_ref(), node.next.load(Ordering::Relaxed).as_ref()) };
            next = after;
            if let Some(stream) = stream {
                visit(stream, &node.tick);
            }
        }
    }

    /// Calls `f` with the points of all uses, which are closed.
    pub fn each(&self, mut f: impl FnMut(Point)) {
        self.each_place(|stream, tick| f(Point::new(stream, tick.load(Ordering::Relaxed))));
    }

    /// Whether `is` holds for all points.
    pub fn all(&self, is: impl Fn(Point) -> bool) -> bool {
        let mut all = true;
        self.each(|point| all = all && is(point));
        all
    }

    /// Whether some unfinished work is in streams that are not known. No stream can be made to wait for it.
    pub fn has_unknown_work(&self) -> bool {
        !self.all(|point| point.is_passed() || !point.stream().is_no_stream())
    }

    /// Adds a use up to a tick of a stream. Returns the node if it was not needed. Err: a node was needed; nothing
    /// changed.
    fn add_tick(
        &self,
        stream: &'static Stream,
        tick: u64,
        node: Option<&'static Use>,
    ) -> Result<Option<&'static Use>, ()> {
        let mut known = false;
        self.each_place(|of, at| {
            if core::ptr::eq(of, stream) {
                known = true;
                let there = at.load(Ordering::Relaxed);
                // An open use of an earlier life of the stream's record has ended, and says nothing about the stream
                // of now.
                let gone = there & OPEN != 0 && !stream.has_use(there & !OPEN);
                at.store(if gone { tick } else { there.max(tick) }, Ordering::Relaxed);
            }
        });
        if known {
            return Ok(node);
        }
        if self.is_empty() {
            self.stream.store(pointer(Some(stream)), Ordering::Relaxed);
            self.tick.store(tick, Ordering::Relaxed);
            return Ok(node);
        }
        let node = node.ok_or(())?;
        node.stream.store(pointer(Some(stream)), Ordering::Relaxed);
        node.tick.store(tick, Ordering::Relaxed);
        node.next.store(self.more.load(Ordering::Relaxed), Ordering::Relaxed);
        self.more.store(pointer(Some(node)), Ordering::Relaxed);
        Ok(None)
    }

    /// Adds a use up to a point. Returns the node if it was not needed. Err: a node was needed; nothing changed.
    pub fn add(&self, point: Point, node: Option<&'static Use>) -> Result<Option<&'static Use>, ()> {
        self.add_tick(point.stream(), point.tick(), node)
    }

    /// Whether a use of a stream can be added without a node.
    pub fn can_add_use(&self, stream: &'static Stream) -> bool {
        let mut known = self.is_empty();
        self.each_place(|of, _| known = known || core::ptr::eq(of, stream));
        known
    }

    /// Adds a use up to the moment when the block is freed, or the stream ends. The caller has a reference on the
    /// stream.
    pub fn add_open(&self, stream: &'static Stream, node: Option<&'static Use>) -> Result<Option<&'static Use>, ()> {
        if self.open_use_of(|of| core::ptr::eq(of, stream)).is_some() {
            return Ok(node);
        }
        let opened = stream.open_use();
        self.add_tick(stream, OPEN | opened, node).inspect_err(|()| {
            let _ = stream.close_use(opened);
        })
    }

    /// An open use of a stream for which `is` holds, by its number.
    fn open_use_of(&self, is: impl Fn(&'static Stream) -> bool) -> Option<(&'static Stream, u64)> {
        let mut found = None;
        self.each_place(|stream, tick| {
            let tick = tick.load(Ordering::Relaxed);
            if tick & OPEN != 0 && stream.has_use(tick & !OPEN) && is(stream) {
                found = Some((stream, tick & !OPEN));
            }
        });
        found
    }

    /// An open use whose end must be recorded under no lock, before [`Uses::close_open_uses`].
    pub fn open_use_to_record(&self) -> Option<(&'static Stream, u64)> {
        self.open_use_of(Stream::needs_early_events)
    }

    /// Closes an open use at a point of its stream, if it is still open.
    pub fn close_at(&self, opened: u64, point: Point) {
        self.each_place(|stream, tick| {
            if core::ptr::eq(stream, point.stream()) && tick.load(Ordering::Relaxed) == OPEN | opened {
                let ended = stream.close_use(opened);
                // A stream that ended meanwhile has recorded its end.
                tick.store(if stream.has_ended() { ended.tick() } else { point.tick() }, Ordering::Relaxed);
            }
        });
    }

    /// The block is freed: open uses end at this point.
    pub fn close_open_uses(&self) {
        self.each_place(|stream, tick| {
            let opened = tick.load(Ordering::Relaxed);
            if opened & OPEN != 0 {
                tick.store(stream.close_use(opened & !OPEN).tick(), Ordering::Relaxed);
            }
        });
    }

    /// Removes the uses that have passed. Returns the list that the span belongs in then.
    pub fn drop_passed(&self) -> FreeListKind {
        loop {
            let Some(stream) = self.stream() else { return FreeListKind::Finished };
            if !Point::new(stream, self.tick.load(Ordering::Relaxed)).is_passed() {
                break;
            }
            // The first node takes its place.
            let Some(node) = self.first_more() else {
                self.stream.store(core::ptr::null_mut(), Ordering::Relaxed);
                return FreeListKind::Finished;
            };
            self.stream.store(node.stream.load(Ordering::Relaxed), Ordering::Relaxed);
            self.tick.store(node.tick.load(Ordering::Relaxed), Ordering::Relaxed);
            self.more.store(node.next.load(Ordering::Relaxed), Ordering::Relaxed);
            node.release();
        }
        let mut link = &self.more;
        // SAFETY: as in `first_more`, for every link.
        while let Some(node) = unsafe { link.load(Ordering::Relaxed).as_ref::<'static>() } {
            // SAFETY: as in `stream`.
            let stream = unsafe { node.stream.load(Ordering::Relaxed).as_ref::<'static>() };
            let passed = stream.is_none_or(|stream| Point::new(stream, node.tick.load(Ordering::Relaxed)).is_passed());
            if passed {
                link.store(node.next.load(Ordering::Relaxed), Ordering::Relaxed);
                node.release();
            } else {
                link = &node.next;
            }
        }
        self.free_list_kind()
    }

    /// The list that the span belongs in, without a check of what has passed.
    pub fn free_list_kind(&self) -> FreeListKind {
        match (self.stream(), self.first_more()) {
            (None, _) => FreeListKind::Finished,
            (Some(stream), None) => FreeListKind::On(Point::new(stream, self.tick.load(Ordering::Relaxed))),
            (Some(_), Some(_)) => FreeListKind::MultiStream,
        }
    }

    /// Removes all uses.
    pub fn clear(&self) {
        self.stream.store(core::ptr::null_mut(), Ordering::Relaxed);
        let mut next = self.first_more();
        self.more.store(core::ptr::null_mut(), Ordering::Relaxed);
        while let Some(node) = next {
            // SAFETY: as in `first_more`.
            next = unsafe { node.next.load(Ordering::Relaxed).as_ref() };
            node.release();
        }
    }

    /// Takes the use of another span over, if it has exactly one; else has none.
    pub fn follow(&self, other: &Uses) {
        match other.free_list_kind() {
            FreeListKind::On(point) => self.set(point),
            _ => self.clear(),
        }
    }

    /// Replaces all uses by one. An open use counts once more.
    pub fn set(&self, point: Point) {
        self.clear();
        if point.tick() & OPEN != 0 {
            point.stream().open_use();
        }
        self.stream.store(pointer(Some(point.stream())), Ordering::Relaxed);
        self.tick.store(point.tick(), Ordering::Relaxed);
    }
}
