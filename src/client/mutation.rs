//! Requests that change something carry a `request_id`, so that a repeat never changes twice.

use uuid::Uuid;

use super::pb;

/// A request that changes something.
pub trait Mutation: Clone {
    /// Gives the id of the intended change; empty when the caller set none.
    fn request_id(&mut self) -> &mut String;

    /// Fills in a new `request_id` when the caller set none.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the id must only be unique: nothing else depends on it")]
    fn with_request_id(mut self) -> Self {
        if self.request_id().is_empty() {
            *self.request_id() = Uuid::new_v4().to_string();
        }
        self
    }
}

macro_rules! mutations {
    ($($request:ident),* $(,)?) => {$(
        impl Mutation for pb::$request {
            fn request_id(&mut self) -> &mut String {
                &mut self.request_id
            }
        }
    )*};
}

mutations!(
    FlagEntityRequest,
    UpdateAlertRequest,
    EscalateAlertRequest,
    CreateAlertStatusRequest,
    UpdateAlertStatusRequest,
    DeleteAlertStatusRequest,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_request_id_is_filled_in() {
        let fresh = || pb::EscalateAlertRequest::default().with_request_id().request_id;
        assert!(!fresh().is_empty() && fresh() != fresh());
        let given = pb::EscalateAlertRequest { request_id: "mine".to_owned(), ..Default::default() };
        assert_eq!(given.with_request_id().request_id, "mine");
    }
}
