//! `tenure profile`: what a process holds now, by call site, for pprof and whatever reads its format.

use super::Command;
use crate::profile::{self, Held};
use crate::text::{count, printable, size};
use crate::{Failure, new_file, print, snapshot, source};
use clap::ArgMatches;
use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

pub const COMMAND: Command = Command { name: "profile", describe, run };

fn describe(command: clap::Command) -> clap::Command {
    command
        .about("Saves how much memory is held now, by call site, as a profile for pprof")
        .after_help(format!(
            "go tool pprof -top heap.pb.gz prints it, and -http=: shows it in a browser. -sample_index chooses inuse_space,\n\
             inuse_objects or spilled_space; -tagroot=pool groups by pool. Labels: pool, pool_id, device, client, kind.\n\
             {}",
            source::HELP
        ))
        .arg(source::argument())
        .args(new_file::arguments("The file to write, packed by gzip: heap.pb.gz"))
}

fn run(arguments: &ArgMatches) -> Result<ExitCode, Failure> {
    let from: &String = arguments.get_one("from").expect("required");
    let to: &PathBuf = arguments.get_one("output").expect("required");
    // The lists of a page add up small arrays, and lose what kind they are.
    let (json, from) = source::read(from, false)?;
    let profile = profile::of(&snapshot::parse(&json, &from)?);
    new_file::save(to, arguments.get_flag("force"), |file| {
        let mut packer = GzEncoder::new(file, Compression::default());
        packer.write_all(&profile.encode_to_vec())?;
        packer.finish()?.flush()
    })?;
    let Held { objects, bytes, spilled_bytes } = profile::total(&profile);
    let spilled = if spilled_bytes > 0 { format!(", and {} in files", size(spilled_bytes)) } else { String::new() };
    let sites = count(profile.location.len() as u64, "call site");
    let summary = format!("{}: {} in {}{spilled}, by {sites}", to.display(), size(bytes), count(objects, "block"));
    print(&format!("{}\n", printable(&summary)))?;
    Ok(ExitCode::SUCCESS)
}
