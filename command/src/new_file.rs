//! Files that commands write.
//!
//! Contract: a file that was there has all of the new contents, or stays as it was. A new file has all of them, or is
//! removed: half a file looks like a whole one. What is no file, such as a device, is written to.

use crate::Failure;
use clap::{Arg, ArgAction, value_parser};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The arguments of a command that writes a file: `output`, a path, and `force`.
pub fn arguments(output: &'static str) -> [Arg; 2] {
    let output = Arg::new("output").short('o').long("output").value_name("OUT").required(true).help(output);
    let force = Arg::new("force").long("force").action(ArgAction::SetTrue).help("Overwrites OUT if it is there");
    [output.value_parser(value_parser!(PathBuf)), force]
}

/// Saves what `write` writes. A file that is there is replaced only if `force`.
pub fn save(to: &Path, force: bool, write: impl FnOnce(File) -> io::Result<()>) -> Result<(), Failure> {
    save_as(to, force, write).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => format!("{} is there already; name another file, or add --force", to.display()),
        _ => format!("cannot write {}: {error}", to.display()),
    })
}

fn save_as(to: &Path, force: bool, write: impl FnOnce(File) -> io::Result<()>) -> io::Result<()> {
    if !force {
        return write(File::create_new(to)?).inspect_err(|_| remove(to));
    }
    // Links are followed.
    let Some(old) = to.canonicalize().ok() else { return write(File::create(to)?).inspect_err(|_| remove(to)) };
    if !old.is_file() {
        return write(File::create(to)?);
    }
    let beside = beside(&old);
    let file = File::create_new(&beside)?;
    let replace = || {
        file.set_permissions(fs::metadata(&old)?.permissions())?;
        write(file)?;
        fs::rename(&beside, &old)
    };
    replace().inspect_err(|_| remove(&beside))
}

/// A name in the folder of the file, which no other process uses.
fn beside(old: &Path) -> PathBuf {
    let mut name = old.as_os_str().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    name.into()
}

/// The call fails already, and reports that failure.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}
