//! Borrows of several arrays at once: checks the entries of `tn_borrow_all` in the order of checks, then opens all
//! guards or none.

use super::acquire::acquire;
use super::context::{BorrowContext, Entry, List};
use crate::borrow::{access, check_states, when};
use crate::error::{Result, fail};
use crate::ledger::{self, Claim, GuardList, InternalGuard, UseTime};
use crate::lists;
use crate::slots::Id;
use crate::stream::StreamArg;
use crate::thread;
use crate::types::*;

/// Opens guards on several arrays, all or none, with one handle for all. `visit(i, guard)` is called for each.
pub fn all(
    call: BorrowContext<'_>,
    specs: &[tn_borrow_spec],
    mut visit: impl FnMut(usize, &InternalGuard),
) -> Result<Id> {
    let (entries, _streams) = entries(specs)?;
    let thread = thread::current();
    let mut head = GuardList::take(thread)?;
    let guards = if entries.is_empty() { List::new() } else { acquire(call, &entries)? };
    for (position, guard) in guards.into_iter().enumerate() {
        visit(position, &guard);
        let guard = guard.into_guard();
        head.push(&mut guard.lock(), guard, entries[position].when.stream.is_some());
    }
    Ok(head.publish(ledger::Origin::by(thread)))
}

fn id(spec: &tn_borrow_spec) -> Id {
    Id::from_bits(spec.array as u64)
}

/// The checked entries, and the references that keep their streams alive. An invalid access is reported only after all
/// handles were found valid.
fn entries(specs: &[tn_borrow_spec]) -> Result<(List<Entry>, List<StreamArg>)> {
    let mut list = List::new();
    lists::reserve(&mut list, specs.len())?;
    if specs.iter().any(|spec| spec.array.is_null()) {
        return Err(fail(TN_ERR_NULL, format_args!("the array of an entry is NULL")));
    }
    let ids = |i: usize| ledger::ledger_of::<Claim>(id(&specs[i]));
    drop(ledger::lock_all(specs.len(), &ids)?);
    let mut streams: List<StreamArg> = List::new();
    lists::reserve(&mut streams, specs.len())?;
    for spec in specs {
        streams.push(StreamArg::of(spec.stream as u64)?);
    }
    for spec in specs {
        let wanted = access(spec.access)?;
        if spec.reserved != [0; 9] {
            return Err(fail(TN_ERR_INVALID, format_args!("reserved of an entry is not 0; set all its words to 0")));
        }
        let when = UseTime::HOST.waiting(spec.access & TN_WAIT != 0);
        list.push(Entry::new(id(spec), wanted, when));
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
