//! The truth, written to a file so that the base can be scored against it.
//!
//! JSON lines, one object per person; the last line of a person counts. Fields: `person` (index), `number`, `former_numbers`,
//! `alive`, `records` (source table and key of each row about the person), `enrolments` (scheme, city, status, paid through) and
//! `expected` (rules whose findings are obvious). Written to this file on purpose and never logged.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;

use crate::dossier::Dossier;
use crate::json::Column;
use crate::tables::Row;
use crate::world::Fate;

/// The file.
pub(crate) struct Truth {
    file: BufWriter<File>,
    line: Vec<u8>,
}

impl Truth {
    /// Creates the file, or empties it.
    ///
    /// # Errors
    /// When it cannot be created.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("could not create {}", path.display()))?;
        Ok(Self {
            file: BufWriter::with_capacity(1 << 20, file),
            line: Vec::new(),
        })
    }

    /// Writes what is true of a person.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(crate) fn write(&mut self, dossier: &Dossier) -> anyhow::Result<()> {
        self.line.clear();
        line(dossier, &mut self.line)?;
        self.file.write_all(&self.line).context("could not write the truth")
    }

    /// Writes what is still in memory.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        self.file.flush().context("could not write the truth")
    }
}

fn line(dossier: &Dossier, out: &mut Vec<u8>) -> anyhow::Result<()> {
    let person = &dossier.person;
    let alive = !matches!(person.fate, Fate::Dead(_));
    write!(
        out,
        r#"{{"person":{},"number":"{}","former_numbers":["#,
        person.index,
        person.number.text()
    )?;
    for (at, former) in dossier.former_numbers.iter().enumerate() {
        write!(out, r#"{}"{}""#, if at == 0 { "" } else { "," }, former.text())?;
    }
    write!(out, r#"],"alive":{alive},"records":["#)?;
    for (at, record) in dossier.records.iter().enumerate() {
        let (agency, table) = (record.row.agency(), record.row.table().name());
        write!(
            out,
            r#"{}["{agency}.{}.public.{table}","#,
            if at == 0 { "" } else { "," },
            record.city
        )?;
        record.row.write_key(out);
        out.push(b']');
    }
    write!(out, r#"],"enrolments":["#)?;
    let enrolments = dossier.records.iter().filter_map(|record| match &record.row {
        Row::Ac02(row) => Some((record.city, row)),
        _ => None,
    });
    for (at, (city, row)) in enrolments.enumerate() {
        write!(out, r#"{}{{"city":{city},"scheme":"#, if at == 0 { "" } else { "," })?;
        row.aae140.write(out);
        out.extend_from_slice(b",\"status\":");
        row.aac031.write(out);
        out.extend_from_slice(b",\"paid_through\":");
        row.aae003.write(out);
        out.push(b'}');
    }
    write!(out, r#"],"expected":["#)?;
    for (at, rule) in dossier.expected.iter().enumerate() {
        write!(out, r#"{}"{}""#, if at == 0 { "" } else { "," }, rule.as_str())?;
    }
    out.extend_from_slice(b"]}\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history;
    use crate::view::Rates;
    use crate::world::World;
    use domain::date::Day;

    #[test]
    fn lines_are_json() {
        let world = World::new(2, 400, Day(20_781));
        for dossier in (0..world.blocks()).flat_map(|block| history::block(&world, &Rates::default(), block)) {
            let mut out = Vec::new();
            line(&dossier, &mut out).expect("written");
            let json: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
            assert_eq!(json["records"].as_array().expect("an array").len(), dossier.records.len());
            assert_eq!(json["number"].as_str().expect("text").len(), 18);
        }
    }
}
