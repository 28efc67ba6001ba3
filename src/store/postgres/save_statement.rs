//! The statement that saves a batch, composed from the tables' columns.
//!
//! It moves the heads that still are where the changes were decided from, appends the events, records the answers, and writes the
//! alerts and the rows that index them. All else hangs on `head`: of an organization whose head has moved, nothing is saved. Nor
//! where another instance holds the head: nobody waits for it here. A head is found by the place of its row, if that is known.

use super::rows::element;
use crate::store::shared::{
    index::{EntityRow, EscalationRow},
    row::{Column, Table, table},
    rows::{alert::AlertRow, event::EventRow, signature::SignatureRow},
    value::Kind,
};

use uuid::Uuid;

table! {
    /// A head that moves.
    pub struct MoveRow("event_heads") {
        organization_id: Uuid,
        position: i64,
        hash: Vec<u8>,
        revision: i64,
        previous_hash: Vec<u8>,
        tuple: Option<String>,
    }
}

table! {
    /// An idempotency record.
    pub struct RecordRow("idempotency_keys") {
        organization_id: Uuid,
        key: String,
        fingerprint: Vec<u8>,
        answer: String,
    }
}

/// The columns of the alerts that are changed: those by which they are found, and those that may change.
pub fn changed_columns() -> impl Iterator<Item = &'static Column<AlertRow>> {
    AlertRow::key().chain(AlertRow::changing())
}

/// Composes the statement for batches that change alerts or only make some, with signatures or without. The parameters are
/// numbered in the order in which [`super::save`] adds them.
pub fn compose(changes: bool, signs: bool) -> String {
    let mut places = Places(0);
    let mut parts = vec![heads(&mut places)];
    parts.push(insert::<EventRow>("event", "e", &mut places, ""));
    parts.push(format!(
        "record AS (INSERT INTO idempotency_keys (organization_id, key, fingerprint, answer, created_at) \
         SELECT i.organization_id, i.key, i.fingerprint, i.answer, now() FROM {} JOIN head USING (organization_id))",
        places.unnest("i", RecordRow::COLUMNS.iter())
    ));
    if changes {
        parts.push(closing(&mut places));
    }
    parts.push(insert::<AlertRow>("made", "a", &mut places, if changes { AFTER_CLOSING } else { "" }));
    parts.push(insert::<EntityRow>("entities_in", "n", &mut places, ""));
    parts.push(insert::<EscalationRow>("people_in", "p", &mut places, ""));
    if changes {
        parts.push(format!(
            "changed AS (UPDATE alerts a SET {} FROM changes c{AFTER_CLOSING} WHERE {MATCHES} AND c.status_class <> 3)",
            assignments()
        ));
        parts.push(delete::<EntityRow>("entities_out", &mut places));
        parts.push(delete::<EscalationRow>("people_out", &mut places));
    }
    if signs {
        parts.push(insert::<SignatureRow>("signature", "s", &mut places, ""));
    }
    format!("WITH {} SELECT organization_id, tuple FROM head", parts.join(", "))
}

/// Waits until the alerts that are closed have left their deduplication keys.
const AFTER_CLOSING: &str = " CROSS JOIN (SELECT count(*) FROM closed) AS done";
/// Finds the alert of a change.
const MATCHES: &str = "a.organization_id = c.organization_id AND a.anomaly_id = c.anomaly_id";

/// The numbers of parameters.
struct Places(usize);

impl Places {
    /// The rows that the next parameters hold, an array for each column.
    fn unnest<R: 'static>(
        &mut self,
        alias: &str,
        columns: impl Iterator<Item = &'static Column<R>> + Clone,
    ) -> String {
        let names = list(columns.clone(), |column| column.name.to_owned());
        let arrays = list(columns, |column| {
            self.0 += 1;
            format!("${}::{}[]", self.0, element(column.kind))
        });
        format!("unnest({arrays}) AS {alias}({names})")
    }
}

fn list<R: 'static>(
    columns: impl Iterator<Item = &'static Column<R>>,
    text: impl FnMut(&Column<R>) -> String,
) -> String {
    columns.map(text).collect::<Vec<_>>().join(", ")
}

/// The value of a column; lists arrive as text.
fn value<R>(alias: &str, column: &Column<R>) -> String {
    let cast = if column.kind == Kind::Texts { "::text[]" } else { "" };
    format!("{alias}.{}{cast}", column.name)
}

fn heads(places: &mut Places) -> String {
    let moves = places.unnest("m", MoveRow::COLUMNS.iter());
    format!(
        "moved AS (SELECT m.organization_id, m.position, m.hash, m.revision, m.previous_hash, coalesce(m.tuple::tid, \
         (SELECT h.ctid FROM event_heads h WHERE h.organization_id = m.organization_id)) AS tuple FROM {moves}), \
         locked AS MATERIALIZED (SELECT h.organization_id, h.ctid AS tuple FROM event_heads h JOIN moved \
         ON h.ctid = moved.tuple AND h.organization_id = moved.organization_id ORDER BY h.organization_id \
         FOR NO KEY UPDATE OF h SKIP LOCKED), \
         head AS (UPDATE event_heads h SET position = moved.position, hash = moved.hash, revision = h.revision + 1 \
         FROM moved JOIN locked USING (organization_id) WHERE h.ctid = locked.tuple \
         AND h.organization_id = moved.organization_id AND h.revision = moved.revision AND h.hash = moved.previous_hash \
         RETURNING h.organization_id, h.ctid::text AS tuple)"
    )
}

/// Inserts the rows of the organizations whose heads have moved.
fn insert<T: Table>(name: &str, alias: &str, places: &mut Places, after: &str) -> String {
    let values = list(T::COLUMNS.iter(), |column| value(alias, column));
    format!(
        "{name} AS (INSERT INTO {} ({}) SELECT {values} FROM {} JOIN head USING (organization_id){after})",
        T::TABLE,
        T::names(),
        places.unnest(alias, T::COLUMNS.iter())
    )
}

/// Changes the alerts that are closed afterwards. All others follow, and those that are made: only once an alert has left its
/// deduplication key may another take it.
fn closing(places: &mut Places) -> String {
    let changes = places.unnest("c", changed_columns().collect::<Vec<_>>().into_iter());
    format!(
        "changes AS (SELECT c.* FROM {changes} JOIN head USING (organization_id)), \
         closed AS (UPDATE alerts a SET {} FROM changes c WHERE {MATCHES} AND c.status_class = 3 RETURNING 1)",
        assignments()
    )
}

fn assignments() -> String {
    list(AlertRow::changing(), |column| format!("{} = {}", column.name, value("c", column)))
}

/// Deletes rows that are equal in all columns.
fn delete<T: Table>(name: &str, places: &mut Places) -> String {
    let columns = T::COLUMNS.iter();
    let equal: Vec<_> = columns.map(|column| format!("d.{0} = o.{0}", column.name)).collect();
    format!(
        "{name} AS (DELETE FROM {} d USING {} JOIN head USING (organization_id) WHERE {})",
        T::TABLE,
        places.unnest("o", T::COLUMNS.iter()),
        equal.join(" AND ")
    )
}
