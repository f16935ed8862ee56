//! Columns of text.

use comfy_table::{CellAlignment, Table, presets};

/// A table without lines. Columns of numbers are given by their positions.
pub fn table(head: &[&str], numbers: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    for column in numbers {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Its lines, without spaces at their ends.
pub fn printed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}
