//! Lists with a capacity that is reserved first, or TN_ERR_NO_HOST_MEMORY.
#![forbid(unsafe_code)]

use crate::error::{Result, fail};
use crate::types::*;
use smallvec::{Array, SmallVec};

/// Reserves a capacity of `more` further entries.
#[inline]
pub fn reserve<A: Array>(list: &mut SmallVec<A>, more: usize) -> Result<()> {
    if list.capacity() - list.len() >= more { Ok(()) } else { reserve_slow(list, more) }
}

#[cold]
fn reserve_slow<A: Array>(list: &mut SmallVec<A>, more: usize) -> Result<()> {
    list.try_reserve(more)
        .map_err(|_| fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for {more} entries of bookkeeping")))
}

/// An empty list with a capacity of `n`.
#[inline]
pub fn list<A: Array>(n: usize) -> Result<SmallVec<A>> {
    let mut list = SmallVec::new();
    reserve(&mut list, n)?;
    Ok(list)
}

/// An empty vector with a capacity of `n`. A message calls its entries `entries`.
pub fn vector<T>(n: usize, entries: &str) -> Result<Vec<T>> {
    let mut vector = Vec::new();
    match vector.try_reserve_exact(n) {
        Ok(()) => Ok(vector),
        Err(_) => Err(fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for a list of {n} {entries}"))),
    }
}
