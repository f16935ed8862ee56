//! Instructions per allocation with its free, counted by valgrind's callgrind: exact, also on a busy machine.
//!
//! Promise: the difference of two runs of different lengths, so process start does not count. The caller's loop and its
//! check of the status count; they are equal for all allocators that one program measures.

use super::figures::Figures;
use super::peers::Peer;
use super::pool::program;
use std::path::Path;
use std::process::Command;
use xtask::tools::{Done, command, has};

/// The case, its name in the tables, and the blocks per turn.
const CASES: &[(&str, &str, f64)] = &[
    ("alloc.lone_64", "instructions.lone_64", 1.0),
    ("alloc.batch_64", "instructions.batch_64", 100.0),
    ("alloc.batch_mixed", "instructions.batch_mixed", 100.0),
];

/// Blocks of the short run and of the long run.
const LENGTHS: (f64, f64) = (10_000.0, 60_000.0);

/// Why nothing can be counted here, or None.
pub fn missing() -> Option<String> {
    (!has("valgrind")).then(|| "valgrind is not installed; on Debian: apt-get install valgrind".to_owned())
}

/// Adds the counts to this allocator's figures.
pub fn count(peer: &Peer, figures: &mut Figures) -> Done {
    for (case, name, blocks) in CASES {
        let (short, long) = (total(peer, case, LENGTHS.0 / blocks)?, total(peer, case, LENGTHS.1 / blocks)?);
        let each = (long - short) / (LENGTHS.1 - LENGTHS.0);
        figures.cases.entry((*name).to_owned()).or_default().push((each, each));
    }
    Ok(())
}

/// All instructions of a process that runs this many turns.
fn total(peer: &Peer, case: &str, turns: f64) -> Done<f64> {
    let mut valgrind = callgrind(&program(peer.api));
    valgrind.arg("one").arg(format!("{turns:.0}")).arg(peer.name).arg(&peer.library).arg(case);
    collected(peer.surroundings(&mut valgrind)?)
}

/// A program under callgrind.
pub fn callgrind(program: &Path) -> Command {
    let mut valgrind = command("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    valgrind
}

/// Runs a program under callgrind. Returns the number of its instructions.
pub fn collected(valgrind: &mut Command) -> Done<f64> {
    let done = valgrind.output().map_err(|why| format!("valgrind: {why}"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected.filter(|_| done.status.success()).ok_or_else(|| {
        // valgrind's own lines begin with ==.
        let why = said.lines().rev().find(|line| !line.is_empty() && !line.starts_with("==")).unwrap_or("no count");
        format!("under valgrind: {}", why.trim_end_matches('.'))
    })
}
