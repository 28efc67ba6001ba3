//! Changes are named, so that one which is sent again never happens twice.

use uuid::Uuid;

use super::pb;

/// A request that changes something.
pub trait Change: Clone {
    /// The name of the intended change; empty where it has none.
    fn request_id(&mut self) -> &mut String;

    /// The same change, named if it was not.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "a name must only be another each time: nothing else depends on it"
    )]
    fn named(mut self) -> Self {
        if self.request_id().is_empty() {
            *self.request_id() = Uuid::new_v4().to_string();
        }
        self
    }
}

macro_rules! changes {
    ($($request:ident),* $(,)?) => {$(
        impl Change for pb::$request {
            fn request_id(&mut self) -> &mut String {
                &mut self.request_id
            }
        }
    )*};
}

changes!(
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
    fn a_change_without_a_name_gets_one_of_its_own() {
        let named = || pb::EscalateAlertRequest::default().named().request_id;
        assert!(!named().is_empty() && named() != named());
        let given = pb::EscalateAlertRequest { request_id: "mine".to_owned(), ..Default::default() };
        assert_eq!(given.named().request_id, "mine");
    }
}
