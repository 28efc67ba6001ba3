//! Output for people and scripts. A reader that closes its end of the pipe is no error.

use std::io::{self, Write};

use serde::Serialize;

use crate::domain::text::is_steering;

/// Writes lines to standard output.
///
/// # Errors
/// When it can't be written to.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// Writes indented JSON to standard output, with control characters escaped.
///
/// # Errors
/// When it can't be written to.
pub fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&escaped(&serde_json::to_string_pretty(value)?))
}

/// Escapes the characters that steer a terminal and that JSON itself allows, such as U+009B and U+202E. They occur only
/// within strings, except for the line feeds between values.
pub fn escaped(json: &str) -> String {
    let escape = |c: char| match c {
        c if c != '\n' && is_steering(c) => format!("\\u{:04x}", u32::from(c)),
        _ => c.to_string(),
    };
    json.chars().map(escape).collect()
}

/// Writes an error to standard error, in one line.
pub fn error(message: &str) {
    // A failure to write an error has no place to go.
    let _ = writeln!(io::stderr(), "redflag: {}", printable(message));
}

/// Writes a hint or a warning to standard error, which leaves standard output to the answer.
pub fn notice(message: &str) {
    let _ = writeln!(io::stderr(), "{message}");
}

/// Makes text safe for one line of a terminal: line feeds, control and bidirectional characters become spaces.
pub fn printable(text: &str) -> String {
    text.replace(is_steering, " ")
}

/// Makes text of several lines safe for a terminal: line feeds stay.
pub fn printable_text(text: &str) -> String {
    text.replace(|c| c != '\n' && is_steering(c), " ")
}

/// Writes a table in columns to standard output.
///
/// # Errors
/// When it can't be written to.
pub fn print_table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> anyhow::Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([headings[column].len()]).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..N).map(width).collect();
    let line = |cells: [&str; N]| {
        let cells = cells.map(printable);
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let body = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    print(&[line(headings)].into_iter().chain(body).collect::<Vec<_>>().join("\n"))
}

/// Returns true for a broken pipe: the reader of standard output is gone.
pub fn is_closed(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_escapes_terminal_control_characters() {
        let text = "a\u{1b}[31m\u{9b}\u{7f}\u{202e}é\n";
        let json = escaped(&serde_json::to_string(text).unwrap());
        assert_eq!(json, r#""a\u001b[31m\u009b\u007f\u202eé\n""#);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn text_loses_terminal_control_characters() {
        assert_eq!(printable("a\u{1b}[2J\tb\nc\u{9b}d\u{202e}e é"), "a [2J b c d e é");
        assert_eq!(printable_text("a\nb\r\u{7f}"), "a\nb  ");
    }
}
