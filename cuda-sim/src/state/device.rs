//! Devices: their memory as an account, and their attributes.

use crate::base::status::*;
use crate::base::types::Handle;
use std::collections::BTreeMap;
use std::ffi::{c_int, c_uint};

// CU_DEVICE_ATTRIBUTE_*, as far as the simulator itself depends on them.
pub const MAX_THREADS_PER_BLOCK: c_int = 1;
/// The first of x, y, z.
pub const MAX_BLOCK_X: c_int = 2;
/// The first of x, y, z.
pub const MAX_GRID_X: c_int = 5;
pub const MULTIPROCESSORS: c_int = 16;
pub const MAX_THREADS_PER_MULTIPROCESSOR: c_int = 39;
pub const UNIFIED_ADDRESSING: c_int = 41;
pub const COMPUTE_CAPABILITY_MAJOR: c_int = 75;
pub const COMPUTE_CAPABILITY_MINOR: c_int = 76;
pub const SHARED_BYTES_PER_MULTIPROCESSOR: c_int = 81;
pub const MANAGED_MEMORY: c_int = 83;
pub const PAGEABLE_MEMORY_ACCESS: c_int = 88;
pub const CONCURRENT_MANAGED_ACCESS: c_int = 89;
pub const HOST_POINTER_FOR_REGISTERED: c_int = 91;
pub const COOPERATIVE_LAUNCH: c_int = 95;
pub const SHARED_BYTES_PER_BLOCK_OPT_IN: c_int = 97;
pub const VIRTUAL_MEMORY_MANAGEMENT: c_int = 102;
pub const BLOCKS_PER_MULTIPROCESSOR: c_int = 106;
pub const MEMORY_POOLS: c_int = 115;
pub const CLUSTER_LAUNCH: c_int = 120;

/// Device memory is charged in whole units of this size.
const CHARGE_UNIT_BYTES: u64 = 512;

/// What an allocation costs of the device's memory.
pub fn charged_bytes(size: u64) -> u64 {
    size.next_multiple_of(CHARGE_UNIT_BYTES)
}

pub struct Device {
    pub memory: u64,
    pub used: u64,
    /// The attributes that a test set.
    pub attributes: BTreeMap<c_int, c_int>,
    /// Its primary context while it is retained, or 0, and how often it is retained.
    pub primary: Handle,
    pub retained: u32,
    /// The handle of the primary context that was reset last; 0: none was.
    pub former: Handle,
    pub primary_flags: c_uint,
    /// Its position in the machine, also when CUDA_VISIBLE_DEVICES renumbers it for the program.
    pub ordinal: usize,
}

impl Device {
    pub fn new(ordinal: usize, memory: u64) -> Device {
        Device {
            memory,
            used: 0,
            attributes: BTreeMap::new(),
            primary: 0,
            retained: 0,
            former: 0,
            primary_flags: 0,
            ordinal,
        }
    }

    /// Takes `bytes` of this device's memory, if that much is left.
    pub fn charge(&mut self, bytes: u64) -> Answer {
        match self.used.checked_add(bytes) {
            Some(used) if used <= self.memory => {
                self.used = used;
                Ok(())
            }
            _ => Err(OUT_OF_MEMORY),
        }
    }

    /// Returns `bytes` that were charged.
    pub fn refund(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
    }

    pub fn attribute(&self, attribute: c_int) -> Answer<c_int> {
        if let Some(value) = self.attributes.get(&attribute) {
            return Ok(*value);
        }
        Ok(match attribute {
            1 => 1024,                       // threads per block
            2 | 3 => 1024,                   // block x, y
            4 => 64,                         // block z
            5 => 0x7fff_ffff,                // grid x
            6 | 7 => 65535,                  // grid y, z
            8 => 48 << 10,                   // shared memory per block
            9 => 64 << 10,                   // constant memory
            10 => 32,                        // warp
            11 => 0x7fff_ffff,               // pitch
            12 | 82 => 65536,                // registers per block, per multiprocessor
            13 => 1_980_000,                 // kHz
            14 => 512,                       // texture alignment
            15 => 1,                         // overlap
            16 => 132,                       // multiprocessors
            17 | 18 => 0,                    // timeout, integrated
            19 => 1,                         // can map host memory
            20 => 0,                         // compute mode
            31 => 1,                         // concurrent kernels
            32 => 1,                         // ECC
            33 => self.ordinal as c_int + 1, // PCI bus
            34 | 50 => 0,                    // PCI device, domain
            35 => 0,                         // TCC
            36 => 2_619_000,                 // memory kHz
            37 => 5120,                      // bus width
            38 => 50 << 20,                  // L2
            39 => 2048,                      // threads per multiprocessor
            40 => 3,                         // copy engines
            41 => 1,                         // unified addressing
            51 => 32,                        // texture pitch alignment
            75 => 9,                         // compute capability
            76 => 0,
            78..=80 => 1,    // stream priorities, global and local L1
            81 => 228 << 10, // shared memory per multiprocessor
            83 => 1,         // managed memory
            84..=86 => 0,    // multi-GPU board, its group, native atomics
            87 => 2,         // single to double
            88 => 0,         // pageable memory access
            89 | 90 => 1,    // concurrent managed access, preemption
            91 => 0,         // host pointers of registered memory on the device
            92..=94 => 0,    // stream memory operations: their functions are not there
            95 => 1,         // cooperative launch
            96 => 0,         // on several devices
            97 => 227 << 10, // opt-in shared memory
            98 => 0,
            99 => 1, // host registration
            100 | 101 => 0,
            102 | 103 => 1, // virtual memory management, file descriptor handles
            104 | 105 => 0,
            106 => 32, // blocks per multiprocessor
            107..=110 => 0,
            111 => 1024, // reserved shared memory
            112 => 0,
            113 => 1, // read-only registration
            114 => 0,
            115 => 1, // memory pools
            116..=118 => 0,
            119 => 0, // pool handles for other processes: none
            120 => 1, // cluster launch
            121 => 0,
            122 | 123 => 0, // stream memory operations, again
            124 => 0,
            125 => 1, // IPC events
            126 => 1,
            127..=129 => 0,
            130 => 0, // NUMA
            131 | 134 => -1,
            132 | 133 | 135..=140 => 0,
            141..=148 => 0,
            21..=30 | 42..=49 | 52..=74 | 77 => 0, // textures and surfaces: none
            _ => return Err(INVALID_VALUE),
        })
    }

    pub fn bus_id(&self) -> String {
        format!("0000:{:02X}:00.0", self.ordinal + 1)
    }
}
