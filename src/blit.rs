//! Raw strided copy and fill of host memory.
//!
//! Contract: every element of the destination is written and no other byte is (TR-3); any strides on either side,
//! negative ones and, on the source, zero ones too (TR-2). A copy gives what it would give if the source had been read
//! in full first (TR-4); it takes a temporary only where neither order of the destination's addresses is safe (TR-5),
//! and if there is no memory for that, nothing was written yet. Knows no store, no ledger and no handle: who may touch
//! which bytes, and when, was settled by the caller, who vouches for it with [`HostView::new`].
//!
//! Bytes are reached through raw pointers only, never through a slice: foreign code may hold pointers into the same
//! memory. The slow, obvious twin and the properties are in tests/blit.rs.

mod items;

mod loops;

mod plane;

mod row;

mod run;

mod scratch;

#[cfg(target_arch = "x86_64")]
mod tile;

#[cfg(target_arch = "x86_64")]
mod vector;

pub use scratch::Scratch;

use crate::error::Result;
use crate::layout::Layout;
use crate::runner;
use crate::sys::bytes::{self, Pattern};
use loops::{Loops, OverlapDirection};

/// Plain bytes are divided at multiples of that many, a page.
const PART: usize = 4096;

/// A layout whose offset is an absolute host address: where the bytes are, and that they may be touched.
#[derive(Clone, Copy)]
pub struct HostView<'a> {
    layout: &'a Layout,
}

impl<'a> HostView<'a> {
    /// Vouches for the bytes of a layout.
    ///
    /// # Safety
    /// - The layout's offset is the absolute address of element (0,..,0) in host memory.
    /// - Every element lies in memory that stays mapped and readable as long as this place is used.
    /// - As the destination of a copy or fill: the bytes may be written, and no two elements share a byte.
    /// - Nobody whom the library can stop touches the bytes in a conflicting way meanwhile.
    pub unsafe fn new(layout: &'a Layout) -> HostView<'a> {
        HostView { layout }
    }

    /// The layout, with its absolute address as offset.
    pub fn layout(&self) -> &'a Layout {
        self.layout
    }
}

/// Copies every element of `src` to the element of `dst` at the same index, as if `src` had been read in full first.
///
/// Shapes and item sizes are equal: the caller has checked them, and a call that breaks this panics before a byte
/// moves. Fails with TN_ERR_NO_HOST_MEMORY alone, and only where the two overlap so that a temporary is needed; `dst`
/// is unchanged then.
pub fn copy(dst: &HostView, src: &HostView) -> Result<()> {
    copy_alike(dst, src).expect("a copy between equal shapes and item sizes")
}

/// The same where shapes and item sizes are equal; None, and nothing is done, where they are not.
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

/// Of equal shapes and item sizes.
#[inline(never)]
fn copy_strided(dst: &HostView, src: &HostView) -> Result<()> {
    let mut loops = Loops::new();
    if !loops.set_copy(dst.layout, src.layout) {
        return Ok(());
    }
    match loops.order() {
        OverlapDirection::Done => Ok(()),
        OverlapDirection::Through => copy_through(&loops),
        order => {
            // SAFETY: both places vouch for their elements, and `order` is safe for the way they overlap.
            unsafe { copy_by(&mut loops, order) };
            Ok(())
        }
    }
}

/// Both are one run of bytes in the same order: the usual case, and for small arrays 8 times faster than making loops.
#[inline]
fn copy_dense(dst: &Layout, src: &Layout, bytes: usize) {
    let from = core::ptr::with_exposed_provenance(src.offset() as usize);
    let to = core::ptr::with_exposed_provenance_mut(dst.offset() as usize);
    if from != to {
        // SAFETY: the places vouch for all bytes of dense layouts.
        unsafe { copy_bytes(to, from, bytes) };
    }
}

/// Runs the loops, on the thread's runner where that is worth it.
///
/// # Safety
/// - The bytes of the loops may be touched, and `order` is one that their overlap allows: Any, Forward or Backward.
unsafe fn copy_by(loops: &mut Loops, order: OverlapDirection) {
    let whole = loops.bytes();
    let parts = if order == OverlapDirection::Any { runner::parts(whole) } else { 1 };
    let Some((axis, count)) = Some(parts).filter(|parts| *parts > 1).and_then(|parts| loops.divided(parts)) else {
        // SAFETY: the caller's promise.
        return unsafe { items::copy(loops, order, whole) };
    };
    let loops = Shared(loops);
    runner::each(parts, &|index| {
        if let Some(mut part) = loops.get().part(axis, index * count, count) {
            // SAFETY: the caller's promise, on elements that no other part has; in any order, so also at the same time.
            unsafe { items::copy(&mut part, order, whole) };
        }
    });
}

/// Loops that several threads read.
struct Shared<'a>(&'a Loops);

// SAFETY: the pointers in it are only copied; who follows them has a part of its own.
unsafe impl Sync for Shared<'_> {}

impl Shared<'_> {
    fn get(&self) -> &Loops {
        self.0
    }
}

/// Copies through a temporary that holds what the source has, each repeated element once.
fn copy_through(loops: &Loops) -> Result<()> {
    let scratch = Scratch::new(loops.packed_bytes())?;
    // SAFETY: the scratch is as long as the packed source, and shares no byte with it; the places vouch for the rest.
    unsafe { copy_by(&mut loops.gather(scratch.address()), OverlapDirection::Any) };
    // SAFETY: as above, the other way round.
    unsafe { copy_by(&mut loops.scatter(scratch.address()), OverlapDirection::Any) };
    Ok(())
}

/// Sets every element of `dst` to `value`, the bytes of one element: as many as its item size, else it panics.
pub fn fill(dst: &HostView, value: &[u8]) {
    assert!(value.len() as i64 == dst.layout.item(), "a fill value of another item size");
    if dst.layout.is_c() {
        // One run of bytes: as with a copy, the usual case.
        let (to, pattern) = (dst.layout.offset() as usize, Pattern::of(value));
        return divided(dst.layout.bytes() as usize, |from, count| {
            // SAFETY: the place vouches for all bytes of a dense layout; parts start at multiples of the pattern.
            unsafe { bytes::set(core::ptr::with_exposed_provenance_mut(to + from), &pattern, count) };
        });
    }
    let mut loops = Loops::new();
    if !loops.set_fill(dst.layout) {
        return;
    }
    let parts = runner::parts(loops.bytes());
    let Some((axis, count)) = Some(parts).filter(|parts| *parts > 1).and_then(|parts| loops.divided(parts)) else {
        // SAFETY: the place vouches for its elements.
        return unsafe { items::fill(&mut loops, value) };
    };
    let loops = Shared(&loops);
    runner::each(parts, &|index| {
        if let Some(mut part) = loops.get().part(axis, index * count, count) {
            // SAFETY: the place vouches for its elements, and no other part has these.
            unsafe { items::fill(&mut part, value) };
        }
    });
}

/// Sets every byte of every element of `dst` to 0.
pub fn zero(dst: &HostView) {
    fill(dst, &[0; 16][..dst.layout.item() as usize]);
}

/// Copies `count` plain bytes, which may overlap.
///
/// # Safety
/// - `src` may be read and `dst` written for `count` bytes; with 0 bytes neither is touched.
pub unsafe fn copy_bytes(dst: *mut u8, src: *const u8, count: usize) {
    if count < runner::LEAST || (dst as usize).abs_diff(src as usize) < count {
        // SAFETY: the caller's promise.
        return unsafe { bytes::copy(dst, src, count) };
    }
    let (dst, src) = (dst.expose_provenance(), src.expose_provenance());
    let method = bytes::method(count);
    divided(count, |from, count| {
        let dst = core::ptr::with_exposed_provenance_mut(dst + from);
        let src = core::ptr::with_exposed_provenance(src + from);
        // SAFETY: the caller's promise, on bytes that no other part has, and that do not overlap.
        unsafe { bytes::copy_by(method, dst, src, count) };
        bytes::end(method);
    });
}

/// Calls `body` with the start and length of parts of `count` bytes, on the thread's runner where that is worth it.
fn divided(count: usize, body: impl Fn(usize, usize) + Sync) {
    let parts = runner::parts(count);
    if parts == 1 {
        return body(0, count);
    }
    let part = count.div_ceil(parts).next_multiple_of(PART);
    runner::each(parts, &|index| {
        let from = (index * part).min(count);
        body(from, part.min(count - from));
    });
}
