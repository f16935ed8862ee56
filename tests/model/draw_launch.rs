//! Arguments of random launches.
//!
//! Contract: as `draw`.

use super::calls::{Argument, Call};
use super::draw::Reader;
use super::handle::Ref;
use tenure::types::*;

impl Reader<'_> {
    pub fn launch(&mut self) -> Call {
        let n = self.one(&[2, 1, 2, 3, 2, 1, 0]);
        let grid = match self.byte() {
            0..=149 => [1, 1, 1],
            150..=199 => [2, 1, 1],
            200..=229 => [2, 3, 1],
            230..=251 => [2, 1, 2],
            252.. => [1, 0, 1],
        };
        let block_bytes = if self.chance(80) { self.one(&[40, 128, 1, -1]) } else { 0 };
        let mut arguments: Vec<Argument> = vec![];
        for _ in 0..n {
            let argument = self.argument(&arguments);
            arguments.push(argument);
        }
        Call::Launch { arguments, grid, block_bytes }
    }

    /// An array, sometimes that of an argument before it; or a value.
    fn argument(&mut self, before: &[Argument]) -> Argument {
        let how = self.byte();
        let earlier = match before.first() {
            Some(Argument::Array { array, .. }) if how.is_multiple_of(5) && how > 0 => Some(*array),
            _ => None,
        };
        if how > 245 {
            return Argument::Value { bytes: if how > 254 { 0 } else { 12 } };
        }
        let array = earlier.unwrap_or_else(|| self.array());
        let alias = if how & 3 == 3 || earlier.is_some() && how & 4 != 0 { TN_ALLOW_ALIAS } else { 0 };
        let access = self.access() | alias;
        let axes = match array {
            Ref::Array(k) => self.model.arrays[k].region.layout.shape.len() as i32,
            _ => 1,
        };
        let ndim = match self.byte() {
            0..=209 => Some(axes),
            210..=244 => None,
            245..=248 => Some(axes + 1),
            249..=251 => Some(1),
            252..=253 => Some(axes - 1),
            _ => Some(9),
        };
        Argument::Array { array, access, ndim }
    }
}
