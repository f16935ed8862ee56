//! Which GPU can access the memory of which other one.

use super::table::Gpu;
use crate::error::Result;

impl Gpu {
    /// Whether the GPU can copy from and to the memory of another one without going through the host.
    pub fn reaches(&'static self, other: &'static Gpu) -> Result<bool> {
        let driver = self.alive()?;
        let mut can = 0;
        // A GPU's ordinal is the driver's device.
        // SAFETY: the number is ours.
        self.check(unsafe { driver.cuDeviceCanAccessPeer(&mut can, self.id, other.id) }?, "cuDeviceCanAccessPeer")?;
        Ok(can != 0)
    }
}
