//! The NUMA node of a GPU's processor, from which page-locked memory is copied fastest.
//!
//! Contract: the answer is asked for once for each GPU. No answer means no preference, never an error.

use super::table::{GPUS, Gpu};
use crate::cuda_driver::{Attribute, SUCCESS};
use crate::sys::os::{self, NodePreference};
use core::sync::atomic::{AtomicU32, Ordering};

const UNKNOWN: u32 = 0;
const NONE: u32 = 1;
/// Node 0; the next ones follow.
const FIRST: u32 = 2;

/// By GPU.
static NODES: [AtomicU32; GPUS] = [const { AtomicU32::new(UNKNOWN) }; GPUS];

impl Gpu {
    /// The NUMA node that is nearest to the GPU, if the driver or the system names one.
    pub fn numa_node(&self) -> Option<u32> {
        let entry = &NODES[self.id() as usize];
        match entry.load(Ordering::Relaxed) {
            UNKNOWN => {
                let node = self.find_numa_node().filter(|node| os::has_node(*node));
                entry.store(node.map_or(NONE, |node| FIRST + node), Ordering::Relaxed);
                node
            }
            NONE => None,
            known => Some(known - FIRST),
        }
    }

    /// Lets page-locked memory that the calling thread allocates come from `node`, or else from the GPU's own node,
    /// until the value drops.
    pub(crate) fn prefer_node(&self, node: Option<u32>) -> Option<NodePreference> {
        node.or_else(|| self.numa_node()).and_then(NodePreference::set)
    }

    fn find_numa_node(&self) -> Option<u32> {
        let driver = self.alive().ok()?;
        let mut node = -1;
        // A GPU's ordinal is the driver's device. Drivers before CUDA 12.2 do not know the attribute.
        // SAFETY: the number is ours.
        let answer =
            unsafe { driver.cuDeviceGetAttribute(&mut node, Attribute::CU_DEVICE_ATTRIBUTE_HOST_NUMA_ID, self.id()) };
        if matches!(answer, Ok(SUCCESS)) && node >= 0 {
            return Some(node as u32);
        }
        let mut id = [0; 32];
        // SAFETY: the buffer has that many bytes.
        let answer = unsafe { driver.cuDeviceGetPCIBusId(id.as_mut_ptr(), id.len() as i32, self.id()) };
        let id = id.map(|letter| (letter as u8).to_ascii_lowercase());
        let length = id.iter().position(|letter| *letter == 0)?;
        matches!(answer, Ok(SUCCESS)).then(|| os::node_of_pci_device(&id[..length])).flatten()
    }
}
