//! The part of the scenario in which everything is refused.

use serde_json::json;

use super::{
    face::{Call, Face},
    scenario::Scenario,
};

impl Scenario {
    pub async fn refuse_alerts(&mut self, alert: &str) {
        let many: Vec<_> = (0..101).map(|number| format!("txn_{number}")).collect();
        let people: Vec<_> = (0..51).map(|number| format!("person {number}")).collect();
        for body in [
            json!({ "title": "t".repeat(201) }),
            json!({ "title": "\u{0}" }),
            json!({ "title": "refund\u{202e}dnufer" }),
            json!({ "assigned_to": "ana\u{200b}", "escalated_to": ["ben", "ana\u{e0041}"] }),
            json!({ "description": "as \u{202a}quoted\u{202c}", "note": "\u{feff}", "title": "" }),
            json!({ "description": "" }),
            json!({ "description": "d".repeat(10_001) }),
            json!({ "description": "d".repeat(1_048_576) }),
            json!({ "status": "no key" }),
            json!({ "status": "NOWHERE" }),
            json!({ "severity": "extreme" }),
            json!({ "assigned_to": "a".repeat(201) }),
            json!({ "escalated_to": people }),
            json!({ "escalated_to": ["ana", ""] }),
            json!({ "note": "n".repeat(10_001) }),
            json!({ "note": "\u{0}" }),
            json!({ "metadata": { "n": 9_007_199_254_740_992_i64 } }),
            json!({ "metadata": { "big": "x".repeat(16_384) } }),
            json!({ "metadata": { "a\u{0}": 1 } }),
            json!({ "title": "\u{7f}", "description": "", "severity": "extreme", "status": "-" }),
        ] {
            self.flag("bln_1", body.clone()).await;
            self.ask(Call::Update(alert.to_owned(), body)).await;
        }
        for entity in ["acc_1", "bln_", "bln_a_b", &format!("txn_{}", "x".repeat(65))] {
            self.flag(entity, json!({})).await;
            self.flag("bln_1", json!({ "additional_entity_ids": ["txn_1", entity] })).await;
            self.flag(entity, json!({ "title": "t".repeat(201) })).await;
            self.ask(Call::Update(alert.to_owned(), json!({ "affected_balances": [entity] }))).await;
        }
        self.flag("bln_1", json!({ "additional_entity_ids": many[..100] })).await;
        for field in ["affected_balances", "affected_identities", "affected_transactions"] {
            self.ask(Call::Update(alert.to_owned(), json!({ field: many }))).await;
        }
        let none = json!({ "affected_balances": [], "affected_identities": [], "affected_transactions": [] });
        self.ask(Call::Update(alert.to_owned(), none)).await;
        self.ask(Call::Get(alert.to_owned())).await;
        self.ask(Call::Malformed).await;
    }

    pub async fn refuse_lists(&mut self) {
        let many: Vec<_> = (0..101).map(|number| format!("txn_{number}")).collect();
        for filters in [
            json!({ "statuses": ["FLAGGED", "no key"] }),
            json!({ "statuses": ["FLAGGED", "NOWHERE"] }),
            json!({ "status_classes": ["ajar"] }),
            json!({ "types": ["Account"] }),
            json!({ "severities": ["low", "extreme"] }),
            json!({ "dispositions": ["BENIGN", "unsure"] }),
            json!({ "assigned_to": "a".repeat(201) }),
            json!({ "escalated_to": "\u{0}" }),
            json!({ "entity_ids": ["acc_1"] }),
            json!({ "entity_ids": many }),
            json!({ "created_after": "junk" }),
            json!({ "created_before": "junk", "updated_after": "junk", "updated_before": "junk" }),
            json!({ "order": "newest" }),
            json!({ "page_size": -1 }),
            json!({ "page_size": -1, "types": ["Account"], "entity_ids": ["acc_1"] }),
        ] {
            self.ask(Call::List(filters)).await;
        }
        self.ask(Call::ListStatuses(json!({ "page_size": -1 }))).await;
    }

    pub async fn refuse_statuses(&mut self) {
        for body in [
            json!({}),
            json!({ "name": "Black", "colour": "#000000" }),
            json!({ "name": "x".repeat(65), "colour": "#3B82F6" }),
            json!({ "name": "⚠", "colour": "#3B82F6" }),
            json!({ "name": "n", "colour": "#3B82F6", "key": "no key" }),
            json!({ "name": "n", "colour": "#3B82F6", "class": "ajar" }),
            json!({ "name": "Flagged", "colour": "#3B82F6" }),
            json!({ "name": "n", "colour": "#3B82F6", "key": "Pending_Review" }),
        ] {
            self.ask(Call::CreateStatus(body)).await;
        }
        for key in ["NOWHERE", "no-key", "flagged"] {
            self.ask(Call::DeleteStatus(key.to_owned())).await;
            self.ask(Call::UpdateStatus(key.to_owned(), json!({ "name": "n", "colour": "#3B82F6" }))).await;
        }
    }

    pub async fn change_statuses(&mut self, keys: &[String]) {
        for body in [
            json!({ "name": "Pending Review", "colour": "#3B82F6" }),
            json!({ "name": "Second look", "colour": "#e11d48" }),
            json!({ "name": "", "colour": "red" }),
        ] {
            self.ask(Call::UpdateStatus(keys[0].to_lowercase(), body)).await;
        }
        for key in keys {
            self.ask(Call::DeleteStatus(key.to_lowercase())).await;
        }
        self.ask(Call::ListStatuses(json!({}))).await;
    }

    pub async fn refuse_callers(&mut self, alert: &str) {
        for (name, key) in self.keys.clone() {
            let face = Face { key, ..self.face.clone() };
            for call in [
                Call::Flag("bln_1".to_owned(), json!({})),
                Call::Update(alert.to_owned(), json!({})),
                Call::Get("ano_1".to_owned()),
                Call::List(json!({})),
                Call::Escalate(alert.to_owned(), json!({})),
                Call::AlertEvents("ano_1".to_owned(), json!({})),
                Call::Events(json!({ "after": 1_000_000 })),
                Call::Head,
                Call::CreateStatus(json!({})),
                Call::ListStatuses(json!({})),
                Call::UpdateStatus("ODD".to_owned(), json!({ "name": "n", "colour": "#3B82F6" })),
                Call::DeleteStatus("ODD".to_owned()),
            ] {
                self.steps.push((json!([name, call]), face.call(call).await));
            }
        }
        let face = Face { actor: Some("a".repeat(201)), ..self.face.clone() };
        self.steps.push(("List on behalf of a long name".into(), face.call(Call::List(json!({}))).await));
    }
}
