//! The library's own kernels: when a copy or fill uses them, and how they come onto a GPU.
//!
//! `strided.cu` has the kernels, and `strided.ptx` is what `cargo xtask ptx` compiles them to. `launch` plans the
//! launches; pure. This file compares the times that a copy takes by kernels and by the driver, loads the kernels, and
//! launches them.
//!
//! The kernels are loaded once for each context. A driver compiles PTX at the first load on a machine, which takes tens of
//! milliseconds or more, and a load may wait for all work of the device, with the context's lock held
//! (meta-pytorch/torchcomms#2334). So with `transfer.kernels` = auto, a GPU wants them once they would have saved
//! [`LOAD_NS`], and the next call that waits for work of the GPU loads them. A copy loads them itself only where they
//! would have saved [`PATIENCE_NS`], because the program makes no such call. Until then, and where they cannot be
//! loaded, the driver's own copies do the work. Nothing is loaded for a stream that captures a graph: drivers before 12.3 refuse a
//! load during a capture, and refusals break captures. Launches are part of a graph like other work.
//!
//! Contract: never fails because of the kernels. No lock is held during a driver call, and no call waits for the
//! device, except a load.

pub mod launch;

use super::plan::{CALL_NS, DEVICE_BYTES_PER_NS, Plan};
use crate::device::refuse_dead;
use crate::error::{Result, quietly};
use crate::gpu::copy::CopyKind;
use crate::gpu::module::{self, Function};
use crate::gpu::{GPUS, Gpu, Inside, page_lock};
use crate::options::{self, Kernels};
use crate::stream::{self, Stream};
use crate::thread::QuickLock;
use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, Ordering};
use launch::{KernelPlan, MAX_UNITS, NAMES, THREADS};

/// The kernels, compiled to PTX.
const PTX: &CStr = match CStr::from_bytes_with_nul(concat!(include_str!("strided.ptx"), "\0").as_bytes()) {
    Ok(text) => text,
    Err(_) => panic!("PTX contains a NUL"),
};

/// The time that a launch takes more than a copy by the driver, until its first unit is copied.
const EXTRA_NS: u64 = 1_000;
/// About the time that loading the kernels takes if the driver has compiled them before.
const LOAD_NS: u64 = 5_000_000;
/// A copy waits for a load once the kernels would have saved this time.
const PATIENCE_NS: u64 = 100_000_000;
/// The throughput of a kernel that reads or writes memory of the host.
const HOST_BYTES_PER_NS: u64 = 10;

/// The kernels in a context.
struct Loaded {
    /// Which of the GPU's contexts `state` and `functions` are of.
    epoch: u32,
    state: State,
    functions: [Function; NAMES.len()],
    /// The time that the kernels would have saved so far.
    missed_ns: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Absent,
    /// Some thread loads them. The others do without.
    Loading,
    Ready,
    /// The driver refused them.
    Refused,
}

static LOADED: [QuickLock<Loaded>; GPUS] = [const {
    QuickLock::new(Loaded { epoch: 0, state: State::Absent, functions: [Function::NONE; NAMES.len()], missed_ns: 0 })
}; GPUS];

/// The GPUs that want kernels, by the bits of their ordinals.
static WANTED: AtomicU32 = AtomicU32::new(0);

/// A copy or fill that kernels do.
pub struct Chosen {
    plan: KernelPlan,
    functions: [Function; NAMES.len()],
    inside: Inside,
    /// The first address of each side.
    sides: [usize; 2],
    /// The estimated time.
    pub ns: u64,
}

/// The kernels for a plan's copy, if they are faster than the driver, and loaded or worth loading.
pub fn for_copy(stream: &'static Stream, kind: CopyKind, plan: &Plan) -> Option<Chosen> {
    let on_host = match kind {
        CopyKind::ToDevice | CopyKind::ToHost => true,
        CopyKind::Within => false,
        CopyKind::Peer { .. } => return None,
    };
    let driver_ns = plan.driver_ns(on_host);
    if plan.is_run() || !may_be_faster(driver_ns) {
        return None;
    }
    let mut kernels = KernelPlan::copy(plan);
    let (written, read) = kernels.moved_bytes();
    let moving_ns = match kind {
        CopyKind::ToDevice => read / HOST_BYTES_PER_NS,
        CopyKind::ToHost => written / HOST_BYTES_PER_NS,
        _ => (written + read) / DEVICE_BYTES_PER_NS,
    };
    let (inside, ns) = enter_if_faster(stream, &kernels, moving_ns, driver_ns)?;
    let (dst, src) = (plan.block().dst.at, plan.block().src.at);
    match kind {
        CopyKind::ToDevice => kernels.shift(0, host_shift(&inside, src, dst)?),
        CopyKind::ToHost => kernels.shift(host_shift(&inside, dst, src)?, 0),
        _ => {}
    }
    let functions = loaded(stream, &inside, driver_ns.saturating_sub(ns))?;
    Some(Chosen { plan: kernels, functions, inside, sides: [dst as usize, src as usize], ns })
}

/// The kernels for a fill of the destination of a plan, which takes `driver_ns` otherwise.
pub fn for_fill(stream: &'static Stream, plan: &Plan, value: &[u8], driver_ns: u64) -> Option<Chosen> {
    if !may_be_faster(driver_ns) {
        return None;
    }
    let kernels = KernelPlan::fill(plan, value);
    let moving_ns = kernels.moved_bytes().0 / DEVICE_BYTES_PER_NS;
    let (inside, ns) = enter_if_faster(stream, &kernels, moving_ns, driver_ns)?;
    let functions = loaded(stream, &inside, driver_ns.saturating_sub(ns))?;
    let at = plan.block().dst.at as usize;
    Some(Chosen { plan: kernels, functions, inside, sides: [at, at], ns })
}

/// The distance from the address of host memory to the one at which the GPU sees it. None: a kernel cannot access both
/// sides. (Copies between two devices may be staged on one stream. Then the device's side belongs to the other GPU,
/// which the driver's copies reach and kernels do not.)
fn host_shift(inside: &Inside, host: i64, device: i64) -> Option<i64> {
    let seen = quietly(|| page_lock::device_address(inside.gpu(), host as usize)).ok()?;
    page_lock::is_memory_of(inside, device as usize).then_some((seen as i64).wrapping_sub(host))
}

/// Whether kernels may be used in place of calls that take `driver_ns`.
fn may_be_faster(driver_ns: u64) -> bool {
    match options::transfer_kernels() {
        Kernels::Auto => driver_ns > CALL_NS + EXTRA_NS,
        Kernels::On => true,
        Kernels::Off => false,
    }
}

/// Enters the context of the stream if the kernels are faster, or are to be used anyway. Returns the estimated time,
/// too.
fn enter_if_faster(
    stream: &'static Stream,
    plan: &KernelPlan,
    moving_ns: u64,
    driver_ns: u64,
) -> Option<(Inside, u64)> {
    let ns = (plan.launches().saturating_mul(CALL_NS) + EXTRA_NS).saturating_add(moving_ns);
    if ns >= driver_ns && options::transfer_kernels() != Kernels::On {
        return None;
    }
    let inside = quietly(|| stream.enter()).ok()?;
    Some((inside, ns))
}

/// The kernels in the current context; loads them if that is worth its time. `saved_ns`: what they save this time.
fn loaded(stream: &'static Stream, inside: &Inside, saved_ns: u64) -> Option<[Function; NAMES.len()]> {
    let slot = &LOADED[inside.gpu().id() as usize];
    {
        let mut loaded = slot.lock();
        if loaded.epoch != inside.gpu().epoch() {
            (loaded.epoch, loaded.state, loaded.missed_ns) = (inside.gpu().epoch(), State::Absent, 0);
        }
        match loaded.state {
            State::Ready => return Some(loaded.functions),
            State::Absent => {}
            State::Loading | State::Refused => return None,
        }
        loaded.missed_ns = loaded.missed_ns.saturating_add(saved_ns);
        if options::transfer_kernels() != Kernels::On {
            if loaded.missed_ns >= LOAD_NS {
                WANTED.fetch_or(1 << inside.gpu().id(), Ordering::Relaxed);
            }
            if loaded.missed_ns < PATIENCE_NS {
                return None;
            }
        }
    }
    if quietly(|| stream.is_capturing()).unwrap_or(true) { None } else { load(inside, slot) }
}

/// Loads the kernels into a GPU that wants them. Called where a call has waited for work of the GPU, under no lock. Not
/// while a stream captures a graph, as far as the library may ask.
#[inline]
pub fn load_wanted(gpu: &'static Gpu) {
    if WANTED.load(Ordering::Relaxed) & 1 << gpu.id() != 0 {
        quietly(|| load_now(gpu));
    }
}

#[cold]
fn load_now(gpu: &'static Gpu) {
    if stream::refuse_captures(gpu).is_err() {
        return;
    }
    WANTED.fetch_and(!(1 << gpu.id()), Ordering::Relaxed);
    let Ok(inside) = gpu.enter() else { return };
    let slot = &LOADED[gpu.id() as usize];
    if slot.lock().epoch == gpu.epoch() {
        load(&inside, slot);
    }
}

#[cold]
fn load(inside: &Inside, slot: &QuickLock<Loaded>) -> Option<[Function; NAMES.len()]> {
    let epoch = {
        let mut loaded = slot.lock();
        if loaded.state != State::Absent {
            return None;
        }
        loaded.state = State::Loading;
        loaded.epoch
    };
    let outcome = quietly(|| module::load(inside, PTX, &NAMES));
    let kernel_error = &inside.gpu().traffic.kernel_error;
    let mut loaded = slot.lock();
    if loaded.epoch != epoch {
        return None;
    }
    match outcome {
        Ok(functions) => {
            (loaded.state, loaded.functions) = (State::Ready, functions);
            kernel_error.store(0, Ordering::Relaxed);
            Some(functions)
        }
        Err(refused) => {
            loaded.state = if refused.is_temporary() { State::Absent } else { State::Refused };
            kernel_error.store(refused.code.into(), Ordering::Relaxed);
            None
        }
    }
}

impl Chosen {
    /// Launches the kernels on the stream, and calls `after` for each launch.
    pub fn enqueue(&self, stream: &'static Stream, mut after: impl FnMut()) -> Result<()> {
        self.sides.into_iter().try_for_each(refuse_dead)?;
        self.plan.each(MAX_UNITS, |call| {
            let function = self.functions[call.kernel.index()];
            // SAFETY: the makers of memory views vouch for their bytes until the stream has completed the copy; the two
            // sides share no byte. The functions are those of this context, and `Launch` is their parameter.
            unsafe { module::launch(&self.inside, stream.raw(), function, call.blocks, THREADS, call.launch) }?;
            after();
            Ok(())
        })?;
        self.inside.gpu().traffic.kernel_count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
