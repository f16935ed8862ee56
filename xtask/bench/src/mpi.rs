//! `cargo xtask bench mpi`: messages of arrays by MPI, beside mpi4py with NumPy's arrays.
//!
//! Promise: the wheel as it is released, with each MPI library; the minimum over the rounds. docs/scaling.md has its
//! ratios.

use super::figures::Figures;
use xtask::distributed;
use xtask::tools::{Done, root};

const ROUNDS: usize = 3;

/// Measures and prints.
pub fn bench() -> Done {
    let python = distributed::installed()?;
    println!(
        "| message | library | NumPy | tenure | ratio | NumPy, datatype by hand | ratio |\n|---|---|---|---|---|---|---|"
    );
    let mut rows = Vec::new();
    for (name, title) in [("mpich", "MPICH"), ("openmpi", "Open MPI")] {
        let mut figures = Figures::default();
        for _ in 0..ROUNDS {
            let mut launch = distributed::launcher(&python, name);
            launch.args(["-n", "2"]).arg(&python).arg(root().join("benches/mpi.py"));
            figures.take(&mut launch)?;
        }
        for size in ["1 KiB", "1 MiB", "64 MiB"] {
            for layout in ["contiguous", "strided"] {
                let of = |method: &str| figures.minimum(&format!("{size} {layout} {method}"));
                let (Some(numpy), Some(ours)) = (of("numpy"), of("tenure")) else {
                    return Err(format!("benches/mpi.py printed no figures of {size}, {layout}"));
                };
                let by_hand = of("datatype").map_or(("-".to_owned(), "-".to_owned()), |peer| {
                    (format!("{peer:.1} us"), format!("{:.2}", ours / peer))
                });
                rows.push(format!(
                    "| {size}, {layout} | {title} | {numpy:.1} us | {ours:.1} us | {:.2} | {} | {} |",
                    ours / numpy,
                    by_hand.0,
                    by_hand.1
                ));
            }
        }
    }
    rows.sort_by_key(|row| (row.contains("| 64 MiB"), row.contains("| 1 MiB"), row.contains("strided")));
    rows.iter().for_each(|row| println!("{row}"));
    Ok(())
}
