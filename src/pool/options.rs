//! The options of a pool: what was requested, and what it means on a device.
//!
//! Contract: pure, except for the question whether there is a driver. A wrong value returns a status code; the
//! message has the field's name and the value (PO-3). 0 means the default everywhere. Options without code in this
//! build return TN_ERR_UNSUPPORTED and are never silently ignored.
#![forbid(unsafe_code)]

use crate::device::host::GRANULE;
use crate::device::{Terms, type_name};
use crate::error::{Result, fail};
use crate::flags;
use crate::names::{NAME_BYTES, Name};
use crate::types::*;

/// Largest alignment of a block.
pub const LARGEST_ALIGNMENT: usize = 4 << 20;

/// The options of a pool: the fields of `tn_pool_options`.
#[derive(Clone, Copy, Debug)]
pub struct PoolOptions {
    /// None: the library makes one.
    pub name: Name,
    /// Bytes committed at creation; rounded up to 64 KiB on the host.
    pub initial_size: u64,
    /// Upper bound of one growth step.
    pub max_growth: u64,
    /// Upper bound of committed bytes; 0: none.
    pub max_size: u64,
    /// At least 1; 0: default.
    pub growth_factor: f64,
    /// Power of two, 8 to 4 MiB; 0: default.
    pub alignment: u64,
    /// Bytes of free blocks that a thread may keep. 0: the default; TN_POOL_NONE: none.
    pub thread_cache_size: u64,
    /// 0: default, TN_POOL_NONE: never.
    pub release_threshold: u64,
    /// 0: default, TN_POOL_NONE: never.
    pub release_delay_ms: u64,
    /// CUDA devices that may access the memory.
    pub peers: u64,
    /// TN_HUGE_.
    pub huge_pages: tn_huge_pages,
    /// TN_BACKEND_.
    pub backend: tn_backend,
    /// 0: no preference; n: node n - 1.
    pub numa_node: i32,
    /// TN_HOST_, TN_MANAGED_.
    pub host_flags: u32,
    /// TN_POOL_.
    pub flags: u32,
}

impl Default for PoolOptions {
    fn default() -> Self {
        PoolOptions {
            name: Name::NONE,
            initial_size: 0,
            max_growth: 0,
            max_size: 0,
            growth_factor: 0.0,
            alignment: 0,
            thread_cache_size: 0,
            release_threshold: 0,
            release_delay_ms: 0,
            peers: 0,
            huge_pages: 0,
            backend: 0,
            numa_node: 0,
            host_flags: 0,
            flags: 0,
        }
    }
}

impl PoolOptions {
    /// From C's struct. `name`: the bytes of the name without the NUL; None for NULL.
    pub fn of(raw: &tn_pool_options, name: Option<&[u8]>) -> Result<PoolOptions> {
        if raw.reserved != 0 {
            return Err(invalid("reserved", raw.reserved, "it must be 0"));
        }
        let mut options = PoolOptions {
            initial_size: raw.initial_size,
            max_growth: raw.max_growth,
            max_size: raw.max_size,
            growth_factor: raw.growth_factor,
            alignment: raw.alignment,
            thread_cache_size: raw.thread_cache_size,
            release_threshold: raw.release_threshold,
            release_delay_ms: raw.release_delay_ms,
            peers: raw.peers,
            huge_pages: raw.huge_pages,
            backend: raw.backend,
            numa_node: raw.numa_node,
            host_flags: raw.host_flags,
            flags: raw.flags,
            ..PoolOptions::default()
        };
        options.set_name(name.unwrap_or(b""))?;
        Ok(options)
    }

    /// Sets the name. "": the library makes one.
    pub fn set_name(&mut self, name: &[u8]) -> Result<()> {
        if name.len() > NAME_BYTES {
            return Err(fail(
                TN_ERR_INVALID,
                format_args!("option name has {} bytes; it may have {NAME_BYTES}", name.len()),
            ));
        }
        match core::str::from_utf8(name) {
            Ok(text) => self.name = Name::head(text),
            Err(at) => {
                let first = at.valid_up_to();
                return Err(fail(
                    TN_ERR_INVALID,
                    format_args!("option name is not UTF-8: byte {first} is {:#04x}; encode it in UTF-8", name[first]),
                ));
            }
        }
        Ok(())
    }
}

/// Checked options, with the host's defaults filled in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub terms: Terms,
    pub floor: usize,
    pub limit: usize,
    pub alignment: usize,
    /// Cached bytes above which memory goes back; usize::MAX: never.
    pub threshold: usize,
    /// The threshold is 25 % of the bytes in use where that is more. The option is 0.
    pub threshold_grows: bool,
    /// Bytes of free blocks that a thread keeps; 0: none.
    pub thread_cache: usize,
    /// u64::MAX: never.
    pub delay_ms: u64,
    pub node: u32,
    /// TN_HOST_, TN_MANAGED_.
    pub host_flags: u32,
    pub flags: u32,
    /// At least 1.
    pub growth: f64,
    /// Addresses that one growth step reserves at most, unless one request needs more.
    pub max_growth: usize,
    /// TN_HUGE_.
    pub huge: tn_huge_pages,
}

/// Flags of pools in which each block is memory of its own.
pub(super) const APART: u32 = TN_POOL_DIRECT | TN_POOL_SHAREABLE;

/// Growth factor of a host pool by default, and the most bytes that one step reserves.
const GROWTH: f64 = 2.0;
const MAX_GROWTH_BYTES: usize = 1 << 30;
/// Most bytes that one growth step of a pool over an upstream or a device requests by default.
const UPSTREAM_GROWTH_BYTES: usize = 256 << 20;
/// Bytes that a host pool may cache by default, at least.
const THRESHOLD_BYTES: usize = 64 << 20;
/// Bytes of free blocks that a thread keeps by default.
const THREAD_CACHE_BYTES: usize = 1 << 20;
/// How long a host pool keeps unused spans by default, ms.
const DELAY_MS: u64 = 10_000;

#[cold]
fn invalid(field: &str, value: impl core::fmt::Display, hint: &str) -> crate::error::Status {
    fail(TN_ERR_INVALID, format_args!("option {field} is {value}; {hint}"))
}

/// The device on which a pool of these options lives. TN_CUDA_HOST with TN_HOST_BEST_EFFORT is plain host memory
/// where there is no driver (PN-13).
pub(super) fn resolve_device(device: tn_device, options: &PoolOptions) -> tn_device {
    let best_effort = options.host_flags & TN_HOST_BEST_EFFORT != 0;
    let pinned = device == (tn_device { r#type: TN_CUDA_HOST, id: 0 });
    // Without a driver there is no GPU that pinned memory would be faster for.
    if pinned && best_effort && crate::device::Source::of(device, 0).is_err() {
        return tn_device { r#type: TN_CPU, id: 0 };
    }
    device
}

/// Checks each field by itself. Reports TN_ERR_INVALID for any field before TN_ERR_RANGE for any.
pub(super) fn check(device: tn_device, options: &PoolOptions, has_node: impl Fn(u32) -> bool) -> Result<Settings> {
    let o = options;
    // A field in bytes, as a number that a program can use.
    let bytes = |field: &str, value: u64| {
        usize::try_from(value).map_err(|_| invalid(field, value, "no machine has that many bytes"))
    };
    if o.growth_factor != 0.0 && !(o.growth_factor >= 1.0 && o.growth_factor.is_finite()) {
        return Err(invalid(
            "growth_factor",
            o.growth_factor,
            "it must be a finite number of at least 1, or 0 for the default",
        ));
    }
    if o.alignment != 0 && !(o.alignment.is_power_of_two() && (8..=LARGEST_ALIGNMENT as u64).contains(&o.alignment)) {
        return Err(invalid(
            "alignment",
            o.alignment,
            "it must be a power of two from 8 to 4194304, or 0 for the default",
        ));
    }
    if o.initial_size > isize::MAX as u64 / 2 {
        return Err(invalid("initial_size", o.initial_size, "no machine has that many bytes"));
    }
    let floor = bytes("initial_size", o.initial_size)?.next_multiple_of(GRANULE);
    let limit = bytes("max_size", o.max_size)?;
    if limit != 0 && limit < floor {
        let hint = "it must be at least initial_size, which is rounded up to 65536 bytes";
        return Err(invalid("max_size", o.max_size, hint));
    }
    if !(TN_HUGE_AUTO..=TN_HUGE_EXPLICIT).contains(&o.huge_pages) {
        return Err(invalid("huge_pages", o.huge_pages, "use TN_HUGE_AUTO, TN_HUGE_NEVER or TN_HUGE_EXPLICIT"));
    }
    if !(TN_BACKEND_AUTO..=TN_BACKEND_DRIVER_POOL).contains(&o.backend) {
        return Err(invalid("backend", o.backend, "use TN_BACKEND_AUTO, TN_BACKEND_PLAIN or TN_BACKEND_DRIVER_POOL"));
    }
    if o.numa_node < 0 {
        return Err(invalid("numa_node", o.numa_node, "n means node n - 1, 0 no preference"));
    }
    let takes = match device.r#type {
        TN_CUDA_HOST => TN_HOST_MAPPED | TN_HOST_PORTABLE | TN_HOST_WRITE_COMBINED | TN_HOST_BEST_EFFORT,
        TN_CUDA_MANAGED => TN_MANAGED_HOST,
        _ => 0,
    };
    if o.host_flags & !takes != 0 {
        let wrong = o.host_flags & !takes;
        let kind = type_name(device.r#type);
        return Err(fail(
            TN_ERR_INVALID,
            format_args!("option host_flags has bits {wrong:#x}, which mean nothing on device {kind}"),
        ));
    }
    let shared = TN_POOL_SHAREABLE | TN_POOL_READONLY_EXPORTS | TN_POOL_IPC;
    let known = TN_POOL_PREFAULT | TN_POOL_DIRECT | TN_POOL_STRICT | TN_POOL_ZERO_ON_FREE | shared;
    flags::check("option flags", o.flags, known, &flags::POOL)?;
    if o.numa_node > 0 && !has_node(o.numa_node as u32 - 1) {
        let node = o.numa_node - 1;
        return Err(fail(
            TN_ERR_RANGE,
            format_args!("option numa_node is {}: there is no node {node} on this machine", o.numa_node),
        ));
    }
    Ok(Settings {
        terms: Terms::NONE,
        floor,
        limit,
        alignment: match o.alignment {
            0 if device.r#type == TN_CUDA => 256,
            0 => 64,
            bytes => bytes as usize,
        },
        threshold: match o.release_threshold {
            0 => THRESHOLD_BYTES,
            TN_POOL_NONE.. => usize::MAX,
            bytes => usize::try_from(bytes).unwrap_or(usize::MAX),
        },
        threshold_grows: o.release_threshold == 0,
        thread_cache: match o.thread_cache_size {
            0 => THREAD_CACHE_BYTES,
            TN_POOL_NONE.. => 0,
            bytes => usize::try_from(bytes).unwrap_or(usize::MAX).min(isize::MAX as usize / 4),
        },
        delay_ms: match o.release_delay_ms {
            0 => DELAY_MS,
            TN_POOL_NONE.. => u64::MAX,
            ms => ms,
        },
        node: o.numa_node as u32,
        host_flags: o.host_flags,
        flags: o.flags | if o.flags & TN_POOL_IPC != 0 { TN_POOL_DIRECT } else { 0 },
        growth: if o.growth_factor == 0.0 { GROWTH } else { o.growth_factor },
        max_growth: match o.max_growth {
            0 => MAX_GROWTH_BYTES,
            bytes => usize::try_from(bytes).unwrap_or(usize::MAX).min(isize::MAX as usize / 4),
        },
        huge: o.huge_pages,
    })
}

/// Checks what this build or the host cannot do. Called after `check`, and after the device was found.
pub(super) fn check_possible(device: tn_device, options: &PoolOptions) -> Result<()> {
    let o = options;
    if o.flags & TN_POOL_IPC != 0 {
        check_ipc(device, o)?;
    }
    if o.flags & TN_POOL_SHAREABLE != 0 {
        check_shareable(device, o)?;
    } else if o.flags & TN_POOL_READONLY_EXPORTS != 0 {
        let text = format_args!("TN_POOL_READONLY_EXPORTS goes with TN_POOL_SHAREABLE only; pass both, or neither");
        return Err(fail(TN_ERR_INVALID, text));
    }
    if device.r#type == TN_CUDA {
        return Ok(());
    }
    if o.backend == TN_BACKEND_DRIVER_POOL || o.peers != 0 {
        let (field, value) = if o.peers != 0 { ("peers", o.peers) } else { ("backend", o.backend as u64) };
        return Err(fail(TN_ERR_UNSUPPORTED, format_args!("option {field} is {value}, which needs a CUDA device")));
    }
    Ok(())
}

/// Each block of a pool with TN_POOL_IPC is an allocation of the driver, of the kind that crosses to other processes.
fn check_ipc(device: tn_device, o: &PoolOptions) -> Result<()> {
    let asked = [
        (device.r#type != TN_CUDA, "another device than a GPU"),
        (o.backend == TN_BACKEND_DRIVER_POOL, "the option backend TN_BACKEND_DRIVER_POOL"),
        (o.peers != 0, "the option peers"),
        (o.initial_size != 0, "the option initial_size"),
        overwrites_freed_bytes(o),
    ];
    check_not_with("TN_POOL_IPC", &asked)
}

/// Each block of a shareable pool is memory of its own.
fn check_shareable(device: tn_device, o: &PoolOptions) -> Result<()> {
    let asked = [
        (device.r#type != TN_CPU, "another device than the host"),
        (o.initial_size != 0, "the option initial_size"),
        (o.huge_pages == TN_HUGE_EXPLICIT, "the option huge_pages"),
        overwrites_freed_bytes(o),
    ];
    check_not_with("TN_POOL_SHAREABLE", &asked)
}

/// Importers read the bytes after the exporter has freed them.
fn overwrites_freed_bytes(o: &PoolOptions) -> (bool, &'static str) {
    (o.flags & (TN_POOL_STRICT | TN_POOL_ZERO_ON_FREE) != 0, "TN_POOL_STRICT and TN_POOL_ZERO_ON_FREE")
}

/// TN_ERR_UNSUPPORTED for the first of `asked` that is so.
fn check_not_with(flag: &str, asked: &[(bool, &str)]) -> Result<()> {
    match asked.iter().find(|(asked, _)| *asked) {
        Some((_, what)) => {
            Err(fail(TN_ERR_UNSUPPORTED, format_args!("{flag} is not for {what}; leave one of the two out")))
        }
        None => Ok(()),
    }
}

/// The settings of a pool over a caller's upstream. By default it keeps free memory until it is trimmed. Options that
/// only the system's own memory can serve return TN_ERR_UNSUPPORTED.
pub(super) fn over_upstream(settings: Settings, options: &PoolOptions, terms: Terms) -> Result<Settings> {
    let o = options;
    let clear = o.flags & TN_POOL_ZERO_ON_FREE != 0 && !terms.touch;
    let asked = [
        (o.flags & TN_POOL_PREFAULT != 0, "the flag TN_POOL_PREFAULT"),
        (o.flags & TN_POOL_SHAREABLE != 0, "the flag TN_POOL_SHAREABLE"),
        (o.huge_pages == TN_HUGE_EXPLICIT, "the option huge_pages"),
        (o.numa_node != 0, "the option numa_node"),
        (o.host_flags != 0, "the option host_flags"),
        (clear, "the flag TN_POOL_ZERO_ON_FREE, for memory that the host cannot clear,"),
    ];
    if let Some((_, what)) = asked.iter().find(|(asked, _)| *asked) {
        return Err(fail(TN_ERR_UNSUPPORTED, format_args!("{what} is not for a pool over an upstream; leave it out")));
    }
    Ok(Settings { terms, ..kept(settings, o) })
}

/// The settings where memory does not come from the system. By default all memory is kept until it is trimmed, and
/// grows by what is requested.
fn kept(settings: Settings, o: &PoolOptions) -> Settings {
    Settings {
        threshold: if o.release_threshold == 0 { usize::MAX } else { settings.threshold },
        threshold_grows: false,
        delay_ms: if o.release_delay_ms == 0 { u64::MAX } else { settings.delay_ms },
        growth: if o.growth_factor == 0.0 { 1.0 } else { settings.growth },
        max_growth: if o.max_growth == 0 { UPSTREAM_GROWTH_BYTES } else { settings.max_growth },
        huge: TN_HUGE_NEVER,
        ..settings
    }
}

/// The settings of a stream-ordered pool. By default it keeps free memory until it is trimmed. `can_prefer`: whether
/// the system lets this thread prefer a NUMA node.
pub(super) fn on_device(
    device: tn_device,
    settings: Settings,
    options: &PoolOptions,
    can_prefer: impl Fn(u32) -> bool,
) -> Result<Settings> {
    let o = options;
    let is_host = device.r#type == TN_CUDA_HOST;
    let asked = [(o.huge_pages == TN_HUGE_EXPLICIT, "huge_pages"), (o.numa_node != 0 && !is_host, "numa_node")];
    if let Some((_, field)) = asked.iter().find(|(asked, _)| *asked) {
        return Err(fail(
            TN_ERR_UNSUPPORTED,
            format_args!(
                "option {field} is for memory of the system, and this comes from the CUDA driver; leave it out"
            ),
        ));
    }
    if o.numa_node > 0 && !can_prefer(o.numa_node as u32 - 1) {
        return Err(fail(
            TN_ERR_UNSUPPORTED,
            format_args!(
                "option numa_node is {}, and the system does not let this process choose a node (set_mempolicy); leave it out",
                o.numa_node
            ),
        ));
    }
    Ok(kept(settings, o))
}

/// The settings of a record without a pool.
pub(super) const NOTHING: Settings = Settings {
    terms: Terms::NONE,
    floor: 0,
    limit: 0,
    alignment: 0,
    threshold: 0,
    threshold_grows: false,
    thread_cache: 0,
    delay_ms: 0,
    node: 0,
    host_flags: 0,
    flags: 0,
    growth: 1.0,
    max_growth: 0,
    huge: TN_HUGE_NEVER,
};

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };

    fn status(change: impl Fn(&mut PoolOptions)) -> tn_status {
        let mut options = PoolOptions::default();
        change(&mut options);
        check(HOST, &options, |node| node < 2)
            .and_then(|_| check_possible(HOST, &options))
            .map_or_else(|s| s.code(), |()| TN_OK)
    }

    #[test]
    fn po_3_values_out_of_range() {
        assert_eq!(status(|_| ()), TN_OK);
        for factor in [0.5, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(status(|o| o.growth_factor = factor), TN_ERR_INVALID);
        }
        for alignment in [1, 4, 12, 8 << 20] {
            assert_eq!(status(|o| o.alignment = alignment), TN_ERR_INVALID);
        }
        assert_eq!(status(|o| (o.initial_size, o.max_size) = (2 << 20, 1 << 20)), TN_ERR_INVALID);
        assert_eq!(status(|o| o.initial_size = u64::MAX), TN_ERR_INVALID);
        assert_eq!(status(|o| o.huge_pages = 3), TN_ERR_INVALID);
        assert_eq!(status(|o| o.backend = u32::MAX), TN_ERR_INVALID);
        assert_eq!(status(|o| o.flags = 1 << 6), TN_ERR_INVALID);
        assert_eq!(status(|o| o.host_flags = TN_HOST_MAPPED), TN_ERR_INVALID);
        assert_eq!(status(|o| o.numa_node = -1), TN_ERR_INVALID);
        assert_eq!(status(|o| o.numa_node = 2), TN_OK);
        assert_eq!(status(|o| o.numa_node = 3), TN_ERR_RANGE);
        assert_eq!(status(|o| o.flags = TN_POOL_IPC), TN_ERR_UNSUPPORTED);
        assert_eq!(status(|o| o.flags = TN_POOL_SHAREABLE), TN_OK);
        assert_eq!(status(|o| o.flags = TN_POOL_SHAREABLE | TN_POOL_READONLY_EXPORTS), TN_OK);
        assert_eq!(status(|o| o.flags = TN_POOL_READONLY_EXPORTS), TN_ERR_INVALID);
        assert_eq!(status(|o| (o.flags, o.initial_size) = (TN_POOL_SHAREABLE, 1 << 20)), TN_ERR_UNSUPPORTED);
        assert_eq!(status(|o| (o.flags, o.huge_pages) = (TN_POOL_SHAREABLE, TN_HUGE_EXPLICIT)), TN_ERR_UNSUPPORTED);
        for flag in [TN_POOL_STRICT, TN_POOL_ZERO_ON_FREE] {
            assert_eq!(status(|o| o.flags = TN_POOL_SHAREABLE | flag), TN_ERR_UNSUPPORTED);
        }
    }

    #[test]
    fn names_are_short_utf_8() {
        let mut options = PoolOptions::default();
        assert!(options.set_name(&[b'a'; 63]).is_ok());
        assert_eq!(options.set_name(&[b'a'; 64]).unwrap_err().code(), TN_ERR_INVALID);
        assert_eq!(options.set_name(b"a\xff").unwrap_err().code(), TN_ERR_INVALID);
    }
}
