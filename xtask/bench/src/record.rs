//! One figure beside its peer: the result type of all benchmarks, and how it is written.
//!
//! Promise: a record names the peer with its version, the ratio and the bar, so a file of records is complete by
//! itself.

/// A string of JSON.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A bar with its figures.
#[derive(Clone)]
pub struct Record {
    pub name: String,
    pub bar: String,
    pub value: Option<f64>,
    pub median: Option<f64>,
    pub unit: &'static str,
    pub peer: String,
    pub peer_version: String,
    pub peer_value: Option<f64>,
    pub peer_median: Option<f64>,
    pub ratio: Option<f64>,
    /// For figures in ns: the figure in compare-exchange pairs of the same run.
    pub pairs: Option<f64>,
    pub target: String,
    pub met: Option<bool>,
    pub note: String,
}

impl Record {
    /// A line of a file in benches/record.
    pub fn json(&self) -> String {
        let number = |number: Option<f64>| number.map_or("null".to_owned(), |number| format!("{number:.3}"));
        let met = self.met.map_or("null".to_owned(), |met| met.to_string());
        let fields = [
            ("name", quoted(&self.name)),
            ("bar", quoted(&self.bar)),
            ("value", number(self.value)),
            ("median", number(self.median)),
            ("unit", quoted(self.unit)),
            ("peer", quoted(&self.peer)),
            ("peer_version", quoted(&self.peer_version)),
            ("peer_value", number(self.peer_value)),
            ("peer_median", number(self.peer_median)),
            ("ratio", number(self.ratio)),
            ("pairs", number(self.pairs)),
            ("target", quoted(&self.target)),
            ("met", met),
            ("note", quoted(&self.note)),
        ];
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
        format!("{{{}}}", fields.join(", "))
    }

    /// A line of the table in the terminal.
    pub fn row(&self) -> String {
        let number = |number: Option<f64>| match number {
            None => "-".to_owned(),
            Some(large) if large >= 1e4 => format!("{large:.0}"),
            Some(number) => format!("{number:.2}"),
        };
        let met = self.met.map_or("-", |met| if met { "yes" } else { "NO" });
        format!(
            "{:<4} {:<40} {:>8} {:>8} {:>6}  {:<22} {:>7} {:>6}  {:<16} {:<4} {}",
            self.bar,
            self.name,
            number(self.value),
            number(self.median),
            number(self.pairs),
            self.peer,
            number(self.peer_value),
            number(self.ratio),
            self.target,
            met,
            self.note
        )
    }
}
