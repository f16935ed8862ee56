//! Physical memory by cuMemCreate: a part of the memory file that has no address until it is mapped.

pub struct Physical {
    pub size: u64,
    pub device: usize,
    /// Where it begins in the memory file.
    pub offset: u64,
    pub handle_types: u32,
    /// The handles that the program holds, and the places where it is mapped. Without either it ends.
    pub handles: u32,
    pub mappings: u32,
    /// Nothing was written yet: the first mapping fills it with junk.
    pub fresh: bool,
    /// The memory file of the process that it comes from; None: ours.
    pub foreign: Option<i32>,
}
