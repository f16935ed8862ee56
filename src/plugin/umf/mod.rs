//! The two tables of operations of UMF, the unified memory framework. With the first one, a UMF pool is a pool of this
//! library over any UMF provider. With the second one, a UMF provider takes its memory from a pool of this library.
//!
//! Contract: the tables are static, one for each version of UMF's layouts. The library does not link libumf; a new pool
//! looks up the functions that it needs in the process. The handles that UMF passes point to records that are never
//! unmapped. This module does not rely on UMF's own checks: a wrong pointer or size returns a failure and changes
//! nothing.

mod common;

mod padded;

mod pool;

mod provider;

mod provider_call;

mod provider_ipc;

mod provider_upstream;

mod record;

mod tables;

use crate::error::fail;
use crate::sys::os;
use crate::types::*;
pub use tables::{PoolOps, ProviderOps};

/// The minor version of the table for a caller that knows layouts up to `version`. TN_ERR_UNSUPPORTED: another major
/// version.
fn minor_of(version: u32, newest: u32) -> crate::error::Result<usize> {
    if version >> 16 != 1 {
        return Err(fail(
            TN_ERR_UNSUPPORTED,
            format_args!(
                "version {version:#x} has major version {}; this library has tables of major version 1 (0x10000 and up)",
                version >> 16
            ),
        ));
    }
    Ok((version & 0xffff).min(newest) as usize)
}

/// The table of operations of a pool, for a version of UMF's layout.
pub fn pool_ops(version: u32) -> crate::error::Result<*const PoolOps> {
    let minor = minor_of(version, pool::TABLES.len() as u32 - 1)?;
    os::pin_library();
    Ok(&raw const pool::TABLES[minor])
}

/// The table of operations of a provider, for a version of UMF's layout.
pub fn provider_ops(version: u32) -> crate::error::Result<*const ProviderOps> {
    let minor = minor_of(version, provider::TABLES.len() as u32 - 1)?;
    os::pin_library();
    Ok(&raw const provider::TABLES[minor])
}
