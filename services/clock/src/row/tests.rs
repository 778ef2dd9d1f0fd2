use super::*;
use domain::division::City;
use domain::source::Agency;

fn row(time: i64) -> CompletenessRow {
    let source = Source {
        agency: Agency::HUMAN_RESOURCES,
        city: City::PROVINCE,
    };
    CompletenessRow {
        source,
        time: Timestamp(time),
        streamed: true,
        follows_a_load: false,
        appended_at: Timestamp(time.saturating_add(5)),
        ends_loads: true,
    }
}

fn counted(seen: i64, load: Load, row: CompletenessRow, hold: RowsHold) -> Result<(i64, Option<i64>), Discount> {
    let seen = Timestamp(seen);
    let counted = count(Known { seen, load }, &row, Timestamp(1000), 50, hold)?;
    Ok((counted.seen.0, counted.claim.map(|claim| claim.0)))
}

#[test]
fn only_a_later_time_counts() {
    let count = |seen, time| counted(seen, Load::Unproved, row(time), RowsHold::AtOnce);
    assert_eq!(count(0, 900), Ok((900, Some(900))));
    assert_eq!(count(900, 900), Err(Discount::NotNewer));
    assert_eq!(count(900, 899), Err(Discount::NotNewer));
}

#[test]
fn a_row_holds_with_the_next_one() {
    let count = |seen, row| counted(seen, Load::Unproved, row, RowsHold::WithTheNext);
    assert_eq!(count(0, row(800)), Ok((800, None)), "nothing came after it yet");
    assert_eq!(count(800, row(900)), Ok((900, Some(800))));
    let batch = CompletenessRow {
        follows_a_load: true,
        ..row(900)
    };
    assert_eq!(count(0, batch), Ok((900, Some(900))), "its load came after that time");
}

#[test]
fn a_load_is_over_when_what_was_sent_before_the_row_has_arrived() {
    assert_eq!(load_ended(&row(900), Timestamp(805), RowsHold::AtOnce), Timestamp(905));
    assert_eq!(
        load_ended(&row(900), Timestamp(805), RowsHold::WithTheNext),
        Timestamp(805),
        "rows of the load may still be on their way"
    );
}

#[test]
fn a_clock_ahead_of_ours_is_not_believed() {
    let count = |time| counted(0, Load::Passed, row(time), RowsHold::AtOnce);
    assert_eq!(count(1050), Ok((1050, Some(1050))));
    assert_eq!(count(1051), Err(Discount::AheadOfUs));
    assert_eq!(count(i64::MAX), Err(Discount::AheadOfUs));
}

#[test]
fn nothing_counts_while_a_snapshot_may_be_under_way() {
    let read = CompletenessRow {
        streamed: false,
        follows_a_load: true,
        ..row(900)
    };
    for load in [Load::Unproved, Load::Incremental, Load::Passed] {
        assert_eq!(
            counted(0, load, read, RowsHold::AtOnce),
            Err(Discount::ReadBySnapshot),
            "{load:?}"
        );
    }
    let streamed = |load| counted(0, load, row(900), RowsHold::AtOnce);
    assert_eq!(streamed(Load::Incremental), Err(Discount::BeforeLoad));
    assert_eq!(streamed(Load::Unproved), Ok((900, Some(900))));
    assert_eq!(streamed(Load::Passed), Ok((900, Some(900))));
}

/// What a message with this envelope says in a heartbeat table and in a batch table: time, streamed, follows a load.
fn read_from(table: &str, operation: &str, snapshot: &str, loaded_at: &str) -> Option<(i64, bool, bool)> {
    read_of_day(table, operation, snapshot, loaded_at, 0)
}

/// The same for a data date.
fn read_of_day(table: &str, operation: &str, snapshot: &str, loaded_at: &str, day: i32) -> Option<(i64, bool, bool)> {
    let mut dialects = Dialects::default();
    let dialect = r#"
        name = "test"
        cities = ["*"]
        revision = 1
        agency = "civil-affairs"
        [tables.heartbeat]
        kind = "completeness"
        key = ["id"]
        [tables.heartbeat.fields]
        time = { column = "ts", encoding = "timestamp-text" }
        [tables.batch_control]
        kind = "completeness"
        key = ["id"]
        [tables.batch_control.fields]
        time = { column = "ts", encoding = "timestamp-text" }
        data-date = { column = "day", encoding = "date-days" }
    "#;
    dialects.add(std::path::Path::new("test.toml"), dialect).expect("a dialect");
    let row = format!(r#"{{"id":1,"ts":"{loaded_at}","day":{day}}}"#);
    let value = format!(r#"{{"op":"{operation}","before":null,"after":{row},"source":{{"snapshot":"{snapshot}"}}}}"#);
    let topic = format!("civil-affairs.3201.public.{table}");
    let read = read(
        TopicNames::standard(),
        &dialects,
        &topic,
        Timestamp(0),
        Some(br#"{"id":1}"#),
        Some(value.as_bytes()),
    );
    read.map(|row| (row.time.0, row.streamed, row.follows_a_load))
}

#[test]
fn only_what_was_streamed_can_show_that_a_snapshot_has_ended() {
    let (day, next) = (86_400_000, "1970-01-02T00:00:00Z");
    assert_eq!(read_from("heartbeat", "u", "false", next), Some((day, true, false)));
    assert_eq!(read_from("heartbeat", "c", "false", next), Some((day, true, false)));
    // A batch is complete to the end of its data date in China, but not beyond its loading.
    let midnight = day - 8 * 3_600_000;
    assert_eq!(read_from("batch_control", "c", "false", next), Some((midnight, true, true)));
    let noon = "1970-01-01T12:00:00+08:00";
    assert_eq!(
        read_from("batch_control", "c", "false", noon),
        Some((4 * 3_600_000, true, false)),
        "loaded by day"
    );
    for snapshot in [
        "true",
        "first",
        "first_in_data_collection",
        "last_in_data_collection",
        "last",
        "incremental",
    ] {
        assert_eq!(
            read_from("heartbeat", "r", snapshot, next),
            Some((day, false, false)),
            "{snapshot}"
        );
        assert_eq!(
            read_from("batch_control", "r", snapshot, next),
            Some((midnight, false, true)),
            "{snapshot}"
        );
    }
    // A connector that names no place in a snapshot still says that it read the row.
    assert_eq!(read_from("batch_control", "r", "false", next), Some((midnight, false, true)));
    assert_eq!(read_from("other", "u", "false", next), None);
}

#[test]
fn a_row_of_the_year_9999_completes_nothing_in_the_future() {
    let now = Timestamp(1_795_000_000_000);
    let (known, today) = (
        Known {
            seen: Timestamp(0),
            load: Load::Passed,
        },
        "2026-11-18T00:00:00Z",
    );
    let far = 2_932_896; // 9999-12-31
    for (table, day, said, refused) in [
        ("heartbeat", 0, "9999-12-30T23:59:59Z", true),
        ("batch_control", far, "9999-12-30T23:59:59Z", true),
        // A load of today is complete up to its loading at most, whatever data date it names.
        ("batch_control", far, today, false),
    ] {
        let (time, streamed, follows_a_load) = read_of_day(table, "c", "false", said, day).expect("a row");
        let row = CompletenessRow {
            streamed,
            follows_a_load,
            ..row(time)
        };
        let counted = count(known, &row, now, 250, RowsHold::AtOnce);
        if refused {
            assert_eq!(counted, Err(Discount::AheadOfUs), "{table}");
        } else {
            assert!(
                counted.is_ok_and(|counted| counted.claim.is_some_and(|claim| claim <= now)),
                "{table}"
            );
        }
    }
}

#[test]
fn rows_of_an_incremental_snapshot_are_known() {
    let mut dialects = Dialects::default();
    let dialect = r#"
        name = "test"
        cities = ["*"]
        revision = 1
        agency = "civil-affairs"
        [tables.alone]
        kind = "completeness"
        rows = "flattened"
        key = ["id"]
        [tables.alone.fields]
        time = { column = "ts", encoding = "timestamp-text" }
    "#;
    dialects.add(std::path::Path::new("test.toml"), dialect).expect("a dialect");
    let of = |table: &str, value: Option<&[u8]>| {
        is_incremental(
            TopicNames::standard(),
            &dialects,
            &format!("civil-affairs.3201.public.{table}"),
            value,
        )
    };
    let value = |snapshot| format!(r#"{{"op":"r","after":{{}},"source":{{"snapshot":"{snapshot}"}}}}"#);
    assert!(of("other", Some(value("incremental").as_bytes())));
    for other in ["true", "last", "false"] {
        assert!(!of("other", Some(value(other).as_bytes())), "{other}");
    }
    assert!(!of("other", None));
    assert!(!of("other", Some(b"no envelope")));
    // A row alone says so by itself, or does not say.
    for (row, expected) in [
        (r#"{"id":1,"__op":"r","__source_snapshot":"incremental"}"#, true),
        (r#"{"id":1,"__op":"r","__source_snapshot":"true"}"#, false),
        (r#"{"id":1,"__op":"r"}"#, true),
        (r#"{"id":1,"__op":"u"}"#, false),
    ] {
        assert_eq!(of("alone", Some(row.as_bytes())), expected, "{row}");
    }
}
