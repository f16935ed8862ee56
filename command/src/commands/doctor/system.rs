//! Memory of the machine: huge pages, NUMA nodes, control groups, memory files; and other allocators in the
//! environment.

use super::{Finding, State};
use crate::text::size;
use std::fs;
use std::path::Path;

pub fn check() -> Vec<Finding> {
    vec![memory(), control_group(), huge_pages(), reserved_huge_pages(), nodes(), overcommit(), shared_memory()]
}

/// The text of a file of the system.
fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn memory() -> Finding {
    let memory = tenure::sys::machine::memory();
    Finding::new(State::Works, "memory", format!("{} available of {}", size(memory.free), size(memory.total)))
}

/// The limit of the process's control group, of version 2 or 1. The group of a container is at the root of what it
/// sees.
fn control_group() -> Finding {
    let own = read("/proc/self/cgroup").unwrap_or_default();
    let path = |start: &str| own.lines().find_map(|line| line.split_once(start).map(|(_, path)| path.to_owned()));
    let group = path("0::").unwrap_or_default();
    let memory = path(":memory:").unwrap_or_default();
    let places = [
        format!("/sys/fs/cgroup{group}/memory.max"),
        "/sys/fs/cgroup/memory.max".to_owned(),
        format!("/sys/fs/cgroup/memory{memory}/memory.limit_in_bytes"),
        "/sys/fs/cgroup/memory/memory.limit_in_bytes".to_owned(),
    ];
    let found = places.iter().find_map(|place| read(place));
    match found.as_deref().map(str::parse::<u64>) {
        // Version 1 writes a number near the largest one for "no limit".
        Some(Ok(bytes)) if bytes < 1 << 60 => Finding::new(
            State::Works,
            "control group",
            format!("limits memory to {}; the library counts that as the machine's", size(bytes)),
        ),
        Some(_) => Finding::new(State::Works, "control group", "sets no limit of memory"),
        None => Finding::new(State::Absent, "control group", "its limit is not known"),
    }
}

fn huge_pages() -> Finding {
    let setting = read("/sys/kernel/mm/transparent_hugepage/enabled");
    let chosen = setting.as_deref().and_then(|text| text.split_once('[')?.1.split(']').next());
    match chosen {
        Some("always" | "madvise") => {
            Finding::new(State::Works, "huge pages", format!("{}: large blocks get them", chosen.unwrap_or_default()))
        }
        Some(other) => {
            let text = format!(
                "{other}: large arrays are slower; write madvise to /sys/kernel/mm/transparent_hugepage/enabled"
            );
            Finding::new(State::Limited, "huge pages", text)
        }
        None => Finding::new(State::Absent, "huge pages", "the system does not tell"),
    }
}

fn reserved_huge_pages() -> Finding {
    let number = |name: &str| {
        read(&format!("/sys/kernel/mm/hugepages/hugepages-2048kB/{name}")).and_then(|text| text.parse::<u64>().ok())
    };
    match (number("nr_hugepages"), number("free_hugepages")) {
        (Some(all), Some(free)) if all > 0 => Finding::new(
            State::Works,
            "reserved huge pages",
            format!("{free} of {all} free, for pools with huge_pages"),
        ),
        _ => Finding::new(State::Absent, "reserved huge pages", "none; only pools that ask for them need some"),
    }
}

fn nodes() -> Finding {
    let listed = fs::read_dir("/sys/devices/system/node").into_iter().flatten().flatten();
    let nodes = listed.filter(|entry| {
        let name = entry.file_name();
        name.to_str().and_then(|name| name.strip_prefix("node")).is_some_and(|number| number.parse::<u32>().is_ok())
    });
    match nodes.count() as u64 {
        0 => Finding::new(State::Absent, "NUMA nodes", "the system does not tell; it counts as one"),
        nodes => Finding::new(State::Works, "NUMA nodes", nodes.to_string()),
    }
}

fn overcommit() -> Finding {
    let maps = read("/proc/sys/vm/max_map_count").unwrap_or("unknown".to_owned());
    let maps = format!("vm.max_map_count {maps}");
    match read("/proc/sys/vm/overcommit_memory").as_deref() {
        Some("2") => Finding::new(
            State::Limited,
            "overcommit",
            format!("vm.overcommit_memory 2: pools reserve no addresses ahead, so they grow in more pieces; {maps}"),
        ),
        Some(mode) => Finding::new(State::Works, "overcommit", format!("vm.overcommit_memory {mode}; {maps}")),
        None => Finding::new(State::Absent, "overcommit", "the system does not tell"),
    }
}

/// Whether a memory file can be made, by which processes share arrays.
fn shared_memory() -> Finding {
    match tenure::sys::memory_file::create(c"tenure doctor", 4096) {
        Ok(_) => Finding::new(State::Works, "shared memory", "memory files can be made: processes can share arrays"),
        Err(errno) => Finding::new(
            State::Broken,
            "shared memory",
            format!("no memory file can be made: {errno}; processes share no arrays"),
        ),
    }
}

/// Allocators that LD_PRELOAD names.
pub fn check_preload() -> Vec<Finding> {
    let listed = std::env::var("LD_PRELOAD").unwrap_or_default();
    let files: Vec<&str> = listed.split([' ', ':']).filter(|file| !file.is_empty()).collect();
    if files.is_empty() {
        return vec![Finding::new(State::Absent, "LD_PRELOAD", "names no library")];
    }
    files.into_iter().map(preloaded).collect()
}

fn preloaded(file: &str) -> Finding {
    if file.contains('/') && !Path::new(file).exists() {
        return Finding::new(State::Broken, file, "LD_PRELOAD names a file that does not exist; remove it from there");
    }
    let known = [
        ("tenure_malloc", "malloc on Tenure's pools; it shares nothing with libtenure, and no report shows its memory"),
        (
            "jemalloc",
            "replaces malloc; arrays are in Tenure's pools all the same, and no report shows the memory of malloc",
        ),
        (
            "tcmalloc",
            "replaces malloc; arrays are in Tenure's pools all the same, and no report shows the memory of malloc",
        ),
        (
            "mimalloc",
            "replaces malloc; arrays are in Tenure's pools all the same, and no report shows the memory of malloc",
        ),
    ];
    let text = known
        .iter()
        .find(|(name, _)| file.contains(name))
        .map_or("is no allocator that this program knows", |(_, text)| text);
    Finding::new(State::Works, file, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_preload_is_broken_and_a_known_one_is_described() {
        assert_eq!(preloaded("/no/such/libx.so").state, State::Broken);
        let found = preloaded("libjemalloc.so.2");
        assert!(found.state == State::Works && found.text.contains("malloc"), "{}", found.text);
    }
}
