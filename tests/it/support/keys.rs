//! Keys made beside a running server, as the command line makes them.

use std::time::Duration;

use redflag::{
    app::open_database,
    operator::{NewKeyInput, Operator},
    store::schema::OnOlderSchema,
};

use super::TestApp;

/// The command line's view of a server's database.
pub async fn beside(app: &TestApp) -> Operator {
    open_database(app.database().url(), OnOlderSchema::Refuse)
        .await
        .expect("the server has made its database")
}

/// Makes a key of the organization named `organization` and tells its id and its secret.
pub async fn make_key(
    service: &Operator,
    organization: &str,
    scopes: &[&str],
    expires_in: Option<Duration>,
) -> (String, String) {
    let organization = service.find_organization(Some(organization)).await.unwrap();
    let input = NewKeyInput {
        organization_id: organization.id,
        name: "test".to_owned(),
        owner: "ana".to_owned(),
        scopes: scopes.iter().map(ToString::to_string).collect(),
        expires_in,
    };
    let (key, secret) = service.create_key(input).await.unwrap();
    (key.id.to_string(), secret.reveal().to_owned())
}
