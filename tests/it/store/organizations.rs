//! Organizations, and the first start.

use chrono::TimeDelta;
use redflag::domain::{ApiKey, Organization};
use redflag::store::StoreError;

use super::on_every_store;
use super::world::{Changes, World, text};
use crate::support::{DatabaseKind, TestDatabase};

on_every_store!(
    organizations_come_oldest_first,
    a_name_is_taken_once_and_its_case_counts,
    an_organization_refused_leaves_no_statuses,
    the_first_start_makes_the_organization_and_the_key,
    the_first_start_takes_an_organization_of_that_name,
    a_later_start_makes_nothing,
    of_many_first_starts_at_once_exactly_one_makes_the_key,
    a_store_answers_whether_it_is_well_until_it_is_closed,
);

fn default_organization(world: &World) -> Organization {
    world.organization(Organization::DEFAULT_NAME)
}

async fn organizations_come_oldest_first(world: &World) {
    let first = world.store.organizations().await.unwrap();
    let newer = {
        world.clock.step(TimeDelta::seconds(1));
        world.organization("a newer")
    };
    let older = {
        world.clock.step(TimeDelta::hours(-1));
        world.organization("עתיק 😀 '%_\\\"")
    };
    for organization in [&newer, &older] {
        world.store.create_organization(organization).await.unwrap();
    }
    assert_eq!(world.store.organizations().await.unwrap(), [older, first[0].clone(), newer]);
}

async fn a_name_is_taken_once_and_its_case_counts(world: &World) {
    let again = world.organization("first");
    assert!(matches!(world.store.create_organization(&again).await, Err(StoreError::Duplicate)));
    world.add_organization("First").await;
    assert_eq!(world.store.organizations().await.unwrap().len(), 2);
}

async fn an_organization_refused_leaves_no_statuses(world: &World) {
    let again = world.organization("first");
    world.store.create_organization(&again).await.unwrap_err();
    let statuses =
        world.store.missing_statuses(again.id, &[redflag::domain::StatusKey::flagged()]).await.unwrap();
    assert_eq!(statuses.len(), 1);
}

async fn the_first_start_makes_the_organization_and_the_key(world: &World) {
    let organization = default_organization(world);
    let key = world.key(organization.id);
    let made = world.store.bootstrap(&organization, &key).await.unwrap();
    assert_eq!(made, Some(key.clone()));
    assert!(world.store.organizations().await.unwrap().contains(&organization));
    assert_eq!(world.store.keys(None).await.unwrap(), [key]);
    let flagged = redflag::domain::NewAlert { organization_id: organization.id, ..world.alert() };
    world.flag(flagged).await;
}

async fn the_first_start_takes_an_organization_of_that_name(world: &World) {
    let known = world.add_organization(Organization::DEFAULT_NAME).await;
    let organization = default_organization(world);
    let key = world.key(organization.id);
    let made = world.store.bootstrap(&organization, &key).await.unwrap();
    let expected = ApiKey { organization_id: known, ..key };
    assert_eq!(made.as_ref(), Some(&expected));
    assert_eq!(world.store.keys(Some(known)).await.unwrap(), [expected]);
    assert_eq!(world.store.organizations().await.unwrap().len(), 2);
}

async fn a_later_start_makes_nothing(world: &World) {
    world.store.create_key(&world.key(world.organization)).await.unwrap();
    for _ in 0..2 {
        let organization = default_organization(world);
        let made = world.store.bootstrap(&organization, &world.key(organization.id)).await.unwrap();
        assert_eq!(made, None);
    }
    assert_eq!(world.store.organizations().await.unwrap().len(), 1);
    assert_eq!(world.store.keys(None).await.unwrap().len(), 1);
}

async fn of_many_first_starts_at_once_exactly_one_makes_the_key(world: &World) {
    let mut starting = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let organization = default_organization(world);
        let key = world.key(organization.id);
        let store = world.database.open().await;
        starting.spawn(async move { store.bootstrap(&organization, &key).await.unwrap() });
    }
    let made: Vec<_> = starting.join_all().await.into_iter().flatten().collect();
    assert_eq!(made.len(), 1);
    assert_eq!(world.store.keys(None).await.unwrap(), made);
    let organizations = world.store.organizations().await.unwrap();
    let default =
        organizations.iter().filter(|organization| organization.name == text(Organization::DEFAULT_NAME));
    assert_eq!(default.map(|organization| organization.id).collect::<Vec<_>>(), [made[0].organization_id]);
}

async fn a_store_answers_whether_it_is_well_until_it_is_closed(world: &World) {
    world.store.check().await.unwrap();
    world.store.close().await;
    assert!(matches!(world.store.check().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(world.store.organizations().await, Err(StoreError::Unavailable(_))));
    let refused = world.store.flag(world.alert(), &world.change()).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    // What was written is there for the next one.
    assert_eq!(world.database.open().await.organizations().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_database_in_memory_works_as_long_as_its_store() {
    let open = || {
        redflag::store::connect::open(
            "sqlite::memory:",
            redflag::store::connect::Options {
                connections: 4,
                ..redflag::store::connect::Options::for_command(
                    redflag::store::schema::OnOlderSchema::Migrate,
                )
            },
        )
    };
    let world = World::new(DatabaseKind::Sqlite).await;
    let (store, another) = (open().await.unwrap(), open().await.unwrap());
    store.create_organization(&world.organization("in memory")).await.unwrap();
    store.check().await.unwrap();
    assert_eq!(store.organizations().await.unwrap().len(), 1);
    assert!(another.organizations().await.unwrap().is_empty());
}

#[tokio::test]
async fn test_databases_are_apart() {
    for kind in [DatabaseKind::Sqlite, DatabaseKind::Postgres] {
        let [one, two] = [TestDatabase::create(kind).await, TestDatabase::create(kind).await];
        assert_ne!(one.url(), two.url());
        assert_eq!(one.kind(), kind);
    }
}
