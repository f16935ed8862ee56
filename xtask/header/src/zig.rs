//! `bindings/zig/status.zig`: statuses as an error set, from the description. `zig translate-c` makes everything else from the header.

use super::api::Api;
use super::camel;
use xtask::tools::Done;

/// The file's text, as `zig fmt` has it.
pub fn statuses(api: &Api) -> Done<String> {
    let family = api.families.iter().find(|known| known.name == "tn_status").ok_or("Zig: no family tn_status")?;
    let (mut set, mut errors, mut numbers) = (String::new(), String::new(), String::new());
    for constant in family.constants.iter().filter(|constant| constant.value != 0) {
        let name = camel(constant.name.trim_start_matches("TN_ERR_"));
        set += &format!("    /// {}\n    {name},\n", constant.doc);
        errors += &format!("        {} => error.{name},\n", constant.value);
        numbers += &format!("        error.{name} => {},\n", constant.value);
    }
    Ok(format!(
        "//! Written by `cargo xtask header` from abi/api.json: edit src/types.rs.\n\n\
         /// The statuses of the library but TN_OK.\npub const Error = error{{\n{set}    \
         /// A status that a newer library has.\n    Unknown,\n}};\n\n\
         /// The error of a status other than TN_OK.\npub fn errorOf(status: u32) Error {{\n    return switch (status) {{\n{errors}        \
         else => error.Unknown,\n    }};\n}}\n\n\
         /// The status of an error.\npub fn statusOf(err: Error) u32 {{\n    return switch (err) {{\n{numbers}        \
         error.Unknown => 0xffffffff,\n    }};\n}}\n"
    ))
}
