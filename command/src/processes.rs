//! Processes that use Tenure, and the memory that they share, from /proc.
//!
//! Contract: reads only. A process that ends meanwhile, or that the user may not look at, is left out. A program that
//! links the library statically is found by its shared memory or its listener only.

use crate::Failure;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A process that uses Tenure.
#[derive(Serialize)]
pub struct Process {
    pub process: u32,
    pub user: u32,
    pub command: String,
    /// The files of the library that it has mapped.
    pub libraries: Vec<String>,
    /// The segments that it has open or mapped, by their number.
    pub segments: Vec<u64>,
    /// Whether it answers `tenure report`.
    pub listens: bool,
}

/// A piece of memory that processes share.
#[derive(Serialize)]
pub struct Segment {
    /// The system's number of the memory file.
    pub segment: u64,
    pub bytes: u64,
    pub processes: Vec<u32>,
}

/// All of them.
#[derive(Serialize)]
pub struct Found {
    pub processes: Vec<Process>,
    pub segments: Vec<Segment>,
}

/// The ids of the processes of a user, or of all users.
fn all(user: Option<u32>) -> std::io::Result<Vec<u32>> {
    let listed = fs::read_dir("/proc")?;
    let own = std::process::id();
    let mut ids: Vec<u32> = listed
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let id = entry.file_name().to_str()?.parse().ok()?;
            let of_user = user.is_none_or(|user| entry.metadata().is_ok_and(|about| about.uid() == user));
            (of_user && id != own).then_some(id)
        })
        .collect();
    ids.sort_unstable();
    Ok(ids)
}

/// The ids of this user's processes, or of all users'.
pub fn of_users(all_users: bool) -> Result<Vec<u32>, Failure> {
    let own = match all_users {
        true => None,
        false => Some(tenure::sys::os::user().ok_or("this user has no number in this user namespace; use --all")?),
    };
    all(own).map_err(|error| format!("cannot read /proc: {error}; the command needs it mounted"))
}

/// The name of a process's program, of at most 15 bytes; "" if it has gone.
pub fn name(process: u32) -> String {
    let name = fs::read(format!("/proc/{process}/comm")).unwrap_or_default();
    String::from_utf8_lossy(name.trim_ascii_end()).into_owned()
}

/// Looks at processes; `seen` is told the number of those that were looked at.
pub fn scan(ids: &[u32], mut seen: impl FnMut(usize)) -> Found {
    let mut found = Found { processes: Vec::new(), segments: Vec::new() };
    let mut segments: BTreeMap<u64, Segment> = BTreeMap::new();
    for (at, &id) in ids.iter().enumerate() {
        seen(at);
        if let Some((process, own)) = look_at(id) {
            for (segment, bytes) in own {
                let segment = segments.entry(segment).or_insert(Segment { segment, bytes: 0, processes: Vec::new() });
                segment.bytes = segment.bytes.max(bytes);
                segment.processes.push(id);
            }
            found.processes.push(process);
        }
    }
    found.segments = segments.into_values().collect();
    found.segments.sort_by_key(|segment| std::cmp::Reverse(segment.bytes));
    found
}

/// A process with its segments and their sizes; None: it does not use Tenure, or cannot be looked at.
fn look_at(id: u32) -> Option<(Process, BTreeMap<u64, u64>)> {
    let folder = PathBuf::from(format!("/proc/{id}"));
    let maps = Maps::of(&text_of(&folder.join("maps"))?);
    let mut segments = maps.segments;
    let mut sockets = BTreeSet::new();
    for entry in fs::read_dir(folder.join("fd")).into_iter().flatten().flatten() {
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let Some(target) = target.to_str() else { continue };
        if is_segment(target) {
            if let Ok(about) = fs::metadata(entry.path()) {
                segments.insert(about.ino(), about.len());
            }
        } else if let Some(inode) = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')) {
            sockets.insert(inode.to_owned());
        }
    }
    let listens = is_listener(&folder, id, &sockets);
    if maps.libraries.is_empty() && segments.is_empty() && !listens {
        return None;
    }
    let process = Process {
        process: id,
        user: fs::metadata(&folder).ok()?.uid(),
        command: command(&folder),
        libraries: maps.libraries.into_iter().collect(),
        segments: segments.keys().copied().collect(),
        listens,
    };
    Some((process, segments))
}

/// The memory files of the library: "tenure" for shared memory; "tenure exports" counts importers of memory of GPUs.
fn is_segment(path: &str) -> bool {
    path.trim_end_matches(" (deleted)") == "/memfd:tenure"
}

/// Whether a mapped file is the library, under its own name or that of a copy.
fn is_library(path: &str) -> bool {
    let name = Path::new(path.trim_end_matches(" (deleted)")).file_name().and_then(|name| name.to_str()).unwrap_or("");
    name.starts_with("libtenure")
        && !name.starts_with("libtenure_malloc")
        && (name.ends_with(".so") || name.contains(".so."))
}

/// What /proc/PID/maps tells.
#[derive(Default)]
struct Maps {
    libraries: BTreeSet<String>,
    /// Segments with the bytes that are mapped at least.
    segments: BTreeMap<u64, u64>,
}

impl Maps {
    fn of(text: &str) -> Maps {
        let mut maps = Maps::default();
        for line in text.lines() {
            // "7f3c-7f3d r--p 00000000 08:01 1234      /usr/lib/libtenure.so.0"
            let mut fields = line.splitn(6, ' ');
            let (range, offset) = (fields.next(), fields.nth(1));
            let (inode, path) = (fields.nth(1), fields.next().map_or("", str::trim_start));
            if is_library(path) {
                maps.libraries.insert(path.to_owned());
            } else if is_segment(path) {
                let number = |text: &str| u64::from_str_radix(text, 16).ok();
                let end = || {
                    let (start, end) = range?.split_once('-')?;
                    Some(number(offset?)? + number(end)? - number(start)?)
                };
                if let Some(inode) = inode.and_then(|inode| inode.parse().ok()) {
                    let bytes = maps.segments.entry(inode).or_default();
                    *bytes = (*bytes).max(end().unwrap_or(0));
                }
            }
        }
        maps
    }
}

/// Whether one of the sockets, by their numbers, listens under the process's name, as its network namespace shows it.
/// Names of other sockets may have any bytes, also line breaks, so each line is compared.
fn is_listener(folder: &Path, id: u32, own: &BTreeSet<String>) -> bool {
    let name = format!("@tenure/{id}");
    let sockets = text_of(&folder.join("net/unix")).unwrap_or_default();
    sockets.lines().any(|line| {
        // Num RefCount Protocol Flags Type St Inode Path
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        fields.get(7) == Some(&name.as_str()) && own.contains(fields[6])
    })
}

/// The text of a file of /proc, whose paths and names are bytes of any kind. None: it cannot be read.
fn text_of(file: &Path) -> Option<String> {
    Some(String::from_utf8_lossy(&fs::read(file).ok()?).into_owned())
}

/// The command line, or the program's name.
fn command(folder: &Path) -> String {
    let text = text_of(&folder.join("cmdline")).unwrap_or_default().replace('\0', " ");
    match text.trim() {
        "" => text_of(&folder.join("comm")).unwrap_or_default().trim().to_owned(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_tell_libraries_and_segments() {
        let maps = Maps::of(
            "5581-5582 r--p 00000000 08:01 7                 /usr/bin/python3.12\n\
             7f00-7f10 r-xp 00001000 08:01 8                 /opt/a b/libtenure.so.0.1.0\n\
             7f10-7f20 r--p 00011000 08:01 8                 /opt/a b/libtenure.so.0.1.0\n\
             7f20-7f30 r--p 00000000 08:01 9                 /opt/libtenure_malloc.so\n\
             7000-9000 rw-s 00000000 00:01 77                /memfd:tenure (deleted)\n\
             a000-b000 rw-s 00004000 00:01 77                /memfd:tenure (deleted)\n\
             c000-d000 rw-s 00000000 00:01 78                /memfd:tenure exports (deleted)\n\
             d000-e000 rw-p 00000000 00:00 0\n",
        );
        assert_eq!(maps.libraries.into_iter().collect::<Vec<_>>(), ["/opt/a b/libtenure.so.0.1.0"]);
        assert_eq!(maps.segments, BTreeMap::from([(77, 0x5000)]));
    }
}
