//! Beginning the histories of alerts that are older than histories are.

use super::Service;
use crate::{
    domain::{Actor, AlertChange, AnomalyId, ChangeContext, Command, KeyId, Name, Note, OrganizationId},
    error::Error,
    store::StoreError,
};

impl Service {
    /// Gives every alert that was made by a version without histories its first event, which tells what it is now; tells
    /// how many there were. Where there are none, that is known at once.
    ///
    /// # Errors
    /// Only those of the store.
    pub async fn adopt_alerts(&self) -> Result<u64, Error> {
        let mut adopted = 0;
        loop {
            let found = self.store.alerts_without_history().await?;
            if found.is_empty() {
                return Ok(adopted);
            }
            for (organization, id) in found {
                self.adopt(organization, id).await?;
                adopted += 1;
            }
        }
    }

    async fn adopt(&self, organization_id: OrganizationId, id: AnomalyId) -> Result<(), StoreError> {
        let at = self.clock.now();
        let actor = Actor {
            key_id: KeyId::from_uuid(uuid::Uuid::nil()),
            key_name: Name::literal("migration"),
            on_behalf_of: None,
        };
        let context = ChangeContext {
            actor,
            at,
            request_id: String::new(),
            note: Note::literal("Made before histories were kept."),
            event_id: self.ids.next(at),
            idempotency: None,
        };
        let command = Command::Adopt(id);
        let change = AlertChange { organization_id, command, expected_versions: None, context };
        self.store.change_alert(&change).await.map(drop)
    }
}
