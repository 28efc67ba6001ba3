//! The methods that there are, by their paths.

use std::{collections::HashSet, sync::LazyLock};

use prost::Message;
use prost_types::FileDescriptorSet;

use super::pb;

static METHODS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let ours = [pb::FILE_DESCRIPTOR_SET, tonic_health::pb::FILE_DESCRIPTOR_SET];
    let reflection =
        [tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET, tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET];
    ours.into_iter().chain(reflection).flat_map(paths).collect()
});

/// The path as it stands in the contract, when it is that of a method.
pub fn known(path: &str) -> Option<&'static str> {
    METHODS.get(path).map(String::as_str)
}

fn paths(descriptors: &[u8]) -> Vec<String> {
    // They were compiled in; were they broken, the log would lack names.
    let files = FileDescriptorSet::decode(descriptors).unwrap_or_default().file;
    let services = files.iter().flat_map(|file| file.service.iter().map(move |service| (file, service)));
    let methods = services.flat_map(|(file, service)| {
        let of = |method: &prost_types::MethodDescriptorProto| {
            format!("/{}.{}/{}", file.package(), service.name(), method.name())
        };
        service.method.iter().map(of).collect::<Vec<_>>()
    });
    methods.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_of_every_service_are_known_and_nothing_else() {
        for path in [
            "/redflag.v1.AlertService/FlagEntity",
            "/redflag.v1.AuditService/GetAuditHead",
            "/grpc.health.v1.Health/Check",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ] {
            assert_eq!(known(path), Some(path));
        }
        assert_eq!(known("/redflag.v1.AlertService/\u{9b}"), None);
    }
}
