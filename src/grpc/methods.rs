//! Paths of all methods.

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

/// Returns the path from the contract when it is that of a method, so that the log holds no path a caller invented.
pub fn known(path: &str) -> Option<&'static str> {
    METHODS.get(path).map(String::as_str)
}

fn paths(descriptors: &[u8]) -> Vec<String> {
    // The descriptors are compiled in. Without them only the log would lack names.
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
    fn only_methods_of_our_services_are_known() {
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
