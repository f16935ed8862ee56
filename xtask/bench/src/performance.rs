//! docs/performance.md: the tables between its markers, and the plots beside it, from one measurement.
//!
//! Promise: replaces only the text between `<!-- figures: NAME -->` and `<!-- end -->`. A missing marker is an error
//! that names it.

use super::bars::{self, Run, Verdict};
use super::cases::{Case, GROUPS, Group, Unit};
use super::plot::Plot;
use super::pool::Outcome;
use super::terminal::figure;
use std::path::Path;
use xtask::tools::{Done, io, read, root};

pub const DOCUMENT: &str = "docs/performance.md";

/// Fails if the document lacks a marker. Called before the measuring, which takes long.
pub fn check() -> Done {
    let text = read(DOCUMENT)?;
    let names = ["machine", "bars", "behind", "copies"].into_iter().chain(GROUPS.iter().map(|group| group.name));
    names.into_iter().try_for_each(|name| replaced(&text, name, "").map(drop))
}

/// Writes tables and plots.
pub fn write(outcome: &Outcome) -> Done {
    let all = bars::together(&outcome.runs);
    let mut text = read(DOCUMENT)?;
    text = replaced(&text, "machine", &machine(outcome, &all))?;
    text = replaced(&text, "bars", &bars_table(&outcome.verdicts))?;
    if !outcome.copies.is_empty() {
        text = replaced(&text, "copies", &bars_table(&outcome.copies))?;
    }
    text = replaced(&text, "behind", &behind(&all))?;
    for group in GROUPS {
        text = replaced(&text, group.name, &table(group, outcome, &all))?;
    }
    store(DOCUMENT, &text)?;
    for (name, plot) in plots() {
        store(&format!("docs/performance/{name}.svg"), &plot.svg(&outcome.found, &all)?)?;
    }
    Ok(())
}

/// Writes the tables of the cases that were measured, and nothing else.
pub fn write_groups(outcome: &Outcome) -> Done {
    let all = bars::together(&outcome.runs);
    let is_measured = |case: &Case| all.values().any(|figures| figures.minimum(case.id).is_some());
    let mut text = read(DOCUMENT)?;
    for group in GROUPS.iter().filter(|group| group.cases.iter().all(is_measured)) {
        text = replaced(&text, group.name, &table(group, outcome, &all))?;
    }
    store(DOCUMENT, &text)
}

fn store(path: &str, text: &str) -> Done {
    let file = root().join(path);
    io(&file, std::fs::create_dir_all(file.parent().unwrap_or(Path::new("."))))?;
    io(&file, std::fs::write(&file, text))?;
    eprintln!("{path}: written");
    Ok(())
}

/// The text with new lines between the markers of this name.
pub fn replaced(text: &str, name: &str, lines: &str) -> Done<String> {
    let begin = format!("<!-- figures: {name} -->\n");
    let (before, rest) =
        text.split_once(&begin).ok_or_else(|| format!("{DOCUMENT} has no line {}", begin.trim_end()))?;
    let (_, after) = rest.split_once("<!-- end -->").ok_or_else(|| format!("{DOCUMENT}: {name} has no end"))?;
    Ok(format!("{before}{begin}{}\n<!-- end -->{after}", lines.trim_end()))
}

/// The machine, the peers with their versions, and what was not measured.
fn machine(outcome: &Outcome, all: &Run) -> String {
    let cores = all.values().next().map_or("?", |figures| figures.fact("cores"));
    let quick = if outcome.quick { " of few rounds, for a first look" } else { "" };
    let mut lines = format!("{} cores of {}; {}{quick}, minima.", cores, super::processor(), many(outcome.runs.len()));
    let mut versions: Vec<&str> =
        outcome.found.iter().filter_map(|peer| Some(all.get(peer.name)?.fact("version"))).collect();
    versions.dedup();
    lines += &format!("\n\n- Measured: {}.", versions.join(", "));
    for (name, why) in &outcome.missing {
        lines += &format!("\n- Missing: {name}: {why}.");
    }
    lines
}

fn many(runs: usize) -> String {
    if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") }
}

/// All bars, with the ratio of each run.
fn bars_table(verdicts: &[Verdict]) -> String {
    let mut text =
        "| bar | what | ours | beside | ratio in each run | target | |\n|---|---|---|---|---|---|---|\n".to_owned();
    for verdict in verdicts {
        let Some(last) = verdict.records.last() else { continue };
        let each = |record: &super::record::Record| match record.ratio {
            Some(ratio) => figure(ratio),
            // A bar in units has no ratio; its figure is shown.
            None => record.value.filter(|_| record.peer.is_empty()).map_or("-".to_owned(), figure),
        };
        let ratios: Vec<String> = verdict.records.iter().map(each).collect();
        let beside = match last.peer_value {
            Some(value) => format!("{} {}", last.peer, figure(value)),
            None => last.peer.clone(),
        };
        let ours = last.value.map_or("-".to_owned(), |value| format!("{} {}", figure(value), last.unit));
        let says = if last.note.is_empty() { verdict.text() } else { last.note.clone() };
        text += &format!(
            "| {} | {} | {ours} | {beside} | {} | {} | {says} |\n",
            last.bar,
            last.name,
            ratios.join(", "),
            last.target
        );
    }
    text
}

/// A table with a row per allocator and a column per case: glibc's figures, then ratios to them. Cases that are ratios
/// themselves are shown as they are.
fn table(group: &Group, outcome: &Outcome, all: &Run) -> String {
    let minimum = |name: &str, case: &Case| all.get(name).and_then(|figures| figures.minimum(case.id));
    let names: Vec<&str> = outcome.found.iter().map(|peer| peer.name).collect();
    let cases: Vec<&Case> =
        group.cases.iter().filter(|case| names.iter().any(|name| minimum(name, case).is_some())).collect();
    let ratios = group.cases[0].unit == Unit::Ns && names.contains(&"glibc") && group.name != "touch";
    let mut text = String::from("| |");
    cases.iter().for_each(|case| text += &format!(" {} |", case.label));
    text += &format!("\n|---|{}\n", "---|".repeat(cases.len()));
    if ratios {
        text += "| glibc, ns |";
        cases.iter().for_each(|case| text += &format!(" {} |", minimum("glibc", case).map_or("-".to_owned(), figure)));
        text.push('\n');
    }
    for name in &names {
        text += &format!("| {name} |");
        for case in &cases {
            let base = if ratios { minimum("glibc", case) } else { Some(1.0) };
            let best = names.iter().filter_map(|name| minimum(name, case)).fold(f64::INFINITY, f64::min);
            text += &match minimum(name, case).zip(base) {
                None => " - |".to_owned(),
                Some((value, base)) => {
                    let shown = short(value / base, ratios, case.unit);
                    if value <= best && value > 0.0 { format!(" **{shown}** |") } else { format!(" {shown} |") }
                }
            };
        }
        text.push('\n');
    }
    text
}

fn short(value: f64, ratio: bool, unit: Unit) -> String {
    match unit {
        Unit::Ns if !ratio && value >= 1e6 => format!("{:.2} ms", value / 1e6),
        Unit::Ns if !ratio && value >= 1e3 => format!("{:.1} us", value / 1e3),
        Unit::Instructions => format!("{value:.0}"),
        Unit::Bytes => format!("{value:.0}"),
        _ if value < 0.01 && value > 0.0 => format!("{value:.4}"),
        _ if value >= 100.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

/// The cases in which Tenure is more than twice the best of the others.
fn behind(all: &Run) -> String {
    let cases = bars::behind(all);
    if cases.is_empty() {
        return "None.".to_owned();
    }
    let mut text = "| case | by handle | the best | ratio | by malloc | |\n|---|---|---|---|---|---|\n".to_owned();
    for far in cases {
        let by_malloc = far.by_malloc.map_or("-".to_owned(), |value| format!("{:.1}", value / far.best));
        text += &format!(
            "| `{}` | {} | {} {} | {:.1} | {by_malloc} | {} |\n",
            far.case.id,
            figure(far.ours),
            far.peer,
            figure(far.best),
            far.ours / far.best,
            far.case.unit.name()
        );
    }
    text
}

/// The plots by name.
fn plots() -> Vec<(&'static str, Plot<'static>)> {
    let of = |name: &str, fits: fn(&Case) -> bool| -> Vec<&'static Case> {
        GROUPS
            .iter()
            .filter(|group| group.name == name)
            .flat_map(|group| group.cases)
            .filter(|case| fits(case))
            .collect()
    };
    vec![
        (
            "small",
            Plot {
                title: "Small blocks: time of an allocation and its free",
                cases: of("small", |_| true),
                beside_best: true,
            },
        ),
        (
            "large",
            Plot { title: "Large blocks, threads, mixes: time", cases: of("large", |_| true), beside_best: true },
        ),
        (
            "memory",
            Plot {
                title: "Memory held for what is live",
                cases: of("memory", |case| case.unit == Unit::Times),
                beside_best: false,
            },
        ),
    ]
}
