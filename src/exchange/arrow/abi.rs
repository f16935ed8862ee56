//! The structs of Arrow's C data and C device interfaces, and their format strings.

use crate::dtype::Dtype;
use crate::types::*;
use core::ffi::{c_char, c_void};
use core::mem::offset_of;

/// ArrowSchema: the type of an array.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Schema {
    pub format: *const c_char,
    pub name: *const c_char,
    pub metadata: *const c_char,
    pub flags: i64,
    pub n_children: i64,
    pub children: *mut *mut Schema,
    pub dictionary: *mut Schema,
    pub release: Option<unsafe extern "C" fn(*mut Schema)>,
    pub private_data: *mut c_void,
}

/// ArrowArray: the bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Array {
    pub length: i64,
    pub null_count: i64,
    pub offset: i64,
    pub n_buffers: i64,
    pub n_children: i64,
    pub buffers: *mut *const c_void,
    pub children: *mut *mut Array,
    pub dictionary: *mut Array,
    pub release: Option<unsafe extern "C" fn(*mut Array)>,
    pub private_data: *mut c_void,
}

/// ArrowDeviceArray: the bytes, and their device.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct DeviceArray {
    pub array: Array,
    pub device_id: i64,
    pub device_type: tn_device_type,
    pub sync_event: *mut c_void,
    pub reserved: [i64; 3],
}

const _: () = {
    assert!(size_of::<Schema>() == 72 && offset_of!(Schema, release) == 56);
    assert!(offset_of!(Schema, flags) == 24 && offset_of!(Schema, children) == 40);
    assert!(size_of::<Array>() == 80 && offset_of!(Array, release) == 64);
    assert!(offset_of!(Array, buffers) == 40 && offset_of!(Array, children) == 48);
    assert!(size_of::<DeviceArray>() == 128 && offset_of!(DeviceArray, device_id) == 80);
    assert!(offset_of!(DeviceArray, device_type) == 88 && offset_of!(DeviceArray, sync_event) == 96);
    assert!(offset_of!(DeviceArray, reserved) == 104);
};

impl Schema {
    /// A released schema.
    pub const NONE: Schema = Schema {
        format: core::ptr::null(),
        name: core::ptr::null(),
        metadata: core::ptr::null(),
        flags: 0,
        n_children: 0,
        children: core::ptr::null_mut(),
        dictionary: core::ptr::null_mut(),
        release: None,
        private_data: core::ptr::null_mut(),
    };
}

impl Array {
    /// A released array.
    pub const NONE: Array = Array {
        length: 0,
        null_count: 0,
        offset: 0,
        n_buffers: 0,
        n_children: 0,
        buffers: core::ptr::null_mut(),
        children: core::ptr::null_mut(),
        dictionary: core::ptr::null_mut(),
        release: None,
        private_data: core::ptr::null_mut(),
    };
}

/// A level of a type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// `+w:N`: lists of N elements each.
    Lists(i64),
    /// An element type.
    Element(Dtype),
}

/// The letters of Arrow's format strings for Tenure's element types. Arrow packs bool into bits, and has no bfloat16 or
/// complex numbers.
const LETTERS: [(u8, tn_dtype); 11] = [
    (b'c', TN_I8),
    (b's', TN_I16),
    (b'i', TN_I32),
    (b'l', TN_I64),
    (b'C', TN_U8),
    (b'S', TN_U16),
    (b'I', TN_U32),
    (b'L', TN_U64),
    (b'e', TN_F16),
    (b'f', TN_F32),
    (b'g', TN_F64),
];

/// The letter of a type. None: Arrow has none.
pub fn letter(dtype: Dtype) -> Option<u8> {
    LETTERS.into_iter().find(|(_, raw)| *raw == dtype.raw()).map(|(letter, _)| letter)
}

/// Parses a format string. None: its elements have no fixed size in whole bytes, as those of strings, unions and packed
/// bits.
pub fn format(text: &[u8]) -> Option<Format> {
    if let [letter] = text {
        let (_, raw) = LETTERS.into_iter().find(|(known, _)| known == letter)?;
        return Dtype::known(raw).map(Format::Element);
    }
    let digits = text.strip_prefix(b"+w:")?;
    // Arrow's own limit: list sizes are 32 bits.
    if digits.is_empty() || digits.len() > 10 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits.iter().fold(0, |size, digit| size * 10 + i64::from(digit - b'0'));
    (size <= MAX_LIST).then_some(Format::Lists(size))
}

/// The largest size of a fixed-size list.
pub const MAX_LIST: i64 = i32::MAX as i64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_letters_and_lists_of_fixed_size() {
        let element = |raw| Some(Format::Element(Dtype::of(raw).unwrap()));
        for (letter, raw) in LETTERS {
            assert_eq!(format(&[letter]), element(raw));
        }
        assert_eq!(format(b"+w:0"), Some(Format::Lists(0)));
        assert_eq!(format(b"+w:2147483647"), Some(Format::Lists(MAX_LIST)));
        for wrong in [
            &b""[..],
            b"b",
            b"n",
            b"u",
            b"z",
            b"w:4",
            b"+l",
            b"+s",
            b"+w",
            b"+w:",
            b"+w:-1",
            b"+w:+1",
            b"+w: 1",
            b"+w:2147483648",
            b"+w:00000000001",
            b"ii",
            b"tdD",
            b"d:10,2",
            b"\xff",
        ] {
            assert_eq!(format(wrong), None, "{:?}", String::from_utf8_lossy(wrong));
        }
        let lacking: Vec<_> =
            Dtype::ALL.into_iter().filter(|dtype| letter(*dtype).is_none()).map(Dtype::name).collect();
        assert_eq!(lacking, ["bool", "bfloat16", "complex64", "complex128"]);
    }
}
