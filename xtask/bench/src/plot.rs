//! Figures as SVG: a row per case and a mark per allocator.
//!
//! Promise: equal figures give equal bytes. The axis is logarithmic: equal distances are equal ratios.

use super::bars::Run;
use super::cases::Case;
use super::peers::Peer;
use plotters::coord::Shift;
use plotters::prelude::*;
use xtask::tools::Done;

/// A plot of some cases.
pub struct Plot<'a> {
    pub title: &'a str,
    pub cases: Vec<&'a Case>,
    /// Whether figures are relative to the best of each row.
    pub beside_best: bool,
}

const WIDTH: u32 = 960;
const LABELS: i32 = 230;
const LEGEND: i32 = 150;
const ROW: u32 = 30;

/// Colours that colour-blind readers can tell apart. Tenure has the two strong ones and marks of its own.
const COLORS: &[RGBColor] = &[
    RGBColor(0x7f, 0x7f, 0x7f),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0x9a, 0x8f, 0x00),
    RGBColor(0x8c, 0x56, 0x4b),
    RGBColor(0x5e, 0x3c, 0x99),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0x17, 0xbe, 0xcf),
    RGBColor(0xbc, 0xbd, 0x22),
    RGBColor(0x33, 0x33, 0x33),
];

fn color(peers: &[Peer], name: &str) -> RGBColor {
    match name {
        "tenure" => RGBColor(0xd0, 0x00, 0x00),
        "tenure-malloc" => RGBColor(0x00, 0x3f, 0xd0),
        _ => {
            let at = peers.iter().filter(|peer| !peer.name.starts_with("tenure")).position(|peer| peer.name == name);
            COLORS[at.unwrap_or(0) % COLORS.len()]
        }
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl Plot<'_> {
    /// The plot's SVG.
    pub fn svg(&self, peers: &[Peer], run: &Run) -> Done<String> {
        let mut text = String::new();
        let height = 90 + ROW * self.cases.len() as u32;
        let area = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
        let drawn = self.draw(&area, peers, run).map_err(|why| format!("{}: {why}", self.title));
        drop(area);
        drawn.map(|()| text)
    }

    fn draw(&self, area: &Area, peers: &[Peer], run: &Run) -> Result<(), Box<dyn std::error::Error>> {
        area.fill(&WHITE)?;
        let (left, legend) = area.split_horizontally(WIDTH as i32 - LEGEND);
        let value = |case: &Case, name: &str| {
            let figure = run.get(name)?.minimum(case.id)?;
            let everybody = run.values().filter_map(|figures| figures.minimum(case.id));
            let least = everybody.reduce(f64::min).filter(|_| self.beside_best).unwrap_or(1.0);
            Some((figure / least).max(1.0)).filter(|ratio| ratio.is_finite())
        };
        let figures = self.cases.iter().flat_map(|case| peers.iter().filter_map(|peer| value(case, peer.name)));
        let most = figures.fold(1.5, f64::max) * 1.15;
        let rows = self.cases.len() as f64;
        let mut chart = ChartBuilder::on(&left)
            .margin(12)
            .caption(self.title, ("sans-serif", 17))
            .x_label_area_size(30)
            .y_label_area_size(LABELS)
            .build_cartesian_2d((0.93..most).log_scale(), -0.5..rows - 0.5)?;
        let what = if self.beside_best { "times the best of the row" } else { "resident by live bytes" };
        chart
            .configure_mesh()
            .disable_y_mesh()
            .light_line_style(TRANSPARENT)
            .disable_y_axis()
            .y_labels(0)
            .x_desc(what)
            .x_label_formatter(&|x| format!("{x:.1}").trim_end_matches(".0").to_owned())
            .draw()?;
        for (at, case) in self.cases.iter().enumerate() {
            let row = rows - 1.0 - at as f64;
            let (x, y) = chart.backend_coord(&(0.93, row));
            area.draw(&Text::new(case.label, (x - LABELS + 8, y - 6), ("sans-serif", 13)))?;
            chart.draw_series([PathElement::new(vec![(0.93, row), (most, row)], BLACK.mix(0.12))])?;
            // Tenure's marks are drawn last, on top.
            for peer in peers.iter().rev() {
                if let Some(ratio) = value(case, peer.name) {
                    mark(area, chart.backend_coord(&(ratio, row)), peers, peer.name)?;
                }
            }
        }
        for (at, peer) in peers.iter().enumerate() {
            let y = 40 + 18 * at as i32;
            let (left, top) = legend.get_base_pixel();
            mark(area, (left + 8, top + y), peers, peer.name)?;
            legend.draw(&Text::new(peer.name, (20, y - 6), ("sans-serif", 13)))?;
        }
        area.present()?;
        Ok(())
    }
}

fn mark(area: &Area, at: (i32, i32), peers: &[Peer], name: &str) -> Result<(), Box<dyn std::error::Error>> {
    let color = color(peers, name);
    match name {
        "tenure" => area.draw(&TriangleMarker::new(at, 7, color.filled()))?,
        "tenure-malloc" => area.draw(&Rectangle::new([(at.0 - 5, at.1 - 5), (at.0 + 5, at.1 + 5)], color.filled()))?,
        _ => area.draw(&Circle::new(at, 4, color.mix(0.8).filled()))?,
    }
    Ok(())
}
