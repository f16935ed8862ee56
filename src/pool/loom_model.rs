//! Loom model of remote frees. The files `block_state` and `free_protocol` are compiled a second time with the model
//! checker's atomics. Around them stands a minimal span, heap and pool state, which says who takes which step when.
//!
//! Contract: only under `cfg(loom)`. The span has two blocks; heap 0 means no owner. What only the owner may touch
//! lies behind a [`Watch`], so that a model fails if a thread touches the span after it became free.

#![allow(dead_code)] // of the words of blocks, a part is used here

/// The model checker's atomics. Loom keeps no total order of the writes to one word: it lets a plain store fall
/// between the read and the write of another thread's read-modify-write, which C11 forbids. So a store is an exchange
/// here. An exchange is ordered with all of them, and loom explores every order in which it can come. It promises
/// slightly more than a store: it continues the release sequence of the value that it overwrites. Nothing may rely on
/// that, and a model cannot detect it.
mod atomic {
    pub use loom::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

    #[derive(Debug, Default)]
    pub struct AtomicU64(loom::sync::atomic::AtomicU64);

    impl AtomicU64 {
        pub fn load(&self, order: Ordering) -> u64 {
            self.0.load(order)
        }
        pub fn store(&self, value: u64, order: Ordering) {
            self.0.swap(value, order);
        }
        pub fn swap(&self, value: u64, order: Ordering) -> u64 {
            self.0.swap(value, order)
        }
        pub fn fetch_or(&self, value: u64, order: Ordering) -> u64 {
            self.0.fetch_or(value, order)
        }
        pub fn compare_exchange(&self, was: u64, now: u64, won: Ordering, lost: Ordering) -> Result<u64, u64> {
            self.0.compare_exchange(was, now, won, lost)
        }
    }
}

#[path = "span/block_state.rs"]
mod block_state;

#[path = "span/free_protocol.rs"]
mod free_protocol;

use crate::sys::sync::Watch;
use atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use block_state::{Block, BlockBits, BlockCell, BlockState};
use free_protocol::{AtomicStack, Collected, Queued};
use loom::sync::Mutex;

/// Blocks of the modelled span.
pub const BLOCKS: usize = 2;

struct Span {
    cells: [BlockCell; BLOCKS],
    bits: AtomicU64,
    queued: Queued,
    queue: AtomicPtr<Span>,
    heap: AtomicUsize,
    /// Read by users of the span, written when it becomes free.
    life: Watch,
    /// The owner's stack of free blocks.
    stack: std::sync::Mutex<Vec<usize>>,
    owners: Watch,
}

// SAFETY: all fields but the watches are Sync. Several threads reach the watches so that the checker can tell
// whether their accesses are ordered.
unsafe impl Sync for Span {}

#[derive(Default)]
struct PoolState {
    /// The owners of spans that wait for being collected.
    pending: Vec<usize>,
}

/// A pool with one span, whose blocks are all live and which heap 1 owns.
pub struct Stage {
    returned: AtomicStack<Span>,
    state: Mutex<PoolState>,
    span: Span,
}

/// What collecting found.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Found {
    /// Blocks that are free again.
    pub blocks: usize,
    /// Blocks that were freed twice.
    pub wrong: usize,
}

fn live() -> BlockBits {
    BlockBits::of(Block { state: BlockState::Raw, alignment: 16, requested: 8, tag: 0 }, 8)
}

impl Stage {
    /// A new pool, never dropped, as real ones.
    pub fn new() -> &'static Stage {
        let span = Span {
            cells: Default::default(),
            bits: AtomicU64::default(),
            queued: Queued::default(),
            queue: AtomicPtr::new(core::ptr::null_mut()),
            heap: AtomicUsize::new(1),
            life: Watch::new(),
            stack: std::sync::Mutex::default(),
            owners: Watch::new(),
        };
        span.cells.iter().for_each(|cell| cell.set(live()));
        Box::leak(Box::new(Stage { returned: AtomicStack::new(), state: Mutex::new(PoolState::default()), span }))
    }

    fn queue_up(&self) {
        if self.span.queued.up() {
            let this = core::ptr::from_ref(&self.span).cast_mut();
            self.returned.push(this, |next| self.span.queue.store(next, Ordering::Relaxed));
        }
    }

    /// A thread that does not own the span frees a block. False: the block is not live.
    pub fn free(&self, index: usize) -> bool {
        if !self.span.cells[index].exchange(BlockState::Raw, BlockState::Limbo) {
            return false;
        }
        free_protocol::publish(&self.span.bits, index, &self.span.cells[index], || {
            self.queue_up();
            // The last read of the span, before the step that releases it.
            self.span.life.read();
        });
        true
    }

    /// The owner frees a block, with plain loads and stores. False: the block is not live.
    pub fn free_own(&self, index: usize) -> bool {
        let bits = self.span.cells[index].get();
        if !bits.is(BlockState::Raw) {
            return false;
        }
        self.span.cells[index].set_state(bits, BlockState::Freed);
        self.push(index);
        true
    }

    fn push(&self, index: usize) {
        self.span.owners.write();
        let mut stack = self.span.stack.lock().unwrap();
        assert!(!stack.contains(&index), "block {index} is free twice");
        stack.push(index);
    }

    /// The owner allocates a block.
    pub fn take(&self) -> Option<usize> {
        self.span.owners.write();
        let index = self.span.stack.lock().unwrap().pop()?;
        self.span.cells[index].set(live());
        Some(index)
    }

    /// The owner collects remote frees, as `Heap::collect`.
    pub fn collect(&self, heap: usize) -> Found {
        let pending = {
            let mut state = self.state.lock().unwrap();
            self.sort(&mut state);
            state.pending.iter().position(|&owner| owner == heap).map(|at| state.pending.swap_remove(at))
        };
        pending.map(|_| self.collect_span()).unwrap_or_default()
    }

    /// A queued span goes to its owner's list; without an owner it is collected, as in `PoolState::sort_returned`.
    fn sort(&self, state: &mut PoolState) -> Found {
        let mut found = Found::default();
        if !self.returned.take().is_null() {
            match self.span.heap.load(Ordering::Relaxed) {
                0 => found = self.collect_span(),
                heap => state.pending.push(heap),
            }
        }
        found
    }

    fn collect_span(&self) -> Found {
        self.span.queued.leave();
        let mut all = Collected::default();
        free_protocol::collect(&self.span.bits, |index| &self.span.cells[index], |index| self.push(index), &mut all);
        if all.later {
            self.queue_up();
        }
        Found { blocks: all.blocks, wrong: all.wrong }
    }

    /// The owner's thread ends: it collects, and gives the span up, as `Heap::end`.
    pub fn end(&self, heap: usize) -> Found {
        let mut state = self.state.lock().unwrap();
        self.sort(&mut state);
        let mut found = Found::default();
        if let Some(at) = state.pending.iter().position(|&owner| owner == heap) {
            state.pending.swap_remove(at);
            found = self.collect_span();
        }
        self.span.heap.store(0, Ordering::Relaxed);
        found
    }

    /// Another thread's heap adopts the span if it has no owner. What was collected before.
    pub fn adopt(&self, heap: usize) -> Option<Found> {
        let mut state = self.state.lock().unwrap();
        let found = self.sort(&mut state);
        if self.span.heap.load(Ordering::Relaxed) != 0 {
            return None;
        }
        self.span.heap.store(heap, Ordering::Relaxed);
        Some(found)
    }

    /// The span becomes free if all its blocks are free and it is in no list.
    pub fn dissolve(&self) -> bool {
        let whole = self.span.stack.lock().unwrap().len() == BLOCKS && !self.span.queued.is();
        if whole {
            self.span.life.write();
        }
        whole
    }

    /// The state, for a model that failed. All threads have ended.
    pub fn describe(&self) -> String {
        let states: Vec<BlockState> = self.span.cells.iter().map(|cell| cell.get().state()).collect();
        let (bits, queued) = (self.span.bits.load(Ordering::SeqCst), self.span.queued.is());
        let pending = &self.state.lock().unwrap().pending;
        format!(
            "{states:?}, stack {:?}, returned {bits:b}, queued {queued}, pending {pending:?}, listed {}",
            self.span.stack.lock().unwrap(),
            !self.returned.is_empty(),
        )
    }

    /// Free blocks. All threads have ended.
    pub fn free_count(&self) -> usize {
        self.span.stack.lock().unwrap().len()
    }
}
