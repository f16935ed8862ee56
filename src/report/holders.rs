//! Holders in a report: lists of them, found part by part, and one as JSON.
//!
//! Contract: works without memory. Items found under a lock are kept in a small buffer on the stack, or a larger one if
//! the heap has memory, and written under no lock, part by part: the sink may wait.
#![forbid(unsafe_code)]

use super::json::Json;
use crate::borrow::{HolderInfo, Part};
use crate::layout::Form;
use crate::types::*;
use smallvec::SmallVec;

/// Number of holders in the buffer on the stack.
const PART: usize = 32;

/// A callback that receives holders, or other items, as they are found.
pub(super) type Visit<'a, T> = &'a mut dyn FnMut(T);

/// Runs `each`, which may visit under a lock, and writes what it found under no lock. Repeats until all is written,
/// unless there is memory for all at once.
pub(super) fn in_parts<T>(each: &mut dyn FnMut(Visit<'_, T>), write: &mut dyn FnMut(&T)) {
    let mut part: SmallVec<[T; PART]> = SmallVec::new();
    let mut done = 0;
    loop {
        let mut seen = 0;
        part.clear();
        each(&mut |item| {
            if seen >= done && part.len() < part.capacity() {
                part.push(item);
            }
            seen += 1;
        });
        part.iter().for_each(&mut *write);
        done += part.len();
        if part.is_empty() || done >= seen {
            return;
        }
        // Without memory it continues in small parts.
        let _ = part.try_reserve(seen - done);
    }
}

/// Writes one holder as an object.
pub(super) fn write_holder(json: &mut Json<'_>, holder: &HolderInfo) {
    json.open('{');
    json.text("kind", kind(holder.kind));
    json.bits("id", holder.id);
    json.text("name", holder.name.as_str());
    json.text("site", holder.origin.site().name().as_str());
    json.number("thread", holder.origin.thread);
    json.number("time_ns", holder.time_ns);
    json.number("bytes", holder.bytes);
    if holder.of != 0 {
        json.bits("of", holder.of);
    }
    if let Some(part) = &holder.part {
        write_part(json, part);
    }
    if let Some(why) = holder.why {
        write_why(json, why);
    }
    if holder.form != Form::Full {
        json.text("form", holder.form.name());
    }
    if holder.registered > 0 {
        json.number("registered_bytes", holder.registered);
    }
    json.close('}');
}

/// Which part of its store an array has.
fn write_part(json: &mut Json<'_>, part: &Part) {
    json.text("dtype", part.dtype.name());
    if let Some(shape) = part.shape.get(..part.ndim) {
        json.open_field("shape", '[');
        shape.iter().for_each(|length| json.value(*length));
        json.close(']');
    }
    json.number("offset", part.offset);
    json.number("extent_bytes", part.extent);
    if part.readonly {
        json.flag("readonly", true);
    }
}

/// The name of a TN_HOLDER_ constant, in lower case.
fn kind(kind: tn_holder_kind) -> &'static str {
    match kind {
        TN_HOLDER_HANDLE => "handle",
        TN_HOLDER_PROMISE => "promise",
        TN_HOLDER_EXPRESSION => "expression",
        TN_HOLDER_SHARED_VARIABLE => "shared_variable",
        TN_HOLDER_EXPORT_READ => "export_read",
        TN_HOLDER_EXPORT_SHARED => "export_shared",
        TN_HOLDER_EXPORT_EXCLUSIVE => "export_exclusive",
        TN_HOLDER_GUARD_READ => "guard_read",
        TN_HOLDER_GUARD_WRITE => "guard_write",
        TN_HOLDER_BLOCK => "block",
        TN_HOLDER_POOL => "pool",
        TN_HOLDER_STREAM => "stream",
        TN_HOLDER_EVENT => "event",
        TN_HOLDER_SCOPE => "scope",
        TN_HOLDER_WEAK => "weak",
        TN_HOLDER_FUNCTION => "function",
        TN_HOLDER_MIRROR => "mirror",
        TN_HOLDER_QUEUED_RELEASE => "queued_release",
        TN_HOLDER_MODULE => "module",
        _ => "unknown",
    }
}

/// The names of the TN_WHY_ bits, in lower case.
const WHY: [&str; 12] = [
    "given",
    "shared",
    "in_expression",
    "exported",
    "borrowed",
    "readonly",
    "foreign",
    "poisoned",
    "layout",
    "device",
    "waste",
    "not_aliasable",
];

/// A list of the reasons of TN_WHY_ bits.
pub(super) fn write_why(json: &mut Json<'_>, why: u32) {
    json.open_field("why", '[');
    let names = WHY.iter().enumerate().filter(|(bit, _)| why & (1 << bit) != 0);
    names.for_each(|(_, name)| json.item(name));
    json.close(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_written_once_each_and_in_order() {
        let holder = |id| HolderInfo { id, ..HolderInfo::NONE };
        let mut seen = Vec::new();
        in_parts(&mut |visit| (0..1000).for_each(|id| visit(holder(id))), &mut |holder| seen.push(holder.id));
        assert_eq!(seen, (0..1000).collect::<Vec<_>>());
    }
}
