//! `cargo xtask bench pool`: Tenure's host pools beside other allocators, in one run.
//!
//! Promise: a process per allocator, group of cases and round; the allocators run forwards and backwards in turn;
//! results are minima. Tenure is called through the C API of the staged library. A peer that is missing or fails is
//! named with the reason.

use super::bars::{self, Run, Verdict};
use super::cases;
use super::figures::direction;
use super::peers::{self, Api, Missing, Peer};
use super::record::Record;
use super::replay::Recording;
use super::{copies, instructions, performance, scale, terminal};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use xtask::tools::{Done, command, has, io, output, root, run};
use xtask::{dist, python};

/// Cases that share a process, and the number of such processes per run. A workload leaves memory that the next one
/// could use, so cases that measure memory run alone. Resident memory does not depend on the machine's load, but the
/// time of these cases does.
const GROUPS: &[(&str, usize)] = &[
    ("alloc", 5),
    ("threads", 5),
    ("memory.small", 1),
    ("memory.mixed", 2),
    ("memory.arrays", 2),
    ("touch.fresh", 5),
    ("touch.zeros", 5),
    ("touch.again", 5),
    ("mixes.server", 3),
    ("mixes.arrays", 3),
    ("replay.numpy", 3),
    ("replay.arrow", 3),
    ("replay.training", 3),
];

/// Whether the case belongs to the group, or its name is a prefix of the group's.
fn belongs(case: &str, group: &str) -> bool {
    case.starts_with(group) || group.starts_with(case)
}

/// The group that valgrind counts, which is no process of its own.
const INSTRUCTIONS: &str = "instructions";

/// The allocators of the quick run.
const QUICK: &[&str] = &["tenure", "tenure-malloc", "glibc", "mimalloc3"];

pub const HELP: &str = "[--quick] [--runs N] [--peers A,B] [--cases C,D] [--threads N,M] [--library FILE] [--instructions] [--json] [--write [--copies]]";

/// The options of the command line.
#[derive(Default)]
struct Options<'a> {
    json: bool,
    write: bool,
    copies: bool,
    quick: bool,
    instructions: bool,
    runs: usize,
    peers: Vec<&'a str>,
    cases: Vec<&'a str>,
    /// Only these numbers of threads are measured, and nothing else.
    threads: Vec<usize>,
    library: Option<PathBuf>,
}

/// The results of one run.
pub struct Outcome {
    pub runs: Vec<Run>,
    pub found: Vec<Peer>,
    pub missing: Vec<Missing>,
    pub verdicts: Vec<Verdict>,
    /// Bars of copies, if requested.
    pub copies: Vec<Verdict>,
    /// A quick run has fewer rounds and samples.
    pub quick: bool,
    /// Whether all cases were measured.
    pub whole: bool,
}

impl<'a> Options<'a> {
    fn read(arguments: &[&'a str]) -> Done<Options<'a>> {
        let mut options = Options { runs: 1, ..Options::default() };
        let mut rest = arguments.iter();
        while let Some(&argument) = rest.next() {
            let mut value = || rest.next().copied().ok_or_else(|| format!("{argument} needs a value: {HELP}"));
            match argument {
                "--json" => options.json = true,
                "--write" => options.write = true,
                "--copies" => options.copies = true,
                "--quick" => options.quick = true,
                "--instructions" => options.instructions = true,
                "--runs" => {
                    let runs = value()?;
                    options.runs =
                        runs.parse().ok().filter(|runs| *runs > 0).ok_or_else(|| format!("--runs {runs}: a number"))?;
                }
                "--peers" => options.peers = value()?.split(',').collect(),
                "--cases" => options.cases = value()?.split(',').collect(),
                "--threads" => options.threads = scale::numbers(value()?)?,
                "--library" => options.library = Some(io(Path::new("."), std::path::absolute(value()?))?),
                unknown => return Err(format!("bench pool takes {HELP}, not {unknown}")),
            }
        }
        if !options.threads.is_empty()
            && (options.json || options.write || options.instructions || !options.cases.is_empty())
        {
            return Err("--threads goes with --quick, --peers and --library only: it has cases of its own".into());
        }
        let groups: Vec<&str> = GROUPS.iter().map(|(group, _)| *group).collect();
        for case in &options.cases {
            if !groups.iter().any(|group| belongs(case, group)) {
                return Err(format!(
                    "there is no case {case}: {}, or one of theirs as alloc.lone_64",
                    groups.join(", ")
                ));
            }
        }
        if options.write {
            if !options.peers.is_empty() || options.instructions {
                return Err("--write takes every peer: without --peers and --instructions".into());
            }
            performance::check()?;
        } else if options.copies {
            return Err("--copies goes with --write; alone they are cargo xtask bench copy strided".into());
        }
        Ok(options)
    }

    fn scale(&self) -> &'static str {
        if self.quick { "quick" } else { "full" }
    }

    /// Whether a case of the group is selected. With --instructions alone, only those of valgrind.
    fn wants(&self, group: &str) -> bool {
        match group {
            INSTRUCTIONS => self.instructions || self.write,
            _ if self.cases.is_empty() => !self.instructions,
            _ => self.cases.iter().any(|case| belongs(case, group)),
        }
    }

    /// The selected cases of a group, as the program's argument.
    fn cases(&self, group: &'a str) -> Vec<&'a str> {
        let own: Vec<&str> = self.cases.iter().copied().filter(|case| case.starts_with(group)).collect();
        let whole = self.cases.iter().any(|case| group.starts_with(case));
        if whole || own.is_empty() { vec![group] } else { own }
    }
}

/// `cargo xtask bench pool ..`
pub fn bench(arguments: &[&str]) -> Done {
    let options = Options::read(arguments)?;
    let quick = options.quick && !options.write && options.peers.is_empty();
    let asked = if quick { QUICK.to_vec() } else { options.peers.clone() };
    let library = match &options.library {
        Some(library) => library.clone(),
        None if asked.is_empty() || asked.contains(&"tenure") => dist::libraries()?,
        None => PathBuf::from("-"),
    };
    let (found, mut missing) = peers::find(&asked, &library)?;
    programs(&found)?;
    if !options.threads.is_empty() {
        scale::measure(&found, &options.threads, options.quick, &mut missing)?;
        missing.iter().for_each(|(name, why)| eprintln!("{name}: missing: {why}"));
        return Ok(());
    }
    let (mut runs, mut copies) = (Vec::new(), Vec::new());
    for number in 0..options.runs {
        let run = measure(&found, &options, number > 0, &mut missing)?;
        if !options.json {
            println!("{}; run {} of {}, minima\n", super::processor(), number + 1, options.runs);
            terminal::table(&found, &run);
        }
        runs.push(run);
        if options.copies {
            copies.push(copied()?);
        }
    }
    let (verdicts, copies) = (bars::verdicts(&runs), bars::by_bar(copies));
    let outcome =
        Outcome { runs, found, missing, verdicts, copies, quick: options.quick, whole: options.cases.is_empty() };
    for (name, why) in &outcome.missing {
        eprintln!("{name}: missing: {why}");
    }
    if options.json {
        print!("{}", json(&outcome));
    } else {
        terminal::summary(&outcome.verdicts);
        terminal::behind(&bars::behind(&bars::together(&outcome.runs)));
    }
    if options.write && !outcome.whole {
        performance::write_groups(&outcome)?;
    } else if options.write {
        let record = format!("benches/record/{}-pool.json", output(command("date").args(["-u", "+%F"]))?.trim());
        io(Path::new(&record), std::fs::write(root().join(&record), json(&outcome)))?;
        eprintln!("{record}: written");
        performance::write(&outcome)?;
    }
    Ok(())
}

/// Prints all bars of all runs, then the minima of all runs for each case of each allocator beside Tenure.
fn json(outcome: &Outcome) -> String {
    let mut text = String::new();
    for verdict in outcome.verdicts.iter().chain(&outcome.copies) {
        for (number, record) in verdict.records.iter().enumerate() {
            let run = format!("run {} of {}", number + 1, outcome.runs.len());
            let note = if record.note.is_empty() { run } else { format!("{run}: {}", record.note) };
            text += &Record { note, ..record.clone() }.json();
            text.push('\n');
        }
    }
    let all = bars::together(&outcome.runs);
    for case in cases::all() {
        for peer in outcome.found.iter().filter(|peer| peer.name != "tenure") {
            if let Some(record) = bars::beside(&all, case, peer.name) {
                text += &record.json();
                text.push('\n');
            }
        }
    }
    text
}

/// The results of `bench copy`, and of `bench strided` if there is Python.
fn copied() -> Done<Vec<Record>> {
    let start = Instant::now();
    let mut records = copies::copy()?;
    match python::missing() {
        None => records.extend(copies::strided()?),
        Some(why) => eprintln!("strided: skipped: {why}"),
    }
    eprintln!("copies: {} s", start.elapsed().as_secs());
    Ok(records)
}

/// Runs a program for each allocator and round, forwards and backwards in turn. An allocator whose program fails takes
/// part no more; `failed` is told why.
pub fn in_turns<'a>(
    found: &'a [Peer],
    rounds: usize,
    run: &mut Run,
    mut program: impl FnMut(&'a Peer, &str) -> Done<Command>,
    mut failed: impl FnMut(&'a Peer, String) -> Done,
) -> Done {
    let mut gone = BTreeSet::new();
    for round in 0..rounds {
        let mut order: Vec<&Peer> = found.iter().filter(|peer| !gone.contains(peer.name)).collect();
        if direction(round) == "backwards" {
            order.reverse();
        }
        for peer in order {
            let mut process = program(peer, direction(round))?;
            if let Err(why) = run.entry(peer.name).or_default().take(peer.surroundings(&mut process)?) {
                failed(peer, why)?;
                gone.insert(peer.name);
            }
        }
    }
    Ok(())
}

/// Names an allocator that fails. Tenure must not.
pub fn note_failure(missing: &mut Vec<Missing>, peer: &Peer, group: &str, why: String) -> Done {
    if peer.name.starts_with("tenure") {
        return Err(why);
    }
    let why = format!("fails in {group}: {}", why.lines().last().unwrap_or_default());
    if !missing.iter().any(|(name, _)| *name == peer.name) {
        missing.push((peer.name, why));
    }
    Ok(())
}

/// One run: all rounds of all groups. Instructions are counted once, because they do not vary.
fn measure(found: &[Peer], options: &Options, counted: bool, missing: &mut Vec<Missing>) -> Done<Run> {
    let mut run = Run::new();
    for (group, rounds) in GROUPS.iter().filter(|(group, _)| options.wants(group)) {
        let cases = options.cases(group);
        let recording = Recording::of_group(group)?;
        let rounds = if options.quick { (*rounds).min(3) } else { *rounds };
        let start = Instant::now();
        let process = |peer: &Peer, direction: &str| {
            if let Some(recording) = &recording {
                return Ok(recording.program(peer, options.scale()));
            }
            let mut process = command(program(peer.api));
            process.args([direction, options.scale(), peer.name]).arg(&peer.library).args(&cases);
            Ok(process)
        };
        in_turns(found, rounds, &mut run, process, |peer, why| note_failure(missing, peer, group, why))?;
        eprintln!("{group}: {} s", start.elapsed().as_secs());
    }
    for peer in found.iter().filter(|peer| !peer.version.is_empty()) {
        run.entry(peer.name).or_default().facts.insert("version".to_owned(), peer.version.clone());
    }
    if options.wants(INSTRUCTIONS) && !counted {
        if let Some(why) = instructions::missing() {
            return Err(why);
        }
        for peer in found {
            if let Err(why) = instructions::count(peer, run.entry(peer.name).or_default()) {
                note_failure(missing, peer, INSTRUCTIONS, why)?;
            }
        }
    }
    Ok(run)
}

/// The program of one shape of call.
pub fn program(api: Api) -> PathBuf {
    root().join(format!("target/benches/pool-{}", api.name()))
}

/// Compiles the program once per needed set of functions.
pub fn programs(found: &[Peer]) -> Done {
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
    for peer in found.iter().filter(|peer| done.insert(peer.api.name())) {
        let program = program(peer.api);
        let parent = program.parent().expect("it lies in target/benches");
        io(parent, std::fs::create_dir_all(parent))?;
        let mut gcc = command("gcc");
        gcc.args(["-std=c11", "-O2", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread", "-Iinclude"]);
        gcc.arg(format!("-DAPI_{}", peer.api.name().to_uppercase()));
        if peer.api == Api::Umf {
            gcc.arg("-isystem").arg(peers::umf()?.join("include"));
        }
        run(gcc.args(&sources).arg("-o").arg(&program).args(["-ldl", "-lm"]))?;
    }
    Ok(())
}
