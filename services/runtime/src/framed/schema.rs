//! A schema as a registry has it, compiled once: what a datum is read by.
//!
//! Compiled from its text and not by the Avro crate, which refuses names that Java's library takes and Debezium writes: parts of a namespace
//! that begin with a digit (`public_security.3201.public.czrk`), and letters beyond ASCII. Logical types are left out: JsonConverter writes
//! what lies below them, numbers for days and times, base64 for decimals.

use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// Levels of a schema, far beyond a row in an envelope: reading a datum takes a call for each.
const DEEPEST: usize = 32;

/// A schema that values or keys are framed with.
#[derive(Debug)]
pub struct ParsedSchema(pub(super) Form);

#[derive(Debug)]
pub(super) enum Form {
    /// JSON follows the frame; whether it can hold rows.
    Json { of_objects: bool },
    /// An Avro datum follows the frame.
    Avro(Node),
}

/// A type of an Avro schema.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    /// Its symbols as JSON text.
    Enum(Arc<[String]>),
    Array(Arc<Node>),
    Map(Arc<Node>),
    Union(Arc<[Node]>),
    /// Its fields: the name as JSON text with the colon behind it, and the type.
    Record(Arc<[(String, Node)]>),
}

/// A type with its levels, those of the types that it names included.
type Compiled = (Node, usize);

/// Named types; `None` while one is being compiled.
type Names = HashMap<String, Option<Compiled>>;

impl ParsedSchema {
    /// Compiles the text of a schema; `kind` is the registry's `schemaType`, by default `AVRO`.
    ///
    /// # Errors
    /// What is wrong with it, for people: another type than Avro and JSON Schema, no Avro schema, one that contains itself.
    pub fn parse(kind: Option<&str>, text: &str) -> Result<Self, String> {
        let kind = kind.unwrap_or("AVRO");
        let is_json = match kind {
            "AVRO" => false,
            "JSON" => true,
            _ => {
                return Err(format!(
                    "its type is {kind}, and only AVRO and JSON are read: set another converter"
                ));
            }
        };
        // A primitive type may stand there as a bare word.
        let json = serde_json::from_str(text).or_else(|error| match text.trim() {
            word if !is_json && primitive(word).is_some() => Ok(Value::from(word)),
            _ => Err(format!("it is no JSON: {error}")),
        })?;
        if is_json {
            let of_objects = json.get("type").and_then(Value::as_str).is_none_or(|kind| kind == "object");
            return Ok(Self(Form::Json { of_objects }));
        }
        let compiled = compile(&json, None, &mut Names::new());
        compiled
            .map(|(node, _)| Self(Form::Avro(node)))
            .map_err(|problem| format!("it is no Avro schema: {problem}"))
    }

    /// Whether a value under it can be an envelope or a row, which are records.
    pub fn holds_rows(&self) -> bool {
        let is_record = |node: &Node| matches!(node, Node::Record(_));
        match &self.0 {
            Form::Json { of_objects } => *of_objects,
            Form::Avro(Node::Union(branches)) => branches.iter().any(is_record),
            Form::Avro(node) => is_record(node),
        }
    }
}

fn primitive(name: &str) -> Option<Node> {
    Some(match name {
        "null" => Node::Null,
        "boolean" => Node::Boolean,
        "int" => Node::Int,
        "long" => Node::Long,
        "float" => Node::Float,
        "double" => Node::Double,
        "bytes" => Node::Bytes,
        "string" => Node::String,
        _ => return None,
    })
}

fn compile(schema: &Value, namespace: Option<&str>, names: &mut Names) -> Result<Compiled, String> {
    let (node, levels) = match schema {
        Value::String(name) => match primitive(name) {
            Some(node) => (node, 0),
            None => return named(&full_name(name, namespace), name, names),
        },
        Value::Array(branches) => {
            let (mut nodes, mut levels) = (Vec::new(), 0);
            for branch in branches {
                let (node, of_branch) = compile(branch, namespace, names)?;
                nodes.push(node);
                levels = levels.max(of_branch);
            }
            (Node::Union(nodes.into()), levels)
        }
        Value::Object(object) => {
            let kind = object.get("type").ok_or("a type has no `type`")?;
            let mut inner = |key: &str| {
                let inner = object.get(key).ok_or_else(|| format!("a type has no `{key}`"))?;
                compile(inner, namespace, names)
            };
            match kind.as_str() {
                Some("array") => inner("items").map(|(node, levels)| (Node::Array(node.into()), levels))?,
                Some("map") => inner("values").map(|(node, levels)| (Node::Map(node.into()), levels))?,
                Some("record" | "error" | "enum" | "fixed") => return define(schema, namespace, names),
                _ => return compile(kind, namespace, names),
            }
        }
        _ => return Err("a type is neither a name, nor an object, nor a union".to_owned()),
    };
    one_more(node, levels)
}

/// A type around others of so many levels.
fn one_more(node: Node, levels: usize) -> Result<Compiled, String> {
    if levels < DEEPEST {
        Ok((node, levels + 1))
    } else {
        Err(format!("it is nested deeper than {DEEPEST} levels"))
    }
}

/// A name without a point lies in the namespace.
fn full_name(name: &str, namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) if !namespace.is_empty() && !name.contains('.') => format!("{namespace}.{name}"),
        _ => name.to_owned(),
    }
}

fn named(full: &str, name: &str, names: &Names) -> Result<Compiled, String> {
    match names.get(full).or_else(|| names.get(name)) {
        Some(Some(compiled)) => Ok(compiled.clone()),
        Some(None) => Err(format!("type {full} contains itself")),
        None => Err(format!("type {full} is not defined")),
    }
}

/// A record, an enum or a fixed.
fn define(schema: &Value, namespace: Option<&str>, names: &mut Names) -> Result<Compiled, String> {
    let text = |key: &str| schema.get(key).and_then(Value::as_str);
    let name = text("name").ok_or("a type has no `name`")?;
    let full = full_name(name, text("namespace").or(namespace));
    names.insert(full.clone(), None);
    let list = |key: &str| {
        let list = schema.get(key).and_then(Value::as_array);
        list.ok_or_else(|| format!("type {full} has no `{key}`"))
    };
    let mut levels = 0;
    let node = match text("type") {
        Some("fixed") => {
            let size = schema
                .get("size")
                .and_then(Value::as_u64)
                .and_then(|size| usize::try_from(size).ok());
            Node::Fixed(size.ok_or_else(|| format!("type {full} has no `size`"))?)
        }
        Some("enum") => {
            let symbols = list("symbols")?
                .iter()
                .map(|symbol| Some(Value::from(symbol.as_str()?).to_string()));
            let symbols: Option<Vec<String>> = symbols.collect();
            Node::Enum(symbols.ok_or_else(|| format!("a symbol of type {full} is no text"))?.into())
        }
        _ => {
            let inside = full.rsplit_once('.').map(|(namespace, _)| namespace);
            let mut fields = Vec::new();
            for field in list("fields")? {
                let name = field.get("name").and_then(Value::as_str);
                let name = name.ok_or_else(|| format!("a field of type {full} has no name"))?;
                let kind = field
                    .get("type")
                    .ok_or_else(|| format!("field {name} of type {full} has no type"))?;
                let (node, of_field) = compile(kind, inside, names)?;
                levels = levels.max(of_field);
                fields.push((format!("{}:", Value::from(name)), node));
            }
            Node::Record(fields.into())
        }
    };
    let compiled = one_more(node, levels)?;
    names.insert(full, Some(compiled.clone()));
    Ok(compiled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(kind: Option<&str>, text: &str) -> String {
        ParsedSchema::parse(kind, text).expect_err("no schema")
    }

    #[test]
    fn only_records_hold_rows() {
        let of = |kind: Option<&str>, text: &str| ParsedSchema::parse(kind, text).expect("a schema").holds_rows();
        let record = r#"{"type":"record","name":"Envelope","namespace":"a.3201.public.表","fields":[{"name":"姓名","type":["null","string"]}]}"#;
        assert!(of(None, record));
        assert!(of(Some("AVRO"), &format!(r#"["null",{record}]"#)));
        assert!(of(Some("JSON"), r#"{"type":"object"}"#) && of(Some("JSON"), r#"{"oneOf":[]}"#));
        for (kind, text) in [
            (None, "\"long\""),
            (None, "string"),
            (None, r#"{"type":"int"}"#),
            (Some("JSON"), r#"{"type":"string"}"#),
        ] {
            assert!(!of(kind, text), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let deep = format!("{}\"int\"{}", "[".repeat(40), "]".repeat(40));
        assert!(problem(Some("PROTOBUF"), "syntax = \"proto3\";").contains("PROTOBUF"));
        for (text, why) in [
            ("{", "no JSON"),
            ("7", "neither a name"),
            (r#"{"type":"array"}"#, "no `items`"),
            (
                r#"{"type":"record","name":"a","fields":[{"name":"b","type":"c"}]}"#,
                "type c is not defined",
            ),
            (
                r#"{"type":"record","name":"a","namespace":"n","fields":[{"name":"b","type":["null","a"]}]}"#,
                "n.a contains itself",
            ),
            (r#"{"type":"fixed","name":"a"}"#, "no `size`"),
            (&deep, "nested deeper"),
        ] {
            assert!(problem(None, text).contains(why), "{text}: {}", problem(None, text));
        }
    }
}
