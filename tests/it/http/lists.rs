//! Lists of alerts: every parameter, alone and combined.

use rstest::rstest;
use serde_json::{Value, json};

use super::{Answer, add_status, flag, get, id, put};
use crate::support::{DatabaseKind, TestApp};

/// Makes alerts of every kind, class and severity, oldest first.
async fn seed(app: &TestApp) -> Vec<Value> {
    add_status(app, "Pending Review").await;
    let first = json!({ "severity": "low", "assigned_to": "ana", "additional_entity_ids": ["txn_9"] });
    let second = json!({ "status": "PENDING_REVIEW", "severity": "high", "escalated_to": ["bo", "cy"] });
    let third = json!({ "status": "RESOLVED", "severity": "critical", "assigned_to": "" });
    let made = vec![
        flag(app, "bln_1", first).await,
        flag(app, "txn_2", second).await,
        flag(app, "idt_3", third).await,
        flag(app, "bal_4", json!({ "assigned_to": "Ana, the second", "escalated_to": ["bo"] })).await,
    ];
    // The second is the last to be changed.
    let path = format!("/alerts/flag/{}", id(&made[1]));
    let changed = put(app, &path, json!({ "title": "changed" })).await.body;
    made.into_iter().map(|alert| if id(&alert) == id(&changed) { changed.clone() } else { alert }).collect()
}

/// Numbers the alerts of a list by their place in `made`, from 1.
fn numbers(list: &Answer, made: &[Value]) -> Vec<usize> {
    assert_eq!(list.status, 200, "{list:?}");
    let data = list.body["data"].as_array().unwrap();
    data.iter().map(|alert| 1 + made.iter().position(|other| other == alert).unwrap()).collect()
}

/// Writes the instant of a field with the offset `+00:00`, escaped for a query.
fn instant(alert: &Value, field: &str) -> String {
    alert[field].as_str().unwrap().replace('Z', "%2B00:00")
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn every_filter_selects_its_alerts(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let made = seed(&app).await;
    for (query, expected) in [
        ("", vec![4, 3, 2, 1]),
        ("status=FLAGGED", vec![4, 1]),
        ("status=flagged&status=pending_review", vec![4, 2, 1]),
        ("status=flagged,RESOLVED", vec![4, 3, 1]),
        ("status=,flagged,,flagged", vec![4, 1]),
        ("status=&status_class=", vec![4, 3, 2, 1]),
        ("status_class=open", vec![4, 1]),
        ("status_class=In_Progress&status_class=closed", vec![3, 2]),
        ("status_class=open,closed", vec![4, 3, 1]),
        ("type=Balance", vec![4, 1]),
        ("type=transaction&type=IDENTITY", vec![3, 2]),
        ("type=Balance%2CIdentity", vec![4, 3, 1]),
        ("severity=high", vec![2]),
        ("severity=low&severity=Critical,high", vec![3, 2, 1]),
        ("assigned_to=ana", vec![1]),
        ("assigned_to=admin", vec![2]),
        ("assigned_to=", vec![3]),
        ("assigned_to=Ana,+the%20second", vec![4]),
        ("escalated_to=bo", vec![4, 2]),
        ("escalated_to=cy", vec![2]),
        ("escalated_to=", vec![4, 3, 2, 1]),
        ("entity_id=txn_9", vec![1]),
        ("entity_id=txn_9,bal_4&entity_id=idt_3", vec![4, 3, 1]),
        ("entity_id=txn_404", vec![]),
        ("order=desc", vec![4, 3, 2, 1]),
        ("order=asc", vec![1, 2, 3, 4]),
        ("page_size=2", vec![4, 3]),
        ("page_size=0", vec![4, 3, 2, 1]),
        ("page_size=99999999999999999999999", vec![4, 3, 2, 1]),
        ("page_token=", vec![4, 3, 2, 1]),
        ("include_total=false&&", vec![4, 3, 2, 1]),
        ("status_class=open&type=Balance&severity=low&assigned_to=ana&entity_id=bln_1&order=asc", vec![1]),
        ("status_class=open&severity=high", vec![]),
    ] {
        for base in ["/alerts", "/cloud/alerts"] {
            let list = get(&app, &format!("{base}?{query}")).await;
            assert_eq!(numbers(&list, &made), expected, "{query}");
        }
    }
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn times_exclude_their_ends_and_are_read_with_any_offset(#[case] kind: DatabaseKind) {
    let app = TestApp::start(kind).await;
    let made = seed(&app).await;
    let (created, updated) = (instant(&made[1], "created_at"), instant(&made[1], "updated_at"));
    for (query, expected) in [
        (format!("created_after={created}"), vec![4, 3]),
        (format!("created_before={created}"), vec![1]),
        (format!("created_before={}", created.replace("%2B00:00", "z")), vec![1]),
        (format!("created_after={}", created.replace("%2B", "+")), vec![4, 3]),
        (format!("updated_after={updated}"), vec![]),
        (format!("updated_before={updated}"), vec![4, 3, 1]),
        (format!("updated_after={created}"), vec![4, 3, 2]),
        (format!("created_after={created}&created_before={}", instant(&made[3], "created_at")), vec![3]),
        ("created_after=2020-01-01T00:00:00-11:30".to_owned(), vec![4, 3, 2, 1]),
        ("updated_before=2020-01-01T00:00:00.1234567890Z".to_owned(), vec![]),
    ] {
        assert_eq!(numbers(&get(&app, &format!("/alerts?{query}")).await, &made), expected, "{query}");
    }
}

#[rstest]
#[case::sqlite(DatabaseKind::Sqlite)]
#[case::postgres(DatabaseKind::Postgres)]
#[tokio::test]
async fn pages_continue_while_alerts_are_made(
    #[case] kind: DatabaseKind,
    #[values("desc", "asc")] order: &str,
) {
    let app = TestApp::start(kind).await;
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(id(&flag(&app, &format!("txn_{number}"), json!({})).await).to_owned());
    }
    if order == "desc" {
        made.reverse();
    }
    let query = format!("/alerts?entity_id=txn_0,txn_1,txn_2,txn_3,txn_4&order={order}&include_total=true");
    let (mut seen, mut token) = (Vec::new(), String::new());
    for size in [2, 1, 2] {
        let page = get(&app, &format!("{query}&page_size={size}&page_token={token}")).await.body;
        assert_eq!((&page["total"], page["data"].as_array().unwrap().len()), (&json!(5), size));
        seen.extend(page["data"].as_array().unwrap().iter().map(|alert| id(alert).to_owned()));
        page["next_page_token"].as_str().unwrap().clone_into(&mut token);
        flag(&app, "bln_later", json!({})).await;
    }
    assert_eq!((seen, token.as_str()), (made, ""));
}

#[tokio::test]
async fn a_page_token_is_bound_to_its_list() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    seed(&app).await;
    let page = get(&app, "/alerts?page_size=1&type=Balance").await.body;
    let token = page["next_page_token"].as_str().unwrap();
    assert_eq!(
        get(&app, &format!("/cloud/alerts?page_size=7&type=balance&page_token={token}")).await.status,
        200
    );
    for query in [
        format!("page_token={token}"),
        format!("type=Balance&order=asc&page_token={token}"),
        format!("type=Balance&page_token={}", &token[1..]),
        format!("type=Balance&page_token={token}x"),
        "page_token=%F0%9F%9A%A9".to_owned(),
    ] {
        let refused = get(&app, &format!("/alerts?{query}")).await;
        let message = (refused.refusal(), refused.fields());
        assert_eq!(message, ((400, "GEN_INVALID_PAGE_TOKEN"), vec!["page_token"]), "{query}");
    }
}

#[tokio::test]
async fn the_total_is_counted_only_on_request() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    seed(&app).await;
    assert_eq!(get(&app, "/alerts?page_size=1&include_total=true").await.body["total"], 4);
    assert_eq!(get(&app, "/alerts?type=Balance&include_total=true").await.body["total"], 2);
    for query in ["", "?include_total=false"] {
        assert!(get(&app, &format!("/alerts{query}")).await.body.get("total").is_none());
    }
}

#[tokio::test]
async fn statuses_are_listed_page_by_page_in_the_order_of_their_keys() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    for name in ["b", "c", "a"] {
        add_status(&app, name).await;
    }
    let (mut seen, mut token) = (Vec::new(), String::new());
    for _ in 0..2 {
        let page = get(&app, &format!("/alerts/statuses?page_size=2&page_token={token}")).await.body;
        assert_eq!(page["builtin"].as_array().unwrap().len(), 3);
        seen.extend(page["data"].as_array().unwrap().iter().map(|status| status["key"].clone()));
        page["next_page_token"].as_str().unwrap().clone_into(&mut token);
    }
    assert_eq!((seen, token.as_str()), (vec![json!("A"), json!("B"), json!("C")], ""));
    let refused = get(&app, "/alerts/statuses?page_size=2&page_token=junk").await;
    assert_eq!(refused.refusal(), (400, "GEN_INVALID_PAGE_TOKEN"));
    let refused = get(&app, "/alerts/statuses?size=2").await;
    assert_eq!(refused.text(), "size is no parameter of this call; known ones are page_size, page_token");
}

#[tokio::test]
async fn an_unknown_parameter_is_refused_with_the_known_ones() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    for name in ["stauts", "Status", "statuses", "limit", "status[]"] {
        let refused = get(&app, &format!("/alerts?{name}=1&order=asc")).await;
        assert_eq!((refused.refusal(), refused.fields()), ((400, "GEN_VALIDATION_ERROR"), vec![name]));
        assert_eq!(
            refused.text(),
            format!(
                "{name} is no parameter of this call; known ones are status, status_class, type, severity, disposition, \
                 assigned_to, escalated_to, entity_id, created_after, created_before, updated_after, \
                 updated_before, page_size, page_token, order, include_total"
            )
        );
    }
}

#[tokio::test]
async fn a_bad_value_names_its_parameter() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let many: Vec<_> = (0..101).map(|number| format!("txn_{number}")).collect();
    let (many, long) = (format!("entity_id={}", many.join(",")), format!("assigned_to={}", "a".repeat(201)));
    for (query, field, rule) in [
        ("status=no+key", "status", "entry 1 must hold only A-Z 0-9 _, has ' '"),
        ("status=FLAGGED,%FF", "status", "must be percent-encoded UTF-8"),
        (
            "status_class=open,ajar",
            "status_class",
            "entry 2 must be one of open, in_progress, closed, is \"ajar\"",
        ),
        ("type=Account", "type", "entry 1 must be one of Balance, Transaction, Identity, is \"Account\""),
        ("severity=low&severity=extreme", "severity", "entry 2 must be one of low, medium, high, critical"),
        (&long, "assigned_to", "must be at most 200 characters, is 201"),
        ("escalated_to=a%00", "escalated_to", "must not hold control characters"),
        ("created_after=yesterday", "created_after", "must be an RFC 3339 time"),
        ("created_before=", "created_before", "must be an RFC 3339 time"),
        ("updated_after=2026-01-15", "updated_after", "must be an RFC 3339 time"),
        ("updated_before=2026-13-15T00:00:00Z", "updated_before", "must be an RFC 3339 time"),
        ("page_size=-1", "page_size", "must not be negative, is -1"),
        ("page_size=ten", "page_size", "must be a whole number, is \"ten\""),
        ("page_size=1&page_size=2", "page_size", "must be given once, is given 2 times"),
        ("order=newest", "order", "must be one of asc, desc, is \"newest\""),
        ("include_total=yes", "include_total", "must be one of true, false, is \"yes\""),
    ] {
        let refused = get(&app, &format!("/alerts?{query}")).await;
        assert_eq!(
            (refused.refusal(), refused.fields()),
            ((400, "GEN_VALIDATION_ERROR"), vec![field]),
            "{query}"
        );
        assert!(refused.text().starts_with(&format!("{field} {rule}")), "{query}: {}", refused.text());
    }
    let refused = get(&app, "/alerts?entity_id=acc_1").await;
    assert_eq!((refused.refusal(), refused.fields()), ((400, "ALERT_INVALID_ENTITY_ID"), vec!["entity_id"]));
    let refused = get(&app, &format!("/alerts?{many}")).await;
    assert_eq!((refused.refusal(), refused.fields()), ((400, "GEN_VALIDATION_ERROR"), vec!["entity_id"]));
    let refused = get(&app, "/alerts?order=up&page_size=x&other=1&severity=extreme").await;
    assert_eq!(refused.fields(), ["other", "severity", "order", "page_size"]);
    let refused = get(&app, "/alerts?status=NOWHERE").await;
    assert_eq!((refused.refusal(), refused.fields()), ((400, "ALERT_UNKNOWN_STATUS"), vec!["status"]));
}

#[tokio::test]
async fn repeated_and_empty_values_of_a_list_are_ignored() {
    let app = TestApp::start(DatabaseKind::Sqlite).await;
    let made = [flag(&app, "bln_1", json!({})).await];
    for (name, value) in
        [("status", "FLAGGED"), ("status_class", "open"), ("type", "Balance"), ("entity_id", "bln_1")]
    {
        let query = format!("{name}=&{}", format!("{name}={value},&").repeat(101));
        assert_eq!(numbers(&get(&app, &format!("/alerts?{query}")).await, &made), [1], "{name}");
    }
    // The document states a limit only where there are so many different values.
    let document = get(&app, "/openapi.json").await.body;
    let parameters = document["paths"]["/alerts"]["get"]["parameters"].as_array().unwrap();
    let limited: Vec<_> =
        parameters.iter().filter(|parameter| parameter["schema"]["maxItems"] == 100).collect();
    let names: Vec<_> = limited.iter().map(|parameter| &parameter["name"]).collect();
    assert_eq!(names, ["status", "entity_id"]);
}
