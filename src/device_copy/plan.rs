//! Plans: how a copy between two layouts becomes calls that a driver understands.
//!
//! A driver copies boxes: runs of bytes, rows of runs at a pitch, planes of rows. A plan is one box and the loops around it, so every call
//! of a copy has the same shape, and only its two addresses move:
//!
//! 1. The axes are normalised as for a copy on the host (`layout::loops`).
//! 2. The innermost axis is a *run* if it is dense on both sides; else a run is one element.
//! 3. Two of the remaining axes become *rows* and *planes*: those that leave the fewest loops. Drivers ask for ascending addresses on
//!    both sides, rows that do not overlap, and planes that are a whole number of rows apart.
//! 4. The plan loops over the remaining axes: reversed on one side only, repeated (stride 0), or not nested on either side.
//!
//! If the two sides may share bytes, [`OverlapPlan::of`] finds an order in which parts of the copy are safe. If the source repeats elements,
//! [`BroadcastSplit`] sends each of them once and then doubles what has arrived.
//!
//! Contract: pure arithmetic on addresses; touches no byte, knows no device, allocates nothing. Bytes between the elements of the
//! destination are in no box. Properties: tests/plan.rs executes plans with memcpy beside a model that copies element by element.
#![forbid(unsafe_code)]

use crate::arith::gcd;
use crate::error::Result;
use crate::gpu::copy::{Block, Side};
use crate::layout::loops::{Axis, Loops, are_interleaved};
use crate::layout::{Layout, Order};
use crate::types::TN_MAX_NDIM;

/// The largest pitch that drivers take: CU_DEVICE_ATTRIBUTE_MAX_PITCH of every GPU so far.
const MOST_PITCH: i64 = i32::MAX as i64;

/// What a call of the driver costs the host, in ns, about.
const CALL_NS: u64 = 2_000;
/// What it costs to bring bytes through the host's staging memory and to wait for them, in ns, and how many go in one: a round trip, and less
/// than what one core copies.
const STAGED_NS: u64 = 40_000;
const STAGED_BYTES_PER_NS: u64 = 8;

/// Whether a box of `width` bytes can repeat along the axis as rows.
fn is_row(axis: &Axis, width: i64) -> bool {
    let fits = |pitch: isize| (width..=MOST_PITCH).contains(&(pitch as i64));
    fits(axis.dst) && fits(axis.src)
}

/// Whether rows along `row` can repeat along the axis as planes.
fn is_plane_of(axis: &Axis, row: &Axis) -> bool {
    let fits = |plane: isize, pitch: isize| plane % pitch == 0 && plane / pitch >= row.length as isize;
    fits(axis.dst, row.dst) && fits(axis.src, row.src)
}

/// How a copy is cut into boxes.
#[derive(Clone, Debug)]
pub struct Plan {
    block: Block,
    loops: Loops,
}

impl Plan {
    /// The boxes of a copy between layouts of one shape and item size, whose offsets are absolute addresses. None: there is no element.
    pub fn copy(dst: &Layout, src: &Layout) -> Option<Plan> {
        debug_assert!(dst.shape() == src.shape() && dst.item() == src.item());
        let mut loops = Loops::new();
        if !loops.set_copy(dst, src) {
            return None;
        }
        let width = loops.take_run() as i64;
        let side = |at: isize| Side { at: at as i64, pitch: 0, plane: 0 };
        let block = Block { dst: side(loops.dst), src: side(loops.src), width, rows: 1, planes: 1 };
        let mut plan = Plan { block, loops };
        plan.take_rows();
        Some(plan)
    }

    /// Calls of the driver.
    pub fn calls(&self) -> u64 {
        self.loops.axes().iter().fold(1u64, |calls, axis| calls.saturating_mul(axis.length as u64))
    }

    /// The first box; the others have its shape.
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// Bytes of all elements.
    pub fn bytes(&self) -> u64 {
        let block = &self.block;
        self.calls().saturating_mul((block.width * block.rows * block.planes) as u64)
    }

    /// Whether it is one run of bytes.
    pub fn is_run(&self) -> bool {
        self.loops.axes().is_empty() && self.block.rows == 1
    }

    /// Whether so many calls take longer than the way through the host's memory, where rows are gathered by the processor.
    pub fn is_slower_than_staging(&self) -> bool {
        self.calls().saturating_mul(CALL_NS) > STAGED_NS + self.bytes() / STAGED_BYTES_PER_NS
    }

    /// Every box, in the order of the loops, the last axis fastest; stops at the first failure.
    pub fn each<E>(&self, mut visit: impl FnMut(&Block) -> core::result::Result<(), E>) -> core::result::Result<(), E> {
        let mut index = [0usize; TN_MAX_NDIM];
        let mut block = self.block;
        loop {
            visit(&block)?;
            let mut at = 0;
            loop {
                let Some(axis) = self.loops.axes().get(at) else { return Ok(()) };
                index[at] += 1;
                if index[at] < axis.length {
                    block.dst.at += axis.dst as i64;
                    block.src.at += axis.src as i64;
                    break;
                }
                index[at] = 0;
                block.dst.at -= (axis.length as i64 - 1) * axis.dst as i64;
                block.src.at -= (axis.length as i64 - 1) * axis.src as i64;
                at += 1;
            }
        }
    }

    /// Rows and planes where they leave the fewest calls; of equal choices those furthest inside.
    fn take_rows(&mut self) {
        let width = self.block.width;
        let mut best: Option<(usize, usize, Option<usize>)> = None;
        let mut offer = |elements: usize, row: usize, plane: Option<usize>| {
            if best.is_none_or(|(most, ..)| elements > most) {
                best = Some((elements, row, plane));
            }
        };
        for (row, rows) in self.loops.axes().iter().enumerate().filter(|(_, axis)| is_row(axis, width)) {
            offer(rows.length, row, None);
            for (plane, planes) in self.loops.axes().iter().enumerate().filter(|(_, axis)| is_plane_of(axis, rows)) {
                if plane != row {
                    offer(rows.length.saturating_mul(planes.length), row, Some(plane));
                }
            }
        }
        let Some((_, row, plane)) = best else { return };
        // The higher index first: removing an axis moves those behind it.
        let (rows, planes) = match plane {
            Some(plane) if plane > row => {
                let planes = self.loops.remove(plane);
                (self.loops.remove(row), Some(planes))
            }
            Some(plane) => (self.loops.remove(row), Some(self.loops.remove(plane))),
            None => (self.loops.remove(row), None),
        };
        self.block.rows = rows.length as i64;
        (self.block.dst.pitch, self.block.src.pitch) = (rows.dst as i64, rows.src as i64);
        if let Some(planes) = planes {
            self.block.planes = planes.length as i64;
            (self.block.dst.plane, self.block.src.plane) = (planes.dst as i64, planes.src as i64);
        }
    }
}

/// In which order a copy may go, so that no element is overwritten before it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OverlapPlan {
    /// Source and destination are the same elements in the same order: there is nothing to do.
    Done,
    /// They share no byte: boxes in any order, or at once.
    Any,
    /// By pieces of `length` indices of `axis`, one after the other: neither piece shares a byte with its own source. `upwards`: from
    /// index 0 on, else from the end.
    Pieces {
        /// The axis that is cut.
        axis: usize,
        /// Indices of a piece.
        length: i64,
        /// The direction.
        upwards: bool,
    },
    /// No such order is known: through a temporary.
    Through,
}

/// More pieces than that cost more than a temporary.
const MOST_PIECES: i64 = 32;

impl OverlapPlan {
    /// The course of a copy within one memory.
    pub fn of(dst: &Layout, src: &Layout) -> OverlapPlan {
        let (Some(to), Some(from)) = (dst.extent(), src.extent()) else { return OverlapPlan::Done };
        if to.1 <= from.0 || from.1 <= to.0 || is_interleaved(dst, src) {
            return OverlapPlan::Any;
        }
        let shift = src.offset() - dst.offset();
        // Strides of axes of length 1 say nothing.
        let alike = dst.axes().zip(src.axes()).all(|((length, to), (_, from))| length == 1 || to == from);
        match shift {
            0 if alike => OverlapPlan::Done,
            _ if alike => OverlapPlan::shifted(dst, shift),
            _ => OverlapPlan::Through,
        }
    }

    /// Equal strides and a constant distance: each piece is as long as the distance allows.
    fn shifted(dst: &Layout, shift: i64) -> OverlapPlan {
        let outermost = dst.axes().enumerate().filter(|(_, (length, _))| *length > 1);
        let Some((axis, (count, stride))) = outermost.max_by_key(|(_, (_, stride))| stride.unsigned_abs()) else {
            return OverlapPlan::Through;
        };
        let (low, end) = dst.extent().expect("it has elements");
        let step = stride.abs();
        // Bytes from the lowest to the highest of all that one index has.
        let reach = (end - low) - (count - 1) * step;
        // `length` indices reach (length - 1) * step + reach, which must not be more than the shift.
        let length = (shift.abs() - reach).div_euclid(step) + 1;
        if length < 1 || count.div_euclid(length) >= MOST_PIECES {
            return OverlapPlan::Through;
        }
        // What lies in the direction of the source is read by later pieces, so the pieces go there.
        OverlapPlan::Pieces { axis, length, upwards: (shift > 0) == (stride > 0) }
    }
}

/// Whether the elements of the two sides fit between each other, as every other column does.
fn is_interleaved(dst: &Layout, src: &Layout) -> bool {
    let steps = dst.axes().chain(src.axes()).filter(|(length, _)| *length > 1);
    let step = steps.fold(0, |step, (_, stride)| gcd(step, stride.unsigned_abs()));
    are_interleaved((src.offset() - dst.offset()) as isize, step as isize, dst.item() as isize)
}

/// A source that repeats elements, told in two steps: its distinct elements are copied to where they stand first in the destination, and
/// then what has arrived is doubled along each repeated axis.
pub struct BroadcastSplit {
    /// Where the distinct elements go.
    pub dst: Layout,
    /// The distinct elements.
    pub src: Layout,
}

impl BroadcastSplit {
    /// None: nothing is repeated.
    pub fn of(dst: &Layout, src: &Layout) -> Result<Option<BroadcastSplit>> {
        if dst.is_empty() || !src.stretched() {
            return Ok(None);
        }
        let mut first = BroadcastSplit { dst: dst.try_clone()?, src: src.try_clone()? };
        for axis in repeated(src) {
            first.dst.narrow(axis, 0, 1)?;
            first.src.narrow(axis, 0, 1)?;
        }
        Ok(Some(first))
    }

    /// The copies within the destination that follow, in order: `visit(to, from)`.
    pub fn doublings(dst: &Layout, src: &Layout, mut visit: impl FnMut(&Layout, &Layout) -> Result<()>) -> Result<()> {
        for (done, axis) in repeated(src).enumerate() {
            let count = dst.shape()[axis];
            let mut there = 1;
            while there < count {
                let more = there.min(count - there);
                let (mut to, mut from) = (dst.part(axis, there, more)?, dst.part(axis, 0, more)?);
                for later in repeated(src).skip(done + 1) {
                    to.narrow(later, 0, 1)?;
                    from.narrow(later, 0, 1)?;
                }
                visit(&to, &from)?;
                there += more;
            }
        }
        Ok(())
    }
}

/// The axes along which a layout repeats its elements.
fn repeated(layout: &Layout) -> impl Iterator<Item = usize> + '_ {
    layout.axes().enumerate().filter(|(_, (length, stride))| *length > 1 && *stride == 0).map(|(axis, _)| axis)
}

/// A layout cut along its outermost axes into pieces of at most `most` bytes each, repeated elements counted once, and never less than one
/// element; with the same pieces of a second layout: `visit(piece, same)`. The pieces go through the first layout's memory.
pub fn pieces(
    layout: &Layout,
    other: &Layout,
    most: i64,
    visit: &mut dyn FnMut(&Layout, &Layout) -> Result<()>,
) -> Result<()> {
    if layout.is_empty() {
        return Ok(());
    }
    let bytes = packed_bytes(layout);
    let outermost = layout.axes().enumerate().filter(|(_, (length, stride))| *length > 1 && *stride != 0);
    let Some((axis, (count, _))) = outermost.max_by_key(|(_, (_, stride))| stride.unsigned_abs()) else {
        return visit(layout, other);
    };
    if bytes <= most {
        return visit(layout, other);
    }
    for (start, length) in crate::layout::pieces(count, (most / (bytes / count)).max(1)) {
        let (piece, same) = (layout.part(axis, start, length)?, other.part(axis, start, length)?);
        pieces(&piece, &same, most, visit)?;
    }
    Ok(())
}

/// The elements of `of`, each repeated one once, dense from `at` on in the order of their memory: what a temporary of [`packed_bytes`]
/// holds. Shaped as before, and it goes backwards where `of` does, so that boxes fit both.
pub fn packed(of: &Layout, at: i64) -> Result<Layout> {
    let mut distinct = of.try_clone()?;
    for axis in repeated(of) {
        distinct.narrow(axis, 0, 1)?;
    }
    let dense = distinct.like(Order::K)?;
    let mut strides = [0i64; TN_MAX_NDIM];
    let mut first = at;
    for (axis, (length, stride)) in dense.axes().enumerate() {
        let turned = of.strides()[axis] < 0;
        strides[axis] = if turned { -stride } else { stride };
        first += if turned { (length - 1) * stride } else { 0 };
    }
    for axis in repeated(of) {
        strides[axis] = 0;
    }
    Layout::strided(of.dtype(), of.shape(), &strides[..of.ndim()], first)
}

/// Bytes of the elements of a layout without repetition.
pub fn packed_bytes(of: &Layout) -> i64 {
    let distinct = of.axes().filter(|(_, stride)| *stride != 0);
    distinct.fold(of.item(), |bytes, (length, _)| bytes.saturating_mul(length))
}
