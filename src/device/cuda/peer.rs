//! Which GPU reaches the memory of which other one.

use super::Gpu;
use crate::error::Result;

impl Gpu {
    /// Whether it can copy from and to the memory of another GPU with no way by the host.
    pub fn reaches(&'static self, other: &'static Gpu) -> Result<bool> {
        let driver = self.alive()?;
        let mut can = 0;
        // A GPU's ordinal is the driver's device.
        // SAFETY: the number is ours.
        self.check(unsafe { driver.cuDeviceCanAccessPeer(&mut can, self.id, other.id) }?, "cuDeviceCanAccessPeer")?;
        Ok(can != 0)
    }
}
