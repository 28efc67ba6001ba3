//! Escalating an alert.

use super::{Service, alert_not_found, changes::ChangeOptions, fields::Fields};
use crate::{
    auth::Caller,
    domain::{AnomalyId, ChangedAlert, Command, Idempotent, Invalid, Scope},
    error::Error,
};

/// A request to escalate an alert.
#[derive(Debug, Default)]
pub struct EscalateInput {
    /// The id of the alert.
    pub anomaly_id: String,
    /// To whom; the first of them works on it from now on.
    pub to: Vec<String>,
    /// Why, under which name, and from which version.
    pub options: ChangeOptions,
}

impl Service {
    /// Escalates an alert to people, and assigns it to the first of them.
    ///
    /// # Errors
    /// `AUTH_INSUFFICIENT_PERMISSIONS` without the scope `alerts:write`; `ALERT_NOT_FOUND`, `GEN_VALIDATION_ERROR`,
    /// `ALERT_VERSION_CONFLICT`, `IDEMPOTENCY_KEY_REUSED`.
    pub async fn escalate_alert(
        &self,
        caller: &Caller,
        input: EscalateInput,
    ) -> Result<Idempotent<ChangedAlert>, Error> {
        caller.require(Scope::AlertsWrite)?;
        let mut fields = Fields::default();
        let to = fields.read_people("to", &input.to).unwrap_or_default();
        if to.is_empty() && input.to.is_empty() {
            fields.read::<()>("to", Err(Invalid::new("must name at least one person")));
        }
        let options = input.options.read(&mut fields);
        fields.finish()?;
        let id = AnomalyId::parse(&input.anomaly_id).map_err(|_| alert_not_found())?;
        self.change_alert(caller, Command::Escalate(id, to), options).await
    }
}
