//! Small raw blocks of the calling thread's own heap that change their size: what nearly every `realloc` of a program is.
//!
//! Contract: as `blocks`: no lock, no system call. A block that keeps its class stays where it is; of another one it is said how much of it
//! is to be copied. Neither counts as a reallocation: the first is no call of the pool's, the second is an allocation and a free.

use crate::pool::cell::{Block, State};
use crate::pool::{class, table};
use crate::thread::{self, Visit};

/// What becomes of the block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resized {
    /// It has the new size.
    Done,
    /// It must move, and is as it was.
    Moves {
        /// Bytes that may be in use.
        usable: usize,
        /// Alignment that was asked for.
        alignment: usize,
    },
}

/// Changes the size of a raw block, where it is. None, and nothing is changed: it is no small one of the calling thread's own.
#[inline]
pub fn resize_quickly(address: usize, bytes: usize) -> Option<Resized> {
    let (thread, span) = (thread::known()?, table::get(address)?);
    let _inside = Visit::begin(thread)?;
    let heap = span.heap().filter(|heap| heap.is_of(thread))?;
    let index = span.index_at(address.wrapping_sub(span.start.get()))?;
    let block = span.block(index);
    if block.state != State::Raw {
        return None;
    }
    let unit = span.unit.get();
    if class::fitting(bytes, block.alignment) != Some(span.class.get()) {
        return Some(Resized::Moves { usable: unit, alignment: block.alignment });
    }
    span.begin_block(index, unit, Block { requested: bytes, ..block });
    heap.count_resized(bytes, block);
    Some(Resized::Done)
}
