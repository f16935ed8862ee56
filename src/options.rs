//! Process-wide options, set and read as text by name.
//!
//! Contract: the list of names is closed. An invalid value is refused and changes nothing. Reading an option on a hot
//! path costs one load. The options of a default pool are fixed when the pool is created; setting them later is
//! refused. Any thread.
#![forbid(unsafe_code)]

use crate::error::{Result, Text, fail};
use crate::types::*;
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

static STRICT: AtomicBool = AtomicBool::new(false);
static CHECK: AtomicBool = AtomicBool::new(false);
static CHECK_MANAGED: AtomicBool = AtomicBool::new(false);
static ABORT_ON_MISUSE: AtomicBool = AtomicBool::new(false);
static TORCH_EXITS: AtomicBool = AtomicBool::new(false);
static LISTENS: AtomicBool = AtomicBool::new(false);
static BACKGROUND: AtomicBool = AtomicBool::new(false);
static TRANSFER_CHUNK_BYTES: AtomicU64 = AtomicU64::new(4 << 20);
static TRANSFER_CHUNKS: AtomicU64 = AtomicU64::new(8);

/// The valid values of `transfer.chunk`: from one page to the most that is reasonable to page-lock temporarily.
const VALID_CHUNK_BYTES: core::ops::RangeInclusive<u64> = 4 << 10..=1 << 30;
/// The largest value of `transfer.chunks`.
pub const MAX_TRANSFER_CHUNKS: usize = 64;
static STREAM_PER_THREAD: AtomicBool = AtomicBool::new(false);
static STREAM_WAITS_BLOCK: AtomicBool = AtomicBool::new(false);
/// A [`Kernels`].
static TRANSFER_KERNELS: AtomicU32 = AtomicU32::new(Kernels::Auto as u32);
/// A [`Blas`].
static EXPR_BLAS: AtomicU32 = AtomicU32::new(Blas::Auto as u32);

/// Whether a release is refused while the array is borrowed, given or exported.
#[inline]
pub fn strict() -> bool {
    STRICT.load(Ordering::Relaxed)
}

/// Whether arrays of pools that are made now are accessible only while something may use them.
pub fn check() -> bool {
    CHECK.load(Ordering::Relaxed)
}

/// Whether the values of shared variables are checked for writes that the library did not see.
pub fn check_managed() -> bool {
    CHECK_MANAGED.load(Ordering::Relaxed)
}

/// Whether an invalid free ends the process.
pub fn abort_on_misuse() -> bool {
    ABORT_ON_MISUSE.load(Ordering::Relaxed)
}

/// Whether a failed `tn_torch_alloc` ends the process; else it returns NULL.
pub fn torch_exits() -> bool {
    TORCH_EXITS.load(Ordering::Relaxed)
}

/// Whether a thread's default stream is its per-thread stream; else it is the legacy stream.
pub fn stream_per_thread() -> bool {
    STREAM_PER_THREAD.load(Ordering::Relaxed)
}

/// Whether a thread that waits for a stream or an event sleeps; else the driver lets it spin.
pub fn stream_waits_block() -> bool {
    STREAM_WAITS_BLOCK.load(Ordering::Relaxed)
}

/// Whether the process answers requests of the `tenure` command, or is to do so.
pub fn listens() -> bool {
    LISTENS.load(Ordering::Relaxed)
}

/// Sets whether the process answers requests of the `tenure` command.
pub fn set_listens(on: bool) {
    LISTENS.store(on, Ordering::Relaxed);
}

/// Whether a thread of the library gives memory back that has decayed.
pub fn background() -> bool {
    BACKGROUND.load(Ordering::Relaxed)
}

/// Sets whether a thread of the library gives memory back that has decayed.
pub fn set_background(on: bool) {
    BACKGROUND.store(on, Ordering::Relaxed);
}

/// The size in bytes of the chunks in which copies between host and device are staged.
pub fn transfer_chunk() -> u64 {
    TRANSFER_CHUNK_BYTES.load(Ordering::Relaxed)
}

/// The most staging chunks of a device.
pub fn transfer_chunks() -> usize {
    TRANSFER_CHUNKS.load(Ordering::Relaxed) as usize
}

fn chunks(name: &str, text: &str) -> Result<u64> {
    let count = number(name, text)?;
    if (1..=MAX_TRANSFER_CHUNKS as u64).contains(&count) {
        return Ok(count);
    }
    Err(fail(TN_ERR_INVALID, format_args!("option {name} must be between 1 and {MAX_TRANSFER_CHUNKS}, not \"{text}\"")))
}

/// When copies and fills on a GPU are made by kernels of the library.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kernels {
    /// Where they are estimated to be faster. A GPU loads them once they would have saved as much time as loading
    /// takes.
    Auto,
    /// Wherever they can.
    On,
    /// Never.
    Off,
}

impl Kernels {
    const ALL: [Kernels; 3] = [Kernels::Auto, Kernels::On, Kernels::Off];
    const NAMES: [&str; 3] = ["auto", "on", "off"];
}

/// When copies and fills on a GPU are made by kernels of the library.
pub fn transfer_kernels() -> Kernels {
    Kernels::ALL[TRANSFER_KERNELS.load(Ordering::Relaxed) as usize]
}

/// Which library computes the products of matrices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blas {
    /// Large ones by an OpenBLAS that the process has loaded already; others by faer.
    Auto,
    /// OpenBLAS.
    OpenBlas,
    /// faer.
    Faer,
}

impl Blas {
    const ALL: [Blas; 3] = [Blas::Auto, Blas::OpenBlas, Blas::Faer];
    const NAMES: [&str; 3] = ["auto", "openblas", "faer"];

    /// The value as text.
    pub fn name(self) -> &'static str {
        Blas::NAMES[self as usize]
    }
}

/// Which library computes the products of matrices.
pub fn blas() -> Blas {
    Blas::ALL[EXPR_BLAS.load(Ordering::Relaxed) as usize]
}

/// Of the options with two values.
const STREAM_DEFAULTS: [&str; 2] = ["legacy", "per-thread"];
const STREAM_WAITS: [&str; 2] = ["spin", "block"];
const TORCH_FAILURES: [&str; 2] = ["null", "exit"];

/// The place of a text among the names of an option's values.
fn choice(name: &str, text: &str, names: &[&str]) -> Result<usize> {
    names.iter().position(|known| *known == text).ok_or_else(|| {
        let (last, others) = names.split_last().expect("an option has values");
        let mut list = Text::new();
        for (place, other) in others.iter().enumerate() {
            let _ = write!(list, "{}{other}", if place > 0 { ", " } else { "" });
        }
        fail(TN_ERR_INVALID, format_args!("option {name} must be {} or {last}, not \"{text}\"", list.as_str()))
    })
}

fn chunk(name: &str, text: &str) -> Result<u64> {
    let bytes = number(name, text)?;
    if VALID_CHUNK_BYTES.contains(&bytes) {
        return Ok(bytes);
    }
    Err(fail(TN_ERR_INVALID, format_args!("option {name} must be between 4KiB and 1GiB, not \"{text}\"")))
}

/// The fields of `tn_pool_options` that an option can set.
pub const POOL_FIELDS: [&str; 13] = [
    "initial_size",
    "growth_factor",
    "max_growth",
    "max_size",
    "alignment",
    "thread_cache_size",
    "release_threshold",
    "release_delay_ms",
    "huge_pages",
    "backend",
    "numa_node",
    "host_flags",
    "flags",
];
const DEVICES: [&str; 4] = ["cpu", "cuda", "cuda_host", "cuda_managed"];

/// The values by device and field; 0: not set. A growth factor is stored as the bits of its f64.
static POOL: [[AtomicU64; POOL_FIELDS.len()]; DEVICES.len()] =
    [const { [const { AtomicU64::new(0) }; POOL_FIELDS.len()] }; DEVICES.len()];
/// A bit for each device whose default pool exists.
static SEALED: AtomicU32 = AtomicU32::new(0);

/// The options of the default pool of a device, in the order of [`POOL_FIELDS`]; 0: not set.
pub fn pool_options(device: usize) -> [u64; POOL_FIELDS.len()] {
    core::array::from_fn(|field| POOL[device][field].load(Ordering::Acquire))
}

/// Fixes the options of a device's default pool, which was created.
pub fn seal_pool_options(device: usize) {
    SEALED.fetch_or(1 << device, Ordering::AcqRel);
}

/// Parses a number with an optional unit of bytes; "none" is the largest number.
fn number(name: &str, text: &str) -> Result<u64> {
    if text == "none" {
        return Ok(u64::MAX);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1u64 << 30),
        _ => None,
    };
    unit.and_then(|unit| digits.parse::<u64>().ok()?.checked_mul(unit)).ok_or_else(|| {
        fail(
            TN_ERR_INVALID,
            format_args!(
                "option {name} must be a number, optionally followed by KiB, MiB or GiB, or none; not \"{text}\""
            ),
        )
    })
}

fn switch(name: &str, text: &str) -> Result<bool> {
    match text {
        "0" | "false" | "off" => Ok(false),
        "1" | "true" | "on" => Ok(true),
        _ => Err(fail(TN_ERR_INVALID, format_args!("option {name} must be 0 or 1, not \"{text}\""))),
    }
}

/// The place of a text in [`Blas::ALL`], if this build has that library.
fn multiplier(name: &str, text: &str) -> Result<u32> {
    let place = choice(name, text, &Blas::NAMES)?;
    if cfg!(not(feature = "linalg")) && Blas::ALL[place] == Blas::OpenBlas {
        let why = "products are not in this build of the library; build it with the Cargo feature \"linalg\"";
        return Err(fail(TN_ERR_UNSUPPORTED, format_args!("option {name} cannot be {text}: {why}")));
    }
    Ok(place as u32)
}

fn pool_field(name: &str) -> Option<(usize, usize)> {
    let (device, field) = name.strip_prefix("pool.")?.split_once('.')?;
    Some((DEVICES.iter().position(|d| *d == device)?, POOL_FIELDS.iter().position(|f| *f == field)?))
}

fn unknown(name: &str) -> crate::error::Status {
    fail(
        TN_ERR_INVALID,
        format_args!(
            "there is no option \"{name}\"; the options are strict, check, check_managed, abort_on_misuse, background, listen, \
             expr.blas, transfer.chunk, transfer.chunks, transfer.kernels, stream.default, stream.wait, torch.on_failure \
             and pool.<device>.<field of tn_pool_options>"
        ),
    )
}

/// Sets an option.
pub fn set(name: &str, text: &str) -> Result<()> {
    if let Some((device, field)) = pool_field(name) {
        let value = match POOL_FIELDS[field] {
            "growth_factor" => match text.parse::<f64>() {
                Ok(factor) if factor.is_finite() && factor >= 1.0 => factor.to_bits(),
                _ => {
                    return Err(fail(
                        TN_ERR_INVALID,
                        format_args!("option {name} must be a number of at least 1, not \"{text}\""),
                    ));
                }
            },
            _ => number(name, text)?,
        };
        if SEALED.load(Ordering::Acquire) & (1 << device) != 0 {
            return Err(fail(
                TN_ERR_INVALID,
                format_args!("the default pool of {} exists already; set {name} before its first use", DEVICES[device]),
            ));
        }
        POOL[device][field].store(value, Ordering::Release);
        return Ok(());
    }
    match name {
        "strict" => STRICT.store(switch(name, text)?, Ordering::Relaxed),
        "check" => CHECK.store(switch(name, text)?, Ordering::Relaxed),
        "check_managed" => CHECK_MANAGED.store(switch(name, text)?, Ordering::Relaxed),
        "abort_on_misuse" => ABORT_ON_MISUSE.store(switch(name, text)?, Ordering::Relaxed),
        "listen" => match (switch(name, text)?, listens()) {
            (false, true) => {
                return Err(fail(
                    TN_ERR_INVALID,
                    format_args!("option {name} cannot be set to {text}: the process listens until it ends"),
                ));
            }
            (on, _) => set_listens(on),
        },
        "background" => set_background(switch(name, text)?),
        "expr.blas" => EXPR_BLAS.store(multiplier(name, text)?, Ordering::Relaxed),
        "transfer.chunk" => TRANSFER_CHUNK_BYTES.store(chunk(name, text)?, Ordering::Relaxed),
        "transfer.chunks" => TRANSFER_CHUNKS.store(chunks(name, text)?, Ordering::Relaxed),
        "transfer.kernels" => TRANSFER_KERNELS.store(choice(name, text, &Kernels::NAMES)? as u32, Ordering::Relaxed),
        "stream.default" => STREAM_PER_THREAD.store(choice(name, text, &STREAM_DEFAULTS)? == 1, Ordering::Relaxed),
        "stream.wait" => STREAM_WAITS_BLOCK.store(choice(name, text, &STREAM_WAITS)? == 1, Ordering::Relaxed),
        "torch.on_failure" => TORCH_EXITS.store(choice(name, text, &TORCH_FAILURES)? == 1, Ordering::Relaxed),
        _ => return Err(unknown(name)),
    }
    Ok(())
}

/// The value of an option, as text that [`set`] accepts.
pub fn get(name: &str) -> Result<Text> {
    let mut text = Text::new();
    let flag = |on: bool| if on { "1" } else { "0" };
    let written = if let Some((device, field)) = pool_field(name) {
        let value = POOL[device][field].load(Ordering::Acquire);
        match (POOL_FIELDS[field], value) {
            ("growth_factor", bits) => write!(text, "{}", f64::from_bits(bits)),
            (_, u64::MAX) => text.write_str("none"),
            (_, value) => write!(text, "{value}"),
        }
    } else {
        match name {
            "strict" => text.write_str(flag(strict())),
            "check" => text.write_str(flag(check())),
            "check_managed" => text.write_str(flag(check_managed())),
            "abort_on_misuse" => text.write_str(flag(abort_on_misuse())),
            "listen" => text.write_str(flag(listens())),
            "background" => text.write_str(flag(background())),
            "expr.blas" => text.write_str(blas().name()),
            "transfer.chunk" => write!(text, "{}", transfer_chunk()),
            "transfer.chunks" => write!(text, "{}", transfer_chunks()),
            "transfer.kernels" => text.write_str(Kernels::NAMES[transfer_kernels() as usize]),
            "stream.default" => text.write_str(STREAM_DEFAULTS[usize::from(stream_per_thread())]),
            "stream.wait" => text.write_str(STREAM_WAITS[usize::from(stream_waits_block())]),
            "torch.on_failure" => text.write_str(TORCH_FAILURES[usize::from(torch_exits())]),
            _ => return Err(unknown(name)),
        }
    };
    debug_assert!(written.is_ok());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_checked_before_they_change_anything() {
        assert!(set("strict", "yes").is_err());
        assert!(set("no.such", "1").is_err());
        assert!(set("pool.cpu.max_sizes", "1").is_err());
        assert!(set("pool.cuda.max_size", "12 MB").is_err());
        set("pool.cuda.max_size", "2GiB").unwrap();
        assert_eq!(get("pool.cuda.max_size").unwrap().as_str(), "2147483648");
        assert!(set("pool.cuda.growth_factor", "0.5").is_err());
        assert_eq!(pool_options(1)[3], 2 << 30);
        seal_pool_options(1);
        assert!(set("pool.cuda.max_size", "1").is_err());
        assert_eq!(get("strict").unwrap().as_str(), "0");
        assert!(set("transfer.chunk", "1KiB").is_err() && set("transfer.chunk", "none").is_err());
        set("transfer.chunk", "64KiB").unwrap();
        assert_eq!((get("transfer.chunk").unwrap().as_str(), transfer_chunk()), ("65536", 64 << 10));
        set("transfer.chunk", "4MiB").unwrap();
        for refused in ["0", "65", "none", "two"] {
            assert!(set("transfer.chunks", refused).is_err(), "{refused}");
        }
        set("transfer.chunks", "3").unwrap();
        assert_eq!((get("transfer.chunks").unwrap().as_str(), transfer_chunks()), ("3", 3));
        set("transfer.chunks", "8").unwrap();
        assert!(set("transfer.kernels", "1").is_err());
        for name in ["on", "off", "auto"] {
            set("transfer.kernels", name).unwrap();
            assert_eq!(get("transfer.kernels").unwrap().as_str(), name);
        }
        assert!(set("expr.blas", "mkl").is_err());
        assert_eq!(set("expr.blas", "openblas").is_ok(), cfg!(feature = "linalg"));
        for (name, value) in [("faer", Blas::Faer), ("auto", Blas::Auto)] {
            set("expr.blas", name).unwrap();
            assert_eq!((get("expr.blas").unwrap().as_str(), blas()), (name, value));
        }
        assert!(set("torch.on_failure", "throw").is_err() && !torch_exits());
        for name in ["exit", "null"] {
            set("torch.on_failure", name).unwrap();
            assert_eq!((get("torch.on_failure").unwrap().as_str(), torch_exits()), (name, name == "exit"));
        }
    }
}
