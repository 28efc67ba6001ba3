//! Tables on standard output: fitted to a terminal, or in plain columns for scripts.

use std::{
    env,
    io::{self, IsTerminal},
};

use chrono::DateTime;
use comfy_table::{Cell, Color, Column, ColumnConstraint, ContentArrangement, Row, Table, presets};

use super::times::ago;
use crate::{
    cli::output,
    client::{Timestamp, json},
    domain::{Clock, SystemClock},
};

/// The kind of standard output.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    is_terminal: bool,
    is_coloured: bool,
}

/// A cell's text with its colour.
#[derive(Debug, Clone)]
pub struct StyledText {
    text: String,
    colour: Option<Colour>,
}

/// The rules by which a table is made to fit a terminal.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fit {
    /// The columns that may be left out, in the order in which they go.
    pub optional: &'static [usize],
    /// The most lines of a row; longer text is cut off.
    pub lines: Option<usize>,
}

/// The width of a terminal that doesn't report its own.
const DEFAULT_WIDTH: u16 = 80;
/// The least useful width of a text column.
const MIN_TEXT_WIDTH: u16 = 13;

/// Red, green and blue.
pub type Colour = (u8, u8, u8);

impl<T: Into<String>> From<T> for StyledText {
    fn from(text: T) -> Self {
        Self { text: text.into(), colour: None }
    }
}

impl StyledText {
    /// Sets the colour, which shows only on a coloured screen.
    pub const fn coloured(mut self, colour: Option<Colour>) -> Self {
        self.colour = colour;
        self
    }
}

impl Screen {
    /// Examines standard output. A terminal is coloured unless `NO_COLOR` is set (no-color.org) or `TERM` is `dumb`.
    pub fn of_output() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { is_terminal, is_coloured: is_terminal && !is_set("NO_COLOR") && !is_dumb }
    }

    /// Returns true when colours show.
    pub const fn is_coloured(self) -> bool {
        self.is_coloured
    }

    /// Writes an instant: its age on a terminal, RFC 3339 elsewhere, empty for none.
    pub fn time(self, at: Option<&Timestamp>) -> String {
        let written = json::instant(at).unwrap_or_default();
        match at.and_then(|at| DateTime::from_timestamp(at.seconds, 0)) {
            Some(at) if self.is_terminal => ago(SystemClock.now() - at),
            _ => written,
        }
    }

    /// Prints a table. The first column is never wrapped, so that ids can be copied.
    ///
    /// # Errors
    /// When standard output can't be written to.
    pub fn table<const N: usize>(
        self,
        headings: [&str; N],
        rows: Vec<[StyledText; N]>,
        fit: Fit,
    ) -> anyhow::Result<()> {
        if self.is_terminal {
            return output::print(&self.drawn(headings, rows, fit));
        }
        let texts: Vec<_> = rows.into_iter().map(|row| row.map(|styled| styled.text)).collect();
        output::print_table(headings, &texts)
    }

    fn drawn<const N: usize>(self, headings: [&str; N], rows: Vec<[StyledText; N]>, fit: Fit) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_truncation_indicator("…").set_header(headings);
        for row in rows {
            let mut row = Row::from(row.map(|styled| self.cell(&styled)));
            if let Some(lines) = fit.lines {
                row.max_height(lines);
            }
            table.add_row(row);
        }
        if let Some(first) = table.column_mut(0) {
            first.set_padding((0, 1));
        }
        let width = table.width().filter(|width| *width > 0).unwrap_or(DEFAULT_WIDTH);
        table.set_width(width);
        hide_optional(&mut table, width, fit.optional);
        table.trim_fmt()
    }

    fn cell(self, styled: &StyledText) -> Cell {
        let cell = Cell::new(output::printable_text(&styled.text));
        match styled.colour.filter(|_| self.is_coloured) {
            Some((r, g, b)) => cell.fg(Color::Rgb { r, g, b }),
            None => cell,
        }
    }
}

/// Leaves out optional columns until the others have room. The first column is never wrapped.
fn hide_optional(table: &mut Table, width: u16, optional: &[usize]) {
    let contents = table.column_max_content_widths();
    let least = |column: usize, content: u16| {
        let padding = table.column(column).map_or(0, Column::padding_width);
        padding + if column == 0 { content } else { content.min(MIN_TEXT_WIDTH) }
    };
    let least: Vec<_> =
        contents.iter().enumerate().map(|(column, content)| least(column, *content)).collect();
    let mut needed: u16 = least.iter().sum();
    let hidden = optional.iter().take_while(|column| {
        let is_too_wide = needed > width;
        needed = needed.saturating_sub(if is_too_wide { least[**column] } else { 0 });
        is_too_wide
    });
    let hidden: Vec<_> = hidden.map(|column| (*column, ColumnConstraint::Hidden)).collect();
    for (column, constraint) in hidden.into_iter().chain([(0, ColumnConstraint::ContentWidth)]) {
        if let Some(column) = table.column_mut(column) {
            column.set_constraint(constraint);
        }
    }
}
