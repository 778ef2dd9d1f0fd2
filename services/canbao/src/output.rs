//! How reports reach the terminal: aligned text for people, JSON for scripts.

use domain::date::Timestamp;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{ErrorKind, Write};

/// Form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Text for people.
    #[default]
    Text,
    /// JSON for scripts: one document, or one a line where output goes on.
    Json,
}

/// How a command that ran came out; what could not run is an error and ends with code 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be: code 0.
    Good,
    /// A difference was found: code 1.
    Difference,
}

impl Format {
    /// Prints a report: as JSON, or as the text that `text` makes of it.
    ///
    /// # Errors
    /// When standard output cannot be written; a reader that went away is none.
    pub fn print<R: Serialize>(self, report: &R, text: impl FnOnce(&R) -> String) -> anyhow::Result<()> {
        let mut page = match self {
            Self::Text => text(report),
            Self::Json => serde_json::to_string_pretty(report)?,
        };
        if !page.ends_with('\n') {
            page.push('\n');
        }
        write_out(&page).map(|_| ())
    }
}

/// Writes to standard output; `false` when its reader went away, as after `| head`.
///
/// # Errors
/// When it cannot be written for another reason.
pub fn write_out(text: &str) -> anyhow::Result<bool> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A table of aligned columns; numbers to the right.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with a heading.
    pub fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self {
            rows: vec![Vec::from(heading.map(str::to_owned))],
        }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(Vec::from(cells));
    }

    /// The table as text, each line ended.
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let body = |at: usize| self.rows.iter().skip(1).filter_map(move |row| row.get(at));
        let layout: Vec<(usize, bool)> = (0..columns)
            .map(|at| {
                let widest = self
                    .rows
                    .iter()
                    .filter_map(|row| row.get(at))
                    .map(|cell| width(cell))
                    .max()
                    .unwrap_or(0);
                let numeric = body(at).all(|cell| is_number(cell)) && body(at).next().is_some();
                (widest, numeric)
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, (widest, numeric)) in row.iter().zip(&layout) {
                let pad = " ".repeat(widest - width(cell));
                let (before, after) = if *numeric { (pad.as_str(), "") } else { ("", pad.as_str()) };
                let gap = if line.is_empty() { "" } else { "  " };
                // Writing to a String cannot fail.
                let _ = write!(line, "{gap}{before}{cell}{after}");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

fn is_number(cell: &str) -> bool {
    cell == "-"
        || cell
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+'))
}

/// Columns a text takes on a terminal: Han characters and their like take two.
fn width(text: &str) -> usize {
    let of = |c: char| match c as u32 {
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    };
    text.chars().map(of).sum()
}

/// An instant as people in China read it: `2026-05-01 08:00:00.250`.
pub fn local_time(at: Timestamp) -> String {
    const SHANGHAI: i64 = 8 * 3_600_000;
    chrono::DateTime::from_timestamp_millis(at.0.saturating_add(SHANGHAI))
        .map_or_else(|| at.0.to_string(), |time| time.format("%Y-%m-%d %H:%M:%S%.3f").to_string())
}

/// The time now.
pub fn now() -> Timestamp {
    Timestamp(chrono::Utc::now().timestamp_millis())
}

/// Something or a dash.
pub fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_whatever_the_script() {
        let mut table = Table::new(["city", "rows"]);
        table.row(["南京市".into(), "7".into()]);
        table.row(["Wuxi".into(), "1200".into()]);
        assert_eq!(table.render(), "city    rows\n南京市     7\nWuxi    1200\n");
    }

    #[test]
    fn time_is_local_to_china() {
        assert_eq!(local_time(Timestamp(0)), "1970-01-01 08:00:00.000");
        assert_eq!(or_dash::<i32>(None), "-");
    }
}
