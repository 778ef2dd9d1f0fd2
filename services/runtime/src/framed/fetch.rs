//! Schemas over HTTP, by Confluent's API: `GET /schemas/ids/{id}`.

use crate::config::ConfigError;
use crate::schema_ids::{client, explain, is_not_found};
use schema_registry_converter::async_impl::schema_registry::perform_sr_call;
use schema_registry_converter::schema_registry_common::SrCall;
use tokio::runtime::Handle;

/// What a registry says of an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The schema.
    Schema {
        /// `AVRO`, `JSON` or another; `AVRO` when the registry does not say.
        kind: Option<String>,
        /// Its text.
        text: String,
    },
    /// There is none that could be used: why, and what to do.
    Unusable(String),
    /// No answer, or none of a registry's.
    Away(String),
}

/// Asks the registry at an address that setting `key` names.
pub(super) fn over_http(
    url: &str,
    key: &str,
    runtime: Handle,
) -> Result<impl Fn(u32) -> Fetched + Send + Sync + 'static, ConfigError> {
    let client = client(url, key)?;
    Ok(move |id| {
        match runtime.block_on(perform_sr_call(&client, SrCall::GetById(id))) {
        Ok(answer) if answer.references.as_ref().is_some_and(|references| !references.is_empty()) => {
            let why = "it refers to other schemas, which are not followed: let the converter register whole ones";
            Fetched::Unusable(why.to_owned())
        }
        Ok(answer) => match answer.schema {
            Some(text) => Fetched::Schema {
                kind: answer.schema_type,
                text,
            },
            None => Fetched::Away("its answer has no schema: is this the address of a schema registry's API?".to_owned()),
        },
        Err(error) if is_not_found(&error) => Fetched::Unusable(
            "the registry does not know it; register the schema there, or set source_schema_registry (CANBAO_SOURCE_SCHEMA_REGISTRY) to the \
             registry that the converter writes to, and start anew"
                .to_owned(),
        ),
        Err(error) => Fetched::Away(explain(&error)),
    }
    })
}
