//! `anabranch new`: a crate with a small protocol, its test and its `main.rs`.

use crate::args::New;
use crate::exit::{CommandError, Exit, Result};
use std::path::{Path, PathBuf};

/// Files of the new crate: where they go and what is in them.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("template/Cargo.toml.in")),
    ("src/lib.rs", include_str!("template/src/lib.rs.in")),
    ("src/main.rs", include_str!("template/src/main.rs.in")),
    ("tests/kv.rs", include_str!("template/tests/kv.rs.in")),
    ("tests/put_and_get.transcript", include_str!("template/tests/put_and_get.transcript")),
    ("deployment.toml", include_str!("template/deployment.toml")),
    (".gitignore", include_str!("template/gitignore")),
];

/// Runs the command.
pub fn run(args: &New) -> Result {
    let name = args.name.file_name().unwrap_or_default().to_string_lossy().to_string();
    if let Err(why) = check_name(&name) {
        return Err(CommandError::usage(format!("`{name}` cannot be a crate's name: {why}")));
    }
    if args.name.exists() {
        return Err(CommandError::usage(format!("{} exists already", args.name.display())));
    }
    let checkout = match &args.path {
        Some(path) => Some(checkout(path)?),
        // Run from a checkout, before there is anything to be had from a registry.
        None => checkout(Path::new(env!("CARGO_MANIFEST_DIR"))).ok(),
    };
    let dependency = |folder: &str| match &checkout {
        Some(root) => format!("path = {:?}", root.join(folder).display().to_string().trim_end_matches('/')),
        // All packages have one version.
        None => format!("version = {:?}", env!("CARGO_PKG_VERSION")),
    };
    let workspace = if inside_workspace(&args.name) {
        "\n# Not a member of the workspace around it.\n[workspace]\n"
    } else {
        ""
    };
    let fill = |text: &str| {
        text.replace("{name}", &name)
            .replace("{crate}", &name.replace('-', "_"))
            .replace("{anabranch}", &dependency("runtime"))
            .replace("{anabranch_cli}", &dependency(""))
            .replace("{workspace}", workspace)
    };
    for (file, text) in FILES {
        let path = args.name.join(file);
        let text = fill(text);
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        made.and_then(|()| std::fs::write(&path, text.trim_end().to_string() + "\n"))
            .map_err(|e| CommandError::failure(format!("{} cannot be written: {e}", path.display())))?;
    }
    println!("made {}\n\n  cd {0}", args.name.display());
    println!("  cargo test                               # runs the transcript in tests/");
    println!("  cargo run -- check src/lib.rs            # mistakes, with every place involved");
    println!("  cargo run -- deploy deployment.toml      # two nodes; then from another shell:");
    println!("  cargo run -- call deployment.toml put colour green");
    Ok(Exit::Ok)
}

fn check_name(name: &str) -> std::result::Result<(), &'static str> {
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err("it must begin with a letter");
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return Err("letters, digits, `-` and `_` only");
    }
    let taken = [
        "anabranch",
        "anabranch-cli",
        "anabranch_cli",
        "kv",
        "test",
        "std",
        "core",
        "alloc",
        "self",
        "super",
        "crate",
    ];
    if taken.contains(&name) {
        return Err("it would hide another crate");
    }
    if is_keyword(name) {
        return Err("it is a word of Rust");
    }
    Ok(())
}

fn is_keyword(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "as", "async", "await", "break", "const", "continue", "dyn", "else", "enum", "extern", "false", "fn",
        "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return",
        "static", "struct", "trait", "true", "type", "unsafe", "use", "where", "while", "abstract", "become",
        "box", "do", "final", "gen", "macro", "override", "priv", "try", "typeof", "unsized", "virtual",
        "yield",
    ];
    WORDS.contains(&name)
}

/// The root of a checkout of Anabranch.
fn checkout(path: &Path) -> Result<PathBuf> {
    let found = path.join("runtime/Cargo.toml").is_file() && path.join("dsl/macros/Cargo.toml").is_file();
    let root = path.canonicalize().ok().filter(|_| found);
    root.ok_or_else(|| CommandError::usage(format!("{} is no checkout of Anabranch", path.display())))
}

/// Whether Cargo would take a crate here for a member of a workspace that does not know it.
fn inside_workspace(path: &Path) -> bool {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    absolute.ancestors().skip(1).any(|dir| {
        let manifest = std::fs::read_to_string(dir.join("Cargo.toml")).unwrap_or_default();
        manifest.parse::<toml::Table>().is_ok_and(|table| table.contains_key("workspace"))
    })
}
