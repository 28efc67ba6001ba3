//! Making and finding tenants.

use super::Operator;
use crate::{
    domain::{Name, Organization, OrganizationId, invalid::quoted, text::parse_line},
    error::{Error, Reason},
    store::StoreError,
};

impl Operator {
    /// Adds an organization with its built-in statuses.
    ///
    /// # Errors
    /// `GEN_VALIDATION_ERROR` for a bad name, or one that is taken.
    pub async fn create_organization(&self, name: &str) -> Result<Organization, Error> {
        let refused = |rule| Error::violation(Reason::ValidationError, "name", rule);
        let name = parse_line(name, Name::parse).map_err(refused)?;
        let created_at = self.clock.now();
        let id = OrganizationId::from_uuid(self.ids.next(created_at));
        let organization = Organization { id, name, requires_disposition: false, created_at };
        match self.store.create_organization(&organization).await {
            Ok(()) => Ok(organization),
            Err(StoreError::Duplicate) => {
                let message =
                    format!("there is an organization {} already", quoted(organization.name.as_str()));
                Err(Error::new(Reason::ValidationError, message))
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Sets whether an organization demands a disposition with a reason before an alert is closed, from now on. Applies
    /// at once, on every instance.
    ///
    /// # Errors
    /// `GEN_NOT_FOUND` when there is no such organization.
    pub async fn require_disposition(
        &self,
        organization: OrganizationId,
        required: bool,
    ) -> Result<Organization, Error> {
        match self.store.require_disposition(organization, required).await {
            Ok(organization) => Ok(organization),
            Err(StoreError::NotFound) => Err(Error::new(Reason::NotFound, "there is no such organization")),
            Err(other) => Err(other.into()),
        }
    }

    /// Reads all organizations, oldest first.
    ///
    /// # Errors
    /// Only those of the store.
    pub async fn organizations(&self) -> Result<Vec<Organization>, Error> {
        Ok(self.store.organizations().await?)
    }

    /// Finds an organization by its id or its name; `None` finds the only one.
    ///
    /// # Errors
    /// `GEN_NOT_FOUND` when there is none; `GEN_VALIDATION_ERROR` when it must be named because there are several.
    pub async fn find_organization(&self, id_or_name: Option<&str>) -> Result<Organization, Error> {
        let mut all = self.store.organizations().await?;
        let Some(wanted) = id_or_name else {
            return match (all.pop(), all.is_empty()) {
                (Some(only), true) => Ok(only),
                (None, _) => Err(Error::new(Reason::NotFound, "there is no organization yet")),
                (Some(_), false) => Err(Error::new(
                    Reason::ValidationError,
                    "there are several organizations: say which with --org",
                )),
            };
        };
        let is_wanted = |org: &Organization| org.name.as_str() == wanted || org.id.to_string() == wanted;
        all.into_iter().find(is_wanted).ok_or_else(|| {
            Error::new(Reason::NotFound, format!("there is no organization {}", quoted(wanted)))
        })
    }
}
