//! What an export sends, and what imports of the host's and of GPUs' memory have in common.
#![forbid(unsafe_code)]

use super::descriptor::MOST_BYTES;
use crate::error::{Status, Text, fail};
use crate::names::Name;
use crate::sys::file::File;
use crate::types::*;

/// A descriptor, and the file that has the elements.
pub struct Described {
    /// The descriptor, in its first bytes.
    pub descriptor: [u8; MOST_BYTES],
    /// The size of the descriptor.
    pub bytes: usize,
    /// A descriptor of the file; the receiver of this value closes it.
    pub file: File,
}

/// TN_ERR_READONLY: the importer wants to write.
#[cold]
pub(super) fn cannot_write(why: &str) -> Status {
    fail(TN_ERR_READONLY, format_args!("TN_IPC_WRITABLE: {why}; export it with TN_IPC_WRITABLE too"))
}

/// The name of an import: the array's. One without a name gets that of the process that exported it.
pub(super) fn sender_name(name: Name, process: u32) -> Name {
    if !name.as_str().is_empty() {
        return name;
    }
    let mut text = Text::new();
    let _ = core::fmt::write(&mut text, format_args!("(process {process})"));
    Name::head(text.as_str())
}
