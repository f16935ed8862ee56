//! The kernels that the library Tenure loads for strided copies and fills, as host functions
//! (src/device_copy/kernels/strided.cu).
//!
//! A kernel runs here as on a device: block by block and thread by thread, in an order drawn from the seed. Each access
//! is checked: the memory must exist, the device must reach it, and the address must be a multiple of the unit. The
//! parameter is read as the device reads it, with its divisions by multiplication.

use crate::base::random::Random;
use crate::base::status::*;
use crate::base::types::{Address, Handle};
use crate::state::machine::Machine;
use crate::state::module::{Launch, Operation, Own};

/// Bytes of the parameter.
pub const PARAMETER_BYTES: usize = 1096;
/// Threads of a block, and the units that each of them moves.
const THREADS: u32 = 256;
const UNITS_PER_THREAD: u32 = 4;
const TILE: u32 = 32;
const MAX_AXES: usize = 32;
const UNIT_BYTES: [u64; 5] = [1, 2, 4, 8, 16];

/// The kernel with this name.
pub fn find(name: &str) -> Option<Own> {
    let (operation, bytes) = name.strip_prefix("tenure_")?.split_once('_')?;
    let operation = match operation {
        "copy" => Operation::Copy,
        "fill" => Operation::Fill,
        "transpose" => Operation::Transpose,
        _ => return None,
    };
    let unit_bytes = UNIT_BYTES.into_iter().find(|unit| unit.to_string() == bytes)?;
    Some(Own { operation, unit_bytes })
}

#[derive(Clone, Copy)]
struct Divider {
    divisor: u32,
    multiplier: u32,
    shift: u32,
}

impl Divider {
    fn quotient(self, index: u32) -> u32 {
        let high = ((u64::from(index) * u64::from(self.multiplier)) >> 32) as u32;
        high.wrapping_add(index).wrapping_shr(self.shift)
    }
}

struct Axis {
    dst: i64,
    src: i64,
    length: Divider,
}

/// The parameter of a kernel.
struct Parameter {
    dst: Address,
    src: Address,
    value: [u8; 16],
    units: u32,
    value_mask: u32,
    tiles: [Divider; 2],
    axes: Vec<Axis>,
}

/// Reads numbers one after the other.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> Answer<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk().ok_or(INVALID_VALUE)?;
        self.0 = rest;
        Ok(*first)
    }

    fn u32(&mut self) -> Answer<u32> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    fn u64(&mut self) -> Answer<u64> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    fn divider(&mut self) -> Answer<Divider> {
        Ok(Divider { divisor: self.u32()?, multiplier: self.u32()?, shift: self.u32()? })
    }
}

impl Parameter {
    fn read(bytes: &[u8]) -> Answer<Parameter> {
        let mut from = Reader(bytes);
        let (dst, src, value) = (from.u64()?, from.u64()?, from.bytes()?);
        let (units, n_axes, value_mask, _) = (from.u32()?, from.u32()?, from.u32()?, from.u32()?);
        let tiles = [from.divider()?, from.divider()?];
        let mut axes = Vec::new();
        for _ in 0..(n_axes as usize).min(MAX_AXES) {
            let (dst, src, length) = (from.u64()? as i64, from.u64()? as i64, from.divider()?);
            axes.push(Axis { dst, src, length });
            from.u32()?;
        }
        Ok(Parameter { dst, src, value, units, value_mask, tiles, axes })
    }

    /// The offsets of both sides after some steps along an axis.
    fn steps(&self, axis: usize, steps: u32, (dst, src): (i64, i64)) -> (i64, i64) {
        let Axis { dst: to, src: from, .. } = self.axes[axis];
        let steps = i64::from(steps);
        (dst.wrapping_add(to.wrapping_mul(steps)), src.wrapping_add(from.wrapping_mul(steps)))
    }

    /// The offsets of both sides of the unit `index`, along the axes from `first` on.
    fn offsets(&self, first: usize, mut index: u32) -> (i64, i64) {
        let mut offsets = (0, 0);
        for at in first..self.axes.len() {
            let length = self.axes[at].length;
            let outer = length.quotient(index);
            offsets = self.steps(at, index.wrapping_sub(outer.wrapping_mul(length.divisor)), offsets);
            index = outer;
        }
        offsets
    }
}

/// The numbers below `count`, a power of two, in a random order.
fn order(random: &mut Random, count: u32) -> impl Iterator<Item = u32> + use<> {
    let (first, step) = (random.next() as u32, random.next() as u32 | 1);
    (0..count).map(move |n| first.wrapping_add(n.wrapping_mul(step)) % count)
}

/// One side of a copy, as a device accesses it.
struct Side {
    first: Address,
    unit: u64,
    /// Where the bytes at `first` are, if the whole side lies in one region.
    bytes: Option<*mut u8>,
}

impl Side {
    fn new(
        machine: &Machine,
        context: Handle,
        first: Address,
        unit: u64,
        strides: impl Iterator<Item = (i64, u32)>,
    ) -> Side {
        let (mut low, mut high) = (0i64, unit as i64);
        for (stride, length) in strides {
            let reach = stride.saturating_mul(i64::from(length) - 1);
            (low, high) = (low.saturating_add(reach.min(0)), high.saturating_add(reach.max(0)));
        }
        let start = first.wrapping_add_signed(low);
        let whole = machine.resolve_directly(context, start, high.saturating_sub(low) as u64);
        Side { first, unit, bytes: whole.ok().map(|bytes| bytes.wrapping_offset(low.wrapping_neg() as isize)) }
    }

    /// Where the unit at an offset is.
    fn at(&self, machine: &Machine, context: Handle, offset: i64) -> Answer<*mut u8> {
        let address = self.first.wrapping_add_signed(offset);
        if !address.is_multiple_of(self.unit) {
            return Err(MISALIGNED_ADDRESS);
        }
        match self.bytes {
            Some(bytes) => Ok(bytes.wrapping_offset(offset as isize)),
            None => machine.resolve_directly(context, address, self.unit),
        }
    }
}

/// Runs a kernel in a context, with the bytes of its parameter.
pub fn run(machine: &mut Machine, context: Handle, launch: &Launch, kernel: Own, parameter: &[u8]) -> Answer {
    let Own { operation, unit_bytes: unit } = kernel;
    let parameter = Parameter::read(parameter)?;
    if parameter.axes.len() < if operation == Operation::Transpose { 2 } else { 1 } {
        return Err(ILLEGAL_ADDRESS);
    }
    let mut random = Random::new(machine.random.next());
    let machine = &*machine;
    let strides = |side: fn(&Axis) -> i64| parameter.axes.iter().map(move |axis| (side(axis), axis.length.divisor));
    let dst = Side::new(machine, context, parameter.dst, unit, strides(|axis| axis.dst));
    let src = match operation {
        Operation::Fill => Side { first: 0, unit: 1, bytes: None },
        _ => Side::new(machine, context, parameter.src, unit, strides(|axis| axis.src)),
    };
    let load = |offset: i64| -> Answer<[u8; 16]> {
        let from = src.at(machine, context, offset)?;
        let mut bytes = [0; 16];
        // SAFETY: the unit was checked.
        unsafe { std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), unit as usize) };
        Ok(bytes)
    };
    let store = |offset: i64, bytes: &[u8]| -> Answer {
        let to = dst.at(machine, context, offset)?;
        // SAFETY: the unit was checked.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, unit as usize) };
        Ok(())
    };
    for block in order(&mut random, launch.grid[0].next_power_of_two()).filter(|block| *block < launch.grid[0]) {
        if operation == Operation::Transpose {
            transpose(&parameter, block, &mut random, &load, &store)?;
            continue;
        }
        let first = block.wrapping_mul(THREADS * UNITS_PER_THREAD);
        for thread in order(&mut random, THREADS) {
            for n in 0..UNITS_PER_THREAD {
                let index = first + thread + n * THREADS;
                if index >= parameter.units {
                    continue;
                }
                let (to, from) = parameter.offsets(0, index);
                let value = if operation == Operation::Fill {
                    let at = u64::from(index & parameter.value_mask) * unit;
                    let mut bytes = [0; 16];
                    let part = parameter.value.get(at as usize..(at + unit) as usize).ok_or(ILLEGAL_ADDRESS)?;
                    bytes[..part.len()].copy_from_slice(part);
                    bytes
                } else {
                    load(from)?
                };
                store(to, &value)?;
            }
        }
    }
    Ok(())
}

/// Moves one tile: all threads load before one stores.
fn transpose(
    parameter: &Parameter,
    block: u32,
    random: &mut Random,
    load: &dyn Fn(i64) -> Answer<[u8; 16]>,
    store: &dyn Fn(i64, &[u8]) -> Answer,
) -> Answer {
    let [along_first, along_second] = parameter.tiles;
    let rest = along_first.quotient(block);
    let outer = along_second.quotient(rest);
    let first = [
        block.wrapping_sub(rest.wrapping_mul(along_first.divisor)).wrapping_mul(TILE),
        rest.wrapping_sub(outer.wrapping_mul(along_second.divisor)).wrapping_mul(TILE),
    ];
    let others = parameter.offsets(2, outer);
    let lengths = [0, 1].map(|axis| parameter.axes[axis].length.divisor);
    let mut tile = [[0; 16]; (TILE * TILE) as usize];
    for stores in [false, true] {
        for at in order(random, TILE * TILE) {
            let index = [first[0] + at % TILE, first[1] + at / TILE];
            if index[0] >= lengths[0] || index[1] >= lengths[1] {
                continue;
            }
            let (to, from) = parameter.steps(1, index[1], parameter.steps(0, index[0], others));
            if stores {
                store(to, &tile[at as usize])?;
            } else {
                tile[at as usize] = load(from)?;
            }
        }
    }
    Ok(())
}
