//! Beginning the histories of alerts that are older than histories are.

use std::time::Duration;

use tokio::{task::JoinSet, time::sleep};

use super::Service;
use crate::{
    domain::{Actor, AlertChange, AnomalyId, ChangeContext, Command, KeyId, Name, Note, OrganizationId},
    error::Error,
    store::{AdoptionLock, StoreError},
};

/// How many histories are begun at once, so that they share commits.
const AT_ONCE: usize = 64;
/// How long to wait before asking again whether another instance still begins histories.
const ASK_AGAIN: Duration = Duration::from_secs(1);

impl Service {
    /// Gives every alert that was made by a version without histories its first event, which tells what it is now; tells
    /// how many there were. Where there are none, that is known at once. Only alerts that stood when the database got its
    /// histories are adopted; one that can't be, since somebody has changed it past redflag, is left to [`Self::verify`].
    /// One instance at a time does it, others wait; it may be given up at any point and done again.
    ///
    /// # Errors
    /// [`crate::error::Reason::Unavailable`] and [`crate::error::Reason::RateLimited`].
    pub async fn adopt_alerts(&self) -> Result<usize, Error> {
        if self.store.alerts_to_adopt(None).await?.is_empty() {
            return Ok(0);
        }
        let _lock = self.wait_for_adoption_lock().await?;
        let (mut adopted, mut after) = (0, None);
        loop {
            let found = self.store.alerts_to_adopt(after).await?;
            let Some(last) = found.last() else { return Ok(adopted) };
            after = Some(*last);
            adopted += self.adopt_page(found).await?;
            tracing::info!(adopted, "histories of older alerts begun so far");
        }
    }

    async fn wait_for_adoption_lock(&self) -> Result<AdoptionLock, StoreError> {
        loop {
            if let Some(lock) = self.store.lock_adoption().await? {
                return Ok(lock);
            }
            sleep(ASK_AGAIN).await;
        }
    }

    /// Begins the histories of these alerts, many at once; tells how many there were that could be begun.
    async fn adopt_page(&self, page: Vec<(OrganizationId, AnomalyId)>) -> Result<usize, Error> {
        let (mut waiting, mut tasks, mut adopted) = (page.into_iter(), JoinSet::new(), Vec::new());
        loop {
            let free = AT_ONCE - tasks.len();
            for (organization, id) in waiting.by_ref().take(free) {
                let service = self.clone();
                let adopt =
                    async move { service.adopt(organization, id).await.map(|done| (done, organization, id)) };
                tasks.spawn(adopt);
            }
            match tasks.join_next().await {
                Some(Ok(outcome)) => {
                    let (is_adopted, organization, id) = outcome?;
                    adopted.extend(is_adopted.then_some((organization, id)));
                }
                Some(Err(panicked)) => return Err(StoreError::Internal(panicked.into()).into()),
                None => break,
            }
        }
        let count = adopted.len();
        self.store.note_adopted(adopted).await?;
        Ok(count)
    }

    /// Begins the history of one alert; tells whether it could.
    async fn adopt(&self, organization: OrganizationId, id: AnomalyId) -> Result<bool, StoreError> {
        match self.begin_history(organization, id).await {
            Ok(()) => Ok(true),
            Err(error @ (StoreError::Unavailable(_) | StoreError::Locked(_) | StoreError::Busy)) => {
                Err(error)
            }
            Err(error) => {
                tracing::error!(%error, anomaly_id = %id, "the history of an older alert can't be begun");
                Ok(false)
            }
        }
    }

    /// Begins the history of one alert, which tells what it is now; does nothing where it has begun.
    pub(super) async fn begin_history(
        &self,
        organization_id: OrganizationId,
        id: AnomalyId,
    ) -> Result<(), StoreError> {
        let at = self.clock.now();
        let actor = Actor { key_id: KeyId::NOBODY, key_name: Name::literal("migration"), on_behalf_of: None };
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
