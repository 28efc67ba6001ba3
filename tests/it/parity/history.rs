//! The part of the scenario that escalates and notes, and reads the history of it all.

use serde_json::{Value, json};

use super::{
    face::{Call, Face},
    scenario::Scenario,
};

impl Scenario {
    pub async fn escalate(&mut self, alerts: &[String]) {
        let people: Vec<_> = (0..51).map(|number| format!("person {number}")).collect();
        for body in [
            json!({ "to": ["fay", "gil", "fay"], "note": "Above my limit.\r\nSorry." }),
            json!({ "to": ["fay", "gil"] }),
            json!({ "to": ["gil"] }),
            json!({ "to": ["gil"], "note": "Again, for the record." }),
            json!({ "to": [] }),
            json!({}),
            json!({ "to": [""] }),
            json!({ "to": ["ana", "a".repeat(201)] }),
            json!({ "to": people }),
            json!({ "to": people[..49] }),
            json!({ "to": ["fay"], "note": "n".repeat(10_001) }),
            json!({ "to": people[..48] }),
            json!({ "to": ["one too many"] }),
        ] {
            self.ask(Call::Escalate(alerts[1].clone(), body)).await;
        }
        let missing = ["ano_8a380fd1-0289-46d1-bc76-aa17a510a64e", "ano_1", &self.elsewhere.clone()];
        for missing in missing.map(str::to_owned) {
            self.ask(Call::Escalate(missing.clone(), json!({ "to": ["fay"] }))).await;
            self.ask(Call::AlertEvents(missing, json!({}))).await;
        }
        self.ask(Call::Update(alerts[1].clone(), json!({ "escalated_to": ["bo"], "assigned_to": "" }))).await;
    }

    pub async fn note(&mut self, alert: &str) {
        for body in [
            json!({ "note": "Seen." }),
            json!({ "note": "" }),
            json!({ "note": "Renamed: ⚠\tso.", "title": "Noted" }),
            json!({ "note": "Still so named.", "title": "Noted" }),
        ] {
            self.ask(Call::Update(alert.to_owned(), body)).await;
        }
        let face = Face { actor: Some("the analyst".to_owned()), ..self.face.clone() };
        let call = Call::Update(alert.to_owned(), json!({ "note": "On behalf.", "assigned_to": "hal" }));
        self.steps.push(("on behalf of the analyst".into(), face.call(call).await));
        let call = Call::Flag("bln_1".to_owned(), json!({ "description": "d", "note": "By whom?" }));
        self.steps.push(("on behalf of the analyst".into(), face.call(call).await));
    }

    pub async fn read_history(&mut self, alerts: &[String]) {
        let head = self.ask(Call::Head).await;
        let position = head["position"].as_i64().unwrap();
        for alert in alerts {
            self.ask(Call::AlertEvents(alert.clone(), json!({ "page_size": 1_000 }))).await;
        }
        self.page_events(json!({ "page_size": 7 }), Call::Events).await;
        self.page_events(json!({ "page_size": 5, "after": position - 12 }), Call::Events).await;
        let history = |page| Call::AlertEvents(alerts[1].clone(), page);
        self.page_events(json!({ "page_size": 4 }), history).await;
        for page in [
            json!({ "after": -1 }),
            json!({ "page_size": -1 }),
            json!({ "after": -1, "page_size": -1 }),
            json!({ "after": position }),
            json!({ "after": position + 1 }),
            json!({ "after": i64::MAX }),
            json!({ "page_token": "junk" }),
        ] {
            self.ask(Call::Events(page)).await;
        }
        self.ask(Call::AlertEvents(alerts[0].clone(), json!({ "page_size": -1 }))).await;
        self.ask(Call::AlertEvents(alerts[0].clone(), json!({ "page_token": "junk" }))).await;
    }

    /// Reads all pages; each token is refused with another list.
    async fn page_events(&mut self, mut page: Value, call: impl Fn(Value) -> Call) {
        loop {
            let answer = self.ask(call(page.clone())).await;
            page["page_token"] = answer["next_page_token"].clone();
            if page["page_token"] == "" {
                return;
            }
            self.ask(Call::Events(json!({ "page_token": page["page_token"], "after": 3 }))).await;
            self.ask(Call::List(json!({ "page_token": page["page_token"] }))).await;
        }
    }
}
