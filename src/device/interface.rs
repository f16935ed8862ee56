//! What pools require of a device.
//!
//! Contract: a [`Device`] hands out ranges and takes them back; it keeps no list of them. The caller holds no lock.

use crate::error::{Result, Status, fail};
use crate::stream::Stream;
use crate::sys::bytes;
use crate::sys::file::Errno;
use crate::types::*;

/// Every range is aligned to this many bytes, 64 KiB. It is the unit of the pools' address table, and the largest page
/// size of supported systems.
pub const GRANULE: usize = 64 << 10;

/// The properties of a device's memory, which pools adapt to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The size of every range is a multiple of this, in bytes, and this is a multiple of [`GRANULE`], to which every
    /// range is aligned.
    pub granule: usize,
    /// Large blocks are rounded up to a multiple of this, in bytes; divides the granule.
    pub page: usize,
    /// The status where the device has no memory left: TN_ERR_NO_HOST_MEMORY or TN_ERR_NO_DEVICE_MEMORY.
    pub refusal: tn_status,
    /// Adjacent ranges can be merged into one.
    pub joins: bool,
    /// Part of a range can be freed before the rest.
    pub splits: bool,
    /// The pages of a range can be remapped to other addresses.
    pub moves: bool,
    /// Part of a range can go back with [`Device::keep`].
    pub keeps: bool,
    /// A range serves one block at a time, and another one as a whole if [`Device::reuse`] permits it.
    pub whole: bool,
    /// New memory reads 0.
    pub zeroed: bool,
    /// The host can read and write the memory.
    pub touch: bool,
    /// Devices use the memory asynchronously: a block may still be in use when it is freed.
    pub ordered: bool,
    /// Ranges come and go in the order of streams, with [`Device::reserve_on`] and [`Device::free_on`]; implies
    /// `ordered`.
    pub in_order: bool,
}

impl Terms {
    /// The properties of no memory.
    pub const NONE: Terms = Terms {
        granule: GRANULE,
        page: GRANULE,
        refusal: TN_ERR_NO_HOST_MEMORY,
        joins: false,
        splits: false,
        moves: false,
        keeps: false,
        whole: false,
        zeroed: false,
        touch: false,
        ordered: false,
        in_order: false,
    };
}

/// The access of another GPU to the memory of a GPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerAccess {
    /// The access of the contexts decides.
    ByContext,
    /// The GPU has access to the memory.
    Open,
    /// The GPU has access to memory of a driver's pool. The driver may lose what a copy between contexts writes there
    /// (590, JuliaGPU/CUDA.jl#3112).
    OpenPool,
    /// The GPU has no access: only copies between contexts reach the memory.
    Closed,
}

/// A source of memory for pools. Ranges are given by address and size in bytes.
pub trait Device: Sync {
    /// The properties of the memory; constant for the life of the device.
    fn terms(&self) -> Terms;

    /// Reserves a range of addresses at a multiple of `alignment`, with nothing committed. `node`: 0, or 1 + the
    /// preferred NUMA node. None: refused. A status: the device returned an unsuitable range, which was given back.
    fn reserve(&self, bytes: usize, alignment: usize, node: u32) -> Result<Option<usize>>;

    /// Why the system last refused a range, where it says so.
    fn last_refusal(&self) -> Option<Errno> {
        None
    }

    /// As `reserve`, for work that is queued on a stream from now on. None: refused, as always while the stream
    /// captures a graph.
    fn reserve_on(&self, _stream: &'static Stream, _bytes: usize, _alignment: usize) -> Result<Option<usize>> {
        Err(no_streams())
    }

    /// Whether reserved addresses that are not committed cost nothing.
    fn reserves_ahead(&self) -> bool {
        false
    }

    /// Requests huge pages for a reserved range, or forbids them; `how`: TN_HUGE_. With EXPLICIT the contents are lost.
    /// False: the range is unchanged.
    ///
    /// # Safety
    /// - the range came from `reserve` of this device, and is not used during the call.
    unsafe fn set_huge(&self, _start: usize, _bytes: usize, _how: tn_huge_pages) -> bool {
        false
    }

    /// The TN_HOST_ flags of page-locked memory; 0 for other memory.
    fn host_flags(&self) -> u32 {
        0
    }

    /// Commits part of a reserved range. False: refused. The default is for devices whose ranges are committed as they
    /// come.
    fn commit(&self, _start: usize, _bytes: usize) -> bool {
        true
    }

    /// Whether a range whose block was freed may serve another one, now or later.
    fn can_keep(&self, _start: usize) -> bool {
        true
    }

    /// Begins the use of a range for another block. False: it cannot serve one now.
    fn reuse(&self, _start: usize) -> bool {
        true
    }

    /// Frees a range, memory and addresses. False: the addresses, or both, were not freed.
    ///
    /// # Safety
    /// - the range came from `reserve` of this device, whole or, if `splits`, in part, and is not used again.
    unsafe fn free(&self, start: usize, bytes: usize) -> bool;

    /// Frees a range behind all work that a stream was given so far. False: it was not freed.
    ///
    /// # Safety
    /// - the range came from `reserve_on` of this device, whole, and is used only by work that comes before the free;
    /// - the stream has a reference.
    unsafe fn free_on(&self, _stream: &'static Stream, _start: usize, _bytes: usize) -> bool {
        false
    }

    /// The bytes that the device itself keeps for the pool, to serve later requests, and the peak of all that it has
    /// for the pool.
    fn kept_free(&self) -> Option<(u64, u64)> {
        None
    }

    /// Returns memory that the device itself keeps for the pool, until it has at most `keep` bytes for it. Returns by
    /// how many bytes that fell.
    fn trim(&self, _keep: usize) -> usize {
        0
    }

    /// Sets the peak of `kept_free` to the present value.
    fn reset_peak(&self) {}

    /// Takes the addresses of a range back and keeps its memory, of which the next `reserve` makes a range, until
    /// `release_kept`. False: nothing changed.
    ///
    /// # Safety
    /// - that of `free`.
    unsafe fn keep(&self, _start: usize, _bytes: usize) -> bool {
        false
    }

    /// The first part of a range that can go back alone, if `keeps`: at least `wanted` bytes where that is possible, at
    /// most `most`. None: there is none. The caller may hold a lock.
    fn whole_part(&self, start: usize, end: usize, _wanted: usize, _most: usize) -> Option<(usize, usize)> {
        Some((start, end))
    }

    /// Lets another GPU, by its ordinal, access the memory of a GPU, now and later, as far as the driver does.
    fn open_to(&self, _peer: i32) -> PeerAccess {
        PeerAccess::ByContext
    }

    /// Frees the memory that `keep` kept.
    fn release_kept(&self) {}

    /// Frees allocations that no range was made of. False: there are none. Not called while the stream of the request
    /// captures a graph.
    fn free_left_over(&self) -> bool {
        false
    }

    /// Bytes of addresses that are reserved and not handed out, and of the library's records of them.
    fn ahead(&self) -> (usize, usize) {
        (0, 0)
    }

    /// Frees the memory of committed pages and keeps the addresses committed. The contents are left unspecified, or
    /// read 0 with `zero`. False: the device cannot do this, and the pages are unchanged.
    ///
    /// # Safety
    /// - the pages are committed, their contents are not needed, and they are not used during the call.
    unsafe fn discard(&self, _start: usize, _bytes: usize, _zero: bool) -> bool {
        false
    }

    /// Makes committed pages resident now rather than at first touch. The contents are kept.
    ///
    /// # Safety
    /// - the range is committed, and is not written during the call.
    unsafe fn prefault(&self, _start: usize, _bytes: usize) {}

    /// Remaps the pages of an old range to the beginning of a larger new one, without copying. True: the old range is
    /// gone. False: the old range is unchanged, and the new one may no longer exist, so the caller must drop it without
    /// freeing it.
    ///
    /// # Safety
    /// - the old range came from `reserve` of this device, and is not used during the call;
    /// - the new one came from `reserve` of this device, is committed, and was never used.
    unsafe fn move_pages(&self, _old: usize, _old_bytes: usize, _to: usize, _new_bytes: usize) -> bool {
        false
    }

    /// As `move_pages`, for a range that consists of adjacent parts, each a mapping of its own: (address, bytes), in
    /// ascending order. The new range keeps what it has beyond the parts.
    ///
    /// # Safety
    /// - as for `move_pages`.
    unsafe fn move_parts(&self, _parts: &[(usize, usize)], _to: usize) -> bool {
        false
    }

    /// Sets committed bytes to 0 before it returns. Returns how many of them read 0 already and were not written.
    ///
    /// # Safety
    /// - the host can write the memory (`touch`), or the device has a `clear` of its own;
    /// - the bytes are committed, and the caller has exclusive use of them.
    unsafe fn clear(&self, start: usize, bytes: usize) -> usize {
        // SAFETY: the caller's obligation.
        unsafe { self.fill(start, bytes, 0) };
        0
    }

    /// Sets committed bytes to a value before it returns.
    ///
    /// # Safety
    /// - the host can write the memory (`touch`);
    /// - the bytes are committed, and the caller has exclusive use of them.
    unsafe fn fill(&self, start: usize, bytes: usize, value: u8) {
        debug_assert!(self.terms().touch, "the host writes bytes that only a device can access (PD-14)");
        // SAFETY: the caller's obligation.
        unsafe { bytes::fill(start as *mut u8, value, bytes) };
    }

    /// Copies between committed ranges that do not overlap before it returns.
    ///
    /// # Safety
    /// - the host can read and write the memory (`touch`);
    /// - both ranges are committed and do not overlap;
    /// - the source is not written and the target not used by others during the call.
    unsafe fn copy(&self, to: usize, from: usize, bytes: usize) {
        debug_assert!(self.terms().touch, "the host copies bytes that only a device can access (PD-14)");
        // SAFETY: the caller's obligation.
        unsafe { bytes::copy(to as *mut u8, from as *const u8, bytes) };
    }

    /// Whether committed bytes all have the same given value; None where the host cannot read them.
    ///
    /// # Safety
    /// - the bytes are committed, and are not written during the call.
    unsafe fn is_filled(&self, start: usize, bytes: usize, value: u8) -> Option<bool> {
        // SAFETY: the caller's obligation; read one by one, so that no reference to the bytes is formed.
        self.terms().touch.then(|| (start..start + bytes).all(|at| unsafe { (at as *const u8).read() } == value))
    }

    /// Sets committed bytes to a value asynchronously, in the order of a stream.
    ///
    /// # Safety
    /// - the bytes are committed, and until then are used only in that order.
    unsafe fn fill_on(&self, _stream: &'static Stream, _start: usize, _bytes: usize, _value: u8) -> Result<()> {
        Err(no_streams())
    }

    /// Copies between committed ranges that do not overlap asynchronously, in the order of a stream.
    ///
    /// # Safety
    /// - both ranges are committed and do not overlap, and until then are used only in that order.
    unsafe fn copy_on(&self, _stream: &'static Stream, _to: usize, _from: usize, _bytes: usize) -> Result<()> {
        Err(no_streams())
    }

    /// Whether the memory is unreachable: the device is lost, or belongs to the parent of a forked process.
    fn is_gone(&self) -> bool {
        false
    }

    /// Whether the memory at an address went with a context that was reset, although the range was not freed yet.
    fn is_dead(&self, _start: usize) -> bool {
        false
    }

    /// Memory of the device in bytes: (total, free now). None: unknown.
    fn memory(&self) -> Option<(u64, u64)>;
}

#[cold]
fn no_streams() -> Status {
    fail(TN_ERR_DEVICE, format_args!("this memory has no streams; pass NULL as the stream"))
}
