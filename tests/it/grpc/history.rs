//! The history of an alert, and the feed of an organization.

use prost_types::{Value, value::Kind};
use redflag::grpc::pb::{
    Alert, AlertEvent, AlertEventType, FlagEntityRequest, GetAuditHeadRequest, ListAlertEventsRequest,
    ListEventsRequest, UpdateAlertRequest,
};
use rstest::rstest;
use tonic::Code;

use super::{code_and_reason, flag, flagged, update};
use crate::support::{DatabaseKind, TestApp, keyed};

async fn alert_events(app: &TestApp, request: ListAlertEventsRequest) -> (Vec<AlertEvent>, String) {
    let page = app.alerts().list_alert_events(keyed(request)).await.unwrap().into_inner();
    (page.events, page.next_page_token)
}

async fn feed(app: &TestApp, request: ListEventsRequest) -> (Vec<AlertEvent>, String) {
    let page = app.audit().list_events(keyed(request)).await.unwrap().into_inner();
    (page.events, page.next_page_token)
}

fn text(text: &str) -> Value {
    Value { kind: Some(Kind::StringValue(text.to_owned())) }
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn the_history_and_the_feed_are_read_page_by_page(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let made = flagged(&app, flag("bln_1")).await;
    flagged(&app, flag("txn_1")).await;
    for title in ["One", "Two", "Three"] {
        let alert = Alert { title: title.to_owned(), ..made.clone() };
        update(&app, alert, &["title"]).await.unwrap();
    }
    let mut request =
        ListAlertEventsRequest { anomaly_id: made.anomaly_id, page_size: 3, ..Default::default() };
    let (mut history, token) = alert_events(&app, request.clone()).await;
    assert_eq!(history.len(), 3);
    request.page_token = token;
    let (rest, token) = alert_events(&app, request).await;
    history.extend(rest);
    assert_eq!((token.as_str(), history.len()), ("", 4));
    assert!(history.iter().map(|event| event.sequence).eq(1..=4));

    let mut request = ListEventsRequest { after: 1, page_size: 3, ..Default::default() };
    let (mut events, token) = feed(&app, request.clone()).await;
    request.page_token = token;
    let (rest, token) = feed(&app, request).await;
    events.extend(rest);
    assert_eq!(token, "");
    assert!(events.iter().map(|event| event.position).eq(2..=5));
    assert_eq!(events[1..], history[1..]);
    assert!(events.windows(2).all(|pair| pair[1].previous_hash == pair[0].hash));

    let head = app.audit().get_audit_head(keyed(GetAuditHeadRequest {})).await.unwrap().into_inner();
    assert_eq!((head.position, &head.hash), (5, &events[3].hash));
    assert_eq!(head.organization_id, made.organization_id);
}

#[tokio::test]
async fn an_event_holds_the_actor_the_changes_and_the_note() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let made = flagged(&app, FlagEntityRequest { note: "Seen by chance.".to_owned(), ..flag("bln_1") }).await;
    let alert = Alert { status: "INVESTIGATING".to_owned(), ..Alert::default() };
    let alert = Some(Alert { anomaly_id: made.anomaly_id.clone(), ..alert });
    let change = UpdateAlertRequest { alert, request_id: "change-1".to_owned(), ..Default::default() };
    let mut request = keyed(change);
    request.metadata_mut().insert("x-redflag-actor", "the analyst".parse().unwrap());
    request.metadata_mut().insert("x-request-id", "trace-1".parse().unwrap());
    let changed = app.alerts().update_alert(request).await.unwrap().into_inner().alert.unwrap();
    let (events, _) = feed(&app, ListEventsRequest::default()).await;
    let [first, second] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((first.r#type(), first.note.as_str()), (AlertEventType::Flagged, "Seen by chance."));
    assert_eq!((&first.idempotency_key, first.request_id.len()), (&None, 36));
    assert!(
        first.changes.iter().all(|change| change.before == Some(Value { kind: Some(Kind::NullValue(0)) }))
    );
    assert_eq!((second.r#type(), second.request_id.as_str()), (AlertEventType::StatusChanged, "trace-1"));
    assert_eq!(second.idempotency_key.as_deref(), Some("change-1"));
    assert_eq!(second.created_at, changed.updated_at);
    let actor = second.actor.as_ref().unwrap();
    assert_eq!(actor.on_behalf_of.as_deref(), Some("the analyst"));
    assert_eq!(Some(&actor.key_id), first.actor.as_ref().map(|actor| &actor.key_id));
    let status = second.changes.iter().find(|change| change.field == "status").unwrap();
    assert_eq!((&status.before, &status.after), (&Some(text("FLAGGED")), &Some(text("INVESTIGATING"))));
}

#[tokio::test]
async fn invalid_reads_are_refused() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let made = flagged(&app, flag("bln_1")).await;
    for (after, page_size) in [(-1, 0), (i64::MIN, 0), (0, -1)] {
        let request = ListEventsRequest { after, page_size, ..Default::default() };
        let refused = app.audit().list_events(keyed(request)).await.unwrap_err();
        assert_eq!(code_and_reason(&refused), (Code::InvalidArgument, "GEN_VALIDATION_ERROR".to_owned()));
    }
    for anomaly_id in ["", "ano_1", "ano_00000000-0000-7000-8000-000000000000"] {
        let request = ListAlertEventsRequest { anomaly_id: anomaly_id.to_owned(), ..Default::default() };
        let refused = app.alerts().list_alert_events(keyed(request)).await.unwrap_err();
        assert_eq!(code_and_reason(&refused), (Code::NotFound, "ALERT_NOT_FOUND".to_owned()));
    }
    let (anomaly_id, page_token) = (made.anomaly_id, "junk".to_owned());
    let request = ListAlertEventsRequest { anomaly_id, page_size: 1, page_token };
    let refused = app.alerts().list_alert_events(keyed(request)).await.unwrap_err();
    assert_eq!(code_and_reason(&refused), (Code::InvalidArgument, "GEN_INVALID_PAGE_TOKEN".to_owned()));
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn a_page_of_events_stays_within_the_default_limit_of_clients(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let made = flagged(&app, flag("bln_1")).await;
    // 60 events with a description of 40,000 bytes before and after are more than the 4 MiB that a client takes at once.
    for number in 0..60_u32 {
        let letter = if number % 2 == 0 { "🚩" } else { "🏁" };
        let alert = Alert { description: letter.repeat(10_000), ..made.clone() };
        update(&app, alert, &["description"]).await.unwrap();
    }
    let mut request = ListEventsRequest { page_size: 1_000, ..Default::default() };
    let (mut pages, mut positions) = (0, Vec::new());
    loop {
        let (events, token) = feed(&app, request.clone()).await;
        pages += 1;
        positions.extend(events.iter().map(|event| event.position));
        request.page_token = token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!((pages, positions), (2, (1..=61).collect::<Vec<_>>()));
}
