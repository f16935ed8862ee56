//! Diagrams: `docs/*.dot`, drawn as SVG by Graphviz. The committed picture has a checksum of its source in a comment.
//!
//! Promise: [`is_drawn_from`] needs no Graphviz, so that a test can say on any machine that a picture is older than its
//! source.

/// The comment that names the source.
fn stamp(source: &str) -> String {
    // FNV-1a: it has to notice a change, nothing more.
    let checksum = source
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("<!-- FNV-1a of the .dot file: {checksum:016x} -->\n")
}

/// The picture with its stamp, behind the XML declaration, which has to come first.
#[allow(dead_code, reason = "the test only compares")]
pub fn stamped(svg: &str, source: &str) -> String {
    let at = svg.find("?>").map_or(0, |end| end + 2);
    format!("{}\n{}{}", &svg[..at], stamp(source), svg[at..].trim_start())
}

/// Whether the picture was drawn from this source.
#[allow(dead_code, reason = "only the test compares")]
pub fn is_drawn_from(svg: &str, source: &str) -> bool {
    svg.contains(&stamp(source))
}
