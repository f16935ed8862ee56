//! Copies and fills of raw bytes between host and devices.
//!
//! Contract: as `blit`, but for memory of any kind, on a queue: a copy moves every element of the source to the destination as if the
//! source had been read in full first, a fill sets every element, and no other byte is touched. Knows no store, no ledger and no handle: who
//! may touch which bytes was settled by the caller, who vouches for it with [`MemoryView::new`], and whose queue is after all that it must be after.
//! What is not done on return is done when the queue has passed it; [`Outstanding`] says what that is. Under no lock.
//!
//! | file | what |
//! |---|---|
//! | `plan` | which calls of the driver make a copy between two layouts; pure |
//! | `context` | the operands of a copy, and the driver calls that it makes |
//! | `host_device` | host and device: at once where the host's memory is page-locked, else through staging |
//! | `device` | within one device, with overlap, and between two |
//! | `staging` | the ring of page-locked chunks |
//! | `fill` | every element set, without kernels |
//! | `registered` | which host memory is page-locked by `tn_host_register` |

mod context;

mod device;

mod fill;

mod host_device;

pub mod plan;

pub mod registered;

mod staging;

pub use context::{Failed, Memory, MemoryView, Outstanding, seen_at};
pub use fill::fill;
pub use staging::trim;

use crate::stream::Queue;
use context::CopyContext;

/// Copies every element of `src` to the element of `dst` at the same index, on a queue; at least one of the two is a GPU's memory.
///
/// Shapes and item sizes are equal. The queue is one of a GPU that has one of the two. `strict`: TN_ERR_WOULD_COPY in place of staging.
pub fn copy(
    queue: &'static Queue,
    dst: &MemoryView,
    src: &MemoryView,
    strict: bool,
) -> core::result::Result<Outstanding, Failed> {
    debug_assert!(dst.layout.shape() == src.layout.shape() && dst.layout.item() == src.layout.item());
    if dst.layout.is_empty() {
        return Ok(Outstanding::Nothing);
    }
    let mut copy = CopyContext { queue, strict, wrote: false };
    let outcome = match (dst.memory, src.memory) {
        (Memory::Device(to), Memory::Device(from)) if to.id() != from.id() => {
            device::between(&mut copy, (to, dst), (from, src))
        }
        (Memory::Device(_), Memory::Device(_) | Memory::Managed) | (Memory::Managed, Memory::Device(_)) => {
            device::within(&mut copy, dst, src)
        }
        (Memory::Device(_), _) => host_device::to_device(&mut copy, dst, src),
        (_, Memory::Device(_)) => host_device::to_host(&mut copy, dst, src),
        _ => unreachable!("copies between host memories are the host's"),
    };
    outcome.map_err(|status| Failed { status, wrote: copy.wrote })
}
