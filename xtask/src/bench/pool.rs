//! `cargo xtask bench pool`: the host pools beside the best allocators, in one run.
//!
//! Promise: a process per allocator, group of cases and round; the allocators forwards and backwards in turn; minima. Tenure is called
//! through its C API in the library as it is shipped. A peer that is not here is named with the reason.

use super::bars::{BARS, Run};
use super::figures::direction;
use super::peers::{self, Door, Peer};
use super::record::Record;
use crate::dist;
use crate::tools::{Done, command, has, io, root, run};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Groups of cases, each a process of its own, and how many of its processes make a run.
const GROUPS: &[(&str, usize)] = &[("alloc", 7), ("threads", 7), ("memory", 1), ("touch", 5), ("mixes", 5)];

/// What was asked for.
struct Options<'a> {
    json: bool,
    quick: bool,
    tiny: bool,
    runs: usize,
    peers: Vec<&'a str>,
    cases: Vec<&'a str>,
    library: Option<PathBuf>,
}

pub const HELP: &str = "[--quick] [--json] [--runs N] [--peers A,B] [--cases C,D] [--library FILE]";

impl<'a> Options<'a> {
    fn read(arguments: &[&'a str]) -> Done<Options<'a>> {
        let mut options = Options {
            json: false,
            quick: false,
            tiny: false,
            runs: 1,
            peers: Vec::new(),
            cases: Vec::new(),
            library: None,
        };
        let mut rest = arguments.iter();
        while let Some(&argument) = rest.next() {
            let mut value = || rest.next().copied().ok_or_else(|| format!("{argument} wants a value: {HELP}"));
            match argument {
                "--json" => options.json = true,
                "--quick" => options.quick = true,
                "--tiny" => options.tiny = true,
                "--runs" => {
                    let runs = value()?;
                    options.runs =
                        runs.parse().ok().filter(|runs| *runs > 0).ok_or(format!("--runs {runs}: a number"))?;
                }
                "--peers" => options.peers = value()?.split(',').collect(),
                "--cases" => options.cases = value()?.split(',').collect(),
                "--library" => options.library = Some(io(Path::new("."), std::path::absolute(value()?))?),
                unknown => return Err(format!("bench pool takes {HELP}, not {unknown}")),
            }
        }
        for case in &options.cases {
            if !GROUPS.iter().any(|(group, _)| case.split('.').next() == Some(group)) {
                let groups: Vec<&str> = GROUPS.iter().map(|(group, _)| *group).collect();
                return Err(format!(
                    "there is no case {case}: {}, or one of theirs as alloc.lone_64",
                    groups.join(", ")
                ));
            }
        }
        Ok(options)
    }

    fn scale(&self) -> &'static str {
        if self.tiny {
            "tiny"
        } else if self.quick {
            "quick"
        } else {
            "full"
        }
    }

    /// The groups that are wanted, with their rounds.
    fn groups(&self) -> Vec<(&'static str, usize)> {
        let wanted =
            |group: &str| self.cases.is_empty() || self.cases.iter().any(|case| case.split('.').next() == Some(group));
        let rounds = |rounds: usize| {
            if self.tiny {
                1
            } else if self.quick {
                rounds.min(3)
            } else {
                rounds
            }
        };
        GROUPS.iter().filter(|(group, _)| wanted(group)).map(|(group, count)| (*group, rounds(*count))).collect()
    }

    /// The cases of a group, as the program wants them.
    fn cases(&self, group: &'a str) -> Vec<&'a str> {
        let own: Vec<&str> = self.cases.iter().copied().filter(|case| case.starts_with(group)).collect();
        if own.is_empty() { vec![group] } else { own }
    }
}

/// `cargo xtask bench pool ..`
pub fn bench(arguments: &[&str]) -> Done {
    let options = Options::read(arguments)?;
    let quick_peers = ["tenure", "tenure-malloc", "glibc", "mimalloc3"];
    let asked: Vec<&str> = match options.quick && options.peers.is_empty() {
        true => quick_peers.to_vec(),
        false => options.peers.clone(),
    };
    let library = match &options.library {
        Some(library) => library.clone(),
        None if asked.is_empty() || asked.iter().any(|name| name.starts_with("tenure")) => dist::shared()?,
        None => PathBuf::from("-"),
    };
    let (found, missing) = peers::find(&asked, &library)?;
    programs(&found)?;
    for (name, why) in &missing {
        eprintln!("{name}: missing: {why}");
    }
    let mut held: Vec<(Record, usize, usize)> = Vec::new();
    for number in 0..options.runs {
        let run = measure(&found, &options)?;
        if !options.json {
            println!("{}; run {} of {}, minima\n", super::processor(), number + 1, options.runs);
            table(&found, &run);
        }
        for (at, bar) in BARS.iter().enumerate() {
            let record = bar.record(&run);
            let met = usize::from(record.met == Some(true));
            match held.get_mut(at) {
                None => held.push((record, met, 1)),
                Some((last, sum, runs)) => {
                    (*sum, *runs) = (*sum + met, *runs + 1);
                    *last = record;
                }
            }
        }
    }
    summary(&held, &options);
    Ok(())
}

/// One run: every round of every group.
fn measure(found: &[Peer], options: &Options) -> Done<Run> {
    let mut run = Run::new();
    for (group, rounds) in options.groups() {
        let cases = options.cases(group);
        for round in 0..rounds {
            let mut order: Vec<&Peer> = found.iter().collect();
            if direction(round) == "backwards" {
                order.reverse();
            }
            for peer in order {
                let figures = run.entry(peer.name).or_default();
                figures.take(
                    started(peer)?
                        .arg(direction(round))
                        .arg(options.scale())
                        .arg(peer.name)
                        .arg(&peer.library)
                        .args(&cases),
                )?;
                if !peer.version.is_empty() {
                    figures.facts.insert("version".to_owned(), peer.version.clone());
                }
            }
        }
    }
    Ok(run)
}

fn program(door: Door) -> PathBuf {
    root().join(format!("target/benches/pool-{}", door.name()))
}

/// The program for this peer, with what its library wants.
fn started(peer: &Peer) -> Done<Command> {
    let mut run = command(program(peer.door));
    if let Some(library) = &peer.preload {
        run.env("LD_PRELOAD", library);
    }
    if peer.door == Door::Umf {
        let needed = peers::umf_needs()?;
        let paths: Vec<String> = needed.iter().map(|path| path.display().to_string()).collect();
        run.env("LD_LIBRARY_PATH", paths.join(":"));
    }
    Ok(run)
}

/// Compiles the program once per door that is needed.
fn programs(found: &[Peer]) -> Done {
    if !has("gcc") {
        return Err("gcc is not installed; on Debian: apt-get install gcc".to_owned());
    }
    let folder = root().join("benches/pool");
    let mut sources: Vec<PathBuf> = io(&folder, std::fs::read_dir(&folder))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "c"))
        .collect();
    sources.sort();
    let mut done = BTreeSet::new();
    for peer in found.iter().filter(|peer| done.insert(peer.door.name())) {
        let program = program(peer.door);
        let parent = program.parent().expect("it lies in target/benches");
        io(parent, std::fs::create_dir_all(parent))?;
        let mut gcc = command("gcc");
        gcc.args(["-std=c11", "-O2", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread", "-Iinclude"]);
        gcc.arg(format!("-DDOOR_{}", peer.door.name().to_uppercase()));
        if peer.door == Door::Umf {
            gcc.arg("-isystem").arg(peers::umf()?.join("include"));
        }
        run(gcc.args(&sources).arg("-o").arg(&program).args(["-ldl", "-lm"]))?;
    }
    Ok(())
}

/// Cases down, allocators across.
fn table(found: &[Peer], run: &Run) {
    let cases: BTreeSet<&String> = run.values().flat_map(|figures| figures.cases.keys()).collect();
    print!("{:<28}", "");
    found.iter().for_each(|peer| print!("{:>13}", peer.name));
    println!();
    for case in cases {
        print!("{case:<28}");
        for peer in found {
            match run.get(peer.name).and_then(|figures| figures.minimum(case)) {
                Some(figure) if figure >= 1e4 => print!("{figure:>13.0}"),
                Some(figure) => print!("{figure:>13.2}"),
                None => print!("{:>13}", "-"),
            }
        }
        println!();
    }
    println!();
}

/// Every bar with the last run's figures, and in how many runs it held.
fn summary(held: &[(Record, usize, usize)], options: &Options) {
    for (record, met, runs) in held {
        if options.json {
            println!("{}", record.json());
            continue;
        }
        if record.met.is_none() && (options.quick || !options.cases.is_empty()) {
            continue; // not asked for
        }
        let number = |number: Option<f64>| number.map_or("-".to_owned(), |number| format!("{number:.2}"));
        let verdict = match record.met {
            None => record.note.clone(),
            Some(_) if met == runs => "met".to_owned(),
            Some(_) => "NOT MET".to_owned(),
        };
        println!(
            "{:<4} {:<58} {:>10}  {:<22} {:>10} {:>7}  {:<16} {} in {}  {}",
            record.bar,
            record.name,
            number(record.value),
            record.peer,
            number(record.peer_value),
            number(record.ratio),
            record.target,
            met,
            runs,
            verdict
        );
    }
}
