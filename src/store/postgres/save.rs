//! Saving what a batch does, in one statement that is its own transaction: a row of each array for a row of each table.

use std::collections::HashMap;

use sqlx::{PgExecutor, Postgres, postgres::PgArguments, query::QueryAs, types::Json};
use uuid::Uuid;

use super::{
    plan::{NewIdempotencyRecord, Plan, Version},
    sql,
};
use crate::{
    domain::{
        Alert, AlertEvent, HeadSignature, HeadSigner, IdempotencyKey, OrganizationId, Person, Timestamp,
    },
    store::{decision_input::HeadRow, failure::Failure, rows::AlertRow},
};

/// The organizations of which something was saved, with the rows of their heads as they are now.
pub type Saved = HashMap<OrganizationId, HeadRow>;

/// Saves what the plan says, with signatures of the heads where there is a signer; tells of which organizations. In the others
/// the head has moved since it was read, and nothing was saved.
pub async fn save(
    executor: impl PgExecutor<'_>,
    plan: &Plan,
    signer: Option<&HeadSigner>,
) -> Result<Saved, Failure> {
    if plan.heads.is_empty() {
        return Ok(Saved::new());
    }
    let (made, changed) = plan.alerts();
    let statement = match (changed.is_empty(), signer.is_some()) {
        (true, false) => sql::SAVE_NEW,
        (true, true) => sql::SAVE_NEW_SIGNED,
        (false, false) => sql::SAVE,
        (false, true) => sql::SAVE_SIGNED,
    };
    let save = bind_heads(sqlx::query_as(statement), plan);
    let save = bind_events(save, &plan.events);
    let save = bind_idempotency(save, &plan.idempotency_records);
    let save = bind_made(save, &made);
    let index = Index::of(made.iter().chain(&changed).copied());
    let save = bind_index(save, index.entities_in);
    let mut save = bind_index(save, index.people_in);
    if !changed.is_empty() {
        save = bind_changed(save, &changed);
        save = bind_index(save, index.entities_out);
        save = bind_index(save, index.people_out);
    }
    save = save.bind(plan.heads.values().map(|moved| moved.row.tuple.clone()).collect::<Vec<_>>());
    if let Some(signer) = signer {
        save = bind_signatures(save, &plan.sign(signer));
    }
    let saved: Vec<(Uuid, String)> = save.fetch_all(executor).await?;
    let row = |(organization, tuple)| {
        let organization = OrganizationId::from_uuid(organization);
        let revision = plan.heads.get(&organization)?.row.revision + 1;
        Some((organization, HeadRow { revision, tuple: Some(tuple) }))
    };
    Ok(saved.into_iter().filter_map(row).collect())
}

type Save<'q> = QueryAs<'q, Postgres, (Uuid, String), PgArguments>;

/// One value of each row.
fn column<R, T>(rows: &[R], value: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

fn bind_heads<'q>(save: Save<'q>, plan: &Plan) -> Save<'q> {
    let moves: Vec<_> = plan.heads.values().collect();
    save.bind(plan.heads.keys().map(|organization| organization.uuid()).collect::<Vec<_>>())
        .bind(column(&moves, |moved| moved.to.position))
        .bind(column(&moves, |moved| moved.to.hash.0.to_vec()))
        .bind(column(&moves, |moved| moved.row.revision))
        .bind(column(&moves, |moved| moved.from.hash.0.to_vec()))
}

fn bind_events<'q>(save: Save<'q>, events: &[AlertEvent]) -> Save<'q> {
    let key = |event: &AlertEvent| event.idempotency_key.as_ref().map(|key| key.as_str().to_owned());
    save.bind(column(events, |event| event.organization_id.uuid()))
        .bind(column(events, |event| event.position))
        .bind(column(events, |event| event.anomaly_id.uuid()))
        .bind(column(events, |event| event.sequence))
        .bind(column(events, |event| event.id.uuid()))
        .bind(column(events, |event| event.kind.code()))
        .bind(column(events, |event| event.actor.key_id.uuid()))
        .bind(column(events, |event| event.actor.key_name.as_str().to_owned()))
        .bind(column(events, |event| event.actor.on_behalf_of.as_ref().map(Person::to_string)))
        .bind(column(events, |event| event.changes.text().to_owned()))
        .bind(column(events, |event| event.note.as_str().to_owned()))
        .bind(column(events, |event| event.request_id.clone()))
        .bind(column(events, key))
        .bind(column(events, |event| event.created_at))
        .bind(column(events, |event| event.previous_hash.0.to_vec()))
        .bind(column(events, |event| event.hash.0.to_vec()))
}

fn bind_signatures<'q>(save: Save<'q>, signatures: &[HeadSignature]) -> Save<'q> {
    save.bind(column(signatures, |signed| signed.organization_id.uuid()))
        .bind(column(signatures, |signed| signed.first_position))
        .bind(column(signatures, |signed| signed.position))
        .bind(column(signatures, |signed| signed.key_id.0.to_vec()))
        .bind(column(signatures, |signed| signed.signature.to_vec()))
}

fn bind_idempotency<'q>(save: Save<'q>, idempotency_records: &[NewIdempotencyRecord]) -> Save<'q> {
    let key = |one: &NewIdempotencyRecord| IdempotencyKey::as_str(&one.idempotency.key).to_owned();
    save.bind(column(idempotency_records, |one| one.organization_id.uuid()))
        .bind(column(idempotency_records, key))
        .bind(column(idempotency_records, |one| one.idempotency.fingerprint.to_vec()))
        .bind(column(idempotency_records, |one| one.answer.clone()))
}

/// The alerts that are made, with the fields that are given once.
fn bind_made<'q>(save: Save<'q>, made: &[&Version]) -> Save<'q> {
    let rows = column(made, |version| AlertRow::from(&version.after));
    let save = save
        .bind(column(&rows, |row| row.created_at))
        .bind(column(&rows, |row| row.kind))
        .bind(column(&rows, |row| row.dedup_key.clone()))
        .bind(column(&rows, |row| row.previous_anomaly_id));
    bind_rows(save, rows)
}

fn bind_changed<'q>(save: Save<'q>, changed: &[&Version]) -> Save<'q> {
    bind_rows(save, column(changed, |version| AlertRow::from(&version.after)))
}

/// The fields that can change, under the alert's key.
fn bind_rows(save: Save<'_>, rows: Vec<AlertRow>) -> Save<'_> {
    let closed_by = |row: &AlertRow| row.closed_by.clone().map(Json);
    save.bind(column(&rows, |row| row.organization_id))
        .bind(column(&rows, |row| row.anomaly_id))
        .bind(column(&rows, |row| row.title.clone()))
        .bind(column(&rows, |row| row.description.clone()))
        .bind(column(&rows, |row| row.status.clone()))
        .bind(column(&rows, |row| row.status_class))
        .bind(column(&rows, |row| row.severity))
        .bind(column(&rows, |row| row.assigned_to.clone()))
        .bind(column(&rows, |row| array_text(&row.escalated_to)))
        .bind(column(&rows, |row| array_text(&row.affected_balances)))
        .bind(column(&rows, |row| array_text(&row.affected_transactions)))
        .bind(column(&rows, |row| array_text(&row.affected_identities)))
        .bind(column(&rows, |row| row.version))
        .bind(column(&rows, |row| row.updated_at))
        .bind(column(&rows, |row| row.disposition))
        .bind(column(&rows, |row| row.disposition_reason.clone()))
        .bind(column(&rows, |row| row.closed_at))
        .bind(column(&rows, closed_by))
        .bind(column(&rows, |row| row.occurrence_count))
        .bind(column(&rows, |row| row.last_occurred_at))
        .bind(column(&rows, |row| row.sequence))
        .bind(rows.into_iter().map(|row| Json(row.metadata)).collect::<Vec<_>>())
}

/// A list in PostgreSQL's own notation: lists of different lengths fit no array of arrays.
fn array_text(list: &[String]) -> String {
    let quoted = |entry: &String| format!("\"{}\"", entry.replace('\\', "\\\\").replace('"', "\\\""));
    format!("{{{}}}", column(list, quoted).join(","))
}

/// A row that indexes an alert: its organization, the value, the time it was made, and its id.
type Entry = (Uuid, String, Timestamp, Uuid);

/// The index rows to add and to remove.
#[derive(Default)]
struct Index {
    entities_in: Vec<Entry>,
    entities_out: Vec<Entry>,
    people_in: Vec<Entry>,
    people_out: Vec<Entry>,
}

impl Index {
    fn of<'v>(versions: impl Iterator<Item = &'v Version>) -> Self {
        let mut index = Self::default();
        for Version { before, after } in versions {
            let entities = |alert: &Alert| alert.entities.iter().map(ToString::to_string).collect::<Vec<_>>();
            let people = |alert: &Alert| column(&alert.escalated_to, ToString::to_string);
            let (old_entities, old_people) =
                before.as_ref().map(|before| (entities(before), people(before))).unwrap_or_default();
            let (new_entities, new_people) = (entities(after), people(after));
            let entry = |by: String| (after.organization_id.uuid(), by, after.created_at, after.id.uuid());
            index.entities_in.extend(only_in(&new_entities, &old_entities).map(entry));
            index.entities_out.extend(only_in(&old_entities, &new_entities).map(entry));
            index.people_in.extend(only_in(&new_people, &old_people).map(entry));
            index.people_out.extend(only_in(&old_people, &new_people).map(entry));
        }
        index
    }
}

fn only_in<'l>(these: &'l [String], others: &'l [String]) -> impl Iterator<Item = String> {
    these.iter().filter(|entry| !others.contains(entry)).cloned()
}

fn bind_index(save: Save<'_>, entries: Vec<Entry>) -> Save<'_> {
    save.bind(column(&entries, |entry| entry.0))
        .bind(column(&entries, |entry| entry.2))
        .bind(column(&entries, |entry| entry.3))
        .bind(entries.into_iter().map(|entry| entry.1).collect::<Vec<_>>())
}
