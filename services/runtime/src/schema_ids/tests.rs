//! Against the embedded registry over HTTP, and against a small one that can be written.

use super::*;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use schemas::registry::Kind;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// What a registry holds: per subject the texts and ids.
#[derive(Debug, Default)]
struct Held {
    subjects: BTreeMap<String, Vec<(String, u32)>>,
    /// Ids by text, or one for each subject and text when `per_subject`.
    per_subject: bool,
    /// The subject that is compatible with nothing.
    closed: Option<&'static str>,
}

type Shared = Arc<Mutex<Held>>;
type Answer = (StatusCode, Json<Value>);

/// Far from the embedded ids.
const FIRST: usize = 70_001;

fn no(code: u32) -> Answer {
    (
        StatusCode::NOT_FOUND,
        Json(json!({ "error_code": code, "message": "not found" })),
    )
}

async fn look_up(State(held): State<Shared>, Path(subject): Path<String>, body: String) -> Answer {
    let held = held.lock().expect("no test panics with it");
    let Some(known) = held.subjects.get(&subject) else {
        return no(40401);
    };
    let body: Value = serde_json::from_str(&body).expect("JSON");
    match known.iter().find(|(text, _)| body["schema"] == text.as_str()) {
        Some((text, id)) => (
            StatusCode::OK,
            Json(json!({ "subject": subject, "id": id, "version": 1, "schema": text })),
        ),
        None => no(40403),
    }
}

async fn compatible(State(held): State<Shared>, Path(subject): Path<String>) -> Answer {
    let held = held.lock().expect("no test panics with it");
    if held.subjects.contains_key(&subject) || held.closed.is_some() {
        return (
            StatusCode::OK,
            Json(json!({ "is_compatible": held.closed != Some(&subject) })),
        );
    }
    no(40401)
}

async fn register(State(held): State<Shared>, Path(subject): Path<String>, body: String) -> Answer {
    let mut held = held.lock().expect("no test panics with it");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    let text = body["schema"].as_str().expect("a text").to_owned();
    let same = held
        .subjects
        .values()
        .flatten()
        .find(|(known, _)| *known == text && !held.per_subject);
    let id = same.map_or_else(
        || (FIRST + held.subjects.values().map(Vec::len).sum::<usize>()) as u32,
        |(_, id)| *id,
    );
    held.subjects.entry(subject).or_default().push((text, id));
    (StatusCode::OK, Json(json!({ "id": id })))
}

async fn serve(router: Router) -> SchemaRegistry {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    SchemaRegistry::at(&format!("http://{address}/api/")).expect("a client")
}

async fn writable(held: Held) -> (SchemaRegistry, Shared) {
    let held = Arc::new(Mutex::new(held));
    let routes = Router::new()
        .route("/subjects/{subject}", post(look_up))
        .route("/subjects/{subject}/versions", post(register))
        .route("/compatibility/subjects/{subject}/versions", post(compatible))
        .with_state(held.clone());
    (serve(Router::new().nest("/api", routes)).await, held)
}

#[tokio::test]
async fn the_embedded_registry_serves_as_a_configured_one() {
    let registry = serve(Router::new().nest("/api", crate::schema_registry::router())).await;
    let shipped: Vec<u32> = registry::all().iter().map(|version| version.id).collect();
    assert_eq!(registry.ids().await.expect("all are there"), shipped);
    let registered = registry.register().await.expect("nothing to do");
    let subjects: BTreeSet<&str> = registered.iter().map(|place| place.subject.as_str()).collect();
    assert_eq!(subjects.len(), registry::subjects().len());
    assert!(registered.iter().all(|place| !place.new));
}

#[tokio::test]
async fn a_missing_schema_is_named_and_registered_by_command_only() {
    let (registry, held) = writable(Held::default()).await;
    let error = registry.ids().await.expect_err("nothing is registered").to_string();
    assert!(error.contains("person.records-cn.canbao.PersonRecord"), "{error}");
    assert!(error.contains("canbao register-schemas"), "{error}");
    assert!(held.lock().expect("whole").subjects.is_empty());

    let registered = registry.register().await.expect("a registry that takes them");
    assert!(registered.iter().all(|place| place.new));
    let ids = registry.ids().await.expect("all are registered");
    assert!(ids.iter().all(|id| *id as usize >= FIRST), "{ids:?}");
    let alert = registry::all()
        .iter()
        .position(|version| version.kind == Kind::AlertEvent)
        .expect("shipped");
    let of_alerts = registered.iter().filter(|place| place.subject.starts_with("alerts."));
    assert!(of_alerts.clone().count() > 40 && of_alerts.clone().all(|place| place.id == ids[alert]));
    assert!(registry.register().await.expect("again").iter().all(|place| !place.new));

    held.lock().expect("whole").subjects.remove("alerts.identity.3205-value");
    let error = registry.ids().await.expect_err("one is missing").to_string();
    assert!(error.contains("alerts.identity.3205-value"), "{error}");
}

#[tokio::test]
async fn nothing_is_registered_when_one_is_not_compatible() {
    let (registry, held) = writable(Held {
        closed: Some("findings-value"),
        ..Held::default()
    })
    .await;
    let error = registry.register().await.expect_err("findings are closed");
    assert!(
        matches!(&error, SchemaError::Incompatible { subject, .. } if subject == "findings-value"),
        "{error}"
    );
    assert!(held.lock().expect("whole").subjects.is_empty());
}

#[tokio::test]
async fn ids_per_subject_are_refused() {
    let (registry, _) = writable(Held {
        per_subject: true,
        ..Held::default()
    })
    .await;
    let error = registry.register().await.expect_err("values carry one id");
    assert!(matches!(error, SchemaError::Several { .. }), "{error}");
}

#[tokio::test]
async fn what_is_no_registry_is_told_from_one_that_is_away() {
    let registry = serve(Router::new()).await;
    let error = registry.ids().await.expect_err("no such page");
    assert!(matches!(error, SchemaError::Refused { .. }), "{error}");
    let away = SchemaRegistry::at("http://reader:geheim@127.0.0.1:9").expect("a client");
    let error = away.ids().await.expect_err("nobody listens there");
    assert!(error.is_passing());
    assert!(!format!("{error} {error:?}").contains("geheim"), "{error}");
}
