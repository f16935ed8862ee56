//! Plans: a copy between two layouts as driver calls.
//!
//! A driver copies boxes: runs of bytes, rows of runs at a pitch, planes of rows. A plan is one box and the loops
//! around it. So all calls of a copy differ in their two addresses only. A plan is made in four steps:
//!
//! 1. The axes are normalised as for a copy on the host (`layout::loops`).
//! 2. The innermost axis is a *run* if it is dense on both sides; else a run is one element.
//! 3. Two of the remaining axes become *rows* and *planes*: those that leave the fewest calls. Drivers require
//!    ascending addresses on both sides, rows that do not overlap, and planes that are a whole number of rows apart.
//! 4. The plan loops over the remaining axes: reversed on one side only, repeated (stride 0), or not nested on either
//!    side.
//!
//! If the two sides may share bytes, [`OverlapPlan::of`] finds an order in which the copy is safe. If the source
//! repeats elements, [`BroadcastSplit`] copies each distinct element once and then doubles the copied part of the
//! destination.
//!
//! Contract: pure arithmetic on addresses; touches no byte, knows no device, allocates nothing. Bytes between the
//! elements of the destination are in no box. Properties: tests/library/plan.rs executes plans with memcpy beside a
//! model that copies element by element.
#![forbid(unsafe_code)]

use crate::arith::gcd;
use crate::error::Result;
use crate::gpu::copy::{Block, Side};
use crate::layout::loops::{Axis, Loops, are_interleaved};
use crate::layout::{Layout, Order};
use crate::types::TN_MAX_NDIM;

/// The largest pitch that drivers accept: CU_DEVICE_ATTRIBUTE_MAX_PITCH of all known GPUs.
const MAX_PITCH_BYTES: i64 = i32::MAX as i64;

/// About the time that the host needs for a driver call.
pub const CALL_NS: u64 = 2_000;
/// The time that a copy engine needs for ten rows, however short they are. (CUDA's copy of 2^20 rows of one byte takes
/// 2.6 ms: ROCm/rocm-systems#6910.)
const TEN_ROWS_NS: u64 = 25;
/// The bytes that a device reads and writes together.
pub const DEVICE_BYTES_PER_NS: u64 = 1_000;
/// The throughput of copies between page-locked memory and a device.
const BUS_BYTES_PER_NS: u64 = 25;
/// The time that staging adds to a copy, whatever its size: a round trip between host and device.
const STAGED_NS: u64 = 40_000;
/// The throughput of staging: less than that of one core that copies.
const STAGED_BYTES_PER_NS: u64 = 8;

/// About the time that a copy engine needs for rows, however short they are.
pub fn rows_ns(rows: u64) -> u64 {
    rows.saturating_mul(TEN_ROWS_NS) / 10
}

/// Whether a box of `width` bytes can repeat along the axis as rows.
fn is_row(axis: &Axis, width: i64) -> bool {
    let fits = |pitch: isize| (width..=MAX_PITCH_BYTES).contains(&(pitch as i64));
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
    /// Plans a copy between layouts of equal shape and item size, whose offsets are absolute addresses. None: they have
    /// no element.
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

    /// The number of driver calls.
    pub fn calls(&self) -> u64 {
        self.loops.axes().iter().fold(1u64, |calls, axis| calls.saturating_mul(axis.length as u64))
    }

    /// The first box. All boxes have its shape.
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// All axes but the run: rows, planes and the loops around the box, in this order.
    pub fn axes(&self) -> impl Iterator<Item = Axis> + '_ {
        let Block { dst, src, rows, planes, .. } = self.block;
        let axis =
            |length: i64, dst: i64, src: i64| Axis { length: length as usize, dst: dst as isize, src: src as isize };
        let inner = [axis(rows, dst.pitch, src.pitch), axis(planes, dst.plane, src.plane)];
        inner.into_iter().filter(|axis| axis.length > 1).chain(self.loops.axes().iter().copied())
    }

    /// The size of all elements.
    pub fn bytes(&self) -> u64 {
        let block = &self.block;
        self.calls().saturating_mul((block.width * block.rows * block.planes) as u64)
    }

    /// Whether the copy is one run of bytes.
    pub fn is_run(&self) -> bool {
        self.loops.axes().is_empty() && self.block.rows == 1
    }

    /// The number of rows of all boxes. A run counts as one.
    pub fn rows(&self) -> u64 {
        self.calls().saturating_mul((self.block.rows * self.block.planes) as u64)
    }

    /// About the time that the driver calls take: of the host to make them, or of the device to copy the rows.
    /// `over_bus`: one side is memory of the host.
    ///
    /// An axis along which the source repeats counts as the copies that double it ([`BroadcastSplit`]).
    pub fn driver_ns(&self, over_bus: bool) -> u64 {
        let (mut calls, mut doublings) = (1u64, 0);
        for axis in self.loops.axes() {
            match axis.src {
                0 => doublings += u64::from(axis.length.next_power_of_two().trailing_zeros()),
                _ => calls = calls.saturating_mul(axis.length as u64),
            }
        }
        let rows = calls.saturating_mul((self.block.rows * self.block.planes) as u64);
        let bytes_per_ns = if over_bus { BUS_BYTES_PER_NS } else { DEVICE_BYTES_PER_NS / 2 };
        let engine_ns = rows_ns(rows).saturating_add(self.bytes() / bytes_per_ns);
        calls.saturating_add(doublings).saturating_mul(CALL_NS).max(engine_ns)
    }

    /// Whether the driver calls take longer than a copy through host memory, where the processor rearranges the
    /// elements. `over_bus`: as for [`Plan::driver_ns`]. `on_device`: the sides in memory of a device, whose rows the
    /// driver copies in both cases.
    pub fn is_slower_than_staging(&self, over_bus: bool, on_device: &[&Layout]) -> bool {
        let driver_ns = self.driver_ns(over_bus);
        driver_ns > STAGED_NS + self.bytes() / STAGED_BYTES_PER_NS && driver_ns > self.staged_ns(on_device)
    }

    /// About the time of a copy through host memory.
    pub fn staged_ns(&self, on_device: &[&Layout]) -> u64 {
        let rows = |layout: &&Layout| {
            let plan = packed(layout, 0).ok().and_then(|packed| match BroadcastSplit::of(&packed, layout).ok()? {
                Some(distinct) => Plan::copy(&distinct.dst, &distinct.src),
                None => Plan::copy(&packed, layout),
            });
            plan.map_or(0, |plan| plan.rows())
        };
        let rows = on_device.iter().map(rows).fold(0, u64::saturating_add);
        (STAGED_NS + self.bytes() / STAGED_BYTES_PER_NS).saturating_add(rows_ns(rows))
    }

    /// Visits every box, the first axis of the loops innermost. Stops at the first failure.
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

    /// Turns the axes that leave the fewest calls into rows and planes. Of equal choices it takes the innermost.
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

/// An order of a copy in which no element is overwritten before it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OverlapPlan {
    /// Source and destination are the same elements in the same order: there is nothing to copy.
    Done,
    /// The two sides share no byte: any order, or all boxes at a time.
    Any,
    /// Pieces of `length` indices of `axis`, one after the other. No piece shares a byte with its own source.
    Pieces {
        /// The axis that is cut.
        axis: usize,
        /// Indices of a piece. The last piece may be shorter.
        length: i64,
        /// Whether the pieces start at index 0; else at the end.
        upwards: bool,
    },
    /// No such order is known: the copy needs a temporary.
    Through,
}

/// More pieces cost more than a temporary.
const MAX_PIECES: i64 = 32;

impl OverlapPlan {
    /// The order of a copy within one memory.
    pub fn of(dst: &Layout, src: &Layout) -> OverlapPlan {
        let (Some(to), Some(from)) = (dst.extent(), src.extent()) else { return OverlapPlan::Done };
        if to.1 <= from.0 || from.1 <= to.0 || is_interleaved(dst, src) {
            return OverlapPlan::Any;
        }
        let shift = src.offset() - dst.offset();
        // The stride of an axis of length 1 has no effect.
        let alike = dst.axes().zip(src.axes()).all(|((length, to), (_, from))| length == 1 || to == from);
        match shift {
            0 if alike => OverlapPlan::Done,
            _ if alike => OverlapPlan::shifted(dst, shift),
            _ => OverlapPlan::Through,
        }
    }

    /// The order for equal strides on both sides: each piece is as long as the distance between the two sides allows.
    fn shifted(dst: &Layout, shift: i64) -> OverlapPlan {
        let outermost = dst.axes().enumerate().filter(|(_, (length, _))| *length > 1);
        let Some((axis, (count, stride))) = outermost.max_by_key(|(_, (_, stride))| stride.unsigned_abs()) else {
            return OverlapPlan::Through;
        };
        let (low, end) = dst.extent().expect("it has elements");
        let step = stride.abs();
        // The bytes from the lowest to the highest element of one index.
        let index_bytes = (end - low) - (count - 1) * step;
        // `length` indices span (length - 1) * step + index_bytes bytes, which must not exceed the shift.
        let length = (shift.abs() - index_bytes).div_euclid(step) + 1;
        if length < 1 || count.div_euclid(length) >= MAX_PIECES {
            return OverlapPlan::Through;
        }
        // The pieces advance towards the source, so that a piece is written only after it was read.
        OverlapPlan::Pieces { axis, length, upwards: (shift > 0) == (stride > 0) }
    }
}

/// Whether the elements of each side lie in gaps of the other, as the odd columns of a matrix lie between the even
/// ones.
fn is_interleaved(dst: &Layout, src: &Layout) -> bool {
    let steps = dst.axes().chain(src.axes()).filter(|(length, _)| *length > 1);
    let step = steps.fold(0, |step, (_, stride)| gcd(step, stride.unsigned_abs()));
    are_interleaved((src.offset() - dst.offset()) as isize, step as isize, dst.item() as isize)
}

/// The first step of a copy whose source repeats elements: it copies each distinct element to its first index in the
/// destination. [`BroadcastSplit::doublings`] is the second step: it doubles the copied part along each repeated axis.
pub struct BroadcastSplit {
    /// The first index of each distinct element in the destination.
    pub dst: Layout,
    /// The distinct elements of the source.
    pub src: Layout,
}

impl BroadcastSplit {
    /// None: the source repeats no element.
    pub fn of(dst: &Layout, src: &Layout) -> Result<Option<BroadcastSplit>> {
        if dst.is_empty() || !src.stretched() {
            return Ok(None);
        }
        let mut distinct = BroadcastSplit { dst: dst.try_clone()?, src: src.try_clone()? };
        for axis in repeated(src) {
            distinct.dst.narrow(axis, 0, 1)?;
            distinct.src.narrow(axis, 0, 1)?;
        }
        Ok(Some(distinct))
    }

    /// Visits the copies within the destination that follow, in their order: `visit(to, from)`.
    pub fn doublings(dst: &Layout, src: &Layout, mut visit: impl FnMut(&Layout, &Layout) -> Result<()>) -> Result<()> {
        for (done, axis) in repeated(src).enumerate() {
            let count = dst.shape()[axis];
            let mut filled = 1;
            while filled < count {
                let more = filled.min(count - filled);
                let (mut to, mut from) = (dst.part(axis, filled, more)?, dst.part(axis, 0, more)?);
                for later in repeated(src).skip(done + 1) {
                    to.narrow(later, 0, 1)?;
                    from.narrow(later, 0, 1)?;
                }
                visit(&to, &from)?;
                filled += more;
            }
        }
        Ok(())
    }
}

/// The axes along which a layout repeats its elements.
fn repeated(layout: &Layout) -> impl Iterator<Item = usize> + '_ {
    layout.axes().enumerate().filter(|(_, (length, stride))| *length > 1 && *stride == 0).map(|(axis, _)| axis)
}

/// Cuts two layouts along the outermost axes of the first one: `visit(piece, other_piece)`.
///
/// A piece has at most `max_bytes` bytes, but at least one element. Repeated elements count once. The pieces follow the
/// memory of the first layout.
pub fn pieces(
    layout: &Layout,
    other: &Layout,
    max_bytes: i64,
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
    if bytes <= max_bytes {
        return visit(layout, other);
    }
    for (start, length) in crate::layout::pieces(count, (max_bytes / (bytes / count)).max(1)) {
        let (piece, other_piece) = (layout.part(axis, start, length)?, other.part(axis, start, length)?);
        pieces(&piece, &other_piece, max_bytes, visit)?;
    }
    Ok(())
}

/// The layout of a temporary of [`packed_bytes`] at address `at` for the elements of `of`. They are dense and in the
/// order of their memory; a repeated element is stored once. The shape and the direction of each axis are those of
/// `of`, so that boxes fit both.
pub fn packed(of: &Layout, at: i64) -> Result<Layout> {
    let mut distinct = of.try_clone()?;
    for axis in repeated(of) {
        distinct.narrow(axis, 0, 1)?;
    }
    let dense = distinct.like(Order::K)?;
    let mut strides = [0i64; TN_MAX_NDIM];
    let mut first = at;
    for (axis, (length, stride)) in dense.axes().enumerate() {
        let is_negative = of.strides()[axis] < 0;
        strides[axis] = if is_negative { -stride } else { stride };
        first += if is_negative { (length - 1) * stride } else { 0 };
    }
    for axis in repeated(of) {
        strides[axis] = 0;
    }
    Layout::strided(of.dtype(), of.shape(), &strides[..of.ndim()], first)
}

/// The size of a layout's distinct elements.
pub fn packed_bytes(of: &Layout) -> i64 {
    let distinct = of.axes().filter(|(_, stride)| *stride != 0);
    distinct.fold(of.item(), |bytes, (length, _)| bytes.saturating_mul(length))
}
