//! Streams: a CUstream's order of work, and points in it.
//!
//! All ticks come from one clock of the process. It advances before an event is recorded, and before a wait for a whole
//! stream or device. [`Stream::now`] reads the clock: work that was issued before the read comes before any event with
//! that tick or a later one. A stream knows the tick up to which it has **passed**; an event of tick t that is done
//! raises it to t. So a stream that ended can serve another CUstream later: its old points have passed.
//!
//! A thread cannot name another thread's per-thread stream to the driver. So its owner records an event where a use
//! ends. Where there is none, as after a capture, the event is recorded on the legacy stream, which is ordered after
//! it: possibly later than necessary.
//!
//! | file | what |
//! |---|---|
//! | `progress` | points, the events behind them, and what is done |
//! | `uses` | work that others issue, open until they close it |
//! | `waits` | what waits for what, and captures |

mod progress;

mod uses;

mod waits;

pub use progress::progress;

use super::event_pool::PointCache;
use super::known_waits::KnownWaits;
use crate::cuda_driver::{CUstream, SUCCESS};
use crate::error::{Result, Status, fail, quietly};
use crate::gpu::{self, Gpu, Inside};
use crate::slots::{Head, Kind, Slot, State, Table};
use crate::thread::{self, QuickLock, Thread};
use crate::types::*;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// CU_STREAM_LEGACY.
pub const LEGACY: u64 = 1;
/// CU_STREAM_PER_THREAD.
pub const PER_THREAD: u64 = 2;

static CLOCK: AtomicU64 = AtomicU64::new(1);

/// Advances the clock, and returns the tick before.
pub fn advance_clock() -> u64 {
    CLOCK.fetch_add(1, Ordering::SeqCst)
}

/// The origin of a stream's CUstream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Origin {
    /// Created, and later destroyed, by this library.
    Created = 0,
    /// Another library's.
    Imported = 1,
    /// The legacy stream of a GPU.
    Legacy = 2,
    /// The per-thread stream of a GPU and a thread.
    PerThread = 3,
    /// No CUstream: work that another library put into streams that it does not name. The legacy stream comes after it
    /// (AL-7).
    Unnamed = 4,
    /// No CUstream: work of which only a wait for the whole device shows the end.
    Unknown = 5,
}

/// The work of a CUstream; type-stable.
pub struct Stream {
    head: Head,
    gpu: AtomicPtr<Gpu>,
    native: AtomicU64,
    origin: AtomicU32,
    /// Whether it is ordered with the legacy stream of its GPU.
    blocking: AtomicBool,
    /// The thread of a per-thread stream; else NULL.
    owner: AtomicPtr<Thread>,
    /// The driver's unique number of an imported stream; 0: unknown.
    serial: AtomicU64,
    /// The CUstream does not exist any more: its owner destroyed it while this library had it, or it went with a
    /// context that was reset.
    gone: AtomicBool,
    /// The tick at which it was bound to its CUstream: unique among all streams and their uses.
    born: AtomicU64,
    /// Number of open uses.
    open_uses: AtomicU32,
    /// The tick that closed the uses that were open at its end; 0: it has not ended, or had none.
    ended: AtomicU64,
    /// References: see `stream_ref`. 0: it ended, or was never used.
    pub(super) refs: AtomicU32,
    /// The latest tick of a point that was returned without an event.
    last_point: AtomicU64,
    /// The latest tick of an event.
    recorded: AtomicU64,
    /// How many events were recorded where borrows end since a wait needed one: see [`Stream::unrecorded_end`].
    unneeded_events: AtomicU32,
    /// All work up to this tick is done.
    passed: AtomicU64,
    events: QuickLock<PointCache>,
    known_waits: QuickLock<KnownWaits>,
    /// The next of the streams that ended with unfinished work; guarded by `end`.
    pub(super) next: AtomicPtr<Stream>,
}

impl Slot for Stream {
    const KIND: Kind = Kind::StreamRecord;
    fn new(head: Head) -> Stream {
        Stream {
            head,
            gpu: AtomicPtr::new(core::ptr::null_mut()),
            native: AtomicU64::new(0),
            origin: AtomicU32::new(0),
            blocking: AtomicBool::new(false),
            owner: AtomicPtr::new(core::ptr::null_mut()),
            serial: AtomicU64::new(0),
            gone: AtomicBool::new(false),
            born: AtomicU64::new(0),
            open_uses: AtomicU32::new(0),
            ended: AtomicU64::new(0),
            refs: AtomicU32::new(0),
            last_point: AtomicU64::new(0),
            recorded: AtomicU64::new(0),
            unneeded_events: AtomicU32::new(0),
            passed: AtomicU64::new(0),
            events: QuickLock::new(PointCache::new()),
            known_waits: QuickLock::new(KnownWaits::NONE),
            next: AtomicPtr::new(core::ptr::null_mut()),
        }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

impl PartialEq for Stream {
    fn eq(&self, other: &Stream) -> bool {
        core::ptr::eq(self, other)
    }
}

impl core::fmt::Debug for Stream {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "stream {} of GPU {}", self.head.number(), self.gpu().id())
    }
}

impl Stream {
    /// Takes a stream for a CUstream, and counts one reference.
    pub(super) fn start(gpu: &'static Gpu, native: u64, origin: Origin, blocking: bool) -> Result<&'static Stream> {
        gpu::on_reset(gpu::Layer::Streams, forget_context);
        let thread = thread::current();
        let stream = Table::<Stream>::take(thread)?;
        stream.gpu.store(core::ptr::from_ref(gpu).cast_mut(), Ordering::Relaxed);
        stream.native.store(native, Ordering::Relaxed);
        stream.origin.store(origin as u32, Ordering::Relaxed);
        stream.blocking.store(blocking, Ordering::Relaxed);
        let owner = if origin == Origin::PerThread { core::ptr::from_ref(thread) } else { core::ptr::null() };
        stream.owner.store(owner.cast_mut(), Ordering::Relaxed);
        stream.serial.store(0, Ordering::Relaxed);
        stream.gone.store(false, Ordering::Relaxed);
        stream.born.store(advance_clock(), Ordering::Relaxed);
        stream.open_uses.store(0, Ordering::Relaxed);
        stream.unneeded_events.store(0, Ordering::Relaxed);
        stream.ended.store(0, Ordering::Relaxed);
        *stream.known_waits.lock() = KnownWaits::NONE;
        stream.head.set_state(State::Kept);
        // Release pairs with the Acquire in `try_ref`: a thread that finds the stream sees its fields.
        stream.refs.store(1, Ordering::Release);
        Ok(stream)
    }

    /// Frees the slot of a stream that ended. Its old points have passed.
    pub(super) fn recycle(&'static self) {
        Table::free(thread::current(), self);
    }

    /// The GPU.
    pub fn gpu(&self) -> &'static Gpu {
        // SAFETY: set by `start` from a static reference.
        unsafe { &*self.gpu.load(Ordering::Relaxed) }
    }

    /// A small number that no other stream of the process has at the same time.
    pub fn number(&self) -> u32 {
        self.head.number()
    }

    /// The device, as C names it.
    pub fn device(&self) -> tn_device {
        self.gpu().device()
    }

    /// The CUstream's value for other libraries: never 0.
    pub fn native(&self) -> u64 {
        self.native.load(Ordering::Relaxed)
    }

    /// The CUstream for calls of the driver.
    pub fn raw(&self) -> CUstream {
        self.native() as CUstream
    }

    pub(super) fn origin(&self) -> Origin {
        match self.origin.load(Ordering::Relaxed) {
            0 => Origin::Created,
            1 => Origin::Imported,
            2 => Origin::Legacy,
            3 => Origin::PerThread,
            4 => Origin::Unnamed,
            _ => Origin::Unknown,
        }
    }

    /// Whether the CUstream is another library's.
    pub(super) fn is_imported(&self) -> bool {
        self.origin() == Origin::Imported
    }

    /// Whether it stands for work in streams that are not known, so that it has no CUstream.
    pub fn is_no_stream(&self) -> bool {
        matches!(self.origin(), Origin::Unnamed | Origin::Unknown)
    }

    /// Whether no event can be recorded behind its work outside of a call that names it: another library's stream, and
    /// work in unnamed ones.
    pub(super) fn is_foreign(&self) -> bool {
        self.is_imported() || self.is_no_stream()
    }

    /// Whether the stream is bound to the CUstream with this value.
    pub(super) fn is_of(&self, gpu: &Gpu, native: u64) -> bool {
        let in_use = self.refs.load(Ordering::Acquire) > 0 && !self.gone.load(Ordering::Relaxed);
        in_use && core::ptr::eq(self.gpu(), gpu) && self.native() == native
    }

    /// The driver's unique number of an imported stream; 0: unknown.
    pub(super) fn serial(&self) -> u64 {
        self.serial.load(Ordering::Relaxed)
    }

    /// Whether the CUstream's value still means this stream, by one call of the driver in whatever context is current.
    /// False: it does not, or the driver cannot tell so. The caller vouches for the value.
    pub(super) fn has_number(&self) -> bool {
        if self.origin() == Origin::Created {
            return self.is_usable();
        }
        let mut number = 0;
        let Ok(driver) = quietly(|| self.gpu().alive()) else { return false };
        // SAFETY: a stream, by the caller's obligation; the number is ours.
        let asked = unsafe { driver.cuStreamGetId(self.raw(), &mut number) };
        matches!(asked, Ok(SUCCESS)) && number != 0 && number == self.serial()
    }

    /// Sets the number, before the stream is shared.
    pub(super) fn set_serial(&self, serial: u64) {
        self.serial.store(serial, Ordering::Relaxed);
    }

    /// States that the CUstream does not exist any more. It is not used again.
    pub(super) fn lose_stream(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// Whether the CUstream is known not to exist any more.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Whether neither the stream nor its GPU is known to be lost. Calls no driver.
    #[inline]
    pub fn is_usable(&self) -> bool {
        !self.is_gone() && !self.gpu().is_lost()
    }

    /// Whether memory of the device is memory of the stream's GPU, or managed memory, which every GPU uses.
    #[inline]
    pub fn has_gpu_of(&self, device: tn_device) -> bool {
        match device.r#type {
            TN_CUDA => device.id == self.gpu().id(),
            kind => kind == TN_CUDA_MANAGED,
        }
    }

    /// Makes the GPU's context current, for calls with this stream. TN_ERR_DRIVER: the device is lost; or the stream
    /// does not exist any more; or this call found out that the context was reset, and its memory may have gone with
    /// it.
    pub fn enter(&self) -> Result<Inside> {
        self.enter_by(Gpu::enter)
    }

    /// As [`Stream::enter`], by [`Gpu::enter_unrelaxed`].
    #[inline]
    pub fn enter_unrelaxed(&self) -> Result<Inside> {
        self.enter_by(Gpu::enter_unrelaxed)
    }

    #[inline]
    fn enter_by(&self, enter: impl FnOnce(&'static Gpu) -> Result<Inside>) -> Result<Inside> {
        let gpu = self.gpu();
        let before = gpu.epoch();
        let inside = enter(gpu)?;
        if self.is_gone() {
            return Err(self.gone_error());
        }
        if gpu.epoch() != before { Err(reset_error(gpu)) } else { Ok(inside) }
    }

    #[cold]
    fn gone_error(&self) -> Status {
        fail(
            TN_ERR_DRIVER,
            format_args!(
                "a stream of GPU {} does not exist any more: its owner destroyed it, or the GPU's primary context was reset; make a new one",
                self.gpu().id()
            ),
        )
    }

    /// Whether the CUstream's value means this stream on the calling thread.
    pub(super) fn is_nameable(&self) -> bool {
        let owner = self.owner.load(Ordering::Relaxed);
        owner.is_null() || core::ptr::eq(owner, thread::current())
    }
}

/// Calls `visit` with every stream that has references, or ended with unfinished work.
pub(super) fn each(mut visit: impl FnMut(&'static Stream)) {
    Table::<Stream>::each(|stream| {
        if stream.head.state() == State::Kept {
            visit(stream);
        }
    });
}

#[cold]
fn reset_error(gpu: &Gpu) -> Status {
    fail(
        TN_ERR_DRIVER,
        format_args!(
            "the primary context of GPU {} was reset by the program or another library, with all memory and streams in it; \
             later calls use the new context",
            gpu.id()
        ),
    )
}

/// A GPU's primary context was reset: its streams and events are gone, and nothing of their work runs any more. The
/// legacy stream and the per-thread streams go on in the new context.
fn forget_context(gpu: i32) {
    let tick = advance_clock();
    each(|stream| {
        if stream.gpu().id() == gpu {
            if matches!(stream.origin(), Origin::Created | Origin::Imported) {
                stream.lose_stream();
            }
            stream.pass(tick);
        }
    });
}
