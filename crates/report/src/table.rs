//! Tables in the manner of `kubectl get`: no lines, a heading in capitals, columns as wide as what they hold.

use comfy_table::{Cell, Color, ContentArrangement, Table};

use crate::text::escape_controls;
use crate::{Paint, Screen};

/// A table that is being filled. Columns in which every cell is empty are omitted.
pub(crate) struct Rows {
    heading: Vec<&'static str>,
    rows: Vec<Vec<(String, Option<Paint>)>>,
}

impl Rows {
    /// An empty table.
    pub(crate) fn new(heading: &[&'static str]) -> Self {
        Self {
            heading: heading.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; a cell may have a meaning, and then has its colour.
    pub(crate) fn add(&mut self, cells: Vec<(String, Option<Paint>)>) {
        self.rows.push(cells);
    }

    /// The table, every line moved to the right by `indent`.
    pub(crate) fn draw(&self, indent: usize, screen: &Screen) -> String {
        let filled = |column: usize| {
            self.rows
                .iter()
                .any(|row| row.get(column).is_some_and(|(text, _)| !text.is_empty()))
        };
        let columns: Vec<usize> = (0..self.heading.len()).filter(|&column| filled(column)).collect();
        let mut table = Table::new();
        table
            .load_style(comfy_table::presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(u16::try_from(screen.width.saturating_sub(indent)).unwrap_or(u16::MAX))
            .force_no_tty();
        if screen.colour {
            table.enforce_styling();
        }
        let heading = columns
            .iter()
            .map(|&column| cell(self.heading[column], Some(Paint::Faint)));
        table.set_header(heading.collect::<Vec<_>>());
        for row in &self.rows {
            let cells = columns.iter().filter_map(|&column| row.get(column));
            table.add_row(cells.map(|(text, paint)| cell(text, *paint)).collect::<Vec<_>>());
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let lines = table
            .lines()
            .map(|line| format!("{:indent$}{}\n", "", line.trim_end()));
        lines.collect()
    }
}

fn cell(text: &str, paint: Option<Paint>) -> Cell {
    let cell = Cell::new(escape_controls(text));
    match paint {
        Some(Paint::Good) => cell.fg(Color::DarkGreen),
        Some(Paint::Warn) => cell.fg(Color::DarkYellow),
        Some(Paint::Bad) => cell.fg(Color::DarkRed),
        Some(Paint::Info) => cell.fg(Color::DarkCyan),
        Some(Paint::Strong) => cell.add_attribute(comfy_table::Attribute::Bold),
        Some(Paint::Faint) => cell.add_attribute(comfy_table::Attribute::Dim),
        None => cell,
    }
}
