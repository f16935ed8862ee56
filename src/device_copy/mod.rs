//! Copies and fills of raw bytes between host and devices.
//!
//! Contract: as for `blit`, but for memory of any kind, and in the order of a stream. A copy behaves as if it read the
//! whole source first. A fill sets every element. Neither touches any other byte.
//!
//! The module knows no store, no ledger and no handle. The caller checks who may touch the bytes, and vouches for that
//! with [`MemoryView::new`]. It also makes the stream wait for all earlier work on the bytes. A call may return before
//! its work is complete; then the stream completes it, and [`Outstanding`] says what is left. Called under no lock.
//!
//! | file | contents |
//! |---|---|
//! | `plan` | the driver calls that copy between two layouts; pure |
//! | `context` | the operands of a copy, and the driver calls that it makes |
//! | `host_device` | copies between host and device: direct if the host memory is page-locked, else staged |
//! | `device` | copies within one device, with overlap, and between two devices |
//! | `staging` | the page-locked chunks of large copies |
//! | `staging_pool` | the page-locked blocks of small copies |
//! | `fill` | fills, without kernels |
//! | `registered` | the host memory that `tn_host_register` page-locked |

mod context;

mod device;

mod fill;

mod host_device;

pub mod kernels;

pub mod plan;

pub mod registered;

mod staging;

mod staging_pool;

pub use context::{Failed, Memory, MemoryView, Outstanding, device_address};
pub use fill::fill;
pub use kernels::load_wanted;
pub use registered::is_any_registered;
pub use staging::trim;

use crate::stream::Stream;
use context::CopyContext;

/// Copies every element of `src` to the element of `dst` at the same index, in the order of a stream. At least one of
/// the two is memory of a GPU, or both are managed.
///
/// Shapes and item sizes are equal. The stream belongs to the GPU of one of the two; for managed memory, to any GPU.
/// `strict`: fails with TN_ERR_WOULD_COPY instead of staging.
pub fn copy(
    stream: &'static Stream,
    dst: &MemoryView,
    src: &MemoryView,
    strict: bool,
) -> core::result::Result<Outstanding, Failed> {
    debug_assert!(dst.layout.shape() == src.layout.shape() && dst.layout.item() == src.layout.item());
    if dst.layout.is_empty() {
        return Ok(Outstanding::Nothing);
    }
    let mut copy = CopyContext { stream, strict, wrote: false };
    // What follows enters again, without a call of the driver.
    let entered = stream.enter().and_then(|inside| stream.check_legacy().map(|()| inside));
    let _inside = entered.map_err(|status| Failed { status, wrote: false })?;
    let outcome = match (dst.memory, src.memory) {
        (Memory::Device(to), Memory::Device(from)) if to.id() != from.id() => {
            device::between(&mut copy, (to, dst), (from, src))
        }
        (Memory::Device(_) | Memory::Managed, Memory::Device(_) | Memory::Managed) => {
            device::within(&mut copy, dst, src)
        }
        (Memory::Device(_), _) => host_device::to_device(&mut copy, dst, src),
        (_, Memory::Device(_)) => host_device::to_host(&mut copy, dst, src),
        _ => unreachable!("the host copies between host memories"),
    };
    outcome.map_err(|status| Failed { status, wrote: copy.wrote })
}
