//! Beginning the histories of alerts that are older than histories are.

use std::{collections::HashSet, time::Duration};

use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::Operator;
use crate::{
    domain::{AlertChange, AnomalyId, OrganizationId},
    error::{Error, Reason},
    store::{AdoptionLock, StoreError},
};

/// How many histories are begun at once, so that they share commits.
const AT_ONCE: usize = 64;
/// How long one of them may take: somebody may hold a lock of its organization.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before asking again whether another instance still begins histories.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// One time through all alerts without histories.
#[derive(Default)]
struct Pass {
    adopted: usize,
    /// Organizations that are left for another pass: their waiting room is full, or somebody holds a lock of theirs.
    left: HashSet<OrganizationId>,
}

/// The outcome for one alert.
enum Adopted {
    /// Its history has begun.
    Yes,
    /// It can't be begun.
    No,
    /// Not now.
    Later,
}

impl Operator {
    /// Gives every alert that was made by a version without histories its first event, which tells what it is now; tells
    /// how many there were. Where there are none, that is known at once. Only alerts that stood when the database got its
    /// histories are adopted; one that can't be, since somebody has changed it past redflag, is left to [`Self::verify`].
    /// One instance at a time does it, others wait; it may be given up at any point and done again. An organization that is
    /// busy or locked keeps no other waiting.
    ///
    /// # Errors
    /// [`Reason::Unavailable`]; [`Reason::RateLimited`] when organizations were left out.
    pub async fn adopt_alerts(&self) -> Result<usize, Error> {
        if self.store.alerts_to_adopt(None).await?.is_empty() {
            return Ok(0);
        }
        let _lock = self.wait_for_adoption_lock().await?;
        let (mut pass, mut after) = (Pass::default(), None);
        loop {
            let found = self.store.alerts_to_adopt(after).await?;
            let Some(last) = found.last() else { break };
            after = Some(*last);
            self.adopt_page(found, &mut pass).await?;
            tracing::info!(adopted = pass.adopted, "histories of older alerts begun so far");
        }
        if pass.left.is_empty() { Ok(pass.adopted) } else { Err(left_out(pass.left.len())) }
    }

    async fn wait_for_adoption_lock(&self) -> Result<AdoptionLock, StoreError> {
        loop {
            if let Some(lock) = self.store.lock_adoption().await? {
                return Ok(lock);
            }
            sleep(ASK_AGAIN).await;
        }
    }

    /// Begins the histories of these alerts, many at once.
    async fn adopt_page(&self, page: Vec<(OrganizationId, AnomalyId)>, pass: &mut Pass) -> Result<(), Error> {
        let (mut waiting, mut tasks, mut adopted) = (page.into_iter(), JoinSet::new(), Vec::new());
        loop {
            while tasks.len() < AT_ONCE
                && let Some((organization, id)) =
                    waiting.by_ref().find(|(organization, _)| !pass.left.contains(organization))
            {
                let operator = self.clone();
                tasks.spawn(async move { (organization, id, operator.adopt(organization, id).await) });
            }
            let Some(done) = tasks.join_next().await else { break };
            let (organization, id, outcome) =
                done.map_err(|panicked| StoreError::Internal(panicked.into()))?;
            match outcome? {
                Adopted::Yes => adopted.push((organization, id)),
                Adopted::No => {}
                Adopted::Later => drop(pass.left.insert(organization)),
            }
        }
        pass.adopted += adopted.len();
        Ok(self.store.record_adopted(adopted).await?)
    }

    /// Begins the history of one alert, if it can be now.
    async fn adopt(&self, organization: OrganizationId, id: AnomalyId) -> Result<Adopted, StoreError> {
        match timeout(PATIENCE, self.begin_history(organization, id)).await {
            Ok(Ok(())) => Ok(Adopted::Yes),
            Err(_) | Ok(Err(StoreError::Locked(_) | StoreError::Cancelled(_) | StoreError::Busy)) => {
                Ok(Adopted::Later)
            }
            Ok(Err(error @ StoreError::Unavailable(_))) => Err(error),
            Ok(Err(error)) => {
                tracing::error!(%error, anomaly_id = %id, "the history of an older alert can't be begun");
                Ok(Adopted::No)
            }
        }
    }

    /// Begins the history of one alert with what it is now; does nothing where it has begun.
    async fn begin_history(&self, organization: OrganizationId, id: AnomalyId) -> Result<(), StoreError> {
        let at = self.clock.now();
        let change = AlertChange::adopt(organization, id, at, self.ids.next(at));
        self.store.change_alert(&change).await.map(drop)
    }
}

fn left_out(organizations: usize) -> Error {
    let message = format!(
        "{organizations} organizations are busy or locked, and have older alerts without history still: try again"
    );
    Error::new(Reason::RateLimited, message)
}
