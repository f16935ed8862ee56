//! Stream-ordered pools: devices work on their blocks. Requests, uses and frees in the order of streams.
//!
//! | file | what |
//! |---|---|
//! | `steps` | the steps of the slow path that only these pools have |
//! | `free` | uses of blocks, and frees while work is pending |
//! | `resize` | blocks that change their size |
//! | `private` | pools that serve a stream of another pool |
//! | `reset` | contexts that were reset |
//!
//! Contract: `state::stream_lists` decides which stream may have which free span. The driver is asked here, under no
//! lock. The host waits only where a request would fail otherwise (`steps::wait_on_host`).

mod free;

mod private;

mod reset;

mod resize;

pub(super) mod steps;

use crate::device::host::GRANULE;
use crate::error::{Result, Status, fail};
use crate::pool::client::Client;
use crate::pool::span::block_state::{Block, BlockState};
use crate::pool::span::range_map::MIN_PIECE_BYTES;
use crate::pool::span::stream_uses::{Point, Stream};
use crate::pool::span::{class, table};
use crate::pool::state::stream_lists::{LARGEST_IN_RANGE_BYTES, StreamList};
use crate::pool::state::{Count, NewBlock, Prealloc, Want};
use crate::pool::{HOST, Pool};
use crate::probes;
use crate::stream;
use crate::thread;
use crate::types::*;
use core::sync::atomic::Ordering;
pub(super) use free::owner_of;
pub use free::record_use_on;
pub(super) use reset::watch_resets;
pub use steps::collect;

impl Pool {
    /// Whether devices work on its blocks.
    #[inline]
    pub fn is_stream_ordered(&self) -> bool {
        self.stream_ordered.load(Ordering::Relaxed)
    }

    /// Whether a store needs more than the bytes of this pool: it is stream-ordered, or accesses are checked.
    #[inline]
    pub fn is_special(&self) -> bool {
        self.special.load(Ordering::Relaxed)
    }

    /// The device whose streams its calls take; the host for other pools.
    pub fn stream_device(&self) -> tn_device {
        if self.is_stream_ordered() { self.device() } else { HOST }
    }

    /// The stream that a request means. Without one, memory that the host cannot touch uses the thread's current
    /// stream (PD-9).
    fn stream_of(&self, stream: Option<&'static Stream>) -> Result<Option<&'static Stream>> {
        if stream.is_some() || self.touch.load(Ordering::Relaxed) {
            return Ok(stream);
        }
        stream::current(self.device()).map(Some)
    }

    /// TN_ERR_DEVICE in a forked child of the process that made a pool on a device (PO-59).
    pub fn check_process(&self) -> Result<()> {
        if !self.is_stream_ordered() || self.forks.load(Ordering::Relaxed) == thread::forks() {
            return Ok(());
        }
        Err(self.refuse_child())
    }

    #[cold]
    fn refuse_child(&self) -> Status {
        let name = self.name();
        fail(
            TN_ERR_DEVICE,
            format_args!(
                "pool \"{}\" belongs to a device of the parent process; \
                 use devices in a new process instead of a forked one",
                name.as_str()
            ),
        )
    }

    /// Makes the stream's free list, if it has none. Without memory for it the pool works, but finds the stream's free
    /// spans more slowly.
    fn ensure_stream_list(&'static self, stream: &'static Stream) {
        let has = self.state.lock().has_stream_list(stream);
        if !has && let Some(list) = StreamList::create(stream) {
            let rest = self.state.lock().add_stream_list(stream, Some(list));
            rest.into_iter().for_each(StreamList::release);
        }
    }

    /// Allocates a client's raw block that is used first on a stream. None: on the host now, or on the thread's current
    /// stream where the host cannot touch the memory.
    pub fn allocate_raw_on(
        &'static self,
        client: Client,
        stream: Option<&'static Stream>,
        bytes: usize,
        alignment: usize,
        zeroed: bool,
        stamp: u64,
    ) -> Result<core::ptr::NonNull<u8>> {
        if !self.is_stream_ordered() {
            return self.allocate_for(client, bytes, alignment, zeroed, stamp);
        }
        self.request_ordered(stream, bytes, alignment, zeroed, BlockState::Raw, client.tag(stamp)).map(|made| made.0)
    }

    /// Allocates the block of a store. The point, if any, is what other streams must wait for before they touch it.
    pub fn allocate_store_on(
        &'static self,
        stream: Option<&'static Stream>,
        bytes: usize,
        alignment: usize,
        zeroed: bool,
        owner: u64,
    ) -> Result<(core::ptr::NonNull<u8>, Option<Point>)> {
        if !self.is_stream_ordered() {
            return self.allocate(bytes, alignment, zeroed, owner).map(|block| (block, None));
        }
        self.request_ordered(stream, bytes, alignment, zeroed, BlockState::Store, owner)
    }

    pub(super) fn request_ordered(
        &'static self,
        stream: Option<&'static Stream>,
        bytes: usize,
        alignment: usize,
        zeroed: bool,
        state: BlockState,
        tag: u64,
    ) -> Result<(core::ptr::NonNull<u8>, Option<Point>)> {
        let alignment = self.alignment_of(alignment, Block { state, alignment: 8, requested: bytes, tag })?;
        self.check_process()?;
        let mut stream = self.stream_of(stream)?;
        if zeroed && self.touch.load(Ordering::Relaxed) {
            // The host clears it now, so no stream may use it still.
            stream = None;
        }
        let block = Block { state, alignment, requested: bytes, tag };
        let placed = self.take_ordered(stream, bytes, block, Count { allocation: true, zeroed: false })?;
        if bytes > class::LARGEST_BYTES {
            probes::allocate_large(self.serial(), placed.address, bytes);
        }
        let mut ready = placed.ready;
        if zeroed && bytes > 0 {
            match self.clear_ordered(stream, placed.address, bytes) {
                Ok(point) => ready = point.or(ready),
                Err(status) => {
                    self.end_new(stream, placed.address, block);
                    return Err(status);
                }
            }
        }
        self.log_allocation(placed.address, block, stream.map_or(0, Stream::number));
        // SAFETY: addresses of blocks are never 0.
        Ok((unsafe { core::ptr::NonNull::new_unchecked(placed.address as *mut u8) }, ready))
    }

    /// A block for a stream. In a pool where the host clears freed memory, the block is cleared now.
    fn take_ordered(
        &'static self,
        stream: Option<&'static Stream>,
        bytes: usize,
        block: Block,
        count: Count,
    ) -> Result<NewBlock> {
        let clears = self.host_clears();
        let want = Want { stream: stream.filter(|_| !clears), ..self.want(bytes, block)? };
        let placed = self.allocate_block_ordered(want, count)?;
        if clears {
            // Up to the end of the span, into which the block can grow in place.
            let bytes = table::find(placed.address).map_or(want.block_bytes, |span| span.bytes.get());
            // SAFETY: the block was just made for this call, and its span has that many bytes. It was requested on
            // the host, so no device works on it.
            unsafe { self.ops().fill(placed.address, bytes, 0) };
        }
        Ok(placed)
    }

    /// Clears a new block: on the host, or on the stream. Returns the stream's point behind the clearing.
    fn clear_ordered(
        &'static self,
        stream: Option<&'static Stream>,
        address: usize,
        bytes: usize,
    ) -> Result<Option<Point>> {
        let Some(stream) = stream else {
            // SAFETY: the block was just made for this call, has that many bytes, and no device works on it.
            unsafe { self.ops().fill(address, bytes, 0) };
            return Ok(None);
        };
        stream.check_legacy()?;
        // SAFETY: as above, and the stream may have it: it is used in that order only.
        unsafe { self.ops().fill_on(stream, address, bytes, 0)? };
        let point = stream.end_of_use();
        self.record_use(address, point);
        Ok(Some(point))
    }

    /// Frees a block that was just made for a request that failed afterwards.
    #[cold]
    fn end_new(&'static self, stream: Option<&'static Stream>, address: usize, block: Block) {
        match block.state {
            BlockState::Store => self.free_store(thread::current(), address),
            _ => {
                let given_back = self.free_ordered(block.client(), Some(self), address, None, stream);
                debug_assert!(given_back.is_ok(), "no other thread knows the new block");
            }
        }
    }

    /// Rounds a request: to 512 bytes, above 1 MiB to 64 KiB (PO-16), with TN_POOL_IPC to the driver's allocations
    /// (IP-20). None: no address space could hold it.
    pub(super) fn round_for_streams(&'static self, bytes: usize, block: Block) -> Option<Want> {
        let in_range = bytes <= LARGEST_IN_RANGE_BYTES && block.alignment < GRANULE;
        let unit = match in_range {
            _ if self.flags.load(Ordering::Relaxed) & TN_POOL_IPC != 0 => self.ops().terms().granule,
            true => MIN_PIECE_BYTES,
            false => GRANULE,
        };
        let span_bytes =
            bytes.max(1).checked_next_multiple_of(unit).filter(|&bytes| bytes <= isize::MAX as usize / 2)?;
        Some(Want::alone(span_bytes, span_bytes, block.alignment.max(unit), block))
    }

    /// A block from what the pool has, else by the slow path.
    pub(super) fn allocate_block_ordered(&'static self, want: Want, count: Count) -> Result<NewBlock> {
        let look = |prealloc: Option<&mut Prealloc>| {
            let mut state = self.state.lock();
            let placed = if state.retired { None } else { state.take_block_for_stream(&want, prealloc) }?;
            state.count(&want, count, &placed, true);
            Some(placed)
        };
        // A span that fits may have to be cut. That needs fewer descriptors than the slow path.
        if let Some(placed) = look(None).or_else(|| look(Some(&mut Prealloc::for_request(None)?))) {
            return Ok(placed);
        }
        if let Some(stream) = want.stream {
            self.ensure_stream_list(stream);
        }
        self.allocate_slow(want, count)
    }
}
