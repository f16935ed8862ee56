//! Peer access: which GPU can access the memory of which other one.
//!
//! Contract: access is enabled at its first use, in both directions, and stays. The driver copies directly between two
//! GPUs only then. Otherwise it stages every byte through host memory, even where the hardware has a link.
//!
//! The answer for a pair belongs to its two contexts, and is asked for again in new ones.

use super::table::{GPUS, Gpu};
use crate::cuda_driver::{CUcontext, SUCCESS, code};
use crate::error::Result;
use core::sync::atomic::{AtomicU64, Ordering};

/// The answer is in these bits, and above them the key of the contexts that it belongs to.
const ANSWER: u64 = 3;
/// There is no access.
const REFUSED: u64 = 1;
/// Access is enabled in both directions.
const ENABLED: u64 = 2;

/// By the lower and the higher ordinal; 0: not known yet.
static PAIRS: [[AtomicU64; GPUS]; GPUS] = [const { [const { AtomicU64::new(0) }; GPUS] }; GPUS];

impl Gpu {
    /// Whether the memory of two GPUs is accessible from each other, so that copies between them are direct. The first
    /// call for a pair enables the access.
    pub fn has_peer_access(&'static self, other: &'static Gpu) -> Result<bool> {
        let (low, high) = if self.id() < other.id() { (self, other) } else { (other, self) };
        let pair = &PAIRS[low.id() as usize][high.id() as usize];
        let context_of = |gpu: &'static Gpu| gpu.retained_context(gpu.alive()?);
        let contexts = (context_of(low)?, context_of(high)?);
        let key = key_of(low, high);
        let known = pair.load(Ordering::Relaxed);
        if known & !ANSWER == key && known & ANSWER != 0 {
            return Ok(known & ANSWER == ENABLED);
        }
        // Both directions, whatever the first one gives: each needs the other for copies on its own streams.
        let is_enabled = low.enable_access_to(high, contexts.1)? && high.enable_access_to(low, contexts.0)?;
        // Two threads that ask at the same time get equal answers.
        pair.store(key | if is_enabled { ENABLED } else { REFUSED }, Ordering::Relaxed);
        Ok(is_enabled)
    }

    /// Whether the hardware and the system allow this GPU to access the memory of another GPU.
    pub fn can_access(&'static self, other: &Gpu) -> Result<bool> {
        let inside = self.enter()?;
        let mut can = 0;
        // A GPU's ordinal is the driver's device.
        // SAFETY: the number is ours.
        let number = unsafe { inside.cuDeviceCanAccessPeer(&mut can, self.id(), other.id()) }?;
        self.check(number, "cuDeviceCanAccessPeer")?;
        Ok(can != 0)
    }

    /// Lets this GPU's context access the memory of another GPU. False: the two cannot.
    fn enable_access_to(&'static self, other: &'static Gpu, context: CUcontext) -> Result<bool> {
        if !self.can_access(other)? {
            return Ok(false);
        }
        let inside = self.enter()?;
        // SAFETY: the other GPU's primary context, which is never released.
        match unsafe { inside.cuCtxEnablePeerAccess(context, 0) }? {
            // Another library of the process may have enabled it.
            SUCCESS | code::PEER_ACCESS_ALREADY_ENABLED => Ok(true),
            code::PEER_ACCESS_UNSUPPORTED | code::TOO_MANY_PEERS => Ok(false),
            number => self.check(number, "cuCtxEnablePeerAccess").map(|()| false),
        }
    }
}

/// Bits that tell the present contexts of two GPUs from earlier ones, apart from those of the answer.
fn key_of(low: &Gpu, high: &Gpu) -> u64 {
    u64::from(low.epoch()) << 33 | u64::from(high.epoch()) << 2
}
