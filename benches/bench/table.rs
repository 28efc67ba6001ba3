//! Tables that read well on a screen and are Markdown, too.

/// Rows under their headings, in columns; the first column is text, the others are aligned to the right.
pub fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([headings[column].chars().count(), 3]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let rule: Vec<String> = widths.iter().enumerate().map(|(column, width)| rule(column, *width)).collect();
    let mut lines = vec![line(&headings.map(str::to_owned), &widths), format!("|{}|", rule.join("|"))];
    lines.extend(rows.iter().map(|row| line(row, &widths)));
    lines.join("\n") + "\n"
}

fn rule(column: usize, width: usize) -> String {
    if column == 0 { "-".repeat(width + 2) } else { format!("{}:", "-".repeat(width + 1)) }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded = cells.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
        if column == 0 { format!(" {cell:width$} ") } else { format!(" {cell:>width$} ") }
    });
    format!("|{}|", padded.collect::<Vec<_>>().join("|"))
}
