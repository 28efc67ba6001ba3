//! Verification of a copy of a database, and the report on it.

use anyhow::bail;
use serde_json::{Value, json};

use super::output;
use crate::{
    app,
    domain::{Head, Organization},
    operator::audit::Unverified,
};

/// An organization with a verified history.
pub struct Verified {
    organization: Organization,
    head: Head,
}

/// Verifies the history of every organization in the copy at `url`.
///
/// # Errors
/// When one does not verify, or the copy can't be read.
pub async fn verify(url: &str) -> anyhow::Result<Vec<Verified>> {
    let operator = app::open_database_reading(url).await?;
    let mut all = Vec::new();
    for organization in operator.organizations().await? {
        let head = match operator.verify(organization.id, 1, &mut |_, _| {}).await {
            Ok(verified) => verified.head,
            Err(Unverified::Broken(broken)) => bail!("the organization {}: {broken}", organization.name),
            Err(Unverified::Failed(error)) => return Err(error.into()),
        };
        all.push(Verified { organization, head });
    }
    Ok(all)
}

/// Prints a table of the organizations.
///
/// # Errors
/// When standard output can't be written to.
pub fn print(all: &[Verified]) -> anyhow::Result<()> {
    output::print_table(
        ["ORGANIZATION_ID", "NAME", "POSITION", "HASH"],
        &all.iter().map(row).collect::<Vec<_>>(),
    )
}

fn row(Verified { organization, head }: &Verified) -> [String; 4] {
    [
        organization.id.to_string(),
        organization.name.to_string(),
        head.position.to_string(),
        head.hash.to_string(),
    ]
}

/// Views the organizations as JSON.
pub fn views(all: &[Verified]) -> Vec<Value> {
    all.iter().map(view).collect()
}

fn view(Verified { organization, head }: &Verified) -> Value {
    json!({
        "organization_id": organization.id.to_string(),
        "name": organization.name.as_str(),
        "position": head.position,
        "hash": head.hash.to_string(),
    })
}
