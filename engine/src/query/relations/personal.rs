//! Personal relations: what a published state holds about persons, as one viewer may name it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};

use crate::catalog::{Body, Format, Kind, LegalBasis, Published, Shape};
use crate::lake;
use crate::query::governed::PROFILE_ID;
use crate::tables;

use super::*;

fn timestamptz(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())), true)
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8View, true)
}

/// Quotes a name for a query that onefold writes itself.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a text for a query that onefold writes itself.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// One relation for each source, its history, and the records of all of them.
pub(super) fn sources(published: &Published, viewer: &Viewer) -> Vec<Relation> {
    let mut found = Vec::new();
    let mut records = Vec::new();
    for definition in published.state.of_kind(Kind::Source) {
        let Body::Source(source) = &definition.body else { continue };
        let path = tables::source_path(&definition.name);
        let Some(current) = published.table(&path) else { continue };
        // A source without identifiers is about nobody that can be found: for those who see everyone.
        if source.identifiers.is_empty() && source.person.is_empty() && !sees_everyone(viewer) {
            continue;
        }
        let comment = definition
            .comment
            .clone()
            .unwrap_or_else(|| format!("rows of source {}", definition.name));
        let relation = Relation::governed(
            "sources",
            &definition.name,
            vec![(path.clone(), Arc::clone(&current))],
        )
        .with_comment(comment);
        match &source.shape {
            Shape::Records { key, .. } => {
                let key: Vec<&str> = key.iter().map(String::as_str).collect();
                let parts: Vec<String> = key
                    .iter()
                    .map(|column| format!("CAST({} AS VARCHAR)", quoted(column)))
                    .collect();
                records.push(format!(
                    "SELECT {} AS source, {} AS record_key, profile_id FROM sources.{}",
                    literal(&definition.name),
                    parts.join(" || '\u{1f}' || "),
                    quoted(&definition.name)
                ));
                found.push(relation.with_key(&key));
                let mut snapshots = vec![(path, current)];
                let superseded = tables::superseded_path(&definition.name);
                if let Some(older) = published.table(&superseded) {
                    snapshots.push((superseded, older));
                }
                let name = format!("{}_history", definition.name);
                let comment = format!("every version of the rows of source {}", definition.name);
                found.push(Relation::governed("sources", &name, snapshots).with_comment(comment));
            }
            Shape::Events { .. } => found.push(relation),
        }
    }
    if !records.is_empty() {
        let columns =
            vec![text("source"), text("record_key"), Field::new(PROFILE_ID, DataType::Int64, true)];
        let view = Relation::view(
            crate::query::PUBLIC,
            "profile_records",
            columns,
            records.join(" UNION ALL "),
        );
        found.push(view.with_comment("which profile each record belongs to"));
    }
    found
}

fn sees_everyone(viewer: &Viewer) -> bool {
    matches!(viewer.purpose, Some((_, LegalBasis::Contract)))
}

/// `events` over all sources of Segment calls, and one typed view for each event name.
pub(super) fn events(published: &Published) -> Vec<Relation> {
    let mut snapshots = Vec::new();
    let mut names: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for definition in published.state.of_kind(Kind::Source) {
        let Body::Source(source) = &definition.body else { continue };
        let path = tables::source_path(&definition.name);
        if let (Format::Segment, Some(table)) = (source.format, published.table(&path)) {
            snapshots.push((path, table));
            let seen = published.state.sources.get(&definition.name).map(|state| &state.events);
            for (event, properties) in seen.into_iter().flatten() {
                let known = names.entry(event.clone()).or_default();
                properties.iter().for_each(|(name, kind)| {
                    known
                        .entry(name.clone())
                        .and_modify(|held| {
                            if held != kind {
                                *held = "text".into()
                            }
                        })
                        .or_insert_with(|| kind.clone());
                });
            }
        }
    }
    if snapshots.is_empty() {
        return vec![];
    }
    for definition in published.state.of_kind(Kind::Event) {
        if let Body::Event(event) = &definition.body {
            let declared = event
                .properties
                .iter()
                .map(|property| (property.name.clone(), sql_type(&property.data_type)));
            names.insert(definition.name.clone(), declared.collect());
        }
    }
    let events = Relation::governed(crate::query::PUBLIC, "events", snapshots)
        .with_comment("every event of every source, with its person");
    let views = names.iter().map(|(event, properties)| event_view(event, properties));
    let views: Vec<Relation> = views.collect();
    std::iter::once(events).chain(views).collect()
}

fn sql_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "boolean".into(),
        DataType::Int16 | DataType::Int32 | DataType::Int64 => "bigint".into(),
        DataType::Float32 | DataType::Float64 => "double precision".into(),
        DataType::Decimal128(precision, scale) => format!("numeric({precision},{scale})"),
        DataType::Date32 => "date".into(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".into(),
        _ => "text".into(),
    }
}

fn event_view(event: &str, properties: &BTreeMap<String, String>) -> Relation {
    let fixed = ["message_id", "profile_id", "occurred_at", "anonymous_id", "user_id", "context"];
    let mut columns = vec![
        text("message_id"),
        Field::new(PROFILE_ID, DataType::Int64, true),
        timestamptz("occurred_at"),
        text("anonymous_id"),
        text("user_id"),
        text("context").with_metadata([(lake::LOGICAL_TYPE.to_owned(), "jsonb".to_owned())].into()),
    ];
    let mut list: Vec<String> = fixed.iter().map(|column| (*column).to_owned()).collect();
    let names = lake::column_names(properties.keys().map(String::as_str));
    for ((property, kind), name) in properties.iter().zip(names) {
        let name = if fixed.contains(&name.as_str()) { format!("property_{name}") } else { name };
        let value = format!("json_get_text(properties, {})", literal(property));
        let (value, data_type, logical) = match kind.as_str() {
            "boolean" => (format!("TRY_CAST({value} AS boolean)"), DataType::Boolean, None),
            "bigint" => (format!("TRY_CAST({value} AS bigint)"), DataType::Int64, None),
            "double precision" => {
                (format!("TRY_CAST({value} AS double precision)"), DataType::Float64, None)
            }
            "date" => (format!("TRY_CAST({value} AS date)"), DataType::Date32, None),
            "timestamptz" => (
                format!("TRY_CAST({value} AS timestamp with time zone)"),
                timestamptz("").data_type().clone(),
                None,
            ),
            "jsonb" => (
                format!("json_get(properties, {})", literal(property)),
                DataType::Utf8View,
                Some("jsonb"),
            ),
            numeric if numeric.starts_with("numeric(") => {
                (format!("TRY_CAST({value} AS {numeric})"), numeric_type(numeric), None)
            }
            _ => (value, DataType::Utf8View, None),
        };
        let mut field = Field::new(&name, data_type, true);
        if let Some(logical) = logical {
            field =
                field.with_metadata([(lake::LOGICAL_TYPE.to_owned(), logical.to_owned())].into());
        }
        columns.push(field);
        list.push(format!("{value} AS {}", quoted(&name)));
    }
    let query =
        format!("SELECT {} FROM public.events WHERE event = {}", list.join(", "), literal(event));
    let name = format!("events_{}", lake::column_name(event));
    Relation::view(crate::query::PUBLIC, &name, columns, query)
        .with_comment(format!("events named {event}, their properties as columns"))
}

fn numeric_type(text: &str) -> DataType {
    let mut parts = text.trim_start_matches("numeric(").trim_end_matches(')').split(',');
    let precision = parts.next().and_then(|part| part.trim().parse().ok()).unwrap_or(38);
    let scale = parts.next().and_then(|part| part.trim().parse().ok()).unwrap_or(0);
    DataType::Decimal128(precision, scale)
}

/// Profiles and the identity graph.
pub(super) fn derived(published: &Published, viewer: &Viewer) -> Vec<Relation> {
    let relation = |path: &str, name: &str, key: &[&str], comment: &str| {
        let table = published.table(path)?;
        let relation =
            Relation::governed(crate::query::PUBLIC, name, vec![(path.to_owned(), table)]);
        Some(relation.with_key(key).with_comment(comment))
    };
    let profiles = published.state.profiles_path.as_deref().unwrap_or(tables::PROFILES_PATH);
    let (attributes, identifiers) =
        (tables::ATTRIBUTE_SOURCES.path, tables::PROFILE_IDENTIFIERS.path);
    let comment = "the normalised identifiers of each person";
    let identifiers = relation(identifiers, "profile_identifiers", &[], comment);
    let everyone = sees_everyone(viewer);
    let in_force = published.state.graph_in_force.as_ref();
    let has_households = in_force.is_some_and(|graph| graph.graph.has_households());
    let comment = "one row for each person: golden values and traits";
    let people = relation(profiles, "profiles", &[PROFILE_ID], comment);
    let mut found = vec![
        people.map(|found| if has_households { found.with_household() } else { found }),
        relation(attributes, "attribute_sources", &[], "where each golden value comes from"),
        // That a value is shared tells of the others who have it, hidden ones included.
        identifiers.map(|found| if everyone { found } else { found.without("status") }),
    ];
    // These tell of two persons at a time, one of whom may be hidden: for those who see everyone.
    if everyone {
        let (edges, violations) = (tables::IDENTITY_EDGES.path, tables::IDENTITY_VIOLATIONS.path);
        let refused = "joins that were refused, by which rule and against what";
        found.push(relation(edges, "identity_edges", &[], "why records are one person"));
        found.push(relation(violations, "identity_violations", &[], refused));
        found.push(review(published));
        if has_households {
            let comment = "what profiles that may be of one household say for it and against it";
            found.push(relation(tables::HOUSEHOLDS.path, "household_pairs", &[], comment));
        }
        let comment = "ids that became another profile's";
        found.push(relation(tables::PROFILE_MERGES.path, "profile_merges", &[], comment));
    }
    found.into_iter().flatten().collect()
}

/// The pairs of records that are worth a look.
fn review(published: &Published) -> Option<Relation> {
    let path = tables::IDENTITY_REVIEW.path;
    let table = published.table(path)?;
    let relation = Relation::governed("cdp", "identity_review", vec![(path.to_owned(), table)]);
    let comment =
        "pairs of records that are worth a look: cdp.decide(pair, 'same' | 'different') decides";
    Some(relation.with_key(&["pair"]).with_comment(comment))
}

/// The query of a relation that has these columns and no rows.
fn no_rows(columns: &[Field]) -> String {
    let nulls = columns.iter().map(|column| {
        let data_type = match column.data_type() {
            DataType::Int64 => "bigint",
            DataType::Timestamp(..) => "timestamp with time zone",
            _ => "text",
        };
        format!("CAST(NULL AS {data_type}) AS {}", column.name())
    });
    format!("SELECT {} WHERE false", nulls.collect::<Vec<_>>().join(", "))
}

/// One relation for each segment of the viewer's purpose, and the members of all of them, former ones included.
///
/// A segment that was never refreshed has no table yet: it is there all the same, and empty.
pub(super) fn segments(published: &Published, viewer: &Viewer) -> Vec<Relation> {
    let Some((purpose, basis)) = &viewer.purpose else { return vec![] };
    let mut found = Vec::new();
    let columns = [
        text("segment"),
        Field::new(PROFILE_ID, DataType::Int64, true),
        timestamptz("entered_at"),
        timestamptz("exited_at"),
    ];
    let mut members = Vec::new();
    for definition in published.state.of_kind(Kind::Segment) {
        let Body::Segment(segment) = &definition.body else { continue };
        if segment.purpose != *purpose && *basis != LegalBasis::Contract {
            continue;
        }
        let name = &definition.name;
        let path = tables::segment_path(name);
        let relation = match published.table(&path) {
            Some(table) => Relation::governed("segments", name, vec![(path, table)]),
            None => {
                let columns = columns[1..3].to_vec();
                let query = no_rows(&columns);
                Relation::view("segments", name, columns, query)
            }
        };
        let comment =
            definition.comment.clone().unwrap_or_else(|| format!("members of segment {name}"));
        found.push(relation.with_key(&[PROFILE_ID]).with_comment(comment));
        members.push(format!(
            "SELECT {} AS segment, profile_id, entered_at, CAST(NULL AS timestamp with time zone) AS exited_at FROM segments.{}",
            literal(name),
            quoted(name)
        ));
        let path = tables::former_path(name);
        if let Some(table) = published.table(&path) {
            // No segment can have this name, since it is none that can be written in a definition.
            let former = format!("{name}/former");
            members.push(format!(
                "SELECT {} AS segment, profile_id, entered_at, exited_at FROM segments.{}",
                literal(name),
                quoted(&former)
            ));
            found.push(Relation::governed("segments", &former, vec![(path, table)]).unlisted());
        }
    }
    let query = if members.is_empty() { no_rows(&columns) } else { members.join(" UNION ALL ") };
    let view = Relation::view(crate::query::PUBLIC, "segment_members", columns.to_vec(), query);
    found.push(view.with_comment("who entered and left which segment, and when"));
    found
}
