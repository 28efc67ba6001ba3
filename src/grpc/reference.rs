//! The reference of the contract, generated from the comments in the protos.

use std::{collections::HashMap, fmt::Write};

use prost::Message;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    MethodDescriptorProto, ServiceDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

use super::pb::FILE_DESCRIPTOR_SET;

/// The package to document.
const PACKAGE: &str = "redflag.v1";
/// Field numbers in `descriptor.proto`, of which the paths of comments are made.
const MESSAGES: i32 = 4;
const ENUMS: i32 = 5;
const SERVICES: i32 = 6;
/// The field number of a message's fields, an enum's values and a service's methods.
const MEMBERS: i32 = 2;

const HEAD: &str = "\
# The gRPC contract

What `proto/redflag/v1/` says, for reading; made from it by `make api-reference`. REST has the same fields and rules: its own
reference is `openapi.json`, which a server also answers at `/openapi.json` and shows at `/docs`.
";

/// Writes the page in Markdown: services with their methods, then messages, then enums.
///
/// # Errors
/// When the compiled descriptors can't be read.
pub fn markdown() -> Result<String, prost::DecodeError> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET)?;
    let files: Vec<_> = set.file.iter().filter(|file| file.package() == PACKAGE).map(File::new).collect();
    let mut page = HEAD.to_owned();
    for file in &files {
        each(&file.proto.service, |index, it| service(&mut page, file, index, it));
    }
    page.push_str("\n## Messages\n");
    for file in &files {
        each(&file.proto.message_type, |index, it| message(&mut page, file, index, it));
    }
    page.push_str("\n## Enums\n");
    for file in &files {
        each(&file.proto.enum_type, |index, it| enumeration(&mut page, file, index, it));
    }
    Ok(page)
}

/// A file of the contract with its comments.
struct File<'p> {
    proto: &'p FileDescriptorProto,
    comments: HashMap<&'p [i32], &'p str>,
}

impl<'p> File<'p> {
    fn new(proto: &'p FileDescriptorProto) -> Self {
        let places = proto.source_code_info.iter().flat_map(|info| &info.location);
        let comments = places.map(|place| (&*place.path, place.leading_comments())).collect();
        Self { proto, comments }
    }

    /// Returns a comment without the blank that follows the slashes.
    fn comment(&self, path: &[i32]) -> String {
        let lines = self.comments.get(path).copied().unwrap_or_default().trim().lines();
        lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
    }

    /// Returns a comment in one line, for a cell of a table.
    fn cell(&self, path: &[i32]) -> String {
        self.comment(path).replace('\n', " ").replace('|', "\\|")
    }
}

/// Calls `with` for each part and its index in the descriptor.
fn each<'p, T>(parts: &'p [T], mut with: impl FnMut(i32, &'p T)) {
    for (index, part) in (0..).zip(parts) {
        with(index, part);
    }
}

fn service(page: &mut String, file: &File<'_>, index: i32, service: &ServiceDescriptorProto) {
    heading(page, "##", service.name(), &file.comment(&[SERVICES, index]));
    each(&service.method, |member, it| method(page, file, &[SERVICES, index, MEMBERS, member], it));
}

fn method(page: &mut String, file: &File<'_>, path: &[i32], method: &MethodDescriptorProto) {
    let streamed = |is| if is { "stream of " } else { "" };
    heading(page, "###", method.name(), &file.comment(path));
    let (taken, answered) = (type_name(method.input_type()), type_name(method.output_type()));
    let (client, server) = (streamed(method.client_streaming()), streamed(method.server_streaming()));
    line(page, &format!("\nTakes {client}{taken}, answers {server}{answered}."));
}

fn message(page: &mut String, file: &File<'_>, index: i32, message: &DescriptorProto) {
    heading(page, "###", message.name(), &file.comment(&[MESSAGES, index]));
    table(page, "field | type | meaning", message.field.is_empty());
    each(&message.field, |member, field| {
        let meaning = file.cell(&[MESSAGES, index, MEMBERS, member]);
        line(page, &format!("| `{}` | {} | {meaning} |", field.name(), kind(field)));
    });
}

fn enumeration(page: &mut String, file: &File<'_>, index: i32, enumeration: &EnumDescriptorProto) {
    heading(page, "###", enumeration.name(), &file.comment(&[ENUMS, index]));
    table(page, "value | number | meaning", false);
    each(&enumeration.value, |member, value| {
        let meaning = file.cell(&[ENUMS, index, MEMBERS, member]);
        line(page, &format!("| `{}` | {} | {meaning} |", value.name(), value.number()));
    });
}

fn heading(page: &mut String, level: &str, name: &str, comment: &str) {
    line(page, &format!("\n{level} {name}\n\n{comment}"));
}

fn table(page: &mut String, columns: &str, is_empty: bool) {
    line(page, &if is_empty { "\nNo fields.".to_owned() } else { format!("\n| {columns} |\n|---|---|---|") });
}

fn line(page: &mut String, text: &str) {
    // Writing to a string never fails.
    let _ = writeln!(page, "{text}");
}

/// Names the type of a field, after `repeated` or `optional`.
fn kind(field: &FieldDescriptorProto) -> String {
    let label = match (field.label(), field.proto3_optional()) {
        (Label::Repeated, _) => "repeated ",
        (_, true) => "optional ",
        _ => "",
    };
    let kind = match field.r#type() {
        Type::Message | Type::Enum => type_name(field.type_name()),
        scalar => format!("`{}`", scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase()),
    };
    format!("{label}{kind}")
}

/// Names a type, with a link when it is on the page.
fn type_name(full: &str) -> String {
    let full = full.trim_start_matches('.');
    match full.strip_prefix(PACKAGE) {
        Some(name) => {
            let name = name.trim_start_matches('.');
            format!("[{name}](#{})", name.to_lowercase())
        }
        None => format!("`{full}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_contract_is_documented() {
        let page = markdown().unwrap();
        let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        for file in set.file.iter().filter(|file| file.package() == PACKAGE) {
            for message in &file.message_type {
                assert!(message.nested_type.is_empty() && message.enum_type.is_empty(), "{}", message.name());
                for field in &message.field {
                    let row = format!("| `{}` | {} | ", field.name(), kind(field));
                    assert!(page.contains(&row) && !page.contains(&format!("{row} |")), "{row}");
                }
            }
            for value in file.enum_type.iter().flat_map(|kind| &kind.value) {
                assert!(page.contains(&format!("| `{}` | {} | ", value.name(), value.number())));
            }
            for method in file.service.iter().flat_map(|service| &service.method) {
                assert!(page.contains(&format!("\n### {}\n\n", method.name())));
            }
        }
    }
}
