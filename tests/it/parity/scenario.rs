//! What is asked of each face, step by step. Whatever one step answers, the next ones may use.

use std::time::Duration;

use redflag::{domain::OrganizationId, operator::Operator};
use serde_json::{Value, json};

use super::{
    Step,
    face::{Call, Face},
};
use crate::support::{
    TestApp,
    keys::{beside, make_key},
};

pub struct Scenario {
    pub(super) face: Face,
    /// Keys that may not do everything: their name in the transcript, and the key.
    pub(super) keys: Vec<(&'static str, Option<String>)>,
    /// An alert of another organization.
    pub(super) elsewhere: String,
    pub(super) steps: Vec<Step>,
    /// The command line's view of the database, and of the organization that the scenario plays in.
    pub(super) operator: Operator,
    pub(super) organization: OrganizationId,
}

fn with(base: &Value, more: &Value) -> Value {
    let mut whole = base.clone();
    whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    whole
}

impl Scenario {
    pub async fn new(app: &TestApp, face: Face) -> Self {
        let operator = beside(app).await;
        operator.create_organization("other").await.unwrap();
        let mut keys = vec![
            ("without a key", None),
            ("with a wrong key", Some("rf_wrong-0123456789-0123456789-0123456789".to_owned())),
        ];
        for (name, scope, expires_in) in [
            ("with an expired key", "*", Some(Duration::ZERO)),
            ("with a key to read", "alerts:read", None),
            ("with a key to write", "alerts:write", None),
            ("with a key for statuses", "statuses:write", None),
        ] {
            keys.push((name, Some(make_key(&operator, "default", &[scope], expires_in).await.1)));
        }
        let (_, other) = make_key(&operator, "other", &["*"], None).await;
        let other = Face { key: Some(other), ..face.clone() };
        let alert = other.call(Call::Flag("bln_1".to_owned(), json!({ "description": "Elsewhere." }))).await;
        let elsewhere = alert["anomaly_id"].as_str().unwrap().to_owned();
        let organization = operator.find_organization(Some("default")).await.unwrap().id;
        Self { face: face.keyed(), keys, elsewhere, steps: Vec::new(), operator, organization }
    }

    /// Every step with its answer.
    pub async fn play(mut self) -> Vec<Step> {
        let statuses = self.make_statuses().await;
        let alerts = self.flag_entities().await;
        self.change(&alerts[0]).await;
        self.read(&alerts).await;
        self.list(&alerts).await;
        self.page().await;
        self.escalate(&alerts).await;
        self.note(&alerts[1]).await;
        self.decide(&alerts[1]).await;
        self.demand_decisions(&alerts[1]).await;
        self.repeat().await;
        self.change_at_a_version(&alerts[1]).await;
        self.send_again(&alerts[1]).await;
        self.refuse_alerts(&alerts[0]).await;
        self.refuse_lists().await;
        self.refuse_statuses().await;
        self.change_statuses(&statuses).await;
        self.read_history(&alerts).await;
        self.refuse_callers(&alerts[0]).await;
        self.steps
    }

    pub(super) async fn ask(&mut self, call: Call) -> Value {
        let answer = self.face.call(call.clone()).await;
        self.steps.push((json!(call), answer.clone()));
        answer
    }

    pub(super) async fn flag(&mut self, entity: &str, more: Value) -> Value {
        let body = with(&json!({ "description": "Something is off." }), &more);
        self.ask(Call::Flag(entity.to_owned(), body)).await
    }

    async fn make_statuses(&mut self) -> Vec<String> {
        self.ask(Call::ListStatuses(json!({}))).await;
        let mut keys = Vec::new();
        for body in [
            json!({ "name": "Pending Review", "colour": "#3B82F6" }),
            json!({ "name": "Überprüft", "colour": "#10b981", "key": "done_2", "class": "CLOSED" }),
            json!({ "name": "Unused", "colour": "#0EA5E9", "class": "open" }),
        ] {
            keys.push(self.ask(Call::CreateStatus(body)).await["key"].as_str().unwrap().to_owned());
        }
        let page = self.ask(Call::ListStatuses(json!({ "page_size": 2 }))).await;
        self.ask(Call::ListStatuses(json!({ "page_size": 2, "page_token": page["next_page_token"] }))).await;
        keys
    }

    async fn flag_entities(&mut self) -> Vec<String> {
        let everything = json!({
            "title": "Überzogen ⚠\r\nmehr", "additional_entity_ids": ["txn_9", "idt_9", "bln_1", "txn_9"],
            "status": "pending_review", "severity": "High", "assigned_to": "ana", "escalated_to": ["bo", "cy", "bo"],
            "metadata": { "limit": 1000.5, "count": 7.0, "deep": [null, true, { "x": "y" }] },
        });
        let many: Vec<_> = (0..99).map(|number| format!("txn_{number}")).collect();
        let mut ids = Vec::new();
        for (entity, more) in [
            ("bln_1", everything),
            ("bal_2", json!({ "assigned_to": "" })),
            ("txn_3", json!({ "title": "t".repeat(200), "status": "RESOLVED", "severity": "low" })),
            ("idt_4", json!({ "status": "done_2", "severity": "critical", "escalated_to": ["bo"] })),
            (
                "bln_5",
                json!({ "additional_entity_ids": many, "description": "d".repeat(10_000), "severity": "medium" }),
            ),
        ] {
            ids.push(self.flag(entity, more).await["anomaly_id"].as_str().unwrap().to_owned());
        }
        ids
    }

    async fn change(&mut self, alert: &str) {
        for body in [
            json!({}),
            json!({ "title": "New" }),
            json!({ "title": "New" }),
            json!({ "title": "" }),
            json!({ "description": "Other\twords" }),
            json!({ "status": "investigating" }),
            json!({ "status": "DONE_2", "severity": "low" }),
            json!({ "severity": null }),
            json!({ "assigned_to": "dan" }),
            json!({ "assigned_to": "" }),
            json!({ "escalated_to": ["eve", "eve", "bo"] }),
            json!({ "escalated_to": [] }),
            json!({ "metadata": { "a": [1, 2.5, "three"] } }),
            json!({ "metadata": {} }),
            json!({ "affected_balances": ["bln_7", "bal_7", "bln_7"] }),
            json!({ "affected_identities": [], "affected_transactions": ["txn_8"] }),
            json!({ "title": "All", "description": "at once", "status": "FLAGGED", "severity": "critical", "assigned_to": "ana" }),
        ] {
            self.ask(Call::Update(alert.to_owned(), body)).await;
        }
    }

    async fn read(&mut self, alerts: &[String]) {
        for alert in alerts {
            self.ask(Call::Get(alert.clone())).await;
            self.ask(Call::Get(alert.to_uppercase().replace("ANO_", "ano_"))).await;
        }
        for missing in ["ano_8a380fd1-0289-46d1-bc76-aa17a510a64e", "ano_1", "bln_1", &self.elsewhere.clone()]
        {
            self.ask(Call::Get(missing.to_owned())).await;
            self.ask(Call::Update(missing.to_owned(), json!({ "title": "t" }))).await;
        }
    }

    async fn list(&mut self, alerts: &[String]) {
        let third = self.ask(Call::Get(alerts[2].clone())).await;
        let (created, updated) = (&third["created_at"], &third["updated_at"]);
        for filters in [
            json!({}),
            json!({ "statuses": ["flagged", "Done_2", "FLAGGED"] }),
            json!({ "status_classes": ["closed", "open", "closed"] }),
            json!({ "types": ["Balance"] }),
            json!({ "types": ["Identity", "Transaction"] }),
            json!({ "severities": ["critical", "low"] }),
            json!({ "assigned_to": "ana" }),
            json!({ "assigned_to": "" }),
            json!({ "escalated_to": "bo" }),
            json!({ "entity_ids": ["txn_8", "txn_98", "txn_404"] }),
            json!({ "created_after": created }),
            json!({ "created_before": created }),
            json!({ "updated_after": updated }),
            json!({ "updated_before": updated, "created_before": "9999-12-31T23:59:59.999999999Z" }),
            json!({ "order": "asc", "include_total": true }),
            json!({ "page_size": 1_000_000 }),
            json!({ "types": ["Balance"], "status_classes": ["open"], "severities": ["medium"], "entity_ids": ["bln_5"], "include_total": true }),
        ] {
            self.ask(Call::List(filters)).await;
        }
    }

    async fn page(&mut self) {
        for order in ["asc", "desc"] {
            let mut token = json!("");
            loop {
                let filters =
                    json!({ "page_size": 2, "order": order, "page_token": token, "include_total": true });
                let page = self.ask(Call::List(filters.clone())).await;
                token = page["next_page_token"].clone();
                if token == "" {
                    break;
                }
                // Not with other filters, and not damaged.
                self.ask(Call::List(json!({ "page_token": token, "order": order, "types": ["Balance"] })))
                    .await;
                self.ask(Call::List(json!({ "page_token": token.as_str().unwrap()[1..], "order": order })))
                    .await;
            }
        }
        self.ask(Call::List(json!({ "page_token": "junk" }))).await;
        self.ask(Call::ListStatuses(json!({ "page_token": "junk" }))).await;
    }
}
