//! Images of device code, as the driver takes them.
//!
//! Contract: the driver gets only the start of an image, and reads as far as the image says. So an image is kept only
//! if it says no more than its bytes; PTX ends with a NUL.

use crate::error::{Result, Status, fail};
use crate::types::*;

/// PTX with a NUL behind it, or a whole cubin or fatbin.
#[derive(Default)]
pub struct Image(Vec<u8>);

/// The start of a cubin, an ELF file of 64 bits.
const ELF: [u8; 5] = [0x7f, b'E', b'L', b'F', 2];
/// The start of a fatbin, 0xBA55ED50.
const FATBIN: [u8; 4] = [0x50, 0xed, 0x55, 0xba];
/// The start of the struct __fatBinC_Wrapper_t, which has the address of a fatbin.
const WRAPPER: [u8; 4] = [0xb1, 0x43, 0x62, 0x46];

impl Image {
    /// A copy of an image. TN_ERR_INVALID, TN_ERR_NO_HOST_MEMORY.
    pub fn of(bytes: &[u8]) -> Result<Image> {
        let text = match bytes {
            [] => return Err(fail(TN_ERR_INVALID, format_args!("bytes is 0; pass the size of the image"))),
            _ if bytes.starts_with(&ELF) => check_elf(bytes).map(|()| bytes)?,
            _ if bytes.starts_with(&FATBIN) => check_fatbin(bytes).map(|()| bytes)?,
            _ if bytes.starts_with(&WRAPPER) => {
                let text = "the image is the wrapper of a fatbin, which has only its address; pass the fatbin";
                return Err(fail(TN_ERR_INVALID, format_args!("{text}")));
            }
            _ => ptx(bytes)?,
        };
        let mut copy = Vec::new();
        let room = copy.try_reserve_exact(text.len() + 1);
        room.map_err(|_| {
            fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for the {} bytes of an image", text.len()))
        })?;
        copy.extend_from_slice(text);
        copy.push(0);
        Ok(Image(copy))
    }

    /// The bytes, with a NUL behind them.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The text of PTX without the NULs behind it.
fn ptx(bytes: &[u8]) -> Result<&[u8]> {
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let text = &bytes[..length];
    const VERSION: &[u8] = b".version";
    let is_ptx = !text.contains(&0) && text.windows(VERSION.len()).any(|part| part == VERSION);
    if is_ptx {
        return Ok(text);
    }
    Err(fail(
        TN_ERR_INVALID,
        format_args!(
            "the image is no cubin, no fatbin, and no PTX, which has a .version; tn_module_compile takes CUDA C++"
        ),
    ))
}

/// A little-endian number of an image; 0 behind its end.
fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    let digits = bytes.get(at..at + size).unwrap_or_default();
    digits.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cold]
fn cut(bytes: &[u8], what: &str, whole: u64) -> Status {
    fail(TN_ERR_INVALID, format_args!("bytes is {}, and the {what} has {whole}; pass all of it", bytes.len()))
}

/// TN_ERR_INVALID: the tables of a cubin, which are at its end, are not there.
fn check_elf(bytes: &[u8]) -> Result<()> {
    // e_phoff, e_phentsize, e_phnum; e_shoff, e_shentsize, e_shnum.
    let end = |offset, size, count| {
        let table = number(bytes, size, 2) * number(bytes, count, 2);
        number(bytes, offset, 8).saturating_add(table)
    };
    let whole = end(32, 54, 56).max(end(40, 58, 60)).max(64);
    if whole > bytes.len() as u64 { Err(cut(bytes, "cubin", whole)) } else { Ok(()) }
}

/// TN_ERR_INVALID: the fatbin is longer than the bytes.
fn check_fatbin(bytes: &[u8]) -> Result<()> {
    // The size of the header, and that of what follows.
    let whole = number(bytes, 6, 2).max(16).saturating_add(number(bytes, 8, 8));
    if whole > bytes.len() as u64 { Err(cut(bytes, "fatbin", whole)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> String {
        let status = Image::of(bytes).err().expect("refused");
        assert_eq!(status.code(), TN_ERR_INVALID);
        crate::error::drafted().as_str().to_owned()
    }

    #[test]
    fn ptx_ends_with_one_nul_whatever_the_caller_passed() {
        for text in [&b".version 8.0"[..], b".version 8.0\0", b".version 8.0\0\0\0"] {
            assert_eq!(Image::of(text).unwrap().bytes(), b".version 8.0\0");
        }
    }

    #[test]
    fn what_is_no_image_is_refused_with_a_reason() {
        assert!(refused(b"").contains("bytes is 0"));
        assert!(refused(b"\0\0").contains("no PTX"));
        assert!(refused(b"__global__ void f() {}").contains("tn_module_compile"));
        assert!(refused(b".version\08.0").contains("no PTX"), "a NUL would hide the rest from the driver");
        assert!(refused(&[0xb1, 0x43, 0x62, 0x46, 1, 0, 0, 0]).contains("wrapper"));
    }

    #[test]
    fn an_image_that_is_cut_is_refused_at_every_length() {
        let mut fatbin = vec![0_u8; 16 + 100];
        fatbin[..4].copy_from_slice(&FATBIN);
        (fatbin[6], fatbin[8]) = (16, 100);
        let mut cubin = vec![0_u8; 64 + 3 * 64];
        cubin[..5].copy_from_slice(&ELF);
        // 3 section headers of 64 bytes behind the file's header.
        (cubin[40], cubin[58], cubin[60]) = (64, 64, 3);
        for image in [fatbin, cubin] {
            assert_eq!(Image::of(&image).unwrap().bytes()[..image.len()], image);
            for length in 5..image.len() {
                assert!(refused(&image[..length]).contains("pass all of it"), "{length}");
            }
            let mut huge = image.clone();
            huge[8..16].fill(0xff);
            huge[40..48].fill(0xff);
            refused(&huge);
        }
    }
}
