//! Reading statuses, the same on both databases.

use super::{
    database::{Database, Purpose::List, Statement},
    rows::status::StatusRow,
    sql,
    value::values,
};
use crate::{
    domain::{AlertStatus, OrganizationId, Page, PageSize, StatusKey, StatusOrigin},
    store::StoreError,
};

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
