//! The part of the scenario in which things happen again: what was flagged, and what was asked.

use serde_json::{Value, json};

use super::{
    face::{Call, Conditions},
    scenario::Scenario,
};

impl Scenario {
    /// Flags repeatedly what has a `dedup_key` in common, while it is open and after.
    pub async fn repeat(&mut self) {
        let many: Vec<_> = (0..99).map(|number| format!("txn_{number}")).collect();
        let first = self.repeated("bln_1", json!({ "severity": "medium" })).await;
        for (entity, more) in [
            ("bln_1", json!({})),
            (
                "bln_1",
                json!({ "severity": "low", "title": "Another", "assigned_to": "ivy", "metadata": { "a": 1 } }),
            ),
            ("bln_1", json!({ "severity": "critical", "note": "It gets worse." })),
            ("txn_2", json!({ "additional_entity_ids": ["idt_3", "bln_1"] })),
            ("bln_1", json!({ "additional_entity_ids": many, "status": "INVESTIGATING" })),
            ("bln_1", json!({ "status": "NOWHERE" })),
            ("bln_1", json!({ "description": "" })),
            ("bln_1", json!({})),
        ] {
            self.repeated(entity, more).await;
        }
        // Beyond the tenth, history tells fewer.
        for _ in 0..13 {
            self.repeated("bln_1", json!({})).await;
        }
        self.repeated("bln_1", json!({ "note": "The last one." })).await;
        self.ask(Call::Update(first.clone(), json!({ "status": "RESOLVED" }))).await;
        let second = self.repeated("bln_1", json!({})).await;
        self.repeated("idt_1", json!({})).await;
        for body in [json!({ "status": "FLAGGED" }), json!({ "status": "done_2" }), json!({ "title": "Old" })]
        {
            self.ask(Call::Update(first.clone(), body)).await;
        }
        self.ask(Call::Update(second.clone(), json!({ "status": "RESOLVED" }))).await;
        self.ask(Call::Update(first.clone(), json!({ "status": "FLAGGED" }))).await;
        self.ask(Call::Update(second, json!({ "status": "FLAGGED" }))).await;
        self.repeated("bln_1", json!({})).await;
        self.repeated("bln_1", json!({ "dedup_key": "K:1" })).await;
        self.repeated("bln_1", json!({ "dedup_key": "k:2", "status": "RESOLVED" })).await;
        self.repeated("bln_1", json!({ "dedup_key": "k:2", "status": "RESOLVED" })).await;
        for refused in ["k".repeat(201), "k\u{0}".to_owned()] {
            self.repeated("bln_1", json!({ "dedup_key": refused })).await;
        }
        self.ask(Call::AlertEvents(first, json!({ "page_size": 1_000 }))).await;
    }

    /// Flags with the `dedup_key` of them all; the id of the alert.
    async fn repeated(&mut self, entity: &str, more: Value) -> String {
        let mut body = json!({ "dedup_key": "k:1" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.flag(entity, body).await["anomaly_id"].as_str().unwrap_or_default().to_owned()
    }

    pub async fn change_at_a_version(&mut self, alert: &str) {
        let version = self.ask(Call::Get(alert.to_owned())).await["version"].as_i64().unwrap();
        let update = |body| Call::Update(alert.to_owned(), body);
        let escalate = || Call::Escalate(alert.to_owned(), json!({ "to": ["jo"] }));
        for call in [
            update(json!({ "title": "Stale" })).at(version - 1),
            escalate().at(version + 1),
            update(json!({ "title": "Current" })).at(version),
            update(json!({ "title": "Current" })).at(version),
            escalate().at(version + 1),
            update(json!({ "note": "Nothing but a note." })).at(version + 2),
            update(json!({ "note": "The version is still the same." })).at(version + 2),
            update(json!({})).at(i64::MAX),
            // What is wrong in itself is told first.
            update(json!({ "title": "t".repeat(201) })).at(version),
            Call::Update("ano_1".to_owned(), json!({ "title": "t" })).at(1),
        ] {
            self.ask(call).await;
        }
    }

    pub async fn send_again(&mut self, alert: &str) {
        let flag = |title: &str| {
            Call::Flag("bln_1".to_owned(), json!({ "description": "Sent twice.", "title": title }))
        };
        let update = |title: &str| Call::Update(alert.to_owned(), json!({ "title": title }));
        let escalate = |to: &str| Call::Escalate(alert.to_owned(), json!({ "to": [to] }));
        let status =
            |name: &str| Call::CreateStatus(json!({ "name": name, "colour": "#3B82F6", "key": "AGAIN" }));
        let rename =
            |name: &str| Call::UpdateStatus("again".to_owned(), json!({ "name": name, "colour": "#3B82F6" }));
        let delete = |key: &str| Call::DeleteStatus(key.to_owned());
        let folded = |note: &str| {
            Call::Flag("bln_1".to_owned(), json!({ "description": "d", "dedup_key": "k:1", "note": note }))
        };
        for (name, call, other) in [
            ("one", flag("Once"), flag("Twice")),
            ("two", update("Once"), update("Twice")),
            ("three", escalate("kim"), escalate("lee")),
            ("four", status("Once"), status("Twice")),
            ("five", rename("Once more"), rename("Twice more")),
            ("six", delete("again"), delete("unused")),
            ("seven", folded("Once"), folded("Twice")),
        ] {
            self.ask(call.clone().named(name)).await;
            self.ask(call.clone().named(name)).await;
            self.ask(other.named(name)).await;
            self.ask(call.named(name)).await;
        }
        // Across calls, too; and what was refused may be sent again.
        self.ask(update("Once").named("one")).await;
        self.ask(update(&"t".repeat(201)).named("eight")).await;
        self.ask(update("Mended").named("eight")).await;
        for junk in ["with space".to_owned(), "k".repeat(201)] {
            for call in [flag("t"), update("t"), escalate("mo"), status("s"), rename("s"), delete("again")] {
                self.ask(call.named(&junk)).await;
            }
        }
        let version = self.ask(Call::Get(alert.to_owned())).await["version"].as_i64().unwrap();
        let both = Conditions { version: Some(version), request_id: Some("nine".to_owned()) };
        for _ in 0..2 {
            // The repeat is answered although the alert has moved on.
            self.ask(Call::On(both.clone(), Box::new(update("Both")))).await;
        }
    }
}
