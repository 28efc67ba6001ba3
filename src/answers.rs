//! A bound on the answers that are built and not taken: a caller that reads nothing must not fill the memory.
//!
//! Only answers that may be large count: lists, which are at most some MiB. A list reserves the most that it may take before
//! it is read, so that the bound holds however many come at once, and gives back what it does not need once its size is
//! known. Who finds no room waits a moment for answers that are being taken, and is refused then.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use axum::{extract::Request, response::Response};
use http::Method;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::error::{Error, Reason};

/// The unit of room: semaphores count in `u32` at most.
const KIB: usize = 1024;
/// The most that a list takes, with the bytes that it is encoded to.
const LARGEST: u32 = 4 * 1024;
/// How long a call waits for room.
const WAIT: Duration = Duration::from_secs(5);

/// How many bytes of answers may be built and not taken.
#[derive(Debug, Clone, Copy)]
pub struct AnswerLimits {
    /// Of one key, in MiB.
    pub per_key: u32,
    /// In all, in MiB.
    pub total: u32,
}

impl AnswerLimits {
    /// Defaults that suit most deployments.
    pub const DEFAULT: Self = Self { per_key: 64, total: 256 };
    /// The least that lets one list through.
    pub const LEAST: u32 = LARGEST / 1024;
}

/// The room for large answers.
#[derive(Debug, Clone)]
pub struct Answers(Arc<Room>);

#[derive(Debug)]
struct Room {
    limits: AnswerLimits,
    total: Arc<Semaphore>,
    /// The room of each key that has an answer.
    keys: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// The room that an answer takes, given back when it is dropped.
#[derive(Debug)]
pub struct Reserved {
    key: OwnedSemaphorePermit,
    total: OwnedSemaphorePermit,
}

impl Reserved {
    /// Keeps room for `bytes` only.
    pub fn shrink(&mut self, bytes: usize) {
        let kib = bytes.div_ceil(KIB);
        for permit in [&mut self.key, &mut self.total] {
            drop(permit.split(permit.num_permits().saturating_sub(kib)));
        }
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
        let total = Arc::new(semaphore(limits.total));
        Self(Arc::new(Room { limits, total, keys: Mutex::default() }))
    }

    /// Room for the answer of a call with the key `key_id`, once there is some.
    ///
    /// # Errors
    /// [`Reason::RateLimited`] when there is none for a while.
    pub async fn reserve(&self, key_id: String) -> Result<Reserved, Error> {
        let of_key = self.of_key(key_id);
        let reserved = async {
            // Of the key first: whoever waits for its own share must not keep others from theirs.
            let key = of_key.acquire_many_owned(LARGEST).await;
            let total = Arc::clone(&self.0.total).acquire_many_owned(LARGEST).await;
            Some(Reserved { key: key.ok()?, total: total.ok()? })
        };
        // The semaphores are never closed: `None` is only too little time.
        let reserved = timeout(WAIT, reserved).await.ok().flatten();
        reserved.ok_or_else(|| {
            let AnswerLimits { per_key, total } = self.0.limits;
            let told = format!(
                "too many answers are not taken yet: at most {per_key} MiB of one key and {total} MiB in all, try again"
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
        let room = Arc::new(semaphore(self.0.limits.per_key));
        keys.insert(key_id, Arc::downgrade(&room));
        room
    }
}

fn semaphore(mib: u32) -> Semaphore {
    Semaphore::new(mib.max(AnswerLimits::LEAST) as usize * KIB)
}

/// Returns true for a call whose answer may be large: a list, over either face.
pub fn may_be_large(request: &Request) -> bool {
    match request.uri().path().rsplit_once('/') {
        Some((_, "alerts" | "events" | "statuses")) => request.method() == Method::GET,
        Some((_, method)) => {
            matches!(method, "ListAlerts" | "ListAlertEvents" | "ListAlertStatuses" | "ListEvents")
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "key";

    #[tokio::test(start_paused = true)]
    async fn a_key_has_its_share_and_what_is_not_needed_is_given_back() {
        let answers = Answers::new(AnswerLimits { per_key: 8, total: 64 });
        let mut first = answers.reserve(KEY.to_owned()).await.unwrap();
        let second = answers.reserve(KEY.to_owned()).await.unwrap();
        let refused = answers.reserve(KEY.to_owned()).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::RateLimited);
        answers.reserve("another".to_owned()).await.unwrap();
        first.shrink(10);
        drop(second);
        answers.reserve(KEY.to_owned()).await.unwrap();
        drop(first);
        assert_eq!(answers.0.total.available_permits(), 64 * KIB);
    }

    #[tokio::test(start_paused = true)]
    async fn all_keys_share_the_whole() {
        let answers = Answers::new(AnswerLimits { per_key: 8, total: 8 });
        let _held =
            [answers.reserve("a".to_owned()).await.unwrap(), answers.reserve("b".to_owned()).await.unwrap()];
        assert!(answers.reserve("c".to_owned()).await.is_err());
    }
}
