//! `cargo xtask bench events`: what an event costs while a log runs, in memory and in a file.
//!
//! Promise: the library as it is released, in CPU time of the thread, minima over the rounds. The cost is the
//! difference to the same calls without a log, so it has the slow path too. Beside it stands what a read of the
//! processor's counter costs here.

use super::figures::{Figures, ROUNDS};
use xtask::dist;
use xtask::run::compile;
use xtask::tools::{Done, command, copy_all, root};

/// The most ns that an event may cost.
const TARGET_NS: f64 = 40.0;

/// Measures and prints.
pub fn bench() -> Done {
    dist::libraries()?;
    copy_all(&root().join("include"), &dist::folder().join("include"))?;
    let folder = root().join("target/benches/events");
    let (program, log) = (folder.join("events"), folder.join("log"));
    compile("benches/events.c", &program, &[])?;
    let mut figures = Figures::default();
    for _ in 0..ROUNDS {
        figures.take(command(&program).arg(&log))?;
    }
    let of = |case: &str| figures.minimum(case).ok_or_else(|| format!("no figure of {case}"));
    println!("a read of the counter: {:.0} ns", of("counter")?);
    for what in ["block", "guard"] {
        let without = of(&format!("{what} without"))?;
        for place in ["memory", "file"] {
            // Two events: the begin and the end.
            let cost = (of(&format!("{what} {place}"))? - without) / 2.0;
            let met = if cost <= TARGET_NS { "met" } else { "NOT MET" };
            println!("{what}, log in {place}: {cost:.0} ns an event, target {TARGET_NS:.0} ns: {met}");
        }
    }
    Ok(())
}
