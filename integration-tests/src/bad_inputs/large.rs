//! Bad inputs that are too large for a file: deep nesting, many columns, long keys, many headers.

use super::{BadInput, Example, UNDERSTOOD, insert};

/// Every one of them.
pub(super) fn all() -> anyhow::Result<Vec<BadInput>> {
    let residents = Example::read("public-security/czrk")?;
    let mut inputs = nested(&residents);
    inputs.extend(repeated(&residents));
    inputs.extend(sized(&residents));
    inputs.extend(keyed(&residents));
    inputs.extend(headed(&residents));
    Ok(inputs)
}

fn input(kind: &str, label: String, expect: &[&str], example: &Example, value: Vec<u8>) -> BadInput {
    BadInput {
        kind: kind.to_owned(),
        label,
        expect: expect.iter().map(ToString::to_string).collect(),
        topic: example.topic.clone(),
        key: Some(example.key()),
        value: Some(value),
        headers: Vec::new(),
    }
}

/// The row with further columns.
fn wider(example: &Example, columns: &str) -> Vec<u8> {
    let row = example.row();
    insert(&format!("{},{columns}}}", row.trim_end_matches('}')))
}

fn nested(example: &Example) -> Vec<BadInput> {
    let mut inputs = Vec::new();
    for depth in [100, 127, 128, 129, 1000, 10_000, 100_000, 500_000] {
        let arrays = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let objects = format!("{}1{}", "{\"a\":".repeat(depth / 4), "}".repeat(depth / 4));
        let expect = &[UNDERSTOOD, "not-json", "oversized", "wrong-encoding"];
        let mut add =
            |label: &str, value| inputs.push(input("deep nesting", format!("{label}, {depth}"), expect, example, value));
        add("an unmapped column of arrays", wider(example, &format!("\"deep\":{arrays}")));
        add("a mapped column of objects", insert(&example.row_with("cym", Some(&objects))));
        add(
            "beside the row",
            format!("{{\"op\":\"c\",\"after\":{},\"x\":{arrays}}}", example.row()).into_bytes(),
        );
        add("nothing else", arrays.clone().into_bytes());
        let mut key = input(
            "deep nesting",
            format!("the key, {depth}"),
            &["key-mismatch", "not-json"],
            example,
            insert(&example.row()),
        );
        key.key = Some(format!("{{\"rybh\":{arrays}}}").into_bytes());
        inputs.push(key);
    }
    for input in &mut inputs {
        if input.label.starts_with("nothing else") {
            input.expect = vec!["wrong-envelope".to_owned(), "not-json".to_owned()];
        }
        if input
            .value
            .as_ref()
            .is_some_and(|value| value.len() > runtime::limits::LARGEST_MESSAGE)
        {
            input.expect = vec!["oversized".to_owned()];
        }
    }
    inputs
}

fn repeated(example: &Example) -> Vec<BadInput> {
    let columns: Vec<String> = (0..10_000).map(|at| format!("\"c{at}\":\"x\"")).collect();
    let names = vec!["\"xm\":\"张三\""; 1000].join(",");
    let kind = "columns twice and too many";
    [
        ("the name twice", wider(example, "\"xm\":\"李四\""), UNDERSTOOD),
        ("the name a thousand times", wider(example, &names), UNDERSTOOD),
        ("another key at the end", wider(example, "\"rybh\":\"other\""), "key-mismatch"),
        ("ten thousand more columns", wider(example, &columns.join(",")), UNDERSTOOD),
        ("a column without a name", wider(example, "\"\":1,\"\\u0000\":2"), UNDERSTOOD),
        (
            "a column named by a lone surrogate",
            wider(example, "\"\\ud800\":1"),
            UNDERSTOOD,
        ),
    ]
    .map(|(label, value, expect)| input(kind, label.to_owned(), &[expect], example, value))
    .into()
}

fn sized(example: &Example) -> Vec<BadInput> {
    let frame = wider(example, "\"blob\":\"\"").len();
    [1 << 20, (1 << 20) + 1, 1_200_000, 5_000_000, 17_000_000]
        .map(|size| {
            let value = wider(example, &format!("\"blob\":\"{}\"", "a".repeat(size - frame)));
            let expect = if size > 1 << 20 { "oversized" } else { UNDERSTOOD };
            input("large values", format!("{} bytes", value.len()), &[expect], example, value)
        })
        .into()
}

fn keyed(example: &Example) -> Vec<BadInput> {
    let mut row = example.row.clone();
    row.remove("rybh");
    let value = serde_json::Value::Object(row).to_string();
    // An object with one key column has eleven bytes beside the text.
    [4085, 4086, 100_000, 900_000, 1_047_000, 1_048_565, 1_048_576, 3_000_000]
        .map(|length| {
            let expect = if length > 4085 { "oversized" } else { UNDERSTOOD };
            let mut input = input(
                "long keys",
                format!("{length} characters"),
                &[expect],
                example,
                insert(&value),
            );
            input.key = Some(format!("{{\"rybh\":\"{}\"}}", "k".repeat(length)).into_bytes());
            input
        })
        .into()
}

fn headed(example: &Example) -> Vec<BadInput> {
    let many = |count: usize| (0..count).map(|at| (format!("h{at}"), Some(vec![0xff, 0])));
    let sets = [
        ("a hundred", many(100).collect::<Vec<_>>()),
        ("ten thousand", many(10_000).collect()),
        (
            "without name and value",
            vec![(String::new(), None), (String::new(), Some(Vec::new()))],
        ),
        ("300 kB", vec![("h".to_owned(), Some(vec![b'x'; 300_000]))]),
        ("a long name", vec![("h".repeat(30_000), None)]),
    ];
    let mut inputs = Vec::new();
    for (label, headers) in sets {
        for (value, expect) in [(insert(&example.row()), UNDERSTOOD), (b"bad".to_vec(), "not-json")] {
            let mut input = input("headers", format!("{label}, {expect}"), &[expect], example, value);
            input.headers.clone_from(&headers);
            inputs.push(input);
        }
    }
    inputs
}
