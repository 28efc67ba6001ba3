//! Dispositions, and refused changes of an alert.

use prost_types::FieldMask;
use redflag::grpc::pb::{
    Alert, Disposition, EscalateAlertRequest, FlagEntityRequest, ListAlertsRequest, StatusClass,
    UpdateAlertRequest,
};
use rstest::rstest;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{code_and_reason, fields, flag, flagged, listed, update};
use crate::support::{DatabaseKind, TestApp, keyed, keys::beside};

/// An alert with a decision, as an update sends it.
fn decided(alert: &Alert, disposition: Disposition, reason: &str) -> Alert {
    Alert {
        anomaly_id: alert.anomaly_id.clone(),
        disposition: disposition.into(),
        disposition_reason: reason.to_owned(),
        ..Default::default()
    }
}

/// An alert in another status, as an update sends it.
fn moved(alert: &Alert, status: &str) -> Alert {
    Alert { anomaly_id: alert.anomaly_id.clone(), status: status.to_owned(), ..Default::default() }
}

/// A detail of an error.
fn detail(status: &Status, name: &str) -> String {
    status.get_error_details().error_info().unwrap().metadata[name].clone()
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn a_mask_sets_and_clears_the_disposition(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let made = flagged(&app, flag("bln_1")).await;
    let (set, unset) = (Disposition::Benign, Disposition::Unspecified);
    for (disposition, reason, paths, expected) in [
        // Without a mask, what is set.
        (set, "Known.", [].as_slice(), (set, "Known.")),
        (unset, "Well known.", &[], (set, "Well known.")),
        (Disposition::Duplicate, "", &[], (Disposition::Duplicate, "Well known.")),
        // Only what is named.
        (set, "Not this.", &["disposition"], (set, "Well known.")),
        (unset, "This.", &["disposition_reason"], (set, "This.")),
        // Named and empty is cleared; with the decision goes its reason.
        (unset, "", &["disposition_reason"], (set, "")),
        (set, "Known.", &["disposition", "disposition_reason"], (set, "Known.")),
        (unset, "Not this.", &["disposition"], (unset, "")),
        (unset, "", &["disposition", "disposition_reason"], (unset, "")),
    ] {
        let changed = update(&app, decided(&made, disposition, reason), paths).await.unwrap();
        assert_eq!((changed.disposition(), changed.disposition_reason.as_str()), expected, "{paths:?}");
    }
    let refused = update(&app, decided(&made, unset, "Of what?"), &["disposition_reason"]).await.unwrap_err();
    assert_eq!(code_and_reason(&refused), (Code::InvalidArgument, "GEN_VALIDATION_ERROR".to_owned()));
    assert_eq!(fields(&refused), ["disposition_reason"]);
}

#[tokio::test]
async fn derived_fields_can_not_be_set() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let made = flagged(&app, FlagEntityRequest { dedup_key: "k".to_owned(), ..flag("bln_1") }).await;
    for path in
        ["closed_at", "closed_by", "dedup_key", "occurrence_count", "last_occurred_at", "previous_anomaly_id"]
    {
        let refused = update(&app, made.clone(), &[path]).await.unwrap_err();
        assert_eq!(
            (refused.code(), fields(&refused)),
            (Code::InvalidArgument, vec!["update_mask".to_owned()])
        );
        assert!(refused.message().ends_with(&format!("names {path:?}")), "{refused}");
    }
    let odd = Alert { disposition: 99, ..made.clone() };
    let refused = update(&app, odd, &["disposition"]).await.unwrap_err();
    assert_eq!((refused.code(), fields(&refused)), (Code::InvalidArgument, vec!["disposition".to_owned()]));
    for number in [0, 99, -1] {
        let list = ListAlertsRequest { dispositions: vec![number], ..Default::default() };
        let refused = app.alerts().list_alerts(keyed(list)).await.unwrap_err();
        assert_eq!(fields(&refused), ["dispositions"]);
    }
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn closing_without_a_required_disposition_is_refused(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let service = beside(&app).await;
    let organization = service.find_organization(None).await.unwrap().id;
    let made = flagged(&app, flag("bln_1")).await;
    service.require_disposition(organization, true).await.unwrap();
    let demanded = (Code::FailedPrecondition, "ALERT_DISPOSITION_REQUIRED".to_owned());
    let refused = update(&app, moved(&made, "RESOLVED"), &["status"]).await.unwrap_err();
    assert_eq!(code_and_reason(&refused), demanded);
    let closed = FlagEntityRequest { status: "RESOLVED".to_owned(), ..flag("bln_1") };
    assert_eq!(code_and_reason(&app.alerts().flag_entity(keyed(closed)).await.unwrap_err()), demanded);
    let whole = Alert { status: "RESOLVED".to_owned(), ..decided(&made, Disposition::Benign, "Known.") };
    let closed = update(&app, whole, &[]).await.unwrap();
    assert_eq!((closed.status_class(), closed.disposition()), (StatusClass::Closed, Disposition::Benign));
    assert!(closed.closed_at.is_some() && closed.closed_at == closed.updated_at);
    assert!(closed.closed_by.unwrap().key_id.starts_with("key_"));
    let reopened = update(&app, moved(&made, "FLAGGED"), &[]).await.unwrap();
    assert_eq!((reopened.closed_at, reopened.closed_by, reopened.disposition), (None, None, 0));
    let benign = ListAlertsRequest { dispositions: vec![Disposition::Benign.into()], ..Default::default() };
    assert!(listed(&app, benign).await.0.is_empty());
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn an_alert_with_an_open_successor_is_not_reopened(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let request = || FlagEntityRequest { dedup_key: "k".to_owned(), ..flag("bln_1") };
    let first = flagged(&app, request()).await;
    let again = app.alerts().flag_entity(keyed(request())).await.unwrap().into_inner();
    assert!(again.deduplicated && again.alert.unwrap().occurrence_count == 2);
    update(&app, moved(&first, "RESOLVED"), &[]).await.unwrap();
    let second = flagged(&app, request()).await;
    assert_eq!((&second.previous_anomaly_id, second.occurrence_count), (&first.anomaly_id, 1));
    let refused = update(&app, moved(&first, "FLAGGED"), &[]).await.unwrap_err();
    assert_eq!(code_and_reason(&refused), (Code::FailedPrecondition, "ALERT_DEDUP_KEY_IN_USE".to_owned()));
    assert_eq!(detail(&refused, "anomaly_id"), second.anomaly_id);
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn a_stale_change_is_aborted_with_the_current_version(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let made = flagged(&app, flag("bln_1")).await;
    let retitle = async |title: &str, expected_version| {
        let alert = Alert { title: title.to_owned(), ..made.clone() };
        let update_mask = Some(FieldMask { paths: vec!["title".to_owned()] });
        let request =
            UpdateAlertRequest { alert: Some(alert), update_mask, expected_version, ..Default::default() };
        app.alerts().update_alert(keyed(request)).await.map(|answer| answer.into_inner().alert.unwrap())
    };
    assert_eq!(retitle("First", 1).await.unwrap().version, 2);
    let escalation = EscalateAlertRequest {
        anomaly_id: made.anomaly_id.clone(),
        to: vec!["bo".to_owned()],
        expected_version: 1,
        ..Default::default()
    };
    for refused in [
        retitle("Second", 1).await.unwrap_err(),
        retitle("Second", 3).await.unwrap_err(),
        app.alerts().escalate_alert(keyed(escalation)).await.unwrap_err(),
    ] {
        assert_eq!(code_and_reason(&refused), (Code::Aborted, "ALERT_VERSION_CONFLICT".to_owned()));
        assert_eq!(detail(&refused, "current_version"), "2");
    }
    assert_eq!(retitle("Whatever it has", 0).await.unwrap().version, 3);
    for version in [-1, i64::MIN] {
        let refused = retitle("Second", version).await.unwrap_err();
        assert_eq!(
            (refused.code(), fields(&refused)),
            (Code::InvalidArgument, vec!["expected_version".to_owned()])
        );
    }
}

#[tokio::test]
async fn an_escalation_names_its_people() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let made =
        flagged(&app, FlagEntityRequest { escalated_to: vec!["ana".to_owned()], ..flag("bln_1") }).await;
    let escalate = async |to: &[&str]| {
        let (anomaly_id, to) = (made.anomaly_id.clone(), to.iter().map(ToString::to_string).collect());
        let request = EscalateAlertRequest { anomaly_id, to, ..Default::default() };
        app.alerts().escalate_alert(keyed(request)).await.map(|answer| answer.into_inner().alert.unwrap())
    };
    let escalated = escalate(&["bo", "ana", "bo"]).await.unwrap();
    assert_eq!((escalated.assigned_to.as_str(), escalated.version), ("bo", 2));
    assert_eq!(escalated.escalated_to, ["ana", "bo"]);
    for wrong in [[].as_slice(), &[""], &["bo", "a\u{0}"]] {
        let refused = escalate(wrong).await.unwrap_err();
        assert_eq!(code_and_reason(&refused), (Code::InvalidArgument, "GEN_VALIDATION_ERROR".to_owned()));
        assert_eq!(fields(&refused), ["to"]);
    }
}
