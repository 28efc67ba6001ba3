//! API keys.

use chrono::TimeDelta;
use redflag::domain::{ApiKey, KeyDigest, KeyId, Scope, Scopes};
use redflag::store::StoreError;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::on_every_store;
use super::world::{World, text};
use crate::support::{DatabaseKind, instant};

on_every_store!(
    a_key_is_read_as_it_was_made,
    keys_come_oldest_first_of_one_organization_or_of_all,
    a_digest_is_taken_once_over_all_organizations,
    a_key_needs_an_organization,
    an_unknown_digest_finds_nothing,
    a_key_revoked_twice_keeps_the_first_time,
    an_unknown_key_can_t_be_revoked,
    many_digests_are_looked_up_at_once,
    use_is_noted_at_most_once_a_minute,
    use_of_an_unknown_key_is_not_noted_anywhere,
    the_use_of_many_keys_is_noted_at_once,
);

async fn add(world: &World, key: ApiKey) -> ApiKey {
    world.store.create_key(&key).await.unwrap();
    key
}

async fn read(world: &World, key: &ApiKey) -> ApiKey {
    let [found] = world.store.keys_by_digest(&[key.digest]).await.unwrap().try_into().unwrap();
    found
}

async fn a_key_is_read_as_it_was_made(world: &World) {
    let plain = world.key(world.organization);
    let full = ApiKey {
        name: text("ключ 😀 '\"\\%_"),
        owner: text("e\u{301} <ada@example.com>"),
        scopes: Scopes::new(Scope::ALL),
        prefix: "rf_-_Zz09".to_owned(),
        digest: KeyDigest([0; 32]),
        expires_at: Some(instant("9999-12-31T23:59:59.999999Z")),
        revoked_at: Some(instant("1969-12-31T23:59:59.999999Z")),
        last_used_at: Some(instant("2026-01-01T00:00:00.000001Z")),
        ..world.key(world.organization)
    };
    let no_scopes =
        ApiKey { scopes: Scopes::new([]), digest: KeyDigest([255; 32]), ..world.key(world.organization) };
    for key in [plain, full, no_scopes] {
        let key = add(world, key).await;
        assert_eq!(read(world, &key).await, key);
        assert!(world.store.keys(None).await.unwrap().contains(&key));
    }
}

async fn keys_come_oldest_first_of_one_organization_or_of_all(world: &World) {
    let other = world.add_organization("other").await;
    let second = add(world, world.key(world.organization)).await;
    let third = add(world, world.key(other)).await;
    world.clock.step(TimeDelta::microseconds(-1));
    let first = add(world, world.key(other)).await;
    world.clock.step(TimeDelta::hours(1));
    let last = add(world, world.key(world.organization)).await;
    let revoked = world.store.revoke_key(second.id, world.clock.step(TimeDelta::zero())).await.unwrap();
    let of = async |organization| world.store.keys(organization).await.unwrap();
    assert_eq!(of(Some(other)).await, [first.clone(), third.clone()]);
    assert_eq!(of(Some(world.organization)).await, [revoked.clone(), last.clone()]);
    assert_eq!(of(None).await, [first, revoked, third, last]);
}

async fn a_digest_is_taken_once_over_all_organizations(world: &World) {
    let other = world.add_organization("other").await;
    let key = add(world, world.key(world.organization)).await;
    for organization in [world.organization, other] {
        let again = ApiKey { digest: key.digest, ..world.key(organization) };
        assert!(matches!(world.store.create_key(&again).await, Err(StoreError::Duplicate)));
    }
    assert_eq!(world.store.keys(None).await.unwrap(), [key]);
}

async fn a_key_needs_an_organization(world: &World) {
    let key = world.key(world.organization("nobody").id);
    assert!(matches!(world.store.create_key(&key).await, Err(StoreError::NotFound)));
    assert!(world.store.keys(None).await.unwrap().is_empty());
}

async fn an_unknown_digest_finds_nothing(world: &World) {
    add(world, world.key(world.organization)).await;
    assert_eq!(world.store.keys_by_digest(&[KeyDigest([9; 32])]).await.unwrap(), []);
}

async fn many_digests_are_looked_up_at_once(world: &World) {
    let mut keys = Vec::new();
    for _ in 0..3 {
        keys.push(add(world, world.key(world.organization)).await);
    }
    let mut digests: Vec<_> = keys.iter().map(|key| key.digest).collect();
    digests.insert(1, KeyDigest([9; 32]));
    let mut found = world.store.keys_by_digest(&digests).await.unwrap();
    found.sort_by_key(|key| key.id);
    assert_eq!(found, keys);
    assert_eq!(world.store.keys_by_digest(&[]).await.unwrap(), []);
}

async fn a_key_revoked_twice_keeps_the_first_time(world: &World) {
    let key = add(world, world.key(world.organization)).await;
    let other = add(world, world.key(world.organization)).await;
    let at = world.clock.step(TimeDelta::microseconds(1));
    let expected = ApiKey { revoked_at: Some(at), ..key.clone() };
    for step in [0, 5, -9] {
        let now = world.clock.step(TimeDelta::seconds(step));
        assert_eq!(world.store.revoke_key(key.id, now).await.unwrap(), expected);
        assert_eq!(read(world, &key).await, expected);
    }
    assert_eq!(read(world, &other).await, other);
}

async fn an_unknown_key_can_t_be_revoked(world: &World) {
    let unknown = KeyId::from_uuid(world.organization.uuid());
    let refused = world.store.revoke_key(unknown, world.change().at).await;
    assert!(matches!(refused, Err(StoreError::NotFound)));
}

async fn use_is_noted_at_most_once_a_minute(world: &World) {
    let key = add(world, world.key(world.organization)).await;
    let other = add(world, world.key(world.organization)).await;
    let start = world.change().at;
    let minute = TimeDelta::minutes(1);
    let just_before = minute - TimeDelta::microseconds(1);
    for (after, noted) in [
        (TimeDelta::zero(), TimeDelta::zero()),
        (TimeDelta::seconds(1), TimeDelta::zero()),
        (just_before, TimeDelta::zero()),
        (minute, minute),
        (-minute, minute),
        (minute + just_before, minute),
        (minute * 60, minute * 60),
    ] {
        world.store.touch_keys(&[(key.id, start + after)]).await.unwrap();
        assert_eq!(read(world, &key).await.last_used_at, Some(start + noted), "{after}");
    }
    assert_eq!(read(world, &other).await.last_used_at, None);
}

async fn use_of_an_unknown_key_is_not_noted_anywhere(world: &World) {
    let key = add(world, world.key(world.organization)).await;
    let unknown = KeyId::from_uuid(world.organization.uuid());
    world.store.touch_keys(&[(unknown, world.change().at)]).await.unwrap();
    assert_eq!(world.store.keys(None).await.unwrap(), [key]);
}

async fn the_use_of_many_keys_is_noted_at_once(world: &World) {
    let keys = [
        add(world, world.key(world.organization)).await,
        add(world, world.key(world.add_organization("other").await)).await,
        add(world, world.key(world.organization)).await,
    ];
    let (start, second) = (world.change().at, TimeDelta::seconds(1));
    world.store.touch_keys(&[]).await.unwrap();
    world.store.touch_keys(&[(keys[2].id, start), (keys[0].id, start + second)]).await.unwrap();
    world.store.touch_keys(&[(keys[0].id, start + second * 2), (keys[1].id, start)]).await.unwrap();
    let mut noted = Vec::new();
    for key in &keys {
        noted.push(read(world, key).await.last_used_at);
    }
    assert_eq!(noted, [Some(start + second), Some(start), Some(start)]);
}

#[tokio::test]
async fn a_key_whose_row_is_held_is_left_out() {
    let world = World::new(DatabaseKind::Postgres).await;
    let (held, free) =
        (add(&world, world.key(world.organization)).await, add(&world, world.key(world.organization)).await);
    let mut other = PgConnection::connect(world.database.url()).await.unwrap();
    let lock = format!("BEGIN; UPDATE api_keys SET name = name WHERE key_id = '{}'", held.id.uuid());
    other.execute(AssertSqlSafe(lock)).await.unwrap();
    let at = world.change().at;
    world.store.touch_keys(&[(held.id, at), (free.id, at)]).await.unwrap();
    assert_eq!(read(&world, &free).await.last_used_at, Some(at));
    assert_eq!(read(&world, &held).await.last_used_at, None);
    other.execute("ROLLBACK").await.unwrap();
    world.store.touch_keys(&[(held.id, at)]).await.unwrap();
    assert_eq!(read(&world, &held).await.last_used_at, Some(at));
}
