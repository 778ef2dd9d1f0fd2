//! What a verification found, as data and as text.

use super::announced::Announced;
use super::books::{PartitionBook, by_source};
use super::compare::TableReport;
use super::ledger::Page;
use super::rest::Rest;
use crate::output::{Table, Verdict};
use serde::Serialize;
use std::fmt::Write as _;

/// The base against the function.
#[derive(Debug, Serialize)]
pub struct BaseReport {
    /// Rows of the source log.
    pub log_rows: u64,
    /// Rows of it that were stepped over (`canbao skip`): they are kept and took no effect.
    pub skipped: u64,
    /// The business date compared on.
    pub business_date: Option<String>,
    /// Persons recomputed.
    pub persons: u64,
    /// Open findings recomputed.
    pub findings: u64,
    /// Table by table.
    pub tables: Vec<TableReport>,
}

impl BaseReport {
    /// Everything that differs.
    pub fn differences(&self) -> u64 {
        differences(&self.tables)
    }
}

fn differences(tables: &[TableReport]) -> u64 {
    tables.iter().map(|table| table.differences).sum()
}

/// The page of a source.
#[derive(Debug, Serialize)]
pub struct SourceBook {
    /// The source.
    pub source: String,
    /// Its partitions together.
    #[serde(flatten)]
    pub page: Page,
    /// Whether it balances.
    pub balances: bool,
}

/// The books.
#[derive(Debug, Serialize)]
pub struct BooksReport {
    /// By source.
    pub sources: Vec<SourceBook>,
    /// By partition.
    pub partitions: Vec<PartitionBook>,
}

impl BooksReport {
    pub(super) fn new(partitions: Vec<PartitionBook>) -> Self {
        let sources = by_source(&partitions)
            .into_iter()
            .map(|(source, page)| SourceBook {
                source: source.to_string(),
                balances: page.balances(),
                page,
            })
            .collect();
        Self { sources, partitions }
    }

    fn balances(&self) -> bool {
        self.partitions.iter().all(|partition| partition.page.balances())
    }
}

/// What a verification found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What was under way.
    pub rest: Rest,
    /// The base.
    pub base: BaseReport,
    /// Open against announced.
    pub announced: Announced,
    /// Topic by topic: the source log against `person.records`, and what was published.
    pub topics: Vec<TableReport>,
    /// Rows of the source log that are older than what `person.records` still holds.
    pub unchecked: u64,
    /// The books; `None` when they were left out.
    pub books: Option<BooksReport>,
}

impl Report {
    /// Good when nothing differs and the books balance.
    pub fn verdict(&self) -> Verdict {
        let same = self.base.differences() == 0 && self.announced.differences == 0 && differences(&self.topics) == 0;
        let balanced = self.books.as_ref().is_none_or(BooksReport::balances);
        if same && balanced {
            Verdict::Good
        } else {
            Verdict::Difference
        }
    }
}

/// The report as text.
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = render_into(report, &mut text);
    text
}

fn render_into(report: &Report, text: &mut String) -> std::fmt::Result {
    let base = &report.base;
    let date = base.business_date.as_deref().unwrap_or("no business date");
    writeln!(
        text,
        "Base: {} rows of the source log, {} persons, {} open findings, {date}",
        base.log_rows, base.persons, base.findings
    )?;
    render_tables(["table", "rows", "differences"], &base.tables, text)?;
    if base.skipped > 0 {
        writeln!(
            text,
            "{} entries were stepped over and took no effect: store.refused_entry says by whom and why",
            base.skipped
        )?;
    }

    let announced = &report.announced;
    writeln!(
        text,
        "\nAnnounced: {} open in live regions, {} told, {} waiting for a source, {} differences",
        announced.open, announced.told, announced.waiting, announced.differences
    )?;
    for sample in &announced.samples {
        writeln!(text, "  {}: {}", sample.key, sample.problem)?;
    }

    writeln!(text, "\nTopics, read committed from their beginning")?;
    render_tables(["topic", "messages", "differences"], &report.topics, text)?;
    if report.unchecked > 0 {
        writeln!(
            text,
            "{} rows of the source log are older than what person.records still holds; they were not compared with it",
            report.unchecked
        )?;
    }

    if let Some(books) = &report.books {
        render_books(books, text)?;
    }
    render_rest(&report.rest, text)?;
    let verdict = match report.verdict() {
        Verdict::Good if report.books.is_some() => "zero differences, the books balance",
        Verdict::Good => "zero differences; the books were left out",
        Verdict::Difference => "DIFFERENCES FOUND",
    };
    writeln!(text, "\n{verdict}")
}

fn render_tables(heading: [&str; 3], tables: &[TableReport], text: &mut String) -> std::fmt::Result {
    let mut table = Table::new(heading);
    for compared in tables {
        let (rows, differences) = (compared.rows.to_string(), compared.differences.to_string());
        table.row([compared.table.to_owned(), rows, differences]);
    }
    text.push_str(&table.render());
    for compared in tables {
        for sample in &compared.samples {
            writeln!(text, "  {} {}: {}", compared.table, sample.key, sample.problem)?;
        }
    }
    Ok(())
}

fn render_books(books: &BooksReport, text: &mut String) -> std::fmt::Result {
    writeln!(
        text,
        "\nBooks: read = applied + superseded + repeated + skipped + dead letters + control (+ in flight), per source"
    )?;
    let heading = [
        "source",
        "read",
        "applied",
        "superseded",
        "repeated",
        "skipped",
        "dead",
        "control",
        "in flight",
        "missing",
        "unexplained",
        "gaps",
        "behind",
    ];
    let mut table = Table::new(heading);
    let mut total = Page::default();
    for source in &books.sources {
        total += source.page;
        table.row(cells(&source.source, &source.page));
    }
    table.row(cells("all", &total));
    text.push_str(&table.render());
    for book in books.partitions.iter().filter(|book| !book.page.balances()) {
        let Page {
            missing, unexplained, ..
        } = book.page;
        write!(
            text,
            "  {}/{}: {missing} missing, {unexplained} unexplained",
            book.topic, book.partition
        )?;
        let offsets: Vec<String> = book.missing_offsets.iter().map(u64::to_string).collect();
        let which = if offsets.is_empty() {
            String::new()
        } else {
            format!("; missing from offsets {}", offsets.join(", "))
        };
        writeln!(text, "{which}")?;
    }
    Ok(())
}

fn cells(name: &str, page: &Page) -> [String; 13] {
    let Page {
        read,
        applied,
        superseded,
        repeated,
        skipped,
        dead_lettered,
        control,
        in_flight,
        missing,
        gaps,
        unexplained,
        behind,
    } = *page;
    let numbers = [
        read,
        applied,
        superseded,
        repeated,
        skipped,
        dead_lettered,
        control,
        in_flight,
        missing,
        unexplained,
        gaps,
        behind,
    ];
    let mut row = numbers.iter().map(u64::to_string);
    std::array::from_fn(|at| {
        if at == 0 {
            name.to_owned()
        } else {
            row.next().unwrap_or_default()
        }
    })
}

fn render_rest(rest: &Rest, text: &mut String) -> std::fmt::Result {
    if rest.is_at_rest() && rest.pending == 0 {
        return writeln!(text, "\nAt rest: nothing was under way");
    }
    writeln!(
        text,
        "\nUnder way: {} records and {} statements not applied, {} events not published, {} persons waiting for a source, {} shards waiting \
         at an entry",
        rest.records_behind, rest.controls_behind, rest.outbox, rest.pending, rest.refused
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(differences: u64, missing: u64) -> Report {
        let table = TableReport {
            table: "person",
            rows: 3,
            differences,
            samples: Vec::new(),
        };
        let page = Page {
            read: 2 + missing,
            applied: 1,
            control: 1,
            missing,
            ..Page::default()
        };
        let partition = PartitionBook {
            topic: "human-resources.3201.public.ac02".into(),
            partition: 0,
            from: 0,
            committed: Some(2),
            end: 2,
            page,
            missing_offsets: Vec::new(),
            source: Some(crate::verify::sample::source()),
        };
        Report {
            rest: Rest::default(),
            base: BaseReport {
                log_rows: 5,
                skipped: 0,
                business_date: None,
                persons: 3,
                findings: 0,
                tables: vec![table],
            },
            announced: Announced::default(),
            topics: Vec::new(),
            unchecked: 0,
            books: Some(BooksReport::new(vec![partition])),
        }
    }

    #[test]
    fn the_verdict_follows_from_rows_and_books() {
        assert_eq!(report(0, 0).verdict(), Verdict::Good);
        assert_eq!(report(1, 0).verdict(), Verdict::Difference);
        assert_eq!(report(0, 1).verdict(), Verdict::Difference);
    }

    #[test]
    fn the_text_says_it_in_the_end() {
        let text = render(&report(0, 0));
        assert!(
            text.contains("human-resources.3201") && text.ends_with("zero differences, the books balance\n"),
            "{text}"
        );
        assert!(render(&report(0, 2)).ends_with("DIFFERENCES FOUND\n"));
        assert!(serde_json::to_value(report(0, 0)).is_ok_and(|json| json["books"]["sources"][0]["applied"] == 1));
    }
}
