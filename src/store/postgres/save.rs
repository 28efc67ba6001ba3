//! Saving what a batch does, in one statement that is its own transaction: a row of each array for a row of each table.

use std::collections::HashMap;

use sqlx::{PgExecutor, postgres::PgArguments};
use uuid::Uuid;

use super::{
    plan::{NewIdempotencyRecord, Plan},
    rows::add_column,
    save_statement::{MoveRow, RecordRow, changed_columns},
    sql,
};
use crate::{
    domain::{HeadSigner, OrganizationId},
    store::{
        StoreError,
        failure::Failure,
        shared::{
            decision_input::HeadRow,
            index::IndexChanges,
            row::{Column, Table},
            rows::{alert::AlertRow, event::EventRow, signature::SignatureRow},
        },
    },
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
    let (arguments, changes) = arguments(plan, signer)?;
    let statement = match (changes, signer.is_some()) {
        (false, false) => &sql::SAVE_NEW,
        (false, true) => &sql::SAVE_NEW_SIGNED,
        (true, false) => &sql::SAVE,
        (true, true) => &sql::SAVE_SIGNED,
    };
    let save = sqlx::query_as_with(statement.as_str(), arguments);
    let saved: Vec<(Uuid, String)> = save.fetch_all(executor).await?;
    let row = |(organization, tuple)| {
        let organization = OrganizationId::from_uuid(organization);
        let revision = plan.heads.get(&organization)?.row.revision + 1;
        Some((organization, HeadRow { revision, tuple: Some(tuple) }))
    };
    Ok(saved.into_iter().filter_map(row).collect())
}

/// The arguments in the order in which [`super::save_statement::compose`] numbers them, and whether alerts are changed.
fn arguments(plan: &Plan, signer: Option<&HeadSigner>) -> Result<(PgArguments, bool), StoreError> {
    let (made, changed) = plan.alerts();
    let mut index = IndexChanges::default();
    for version in made.iter().chain(&changed) {
        index.add(version.before.as_ref(), &version.after);
    }
    let mut arguments = PgArguments::default();
    add(&mut arguments, &plan.heads.iter().map(move_row).collect::<Vec<_>>())?;
    add(&mut arguments, &plan.events.iter().map(EventRow::from).collect::<Vec<_>>())?;
    add(&mut arguments, &plan.idempotency_records.iter().map(record_row).collect::<Vec<_>>())?;
    if !changed.is_empty() {
        let rows: Vec<_> = changed.iter().map(|version| AlertRow::from(&version.after)).collect();
        add_columns(&mut arguments, changed_columns(), &rows)?;
    }
    add(&mut arguments, &made.iter().map(|version| AlertRow::from(&version.after)).collect::<Vec<_>>())?;
    add(&mut arguments, &index.entities_in)?;
    add(&mut arguments, &index.people_in)?;
    if !changed.is_empty() {
        add(&mut arguments, &index.entities_out)?;
        add(&mut arguments, &index.people_out)?;
    }
    if let Some(signer) = signer {
        add(&mut arguments, &plan.sign(signer).iter().map(SignatureRow::from).collect::<Vec<_>>())?;
    }
    Ok((arguments, !changed.is_empty()))
}

fn add<T: Table>(arguments: &mut PgArguments, rows: &[T]) -> Result<(), StoreError> {
    add_columns(arguments, T::COLUMNS.iter(), rows)
}

fn add_columns<T: Table>(
    arguments: &mut PgArguments,
    columns: impl Iterator<Item = &'static Column<T>>,
    rows: &[T],
) -> Result<(), StoreError> {
    for column in columns {
        add_column(arguments, column, rows).map_err(StoreError::Internal)?;
    }
    Ok(())
}

fn move_row((organization, moved): (&OrganizationId, &super::plan::Move)) -> MoveRow {
    MoveRow {
        organization_id: organization.uuid(),
        position: moved.to.position,
        hash: moved.to.hash.0.to_vec(),
        revision: moved.row.revision,
        previous_hash: moved.from.hash.0.to_vec(),
        tuple: moved.row.tuple.clone(),
    }
}

fn record_row(record: &NewIdempotencyRecord) -> RecordRow {
    RecordRow {
        organization_id: record.organization_id.uuid(),
        key: record.idempotency.key.as_str().to_owned(),
        fingerprint: record.idempotency.fingerprint.to_vec(),
        answer: record.answer.clone(),
    }
}
