//! Raw strided copy and fill of host memory.
//!
//! Contract: a call writes every element of the destination and no other byte (TR-3). Strides may be negative on both
//! sides, and 0 on the source (TR-2). A copy behaves as if it read the whole source first (TR-4). It takes a temporary
//! only if neither direction through the destination is safe (TR-5). If there is no memory for the temporary, it has
//! written nothing. The module knows no store, no ledger and no handle. The caller checks who may touch the bytes, and
//! vouches for that with [`HostView::new`].
//!
//! The code reaches bytes through raw pointers only, never through a slice: foreign code may hold pointers to the same
//! memory. The slow, obvious twin and the properties are in tests/blit.rs.

mod checksum;

mod items;

mod plane;

mod row;

mod run;

mod scratch;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod tile;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod vector;

mod walk;

pub use checksum::checksum;
pub use scratch::Scratch;

use crate::error::Result;
use crate::layout::Layout;
use crate::layout::loops::{Loops, OverlapDirection};
use crate::runner;
use crate::sys::bytes::{self, Pattern};
use crate::sys::os;

/// A layout whose offset is an absolute host address, whose bytes the holder may access.
#[derive(Clone, Copy)]
pub struct HostView<'a> {
    layout: &'a Layout,
}

impl<'a> HostView<'a> {
    /// Vouches for the bytes of a layout.
    ///
    /// # Safety
    /// - The layout's offset is the absolute address of element (0,..,0) in host memory.
    /// - Every element lies in memory that stays mapped and readable while the view is in use.
    /// - As the destination of a copy or fill: the bytes may be written, and no two elements share a byte.
    /// - No thread that the library can stop touches the bytes in a conflicting way meanwhile.
    pub unsafe fn new(layout: &'a Layout) -> HostView<'a> {
        HostView { layout }
    }

    /// The layout. Its offset is an absolute address.
    pub fn layout(&self) -> &'a Layout {
        self.layout
    }
}

/// Copies every element of `src` to the element of `dst` at the same index, as if it read all of `src` first.
///
/// The caller has checked that shapes and item sizes are equal; otherwise the call panics before it writes a byte. It
/// fails only with TN_ERR_NO_HOST_MEMORY: there is no memory for the temporary that the overlap needs. `dst` is
/// unchanged then.
pub fn copy(dst: &HostView, src: &HostView) -> Result<()> {
    copy_alike(dst, src).expect("a copy between equal shapes and item sizes")
}

/// Like [`copy`]. Returns None and copies nothing if shapes or item sizes differ.
#[inline]
pub fn copy_alike(dst: &HostView, src: &HostView) -> Option<Result<()>> {
    if !dst.layout.has_shape_of(src.layout) || dst.layout.item() != src.layout.item() {
        return None;
    }
    if let Some(bytes) = dst.layout.c_bytes()
        && src.layout.is_c()
    {
        copy_dense(dst.layout, src.layout, bytes as usize);
        return Some(Ok(()));
    }
    Some(copy_strided(dst, src))
}

/// Copies between equal shapes and item sizes.
#[inline(never)]
fn copy_strided(dst: &HostView, src: &HostView) -> Result<()> {
    let mut loops = Loops::new();
    if !loops.set_copy(dst.layout, src.layout) {
        return Ok(());
    }
    match loops.direction() {
        OverlapDirection::Done => Ok(()),
        OverlapDirection::Through => copy_through(&loops),
        direction => {
            // SAFETY: both views vouch for their elements, and `direction` is safe for their overlap.
            unsafe { copy_by(&mut loops, direction) };
            Ok(())
        }
    }
}

/// Copies one run of bytes between dense layouts: the common case. For small arrays it is 8 times faster than making
/// loops.
#[inline]
fn copy_dense(dst: &Layout, src: &Layout, bytes: usize) {
    let from = core::ptr::with_exposed_provenance(src.offset() as usize);
    let to = core::ptr::with_exposed_provenance_mut(dst.offset() as usize);
    if from != to {
        // SAFETY: the views vouch for all bytes of dense layouts.
        unsafe { copy_bytes(to, from, bytes) };
    }
}

/// Runs the loops. Large ones are divided among the threads of the calling thread's runner.
///
/// # Safety
/// - The bytes of the loops may be touched, and their overlap allows `order`: Any, Forward or Backward.
unsafe fn copy_by(loops: &mut Loops, order: OverlapDirection) {
    let whole = loops.bytes();
    let parts = if order == OverlapDirection::Any { runner::parts(whole) } else { 1 };
    let Some((axis, count)) = Some(parts).filter(|parts| *parts > 1).and_then(|parts| loops.divided(parts)) else {
        // SAFETY: the caller's obligation.
        return unsafe { items::copy(loops, order, whole) };
    };
    let loops = &*loops;
    runner::each(parts, &|index| {
        if let Some(mut part) = loops.part(axis, index * count, count) {
            // SAFETY: the caller's obligation. No two parts share an element, and any order is safe, so parts may run
            // at the same time.
            unsafe { items::copy(&mut part, order, whole) };
        }
    });
}

/// Copies through a temporary that holds each distinct element of the source once.
fn copy_through(loops: &Loops) -> Result<()> {
    let scratch = Scratch::new(loops.packed_bytes())?;
    let at = scratch.address().expose_provenance() as isize;
    // SAFETY: the scratch is as long as the packed source, and shares no byte with it; the views vouch for the rest.
    unsafe { copy_by(&mut loops.gather(at), OverlapDirection::Any) };
    // SAFETY: as above, in the other direction.
    unsafe { copy_by(&mut loops.scatter(at), OverlapDirection::Any) };
    Ok(())
}

/// Sets every element of `dst` to `value`, the bytes of one element. Panics if `value` is not as long as one element.
pub fn fill(dst: &HostView, value: &[u8]) {
    assert!(value.len() as i64 == dst.layout.item(), "a fill value of another item size");
    if dst.layout.is_c() {
        // One run of bytes: the common case.
        let (to, pattern) = (dst.layout.offset() as usize, Pattern::of(value));
        return divided(dst.layout.bytes() as usize, |from, count| {
            // SAFETY: the view vouches for all bytes of a dense layout; parts start at multiples of the pattern.
            unsafe { bytes::set(core::ptr::with_exposed_provenance_mut(to + from), &pattern, count) };
        });
    }
    let mut loops = Loops::new();
    if !loops.set_fill(dst.layout) {
        return;
    }
    let parts = runner::parts(loops.bytes());
    let Some((axis, count)) = Some(parts).filter(|parts| *parts > 1).and_then(|parts| loops.divided(parts)) else {
        // SAFETY: the view vouches for its elements.
        return unsafe { items::fill(&mut loops, value) };
    };
    runner::each(parts, &|index| {
        if let Some(mut part) = loops.part(axis, index * count, count) {
            // SAFETY: the view vouches for its elements, and no two parts share one.
            unsafe { items::fill(&mut part, value) };
        }
    });
}

/// Sets every byte of every element of `dst` to 0.
pub fn zero(dst: &HostView) {
    fill(dst, &[0; 16][..dst.layout.item() as usize]);
}

/// Copies `count` plain bytes. The two sides may overlap.
///
/// # Safety
/// - `src` may be read and `dst` written for `count` bytes. With 0 bytes the call touches neither.
pub unsafe fn copy_bytes(dst: *mut u8, src: *const u8, count: usize) {
    if count < runner::MIN_DIVIDED_BYTES || (dst as usize).abs_diff(src as usize) < count {
        // SAFETY: the caller's obligation.
        return unsafe { bytes::copy(dst, src, count) };
    }
    let (dst, src) = (dst.expose_provenance(), src.expose_provenance());
    let method = bytes::method(count);
    divided(count, |from, count| {
        let dst = core::ptr::with_exposed_provenance_mut(dst + from);
        let src = core::ptr::with_exposed_provenance(src + from);
        // SAFETY: the caller's obligation. No two parts share a byte, and the two sides do not overlap.
        unsafe { bytes::copy_by(method, dst, src, count) };
        bytes::end(method);
    });
}

/// Calls `body` with the start and length of each part of `count` bytes. Many bytes are divided among the threads of
/// the runner.
fn divided(count: usize, body: impl Fn(usize, usize) + Sync) {
    let parts = runner::parts(count);
    if parts == 1 {
        return body(0, count);
    }
    // No two threads write one page for the first time.
    let part = count.div_ceil(parts).next_multiple_of(os::page_bytes());
    runner::each(parts, &|index| {
        let from = (index * part).min(count);
        body(from, part.min(count - from));
    });
}
