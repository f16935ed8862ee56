//! UMF, the unified memory framework: its two tables of operations, so that a UMF pool is a pool of this library over any UMF provider,
//! and a UMF provider takes its memory from a pool of this library.
//!
//! Contract: tables are static, one for each version of UMF's layouts. libumf is not linked: what a pool needs of it is found in the
//! process when a pool is made. A handle of UMF leads to a record that is never unmapped. Nothing here relies on UMF's
//! checks: a wrong pointer or size returns a result and changes nothing.

mod common;

mod pool;

mod provider;

mod provider_upstream;

mod record;

mod tables;

use crate::error::fail;
use crate::sys::os;
use crate::types::*;
pub use tables::{PoolOps, ProviderOps};

/// The minor version of the table for a caller that knows layouts up to `version`. TN_ERR_UNSUPPORTED for another major version.
fn minor_of(version: u32, newest: u32) -> crate::error::Result<usize> {
    if version >> 16 != 1 {
        return Err(fail(
            TN_ERR_UNSUPPORTED,
            format_args!(
                "version {version:#x} is of major version {}; there are tables of 0x10000 and up",
                version >> 16
            ),
        ));
    }
    Ok((version & 0xffff).min(newest) as usize)
}

/// UMF's table of operations of a pool, for a version of its layout.
pub fn pool_ops(version: u32) -> crate::error::Result<*const PoolOps> {
    let minor = minor_of(version, pool::TABLES.len() as u32 - 1)?;
    os::pin_library();
    Ok(&raw const pool::TABLES[minor])
}

/// UMF's table of operations of a provider, likewise.
pub fn provider_ops(version: u32) -> crate::error::Result<*const ProviderOps> {
    let minor = minor_of(version, provider::TABLES.len() as u32 - 1)?;
    os::pin_library();
    Ok(&raw const provider::TABLES[minor])
}
