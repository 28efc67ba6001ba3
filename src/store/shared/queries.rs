//! Statements that both databases run in the same way, beside those of the feed.

use uuid::Uuid;

use super::{
    database::{
        Database,
        Purpose::{Administration, Background, Change, List},
        Statement,
    },
    rows::{
        adoption::AdoptionRow, alert::AlertRow, key::KeyRow, organization::OrganizationRow, status::StatusRow,
    },
    sql,
    value::values,
};
use crate::{
    domain::{
        Alert, AlertStatus, AnomalyId, ApiKey, KeyId, Organization, OrganizationId, Page, PageSize,
        StatusKey, StatusOrigin, Timestamp,
    },
    store::StoreError,
};

/// Reads all organizations.
pub async fn organizations(database: &impl Database) -> Result<Vec<Organization>, StoreError> {
    let statement = Statement { sql: sql::SELECT_ORGANIZATIONS, values: values![] };
    database.all::<OrganizationRow>(Background, statement).await
}

/// Sets what an organization demands before closing.
pub async fn require_disposition(
    database: &impl Database,
    organization: OrganizationId,
    required: bool,
) -> Result<Organization, StoreError> {
    let statement =
        Statement { sql: sql::REQUIRE_DISPOSITION, values: values![required, organization.uuid()] };
    let changed = database.optional::<OrganizationRow>(Change(organization), statement).await?;
    changed.ok_or(StoreError::NotFound)
}

/// Reads the keys of an organization, or of all.
pub async fn keys(
    database: &impl Database,
    organization: Option<OrganizationId>,
) -> Result<Vec<ApiKey>, StoreError> {
    let values = values![organization.map(OrganizationId::uuid)];
    database.all::<KeyRow>(Background, Statement { sql: sql::SELECT_KEYS, values }).await
}

/// Revokes a key.
pub async fn revoke_key(database: &impl Database, id: KeyId, at: Timestamp) -> Result<ApiKey, StoreError> {
    let statement = Statement { sql: sql::REVOKE_KEY, values: values![at, id.uuid()] };
    database.optional::<KeyRow>(Administration, statement).await?.ok_or(StoreError::NotFound)
}

/// Reads alerts in the order of their ids.
pub async fn alerts_after(
    database: &impl Database,
    organization: OrganizationId,
    after: Option<AnomalyId>,
    size: PageSize,
) -> Result<Page<Alert>, StoreError> {
    let after = after.map_or(Uuid::nil(), AnomalyId::uuid);
    let values = values![organization.uuid(), after, size.with_next()];
    database
        .page::<AlertRow>(List(organization), size, Statement { sql: sql::SELECT_ALERTS_AFTER, values })
        .await
}

/// Reads some of the alerts that have no history yet.
pub async fn alerts_to_adopt(
    database: &impl Database,
    after: Option<(OrganizationId, AnomalyId)>,
) -> Result<Vec<(OrganizationId, AnomalyId)>, StoreError> {
    let (organization, id) =
        after.map_or((Uuid::nil(), Uuid::nil()), |(organization, id)| (organization.uuid(), id.uuid()));
    let statement = Statement { sql: sql::SELECT_TO_ADOPT, values: values![organization, id] };
    database.all::<AdoptionRow>(Background, statement).await
}

/// Returns true where the alert is one of them.
pub async fn waits_for_adoption(
    database: &impl Database,
    organization: OrganizationId,
    id: AnomalyId,
) -> Result<bool, StoreError> {
    let statement = Statement { sql: sql::IS_TO_ADOPT, values: values![organization.uuid(), id.uuid()] };
    Ok(database.optional::<AdoptionRow>(Background, statement).await?.is_some())
}

/// Reads one page of statuses.
pub async fn statuses(
    database: &impl Database,
    organization: OrganizationId,
    origin: StatusOrigin,
    after: Option<&StatusKey>,
    size: PageSize,
) -> Result<Page<AlertStatus>, StoreError> {
    let after = after.map_or("", StatusKey::as_str);
    let is_builtin = origin == StatusOrigin::Builtin;
    let values = values![organization.uuid(), after, is_builtin, size.with_next()];
    database
        .page::<StatusRow>(List(organization), size, Statement { sql: sql::SELECT_STATUSES, values })
        .await
}
