//! What both faces are asked, and what they answer, in the same words: the documented ones.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::{grpc, rest};
use crate::support::{TestApp, app::KEY};

/// One call, its fields named and spelled as in JSON.
#[derive(Debug, Clone, Serialize)]
pub enum Call {
    Flag(String, Value),
    Update(String, Value),
    Get(String),
    /// The filters: `statuses`, `page_size` …
    List(Value),
    /// To whom, and why.
    Escalate(String, Value),
    /// The history of one alert: `page_size` …
    AlertEvents(String, Value),
    /// The feed: `after`, `page_size` …
    Events(Value),
    Head,
    CreateStatus(Value),
    ListStatuses(Value),
    UpdateStatus(String, Value),
    DeleteStatus(String),
    /// Flags with bytes that are no request.
    Malformed,
    /// Another call, on conditions.
    On(Conditions, Box<Self>),
}

/// What a change is bound to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Conditions {
    /// The version that the alert must have.
    pub version: Option<i64>,
    /// What the caller calls the change.
    pub request_id: Option<String>,
}

impl Call {
    /// The same call, under the name `request_id`.
    pub fn named(self, request_id: &str) -> Self {
        let conditions = Conditions { request_id: Some(request_id.to_owned()), ..Conditions::default() };
        Self::On(conditions, Box::new(self))
    }

    /// The same call, while the alert has `version`.
    pub fn at(self, version: i64) -> Self {
        Self::On(Conditions { version: Some(version), ..Conditions::default() }, Box::new(self))
    }

    /// The call and what it is bound to.
    pub fn without_conditions(self) -> (Self, Conditions) {
        match self {
            Self::On(conditions, call) => (*call, conditions),
            call => (call, Conditions::default()),
        }
    }
}

/// One of the two ways to call.
#[derive(Clone)]
pub struct Face {
    pub way: Way,
    /// The key to call with; without one, none is sent.
    pub key: Option<String>,
    /// On whose behalf.
    pub actor: Option<String>,
}

#[derive(Clone)]
pub enum Way {
    Grpc(Box<grpc::Client>),
    Rest(rest::Client),
}

impl Face {
    pub fn grpc(app: &TestApp) -> Self {
        Self::of(Way::Grpc(Box::new(grpc::Client::new(app))))
    }

    pub fn rest(app: &TestApp) -> Self {
        Self::of(Way::Rest(rest::Client::new(app)))
    }

    const fn of(way: Way) -> Self {
        Self { way, key: None, actor: None }
    }

    /// The same face with the key that may do everything.
    pub fn keyed(self) -> Self {
        Self { key: Some(KEY.to_owned()), ..self }
    }

    /// Calls; a failure is told by its reason and the fields at fault.
    pub async fn call(&self, call: Call) -> Value {
        match &self.way {
            Way::Grpc(client) => client.call(self, call).await,
            Way::Rest(client) => client.call(self, call).await,
        }
    }
}

/// An answer as the scenario compares it: a repeat says that it is one.
pub fn told(mut answer: Value, is_replayed: bool) -> Value {
    if is_replayed {
        answer["replayed"] = true.into();
    }
    answer
}

/// A failure as the scenario compares it. Fields are sorted: each face reads them in its own order.
pub fn failure(reason: &str, mut fields: Vec<String>, details: &BTreeMap<String, String>) -> Value {
    fields.sort_unstable();
    json!({ "reason": reason, "fields": fields, "details": details })
}

/// The texts of a list that JSON gave.
pub fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().into_iter().flatten();
    list.map(|text| text.as_str().unwrap().to_owned()).collect()
}
