//! Personal relations: what a published state holds about persons, as one viewer may name it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, TimeUnit};

use crate::catalog::{Body, Format, Kind, LegalBasis, Published, Shape};
use crate::lake;
use crate::query::governed::PROFILE_ID;
use crate::query::quoted::{literal, quoted};
use crate::tables;

use super::*;

fn timestamptz(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())), true)
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8View, true)
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

/// What the relation of former identifiers is.
const FORMER: &str = "what records carried before a correction or a deletion: a refusal by it counts, and resolve_profile finds the profile by it where nobody has it now";

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
    let identifiers = relation(identifiers, "profile_identifiers", &[], comment)
        .map(|found| COUNTED.into_iter().fold(found, Relation::without));
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
        let former = relation(tables::FORMER_IDENTIFIERS.path, "former_identifiers", &[], FORMER);
        found.push(former);
        found.push(relation(edges, "identity_edges", &[], "why records are one person"));
        found.push(relation(violations, "identity_violations", &[], refused));
        found.push(review(published));
        found.extend(identifier_values(published).into_iter().flatten().map(Some));
        if has_households {
            let comment = "what profiles that may be of one household say for it and against it";
            found.push(relation(tables::HOUSEHOLDS.path, "household_pairs", &[], comment));
        }
        let comment = "ids that became another profile's";
        found.push(relation(tables::PROFILE_MERGES.path, "profile_merges", &[], comment));
    }
    found.into_iter().flatten().collect()
}

/// What is counted of the identifiers of each profile, to be put together for each value.
const COUNTED: [&str; 2] = ["records", "blocked"];

/// Every value of an identifier, whoever carries it: whom it identifies, why, and how many carry it. Nothing, as long as the
/// graph was made before its figures were kept.
fn identifier_values(published: &Published) -> Option<[Relation; 2]> {
    let path = tables::PROFILE_IDENTIFIERS.path;
    let table = published.table(path)?;
    if COUNTED.iter().any(|column| table.schema.column_with_name(column).is_none()) {
        return None;
    }
    // No text of a statement that is not quoted names it.
    let name = "identifier_values/of_profiles";
    let counted = Relation::governed("cdp", name, vec![(path.to_owned(), table)]);
    let count = |name: &str| Field::new(name, DataType::Int64, true);
    let told = |name: &str| Field::new(name, DataType::Boolean, true);
    let columns = vec![
        text("kind"),
        text("value"),
        text("class"),
        count("people"),
        count("records"),
        count("refused"),
        count("refused_by_limit"),
        told("decided"),
        told("blocked"),
        told("expired"),
        timestamptz("first_seen_at"),
    ];
    let carried = format!("cdp.{}", quoted(name));
    let query = format!(
        "SELECT i.kind, i.value, \
         CASE WHEN i.status = 'expired' THEN 'nobody' ELSE i.status END AS class, \
         i.people, i.records, coalesce(v.refused, 0) AS refused, \
         coalesce(v.refused_by_limit, 0) AS refused_by_limit, o.value IS NOT NULL AS decided, \
         i.blocked, i.status = 'expired' AS expired, i.first_seen_at \
         FROM (SELECT kind, value, min(status) AS status, count(*) AS people, \
         CAST(sum(records) AS bigint) AS records, bool_or(blocked) AS blocked, \
         min(first_seen_at) AS first_seen_at FROM {carried} GROUP BY kind, value) i \
         LEFT JOIN (SELECT rule, value, count(*) AS refused, \
         count(*) FILTER (WHERE reason = 'limit') AS refused_by_limit \
         FROM public.identity_violations GROUP BY rule, value) v \
         ON v.rule = i.kind AND v.value = i.value \
         LEFT JOIN (SELECT DISTINCT kind, value FROM public.identifier_overrides \
         WHERE status = 'in force') o ON o.kind = i.kind AND o.value = i.value"
    );
    let view = Relation::view("cdp", "identifier_values", columns, query);
    let comment = "every value of an identifier: whom it identifies, how many carry it, and what was refused on it";
    Some([counted.unlisted(), view.with_key(&["kind", "value"]).with_comment(comment)])
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

impl Relation {
    /// These rows of a source's history in place of its current ones. They are nobody's.
    pub(crate) fn history_of_source(
        published: &Published,
        name: &str,
        rows: &[RecordBatch],
    ) -> Result<Vec<Self>> {
        match current_rows(published, name, name) {
            Some(current) => Ok(vec![history_rows(name, &current.columns, rows)?]),
            None => Ok(vec![]),
        }
    }

    /// The same beside its current rows, and the relations that this is made of.
    pub(crate) fn source_with_history(
        published: &Published,
        name: &str,
        rows: &[RecordBatch],
    ) -> Result<Vec<Self>> {
        // No text of a statement that is not quoted names these.
        let [there, gone] = ["there", "gone"].map(|part| format!("{name}/{part}"));
        let Some(current) = current_rows(published, name, &there) else { return Ok(vec![]) };
        let gone = history_rows(&gone, &current.columns, rows)?;
        let fields = current.columns.fields();
        let list: Vec<String> = fields.iter().map(|field| quoted(field.name())).collect();
        let parts = [&current, &gone]
            .map(|part| format!("SELECT {} FROM sources.{}", list.join(", "), quoted(&part.name)));
        let fields = fields.iter().map(|field| field.as_ref().clone()).collect();
        let view = Self::view("sources", name, fields, parts.join(" UNION ALL "));
        Ok(vec![current.unlisted(), gone.unlisted(), view])
    }
}

/// The current rows of a source as a relation that is named `relation`.
fn current_rows(published: &Published, name: &str, relation: &str) -> Option<Relation> {
    let path = tables::source_path(name);
    let current = published.table(&path)?;
    Some(Relation::governed("sources", relation, vec![(path, current)]))
}

/// Rows of the history of a source as a relation with the columns of its current ones.
fn history_rows(name: &str, columns: &SchemaRef, rows: &[RecordBatch]) -> Result<Relation> {
    let shown = |batch: &RecordBatch| {
        let schema = batch.schema();
        let own = (0..schema.fields().len()).filter(|at| schema.field(*at).name() != PROFILE_ID);
        let own = batch.project(&own.collect::<Vec<_>>()).map_err(DataFusionError::from)?;
        lake::logical_batch(&own, &lake::logical(&own.schema()))
    };
    let rows = rows.iter().map(shown).collect::<Result<Vec<_>>>()?;
    let rows: Rows = Arc::new(move || {
        let rows = rows.clone();
        Box::pin(async move { Ok(rows) })
    });
    Ok(Relation::system("sources", name, "rows of records that are gone", columns.clone(), rows))
}
