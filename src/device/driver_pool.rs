//! Memory of a GPU from a pool of the driver, one for each of ours: the driver reuses it in the order of streams.
//!
//! Contract: that of every [`Device`] whose memory comes and goes in order. Each range is one allocation of the driver
//! and goes back whole: on a stream, or at once when all its work is done. No lock is held while the driver is called.
//!
//! The driver aligns what it hands out as its neighbours in the pool lie, which all are multiples of [`GRANULE`]. It
//! does not guarantee that. A misaligned allocation is repeated with padding, and from then on all are padded.
//!
//! When the GPU's context is reset, its pools are not used again, and the next request makes a new one.

use super::cuda::{self, Allocation};
use super::interface::{Device, GRANULE, PeerAccess, Terms};
use crate::arena::{self, Link, Linked, Quarantine};
use crate::error::{Result, Status, fail, quietly};
use crate::gpu::memory_pool::{self, MemoryPool, PoolBytes};
use crate::gpu::{Gpu, Inside, gpu, virtual_memory};
use crate::stream::Stream;
use crate::thread::QuickLock;
use crate::types::*;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

/// The memory of one pool; type-stable.
pub struct DriverPool {
    gpu: AtomicI32,
    /// GPUs that may access the memory too, by the bits of their ordinals.
    peers: AtomicU64,
    /// Free bytes that the driver keeps when the program synchronises.
    threshold: AtomicU64,
    /// The driver may make a stream wait for another one's free (PD-4).
    waits: AtomicBool,
    /// Whether an allocation came misaligned.
    askew: AtomicBool,
    /// The driver's pool, and which of the GPU's contexts it is of.
    pool: QuickLock<Option<(MemoryPool, u32)>>,
    link: Link<DriverPool>,
}

impl Linked for DriverPool {
    fn link(&self) -> &Link<DriverPool> {
        &self.link
    }
}

/// Records without a pool.
static FREE: QuickLock<Quarantine<DriverPool>> = QuickLock::new(Quarantine::new());

#[cold]
fn without_support(owner: &Gpu) -> Status {
    fail(
        TN_ERR_UNSUPPORTED,
        format_args!(
            "option backend is TN_BACKEND_DRIVER_POOL: GPU {} or its driver has no memory pools; use TN_BACKEND_AUTO",
            owner.id()
        ),
    )
}

impl DriverPool {
    /// The memory of a new pool. `threshold`: free bytes that the driver keeps when the program synchronises. `waits`:
    /// the driver may make a stream wait for another one's free. `peers`: GPUs that may access the memory too.
    /// TN_ERR_UNSUPPORTED: the driver or the GPU has no memory pools; TN_ERR_DEVICE: a peer does not exist or cannot
    /// access the memory; TN_ERR_NO_HOST_MEMORY; TN_ERR_DRIVER.
    pub fn create(owner: &'static Gpu, threshold: u64, waits: bool, peers: u64) -> Result<&'static DriverPool> {
        if !owner.has_memory_pools() {
            return Err(without_support(owner));
        }
        virtual_memory::check_peers(owner, peers)?;
        let unused = FREE.lock().take_beyond(0);
        let made = unused.or_else(|| {
            let at = arena::take(size_of::<DriverPool>(), align_of::<DriverPool>())?.cast::<DriverPool>();
            let record = DriverPool {
                gpu: AtomicI32::new(0),
                peers: AtomicU64::new(0),
                threshold: AtomicU64::new(0),
                waits: AtomicBool::new(false),
                askew: AtomicBool::new(false),
                pool: QuickLock::new(None),
                link: Link::new(),
            };
            // SAFETY: fresh memory of the right size and alignment, which is never unmapped.
            unsafe {
                at.write(record);
                Some(at.as_ref())
            }
        });
        let Some(made) = made else {
            return Err(fail(
                TN_ERR_NO_HOST_MEMORY,
                format_args!("no memory for the descriptor of a pool; free some memory"),
            ));
        };
        made.gpu.store(owner.id(), Ordering::Relaxed);
        made.peers.store(peers, Ordering::Relaxed);
        made.threshold.store(threshold, Ordering::Relaxed);
        made.waits.store(waits, Ordering::Relaxed);
        made.askew.store(false, Ordering::Relaxed);
        if let Err(status) = owner.enter().and_then(|inside| made.pool(&inside)) {
            made.end();
            return Err(status);
        }
        Ok(made)
    }

    fn gpu(&self) -> Result<&'static Gpu> {
        gpu(self.gpu.load(Ordering::Relaxed))
    }

    /// The driver's pool of the GPU's present context.
    fn pool(&self, inside: &Inside) -> Result<MemoryPool> {
        let epoch = inside.gpu().epoch();
        if let Some((pool, _)) = self.pool.lock().filter(|(_, of)| *of == epoch) {
            return Ok(pool);
        }
        let (threshold, waits) = (self.threshold.load(Ordering::Relaxed), self.waits.load(Ordering::Relaxed));
        let made = MemoryPool::create(inside, threshold, waits, self.peers.load(Ordering::Relaxed))?;
        let mut pool = self.pool.lock();
        match *pool {
            // Another thread was first.
            Some((first, of)) if of == epoch => {
                drop(pool);
                // SAFETY: just created; no other thread knows it.
                unsafe { made.destroy(inside) };
                Ok(first)
            }
            _ => {
                *pool = Some((made, epoch));
                Ok(made)
            }
        }
    }

    /// The driver's pool, if the GPU's present context has it already.
    fn present(&self) -> Option<(MemoryPool, Inside)> {
        let inside = quietly(|| self.gpu().and_then(Gpu::enter)).ok()?;
        let pool = self.pool.lock().filter(|(_, of)| *of == inside.gpu().epoch());
        pool.map(|(pool, _)| (pool, inside))
    }

    /// The bytes of the driver's pool.
    fn bytes(&self) -> PoolBytes {
        self.present().map_or(PoolBytes::default(), |(pool, inside)| pool.bytes(&inside))
    }

    /// An allocation at an aligned address.
    fn allocate(
        &self,
        inside: &Inside,
        stream: &'static Stream,
        bytes: usize,
        alignment: usize,
    ) -> Result<Option<Allocation>> {
        let (gpu, pool) = (inside.gpu(), self.pool(inside)?);
        // The driver's own alignment is less than what is asked for here only in a new process or with an unusual
        // driver.
        if alignment <= GRANULE && !self.askew.load(Ordering::Relaxed) {
            // SAFETY: the caller vouches for the stream.
            let Some(at) = (unsafe { pool.allocate(inside, bytes, stream.raw())? }) else { return Ok(None) };
            if at.is_multiple_of(alignment) {
                return Ok(Some(Allocation::of(gpu, at, bytes)));
            }
            self.askew.store(true, Ordering::Relaxed);
            // SAFETY: nothing uses it; the stream as above.
            unsafe { memory_pool::free(inside, at, stream.raw())? };
        }
        let Some(more) = bytes.checked_add(alignment) else { return Ok(None) };
        // SAFETY: as above.
        let Some(at) = (unsafe { pool.allocate(inside, more, stream.raw())? }) else { return Ok(None) };
        Ok(Some(Allocation { start: at.next_multiple_of(alignment), ..Allocation::of(gpu, at, bytes) }))
    }

    /// Ends the driver's pool and the record: our pool has ended, and nothing is allocated.
    pub fn end(&'static self) {
        if let Some((pool, inside)) = self.present() {
            // SAFETY: nobody else has the record any more.
            unsafe { pool.destroy(&inside) };
        }
        *self.pool.lock() = None;
        FREE.lock().put(self);
    }
}

impl Device for DriverPool {
    fn terms(&self) -> Terms {
        Terms { in_order: true, ..cuda::of_gpu(0).terms() }
    }

    fn reserve(&self, _bytes: usize, _alignment: usize, _node: u32) -> Result<Option<usize>> {
        debug_assert!(false, "ranges come in the order of streams");
        Ok(None)
    }

    fn open_to(&self, peer: i32) -> PeerAccess {
        let has_access = self.peers.load(Ordering::Relaxed) & 1 << peer != 0;
        if has_access { PeerAccess::OpenPool } else { PeerAccess::Closed }
    }

    fn reserve_on(&self, stream: &'static Stream, bytes: usize, alignment: usize) -> Result<Option<usize>> {
        // In a capture it would become a node of the graph.
        if stream.can_be_captured() && stream.is_capturing()? {
            return Ok(None);
        }
        let inside = stream.enter()?;
        let free = |given: Allocation| {
            // SAFETY: just allocated on the stream, and not used.
            let _ = quietly(|| unsafe { memory_pool::free(&inside, given.at, stream.raw()) });
        };
        cuda::take_noted(|| self.allocate(&inside, stream, bytes, alignment.max(GRANULE)), free)
    }

    unsafe fn free(&self, start: usize, bytes: usize) -> bool {
        // The driver takes this as a free of memory whose work is done.
        // SAFETY: the caller's obligation.
        unsafe { cuda::of_gpu(self.gpu.load(Ordering::Relaxed)).free(start, bytes) }
    }

    unsafe fn free_on(&self, stream: &'static Stream, start: usize, _bytes: usize) -> bool {
        let Some(allocation) = cuda::take_allocation(start).filter(|allocation| !allocation.is_dead()) else {
            return true;
        };
        let Ok(inside) = quietly(|| stream.enter()) else { return allocation.is_dead() || allocation.gpu.is_lost() };
        // SAFETY: the caller's obligation.
        quietly(|| unsafe { memory_pool::free(&inside, allocation.at, stream.raw()) }).is_ok()
            || allocation.gpu.is_lost()
    }

    fn kept_free(&self) -> Option<(u64, u64)> {
        let PoolBytes { reserved, used, reserved_peak } = self.bytes();
        Some((reserved.saturating_sub(used), reserved_peak))
    }

    fn trim(&self, keep: usize) -> usize {
        let Some((pool, inside)) = self.present() else { return 0 };
        let before = pool.bytes(&inside).reserved;
        let _ = quietly(|| pool.trim(&inside, keep));
        before.saturating_sub(pool.bytes(&inside).reserved) as usize
    }

    fn reset_peak(&self) {
        if let Some((pool, inside)) = self.present() {
            pool.reset_peak(&inside);
        }
    }

    cuda::on_streams!();

    fn is_gone(&self) -> bool {
        self.gpu().map_or(true, Gpu::is_lost)
    }

    fn memory(&self) -> Option<(u64, u64)> {
        cuda::of_gpu(self.gpu.load(Ordering::Relaxed)).memory()
    }
}
