//! Copies and fills as launches of the kernels in strided.cu.
//!
//! A kernel moves units of 1, 2, 4, 8 or 16 bytes: the widest to which all addresses, strides and runs are aligned. So
//! a run of bytes takes few wide units, and an element at an odd address takes several narrow ones. A thread computes
//! the addresses of its units from their index by multiplications, since a division would take longer than the copy.
//! The tiled kernel is for transpositions, where no order of the units is good for both sides: a block of threads reads
//! a tile in the order of the source and writes it in that of the destination.
//!
//! Contract: pure arithmetic on addresses, as `plan`. Launches of one copy may run in any order, since its two sides
//! share no byte.
#![forbid(unsafe_code)]

use crate::device_copy::plan::Plan;
use crate::layout::loops::Axis;
use crate::types::TN_MAX_NDIM;
use arrayvec::ArrayVec;

/// The largest number of units of a launch: an index that the kernels can divide has 31 bits.
pub const MAX_UNITS: u64 = i32::MAX as u64;
/// Axes of a launch; as many as [`MAX_UNITS`] units can have, and more.
const MAX_AXES: usize = 32;
/// The axes of a plan, and one more if a run has several units.
const MAX_PLAN_AXES: usize = TN_MAX_NDIM + 1;
/// Threads of a block.
pub const THREADS: u32 = 256;
/// Units that a block copies or fills, without tiles.
const BLOCK_UNITS: u64 = THREADS as u64 * 4;
/// The side of a tile.
const TILE_UNITS: u64 = 32;
/// Along a shorter axis, tiles would be nearly empty.
const MIN_TILED_UNITS: usize = 16;
/// The bytes that a GPU reads or writes at least.
const SECTOR_BYTES: u64 = 32;
/// The widest unit.
const MAX_UNIT_BYTES: u64 = 16;

/// What a kernel does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Copies, in the order of the destination.
    Copy,
    /// Sets units to a value.
    Fill,
    /// Copies by tiles.
    Transpose,
}

/// A kernel of strided.cu.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kernel {
    /// What it does.
    pub operation: Operation,
    /// The bytes of a unit: 1, 2, 4, 8 or 16.
    pub unit_bytes: u64,
}

/// The names of the kernels, at their [`Kernel::index`].
pub const NAMES: [&core::ffi::CStr; 15] = [
    c"tenure_copy_1",
    c"tenure_copy_2",
    c"tenure_copy_4",
    c"tenure_copy_8",
    c"tenure_copy_16",
    c"tenure_fill_1",
    c"tenure_fill_2",
    c"tenure_fill_4",
    c"tenure_fill_8",
    c"tenure_fill_16",
    c"tenure_transpose_1",
    c"tenure_transpose_2",
    c"tenure_transpose_4",
    c"tenure_transpose_8",
    c"tenure_transpose_16",
];

impl Kernel {
    /// The position in [`NAMES`].
    pub fn index(self) -> usize {
        self.operation as usize * 5 + self.unit_bytes.trailing_zeros() as usize
    }
}

/// Division of an index below 2^31, as a multiplication and a shift: `((index * multiplier >> 32) + index) >> shift`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Divider {
    /// The divisor, from 1 to 2^31 - 1.
    pub divisor: u32,
    /// The smallest number above `2^(32 + shift) / divisor`, without its highest bit, which is 2^32.
    pub multiplier: u32,
    /// The number of bits of `divisor - 1`.
    pub shift: u32,
}

impl Divider {
    fn new(divisor: u64) -> Divider {
        debug_assert!((1..=MAX_UNITS).contains(&divisor));
        let shift = 64 - (divisor - 1).leading_zeros();
        let multiplier = ((1u64 << 32) * ((1u64 << shift) - divisor)) / divisor + 1;
        Divider { divisor: divisor as u32, multiplier: multiplier as u32, shift }
    }

    /// The quotient, as kernels compute it.
    pub fn quotient(self, index: u32) -> u32 {
        let high = ((u64::from(index) * u64::from(self.multiplier)) >> 32) as u32;
        (high + index) >> self.shift
    }
}

/// One loop of a launch.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct LaunchAxis {
    /// Bytes per step in the destination.
    pub dst: i64,
    /// Bytes per step in the source; 0 in a fill.
    pub src: i64,
    /// The number of steps.
    pub length: Divider,
    reserved: u32,
}

/// The parameter of a kernel, with the layout of `Launch` in strided.cu.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Launch {
    /// The address of the first unit of the destination.
    pub dst: u64,
    /// The address of the first unit of the source; 0 in a fill.
    pub src: u64,
    /// The value of a fill, repeated.
    pub value: [u8; 16],
    /// The number of units.
    pub units: u32,
    /// The number of axes, at least 1.
    pub n_axes: u32,
    /// The number of units after which the value of a fill repeats, minus 1.
    pub value_mask: u32,
    reserved: u32,
    /// The numbers of tiles along the first two axes of a transposition.
    pub tiles: [Divider; 2],
    /// Innermost first.
    pub axes: [LaunchAxis; MAX_AXES],
}

const _: () = assert!(size_of::<LaunchAxis>() == 32 && size_of::<Launch>() == 1096);

/// A launch: kernel, number of blocks, and parameter.
#[derive(Clone, Copy, Debug)]
pub struct LaunchCall<'a> {
    /// The kernel.
    pub kernel: Kernel,
    /// The number of blocks of [`THREADS`] threads.
    pub blocks: u32,
    /// The parameter.
    pub launch: &'a Launch,
}

/// A copy or fill that kernels do.
#[derive(Clone, Debug)]
pub struct KernelPlan {
    kernel: Kernel,
    dst: i64,
    src: i64,
    value: [u8; 16],
    value_mask: u32,
    /// Innermost first; at least one.
    axes: ArrayVec<Axis, MAX_PLAN_AXES>,
}

impl KernelPlan {
    /// Plans the copy of a plan.
    pub fn copy(plan: &Plan) -> KernelPlan {
        let mut kernels = KernelPlan::of(plan, |axis| axis);
        kernels.src = plan.block().src.at;
        if kernels.pair_transposed() {
            kernels.kernel.operation = Operation::Transpose;
        }
        kernels
    }

    /// Plans a fill of the destination of a plan, whose two sides are equal. `value`: the bytes of one element.
    pub fn fill(plan: &Plan, value: &[u8]) -> KernelPlan {
        let mut kernels = KernelPlan::of(plan, |axis| Axis { src: 0, ..axis });
        kernels.kernel.operation = Operation::Fill;
        kernels.value = core::array::from_fn(|at| value[at % value.len()]);
        kernels.value_mask = (value.len() as u64 / kernels.kernel.unit_bytes).max(1) as u32 - 1;
        kernels
    }

    /// The axes of a plan in units as wide as possible.
    fn of(plan: &Plan, side: impl Fn(Axis) -> Axis) -> KernelPlan {
        let block = plan.block();
        let mut axes: ArrayVec<Axis, MAX_PLAN_AXES> = plan.axes().collect();
        let ends = axes
            .iter()
            .fold(block.dst.at | block.src.at | block.width, |ends, axis| ends | axis.dst as i64 | axis.src as i64);
        let unit_bytes = (1u64 << ends.trailing_zeros().min(63)).min(MAX_UNIT_BYTES);
        // The axes of an overwritten destination have distinct strides, and few axes are out of order.
        axes.sort_unstable_by_key(|axis| axis.dst);
        let run = block.width as usize / unit_bytes as usize;
        if run > 1 || axes.is_empty() {
            axes.insert(0, Axis { length: run, dst: unit_bytes as isize, src: unit_bytes as isize });
        }
        axes.iter_mut().for_each(|axis| *axis = side(*axis));
        let kernel = Kernel { operation: Operation::Copy, unit_bytes };
        KernelPlan { kernel, dst: block.dst.at, src: 0, value: [0; 16], value_mask: 0, axes }
    }

    /// Moves the axis along which the units of the source are closest behind the first one, if that makes a
    /// transposition worth its tiles.
    fn pair_transposed(&mut self) -> bool {
        let axes = &mut self.axes[..];
        let distance = |axis: &Axis| axis.src.unsigned_abs() as u64;
        let Some(best) = (1..axes.len()).filter(|&at| axes[at].src != 0).min_by_key(|&at| distance(&axes[at])) else {
            return false;
        };
        let is_worth = distance(&axes[best]) < distance(&axes[0]) && distance(&axes[0]) >= SECTOR_BYTES;
        if !is_worth || axes[0].length < MIN_TILED_UNITS || axes[best].length < MIN_TILED_UNITS {
            return false;
        }
        axes[1..=best].rotate_right(1);
        true
    }

    /// The kernel.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// The number of units.
    pub fn units(&self) -> u64 {
        self.axes.iter().fold(1, |units: u64, axis| units.saturating_mul(axis.length as u64))
    }

    /// Moves the two sides: for memory that kernels see at another address than the host.
    pub fn shift(&mut self, dst: i64, src: i64) {
        (self.dst, self.src) = (self.dst.wrapping_add(dst), self.src.wrapping_add(src));
    }

    /// About the bytes of destination and source that the GPU moves, with those between units that lie close together.
    pub fn moved_bytes(&self) -> (u64, u64) {
        let per_unit = |distance: isize| (distance.unsigned_abs() as u64).clamp(self.kernel.unit_bytes, SECTOR_BYTES);
        let src = match self.kernel.operation {
            Operation::Fill => 0,
            Operation::Copy if self.axes[0].src == 0 => 1,
            Operation::Copy => per_unit(self.axes[0].src),
            Operation::Transpose => per_unit(self.axes[1].src),
        };
        let units = self.units();
        (units.saturating_mul(per_unit(self.axes[0].dst)), units.saturating_mul(src))
    }

    /// The number of launches.
    pub fn launches(&self) -> u64 {
        let (inside, cut) = self.cut(MAX_UNITS);
        let whole = |axes: &[Axis]| axes.iter().fold(1, |count: u64, axis| count.saturating_mul(axis.length as u64));
        let pieces = cut.map_or(1, |indices| (self.axes[inside].length as u64).div_ceil(indices));
        whole(&self.axes[inside + usize::from(cut.is_some())..]).saturating_mul(pieces)
    }

    /// Visits every launch of at most `max_units` units, at least 16. Stops at the first failure.
    pub fn each<E>(
        &self,
        max_units: u64,
        mut visit: impl FnMut(LaunchCall) -> core::result::Result<(), E>,
    ) -> core::result::Result<(), E> {
        let (inside, cut) = self.cut(max_units);
        // The axes that a loop runs over, and in how many indices at a time.
        let mut outer: ArrayVec<(Axis, usize), MAX_PLAN_AXES> = ArrayVec::new();
        outer.extend(self.axes[inside..].iter().map(|axis| (*axis, 1)));
        if let (Some(indices), Some(first)) = (cut, outer.first_mut()) {
            first.1 = indices as usize;
        }
        let mut index = [0usize; MAX_PLAN_AXES];
        loop {
            self.visit_one(inside, &outer, &index, cut.is_some(), &mut visit)?;
            let mut at = 0;
            loop {
                let Some((axis, step)) = outer.get(at) else { return Ok(()) };
                index[at] += step;
                if index[at] < axis.length {
                    break;
                }
                index[at] = 0;
                at += 1;
            }
        }
    }

    /// The number of axes that are in each launch as a whole, and the indices of the next one in each launch; None: it
    /// is not cut.
    fn cut(&self, max_units: u64) -> (usize, Option<u64>) {
        let mut units = 1;
        for (at, axis) in self.axes.iter().enumerate() {
            let length = axis.length as u64;
            if units * length > max_units {
                let indices = max_units / units;
                // The value of a fill begins anew in each launch.
                let period = if at == 0 { u64::from(self.value_mask) + 1 } else { 1 };
                return (at, (indices > 1 || at == 0).then_some((indices / period * period).max(period)));
            }
            units *= length;
        }
        (self.axes.len(), None)
    }

    fn visit_one<E>(
        &self,
        inside: usize,
        outer: &[(Axis, usize)],
        index: &[usize],
        is_cut: bool,
        visit: &mut impl FnMut(LaunchCall) -> core::result::Result<(), E>,
    ) -> core::result::Result<(), E> {
        let mut launch = Launch {
            dst: self.dst as u64,
            src: self.src as u64,
            value: self.value,
            units: 0,
            n_axes: 0,
            value_mask: self.value_mask,
            reserved: 0,
            tiles: [Divider::default(); 2],
            axes: [LaunchAxis::default(); MAX_AXES],
        };
        for ((axis, _), index) in outer.iter().zip(index) {
            let (dst, src) = axis.offsets(*index);
            launch.dst = launch.dst.wrapping_add_signed(dst as i64);
            launch.src = launch.src.wrapping_add_signed(src as i64);
        }
        let part = outer
            .first()
            .filter(|_| is_cut)
            .map(|(axis, step)| Axis { length: (*step).min(axis.length - index[0]), ..*axis });
        let mut units = 1;
        for (to, axis) in launch.axes.iter_mut().zip(self.axes[..inside].iter().chain(&part)) {
            units *= axis.length as u64;
            let length = Divider::new(axis.length as u64);
            *to = LaunchAxis { dst: axis.dst as i64, src: axis.src as i64, length, reserved: 0 };
            launch.n_axes += 1;
        }
        launch.units = units as u32;
        let mut kernel = self.kernel;
        let blocks = if kernel.operation == Operation::Transpose && launch.n_axes >= 2 {
            let sides = [0, 1].map(|at| u64::from(launch.axes[at].length.divisor));
            let tiles = sides.map(|side| side.div_ceil(TILE_UNITS));
            launch.tiles = tiles.map(Divider::new);
            units / (sides[0] * sides[1]) * tiles[0] * tiles[1]
        } else {
            if kernel.operation == Operation::Transpose {
                kernel.operation = Operation::Copy;
            }
            units.div_ceil(BLOCK_UNITS)
        };
        visit(LaunchCall { kernel, blocks: blocks as u32, launch: &launch })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_divider_divides_every_index() {
        let mut random = 1u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as u32
        };
        let edges = [1, 2, 3, 5, 7, 31, 32, 33, 641, 65_535, 65_536, 65_537, 1 << 30, (1 << 30) + 1, i32::MAX as u32];
        for round in 0..20_000 {
            let divisor = *edges.get(round).unwrap_or(&((next() >> (next() % 31)).max(1)));
            let divider = Divider::new(u64::from(divisor));
            let multiple = divisor * (i32::MAX as u32 / divisor);
            for index in [0, 1, divisor - 1, divisor, multiple - 1, multiple, i32::MAX as u32, next()] {
                assert_eq!(divider.quotient(index), index / divisor, "{index} / {divisor}");
            }
        }
    }
}
