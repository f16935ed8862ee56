//! `cargo xtask soak pool`: a long random load on a pool, whose resident memory must not grow, with a plot.
//!
//! The load is `tests/library/pool_soak.rs`. The plot, `docs/soak.svg`, shows the memory at each second.

use plotters::prelude::*;
use std::path::PathBuf;
use xtask::tools::{Done, cargo, io, root, run_unlimited};

const PLOT: &str = "docs/soak.svg";
/// The load needs this long to reach its full size; earlier samples count in no third.
const WARM_UP: usize = 10;
/// The highest resident memory of the last third may exceed that of the first by this factor.
const GROWTH: f64 = 1.15;

/// A sample, taken each second; bytes.
struct Sample {
    second: usize,
    resident: f64,
    reserved: f64,
    in_use: f64,
    operations: f64,
}

fn samples(text: &str) -> Done<Vec<Sample>> {
    text.lines()
        .map(|line| {
            let numbers: Vec<f64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
            let [second, resident, reserved, in_use, operations] = numbers[..] else {
                return Err(format!("not a sample: {line}"));
            };
            Ok(Sample { second: second as usize, resident, reserved, in_use, operations })
        })
        .collect()
}

/// Runs the load with a debug build's assertions.
pub fn pool(minutes: &str) -> Done {
    let wrong = || format!("soak pool takes a number of minutes, not {minutes}");
    let seconds = minutes.parse::<f64>().ok().filter(|minutes| *minutes > 0.0).ok_or_else(wrong)? * 60.0;
    let mut test = cargo();
    test.args(["test", "--locked", "--profile", "soak", "--test", "library", "--", "--ignored", "pool_soak::soak"]);
    test.env("TENURE_SOAK_SECONDS", format!("{}", seconds as u64)).env("TENURE_SOAK_FILE", samples_file());
    run_unlimited(&mut test)?;
    draw()
}

/// Plots the samples of the last run and checks them.
pub fn draw() -> Done {
    let file = samples_file();
    plot_and_check(&io(&file, std::fs::read_to_string(&file))?)
}

fn samples_file() -> PathBuf {
    root().join("target/soak-samples.txt")
}

/// Plots the samples and fails if they show that memory grows.
fn plot_and_check(text: &str) -> Done {
    let samples = samples(text)?;
    let steady: Vec<&Sample> = samples.iter().filter(|sample| sample.second > WARM_UP).collect();
    let third = steady.len() / 3;
    let highest = |part: &[&Sample]| part.iter().map(|sample| sample.resident).fold(0.0, f64::max);
    if third == 0 {
        return Err(format!("{} samples are too few; give more minutes", samples.len()));
    }
    let (first, last) = (highest(&steady[..third]), highest(&steady[steady.len() - third..]));
    let svg = plot(&samples).map_err(|why| format!("{PLOT}: {why}"))?;
    let path = root().join(PLOT);
    io(&path, std::fs::write(&path, svg))?;
    let operations = samples.last().map_or(0.0, |sample| sample.operations);
    let lowest = samples.iter().map(|sample| sample.resident / sample.in_use).fold(f64::INFINITY, f64::min);
    println!(
        "{PLOT}: {} seconds, {:.0} million operations; resident at most {:.0} MiB in the first third, {:.0} MiB in the last; the lowest ratio of resident to live bytes is {lowest:.2}",
        samples.len(),
        operations / 1e6,
        first / MIB,
        last / MIB,
    );
    if last > GROWTH * first {
        return Err(format!("resident memory grows: {:.0} MiB, then {:.0} MiB", first / MIB, last / MIB));
    }
    Ok(())
}

const MIB: f64 = 1048576.0;

fn plot(samples: &[Sample]) -> Result<String, Box<dyn std::error::Error>> {
    type Line = (&'static str, RGBColor, fn(&Sample) -> f64);
    let lines: [Line; 3] = [
        ("resident, the process", RGBColor(0xd0, 0x00, 0x00), |sample| sample.resident),
        ("reserved, the pool", RGBColor(0xe6, 0x9f, 0x00), |sample| sample.reserved),
        ("in use", RGBColor(0x00, 0x3f, 0xd0), |sample| sample.in_use),
    ];
    let most = samples.iter().flat_map(|s| [s.resident, s.reserved]).fold(0.0, f64::max) / MIB * 1.25;
    let end = samples.last().map_or(1, |sample| sample.second);
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, (960, 360)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .caption("A random load on four threads: memory each second", ("sans-serif", 17))
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0..end, 0.0..most)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("seconds")
        .y_desc("MiB")
        .y_label_formatter(&|y| format!("{y:.0}"))
        .draw()?;
    for (name, color, value) in lines {
        let points: Vec<(usize, f64)> = samples.iter().map(|sample| (sample.second, value(sample) / MIB)).collect();
        chart
            .draw_series([PathElement::new(points, color.stroke_width(1))])?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .label_font(("sans-serif", 13))
        .draw()?;
    area.present()?;
    drop(chart);
    drop(area);
    Ok(text)
}
