//! Use over time, from the event log in memory.
//!
//! Contract: needs no memory but its stack. The log is divided into [`BINS`] times of equal length, each with the bytes
//! in use at its end. Bytes from before the log are not known, so the least use is taken as none.
#![forbid(unsafe_code)]

use super::json::Json;
use crate::events::{self, Kind, View};

/// Points of the timeline, as a page is wide.
const BINS: usize = 600;

/// The kinds, with their names.
const KINDS: [(Kind, &str); 11] = [
    (Kind::Allocate, "allocate"),
    (Kind::Free, "free"),
    (Kind::Reallocate, "reallocate"),
    (Kind::Borrow, "borrow"),
    (Kind::Give, "give"),
    (Kind::Take, "take"),
    (Kind::Copy, "copy"),
    (Kind::Transfer, "transfer"),
    (Kind::Import, "import"),
    (Kind::Export, "export"),
    (Kind::Name, "name"),
];

struct Timeline {
    /// The change of the bytes in use, by bin.
    changes: [i64; BINS],
    /// Events by [`KINDS`].
    counts: [u64; KINDS.len()],
    missing: u64,
    ns: u64,
}

impl Timeline {
    fn of(log: &View) -> Timeline {
        let (start, later, ns) = log.clock();
        let ticks = later.wrapping_sub(start).max(1);
        let bin = |at: u64| {
            let passed = at.wrapping_sub(start).min(ticks - 1);
            (u128::from(passed) * BINS as u128 / u128::from(ticks)) as usize
        };
        let mut line = Timeline { changes: [0; BINS], counts: [0; KINDS.len()], missing: log.missing(), ns };
        log.each(|kind, slot| {
            let Some(index) = KINDS.iter().position(|(known, _)| *known as u8 == kind) else { return };
            line.counts[index] += 1;
            let bytes = slot[4] as i64;
            line.changes[bin(slot[0])] += match KINDS[index].0 {
                Kind::Allocate => bytes,
                Kind::Free => -bytes,
                Kind::Reallocate => bytes - slot[7] as i64,
                _ => 0,
            };
        });
        line
    }
}

/// Writes the field, if there is a log in memory.
pub(super) fn write_timeline(json: &mut Json<'_>) {
    let Some(line) = events::view(Timeline::of) else { return };
    json.open_field("timeline", '{');
    json.number("events", line.counts.iter().sum::<u64>());
    json.number("dropped", line.missing);
    json.open_field("kinds", '{');
    for ((_, name), count) in KINDS.iter().zip(line.counts) {
        json.number(name, count);
    }
    json.close('}');
    let sums = || {
        line.changes.iter().scan(0, |sum, change| {
            *sum += change;
            Some(*sum)
        })
    };
    let least = sums().min().unwrap_or(0).min(0);
    json.open_field("points", '[');
    for (at, sum) in sums().enumerate() {
        json.open('[');
        json.seconds(line.ns / BINS as u64 * (at as u64 + 1));
        json.value(sum - least);
        json.close(']');
    }
    json.close(']');
    json.close('}');
}
