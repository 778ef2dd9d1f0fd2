//! Keys and values that a schema registry frames: a zero byte, the schema's id as four bytes big-endian, and the datum.
//!
//! [`Frames::open`] stands before [`normalise`](crate::dialect::normalise) wherever a source message is read: in the normalisers, in the clock and in `canbao
//! verify`. What it hands on is the JSON that Debezium's JsonConverter would have written, so that nothing behind it knows of frames. Reading a
//! datum is pure ([`to_json`]); only schemas are fetched, each once, since the schema of an id never changes.

mod datum;
mod fetch;
mod schema;

pub use datum::to_json;
pub use fetch::Fetched;
pub use schema::ParsedSchema;

use crate::config::{ConfigError, Settings, without_user};
use crate::debezium::{ErrorClass, NormaliseError};
use crate::dialect::{Classified, SourceMessage};
use crate::limits::LARGEST_MESSAGE;
use crate::patience::Attempts;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Bytes before the datum.
const FRAME: usize = 5;
/// How long an answer that cannot be used is good for: an operator mends the registry and goes on at once.
const REFUSAL_KEPT: Duration = Duration::from_secs(1);
/// How soon a registry that is away is looked at again by who waits for it; how often it is asked is [`Attempts`]'s.
pub const LOOK: Duration = Duration::from_millis(100);
/// How long who must come to an end waits for a registry that does not answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The id of the schema that bytes are framed with, and the datum; `None` when they are not framed. JSON never begins with a zero byte.
pub fn framed(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (frame, datum) = bytes.split_at_checked(FRAME)?;
    let [0, id @ ..] = frame else { return None };
    let id = u32::from_be_bytes(id.try_into().ok()?);
    (id > 0 && !datum.is_empty()).then_some((id, datum))
}

/// A key and a value without frames.
#[derive(Clone, Default)]
pub struct Opened<'a> {
    key: Option<Cow<'a, [u8]>>,
    value: Option<Cow<'a, [u8]>>,
}

impl Opened<'_> {
    /// The message with this key and value.
    pub fn of<'o>(&'o self, message: &SourceMessage<'o>) -> SourceMessage<'o> {
        SourceMessage {
            key: self.key(),
            value: self.value(),
            ..*message
        }
    }

    /// The key.
    pub fn key(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }

    /// The value.
    pub fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }
}

/// Why a message was not opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// The registry does not answer: this is to be waited out.
    Away(String),
    /// There is no schema by which it could be read: its topic is to be held.
    NoSchema(NoSchema),
    /// Its bytes do not fit their schema.
    Unfit(NormaliseError),
}

impl Closed {
    /// What `message`, as it came, is where nobody waits and nothing is held any more; `classify` says what it is with its key opened by
    /// `frames`, which names its row although the value is closed.
    pub fn letter(
        self,
        frames: &Frames,
        message: &SourceMessage<'_>,
        classify: impl FnOnce(&SourceMessage<'_>) -> Classified,
    ) -> Classified {
        let error = match self {
            Self::Unfit(error) => error,
            Self::NoSchema(problem) => NormaliseError::new(ErrorClass::WrongFrame, None, format!("a schema: {problem}")),
            Self::Away(_) => NormaliseError::new(ErrorClass::WrongFrame, None, "a schema registry that answers"),
        };
        let named = frames.open(message.key, None).map(|opened| {
            let key = opened.key();
            // The value stays framed, which is no JSON.
            classify(&SourceMessage { key, ..*message })
        });
        let inputs = match named {
            Ok(Classified::DeadLetter { inputs, .. }) => inputs,
            Ok(Classified::Inputs(_) | Classified::Control(_)) | Err(_) => Vec::new(),
        };
        Classified::DeadLetter { error, inputs }
    }
}

/// A schema that is not to be had, or by which no row can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSchema {
    /// `key` or `value`.
    part: &'static str,
    id: u32,
    why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    /// None is configured.
    NoRegistry,
    /// The registry, by its address without what may stand before its host, and what is wrong with its schema.
    Of { registry: String, what: String },
}

impl fmt::Display for NoSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, id, why } = self;
        match why {
            Why::NoRegistry => write!(
                f,
                "its {part} is framed with schema {id} of a registry and none is configured; set source_schema_registry \
                 (CANBAO_SOURCE_SCHEMA_REGISTRY) to the one that the converter writes to, and start anew"
            ),
            Why::Of { registry, what } => write!(f, "its {part} is framed with schema {id} of registry {registry}: {what}"),
        }
    }
}

/// What is known of an id.
#[derive(Debug, Clone)]
enum Known {
    Schema(Arc<ParsedSchema>),
    /// Why there is no schema, and since when that is known.
    Refused(Instant, String),
}

type Fetch = dyn Fn(u32) -> Fetched + Send + Sync;

/// Where schemas are asked for.
struct Registry {
    /// As it is shown.
    address: String,
    fetch: Box<Fetch>,
}

/// While the registry does not answer.
struct Absence {
    attempts: Attempts,
    again: Instant,
    cause: String,
}

/// Opens frames. Calls block while a schema is fetched: they are made from threads of their own.
pub struct Frames {
    registry: Option<Registry>,
    known: RwLock<HashMap<u32, Known>>,
    /// Held while a schema is fetched, so that one is fetched at a time.
    absence: Mutex<Option<Absence>>,
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.registry.as_ref().map(|registry| &registry.address);
        f.debug_struct("Frames").field("registry", &address).finish_non_exhaustive()
    }
}

impl Frames {
    /// With the registry of the sources that the settings name; `runtime` drives its requests.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn configured(settings: &Settings, runtime: Handle) -> Result<Self, ConfigError> {
        let (key, url) = match &settings.source_schema_registry {
            None => ("schema_registry", settings.schema_registry.as_deref()),
            Some(url) => ("source_schema_registry", Some(url.as_str())),
        };
        match url {
            None => Ok(Self::none()),
            Some(url) => {
                let ask = fetch::over_http(url, key, runtime)?;
                Ok(Self::with(without_user(url.trim_end_matches('/')), ask))
            }
        }
    }

    /// Without a registry.
    pub fn none() -> Self {
        Self::asking(None)
    }

    /// With a registry of this address, as it is shown, that answers so.
    pub fn with(registry: impl Into<String>, fetch: impl Fn(u32) -> Fetched + Send + Sync + 'static) -> Self {
        Self::asking(Some(Registry {
            address: registry.into(),
            fetch: Box::new(fetch),
        }))
    }

    fn asking(registry: Option<Registry>) -> Self {
        Self {
            registry,
            known: RwLock::default(),
            absence: Mutex::default(),
        }
    }

    /// A message's key and value without frames; what is not framed comes out as it is.
    ///
    /// # Errors
    /// [`Closed`].
    pub fn open<'a>(&self, key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Result<Opened<'a>, Closed> {
        match (self.open_part("value", value), self.open_part("key", key)) {
            // Also where the value is closed for good: the key still names a row, and is not to be lost to a registry that is away.
            (_, Err(Closed::Away(cause))) => Err(Closed::Away(cause)),
            (value, key) => Ok(Opened {
                value: value?,
                key: key?,
            }),
        }
    }

    /// [`Frames::open`] that waits for a registry that does not answer, until `gives_up`.
    ///
    /// # Errors
    /// [`Closed`]; away only when it gave up.
    pub fn open_patiently<'a>(
        &self,
        key: Option<&'a [u8]>,
        value: Option<&'a [u8]>,
        gives_up: impl Fn() -> bool,
    ) -> Result<Opened<'a>, Closed> {
        loop {
            match self.open(key, value) {
                Err(Closed::Away(_)) if !gives_up() => std::thread::sleep(LOOK),
                opened => return opened,
            }
        }
    }

    /// [`Frames::open_patiently`] for who must come to an end.
    ///
    /// # Errors
    /// [`Closed`]; away when the registry has not answered for [`PATIENCE`].
    pub fn open_in_time<'a>(&self, key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Result<Opened<'a>, Closed> {
        let asked = Instant::now();
        self.open_patiently(key, value, || asked.elapsed() > PATIENCE)
    }

    /// Forgets which schemas were not to be had: an operator says that it was mended.
    pub fn forget_refusals(&self) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, known| matches!(known, Known::Schema(_)));
    }

    fn open_part<'a>(&self, part: &'static str, bytes: Option<&'a [u8]>) -> Result<Option<Cow<'a, [u8]>>, Closed> {
        let Some(bytes) = bytes else { return Ok(None) };
        // What is too large goes on as it is, and is refused as such.
        let Some((id, datum)) = framed(bytes).filter(|_| bytes.len() <= LARGEST_MESSAGE) else {
            return Ok(Some(Cow::Borrowed(bytes)));
        };
        let no_schema = |why| Closed::NoSchema(NoSchema { part, id, why });
        let Some(registry) = &self.registry else {
            return Err(no_schema(Why::NoRegistry));
        };
        let because = |what| {
            let registry = registry.address.clone();
            no_schema(Why::Of { registry, what })
        };
        let schema = match self.schema(id, registry).map_err(Closed::Away)? {
            Known::Schema(schema) => schema,
            Known::Refused(_, what) => return Err(because(what)),
        };
        if part == "value" && !schema.holds_rows() {
            let what = "it describes neither a change event nor a row; let the connector write its own events under it";
            return Err(because(what.to_owned()));
        }
        to_json(&schema, datum).map(Some).map_err(Closed::Unfit)
    }

    fn cached(&self, id: u32) -> Option<Known> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let is_good = |known: &&Known| match known {
            Known::Schema(_) => true,
            Known::Refused(since, _) => since.elapsed() < REFUSAL_KEPT,
        };
        known.get(&id).filter(is_good).cloned()
    }

    /// What is known of an id; an error says why the registry does not answer.
    fn schema(&self, id: u32, registry: &Registry) -> Result<Known, String> {
        if let Some(known) = self.cached(id) {
            return Ok(known);
        }
        let mut absence = self.absence.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have fetched it meanwhile.
        if let Some(known) = self.cached(id) {
            return Ok(known);
        }
        if let Some(absence) = absence.as_ref().filter(|absence| Instant::now() < absence.again) {
            return Err(absence.cause.clone());
        }
        let known = match (registry.fetch)(id) {
            Fetched::Schema { kind, text } => match ParsedSchema::parse(kind.as_deref(), &text) {
                Ok(schema) => Known::Schema(Arc::new(schema)),
                Err(why) => Known::Refused(Instant::now(), why),
            },
            Fetched::Unusable(why) => Known::Refused(Instant::now(), why),
            Fetched::Away(why) => {
                let now = Instant::now();
                let cause = format!(
                    "the schema registry of the sources, {}, does not answer: {why}",
                    registry.address
                );
                let absence = absence.get_or_insert_with(|| Absence {
                    attempts: Attempts::new(now),
                    again: now,
                    cause: String::new(),
                });
                if absence.attempts.is_news(&cause, now) {
                    tracing::warn!(
                        cause,
                        seconds = absence.attempts.lasted(now).as_secs(),
                        "waiting and trying again"
                    );
                }
                absence.again = now + absence.attempts.pause();
                absence.cause.clone_from(&cause);
                return Err(cause);
            }
        };
        *absence = None;
        let mut all = self.known.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(id, known.clone());
        Ok(known)
    }
}

#[cfg(test)]
mod tests;
