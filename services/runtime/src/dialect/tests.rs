mod last;
mod reading;
mod sentinels;
mod unread;

use super::*;

const HEAD: &str = r#"
agency = "human-resources"
name = "test"
revision = 3
cities = ["*"]
[codes.status]
map = { 1 = "active" }
[tables.t]
kind = "card"
key = ["b", "a"]
[tables.t.fields]
number = "n"
name = "x"
status = { column = "s", codes = "status" }
"#;

fn add(text: &str) -> Result<Dialects, DialectError> {
    let mut dialects = Dialects::default();
    dialects.add(Path::new("test.toml"), text)?;
    Ok(dialects)
}

fn source(text: &str) -> Source {
    text.parse().unwrap()
}

#[test]
fn a_file_becomes_tables() {
    let dialects = add(HEAD).unwrap();
    let table = dialects.find(source("human-resources.3201"), "t").unwrap();
    assert_eq!((table.kind, table.revision, table.dialect.as_str()), (Kind::Card, 3, "test"));
    let columns: Vec<&str> = table.key_columns().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(columns, ["a", "b"]);
    assert_eq!(table.column(Field::Status), Some("s"));
    assert_eq!(table.column(Field::Birth), None);
    assert!(dialects.find(source("human-resources.3201"), "u").is_none());
    assert!(dialects.find(source("civil-affairs.3201"), "t").is_none());
}

#[test]
fn what_a_truncation_means_is_said_by_the_table() {
    let said = |text: &str| {
        add(&HEAD.replace("kind = \"card\"", text))
            .map(|dialects| dialects.find(source("human-resources.3201"), "t").unwrap().truncation)
    };
    assert_eq!(said("kind = \"card\"").unwrap(), Truncation::Snapshot);
    assert_eq!(said("kind = \"card\"\ntruncation = \"reload\"").unwrap(), Truncation::Reload);
    assert_eq!(said("kind = \"card\"\ntruncation = \"empty\"").unwrap(), Truncation::Empty);
    assert!(said("kind = \"card\"\ntruncation = \"never\"").is_err());
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let replaced = |from: &str, to: &str| {
        assert!(HEAD.contains(from), "{from}");
        HEAD.replace(from, to)
    };
    let cases = [
        (replaced("human-resources", "tax"), "agency", "unknown agency"),
        (replaced("\"test\"", "\"\""), "name", "needs a name"),
        (replaced("[\"*\"]", "[]"), "cities", "3200 to 3213"),
        (replaced("[\"*\"]", "[\"3214\"]"), "cities", "3200 to 3213"),
        (replaced("revision = 3", "revision = 70000"), "", "revision"),
        (replaced("revision = 3", "revision = 32768"), "revision", "at most 32767"),
        (replaced("revision = 3", "revison = 3"), "", "revison"),
        (replaced("tables.t", "tables.\"t.t\""), "tables.t.t", "last part of its topic"),
        (replaced("\"card\"", "\"cards\""), "tables.t.kind", "expected one of resident"),
        (replaced("[\"b\", \"a\"]", "[]"), "tables.t.key", "key columns"),
        (replaced("[\"b\", \"a\"]", "[\"a\", \"a\"]"), "tables.t.key", "each once"),
        (
            replaced("number = \"n\"", "nummer = \"n\""),
            "tables.t.fields.nummer",
            "no such field in kind card; expected one of number",
        ),
        (
            replaced("number = \"n\"", "death = \"n\""),
            "tables.t.fields.death",
            "no such field in kind card",
        ),
        (replaced("number = \"n\"", ""), "tables.t.fields", "field number is mandatory"),
        (
            replaced("number = \"n\"", "number = \"\""),
            "tables.t.fields.number",
            "name of a column",
        ),
        (replaced("number = \"n\"", "number = { colum = \"n\" }"), "", "colum"),
        (
            replaced("number = \"n\"", "number = { column = \"n\", encoding = \"bool\" }"),
            "tables.t.fields.number.encoding",
            "text, int",
        ),
        (
            replaced("number = \"n\"", "number = { column = \"n\", codes = \"status\" }"),
            "tables.t.fields.number.codes",
            "holds no code",
        ),
        (
            replaced("number = \"n\"", "number = \"n\"\nissued = \"d\""),
            "tables.t.fields.issued.encoding",
            "date-days, date-text",
        ),
        (
            replaced(", codes = \"status\" }", " }"),
            "tables.t.fields.status",
            "code table",
        ),
        (
            replaced("codes = \"status\"", "codes = \"state\""),
            "tables.t.fields.status.codes",
            "no code table [codes.state]",
        ),
        (
            replaced("\"active\"", "\"aktive\""),
            "codes.status.map.1",
            "unknown name aktive; expected one of active",
        ),
        (
            replaced("1 = \"active\" }", "1 = \"active\" }\nvoid = [\"1\"]"),
            "codes.status.1",
            "listed twice",
        ),
        (
            replaced("1 = \"active\" }", "1 = \"active\" }\nnull = \"gone\""),
            "codes.status.null",
            "unknown name gone",
        ),
        (
            replaced("[codes.status]", "[codes.other]\nmap = {}\n[codes.status]"),
            "codes.other",
            "no field uses",
        ),
        (
            replaced(
                "number = \"n\"",
                "number = \"n\"\nissued = { column = \"d\", encoding = \"date-days\", none = [\"1900\"] }",
            ),
            "tables.t.fields.issued.none",
            "a day as yyyy-mm-dd",
        ),
        (replaced("revision = 3", "revision = 3\ncharset = \"big5\""), "", "gb18030"),
        (
            replaced("kind = \"card\"", "kind = \"card\"\ndocument = \"id\""),
            "tables.t.document",
            "expected one of unstated",
        ),
        ("x".to_owned(), "", "expected"),
    ];
    for (text, key, problem) in cases {
        let error = add(&text).unwrap_err();
        assert_eq!(error.key, key, "{error}");
        assert!(error.problem.contains(problem), "{error}");
        assert!(error.to_string().starts_with("test.toml: "), "{error}");
    }
}

#[test]
fn a_table_is_mapped_once_for_a_city() {
    let mut dialects = add(HEAD).unwrap();
    let again = dialects.add(Path::new("again.toml"), HEAD).unwrap_err();
    assert_eq!(
        (again.key.as_str(), again.problem.contains("dialect test")),
        ("tables.t", true)
    );
    let of_city = HEAD.replace("[\"*\"]", "[\"3205\"]").replace("\"test\"", "\"city\"");
    dialects.add(Path::new("city.toml"), &of_city).unwrap();
    let name = |source_name| dialects.find(source(source_name), "t").map(|table| table.dialect.as_str());
    assert_eq!(name("human-resources.3205"), Some("city"));
    assert_eq!(name("human-resources.3201"), Some("test"));
    assert_eq!(dialects.tables(source("human-resources.3205")).count(), 1);
}

#[test]
fn a_table_is_found_as_it_is_named_then_whatever_its_case() {
    let table = HEAD
        .split_once("[tables.t]")
        .map(|(_, rest)| format!("[tables.T]{}", rest.replace("tables.t.", "tables.T.")));
    let dialects = add(&format!("{HEAD}{}", table.unwrap())).unwrap();
    let of = source("human-resources.3201");
    let name = |table| dialects.find(of, table).map(|table| table.name.as_str());
    assert_eq!((name("t"), name("T"), name("u")), (Some("t"), Some("T"), None));
    let dialects = add(&HEAD.replace("[tables.t", "[tables.Ac02")).unwrap();
    for spelled in ["Ac02", "ac02", "AC02"] {
        assert_eq!(
            dialects.find(of, spelled).map(|table| table.name.as_str()),
            Some("Ac02"),
            "{spelled}"
        );
    }
    // What is spelled so in the default dialect is meant, not what the city's spells in another case.
    let mut dialects = add(HEAD).unwrap();
    let of_city = HEAD.replace("[\"*\"]", "[\"3207\"]").replace("[tables.t", "[tables.T");
    dialects.add(Path::new("city.toml"), &of_city).unwrap();
    let oracle = source("human-resources.3207");
    let name = |table| dialects.find(oracle, table).map(|table| table.name.as_str());
    assert_eq!(
        (name("t"), name("T"), dialects.tables(oracle).count()),
        (Some("t"), Some("T"), 2)
    );
}

#[test]
fn what_is_ignored_is_no_pattern_and_not_mapped() {
    for (ignored, key, problem) in [
        ("fly*way", "ignored[0]", "expected the name of a table"),
        ("*", "ignored[0]", "expected the name of a table"),
        ("T*", "ignored", "`T*` ignores table t, which dialect test maps"),
    ] {
        let error = add(&HEAD.replace("revision", &format!("ignored = [\"{ignored}\"]\nrevision"))).unwrap_err();
        assert_eq!(error.key, key, "{error}");
        assert!(error.problem.contains(problem), "{error}");
    }
}

#[test]
fn what_nobody_needs_is_ignored_where_it_is_not_mapped() {
    let mut dialects = add(&HEAD.replace("revision", "ignored = [\"signals\", \"flyway_*\", \"u\"]\nrevision")).unwrap();
    let of_city = HEAD
        .replace("[\"*\"]", "[\"3205\"]")
        .replace("[tables.t", "[tables.u")
        .replace("revision", "ignored = [\"t\"]\nrevision");
    dialects.add(Path::new("city.toml"), &of_city).unwrap();
    let used = |city, table| match dialects.use_of(source(city), table) {
        TableUse::Mapped(table) => table.name.as_str().to_owned(),
        TableUse::Ignored => "ignored".to_owned(),
        TableUse::Undeclared => "undeclared".to_owned(),
    };
    for (table, anywhere, in_the_city) in [
        ("signals", "ignored", "ignored"),
        ("FLYWAY_schema_history", "ignored", "ignored"),
        ("flyway", "undeclared", "undeclared"),
        ("t", "t", "ignored"),
        ("U", "ignored", "u"),
    ] {
        assert_eq!(used("human-resources.3201", table), anywhere, "{table}");
        assert_eq!(used("human-resources.3205", table), in_the_city, "{table}");
    }
    let mapped: Vec<&str> = dialects
        .tables(source("human-resources.3205"))
        .map(|table| table.name.as_str())
        .collect();
    assert_eq!(mapped, ["u"]);
    let message = SourceMessage {
        source: source("human-resources.3201"),
        table: "signals",
        partition: 0,
        offset: 0,
        epoch: 0,
        timestamp: domain::date::Timestamp(0),
        key: None,
        value: Some(b"no JSON"),
    };
    let classified = normalise(&dialects, &domain::ids::IdKey::new(1, &[0; 32]), &message);
    assert!(
        matches!(classified, Classified::Control(ControlKind::Ignored { .. })),
        "{classified:?}"
    );
}

#[test]
fn an_empty_directory_is_no_configuration() {
    let dir = std::env::temp_dir().join(format!("canbao-dialects-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let error = Dialects::load(std::slice::from_ref(&dir)).unwrap_err();
    std::fs::remove_dir(&dir).unwrap();
    assert!(error.problem.contains("no dialect files"), "{error}");
    assert!(Dialects::load(&[dir]).is_err());
}

#[test]
fn a_key_names_one_row_however_it_is_written() {
    let dialects = add(HEAD).unwrap();
    let row = |table: &str, key: &str| dialects.row_of(source("human-resources.3201"), table, Some(key.as_bytes()));
    let named = row("t", r#"{"a":1,"b":"x"}"#);
    assert_eq!(named.as_deref(), Some(r#"{"a":1,"b":"x"}"#));
    for other in [
        r#" { "b" : "x", "a" : 1 } "#,
        r#"{"a":1,"b":"\u0078"}"#,
        r#"{"schema":{"type":"struct"},"payload":{"a":1,"b":"x"}}"#,
    ] {
        assert_eq!(row("t", other), named, "{other}");
    }
    assert_ne!(row("t", r#"{"a":2,"b":"x"}"#), named);
    assert_eq!(row("t", r#"{"a":1}"#), None);
    assert_eq!(row("t", "no JSON"), None);
    assert_eq!(row("u", r#"{"a":1,"b":"x"}"#), None, "nobody maps it");
}
