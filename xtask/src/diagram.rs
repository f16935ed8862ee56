//! Diagrams: a graph in Graphviz's language becomes an SVG, by the crate layout-rs.
//!
//! Promise: pure, and the same text gives the same bytes, so that a test can compare the committed picture.

use layout::backends::svg::SVGWriter;
use layout::gv::{DotParser, GraphBuilder};

/// The picture of a graph, or what is wrong with its text.
pub fn svg(source: &str) -> Result<String, String> {
    let graph = DotParser::new(source).process()?;
    let mut builder = GraphBuilder::new();
    builder.visit_graph(&graph);
    let mut writer = SVGWriter::new();
    builder.get().do_it(false, false, false, &mut writer);
    let svg = writer.finalize();
    // The crate writes its styles in the order of a hash table: they are sorted, so that the bytes stay the same.
    let (mut styles, mut lines): (Vec<&str>, Vec<&str>) = svg.lines().partition(|line| line.starts_with(".a"));
    styles.sort_unstable();
    let at = lines.iter().position(|line| line.contains("<style>")).map_or(lines.len(), |line| line + 1);
    lines.splice(at..at, styles);
    // On a white page: those who read in the dark see black arrows otherwise.
    let mut text = lines.join("\n").replacen("<svg ", "<svg style=\"background:white\" ", 1);
    text.push('\n');
    Ok(text)
}
