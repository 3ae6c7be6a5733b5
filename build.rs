//! Compiles `proto/` without protoc, and puts the texts of `policies/` into the program so that it runs from anywhere.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message as _;
use prost_types::FileDescriptorSet;
use prost_types::field_descriptor_proto::Type;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    compile_protos(&root, &out)?;
    embed_policies(&root, &out)
}

fn compile_protos(root: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut files = Vec::new();
    collect(&root.join("proto"), &["proto"], &mut files)?;
    let set = protox::compile(&files, [root.join("proto")])?;
    // For reflection; prost's own code generation writes none.
    fs::write(out.join("descriptors.bin"), set.encode_to_vec())?;
    json(&set)?;
    tonic_prost_build::configure()
        .codec_path("crate::grpc::codec::Codec")
        .extern_path(".google.rpc", "::tonic_types::pb")
        .bytes(".gongji.v1.CalculateBatchRequest")
        .bytes(".gongji.v1.CalculateBatchResponse")
        .compile_fds(with_ready_bytes(with_ready_explanations(set)))?;
    Ok(())
}

/// The messages of a batch of calculations: what their items and results are in the generated types is bytes, so that they
/// are decoded and encoded one by one where they are calculated, and not by the thread that serves the connection.
const BATCHES: [(&str, &str); 2] = [("CalculateBatchRequest", "items"), ("CalculateBatchResponse", "results")];

fn with_ready_bytes(mut set: FileDescriptorSet) -> FileDescriptorSet {
    for message in set.file.iter_mut().flat_map(|file| &mut file.message_type) {
        let Some((_, ready)) = BATCHES.iter().find(|(name, _)| *name == message.name()) else { continue };
        for field in message.field.iter_mut().filter(|field| field.name() == *ready) {
            field.set_type(Type::Bytes);
            field.type_name = None;
        }
    }
    set
}

/// In the generated types the explanation of a settlement's answers is `bytes`: the encoded message, put together from
/// pieces made beforehand (`src/grpc/summary.rs`). On the wire a message and bytes are the same; clients in other
/// languages, and reflection, see the message.
fn with_ready_explanations(mut set: FileDescriptorSet) -> FileDescriptorSet {
    let files = set.file.iter_mut().filter(|file| file.name().ends_with("/settlement.proto"));
    for field in files.flat_map(|file| &mut file.message_type).flat_map(|message| &mut message.field) {
        if field.type_name() == ".gongji.v1.Explanation" {
            field.set_type(Type::Bytes);
            field.type_name = None;
        }
    }
    set
}

/// Of other files, what answers of calculations carry.
const SHARED: [&str; 12] = [
    "Citation",
    "Decision",
    "Explanation",
    "ExplanationView",
    "Grade",
    "NamedValue",
    "Parameter",
    "PolicyRevision",
    "Reason",
    "ReasonNote",
    "Rounding",
    "Step",
];

/// What an import's rows are made of.
const ROWS: [&str; 10] = [
    "Bucket",
    "CardState",
    "CreateMemberRequest",
    "CreditAccountRequest",
    "CreditKind",
    "Insurance",
    "InsuranceState",
    "MemberRef",
    "Scheme",
    "View",
];

/// Calculations are read and written as JSON too (`gongji calc`), and rows of imports read, in the form gRPC tools use.
fn json(set: &prost_types::FileDescriptorSet) -> Result<(), Box<dyn Error>> {
    let mut names: Vec<String> = SHARED.iter().chain(&ROWS).map(|name| (*name).to_owned()).collect();
    let of_members = ["Sex", "CertificationChannel", "CertificationPrecondition", "CertificationDueState"];
    names.extend(of_members.map(str::to_owned));
    for file in set.file.iter().filter(|file| file.name().ends_with("/calculation.proto")) {
        let messages = file.message_type.iter().map(prost_types::DescriptorProto::name);
        let messages = messages.filter(|name| BATCHES.iter().all(|(batch, _)| batch != name));
        names.extend(messages.map(str::to_owned));
        names.extend(file.enum_type.iter().map(|words| words.name().to_owned()));
    }
    let paths: Vec<String> = names.iter().map(|name| format!(".gongji.v1.{name}")).collect();
    pbjson_build::Builder::new()
        .register_descriptors(&set.encode_to_vec())?
        .preserve_proto_field_names()
        .build(&paths)?;
    Ok(())
}

fn embed_policies(root: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=policies");
    let root = root.join("policies");
    let mut files = Vec::new();
    collect(&root, &["toml", "csv"], &mut files)?;
    let mut code = "pub static FILES: &[(&str, &str)] = &[\n".to_owned();
    for file in &files {
        let name = file.strip_prefix(&root)?.to_string_lossy().replace('\\', "/");
        writeln!(code, "    ({name:?}, include_str!({:?})),", file.display().to_string())?;
    }
    code.push_str("];\n");
    fs::write(out.join("policies.rs"), code)?;
    Ok(())
}

fn collect(folder: &Path, endings: &[&str], files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, endings, files)?;
        } else if path.extension().is_some_and(|ending| endings.iter().any(|wanted| ending == *wanted)) {
            files.push(path);
        }
    }
    Ok(())
}
