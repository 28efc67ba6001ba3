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
            json!({ "disposition": "false_positive", "disposition_reason": "Wrong rule." }),
            json!({ "disposition": null, "disposition_reason": "Of what?" }),
            json!({ "disposition": null }),
            json!({ "disposition": "duplicate", "disposition_reason": "See the other one." }),
            json!({ "status": "RESOLVED", "note": "Done." }),
            json!({ "status": "done_2" }),
            json!({ "disposition_reason": "" }),
            json!({ "disposition": "inconclusive" }),
            json!({ "status": "INVESTIGATING" }),
            json!({ "status": "RESOLVED", "disposition": "true_positive", "disposition_reason": "Fraud." }),
            json!({ "status": "FLAGGED", "disposition": "benign", "disposition_reason": "On second thoughts." }),
            json!({ "disposition": null, "status": "RESOLVED" }),
            json!({ "status": "FLAGGED", "disposition_reason": "Of what?" }),
        ] {
            self.ask(Call::Update(alert.to_owned(), body)).await;
        }
        self.ask(Call::Flag("bln_1".to_owned(), json!({ "description": "d", "status": "resolved" }))).await;
        let decided = self.flag("txn_1", json!({})).await["anomaly_id"].as_str().unwrap().to_owned();
        self.ask(Call::Update(decided, json!({ "disposition": "benign" }))).await;
        for filters in [
            json!({ "dispositions": ["benign"] }),
            json!({ "dispositions": ["Benign", "duplicate"], "include_total": true }),
            json!({ "dispositions": ["inconclusive"] }),
            json!({ "dispositions": ["benign"], "status_classes": ["closed"] }),
        ] {
            self.ask(Call::List(filters)).await;
        }
    }

    /// The same where closing demands a disposition with a reason.
    pub async fn demand_decisions(&mut self, alert: &str) {
        self.service.require_disposition(self.organization, true).await.unwrap();
        for body in [
            // Closed before: it may stay so, and everything else of it may change.
            json!({ "title": "Closed without a decision" }),
            json!({ "status": "done_2" }),
            json!({ "disposition": "benign" }),
            json!({ "status": "FLAGGED" }),
            json!({ "status": "RESOLVED" }),
            json!({ "status": "RESOLVED", "disposition": "benign" }),
            json!({ "status": "RESOLVED", "disposition": "benign", "disposition_reason": "" }),
            json!({ "status": "RESOLVED", "disposition": "benign", "disposition_reason": "Known customer." }),
            json!({ "disposition": null }),
            json!({ "disposition_reason": "" }),
            json!({ "disposition": "duplicate" }),
            json!({ "status": "INVESTIGATING" }),
            json!({ "disposition": "benign", "disposition_reason": "Known customer." }),
            json!({ "status": "done_2" }),
            json!({ "status": "FLAGGED" }),
        ] {
            self.ask(Call::Update(alert.to_owned(), body)).await;
        }
        for status in ["resolved", "INVESTIGATING"] {
            self.ask(Call::Flag("bln_1".to_owned(), json!({ "description": "d", "status": status }))).await;
        }
        self.service.require_disposition(self.organization, false).await.unwrap();
        self.ask(Call::Update(alert.to_owned(), json!({ "status": "RESOLVED" }))).await;
        self.ask(Call::Update(alert.to_owned(), json!({ "status": "FLAGGED" }))).await;
    }
}
