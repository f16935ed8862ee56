//! Error messages of pools.
//!
//! Contract: built under no lock, without allocation, from copies of statistics. Every message names the pool and the
//! offending values.

use crate::error::{Status, fail};
use crate::names::Name;
#[cfg(not(preload))]
use crate::pool::spill::files::NotWritten;
use crate::pool::state::Want;
use crate::pool::{Client, Pool, lookup};
use crate::sites::Site;
use crate::sys::file::Errno;
use crate::types::*;
use core::fmt;
use core::sync::atomic::Ordering;
use std::sync::OnceLock;

/// A number of bytes: "8 GiB" where that is exact, else "1000 bytes".
pub(super) struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
            if self.0 >= 1 << shift && self.0.trailing_zeros() >= shift {
                return write!(f, "{} {unit}", self.0 >> shift);
            }
        }
        write!(f, "{} bytes", self.0)
    }
}

struct Limit(u64);

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { f.write_str("none") } else { Bytes(self.0).fmt(f) }
    }
}

/// The array of a store's owner tag: its name, and the call site that made it, if it has them.
pub type HolderName = fn(owner: u64) -> (Name, Site);

static HOLDER_NAME: OnceLock<HolderName> = OnceLock::new();

/// Sets how messages name stores. Only the first call counts.
pub fn name_holders(name: HolderName) {
    let _ = HOLDER_NAME.set(name);
}

/// Called, with a message, for a block that was written to after it was freed.
pub type DamageCallback = fn(what: fmt::Arguments<'_>);

static ON_DAMAGE: OnceLock<DamageCallback> = OnceLock::new();

/// Sets the function that is called, under no lock, with what strict pools find. Only the first call counts.
pub fn on_damage(witness: DamageCallback) {
    let _ = ON_DAMAGE.set(witness);
}

/// A strict pool found that a free block was written to.
#[cold]
pub(super) fn damaged(pool: &'static Pool, address: usize, bytes: usize) {
    if let Some(witness) = ON_DAMAGE.get() {
        let (name, bytes) = (pool.name(), Bytes(bytes as u64));
        let text = "was written to after it was freed";
        witness(format_args!("the block of {bytes} at {address:#x} of pool \"{}\" {text}", name.as_str()));
    }
}

/// A large live block, with its name, call site and client.
#[derive(Clone, Copy)]
struct Large {
    bytes: u64,
    name: Name,
    site: Site,
    client: Client,
}

/// The three largest blocks that have a name, a call site or a library as their client.
struct Holders([Large; 3]);

impl Holders {
    #[cold]
    fn of(pool: &'static Pool) -> Holders {
        let mut holders = Holders([Large { bytes: 0, name: Name::NONE, site: Site::NONE, client: Client::RAW }; 3]);
        lookup::each_block(|block| {
            let bytes = block.requested as u64;
            if !core::ptr::eq(block.pool, pool) || bytes <= holders.0[2].bytes {
                return;
            }
            let (name, site) = match (block.owner, HOLDER_NAME.get()) {
                (0, _) => (Name::NONE, Site::from_number(block.site)),
                (owner, Some(name_of)) => name_of(owner),
                (_, None) => return,
            };
            if !name.is_none() || site != Site::NONE || block.client.is_library() {
                holders.0[2] = Large { bytes, name, site, client: block.client };
                holders.0.sort_unstable_by_key(|holder| core::cmp::Reverse(holder.bytes));
            }
        });
        holders
    }
}

impl fmt::Display for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Large { bytes, name, site, client }) in self.0.iter().filter(|holder| holder.bytes > 0).enumerate() {
            f.write_str(if i == 0 { "; largest holders: " } else { ", " })?;
            if !name.is_none() {
                write!(f, "\"{}\" ", name.as_str())?;
            }
            Bytes(*bytes).fmt(f)?;
            if client.is_library() {
                write!(f, " of {}", client.name())?;
            }
            if *site != Site::NONE {
                write!(f, " at {}", site.name().as_str())?;
            }
        }
        Ok(())
    }
}

/// The device has no memory, or the limit has no room (PO-45).
#[cold]
pub(super) fn out_of_memory(pool: &'static Pool, status: tn_status, want: &Want) -> Status {
    let (stats, device) = (pool.query(), pool.device());
    let memory = DeviceMemory {
        told: pool.device_memory(),
        upstream: pool.upstream.refused(),
        system: pool.ops().last_refusal().filter(|_| status != TN_ERR_POOL_LIMIT),
    };
    let asked = want.block.requested as u64;
    // The request has waited for all events.
    let strict = pool.flags.load(Ordering::Relaxed) & TN_POOL_STRICT != 0;
    let pending = match stats.pending_bytes {
        0 => "",
        _ if strict => "",
        _ => {
            "; no event ends the pending work (freed within a capture, or by a library that names no stream): wait for that work with tn_device_synchronize"
        }
    };
    let advice = match memory.told {
        _ if status == TN_ERR_POOL_LIMIT => "release arrays or raise max_size",
        // No release would make this request fit.
        Some((total, _)) if asked > total => "ask for less than the device has",
        _ => "release arrays or trim other pools",
    };
    fail(
        status,
        format_args!(
            "pool \"{}\" on {{{}, {}}}: {} asked (alignment {}), {} in use, {} cached, {} pending, largest free {}, \
             limit {}{}, {memory}{}{pending}; {advice}",
            pool.name().as_str(),
            crate::device::type_name(device.r#type),
            device.id,
            Bytes(asked),
            want.block.alignment,
            Bytes(stats.in_use_bytes),
            Bytes(stats.cached_bytes),
            Bytes(stats.pending_bytes),
            Bytes(stats.largest_free_bytes),
            Limit(stats.limit_bytes),
            Spilling::of(pool, &stats),
            Holders::of(pool),
        ),
    )
}

/// What a pool has spilled, and why it spills no more.
pub(super) struct Spilling {
    bytes: u64,
    #[cfg(not(preload))]
    failure: Option<NotWritten>,
}

impl Spilling {
    #[cfg(not(preload))]
    pub fn of(pool: &'static Pool, stats: &tn_pool_stats) -> Spilling {
        Spilling { bytes: stats.spilled_bytes, failure: pool.spill_failure() }
    }

    #[cfg(preload)]
    pub fn of(_: &'static Pool, _: &tn_pool_stats) -> Spilling {
        Spilling { bytes: 0 }
    }
}

impl fmt::Display for Spilling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bytes > 0 {
            write!(f, ", {} spilled", Bytes(self.bytes))?;
        }
        #[cfg(not(preload))]
        if let Some(failure) = self.failure {
            write!(f, ", nothing more can be spilled: {failure}")?;
        }
        Ok(())
    }
}

/// What the device reports about its memory. An upstream only has the status of its last refusal. The system may have
/// said why it refused.
struct DeviceMemory {
    told: Option<(u64, u64)>,
    upstream: tn_status,
    system: Option<Errno>,
}

impl fmt::Display for DeviceMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.told, self.upstream) {
            (Some((total, free)), _) => write!(f, "device has {} free of {}", Bytes(free), Bytes(total))?,
            (None, TN_OK) => f.write_str("the upstream never refused")?,
            (None, status) => {
                let name = crate::error::name(status).to_str().unwrap_or("no status");
                write!(f, "the upstream last returned {name} ({status})")?;
            }
        }
        self.system.map_or(Ok(()), |errno| write!(f, ", the system says: {errno}"))
    }
}

/// Why a raw pointer was refused.
#[derive(Clone, Copy, Debug)]
pub(super) enum Misuse {
    /// In no pool, or in memory that was never allocated.
    Foreign,
    /// Freed already.
    Stale { pool: Name },
    /// In a live block, but not its start.
    Inside { start: usize, bytes: usize, pool: Name },
    /// The block of an array's store.
    Store { bytes: usize, pool: Name },
    /// Of another pool than the one that was passed.
    Other { owner: Name, passed: Name },
}

impl Misuse {
    #[cold]
    pub fn status(self, address: usize) -> Status {
        match self {
            Misuse::Foreign => fail(
                TN_ERR_FOREIGN,
                format_args!("address {address:#x} is in no block of any pool; pass an address that a pool returned"),
            ),
            Misuse::Stale { pool } => {
                let pool = pool.as_str();
                fail(TN_ERR_STALE, format_args!("the block at {address:#x} of pool \"{pool}\" was freed already"))
            }
            Misuse::Inside { start, bytes, pool } => {
                let block = format_args!("the block of {bytes} bytes at {start:#x} of pool \"{}\"", pool.as_str());
                fail(TN_ERR_INVALID, format_args!("address {address:#x} is inside {block}; pass its start"))
            }
            Misuse::Store { bytes, pool } => {
                let block = format_args!("the block of {bytes} bytes at {address:#x} of pool \"{}\"", pool.as_str());
                fail(TN_ERR_SHARED, format_args!("{block} backs an array; release its arrays and borrows instead"))
            }
            Misuse::Other { owner, passed } => {
                let (owner, passed) = (owner.as_str(), passed.as_str());
                fail(
                    TN_ERR_FOREIGN,
                    format_args!(
                        "the block at {address:#x} is of pool \"{owner}\", not of \"{passed}\"; pass its own pool"
                    ),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_short_where_that_is_exact() {
        assert_eq!(format!("{}", Bytes(8 << 30)), "8 GiB");
        assert_eq!(format!("{}", Bytes((8 << 30) + 1024)), "8388609 KiB");
        assert_eq!(format!("{}", Bytes(1000)), "1000 bytes");
        assert_eq!(format!("{}", Bytes(0)), "0 bytes");
    }
}
