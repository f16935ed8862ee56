//! The limits that a GPU sets for launches.
#![forbid(unsafe_code)]

/// The limits of launches. They never change.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most blocks in each direction.
    pub grid: [u32; 3],
    /// The most threads of a block in each direction.
    pub block: [u32; 3],
    /// The most bytes of static and dynamic memory of a block.
    pub block_bytes: u32,
}

impl Limits {
    /// Whether grid and block are within the limits in each direction.
    #[inline]
    pub fn allow(&self, grid: &[u32; 3], block: &[u32; 3]) -> bool {
        (0..3).all(|at| grid[at] <= self.grid[at] && block[at] <= self.block[at])
    }
}
