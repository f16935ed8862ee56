//! The formats that a log can be written in, and which one a file's name means.

use crate::{Log, perfetto, rmm, to_bytes, torch};
use flate2::{Compression, write::GzEncoder};
use std::io::{self, Write};
use std::path::Path;

/// A format of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The Trace Event Format, for ui.perfetto.dev and chrome://tracing.
    Perfetto,
    /// The pickle of a memory snapshot, for pytorch.org/memory_viz.
    Torch,
    /// The CSV log of RMM's logging adaptor.
    Rmm,
    /// Tenure's event log.
    Log,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 4] = [Format::Perfetto, Format::Torch, Format::Rmm, Format::Log];

    /// "perfetto" and the like.
    pub fn name(self) -> &'static str {
        match self {
            Format::Perfetto => "perfetto",
            Format::Torch => "torch",
            Format::Rmm => "rmm",
            Format::Log => "log",
        }
    }

    /// The ends of file names that mean this format, without the dot.
    pub fn extensions(self) -> &'static [&'static str] {
        match self {
            Format::Perfetto => &["json"],
            Format::Torch => &["pickle", "pkl"],
            Format::Rmm => &["csv"],
            Format::Log => &["tnlog"],
        }
    }

    /// The format of a file with this name; an ".gz" behind it changes nothing.
    pub fn of(path: &Path) -> Option<Format> {
        let unpacked = if is_packed(path) { path.with_extension("") } else { path.to_owned() };
        let extension = unpacked.extension()?.to_str()?.to_ascii_lowercase();
        Format::ALL.into_iter().find(|format| format.extensions().contains(&extension.as_str()))
    }

    /// Writes the log in this format, packed by gzip or not.
    pub fn write(self, log: &Log, packed: bool, mut out: impl Write) -> io::Result<()> {
        if !packed {
            return self.write_plain(log, &mut out);
        }
        let mut packer = GzEncoder::new(out, Compression::best());
        self.write_plain(log, &mut packer)?;
        packer.finish()?.flush()
    }

    fn write_plain(self, log: &Log, out: &mut impl Write) -> io::Result<()> {
        match self {
            Format::Perfetto => perfetto::write(log, out),
            Format::Torch => torch::write(log, out),
            Format::Rmm => rmm::write(log, out),
            Format::Log => out.write_all(&to_bytes(log)),
        }
    }
}

/// Whether a file with this name is packed by gzip.
pub fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"))
}
