//! The part of the scenario that takes an alert to a decision, and back.

use serde_json::json;

use super::{face::Call, scenario::Scenario};

impl Scenario {
    /// Decides, closes and reopens, which nobody demands to be done in any order.
    pub async fn decide(&mut self, alert: &str) {
        for body in [
            json!({ "disposition_reason": "Of what?" }),
            json!({ "disposition": "unsure" }),
            json!({ "disposition": "Benign" }),
            json!({ "disposition_reason": "Known customer." }),
            json!({ "disposition_reason": "r".repeat(10_001) }),
            json!({ "disposition": "FALSE_POSITIVE", "disposition_reason": "Wrong rule." }),
            json!({ "disposition": null, "disposition_reason": "Of what?" }),
            json!({ "disposition": null }),
            json!({ "disposition": "DUPLICATE", "disposition_reason": "See the other one." }),
            json!({ "status": "RESOLVED", "note": "Done." }),
            json!({ "status": "done_2" }),
            json!({ "disposition_reason": "" }),
            json!({ "disposition": "INCONCLUSIVE" }),
            json!({ "status": "INVESTIGATING" }),
            json!({ "status": "RESOLVED", "disposition": "TRUE_POSITIVE", "disposition_reason": "Fraud." }),
            json!({ "status": "FLAGGED", "disposition": "BENIGN", "disposition_reason": "On second thoughts." }),
            json!({ "disposition": null, "status": "RESOLVED" }),
            json!({ "status": "FLAGGED", "disposition_reason": "Of what?" }),
        ] {
            self.ask(Call::Update(alert.to_owned(), body)).await;
        }
        self.ask(Call::Flag("bln_1".to_owned(), json!({ "description": "d", "status": "resolved" }))).await;
        let decided = self.flag("txn_1", json!({})).await["anomaly_id"].as_str().unwrap().to_owned();
        self.ask(Call::Update(decided, json!({ "disposition": "BENIGN" }))).await;
        for filters in [
            json!({ "dispositions": ["BENIGN"] }),
            json!({ "dispositions": ["Benign", "DUPLICATE"], "include_total": true }),
            json!({ "dispositions": ["INCONCLUSIVE"] }),
            json!({ "dispositions": ["BENIGN"], "status_classes": ["closed"] }),
        ] {
            self.ask(Call::List(filters)).await;
        }
    }

    /// The same where closing demands a disposition with a reason.
    pub async fn demand_decisions(&mut self, alert: &str) {
        self.operator.require_disposition(self.organization, true).await.unwrap();
        for body in [
            // Closed before: it may stay so, and everything else of it may change.
            json!({ "title": "Closed without a decision" }),
            json!({ "status": "done_2" }),
            json!({ "disposition": "BENIGN" }),
            json!({ "status": "FLAGGED" }),
            json!({ "status": "RESOLVED" }),
            json!({ "status": "RESOLVED", "disposition": "BENIGN" }),
            json!({ "status": "RESOLVED", "disposition": "BENIGN", "disposition_reason": "" }),
            json!({ "status": "RESOLVED", "disposition": "BENIGN", "disposition_reason": "Known customer." }),
            json!({ "disposition": null }),
            json!({ "disposition_reason": "" }),
            json!({ "disposition": "DUPLICATE" }),
            json!({ "status": "INVESTIGATING" }),
            json!({ "disposition": "BENIGN", "disposition_reason": "Known customer." }),
            json!({ "status": "done_2" }),
            json!({ "status": "FLAGGED" }),
        ] {
            self.ask(Call::Update(alert.to_owned(), body)).await;
        }
        for status in ["resolved", "INVESTIGATING"] {
            self.ask(Call::Flag("bln_1".to_owned(), json!({ "description": "d", "status": status }))).await;
        }
        self.operator.require_disposition(self.organization, false).await.unwrap();
        self.ask(Call::Update(alert.to_owned(), json!({ "status": "RESOLVED" }))).await;
        self.ask(Call::Update(alert.to_owned(), json!({ "status": "FLAGGED" }))).await;
    }
}
