//! The page: one HTML file with the snapshot and the program that shows it, for any browser and without a network.
//!
//! Contract: allocates nothing and writes into a sink. The program is `src/report/page/bundle.html`, which `cargo xtask
//! page` makes from `report-page/`. The snapshot lies in it as JSON, in which no text can end the element or begin
//! another one. Its lists are bounded ([`Extent::PAGE`]), so that the page stays small whatever the process holds.
#![forbid(unsafe_code)]

use super::extent::Extent;
use super::snapshot;
use crate::error::Result;
use crate::exchange::new_file;
use core::ffi::CStr;
use core::fmt::{self, Write};

/// The page without a snapshot.
const BUNDLE: &str = include_str!("page/bundle.html");
/// Where the snapshot belongs.
const PLACE: &str = "@tenure-snapshot@";

/// Writes the page.
pub fn write(sink: &mut dyn Write) {
    write_page(sink, |script| snapshot::write(script, Extent::PAGE));
}

/// Writes the page of a report that is there already as JSON, such as that of another process.
pub fn write_around(sink: &mut dyn Write, report: &str) {
    write_page(sink, |script| {
        let _ = script.write_str(report);
    });
}

fn write_page(sink: &mut dyn Write, write_report: impl FnOnce(&mut dyn Write)) {
    let (head, tail) = BUNDLE.split_once(PLACE).unwrap_or((BUNDLE, ""));
    // A full sink only counts the rest.
    let _ = sink.write_str(head);
    write_report(&mut InScript(sink));
    let _ = sink.write_str(tail);
}

/// Saves the page as a file. TN_ERR_IO.
pub fn save(path: &CStr) -> Result<()> {
    new_file::save_text(path, |sink| write(sink))
}

/// A sink of JSON inside of a script element. Characters with a meaning in HTML occur in strings only, and become
/// escapes of JSON.
struct InScript<'a>(&'a mut dyn Write);

impl Write for InScript<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        let dangerous = |c| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
        while let Some(at) = rest.find(dangerous) {
            let (before, from) = rest.split_at(at);
            self.0.write_str(before)?;
            let c = from.chars().next().unwrap_or_default();
            write!(self.0, "\\u{:04x}", u32::from(c))?;
            rest = &from[c.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_its_script_element() {
        let mut text = String::new();
        InScript(&mut text).write_str("\"</script><!-- & \u{2028}\u{2029}ä>\"").unwrap();
        assert_eq!(text, "\"\\u003c/script\\u003e\\u003c!-- \\u0026 \\u2028\\u2029ä\\u003e\"");
    }

    #[test]
    fn the_bundle_has_one_place_for_the_snapshot_and_loads_nothing() {
        assert_eq!(BUNDLE.matches(PLACE).count(), 1);
        assert!(BUNDLE.contains("default-src 'none'") && !BUNDLE.contains(" src="), "nothing is loaded");
    }
}
