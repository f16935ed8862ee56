//! `cargo xtask bench pool --threads 1,2,4,8,16`: how the allocators do with more threads, each on a core of its own.
//!
//! Promise: as `pool`: a process per allocator and round, forwards and backwards in turn, minima. Where the machine has
//! several NUMA nodes, threads run near each other (*near*) and on the nodes in turn (*far*). Numbers of threads that
//! exceed the cores are named, not measured.

use super::bars::Run;
use super::peers::{Missing, Peer};
use super::pool::{in_turns, note_failure, program};
use xtask::tools::{Done, command};

const ROUNDS: usize = 5;

/// The cases of `benches/pool/threads.c`, and what their figures are.
const CASES: [(&str, &str); 4] = [
    ("small", "one block of 64 B after the other"),
    ("mixed", "256 live blocks of 16 to 4096 B, replaced at random"),
    ("arrays", "8 arrays of 256 KiB, untouched, which live together"),
    ("passed", "64 B blocks that one thread of each pair allocates and the other frees"),
];

const PLACEMENTS: [&str; 2] = ["near", "far"];

/// The numbers of threads of an option's value.
pub fn numbers(list: &str) -> Done<Vec<usize>> {
    let read = |number: &str| number.parse().ok().filter(|number| (1..=256).contains(number));
    list.split(',')
        .map(|number| read(number).ok_or_else(|| format!("--threads {list}: numbers from 1 to 256")))
        .collect()
}

/// Measures, and prints a table in Markdown for each case and placement.
pub fn measure(found: &[Peer], threads: &[usize], quick: bool, missing: &mut Vec<Missing>) -> Done {
    let selected: Vec<String> = threads.iter().map(|number| format!("scale.{number}.")).collect();
    let scale = if quick { "quick" } else { "full" };
    let mut figures = Run::new();
    let process = |peer: &Peer, direction: &str| {
        let mut process = command(program(peer.api));
        process.args([direction, scale, peer.name]).arg(&peer.library).args(&selected);
        Ok(process)
    };
    let rounds = if quick { 3 } else { ROUNDS };
    in_turns(found, rounds, &mut figures, process, |peer, why| note_failure(missing, peer, "scale", why))?;
    let Some(first) = found.iter().find_map(|peer| figures.get(peer.name).filter(|of| of.facts.contains_key("cores")))
    else {
        return Ok(());
    };
    println!("{}, {} cores, {} NUMA nodes", super::processor(), first.fact("cores"), first.fact("nodes"));
    for (case, what) in CASES {
        for placement in PLACEMENTS {
            let name = |number: &usize| format!("scale.{number}.{case}.{placement}");
            let measured: Vec<&usize> =
                threads.iter().filter(|number| first.minimum(&name(number)).is_some()).collect();
            if measured.is_empty() {
                continue;
            }
            println!("\n{what}; {placement}; ns a block:\n");
            println!("| threads |{}", measured.iter().map(|number| format!(" {number} |")).collect::<String>());
            println!("|---|{}", "---|".repeat(measured.len()));
            for peer in found {
                let cell = |number: &&usize| match figures[peer.name].minimum(&name(number)) {
                    Some(least) => format!(" {least:.1} |"),
                    None => " - |".to_owned(),
                };
                println!("| {} |{}", peer.name, measured.iter().map(cell).collect::<String>());
            }
        }
    }
    let cores: usize = first.fact("cores").parse().unwrap_or(0);
    for number in threads.iter().filter(|number| **number > cores) {
        println!("\n{number} threads: not measured, because this process may use {cores} cores");
    }
    Ok(())
}
