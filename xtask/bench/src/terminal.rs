//! The pools' figures and bars, in the terminal.

use super::bars::{Behind, Run, Verdict};
use super::cases::GROUPS;
use super::peers::Peer;

/// A figure with as many digits as it needs.
pub fn figure(figure: f64) -> String {
    match figure {
        large if large >= 1e4 => format!("{large:.0}"),
        middle if middle >= 100.0 => format!("{middle:.1}"),
        tiny if tiny > 0.0 && tiny < 0.05 => format!("{tiny:.4}"),
        small => format!("{small:.2}"),
    }
}

/// A table with a row per case and a column per allocator.
pub fn table(found: &[Peer], run: &Run) {
    print!("{:<34}", "");
    found.iter().for_each(|peer| print!("{:>14}", peer.name));
    println!();
    for group in GROUPS {
        let measured = |id: &str| run.values().any(|figures| figures.minimum(id).is_some());
        let cases: Vec<_> = group.cases.iter().filter(|case| measured(case.id)).collect();
        if let Some(first) = cases.first() {
            println!("{}, {}", group.title, first.unit.name());
        }
        for case in cases {
            print!("  {:<32}", case.id);
            for peer in found {
                let least = run.get(peer.name).and_then(|figures| figures.minimum(case.id));
                print!("{:>14}", least.map_or("-".to_owned(), figure));
            }
            println!();
        }
    }
    println!();
}

/// All bars that were measured: the last run's figures, and in how many runs each held.
pub fn summary(verdicts: &[Verdict]) {
    for verdict in verdicts {
        let Some(last) = verdict.records.last().filter(|record| record.value.is_some()) else { continue };
        let number = |number: Option<f64>| number.map_or("-".to_owned(), figure);
        println!(
            "{:<4} {:<56} {:>9} {:<22} {:>9} {:>6}  {:<17} {:<8} {}",
            last.bar,
            last.name,
            number(last.value),
            last.peer,
            number(last.peer_value),
            number(last.ratio),
            last.target,
            verdict.text(),
            last.note
        );
    }
}

/// The goal beyond the bars: no figure more than twice the best.
pub fn behind(cases: &[Behind]) {
    println!("\nmore than twice the best of the others, by handle: {} cases", cases.len());
    for far in cases {
        let (ours, best) = (figure(far.ours), figure(far.best));
        println!("  {:<32} {:>5.1} x  {ours} beside {} {best}", far.case.id, far.ours / far.best, far.peer);
    }
}
