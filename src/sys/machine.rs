//! The machine: its memory, what control groups and strict overcommit leave of that, and the small files of the system
//! that tell.
//!
//! Contract: reads, and allocates nothing. What no file tells is absent.

use super::cancellation::uncancelled;
use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, Ordering};

/// The machine's memory, limited by the control group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes in all.
    pub total: u64,
    /// Bytes available now; at most `total`.
    pub free: u64,
}

/// The memory of the machine. Reads some small files of the system; uses no heap.
pub fn memory() -> Memory {
    let mut memory = machine_memory();
    cut_to_control_groups(&mut memory);
    memory
}

// Neither this nor the next function is inlined: both frames together may exceed what is left of the smallest stack.
#[inline(never)]
fn machine_memory() -> Memory {
    let [total, free] = memory_info([b"MemTotal:", b"MemAvailable:"]).map(|bytes| bytes.unwrap_or(0));
    Memory { total, free: free.min(total) }
}

/// Fields of /proc/meminfo, in bytes.
#[inline(never)]
fn memory_info<const N: usize>(keys: [&[u8]; N]) -> [Option<u64>; N] {
    let mut text = [0u8; 4096];
    let info = read(c"/proc/meminfo", &mut text).unwrap_or(b"");
    keys.map(|key| {
        let line = info.split(|&b| b == b'\n').find(|line| line.starts_with(key))?;
        number(line[key.len()..].trim_ascii_start()).map(|kib| kib * 1024)
    })
}

/// Memory of all processes that is mapped and may be written, where the system limits it (vm.overcommit_memory 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Bytes at most.
    pub limit: u64,
    /// Bytes now.
    pub committed: u64,
}

/// None: the system allows overcommit.
pub fn commit() -> Option<Commit> {
    if reserves_freely() {
        return None;
    }
    let [limit, committed] = memory_info([b"CommitLimit:", b"Committed_AS:"]);
    Some(Commit { limit: limit?, committed: committed? })
}

/// Applies the limits of this process's control group and of all groups above it; the smallest counts.
#[inline(never)]
fn cut_to_control_groups(memory: &mut Memory) {
    let mut text = [0u8; 4096];
    let groups = read(c"/proc/self/cgroup", &mut text).unwrap_or(b"");
    for line in groups.split(|&b| b == b'\n') {
        // "0::/path" is the unified hierarchy, "7:memory:/path" the memory controller of the older one.
        let mut fields = line.splitn(3, |&b| b == b':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let (root, limit, usage): (&[u8], &[u8], &[u8]) = match controllers {
            b"" => (b"/sys/fs/cgroup", b"/memory.max", b"/memory.current"),
            _ if controllers.split(|&b| b == b',').any(|c| c == b"memory") => {
                (b"/sys/fs/cgroup/memory", b"/memory.limit_in_bytes", b"/memory.usage_in_bytes")
            }
            _ => continue,
        };
        let mut path = path.strip_suffix(b"/").unwrap_or(path);
        loop {
            let (max, used) = (number_in(&[root, path, limit]), number_in(&[root, path, usage]));
            if let Some(max) = max.filter(|&max| max < memory.total) {
                memory.total = max;
                memory.free = memory.free.min(max.saturating_sub(used.unwrap_or(0)));
            }
            match path.iter().rposition(|&b| b == b'/') {
                Some(slash) => path = &path[..slash],
                None => break,
            }
        }
    }
}

/// Whether the system allows overcommit: mapped addresses do not count as committed memory.
pub fn reserves_freely() -> bool {
    static ANSWER: AtomicU32 = AtomicU32::new(0);
    if ANSWER.load(Ordering::Relaxed) == 0 {
        let mut text = [0u8; 16];
        let mode = read(c"/proc/sys/vm/overcommit_memory", &mut text).and_then(number);
        ANSWER.store(1 + u32::from(mode == Some(2)), Ordering::Relaxed);
    }
    ANSWER.load(Ordering::Relaxed) == 1
}

/// Reads the beginning of a small file.
pub(super) fn read<'a>(path: &CStr, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    uncancelled(|| read_beginning(path, buffer))
}

fn read_beginning<'a>(path: &CStr, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    // SAFETY: a NUL-terminated path that lives during the call.
    let file = unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    if file < 0 {
        return None;
    }
    let mut length = 0;
    while length < buffer.len() {
        // SAFETY: writes into the rest of the buffer only.
        let got = unsafe { libc::read(file, buffer[length..].as_mut_ptr().cast(), buffer.len() - length) };
        match usize::try_from(got) {
            Ok(got) if got > 0 => length += got,
            _ => break,
        }
    }
    // SAFETY: opened above, closed once.
    unsafe { libc::close(file) };
    Some(&buffer[..length])
}

pub(super) fn number_in(path: &[&[u8]]) -> Option<u64> {
    let (mut name, mut text) = ([0u8; 1024], [0u8; 64]);
    number(read(joined(&mut name, path)?, &mut text)?)
}

/// Parses the digits at the beginning; None if there are none, as in "max".
fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    core::str::from_utf8(&text[..digits]).ok()?.parse().ok()
}

pub(super) fn joined<'a>(buffer: &'a mut [u8], parts: &[&[u8]]) -> Option<&'a CStr> {
    let mut length = 0;
    for part in parts {
        buffer.get_mut(length..length + part.len())?.copy_from_slice(part);
        length += part.len();
    }
    *buffer.get_mut(length)? = 0;
    CStr::from_bytes_until_nul(buffer).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_plausible() {
        let memory = memory();
        assert!(memory.total > 1 << 20 && memory.free <= memory.total);
    }

    #[test]
    fn numbers_are_the_digits_at_the_beginning() {
        assert_eq!(number(b"123\n"), Some(123));
        assert_eq!(number(b"max\n"), None);
    }
}
