//! A bound on the answers that are built and not taken: a caller that reads nothing must not fill the memory.
//!
//! Only answers that may be large count: lists, which are at most some MiB. A list reserves the most that it may take before
//! it is read, so that the bound holds however many come at once, and gives back what it does not need once its size is
//! known. Keys and organizations have shares of the room. Who finds no room waits a moment for answers that are being taken,
//! and is refused then.

mod shares;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use axum::{extract::Request, response::Response};
use http::{Method, Uri};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use self::shares::{Share, Shares};
pub use crate::config::AnswerLimits;
use crate::{
    domain::OrganizationId,
    error::{Error, Reason},
};

/// The unit of room: semaphores count in `u32` at most.
const KIB: usize = 1024;
/// The most that a list takes, with the bytes that it is encoded to.
const LARGEST: u32 = AnswerLimits::LEAST * 1024;
/// The same of one entry of a list.
const LARGEST_ENTRY: u32 = 512;
/// How long a call waits for room.
const WAIT: Duration = Duration::from_secs(5);

/// The room for large answers.
#[derive(Debug, Clone)]
pub struct Answers(Arc<Room>);

#[derive(Debug)]
struct Room {
    limits: AnswerLimits,
    total: Arc<Shares>,
    /// The room of each key that has an answer.
    keys: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// The room that an answer takes, given back when it is dropped.
#[derive(Debug)]
pub struct Reserved {
    key: OwnedSemaphorePermit,
    share: Share,
}

impl Reserved {
    /// Keeps what data of `bytes` may take. It was written to memory that grows by doubling.
    pub fn keep_for(&mut self, bytes: usize) {
        let kib = bytes.saturating_mul(2).div_ceil(KIB);
        drop(self.key.split(self.key.num_permits().saturating_sub(kib)));
        self.share.shrink(kib);
    }
}

/// Room on its way to whoever sends the answer: extensions must be cloneable, and room is not.
#[derive(Debug, Clone)]
struct Handed(Arc<Mutex<Option<Reserved>>>);

/// Gives the answer the room that it takes.
pub fn hand(answer: &mut Response, room: Reserved) {
    answer.extensions_mut().insert(Handed(Arc::new(Mutex::new(Some(room)))));
}

/// Takes the room of an answer, where it has some.
pub fn take(answer: &mut Response) -> Option<Reserved> {
    let Handed(room) = answer.extensions_mut().remove()?;
    room.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Answers {
    /// Room within `limits`, all of it free.
    pub fn new(limits: AnswerLimits) -> Self {
        let total = Shares::new(kib(limits.total));
        Self(Arc::new(Room { limits, total, keys: Mutex::default() }))
    }

    /// Room of `most` KiB for the answer of a call with the key `key_id`, once there is some.
    ///
    /// # Errors
    /// [`Reason::RateLimited`] when there is none for a while.
    pub async fn reserve(
        &self,
        organization: OrganizationId,
        key_id: String,
        most: u32,
    ) -> Result<Reserved, Error> {
        let of_key = self.of_key(key_id);
        let reserved = async {
            // Of the key first: whoever waits for its own share must not keep others from theirs.
            let key = of_key.acquire_many_owned(most).await;
            let share = self.0.total.take(organization, most as usize).await;
            Some(Reserved { key: key.ok()?, share: share? })
        };
        // The semaphores are never closed: `None` is only too little time.
        let reserved = timeout(WAIT, reserved).await.ok().flatten();
        reserved.ok_or_else(|| {
            let AnswerLimits { per_key, total } = self.0.limits;
            let told = format!(
                "too many answers are not taken yet: at most {per_key} MiB of one key and {total} MiB in all, of which one \
                 organization gets as much as it leaves free, try again"
            );
            Error::new(Reason::RateLimited, told)
        })
    }

    fn of_key(&self, key_id: String) -> Arc<Semaphore> {
        let mut keys = self.0.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = keys.get(&key_id).and_then(Weak::upgrade) {
            return room;
        }
        // Those of keys that have no answer are forgotten now and then.
        if keys.len() == keys.capacity() {
            keys.retain(|_, room| room.strong_count() > 0);
        }
        let room = Arc::new(Semaphore::new(kib(self.0.limits.per_key)));
        keys.insert(key_id, Arc::downgrade(&room));
        room
    }
}

fn kib(mib: u32) -> usize {
    mib.max(AnswerLimits::LEAST) as usize * KIB
}

/// The most KiB that the answer of a call may take which may be large: of a list, over either face.
pub fn most_of(request: &Request) -> Option<u32> {
    match request.uri().path().rsplit_once('/')? {
        (_, "alerts" | "events" | "statuses") if request.method() == Method::GET => {
            Some(most_of_entries(request.uri()))
        }
        (_, "ListAlerts" | "ListAlertEvents" | "ListAlertStatuses" | "ListEvents") => Some(LARGEST),
        _ => None,
    }
}

/// The same of as many entries as the query asks for, where it says so plainly.
fn most_of_entries(uri: &Uri) -> u32 {
    let asked = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.strip_prefix("page_size="));
    let entries = asked.map(|size| size.parse().unwrap_or(u32::MAX)).max().filter(|entries| *entries > 0);
    entries.unwrap_or(u32::MAX).saturating_mul(LARGEST_ENTRY).min(LARGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn reserve(answers: &Answers, organization: u128, key: u32) -> Result<Reserved, Error> {
        let organization = OrganizationId::from_uuid(uuid::Uuid::from_u128(organization));
        answers.reserve(organization, key.to_string(), LARGEST).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_has_its_share_and_what_is_not_needed_is_given_back() {
        let answers = Answers::new(AnswerLimits { per_key: 8, total: 64 });
        let mut first = reserve(&answers, 1, 1).await.unwrap();
        let second = reserve(&answers, 1, 1).await.unwrap();
        let refused = reserve(&answers, 1, 1).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::RateLimited);
        reserve(&answers, 1, 2).await.unwrap();
        first.keep_for(10);
        drop(second);
        reserve(&answers, 1, 1).await.unwrap();
        drop(first);
        assert_eq!(answers.0.total.free(), 64 * KIB);
    }

    #[tokio::test(start_paused = true)]
    async fn the_keys_of_one_organization_leave_room_for_another() {
        let answers = Answers::new(AnswerLimits::DEFAULT);
        let mut held = Vec::new();
        for key in 1..6 {
            while let Ok(room) = reserve(&answers, 1, key).await {
                held.push(room);
            }
        }
        assert_eq!(held.len(), 32, "half of all");
        reserve(&answers, 2, 6).await.unwrap();
    }

    #[test]
    fn a_list_of_few_entries_takes_less() {
        let most = |path: &str| most_of(&Request::get(path).body(axum::body::Body::empty()).unwrap());
        assert_eq!(most("/alerts?order=asc&page_size=2"), Some(2 * LARGEST_ENTRY));
        for query in ["", "?page_size=0", "?page_size=1000", "?page_size=x", "?page_size=1&page_size=1000"] {
            assert_eq!(most(&format!("/alerts{query}")), Some(LARGEST), "{query}");
        }
        assert_eq!(most("/alerts/ano_1"), None);
    }
}
