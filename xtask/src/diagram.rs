//! State diagrams: a text with places and arrows becomes an SVG.
//!
//! Promise: pure, and the same text gives the same bytes, so that a test can compare the committed picture. A line is one of
//!
//! ```text
//! size WIDTH HEIGHT
//! state NAME X Y "what it means"          centre of its box
//! arrow FROM TO BEND "what makes it"      BEND: how far the middle lies to the left of the straight line
//! # a comment
//! ```
//!
//! where `\n` in a text begins a new line.

use std::fmt::Write;

/// Half the width and height of a state's box.
const HALF: (f64, f64) = (92.0, 30.0);
/// Distance of lines of text.
const LINE: f64 = 15.0;

struct State {
    name: String,
    at: (f64, f64),
    text: String,
}

/// The picture of a text, or what is wrong with it.
pub fn svg(source: &str) -> Result<String, String> {
    let mut states: Vec<State> = Vec::new();
    let (mut size, mut arrows) = ((640.0, 480.0), String::new());
    for (number, line) in source.lines().enumerate() {
        let wrong = |what: &str| format!("line {}: {what}: {line}", number + 1);
        let (words, text) = match line.split_once('"') {
            Some((words, text)) => (words, text.strip_suffix('"').ok_or_else(|| wrong("the text does not end"))?),
            None => (line, ""),
        };
        let words: Vec<&str> = words.split_whitespace().collect();
        let float = |word: &str| word.parse::<f64>().map_err(|_| wrong("no number"));
        match words[..] {
            [] => {}
            [first, ..] if first.starts_with('#') => {}
            ["size", width, height] => size = (float(width)?, float(height)?),
            ["state", name, x, y] => {
                states.push(State { name: name.to_owned(), at: (float(x)?, float(y)?), text: text.to_owned() });
            }
            ["arrow", from, to, bend] => {
                let find =
                    |name: &str| states.iter().find(|state| state.name == name).ok_or_else(|| wrong("no such state"));
                arrow(&mut arrows, find(from)?.at, find(to)?.at, float(bend)?, text);
            }
            _ => return Err(wrong("neither size, state nor arrow")),
        }
    }
    let (width, height) = size;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\" text-anchor=\"middle\">\n<defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"8\" \
         refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#444\"/></marker></defs>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n{arrows}"
    );
    for state in &states {
        let (x, y) = state.at;
        let (w, h) = (2.0 * HALF.0, 2.0 * HALF.1);
        let box_ = (x - HALF.0, y - HALF.1);
        put(&mut out, format_args!("<rect x=\"{}\" y=\"{}\" width=\"{w}\" height=\"{h}\" rx=\"10\" ", box_.0, box_.1));
        put(&mut out, format_args!("fill=\"#eef3fa\" stroke=\"#345\"/>\n"));
        let lines = state.text.split("\\n").count() as f64;
        let top = y - lines * LINE / 2.0 + 4.0;
        let name = escaped(&state.name);
        put(&mut out, format_args!("<text x=\"{x}\" y=\"{top}\" font-weight=\"bold\">{name}</text>\n"));
        label(&mut out, (x, top + LINE), &state.text);
    }
    out.push_str("</svg>\n");
    Ok(out)
}

/// A curve from the edge of one box to the edge of the other, its text at its middle.
fn arrow(out: &mut String, from: (f64, f64), to: (f64, f64), bend: f64, text: &str) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy).max(1.0);
    // To the left of the way as one sees it: y grows downwards.
    let control = ((from.0 + to.0) / 2.0 + dy / length * 2.0 * bend, (from.1 + to.1) / 2.0 - dx / length * 2.0 * bend);
    let (start, end) = (edge(from, control), edge(to, control));
    put(out, format_args!("<path d=\"M{:.1} {:.1}Q{:.1} {:.1} ", start.0, start.1, control.0, control.1));
    put(out, format_args!("{:.1} {:.1}\" fill=\"none\" stroke=\"#444\" marker-end=\"url(#head)\"/>\n", end.0, end.1));
    let middle = ((start.0 + end.0) / 4.0 + control.0 / 2.0, (start.1 + end.1) / 4.0 + control.1 / 2.0);
    let lines = text.split("\\n").count() as f64;
    // Beside a level line, on its outer side: through its letters it would read as underscores.
    let aside = if dy == 0.0 { (lines * LINE / 2.0 + 2.0) * if dx * bend < 0.0 { 1.0 } else { -1.0 } } else { 0.0 };
    put(out, format_args!("<g fill=\"#222\" stroke=\"white\" stroke-width=\"5\" paint-order=\"stroke\">\n"));
    label(out, (middle.0, middle.1 + aside - (lines - 1.0) * LINE / 2.0 + 4.0), text);
    out.push_str("</g>\n");
}

/// Where the line from the centre of a box to a point outside leaves it.
fn edge(centre: (f64, f64), towards: (f64, f64)) -> (f64, f64) {
    let (dx, dy) = (towards.0 - centre.0, towards.1 - centre.1);
    let scale = (HALF.0 / dx.abs()).min(HALF.1 / dy.abs());
    (centre.0 + dx * scale, centre.1 + dy * scale)
}

fn label(out: &mut String, at: (f64, f64), text: &str) {
    for (number, line) in text.split("\\n").enumerate() {
        let y = at.1 + number as f64 * LINE;
        put(out, format_args!("<text x=\"{:.1}\" y=\"{y:.1}\">{}</text>\n", at.0, escaped(line)));
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes any text");
}
