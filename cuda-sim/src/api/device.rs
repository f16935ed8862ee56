//! Initialisation, devices and their attributes, the names of result codes.

use crate::base::args::{get_text, put, put_optional, put_text};
use crate::base::status::{self, *};
use crate::base::types::Uuid;
use crate::engine::start::initialise;
use crate::entry::enter::driver;
use crate::state::device::{COMPUTE_CAPABILITY_MAJOR, COMPUTE_CAPABILITY_MINOR};
use std::ffi::{CStr, c_char, c_int, c_uint};

const NAME: &CStr = c"Tenure simulated device";

fn put_sized_text(out: *mut c_char, length: c_int, text: &[u8]) -> Answer {
    put_text(out, usize::try_from(length).map_err(|_| INVALID_VALUE)?, text)
}

fn uuid_of(ordinal: usize) -> Uuid {
    let mut bytes = *b"tenure-simulated";
    bytes[15] = ordinal as u8;
    Uuid(bytes)
}

/// Writes the name or the text of a result code; both are static.
fn describe(
    code: u32,
    out: *mut *const c_char,
    which: impl Fn((&'static CStr, &'static CStr)) -> &'static CStr,
) -> Answer {
    match status::describe(code) {
        Some(texts) => put(out, which(texts).as_ptr()),
        None => {
            put_optional(out, std::ptr::null());
            Err(INVALID_VALUE)
        }
    }
}

driver! {
    fn cuInit(flags: c_uint) in Nothing => |call| {
        if flags != 0 {
            return Err(INVALID_VALUE);
        }
        initialise(&mut call.world)
    }

    fn cuDriverGetVersion(version: *mut c_int) in Nothing => |call| { put(version, call.config.version) }

    fn cuDeviceGetCount(count: *mut c_int) in Init => |call| { put(count, call.devices.len() as c_int) }

    fn cuDeviceGet(device: *mut c_int, ordinal: c_int) in Init => |call| {
        call.ordinal(ordinal)?;
        put(device, ordinal)
    }

    fn cuDeviceGetName(name: *mut c_char, length: c_int, device: c_int) in Init => |call| {
        call.ordinal(device)?;
        put_sized_text(name, length, NAME.to_bytes())
    }

    fn cuDeviceGetUuid(uuid: *mut Uuid, device: c_int) in Init => |call| {
        let device = call.ordinal(device)?;
        put(uuid, uuid_of(call.devices[device].ordinal))
    }

    fn cuDeviceGetUuid_v2(uuid: *mut Uuid, device: c_int) in Init => |call| {
        let device = call.ordinal(device)?;
        put(uuid, uuid_of(call.devices[device].ordinal))
    }

    fn cuDeviceGetPCIBusId(text: *mut c_char, length: c_int, device: c_int) in Init => |call| {
        let ordinal = call.ordinal(device)?;
        let bus_id = call.devices[ordinal].bus_id();
        put_sized_text(text, length, bus_id.as_bytes())
    }

    fn cuDeviceGetByPCIBusId(device: *mut c_int, text: *const c_char) in Init => |call| {
        let text = get_text(text)?.to_string_lossy().to_ascii_uppercase();
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
        put(major, call.devices[ordinal].attribute(COMPUTE_CAPABILITY_MAJOR)?)?;
        put(minor, call.devices[ordinal].attribute(COMPUTE_CAPABILITY_MINOR)?)
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

driver! {
    fn cuGetErrorName(code: u32, text: *mut *const c_char) in Stateless => |_| { describe(code, text, |texts| texts.0) }

    fn cuGetErrorString(code: u32, text: *mut *const c_char) in Stateless => |_| { describe(code, text, |texts| texts.1) }
}
