use super::*;

#[test]
fn statements_read_back() {
    let source = "human-resources.3201".parse().expect("a source");
    let places = SnapshotFloor {
        source,
        table: TableName::new("ac02"),
        epoch: 1,
        offsets: vec![3, 0],
    };
    let statements = [
        Statement::BusinessDate {
            day: "2026-12-01".parse().expect("a day"),
            confirmed: false,
        },
        Statement::BusinessDate {
            day: "2026-12-01".parse().expect("a day"),
            confirmed: true,
        },
        Statement::GoLive(GoLiveRegion::All),
        Statement::GoLive("3201".parse().expect("a region")),
        Statement::Snapshot(places.clone()),
        Statement::Truncated(places),
        Statement::ConfirmRemoval {
            source,
            table: TableName::new("ac02"),
            who: "somebody".to_owned(),
            why: "they were moved to another system".to_owned(),
        },
        Statement::SnapshotPassed { source, of: None },
        Statement::SnapshotPassed {
            source,
            of: Some(PassedTable {
                table: TableName::new("ac02"),
                since: Timestamp(1_764_230_400_000),
                who: "somebody".to_owned(),
                why: "the connector sends no notifications".to_owned(),
            }),
        },
        Statement::Waive {
            source,
            until: "2026-12-01".parse().ok(),
            who: "somebody".to_owned(),
            why: "the line is cut".to_owned(),
        },
        Statement::Waive {
            source,
            until: None,
            who: "somebody".to_owned(),
            why: "it is mended".to_owned(),
        },
        Statement::Decide {
            verdict: Verdict::Same,
            record: RecordId([1; 16]),
            other: RecordId([2; 16]),
            number: CitizenId::from_parts(320_102, Day(7_000), 11),
        },
        Statement::Undecide(7),
        Statement::Policy(Arc::new(Edition::embedded())),
    ];
    for statement in statements {
        assert_eq!(Statement::parse(statement.kind(), &statement.body()), Ok(statement));
    }
    assert_eq!(GoLiveRegion::All.cities().len(), 14);
}

#[test]
fn a_snapshot_that_was_stated_before_there_were_tables_is_the_first_load() {
    let source = "human-resources.3201".parse().expect("a source");
    let body = serde_json::json!({ "source": "human-resources.3201" });
    assert_eq!(
        Statement::parse("snapshot-passed", &body),
        Ok(Statement::SnapshotPassed { source, of: None })
    );
}

#[test]
fn what_is_no_statement() {
    assert_eq!(Statement::parse("stop", &Value::Null), Err(UnknownStatement::Kind));
    for (kind, body) in [
        ("business-date", serde_json::json!({ "day": "2026-02-30" })),
        ("go-live", serde_json::json!({ "region": "3301" })),
        (
            "snapshot",
            serde_json::json!({ "source": "human-resources.3201", "table": "ac02", "epoch": 0 }),
        ),
        ("truncated", serde_json::json!({ "source": "human-resources.3201" })),
        (
            "confirm-removal",
            serde_json::json!({ "source": "human-resources.3201", "table": "ac02" }),
        ),
        ("snapshot-passed", serde_json::json!([])),
        (
            "snapshot-passed",
            serde_json::json!({ "source": "human-resources.3201", "table": "ac02" }),
        ),
        (
            "waive",
            serde_json::json!({ "source": "human-resources.3201", "until": "soon", "who": "", "why": "" }),
        ),
        (
            "decide",
            serde_json::json!({ "verdict": "perhaps", "record": "00", "other": "00" }),
        ),
        ("undecide", serde_json::json!({ "decision": "seven" })),
        ("policy", serde_json::json!({ "text": "version = 1" })),
    ] {
        assert!(
            matches!(Statement::parse(kind, &body), Err(UnknownStatement::Body(_))),
            "{kind}"
        );
    }
}
