//! The embedded schema registry over HTTP (模式注册表): Confluent's API, for reading only.
//!
//! Standard clients decode Canbao's topics with it when no registry is configured. A client that registers before it writes gets the
//! id of a shipped schema, and an error for any other: schemas are shipped with releases, never made at run time.

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use schemas::registry::{self, COMPATIBILITY, SchemaVersion};
use serde::Deserialize;
use serde_json::{Value, json};

const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// An error in Confluent's words: status, code and message; <https://docs.confluent.io/platform/current/schema-registry/develop/api.html>.
#[derive(Debug)]
struct Failure {
    status: StatusCode,
    code: u32,
    message: String,
}

type Answer = Result<Body, Failure>;

/// A JSON answer under the registry's content type.
#[derive(Debug)]
struct Body(Value);

/// Routes: `/subjects…`, `/schemas…`, `/config`, `/mode`. Holds no state and needs no configuration.
pub fn router() -> Router {
    Router::new()
        .route("/subjects", get(subjects))
        .route("/subjects/{subject}", post(lookup))
        .route("/subjects/{subject}/versions", get(versions).post(register))
        .route("/subjects/{subject}/versions/{version}", get(version))
        .route("/subjects/{subject}/versions/{version}/schema", get(version_text))
        .route("/schemas/ids/{id}", get(schema))
        .route("/schemas/ids/{id}/schema", get(schema_text))
        .route("/schemas/ids/{id}/versions", get(schema_versions))
        .route("/schemas/types", get(async || Body(json!(["AVRO"]))))
        .route("/config", get(async || Body(json!({ "compatibilityLevel": COMPATIBILITY }))))
        .route("/config/{subject}", get(subject_config))
        .route("/mode", get(async || Body(json!({ "mode": "READONLY" }))))
}

async fn subjects() -> Body {
    Body(json!(registry::subjects()))
}

async fn versions(Path(subject): Path<String>) -> Answer {
    let versions = registry::versions(&subject).ok_or_else(|| Failure::no_subject(&subject))?;
    Ok(Body(versions.iter().map(|version| version.version).collect()))
}

async fn version(Path((subject, version)): Path<(String, String)>) -> Answer {
    find(&subject, &version).map(|found| Body(described(&subject, found)))
}

async fn version_text(Path((subject, version)): Path<(String, String)>) -> Result<Response, Failure> {
    find(&subject, &version).map(text)
}

async fn schema(Path(id): Path<String>) -> Answer {
    by_id(&id).map(|found| Body(json!({ "schema": found.text })))
}

async fn schema_text(Path(id): Path<String>) -> Result<Response, Failure> {
    by_id(&id).map(text)
}

async fn schema_versions(Path(id): Path<String>) -> Answer {
    let found = by_id(&id)?;
    let subjects = registry::subjects_of(found.kind);
    Ok(Body(
        subjects
            .into_iter()
            .map(|subject| json!({ "subject": subject, "version": found.version }))
            .collect(),
    ))
}

async fn subject_config(Path(subject): Path<String>) -> Answer {
    registry::latest(&subject).ok_or_else(|| Failure::no_subject(&subject))?;
    Ok(Body(json!({ "compatibilityLevel": COMPATIBILITY })))
}

async fn lookup(Path(subject): Path<String>, body: String) -> Answer {
    let found = embedded(&subject, &body)?.ok_or_else(|| Failure::not_found(40403, "Schema not found".into()))?;
    Ok(Body(described(&subject, found)))
}

async fn register(Path(subject): Path<String>, body: String) -> Answer {
    let found = embedded(&subject, &body)?.ok_or_else(|| {
        let message = format!("Subject '{subject}' is read-only: its schemas are shipped with the release");
        Failure::unprocessable(42205, message)
    })?;
    Ok(Body(json!({ "id": found.id })))
}

/// The shipped version of a subject that equals the schema in a request.
fn embedded(subject: &str, body: &str) -> Result<Option<&'static SchemaVersion>, Failure> {
    #[derive(Deserialize)]
    struct Request {
        schema: String,
    }
    registry::latest(subject).ok_or_else(|| Failure::no_subject(subject))?;
    let request: Request = serde_json::from_str(body)
        .map_err(|_| Failure::unprocessable(42201, "Invalid schema: expected a JSON object with the text 'schema'".into()))?;
    Ok(registry::lookup(subject, &request.schema))
}

fn find(subject: &str, version: &str) -> Result<&'static SchemaVersion, Failure> {
    let versions = registry::versions(subject).ok_or_else(|| Failure::no_subject(subject))?;
    let number = match version {
        "latest" | "-1" => return versions.last().copied().ok_or_else(|| Failure::no_subject(subject)),
        number => number.parse::<u32>().ok().filter(|number| *number > 0).ok_or_else(|| {
            let message = "The specified version is not a valid version id: allowed are 1 to 2^31-1 and 'latest'";
            Failure::unprocessable(42202, message.into())
        })?,
    };
    let found = versions.into_iter().find(|found| found.version == number);
    found.ok_or_else(|| Failure::not_found(40402, format!("Version {number} not found")))
}

fn by_id(id: &str) -> Result<&'static SchemaVersion, Failure> {
    let found = id.parse().ok().and_then(registry::schema_by_id);
    found.ok_or_else(|| Failure::not_found(40403, "Schema not found".into()))
}

fn described(subject: &str, version: &SchemaVersion) -> Value {
    json!({ "subject": subject, "version": version.version, "id": version.id, "schema": version.text })
}

fn text(version: &'static SchemaVersion) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], version.text.as_str()).into_response()
}

impl Failure {
    fn not_found(code: u32, message: String) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code,
            message,
        }
    }

    fn unprocessable(code: u32, message: String) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code,
            message,
        }
    }

    fn no_subject(subject: &str) -> Self {
        Self::not_found(40401, format!("Subject '{subject}' not found"))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Body(json!({ "error_code": self.code, "message": self.message }))).into_response()
    }
}

impl IntoResponse for Body {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, CONTENT_TYPE)], self.0.to_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use schemas::registry::Kind;

    async fn read(answer: impl IntoResponse) -> (StatusCode, Value) {
        let response = answer.into_response();
        assert_eq!(response.headers()[header::CONTENT_TYPE], CONTENT_TYPE);
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    fn at(subject: &str, version: &str) -> Path<(String, String)> {
        Path((subject.to_owned(), version.to_owned()))
    }

    fn request(text: &str) -> String {
        json!({ "schema": text, "schemaType": "AVRO" }).to_string()
    }

    #[tokio::test]
    async fn a_schema_is_found_by_id_subject_and_text() {
        let (findings, shipped) = ("findings-value", registry::newest(Kind::FindingState));
        let (status, found) = read(version(at(findings, "latest")).await).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(found["subject"], findings);
        assert_eq!(found["id"], shipped.id);
        let (_, by_id) = read(schema(Path(shipped.id.to_string())).await).await;
        assert_eq!(by_id, json!({ "schema": found["schema"] }));
        let (_, looked_up) = read(lookup(Path(findings.into()), request(&shipped.text)).await).await;
        assert_eq!(looked_up, found);
        let (_, all) = read(versions(Path(findings.into())).await).await;
        assert_eq!(all, json!([1]));
        let (_, users) = read(schema_versions(Path(shipped.id.to_string())).await).await;
        assert_eq!(users, json!([{ "subject": findings, "version": 1 }]));
        let (_, text) = read(version_text(at(findings, "1")).await).await;
        assert_eq!(text["name"], "FindingState");
    }

    #[tokio::test]
    async fn registering_answers_for_shipped_schemas_only() {
        let alerts = || Path("alerts.unenrolled.3201-value".to_owned());
        let shipped = registry::newest(Kind::AlertEvent);
        let (status, registered) = read(register(alerts(), request(&shipped.text)).await).await;
        assert_eq!((status, registered), (StatusCode::OK, json!({ "id": shipped.id })));
        let (status, refused) = read(register(alerts(), request("\"string\"")).await).await;
        assert_eq!(
            (status, &refused["error_code"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(42205))
        );
    }

    #[tokio::test]
    async fn failures_have_the_codes_that_clients_know() {
        let cases = [
            (read(versions(Path("x-value".into())).await).await, 404, 40401),
            (read(version(at("findings-value", "7")).await).await, 404, 40402),
            (read(version(at("findings-value", "0")).await).await, 422, 42202),
            (read(schema(Path("99".into())).await).await, 404, 40403),
            (
                read(lookup(Path("findings-value".into()), request("\"string\"")).await).await,
                404,
                40403,
            ),
            (
                read(lookup(Path("findings-value".into()), "[".into()).await).await,
                422,
                42201,
            ),
            (
                read(register(Path("x-value".into()), request("\"string\"")).await).await,
                404,
                40401,
            ),
        ];
        for ((status, body), expected, code) in cases {
            assert_eq!((status.as_u16(), &body["error_code"]), (expected, &json!(code)));
            assert!(body["message"].is_string());
        }
    }

    #[tokio::test]
    async fn routes_do_not_overlap() {
        let _: Router = router();
    }
}
