//! The entries of `tn_borrow_all`: what C passes, checked in the order of checks.

use super::acquire::{Entry, List};
use crate::borrow::{access, check_states, when};
use crate::error::{Result, fail};
use crate::ledger::{self, Claim, Order};
use crate::slots::Id;
use crate::stream::Stream;
use crate::types::*;

fn id(spec: &tn_borrow_spec) -> Id {
    Id::from_bits(spec.array as u64)
}

/// The entries, and the streams that hold the queues which the entries name. What is wrong with an access is reported once all handles
/// are known to be right.
pub(super) fn entries(specs: &[tn_borrow_spec]) -> Result<(List<Entry>, List<Stream>)> {
    let mut list = List::new();
    ledger::reserve(&mut list, specs.len())?;
    if specs.iter().any(|spec| spec.array.is_null()) {
        return Err(fail(TN_ERR_NULL, format_args!("the array of an entry is NULL")));
    }
    let ids = |i: usize| ledger::ledger_of::<Claim>(id(&specs[i]));
    drop(ledger::lock_all(specs.len(), &ids)?);
    let mut streams: List<Stream> = List::new();
    ledger::reserve(&mut streams, specs.len())?;
    for spec in specs {
        streams.push(Stream::of(spec.stream as u64)?);
    }
    for spec in specs {
        let wanted = access(spec.access)?;
        if spec.reserved != [0; 9] {
            return Err(fail(TN_ERR_INVALID, format_args!("reserved of an entry is not 0; set all its words to 0")));
        }
        let when = Order::HOST.waiting(spec.access & TN_WAIT != 0);
        list.push(Entry { id: id(spec), wanted, when });
    }
    // Only now, because the states of all arrays come before what a stream has to do with one of them.
    if streams.iter().any(|stream| !stream.is_null()) {
        check_states(specs.len(), &|i| list[i].id)?;
        for (entry, stream) in list.iter_mut().zip(&streams) {
            entry.when = when(entry.id, stream, entry.when.wait)?;
        }
    }
    Ok((list, streams))
}
