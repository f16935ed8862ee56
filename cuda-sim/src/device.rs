//! Devices: how many, their names, sizes and attributes, who may reach whose memory.

use crate::entry::{Call, put, put_if};
use crate::status::*;
use crate::types::{Handle, Uuid};
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_uint};

pub const NAME: &CStr = c"Tenure simulated device";

pub struct Device {
    pub memory: u64,
    pub used: u64,
    /// Values that a test gave.
    pub attributes: BTreeMap<c_int, c_int>,
    /// Its primary context while somebody retains it, and how often.
    pub primary: Handle,
    pub retained: u32,
    pub primary_flags: c_uint,
    /// Its place in the machine, whatever the program sees of it.
    pub ordinal: usize,
}

impl Device {
    pub fn new(ordinal: usize, memory: u64) -> Device {
        Device { memory, used: 0, attributes: BTreeMap::new(), primary: 0, retained: 0, primary_flags: 0, ordinal }
    }

    /// Accounts for `bytes` of this device's memory, or says that they are not there.
    pub fn charge(&mut self, bytes: u64) -> Answer {
        match self.used.checked_add(bytes) {
            Some(used) if used <= self.memory => {
                self.used = used;
                Ok(())
            }
            _ => Err(OUT_OF_MEMORY),
        }
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
            95 | 96 => 0,    // cooperative launch
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
            120 => 0,
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

impl Call<'_> {
    /// The device of an ordinal.
    pub fn ordinal(&self, device: c_int) -> Answer<usize> {
        usize::try_from(device).ok().filter(|device| *device < self.world.devices.len()).ok_or(INVALID_DEVICE)
    }
}

/// Writes a text with its NUL, cut to `length` bytes.
fn put_text(place: *mut c_char, length: c_int, text: &[u8]) -> Answer {
    let length = usize::try_from(length).map_err(|_| INVALID_VALUE)?;
    if place.is_null() || length == 0 {
        return Err(INVALID_VALUE);
    }
    let part = text.len().min(length - 1);
    // SAFETY: the caller's buffer has `length` bytes, by the driver's interface.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr(), place.cast(), part);
        *place.add(part) = 0;
    }
    Ok(())
}

driver! {
    fn cuInit(flags: c_uint) in Nothing => |call| {
        if flags != 0 {
            return Err(INVALID_VALUE);
        }
        call.world.initialise()
    }

    fn cuDriverGetVersion(version: *mut c_int) in Nothing => |call| { put(version, call.config.version) }

    fn cuDeviceGetCount(count: *mut c_int) in Init => |call| { put(count, call.devices.len() as c_int) }

    fn cuDeviceGet(device: *mut c_int, ordinal: c_int) in Init => |call| {
        call.ordinal(ordinal)?;
        put(device, ordinal)
    }

    fn cuDeviceGetName(name: *mut c_char, length: c_int, device: c_int) in Init => |call| {
        call.ordinal(device)?;
        put_text(name, length, NAME.to_bytes())
    }

    fn cuDeviceGetUuid(uuid: *mut Uuid, device: c_int) in Init => |call| {
        let device = call.ordinal(device)?;
        put(uuid, identity(call.devices[device].ordinal))
    }

    fn cuDeviceGetUuid_v2(uuid: *mut Uuid, device: c_int) in Init => |call| {
        let device = call.ordinal(device)?;
        put(uuid, identity(call.devices[device].ordinal))
    }

    fn cuDeviceGetPCIBusId(text: *mut c_char, length: c_int, device: c_int) in Init => |call| {
        let ordinal = call.ordinal(device)?;
        let bus_id = call.devices[ordinal].bus_id();
        put_text(text, length, bus_id.as_bytes())
    }

    fn cuDeviceGetByPCIBusId(device: *mut c_int, text: *const c_char) in Init => |call| {
        if text.is_null() {
            return Err(INVALID_VALUE);
        }
        // SAFETY: a C text, by the driver's interface.
        let text = unsafe { CStr::from_ptr(text) }.to_string_lossy().to_ascii_uppercase();
        let found = call.devices.iter().position(|device| {
            let bus_id = device.bus_id();
            text == bus_id || bus_id.strip_prefix("0000:") == Some(text.as_str())
        });
        put(device, found.ok_or(INVALID_DEVICE)? as c_int)
    }

    fn cuDeviceTotalMem_v2(bytes: *mut usize, device: c_int) in Init => |call| {
        let ordinal = call.ordinal(device)?;
        put(bytes, call.devices[ordinal].memory as usize)
    }

    fn cuDeviceGetAttribute(value: *mut c_int, attribute: c_int, device: c_int) in Init => |call| {
        let ordinal = call.ordinal(device)?;
        put(value, call.devices[ordinal].attribute(attribute)?)
    }

    fn cuDeviceComputeCapability(major: *mut c_int, minor: *mut c_int, device: c_int) in Init => |call| {
        let ordinal = call.ordinal(device)?;
        put(major, call.devices[ordinal].attribute(75)?)?;
        put(minor, call.devices[ordinal].attribute(76)?)
    }

    fn cuDeviceCanAccessPeer(can: *mut c_int, device: c_int, peer: c_int) in Init => |call| {
        let (device, peer) = (call.ordinal(device)?, call.ordinal(peer)?);
        put(can, c_int::from(device != peer && call.config.peers))
    }

    fn cuDeviceGetP2PAttribute(value: *mut c_int, attribute: c_int, source: c_int, target: c_int) in Init => |call| {
        let (source, target) = (call.ordinal(source)?, call.ordinal(target)?);
        if source == target {
            return Err(INVALID_DEVICE);
        }
        // Performance rank, access, native atomics, array access.
        put(value, match attribute {
            2 => c_int::from(call.config.peers),
            1 | 3 | 4 => 0,
            _ => return Err(INVALID_VALUE),
        })
    }
}

fn identity(ordinal: usize) -> Uuid {
    let mut bytes = *b"tenure-simulated";
    bytes[15] = ordinal as u8;
    Uuid(bytes)
}

/// A text of a code, which is the same everywhere.
fn describe(
    code: u32,
    place: *mut *const c_char,
    which: impl Fn((&'static CStr, &'static CStr)) -> &'static CStr,
) -> Answer {
    match crate::status::describe(code) {
        Some(texts) => put(place, which(texts).as_ptr()),
        None => {
            put_if(place, std::ptr::null());
            Err(INVALID_VALUE)
        }
    }
}

driver! {
    fn cuGetErrorName(code: u32, text: *mut *const c_char) in Aside => |_| { describe(code, text, |texts| texts.0) }

    fn cuGetErrorString(code: u32, text: *mut *const c_char) in Aside => |_| { describe(code, text, |texts| texts.1) }
}
