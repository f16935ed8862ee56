//! Fills of device and managed memory, by kernels or by the driver's memsets.
//!
//! A driver's memset sets units of 1, 2 or 4 bytes. A value whose bytes repeat after one unit is set by rows. Any other
//! value is cut into units, and so is a value at addresses that are not multiples of its size. One memset sets one unit
//! of all elements: a column of units as far apart as the elements. If that takes too many calls, or the fill is large,
//! one element is set, and the filled part is doubled.
//!
//! Contract: a fill sets every element and no other byte, in the order of the stream. No call waits.

use super::context::{CopyContext, Failed, MemoryView, Outstanding};
use super::kernels;
use super::plan::{BroadcastSplit, CALL_NS, DEVICE_BYTES_PER_NS, Plan, rows_ns};
use crate::device::refuse_dead;
use crate::error::Result;
use crate::gpu::Inside;
use crate::gpu::copy::{self, Block, CopyKind, Strip};
use crate::layout::Layout;
use crate::stream::Stream;
use crate::types::TN_MAX_NDIM;

/// More memsets take longer than doubling.
const MAX_CALLS: u64 = 64;
/// Columns of larger fills take longer than doubling: a column writes a part of every memory sector, doubling writes
/// whole sectors.
const MAX_COLUMN_BYTES: u64 = 1 << 20;

/// Sets every element to `value`, the bytes of one element.
pub fn fill(stream: &'static Stream, dst: &MemoryView, value: &[u8]) -> core::result::Result<Outstanding, Failed> {
    debug_assert!(value.len() as i64 == dst.layout.item());
    let mut context = CopyContext { stream, strict: true, wrote: false };
    // What follows enters again, without a call of the driver.
    let filled = stream.enter().and_then(|_inside| {
        stream.check_legacy()?;
        fill_on(&mut context, dst.layout, value)
    });
    filled.map_err(|status| Failed { status, wrote: context.wrote })
}

fn fill_on(context: &mut CopyContext, dst: &Layout, value: &[u8]) -> Result<Outstanding> {
    let Some(plan) = Plan::copy(dst, dst) else { return Ok(Outstanding::Nothing) };
    let columns = Columns::of(dst, value);
    let large = columns.period > columns.unit && plan.bytes() > MAX_COLUMN_BYTES;
    let calls = plan.calls().saturating_mul(columns.calls(plan.block()));
    let is_set = !large && calls <= MAX_CALLS;
    let driver_ns = if is_set { columns.driver_ns(&plan, calls) } else { doubling_ns(&plan, dst.item()) };
    if let Some(kernels) = kernels::for_fill(context.stream, &plan, value, driver_ns) {
        let wrote = &mut context.wrote;
        kernels.enqueue(context.stream, || *wrote = true)?;
        return Ok(Outstanding::Writing);
    }
    if is_set {
        set(context, &plan, &columns)?;
        return Ok(Outstanding::Writing);
    }
    let mut one = dst.try_clone()?;
    for axis in 0..one.ndim() {
        one.narrow(axis, 0, 1)?;
    }
    if let Some(plan) = Plan::copy(&one, &one) {
        set(context, &plan, &columns)?;
    }
    // The first element as a source that is broadcast to all.
    let repeated = Layout::strided(dst.dtype(), dst.shape(), &[0; TN_MAX_NDIM][..dst.ndim()], dst.offset())?;
    BroadcastSplit::doublings(dst, &repeated, |to, from| context.enqueue(CopyKind::Within, to, from))?;
    Ok(Outstanding::Writing)
}

/// About the time of a fill that doubles the filled part, for elements of `item` bytes.
fn doubling_ns(plan: &Plan, item: i64) -> u64 {
    let doublings = |length: usize| u64::from(length.next_power_of_two().trailing_zeros());
    let along_runs = doublings((plan.block().width / item) as usize);
    let calls = plan.axes().fold(along_runs, |calls, axis| calls + doublings(axis.length));
    (calls * CALL_NS).max(rows_ns(plan.rows()).saturating_add(plan.bytes() / (DEVICE_BYTES_PER_NS / 2)))
}

fn set(context: &mut CopyContext, plan: &Plan, columns: &Columns) -> Result<()> {
    let inside = context.stream.enter()?;
    refuse_dead(plan.block().dst.at as usize)?;
    let (stream, wrote) = (context.stream, &mut context.wrote);
    plan.each(|block| {
        columns.strips(block, &mut |strip| {
            set_strip(&inside, stream, strip)?;
            *wrote = true;
            Ok(())
        })
    })
}

fn set_strip(inside: &Inside, stream: &Stream, strip: Strip) -> Result<()> {
    // SAFETY: the maker of the memory view vouches for its elements until the stream has completed the call. The unit
    // divides all addresses and pitches.
    unsafe { copy::set(inside, stream.raw(), strip) }
}

/// A value as units that a driver can set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Columns {
    /// The size of a unit.
    unit: i64,
    /// The number of bytes after which the value repeats: one unit, or several.
    period: i64,
    value: [u8; 16],
}

impl Columns {
    fn of(dst: &Layout, value: &[u8]) -> Columns {
        let item = value.len();
        let repeats = |period: &usize| value.iter().enumerate().all(|(at, byte)| *byte == value[at % period]);
        let period = [1, 2, 4, 8].into_iter().find(|period| *period < item && repeats(period)).unwrap_or(item);
        let strides = dst.axes().filter(|(length, _)| *length > 1).map(|(_, stride)| stride);
        let ends = strides.fold(dst.offset() | period as i64, |ends, stride| ends | stride);
        let unit = (1i64 << ends.trailing_zeros()).min(4);
        let mut bytes = [0; 16];
        bytes[..item].copy_from_slice(value);
        Columns { unit, period: period as i64, value: bytes }
    }

    /// The number of memsets for a block.
    fn calls(&self, block: &Block) -> u64 {
        let parts = self.period / self.unit;
        // A column has one pitch: rows of one value each, or the values of one row.
        let columns = if parts == 1 || block.width == self.period { 1 } else { block.rows };
        (parts * columns * block.planes) as u64
    }

    /// About the time of `calls` memsets, which are all memsets of a plan.
    fn driver_ns(&self, plan: &Plan, calls: u64) -> u64 {
        // Each unit of a column is a row.
        let rows = if self.period > self.unit { plan.bytes() / self.unit as u64 } else { plan.rows() };
        calls.saturating_mul(CALL_NS).max(rows_ns(rows).saturating_add(plan.bytes() / DEVICE_BYTES_PER_NS))
    }

    /// Visits the memsets of a block's destination.
    fn strips(&self, block: &Block, visit: &mut dyn FnMut(Strip) -> Result<()>) -> Result<()> {
        let Columns { unit, period, .. } = *self;
        for plane in 0..block.planes {
            let at = block.dst.at + plane * block.dst.plane;
            if period == unit {
                let whole = Strip {
                    at,
                    pitch: block.dst.pitch,
                    unit,
                    value: self.part(0),
                    count: block.width / unit,
                    rows: block.rows,
                };
                visit(whole)?;
                continue;
            }
            for part in 0..period / unit {
                let first =
                    Strip { at: at + part * unit, pitch: period, unit, value: self.part(part), count: 1, rows: 1 };
                if block.width == period {
                    visit(Strip { pitch: block.dst.pitch, rows: block.rows, ..first })?;
                    continue;
                }
                for row in 0..block.rows {
                    visit(Strip { at: first.at + row * block.dst.pitch, rows: block.width / period, ..first })?;
                }
            }
        }
        Ok(())
    }

    /// One unit of the value as a little-endian number.
    fn part(&self, part: i64) -> u32 {
        let from = (part * self.unit) as usize;
        let bytes = &self.value[from..from + self.unit as usize];
        bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
    }
}
