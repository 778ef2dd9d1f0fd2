use super::*;
use crate::dialect::ControlKind;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use domain::date::Timestamp;
use std::sync::atomic::{AtomicUsize, Ordering};

const ROW: &str = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"int"}]}"#;

fn avro(text: &str) -> Fetched {
    Fetched::Schema {
        kind: None,
        text: text.to_owned(),
    }
}

fn of(id: u8, datum: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, id], datum].concat()
}

fn value(frames: &Frames, bytes: &[u8]) -> Result<String, Closed> {
    let opened = frames.open(None, Some(bytes))?;
    Ok(String::from_utf8_lossy(opened.value().expect("a value")).into_owned())
}

fn problem(frames: &Frames, bytes: &[u8]) -> String {
    match value(frames, bytes) {
        Err(Closed::NoSchema(problem)) => problem.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_a_zero_byte_an_id_and_a_datum_are_a_frame() {
    assert_eq!(framed(&of(7, &[1])), Some((7, &[1][..])));
    for bytes in [&b"{\"a\":1}"[..], &[0], &[0, 0, 0, 0, 7], &[0, 0, 0, 0, 0, 1], b""] {
        assert_eq!(framed(bytes), None);
    }
}

#[test]
fn a_schema_is_fetched_once() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let frames = Frames::with("http://registry", move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        avro(ROW)
    });
    for _ in 0..3 {
        assert_eq!(value(&frames, &of(7, &[2])).as_deref(), Ok("{\"a\":1}"));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(
        value(&frames, b"{}").as_deref(),
        Ok("{}"),
        "what is not framed stays as it is"
    );
    let key = of(7, &[2]);
    let opened = frames.open(Some(&key), None).expect("a key");
    assert_eq!((opened.key(), opened.value()), (Some(&b"{\"a\":1}"[..]), None));
    assert!(matches!(value(&frames, &of(7, &[2, 2])), Err(Closed::Unfit(error)) if error.class == ErrorClass::WrongFrame));
}

#[test]
fn what_is_no_schema_for_rows_says_which_where_and_what_to_do() {
    let frames = Frames::with("http://registry", |id| match id {
        1 => avro("\"long\""),
        2 => Fetched::Schema {
            kind: Some("PROTOBUF".into()),
            text: String::new(),
        },
        _ => Fetched::Unusable("the registry does not know it".into()),
    });
    for (id, said) in [
        (1, "neither a change event nor a row"),
        (2, "PROTOBUF"),
        (3, "does not know it"),
    ] {
        let problem = problem(&frames, &of(id, &[2]));
        assert!(
            problem.contains(said) && problem.contains(&format!("schema {id} of registry http://registry")),
            "{problem}"
        );
    }
    assert!(frames.open(Some(&of(1, &[2])), None).is_ok(), "a key may be a primitive");
    assert!(problem(&Frames::none(), &of(1, &[2])).contains("CANBAO_SOURCE_SCHEMA_REGISTRY"));
}

/// What is closed is a dead letter, of which the key says what it can.
#[test]
fn a_key_is_opened_although_the_value_is_not() {
    let frames = Frames::with("http://registry", |id| match id {
        1 => avro("\"long\""),
        7 => avro(ROW),
        _ => Fetched::Unusable("the registry does not know it".into()),
    });
    let heard = |key: &[u8], value: &[u8]| {
        let message = SourceMessage {
            source: "human-resources.3201".parse().expect("a source"),
            table: "t",
            partition: 0,
            offset: 0,
            epoch: 0,
            timestamp: Timestamp(0),
            key: Some(key),
            value: Some(value),
        };
        let closed = frames.open(message.key, message.value).err().expect("it is closed");
        let heard = std::cell::RefCell::new(None);
        let letter = closed.letter(&frames, &message, |message| {
            assert_eq!(message.value, Some(value));
            heard.replace(message.key.map(<[u8]>::to_vec));
            Classified::Control(ControlKind::Tombstone)
        });
        assert!(matches!(letter, Classified::DeadLetter { error, .. } if error.class == ErrorClass::WrongFrame));
        heard.into_inner()
    };
    for value in [of(7, &[2, 2]), of(3, &[2])] {
        assert_eq!(heard(&of(1, &[2]), &value).as_deref(), Some(&b"1"[..]));
        assert_eq!(heard(b"{}", &value).as_deref(), Some(&b"{}"[..]));
        assert_eq!(heard(&of(3, &[2]), &value), None);
    }
}

#[test]
fn what_was_mended_is_asked_for_again() {
    let known = Arc::new(AtomicUsize::new(0));
    let now = known.clone();
    let frames = Frames::with("http://registry", move |_| match now.load(Ordering::Relaxed) {
        0 => Fetched::Unusable("unknown".into()),
        _ => avro(ROW),
    });
    problem(&frames, &of(7, &[2]));
    known.store(1, Ordering::Relaxed);
    problem(&frames, &of(7, &[2]));
    frames.forget_refusals();
    assert!(value(&frames, &of(7, &[2])).is_ok());
}

#[test]
fn a_registry_that_is_away_is_waited_for() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let frames = Frames::with("http://registry", move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Fetched::Away("nobody listens".into()),
        _ => avro(ROW),
    });
    let bytes = of(7, &[2]);
    for _ in 0..2 {
        let Err(Closed::Away(cause)) = value(&frames, &bytes) else {
            panic!("it is away")
        };
        assert!(
            cause.contains("http://registry") && cause.contains("nobody listens"),
            "{cause}"
        );
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1, "not asked for each message");
    assert!(matches!(
        frames.open_patiently(None, Some(&bytes), || true),
        Err(Closed::Away(_))
    ));
    assert!(frames.open_patiently(None, Some(&bytes), || false).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_come_over_http() {
    let answer = |text: &'static str| get(async move || text);
    let missing = (StatusCode::NOT_FOUND, r#"{"error_code":40403,"message":"Schema not found"}"#);
    let routes = Router::new()
        .route("/api/schemas/ids/1", answer(r#"{"schema":"\"long\""}"#))
        .route("/api/schemas/ids/2", answer(r#"{"schema":"{}","schemaType":"JSON"}"#))
        .route("/api/schemas/ids/3", get(async move || missing))
        .route(
            "/api/schemas/ids/4",
            answer(r#"{"schema":"{}","references":[{"name":"a","subject":"b","version":1}]}"#),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let ask = fetch::over_http(&format!("http://{address}/api/"), "schema_registry", Handle::current()).expect("a client");
    let answers = tokio::task::spawn_blocking(move || [1, 2, 3, 4, 5].map(ask))
        .await
        .expect("answers");
    assert_eq!(answers[0], avro("\"long\""));
    assert!(
        matches!(&answers[1], Fetched::Schema { kind: Some(kind), .. } if kind == "JSON"),
        "{:?}",
        answers[1]
    );
    assert!(
        matches!(&answers[2], Fetched::Unusable(why) if why.contains("does not know it")),
        "{:?}",
        answers[2]
    );
    assert!(
        matches!(&answers[3], Fetched::Unusable(why) if why.contains("refers")),
        "{:?}",
        answers[3]
    );
    assert!(
        matches!(&answers[4], Fetched::Away(_)),
        "no registry's answer: {:?}",
        answers[4]
    );
}
